"""Answers the coordinator's heartbeats from a thread of its own, over a connection of its own.

Liveness is apart from work: neither a busy event loop nor a full data connection delays an answer, and no kernel keeps
the thread from running for longer than it holds the interpreter's lock (design/faults.md). The coordinator asks every
second, so its silence means as much: it is gone, or the network between is.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from typing import Final

from shoal.catalog.errors import SqlError
from shoal.exec.exchange.handshake import GREETING_BYTES, NONCE_BYTES, PROOF_BYTES, ClientHandshake

PING: Final = b"?"
PONG: Final = b"!"
SILENCE_S: Final = 15.0
"""More than the coordinator may be busy, and less than anyone wants to wait for a worker that could join again."""


class LivenessThread:
    """Started once the coordinator has given this node its id; ends when the connection does, and then calls `ended`."""

    def __init__(self, host: str, port: int, secret: bytes, node_id: str, ended: Callable[[], object]) -> None:
        self._ended = ended
        self._address, self._secret, self._node_id = (host, port), secret, node_id
        self._socket: socket.socket | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="liveness", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with socket.create_connection(self._address, timeout=SILENCE_S) as connection:
                self._socket = connection
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                handshake = ClientHandshake(self._secret, os.urandom(NONCE_BYTES), "liveness")
                connection.sendall(handshake.answer(_read(connection, GREETING_BYTES)))
                handshake.verify(_read(connection, PROOF_BYTES))
                name = self._node_id.encode()
                connection.sendall(bytes([len(name)]) + name)
                while not self._stopped:
                    if not connection.recv(1):
                        return
                    connection.sendall(PONG)
        except (OSError, SqlError):
            return
        finally:
            self._socket = None
            if not self._stopped:
                self._ended()

    def stop(self) -> None:
        self._stopped = True
        connection = self._socket
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join(1.0)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data
