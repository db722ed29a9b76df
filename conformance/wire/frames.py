"""Messages of scripts as bytes, and what comes back as lines of text in which only what must differ is left out.

What is left out of an answer, and nothing else:

    BackendKeyData             the key itself (its length is kept)
    NotificationResponse       the process id: the script's letter for that session instead
    RowDescription             the table's OID (only whether there is one); types with OIDs from 16384 are `user`
    ParameterDescription       likewise
    ErrorResponse, Notice      file, line and routine in the source (F, L, R); hints that guess at what was meant, which
                               only Shoal gives
    ParameterStatus            the value of server_version; a run of them is sorted, since their order means nothing
    Authentication             the data of SASL messages 11 and 12 (nonces, salts, proofs)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from conformance.wire.script import Operation, ScriptError, Value, quote
from shoal.server.protocol import messages as m

FIRST_USER_OID = 16384
_ERROR_FIELDS = {"D": "detail", "H": "hint", "P": "position", "p": "internal_position", "q": "internal_query",
                 "W": "where", "s": "schema", "t": "table", "c": "column", "d": "datatype", "n": "constraint"}
_GUESSES = ("Did you mean ", "There are: ")
_FORMATS = {0: "text", 1: "binary"}


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ScriptError(f"a string was expected, not {value!r}")
    return value


def _bytes(value: Value) -> bytes:
    if isinstance(value, bytes):
        return value
    return _text(value).encode()


def _integers(value: Value) -> tuple[int, ...]:
    return tuple(int(_text(item)) for item in value) if isinstance(value, list) else ()


def _values(value: Value) -> tuple[bytes | None, ...]:
    return tuple(None if item is None else _bytes(item) for item in value) if isinstance(value, list) else ()


def _function_call(operation: Operation) -> bytes:
    options = operation.options
    return m.encode(m.FunctionCall(int(_text(operation.arguments[0])), _integers(options.get("formats")),
                                   _values(operation.arguments[1]), int(_text(options.get("result", "0")))))


def _startup(operation: Operation) -> bytes:
    version = _text(operation.arguments[0]) if operation.arguments else "3.0"
    major, minor = map(int, version.split("."))
    return m.encode(m.StartupMessage(major << 16 | minor, {key: _text(v) for key, v in operation.options.items()}))


def encode(operation: Operation) -> bytes:
    """The bytes of one message of a script. Raises: ScriptError."""
    arguments, options = operation.arguments, operation.options

    def argument(index: int, default: str = "") -> str:
        return _text(arguments[index]) if index < len(arguments) else default

    match operation.name:
        case "Raw":
            return b"".join(map(_bytes, arguments))
        case "Frame":
            body = b"".join(map(_bytes, arguments[1:]))
            length = int(_text(options.get("length", str(len(body) + 4))))
            return argument(0).encode() + struct.pack(">i", length) + body
        case "Packet":  # without a type byte
            body = b"".join(map(_bytes, arguments))
            return struct.pack(">i", int(_text(options.get("length", str(len(body) + 4))))) + body
        case "Startup":
            return _startup(operation)
        case "SSLRequest":
            return m.encode(m.SslRequest())
        case "GSSENCRequest":
            return m.encode(m.GssEncRequest())
        case "Query":
            return m.encode(m.Query(argument(0)))
        case "Parse":
            return m.encode(m.Parse(_text(options.get("name", "")), argument(0), _integers(options.get("types"))))
        case "Bind":
            return m.encode(m.Bind(_text(options.get("portal", "")), _text(options.get("statement", "")),
                                   _integers(options.get("formats")), _values(arguments[0] if arguments else None),
                                   _integers(options.get("results"))))
        case "Describe":
            return m.encode(m.Describe(argument(0)[0].upper(), argument(1)))
        case "Close":
            return m.encode(m.Close(argument(0)[0].upper(), argument(1)))
        case "Execute":
            return m.encode(m.Execute(argument(0), int(_text(options.get("rows", "0")))))
        case "CopyData":
            return m.encode(m.CopyData(b"".join(map(_bytes, arguments))))
        case "CopyFail":
            return m.encode(m.CopyFail(argument(0)))
        case "Password":
            return m.encode(m.AuthenticationData(_bytes(arguments[0]) + b"\0"))
        case "Sasl":
            return m.encode(m.AuthenticationData(b"".join(map(_bytes, arguments))))
        case "FunctionCall":
            return _function_call(operation)
        case "CopyDone" | "Flush" | "Sync" | "Terminate":
            return m.encode(getattr(m, operation.name)())
    raise ScriptError(f"there is no message {operation.name}")


def show_bytes(data: bytes | None) -> str:
    """Text where it is text, else hexadecimal digits."""
    if data is None:
        return "null"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return f'x"{data.hex()}"'
    return quote(text) if all(c.isprintable() or c in "\n\t" for c in text) else f'x"{data.hex()}"'


def _oid(oid: int) -> str:
    return "user" if oid >= FIRST_USER_OID else str(oid)


def _fields(kind: str, fields: Mapping[str, str]) -> str:
    if fields.get("H", "").startswith(_GUESSES):
        fields = {code: text for code, text in fields.items() if code != "H"}
    shown = f"{kind} {fields.get('S', '?')} {fields.get('C', '?')} {quote(fields.get('M', ''))}"
    if fields.get("V") != fields.get("S"):
        shown += f" nonlocalized={fields.get('V')}"
    return shown + "".join(f" {name}={quote(fields[code])}" for code, name in _ERROR_FIELDS.items() if code in fields)


def show(message: m.Message, sessions: Mapping[int, str]) -> str:
    """One message from a server as a line; `sessions` are the scripts' letters by process id."""
    match message:
        case m.BackendKeyData(_, secret):
            return f"BackendKeyData {len(secret)}"
        case m.ErrorResponse(fields):
            return _fields("ErrorResponse", fields)
        case m.NoticeResponse(fields):
            return _fields("NoticeResponse", fields)
        case m.NotificationResponse(process_id, channel, payload):
            return f"NotificationResponse {sessions.get(process_id, '?')} {quote(channel)} {quote(payload)}"
        case m.ParameterStatus(name, value):
            return f"ParameterStatus {name}={'(version)' if name == 'server_version' else quote(value)}"
        case m.RowDescription(columns):
            return " ".join(["RowDescription", *(
                f"[{quote(c.name)} {_oid(c.type_oid)} {c.type_size} {c.type_modifier} {_FORMATS.get(c.format, c.format)}"
                + (f" table.{c.attribute}" if c.table_oid else "") + "]" for c in columns)])
        case m.DataRow(values) | m.FunctionCallResponse(values):
            return " ".join([type(message).__name__, *map(show_bytes, values)])
        case m.ParameterDescription(oids):
            return " ".join(["ParameterDescription", *map(_oid, oids)])
        case m.CommandComplete(tag):
            return f"CommandComplete {quote(tag)}"
        case m.CopyInResponse(wire, formats) | m.CopyOutResponse(wire, formats):
            return f"{type(message).__name__} {_FORMATS[wire]} {' '.join(map(str, formats))}"
        case m.CopyData(data):
            return f"CopyData {show_bytes(data)}"
        case m.ReadyForQuery(status):
            return f"ReadyForQuery {status}"
        case m.Authentication(10, data):
            return f"Authentication 10 {' '.join(data.decode().split(chr(0))).strip()}"
        case m.Authentication(code, _):
            return f"Authentication {code}"
        case m.NegotiateProtocolVersion(version, options):
            return f"NegotiateProtocolVersion {version >> 16}.{version & 0xFFFF} {' '.join(options)}".rstrip()
    return type(message).__name__


def in_order(lines: list[str]) -> list[str]:
    """Runs of ParameterStatus sorted: their order means nothing."""
    found: list[str] = []
    run: list[str] = []
    for line in lines:
        if line.startswith("ParameterStatus"):
            run.append(line)
            continue
        found += [*sorted(run), line]
        run = []
    return found + sorted(run)
