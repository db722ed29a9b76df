"""The PostgreSQL protocol of one connection without any I/O: bytes in, messages out; messages in, bytes out.

Hop 1 of a query's way. What is legal when is data: `LEGAL` names, per state, the packets a client may send. The
states are

    START          untyped start-up packets: SSLRequest, GSSENCRequest (each at most once), CancelRequest, StartupMessage
    TLS            the client asked for encryption and must send nothing until the answer is out
    AUTHENTICATION only password/SASL data
    READY          everything else; the session decides what a message means there (COPY, discarding until Sync)
    CLOSED         nothing

A length is checked against its message's limit as soon as its five header bytes are here, before a body is kept. A
violation raises ProtocolViolation (08P01), after which the stream is out of step and must be closed.

Spec: PostgreSQL documentation, 55.2 "Message Flow".
"""

from __future__ import annotations

import enum
import struct
from functools import lru_cache
from typing import Literal

from shoal.catalog.errors import CharacterNotInRepertoire, ProtocolViolation, SqlError
from shoal.server.protocol import messages
from shoal.server.protocol.messages import FRONTEND, Layout, Message

MAX_STARTUP_BYTES = 10_000
_TLS_HANDSHAKE = 0x16
_LENGTH = struct.Struct(">i")


class State(enum.IntEnum):
    START, TLS, AUTHENTICATION, READY, CLOSED = range(5)


LEGAL: dict[State, dict[str, Layout]] = {
    State.AUTHENTICATION: {"p": FRONTEND["p"]},
    State.READY: {kind: row for kind, row in FRONTEND.items() if kind != "p"},
}
"""The states not named take no typed messages."""
_SHORT_BYTES = 256


@lru_cache(maxsize=1_024)
def _whole_messages(data: bytes) -> tuple[Message, ...]:
    """The messages that `data` consists of, none if it does not consist of whole and valid ones.

    Clients that run prepared statements send the same few bytes over and over, which need not be decoded each time.
    """
    found, start, legal = [], 0, LEGAL[State.READY]
    while start + 5 <= len(data):
        end = start + 1 + _LENGTH.unpack_from(data, start + 1)[0]
        layout = legal.get(chr(data[start]))
        if layout is None or not start + 5 <= end <= len(data):
            return ()
        try:
            found.append(layout.decode(data[start + 5:end]))
        except SqlError:
            return ()
        start = end
    return tuple(found) if start == len(data) else ()


class Connection:
    """One client's byte stream. `encrypted` says whether TLS already covers it."""

    def __init__(self, *, encrypted: bool = False) -> None:
        self.state = State.START
        self.encrypted = encrypted
        self.expected: Literal["SASL", "password"] = "SASL"
        """What a client is to authenticate with, for errors."""
        self._known: tuple[Message, ...] = ()
        """Decoded already; they come before what is in the buffer."""
        self._next_known = 0
        self._buffer: bytes | bytearray = b""
        self._consumed = 0
        self._asked: set[type] = set()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Adds bytes the client sent. Raises: ProtocolViolation where the state allows none (before TLS starts)."""
        if self.state is State.TLS:
            self._refuse_early_bytes()
        if not self._buffer:
            whole = bytes(data)
            if not self._known and len(whole) <= _SHORT_BYTES and self.state is State.READY:
                self._known, self._next_known = _whole_messages(whole), 0
                if self._known:
                    return
            self._buffer = whole
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    @property
    def pending_bytes(self) -> int:
        """Bytes fed but not yet handed out as messages."""
        return len(self._buffer) - self._consumed

    def receive(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """Adds bytes and gives every message that is complete by now."""
        self.feed(data)
        found = []
        while (message := self.next_message()) is not None:
            found.append(message)
        return found

    def next_message(self) -> Message | None:
        """The next complete message, or None until more bytes come. Raises: ProtocolViolation (08P01)."""
        if self._known:
            message = self._known[self._next_known]
            self._next_known += 1
            if self._next_known == len(self._known):
                self._known = ()
            return message
        buffer, start, state = self._buffer, self._consumed, self.state
        if not buffer:
            return None
        if state is State.START:
            return self._startup_packet()
        if state not in LEGAL:
            return None
        available = len(buffer) - start
        kind = chr(buffer[start])
        layout = LEGAL[state].get(kind)
        if layout is None and state is State.AUTHENTICATION:
            raise ProtocolViolation(f"expected {self.expected} response, got message type {buffer[start]}")
        if layout is None:
            raise ProtocolViolation(f"invalid frontend message type {buffer[start]}")
        if available < 5:
            return None
        length = _LENGTH.unpack_from(buffer, start + 1)[0]
        if length < 4 or length - 4 > layout.limit_bytes:
            raise ProtocolViolation("invalid message length")
        if available < length + 1:
            return None
        body = bytes(buffer[start + 5:start + 1 + length])
        self._consume(length + 1)
        try:
            return layout.decode(body)
        except CharacterNotInRepertoire as error:
            return messages.Undecodable(kind, error)

    def refuse_encryption(self) -> bytes:
        """The answer to SSLRequest or GSSENCRequest when it is not offered; the client goes on in the clear."""
        self.state = State.START
        return b"N"

    def accept_encryption(self) -> bytes:
        """The answer to SSLRequest after which the client starts TLS; what comes next goes to the TLS layer."""
        return b"S"

    def encryption_started(self) -> None:
        """TLS covers the stream from here on."""
        self.state, self.encrypted = State.START, True

    def take_buffered(self) -> bytes:
        """Hands back what was fed and not read: the start of a direct TLS handshake."""
        data = bytes(self._buffer[self._consumed:])
        self._buffer = b""
        self._consumed = 0
        return data

    def authenticated(self) -> None:
        """The client has proven who it is: the session's messages become legal."""
        self.state = State.READY

    def close(self) -> None:
        self.state = State.CLOSED
        self._known = ()
        self._buffer = b""
        self._consumed = 0

    @staticmethod
    def send(message: Message) -> bytes:
        """The wire bytes of a message."""
        return messages.encode(message)

    def _startup_packet(self) -> Message | None:
        buffer, start = self._buffer, self._consumed
        available = len(buffer) - start
        if available and buffer[start] == _TLS_HANDSHAKE and not self._asked and not self.encrypted:
            self.state = State.TLS
            return messages.DirectTls()
        if available < 4:
            return None
        length = _LENGTH.unpack_from(buffer, start)[0]
        if not 8 <= length <= MAX_STARTUP_BYTES:
            raise ProtocolViolation("invalid length of startup packet")
        if available < length:
            return None
        body = bytes(buffer[start + 4:start + length])
        self._consume(length)
        try:
            message = messages.decode_startup(body)
        except CharacterNotInRepertoire as error:
            raise ProtocolViolation(f"invalid startup packet: {error.message}") from None
        if isinstance(message, messages.SslRequest | messages.GssEncRequest):
            kind = type(message)
            if kind in self._asked or (kind is messages.SslRequest and self.encrypted):
                raise ProtocolViolation(f"unexpected second {kind.__name__}")
            self._asked.add(kind)
            # Nothing may follow until the answer is out: bytes that came along could be injected into the TLS session.
            if self.pending_bytes:
                self._refuse_early_bytes()
            self.state = State.TLS
        elif isinstance(message, messages.CancelRequest):
            self.state = State.CLOSED
        elif message.protocol >> 16 == 3:  # type: ignore[attr-defined]
            self.state = State.AUTHENTICATION
        else:
            self.state = State.CLOSED
        return message

    def _refuse_early_bytes(self) -> None:
        raise ProtocolViolation("received unencrypted data after SSL request",
                                detail="This could be either a client-software bug or evidence of an attempted "
                                       "man-in-the-middle attack.")

    def _consume(self, count: int) -> None:
        self._consumed += count
        # Compacting on every message would make a long pipelined buffer quadratic.
        if self._consumed == len(self._buffer):
            self._buffer = b""
            self._consumed = 0
        elif self._consumed > 65_536 and self._consumed * 2 > len(self._buffer):
            self._buffer = self._buffer[self._consumed:]
            self._consumed = 0
