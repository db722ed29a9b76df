"""A small blocking client of the PostgreSQL protocol, made of the server's own message tables."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from shoal.server.protocol import auth
from shoal.server.protocol import messages as m

TIMEOUT_S = 20.0


def decode_all(data: bytes) -> list[m.Message]:
    """Backend messages in `data`, which must hold whole ones."""
    found, position = [], 0
    while position < len(data):
        length = struct.unpack_from(">i", data, position + 1)[0]
        found.append(m.BACKEND[chr(data[position])].decode(data[position + 5:position + 1 + length]))
        position += 1 + length
    return found


class WireClient:
    """Sends messages and reads until a kind of answer."""

    def __init__(self, host: str, port: int, user: str = "shoal", database: str = "shoal", password: str = "",
                 protocol: int = m.PROTOCOL_3_0, **parameters: str) -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT_S)
        self.socket.settimeout(TIMEOUT_S)
        self._buffer = b""
        self.started: list[m.Message] = []
        if user:
            self.send(m.StartupMessage(protocol, {"user": user, "database": database, **parameters}))
            self.started = self._authenticate(password)

    def _authenticate(self, password: str) -> list[m.Message]:
        seen: list[m.Message] = []
        client = auth.ScramClient(password)
        for message in self.messages():
            seen.append(message)
            match message:
                case m.Authentication(10):
                    first = client.first().encode()
                    body = auth.MECHANISM.encode() + b"\0" + struct.pack(">i", len(first)) + first
                    self.send(m.AuthenticationData(body))
                case m.Authentication(11, data):
                    self.send(m.AuthenticationData(client.final(data.decode()).encode()))
                case m.Authentication(12, data):
                    assert client.check(data.decode())
                case m.ReadyForQuery() | m.ErrorResponse():
                    return seen
        return seen

    def send(self, *messages: m.Message) -> None:
        self.socket.sendall(b"".join(map(m.encode, messages)))

    def messages(self) -> Iterator[m.Message]:
        """Every message the server sends, to the end of the connection."""
        while True:
            while len(self._buffer) < 5 or len(self._buffer) < 1 + struct.unpack_from(">i", self._buffer, 1)[0]:
                try:
                    data = self.socket.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return
                self._buffer += data
            length = struct.unpack_from(">i", self._buffer, 1)[0]
            kind, body = chr(self._buffer[0]), self._buffer[5:1 + length]
            self._buffer = self._buffer[1 + length:]
            yield m.BACKEND[kind].decode(body)

    def until(self, *kinds: type) -> list[m.Message]:
        """Messages up to the first of one of these kinds (by default ReadyForQuery)."""
        found = []
        for message in self.messages():
            found.append(message)
            if isinstance(message, kinds or (m.ReadyForQuery,)):
                break
        return found

    def ask(self, *messages: m.Message) -> list[m.Message]:
        self.send(*messages)
        return self.until()

    def query(self, sql: str) -> list[m.Message]:
        return self.ask(m.Query(sql))

    def at_end(self) -> bool:
        """Whether the server has closed the connection."""
        return next(self.messages(), None) is None

    def close(self) -> None:
        self.socket.close()


@contextmanager
def wire(host: str, port: int, **options: object) -> Iterator[WireClient]:
    client = WireClient(host, port, **options)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()
