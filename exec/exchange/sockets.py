"""Options of TCP sockets that carry much data: those between nodes, and the clients' (hops 6 and 7)."""

from __future__ import annotations

import socket
from typing import Final

SEND_BUFFER_BYTES: Final = 1 << 20
"""Linux counts its own overhead, too, so it sets aside twice as much: most of a page goes with one call then."""
_LOSS_BASED: Final = b"reno"
"""A congestion control that is part of every Linux kernel and allowed to every user."""


def prepare_for_bulk(connection: socket.socket) -> None:
    """Sets what makes large writes cheap. Never fails: what cannot be had stays as it is.

    To a peer on this machine nothing is paced: where BBR is the system's congestion control it measures and paces loopback,
    too, which costs both ends several times what the copying does.
    """
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if connection.getpeername()[0] == connection.getsockname()[0]:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _LOSS_BASED)
    except (AttributeError, OSError):
        pass
