"""Bind's parameter values, text or binary -> physical values (exec/plan/expr.py). Hop 2 of a query's way.

Text goes through the same input functions as SQL's own literals. Binary values are taken apart here, one small
function per type in `_BINARY`.

Spec: the typreceive functions of PostgreSQL 15.
"""

from __future__ import annotations

import ipaddress
import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from shoal.catalog.errors import (
    FeatureNotSupported,
    InvalidBinaryRepresentation,
    NumericOutOfRange,
    ProtocolViolation,
    SqlError,
)
from shoal.catalog.types import NAMES_BY_OID, OID_LIKE, SqlType
from shoal.exec.evaluator import Names
from shoal.exec.functions.text_input import parse_value
from shoal.exec.plan.fragment import TaskSettings
from shoal.server.binary import DAYS_TO_2000, MICROSECONDS_TO_2000
from shoal.server.protocol.messages import decode_text


def decode(values: Sequence[bytes | None], formats: Sequence[int], types: Sequence[SqlType],
           settings: TaskSettings, names: Names | None = None) -> list[Any]:
    """The physical values. `formats` is as Bind gives it: none (all text), one for all, or one each. `names` finds
    what reg* types name.

    Raises: ProtocolViolation (08P01) for wrong counts, 22P03 for malformed binary, 22P02 and others for text.
    """
    if len(formats) > 1 and len(formats) != len(values):
        raise ProtocolViolation(f"bind message has {len(formats)} parameter formats but {len(values)} parameters")
    found: list[Any] = []
    for index, (value, sql_type) in enumerate(zip(values, types, strict=True)):
        wire = 0 if not formats else formats[0] if len(formats) == 1 else formats[index]
        if wire not in (0, 1):
            raise ProtocolViolation(f"unsupported format code: {wire}")
        if value is None:
            found.append(None)
        elif wire == 1:
            found.append(from_binary(value, sql_type, settings, index + 1))
        else:
            found.append(parse_value(_checked(decode_text(value)), sql_type, settings, names))
    return found


def from_binary(value: bytes, sql_type: SqlType, settings: TaskSettings, number: int = 1) -> Any:
    """One binary value. Raises: InvalidBinaryRepresentation (22P03), FeatureNotSupported (0A000)."""
    try:
        if sql_type.name == "numeric":
            return parse_value(numeric_text(value), sql_type, settings)
        if sql_type.is_array:
            return _array(value, sql_type, settings)
        if sql_type.name in OID_LIKE:
            return _unpack(">I", value)
        convert = _BINARY.get(sql_type.name)
    except struct.error:
        raise InvalidBinaryRepresentation(f"incorrect binary data format in bind parameter {number}") from None
    if convert is None:
        raise FeatureNotSupported(f"binary input of type {sql_type.sql} is not supported")
    try:
        return convert(value)
    except SqlError:
        raise
    except (struct.error, ValueError, IndexError):
        raise InvalidBinaryRepresentation(f"incorrect binary data format in bind parameter {number}") from None


def _checked(text: str) -> str:
    if "\0" in text:
        raise ProtocolViolation('invalid byte sequence for encoding "UTF8": 0x00')
    return text


def _unpack(form: str, value: bytes) -> Any:
    if len(value) < struct.calcsize(form):
        raise ProtocolViolation("insufficient data left in message")
    return struct.unpack(form, value)[0]


def _shifted(form: str, shift: int) -> Callable[[bytes], int]:
    """A day or microsecond count since 2000 as one since 1970; infinities stay."""
    limit = 1 << (8 * struct.calcsize(form) - 1)

    def convert(value: bytes) -> int:
        count = int(_unpack(form, value))
        if count in (-limit, limit - 1):
            return count
        if not -limit <= count + shift < limit:
            raise NumericOutOfRange("timestamp out of range")
        return count + shift

    return convert


def _interval(value: bytes) -> list[int]:
    microseconds, days, months = struct.unpack(">qii", value)
    return [months, days, microseconds]


def _timetz(value: bytes) -> str:
    micros, west = struct.unpack(">qi", value)
    seconds, fraction = divmod(micros, 1_000_000)
    sign, zone = ("-", west) if west > 0 else ("+", -west)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    text += f".{fraction:06d}".rstrip("0") if fraction else ""
    text += f"{sign}{zone // 3600:02d}"
    return text + (f":{zone // 60 % 60:02d}" if zone % 3600 else "")


def _jsonb(value: bytes) -> str:
    if value[:1] != b"\x01":
        raise InvalidBinaryRepresentation(f"unsupported jsonb version number {value[0] if value else 0}")
    return _checked(decode_text(value[1:]))


def _inet(value: bytes) -> str:
    _family, bits, _cidr, length = value[:4]
    address = ipaddress.ip_address(value[4:4 + length])
    return str(address) if bits == address.max_prefixlen else f"{address}/{bits}"


def _text(value: bytes) -> str:
    return _checked(decode_text(value))


_BINARY: dict[str, Callable[[bytes], Any]] = {
    "bool": lambda v: bool(_unpack(">B", v)), "int2": lambda v: _unpack(">h", v), "int4": lambda v: _unpack(">i", v),
    "int8": lambda v: _unpack(">q", v), "float4": lambda v: _unpack(">f", v), "float8": lambda v: _unpack(">d", v),
    "date": _shifted(">i", DAYS_TO_2000), "time": lambda v: _unpack(">q", v),
    "timestamp": _shifted(">q", MICROSECONDS_TO_2000), "timestamptz": _shifted(">q", MICROSECONDS_TO_2000),
    "interval": _interval, "timetz": _timetz, "uuid": lambda v: str(uuid.UUID(bytes=v)), "bytea": bytes.hex,
    "json": _text, "jsonb": _jsonb, "inet": _inet,
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "char", "unknown", "xml"), _text),
}


def numeric_text(value: bytes) -> str:
    """PostgreSQL's binary numeric as decimal text. Raises: InvalidBinaryRepresentation (22P03)."""
    if len(value) < 8:
        raise InvalidBinaryRepresentation("insufficient data left in message")
    count, weight, sign, scale = struct.unpack(">HhHH", value[:8])
    special = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign)
    if special is not None:
        return special
    if sign not in (0, 0x4000):
        raise InvalidBinaryRepresentation('invalid sign in external "numeric" value')
    if len(value) != 8 + 2 * count or scale > 16_383:
        raise InvalidBinaryRepresentation('invalid length in external "numeric" value')
    digits = struct.unpack(f">{count}H", value[8:])
    if any(digit > 9999 for digit in digits):
        raise InvalidBinaryRepresentation('invalid digit in external "numeric" value')

    def group(position: int) -> str:
        return f"{digits[weight - position]:04d}" if 0 <= weight - position < count else "0000"

    whole = "".join(group(position) for position in range(weight, -1, -1)).lstrip("0") or "0"
    fraction = "".join(group(-1 - position) for position in range((scale + 3) // 4))[:scale]
    return ("-" if sign else "") + whole + (f".{fraction}" if scale else "")


def _array(value: bytes, sql_type: SqlType, settings: TaskSettings) -> list[Any]:
    dimensions, _flags, oid = struct.unpack_from(">iiI", value)
    if dimensions == 0:
        return []
    if dimensions != 1:
        raise FeatureNotSupported("multidimensional arrays are not supported")
    element = sql_type.element
    sent = SqlType(NAMES_BY_OID.get(oid, element.name))
    if sent.name != element.name and {sent.name, element.name} - {"text", "varchar", "bpchar", "name", "unknown"}:
        raise InvalidBinaryRepresentation(f"binary data has array element type {oid} ({sent.sql}) instead of expected "
                                          f"{element.oid} ({element.sql})")
    count, _lower = struct.unpack_from(">ii", value, 12)
    position = 20
    found: list[Any] = []
    if count < 0 or count * 4 > len(value) - position:
        raise InvalidBinaryRepresentation("insufficient data left in message")
    for _ in range(count):
        (length,) = struct.unpack_from(">i", value, position)
        position += 4
        if length == -1:
            found.append(None)
            continue
        if length < 0 or position + length > len(value):
            raise InvalidBinaryRepresentation("insufficient data left in message")
        found.append(from_binary(value[position:position + length], element, settings))
        position += length
    if position != len(value):
        raise InvalidBinaryRepresentation("incorrect binary data format")
    return found
