"""The messages of the PostgreSQL protocol, as tables: one row per message says its type byte and its fields.

Hop 1 of a query's way (bytes -> message) and the last one (message -> bytes). A message is a frozen dataclass; the
tables `FRONTEND` and `BACKEND` give each one a `Layout`, from which both directions are derived, so that tests and the
conformance runner can play the client. Adding a message is one dataclass and one table row.

Pure: no sockets, no clock. Spec: PostgreSQL documentation, 55.7 "Message Formats"; protocol 3.2 for longer cancel keys.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields
from typing import Any

from shoal.catalog.errors import CharacterNotInRepertoire, ProtocolViolation

PROTOCOL_3_0, PROTOCOL_3_2 = 3 << 16, (3 << 16) | 2
SSL_REQUEST, GSSENC_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
_INT16, _INT32, _UINT32 = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">I")


class Reader:
    """A cursor over one message's body. Every method raises ProtocolViolation (08P01) when the body is too short."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int) -> bytes:
        start, end = self.position, self.position + count
        if count < 0 or end > len(self.data):
            raise ProtocolViolation("insufficient data left in message")
        self.position = end
        return self.data[start:end]

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)

    def int16(self) -> int:
        return int(_INT16.unpack(self.take(2))[0])

    def int32(self) -> int:
        return int(_INT32.unpack(self.take(4))[0])

    def uint32(self) -> int:
        return int(_UINT32.unpack(self.take(4))[0])

    def cstring(self) -> str:
        end = self.data.find(b"\0", self.position)
        if end < 0:
            raise ProtocolViolation("invalid string in message")
        raw = self.data[self.position:end]
        self.position = end + 1
        return decode_text(raw)

    def at_end(self) -> bool:
        return self.position == len(self.data)

    def expect_end(self) -> None:
        if not self.at_end():
            raise ProtocolViolation("invalid message format")


def decode_text(raw: bytes) -> str:
    """`raw` as UTF-8. Raises: CharacterNotInRepertoire (22021), naming the bytes of the first bad character.

    As in PostgreSQL these are as many as its first byte announces.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        lead = raw[error.start]
        announced = 4 if lead & 0xF8 == 0xF0 else 3 if lead & 0xF0 == 0xE0 else 2 if lead & 0xE0 == 0xC0 else 1
        bad = " ".join(f"0x{byte:02x}" for byte in raw[error.start:error.start + announced])
        raise CharacterNotInRepertoire(f'invalid byte sequence for encoding "UTF8": {bad}') from None


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of field is read and written."""

    read: Callable[[Reader], Any]
    write: Callable[[Any], bytes]


def _cstring(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape").replace(b"\0", b"") + b"\0"


def _counted(item: Codec, count: struct.Struct = _INT16) -> Codec:
    """A count, then that many items; a negative count is a violation."""
    def read(reader: Reader) -> tuple[Any, ...]:
        number = reader.int16() if count is _INT16 else reader.int32()
        if number < 0:
            raise ProtocolViolation("invalid message format")
        return tuple(item.read(reader) for _ in range(number))

    def write(value: tuple[Any, ...]) -> bytes:
        return count.pack(len(value)) + b"".join(map(item.write, value))

    return Codec(read, write)


def _read_value(reader: Reader) -> bytes | None:
    length = reader.int32()
    if length == -1:
        return None
    if length < -1:
        raise ProtocolViolation("invalid message format")
    return reader.take(length)


def _until_empty(reader: Reader) -> tuple[str, ...]:
    """Strings up to an empty one."""
    found = []
    while text := reader.cstring():
        found.append(text)
    return tuple(found)


def _read_error_fields(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    while (code := reader.take(1)) != b"\0":
        found[code.decode("latin-1")] = reader.cstring()
    return found


def _write_error_fields(value: dict[str, str]) -> bytes:
    return b"".join(code.encode() + _cstring(text) for code, text in value.items()) + b"\0"


BYTE = Codec(lambda r: r.take(1).decode("latin-1"), lambda v: v.encode("latin-1"))
INT8 = Codec(lambda r: r.take(1)[0], lambda v: bytes((v,)))
INT16, INT32 = Codec(Reader.int16, _INT16.pack), Codec(Reader.int32, _INT32.pack)
UINT32 = Codec(Reader.uint32, _UINT32.pack)
CSTRING = Codec(Reader.cstring, _cstring)
REST = Codec(Reader.rest, bytes)
VALUE = Codec(_read_value, lambda v: b"\xff\xff\xff\xff" if v is None else _INT32.pack(len(v)) + v)
INT16S, OIDS, VALUES = _counted(INT16), _counted(UINT32), _counted(VALUE)
STRINGS = Codec(_until_empty, lambda v: b"".join(map(_cstring, v)) + b"\0")
COUNTED_STRINGS = _counted(CSTRING, _INT32)
ERROR_FIELDS = Codec(_read_error_fields, _write_error_fields)


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages."""


# --- from the client, before the session has started (no type byte) --------------------------------------------------


@dataclass(frozen=True, slots=True)
class SslRequest(Message): ...


@dataclass(frozen=True, slots=True)
class GssEncRequest(Message): ...


@dataclass(frozen=True, slots=True)
class DirectTls(Message):
    """Not a packet: the first byte was a TLS handshake record's, so TLS starts at once (ALPN must be `postgresql`)."""


@dataclass(frozen=True, slots=True)
class CancelRequest(Message):
    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class StartupMessage(Message):
    """`protocol` is major << 16 | minor as the client asked for it."""

    protocol: int
    parameters: dict[str, str]


# --- from the client -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bind(Message):
    portal: str
    statement: str
    parameter_formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Close(Message):
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class CopyData(Message):
    data: bytes


@dataclass(frozen=True, slots=True)
class CopyDone(Message): ...


@dataclass(frozen=True, slots=True)
class CopyFail(Message):
    reason: str


@dataclass(frozen=True, slots=True)
class Describe(Message):
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Execute(Message):
    portal: str
    max_rows: int


@dataclass(frozen=True, slots=True)
class Flush(Message): ...


@dataclass(frozen=True, slots=True)
class FunctionCall(Message):
    oid: int
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_format: int


@dataclass(frozen=True, slots=True)
class Parse(Message):
    statement: str
    sql: str
    parameter_oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AuthenticationData(Message):
    """PasswordMessage, SASLInitialResponse or SASLResponse: which one, the authentication exchange knows."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Query(Message):
    sql: str


@dataclass(frozen=True, slots=True)
class Sync(Message): ...


@dataclass(frozen=True, slots=True)
class Terminate(Message): ...


@dataclass(frozen=True, slots=True)
class Undecodable(Message):
    """Not a packet: a well-framed message whose text is not valid UTF-8. It fails like the message it stands for."""

    type: str
    error: CharacterNotInRepertoire


# --- from the server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authentication(Message):
    """R: `code` 0 is Ok, 3 cleartext password, 10 SASL (mechanisms), 11 SASL continue, 12 SASL final."""

    code: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class BackendKeyData(Message):
    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class BindComplete(Message): ...


@dataclass(frozen=True, slots=True)
class CloseComplete(Message): ...


@dataclass(frozen=True, slots=True)
class CommandComplete(Message):
    tag: str


@dataclass(frozen=True, slots=True)
class CopyInResponse(Message):
    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CopyOutResponse(Message):
    format: int
    column_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DataRow(Message):
    """One row; the server itself writes rows column-wise instead (exec/encoding/datarow.py)."""

    values: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(Message): ...


@dataclass(frozen=True, slots=True)
class ErrorResponse(Message):
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionCallResponse(Message):
    values: tuple[bytes | None]


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion(Message):
    protocol: int
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoData(Message): ...


@dataclass(frozen=True, slots=True)
class NoticeResponse(Message):
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotificationResponse(Message):
    process_id: int
    channel: str
    payload: str


@dataclass(frozen=True, slots=True)
class ParameterDescription(Message):
    oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ParameterStatus(Message):
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ParseComplete(Message): ...


@dataclass(frozen=True, slots=True)
class PortalSuspended(Message): ...


@dataclass(frozen=True, slots=True)
class ReadyForQuery(Message):
    status: str


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """One column of a RowDescription; `table_oid` and `attribute` are 0 for expressions."""

    name: str
    table_oid: int
    attribute: int
    type_oid: int
    type_size: int
    type_modifier: int
    format: int = 0


@dataclass(frozen=True, slots=True)
class RowDescription(Message):
    columns: tuple[ColumnDescription, ...]


_COLUMN_FIELDS = (CSTRING, UINT32, INT16, UINT32, INT16, INT32, INT16)
COLUMNS = _counted(Codec(lambda r: ColumnDescription(*(codec.read(r) for codec in _COLUMN_FIELDS)),
                         lambda v: b"".join(codec.write(item) for codec, item in zip(_COLUMN_FIELDS, astuple(v)))))


@dataclass(frozen=True, slots=True)
class Layout:
    """One row of a message table. `limit_bytes` is the longest body accepted from a client."""

    type: str
    message: Callable[..., Message]
    codecs: tuple[Codec, ...] = ()
    limit_bytes: int = 10_000

    def decode(self, body: bytes) -> Message:
        """Raises: ProtocolViolation (08P01), CharacterNotInRepertoire (22021)."""
        reader = Reader(body)
        message = self.message(*[codec.read(reader) for codec in self.codecs])
        reader.expect_end()
        return message


LARGE_BYTES = 0x3FFFFFFF
"""PostgreSQL's limit for messages that carry text or data: 1 GiB less one."""

FRONTEND: dict[str, Layout] = {row.type: row for row in (
    Layout("B", Bind, (CSTRING, CSTRING, INT16S, VALUES, INT16S), LARGE_BYTES),
    Layout("C", Close, (BYTE, CSTRING)),
    Layout("D", Describe, (BYTE, CSTRING)),
    Layout("E", Execute, (CSTRING, INT32)),
    Layout("F", FunctionCall, (UINT32, INT16S, VALUES, INT16), LARGE_BYTES),
    Layout("H", Flush),
    Layout("P", Parse, (CSTRING, CSTRING, OIDS), LARGE_BYTES),
    Layout("Q", Query, (CSTRING,), LARGE_BYTES),
    Layout("S", Sync),
    Layout("X", Terminate),
    Layout("c", CopyDone),
    Layout("d", CopyData, (REST,), LARGE_BYTES),
    Layout("f", CopyFail, (CSTRING,)),
    Layout("p", AuthenticationData, (REST,), 65_535),
)}

BACKEND: dict[str, Layout] = {row.type: row for row in (
    Layout("1", ParseComplete),
    Layout("2", BindComplete),
    Layout("3", CloseComplete),
    Layout("A", NotificationResponse, (INT32, CSTRING, CSTRING)),
    Layout("C", CommandComplete, (CSTRING,)),
    Layout("D", DataRow, (VALUES,)),
    Layout("E", ErrorResponse, (ERROR_FIELDS,)),
    Layout("G", CopyInResponse, (INT8, INT16S)),
    Layout("H", CopyOutResponse, (INT8, INT16S)),
    Layout("I", EmptyQueryResponse),
    Layout("K", BackendKeyData, (INT32, REST)),
    Layout("N", NoticeResponse, (ERROR_FIELDS,)),
    Layout("R", Authentication, (INT32, REST)),
    Layout("S", ParameterStatus, (CSTRING, CSTRING)),
    Layout("T", RowDescription, (COLUMNS,)),
    Layout("V", FunctionCallResponse, (Codec(lambda r: (_read_value(r),), lambda v: VALUE.write(v[0])),)),
    Layout("Z", ReadyForQuery, (BYTE,)),
    Layout("c", CopyDone),
    Layout("d", CopyData, (REST,)),
    Layout("n", NoData),
    Layout("s", PortalSuspended),
    Layout("t", ParameterDescription, (OIDS,)),
    Layout("v", NegotiateProtocolVersion, (INT32, COUNTED_STRINGS)),
)}

_FIELD_NAMES: dict[type, tuple[str, ...]] = {}
_ENCODED: dict[type, bytes] = {}
"""Messages without fields, in wire form."""
_BY_CLASS: dict[Any, Layout] = {row.message: row for table in (BACKEND, FRONTEND) for row in table.values()}


def type_of(message: Message) -> str:
    """The type byte of a message of either side."""
    return message.type if isinstance(message, Undecodable) else _BY_CLASS[type(message)].type


def encode(message: Message) -> bytes:
    """The wire bytes of any message, of either side."""
    if isinstance(message, StartupMessage | SslRequest | GssEncRequest | CancelRequest):
        return _encode_startup(message)
    kind = type(message)
    if (known := _ENCODED.get(kind)) is not None:
        return known
    layout = _BY_CLASS[kind]
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(item.name for item in fields(message))
        if not names:
            _ENCODED[kind] = layout.type.encode() + _INT32.pack(4)
    body = b"".join(codec.write(getattr(message, name)) for codec, name in zip(layout.codecs, names))
    return layout.type.encode() + _INT32.pack(len(body) + 4) + body


def _encode_startup(message: Message) -> bytes:
    match message:
        case StartupMessage(protocol, parameters):
            pairs = [item for pair in parameters.items() for item in pair]
            body = _INT32.pack(protocol) + STRINGS.write(pairs)
        case CancelRequest(process_id, secret):
            body = _INT32.pack(CANCEL_REQUEST) + _INT32.pack(process_id) + secret
        case SslRequest():
            body = _INT32.pack(SSL_REQUEST)
        case _:
            body = _INT32.pack(GSSENC_REQUEST)
    return _INT32.pack(len(body) + 4) + body


def decode_startup(body: bytes) -> Message:
    """The untyped packet that opens a connection (without its length).

    Raises: ProtocolViolation (08P01); FeatureNotSupported is left to the session, which knows what to negotiate.
    """
    reader = Reader(body)
    code = reader.int32()
    if code == SSL_REQUEST:
        reader.expect_end()
        return SslRequest()
    if code == GSSENC_REQUEST:
        reader.expect_end()
        return GssEncRequest()
    if code == CANCEL_REQUEST:
        process_id, secret = reader.int32(), reader.rest()
        if not 4 <= len(secret) <= 256:
            raise ProtocolViolation("invalid length of cancel request packet")
        return CancelRequest(process_id, secret)
    parameters: dict[str, str] = {}
    if code >> 16 == 3:
        layout = ProtocolViolation("invalid startup packet layout: expected terminator as last byte")
        if not body.endswith(b"\0"):
            raise layout
        while not reader.at_end() and (name := reader.cstring()):
            if reader.at_end():
                raise layout
            parameters[name] = reader.cstring()
        if not reader.at_end() or not body.endswith(b"\0\0" if parameters else b"\0"):
            raise layout
    return StartupMessage(code, parameters)
