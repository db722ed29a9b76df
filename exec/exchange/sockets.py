"""Options of TCP sockets that carry much data: those between nodes, and the clients' (hops 6 and 7)."""

from __future__ import annotations

import socket
from typing import Final

_LOSS_BASED: Final = b"reno"
"""Part of every Linux kernel, and allowed to every user."""


def spare_pacing(connection: socket.socket) -> None:
    """Sends without pacing to a peer on this machine. Anywhere else, and where it cannot be had, nothing changes.

    Where BBR is the system's congestion control it measures and paces loopback, too, which costs both ends several times
    what the copying does.
    """
    option = getattr(socket, "TCP_CONGESTION", None)
    if option is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        if connection.getpeername()[0] == connection.getsockname()[0]:
            connection.setsockopt(socket.IPPROTO_TCP, option, _LOSS_BASED)
    except OSError:
        pass
