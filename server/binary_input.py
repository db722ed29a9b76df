"""Values in PostgreSQL's binary format -> physical values (exec/plan/expr.py): Bind's parameters and COPY's fields.

One small function per type in `_BINARY`. A value that ends too early is 08P01, one with something left over 22P03, as
PostgreSQL's message functions have it.

Spec: the typreceive functions of PostgreSQL 15.
"""

from __future__ import annotations

import ipaddress
import struct
import uuid
from collections.abc import Callable
from typing import Any

from shoal.catalog.errors import (
    CharacterNotInRepertoire,
    DatatypeMismatch,
    DatetimeOverflow,
    FeatureNotSupported,
    InvalidBinaryRepresentation,
    InvalidTimeZoneDisplacement,
    NumericOutOfRange,
    ProgramLimitExceeded,
    ProtocolViolation,
)
from shoal.catalog.types import MULTIRANGES, NAMES_BY_OID, OID_LIKE, RANGES, ShapedArray, SqlType
from shoal.exec.encoding.binary import DAYS_TO_2000, MICROSECONDS_TO_2000
from shoal.exec.functions.text_input import char_form, parse_value
from shoal.exec.functions.text_output import offset_text, time_text
from shoal.exec.kernels import tids
from shoal.exec.kernels.shapes import physical_shape
from shoal.exec.plan.fragment import TaskSettings
from shoal.server.protocol.messages import decode_text

_MOST_DIMENSIONS, _MOST_ITEMS = 6, 134_217_727
_DAY_US = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -2_451_545, 2_145_031_948
"""4714-11-24 BC and 5874897-12-31, counted from 2000-01-01."""


def from_binary(value: bytes, sql_type: SqlType, settings: TaskSettings, number: int = 1) -> Any:
    """One value, bind parameter `number`. Raises: ProtocolViolation (08P01), InvalidBinaryRepresentation (22P03), and
    what the type's input raises; FeatureNotSupported (0A000) for types without binary input."""
    plain = _PLAIN.get(sql_type.name)
    if plain is not None and len(value) == plain.size:
        return plain.unpack(value)[0]
    if sql_type.name in _TEXTS:
        return _checked(value)
    taken = _Taken(value)
    found = _received(taken, sql_type, settings)
    if taken.left:
        raise InvalidBinaryRepresentation(f"incorrect binary data format in bind parameter {number}")
    return found


_PLAIN = {name: struct.Struct(form) for name, form in (
    ("int2", ">h"), ("int4", ">i"), ("int8", ">q"), ("float4", ">f"), ("float8", ">d"), ("oid", ">I"))}
"""Types whose values are what struct makes of them."""
_TEXTS = frozenset({"text", "varchar", "bpchar", "unknown"})


class _Taken:
    """The bytes of one value, taken from the front."""

    def __init__(self, value: bytes) -> None:
        self._value, self._position = value, 0

    @property
    def left(self) -> int:
        return len(self._value) - self._position

    def take(self, count: int) -> bytes:
        """Raises: ProtocolViolation (08P01) where fewer are left."""
        if self.left < count:
            raise ProtocolViolation("insufficient data left in message")
        self._position += count
        return self._value[self._position - count:self._position]

    def byte(self) -> int:
        if not self.left:
            raise ProtocolViolation("no data left in message")
        return self.take(1)[0]

    def rest(self) -> bytes:
        return self.take(self.left)

    def unpack(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]


def _received(taken: _Taken, sql_type: SqlType, settings: TaskSettings) -> Any:
    name = sql_type.name
    if name == "numeric":
        return parse_value(_numeric(taken), sql_type, settings)
    if sql_type.is_array:
        return _array(taken, sql_type.element, settings)
    if name in ("int2vector", "oidvector"):
        return _vector(taken, name, settings)
    if name in OID_LIKE:
        return taken.unpack(">I")
    if name in RANGES:
        return _range(taken, name, settings)
    if name in MULTIRANGES:
        parts = [_range(_Taken(taken.take(taken.unpack(">I"))), MULTIRANGES[name], settings)
                 for _ in range(taken.unpack(">I"))]
        return parse_value("{" + ",".join(parts) + "}", sql_type, settings)
    if name == "enum":
        return parse_value(_text(taken), sql_type, settings)
    if name == "record" and sql_type.user is not None:
        raise FeatureNotSupported(f"binary input of composite type {sql_type.sql} is not supported")
    if name == "record":
        raise FeatureNotSupported("input of anonymous composite types is not implemented")
    convert = _BINARY.get(name)
    if convert is None:
        raise FeatureNotSupported(f"binary input of type {sql_type.sql} is not supported")
    found = convert(taken)
    return parse_value(found, sql_type, settings) if name in _CHECKED_AS_TEXT else found


_CHECKED_AS_TEXT = frozenset({"json", "jsonb", "jsonpath", "name", "inet", "cidr"})


def _number(form: str) -> Callable[[_Taken], Any]:
    return lambda taken: taken.unpack(form)


def _date(taken: _Taken) -> int:
    days = taken.unpack(">i")
    if days in (-1 << 31, (1 << 31) - 1):
        return days
    if not _FIRST_DAY <= days <= _LAST_DAY:
        raise DatetimeOverflow("date out of range")
    return days + DAYS_TO_2000


def _time(taken: _Taken) -> int:
    us = taken.unpack(">q")
    if not 0 <= us <= _DAY_US:
        raise DatetimeOverflow("time out of range")
    return us


def _timetz(taken: _Taken) -> str:
    us, west = _time(taken), taken.unpack(">i")
    if not -57_600 < west < 57_600:
        raise InvalidTimeZoneDisplacement("time zone displacement out of range")
    return time_text(us) + offset_text(-west)


def _timestamp(taken: _Taken) -> int:
    us = taken.unpack(">q")
    if us in (-1 << 63, (1 << 63) - 1):
        return us
    if us < _FIRST_DAY * _DAY_US or us + MICROSECONDS_TO_2000 >= (1 << 63) - 1:
        raise DatetimeOverflow("timestamp out of range")
    return us + MICROSECONDS_TO_2000


def _interval(taken: _Taken) -> list[int]:
    us, days, months = taken.unpack(">q"), taken.unpack(">i"), taken.unpack(">i")
    return [months, days, us]


def _checked(value: bytes) -> str:
    text = decode_text(value)
    if "\0" in text:
        raise CharacterNotInRepertoire('invalid byte sequence for encoding "UTF8": 0x00')
    return text


def _text(taken: _Taken) -> str:
    return _checked(taken.rest())


def _jsonb(taken: _Taken) -> str:
    version = taken.take(1)[0]
    if version != 1:
        raise InvalidBinaryRepresentation(f"unsupported jsonb version number {version}")
    return _text(taken)


def _tid(taken: _Taken) -> int:
    return tids.made(taken.unpack(">I"), taken.unpack(">H"))


def _inet(taken: _Taken) -> str:
    family, bits, _, size = taken.byte(), taken.byte(), taken.byte(), taken.byte()
    most = {2: 32, 3: 128}.get(family)
    if most is None:
        raise InvalidBinaryRepresentation('invalid address family in external "inet" value')
    if bits > most:
        raise InvalidBinaryRepresentation('invalid bits in external "inet" value')
    if size * 8 != most:
        raise InvalidBinaryRepresentation('invalid length in external "inet" value')
    return f"{ipaddress.ip_address(bytes(taken.byte() for _ in range(size)))}/{bits}"


def _hardware(size: int) -> Callable[[_Taken], str]:
    return lambda taken: ":".join(f"{byte:02x}" for byte in taken.take(size))


_EMPTY, _LOWER_INC, _UPPER_INC, _LOWER_INF, _UPPER_INF = 1, 2, 4, 8, 16


def _range(taken: _Taken, kind: str, settings: TaskSettings) -> str:
    """A range's flags and bounds (range_recv) as the text that batches hold."""
    from shoal.exec.kernels import ranges
    flags, element = taken.byte(), SqlType(RANGES[kind])
    if flags & _EMPTY:
        return "empty"

    def bound(infinite: int) -> Any:
        if flags & infinite:
            return None
        part = _Taken(taken.take(taken.unpack(">I")))
        if element.name == "numeric":
            return ranges.bound_key(_numeric(part), "numeric")
        return _received(part, element, settings)
    lower = bound(_LOWER_INF)
    return ranges.text_of(ranges.make(kind, lower, bound(_UPPER_INF), bool(flags & _LOWER_INC), bool(flags & _UPPER_INC)),
                          kind)


def _bits(taken: _Taken) -> str:
    size = taken.unpack(">i")
    if size < 0:
        raise InvalidBinaryRepresentation("invalid length in external bit string")
    packed = taken.rest()
    if len(packed) < (size + 7) // 8:
        raise InvalidBinaryRepresentation("insufficient data left in message")
    if len(packed) > (size + 7) // 8:
        raise InvalidBinaryRepresentation("incorrect binary data format")
    return "".join(format(byte, "08b") for byte in packed)[:size]


_BINARY: dict[str, Callable[[_Taken], Any]] = {
    "bool": lambda taken: taken.byte() != 0, "int2": _number(">h"), "int4": _number(">i"), "int8": _number(">q"),
    "float4": _number(">f"), "float8": _number(">d"), "date": _date, "time": _time, "timetz": _timetz,
    "timestamp": _timestamp, "timestamptz": _timestamp, "interval": _interval,
    "uuid": lambda taken: str(uuid.UUID(bytes=taken.take(16))), "bytea": lambda taken: taken.rest().hex(),
    "bit": _bits, "varbit": _bits, "char": lambda taken: char_form(taken.byte()), "jsonb": _jsonb, "jsonpath": _jsonb,
    "inet": _inet,
    "cidr": _inet, "tid": _tid,
    "macaddr": _hardware(6), "macaddr8": _hardware(8),
    "void": lambda taken: "",
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "json", "unknown", "xml"), _text),
}


def numeric_text(value: bytes) -> str:
    """A binary numeric as decimal text. Raises: as from_binary."""
    taken = _Taken(value)
    text = _numeric(taken)
    if taken.left:
        raise InvalidBinaryRepresentation('invalid length in external "numeric" value')
    return text


def numeric_texts(value: bytes) -> list[str]:
    """The elements of a binary numeric[] that are not NULL, as decimal texts. Raises: as from_binary."""
    taken = _Taken(value)
    count, dimensions = 1, taken.unpack(">i")
    taken.take(8)
    for _ in range(min(dimensions, _MOST_DIMENSIONS)):
        count *= taken.unpack(">i")
        taken.take(4)
    found: list[str] = []
    while dimensions > 0 and count > 0 and taken.left:
        length = taken.unpack(">i")
        if length >= 0:
            found.append(numeric_text(taken.take(length)))
        count -= 1
    return found


def _numeric(taken: _Taken) -> str:
    """Decimal text of base-10000 digits. What is finer than the display scale is cut off."""
    count, weight, sign, scale = taken.unpack(">H"), taken.unpack(">h"), taken.unpack(">H"), taken.unpack(">H")
    if sign not in (0, 0x4000, 0xC000, 0xD000, 0xF000):
        raise InvalidBinaryRepresentation('invalid sign in external "numeric" value')
    if scale > 16_383:
        raise InvalidBinaryRepresentation('invalid scale in external "numeric" value')
    digits = []
    for _ in range(count):
        digit = taken.unpack(">h")
        if not 0 <= digit < 10_000:
            raise InvalidBinaryRepresentation('invalid digit in external "numeric" value')
        digits.append(digit)
    special = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign)
    if special is not None:
        return special

    def group(position: int) -> str:
        return f"{digits[weight - position]:04d}" if 0 <= weight - position < count else "0000"

    whole = "".join(group(position) for position in range(weight, -1, -1)).lstrip("0") or "0"
    fraction = "".join(group(-1 - position) for position in range((scale + 3) // 4))[:scale]
    return ("-" if sign else "") + whole + (f".{fraction}" if scale else "")


def _items(taken: _Taken, element: SqlType, settings: TaskSettings) -> tuple[list[Any], list[tuple[int, int]]]:
    """The values of an array, and (size, lower bound) of each dimension."""
    dimensions, flags = taken.unpack(">i"), taken.unpack(">i")
    if dimensions < 0:
        raise InvalidBinaryRepresentation(f"invalid number of dimensions: {dimensions}")
    if dimensions > _MOST_DIMENSIONS:
        raise ProgramLimitExceeded(f"number of array dimensions ({dimensions}) exceeds the maximum allowed "
                                   f"({_MOST_DIMENSIONS})")
    if flags not in (0, 1):
        raise InvalidBinaryRepresentation("invalid array flags")
    oid = taken.unpack(">I")
    if oid != element.oid:
        sent = NAMES_BY_OID.get(oid)
        raise DatatypeMismatch(f"binary data has array element type {oid} ({SqlType(sent).sql if sent else '-'}) instead "
                               f"of expected {element.oid} ({SqlType(element.name).sql})")
    bounds = [(taken.unpack(">i"), taken.unpack(">i")) for _ in range(dimensions)]
    count = 1 if bounds else 0
    for size, lower in bounds:
        if size and not -(1 << 31) <= lower + size - 1 < 1 << 31:
            raise NumericOutOfRange("integer out of range")
    for size, _ in bounds:
        count *= size
        if size < 0 or count > _MOST_ITEMS:
            raise ProgramLimitExceeded(f"array size exceeds the maximum allowed ({_MOST_ITEMS})")
    if count * 4 > taken.left:
        raise ProtocolViolation("insufficient data left in message")
    found: list[Any] = []
    plain = _PLAIN.get(element.name)
    for position in range(count):
        length = taken.unpack(">i")
        if length == -1:
            found.append(None)
            continue
        if length < -1 or length > taken.left:
            raise InvalidBinaryRepresentation("insufficient data left in message")
        if plain is not None and length == plain.size:
            found.append(plain.unpack(taken.take(length))[0])
            continue
        item = _Taken(taken.take(length))
        found.append(_received(item, element, settings))
        if item.left:
            raise InvalidBinaryRepresentation(f"improper binary format in array element {position + 1}")
    return found, bounds


def _array(taken: _Taken, element: SqlType, settings: TaskSettings) -> list[Any] | ShapedArray:
    found, bounds = _items(taken, element, settings)
    return physical_shape(found, tuple(n for pair in bounds for n in pair) if found else ())


def _vector(taken: _Taken, name: str, settings: TaskSettings) -> list[Any]:
    """int2vector and oidvector: one dimension from 0, no NULLs."""
    found, bounds = _items(taken, SqlType("int2" if name == "int2vector" else "oid"), settings)
    if not found or len(bounds) != 1 or bounds[0][1] != 0 or None in found:
        raise InvalidBinaryRepresentation(f"invalid {name} data")
    return found
