"""PostgreSQL's column types as Shoal's, and its text output of them as Arrow arrays in storage form.

Text is what COPY delivers (with ISO dates, hex bytea and the postgres interval style, which every connection sets).
`parsed_types` says what the CSV parser may make by itself; `converted` does the rest column-wise; only values outside
the ordinary range (infinities, years before 1 or after 9999, arrays with quotes) are looked at one by one.

Spec: PostgreSQL 15 documentation, chapter 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled, specials
from shoal.catalog.errors import DataCorrupted, DatetimeOverflow, NumericOutOfRange
from shoal.catalog.shaped import struct_of
from shoal.catalog.types import (
    BPCHAR,
    MAX_INT64_DIGITS,
    MULTIRANGES,
    NUMERIC,
    OIDS,
    RANGES,
    TEXT,
    SqlType,
    array_of,
    decimal_low_words,
    storage_type,
)

_PLAIN = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "text", "name", "char", "bytea", "uuid", "json",
                    "jsonb", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "oid",
                    "inet", "cidr", "macaddr", "macaddr8", *RANGES, *MULTIRANGES})
TYPE_FIELDS = "{t}n.nspname, {t}.typname, {t}.typtype::text, coalesce({t}en.nspname, ''), coalesce({t}e.typname, ''), " \
    "coalesce({t}e.typtype::text, '')"
TYPE_JOINS = "JOIN pg_namespace {t}n ON {t}n.oid = {t}.typnamespace " \
    "LEFT JOIN pg_type {t}e ON {t}e.oid = {t}.typelem AND {t}.typcategory = 'A' " \
    "LEFT JOIN pg_namespace {t}en ON {t}en.oid = {t}e.typnamespace"
"""Of a pg_type `t`: the columns of a `RemoteType`, and the tables they take."""
_MADE = ("e", "c")
"""pg_type.typtype of enums and composite types."""
_US_PER_DAY = 86_400_000_000
_INT32_MAX, _INT64_MAX = (1 << 31) - 1, (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class RemoteColumn:
    """What reading a column and comparing with it remotely takes; travels in split states."""

    name: str
    type: SqlType
    native: bool = False
    """Its remote type is unknown to Shoal, which sees its text."""
    c_order: bool = True
    """Its collation orders by code point, as Shoal does."""
    exact_equality: bool = True
    """Its collation is deterministic: only equal bytes are equal."""
    comparable: bool = True
    """The remote encoding orders characters by code point at all (under COLLATE "C")."""
    few_values: bool = False
    """Known to hold few distinct strings: worth a dictionary."""
    standard: bool = True
    """Functions of it are what PostgreSQL 15's are: the server is no older than 14 and counts Unicode characters."""

    def to_json(self) -> tuple[Any, ...]:
        t = self.type
        return (self.name, t.name, t.precision, t.scale, t.length, self.native, self.c_order, self.exact_equality,
                self.comparable, self.few_values, self.standard)

    @staticmethod
    def from_json(fields: Sequence[Any]) -> RemoteColumn:
        name, type_name, precision, scale, length, *flags = fields
        return RemoteColumn(name, SqlType(type_name, precision, scale, length), *flags)


@dataclass(frozen=True, slots=True)
class RemoteType:
    """What `TYPE_FIELDS` read of a pg_type row; `element...` of an array's elements, else empty."""

    schema: str
    name: str
    kind: str
    element_schema: str = ""
    element_name: str = ""
    element_kind: str = ""

    @property
    def made(self) -> tuple[str, str] | None:
        """(schema, name) of the enum or composite type that its values, or its elements, are of."""
        if self.schema == "pg_catalog":
            return None
        if self.kind in _MADE:
            return self.schema, self.name
        return (self.element_schema, self.element_name) if self.element_kind in _MADE else None


def sql_type_of(remote: RemoteType, typmod: int) -> tuple[SqlType, bool]:
    """(the type, whether it is only text standing for a type unknown here) of a type and a typmod."""
    name = remote.name
    if remote.schema != "pg_catalog":
        return (TEXT if remote.made is None or remote.kind in _MADE else array_of(TEXT)), True
    if name == "numeric":
        if typmod < 4:
            return NUMERIC, False
        precision, scale = (typmod - 4) >> 16 & 0xFFFF, ((typmod - 4) & 0x7FF ^ 1024) - 1024
        return SqlType("numeric", precision, scale), False
    if name in ("varchar", "bpchar"):
        if typmod < 4:
            return (SqlType("varchar") if name == "varchar" else BPCHAR), False
        return SqlType(name, length=typmod - 4), False
    if name in _PLAIN:
        return SqlType(name), False
    if name.startswith("_") and name in OIDS and (name[1:] in _PLAIN or name[1:] in ("numeric", "varchar", "bpchar")):
        return SqlType(name), False
    return TEXT, True


def parsed_type(column: RemoteColumn) -> pa.DataType:
    """The Arrow type to ask of the CSV parser for ordinary values; string where `converted` has work to do."""
    name = column.type.name
    if column.type.varies:
        return pa.string()
    if name == "numeric":
        precision, scale = column.type.precision or 0, column.type.scale or 0
        if precision > 38:
            return pa.string()
        if precision <= MAX_INT64_DIGITS:
            return pa.int64() if scale == 0 else pa.string()
        return pa.decimal128(38, scale)
    if column.type.is_array or name in ("bytea", "interval"):
        return pa.string()
    if column.type.is_string and column.few_values:
        return pa.dictionary(pa.int32(), pa.string())
    return storage_type(column.type)


def converted(array: pa.Array, column: RemoteColumn, where: str) -> pa.Array:
    """A column as the CSV parser delivered it (parsed, or text) in storage form. `where` names it in errors.

    Raises: NumericOutOfRange (22003), DatetimeOverflow (22008), FeatureNotSupported (0A000), DataCorrupted (XX001).
    """
    wanted = storage_type(column.type)
    if array.type == wanted or pa.types.is_dictionary(array.type):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), wanted)
    try:
        return _from_text(array, column.type, where)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataCorrupted(f"{where}: cannot read a value as {column.type}: {error}") from None


def _from_text(text: pa.Array, sql_type: SqlType, where: str) -> pa.Array:
    if sql_type.is_array:
        return _arrays(text, sql_type, where)
    if sql_type.is_string:
        return text
    match sql_type.name:
        case "bool":
            return pc.equal(text, "t")
        case "numeric":
            return _numerics(text, sql_type, where)
        case "bytea":
            return _bytes(text)
        case "interval":
            return _intervals(text, where)
        case "date":
            return _special(text, r"^\d{4}-\d\d-\d\d$", pa.date32(), pa.int32(), lambda value: _days(value, where))
        case "time":
            # Arrow casts no text to times, but reads timestamps
            stamps = pc.binary_join_element_wise("1970-01-01", text, " ")
            found = _special(stamps, r" ([01]\d|2[0-3]):", pa.timestamp("us"), pa.int64(),
                             lambda value: _time_us(value[11:]))
            return found.view(pa.int64()).view(pa.time64("us"))
        case "timestamp" | "timestamptz":
            if sql_type.name == "timestamptz":
                text = pc.replace_substring_regex(text, r"\+00( BC)?$", r"\1")
            plain = _special(text, r"^\d{4}-\d\d-\d\d [0-9:.]+$", pa.timestamp("us"), pa.int64(),
                             lambda value: _timestamp_us(value, where))
            return plain.view(storage_type(sql_type))
    return pc.cast(text, storage_type(sql_type))


def _special(text: pa.Array, ordinary: str, arrow: pa.DataType, integer: pa.DataType,
             one: Callable[[str], int]) -> pa.Array:
    """Casts the values that look `ordinary`, and puts the integer `one(value)` where the others are."""
    odd = np.flatnonzero(np.asarray(pc.fill_null(pc.invert(pc.match_substring_regex(text, ordinary)), False)))
    if not len(odd):
        return pc.cast(text, arrow)
    mask = np.zeros(len(text), np.bool_)
    mask[odd] = True
    array = pc.cast(pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), text), arrow).view(integer)
    values = pa.array([one(text[int(row)].as_py()) for row in odd], integer)
    return pc.replace_with_mask(array, pa.array(mask), values).view(arrow)


_DATE = re.compile(r"(\d+)-(\d\d)-(\d\d)(?: (\d\d:\d\d:\d\d(?:\.\d+)?))?( BC)?\Z")


def _days(text: str, where: str) -> int:
    """Days since 1970 of any date PostgreSQL prints."""
    if text in ("infinity", "-infinity"):
        return (1 << 31) - 1 if text == "infinity" else -(1 << 31)
    found = _DATE.match(text)
    if found is None:
        raise DataCorrupted(f"{where}: {text!r} is not a date")
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if found[5]:
        year = 1 - year
    # days from civil: years begin in March, so that the leap day is last
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (9 if month <= 2 else -3)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _timestamp_us(text: str, where: str) -> int:
    if text in ("infinity", "-infinity"):
        return _INT64_MAX if text == "infinity" else -_INT64_MAX - 1
    found = _DATE.match(text)
    if found is None or found[4] is None:
        raise DataCorrupted(f"{where}: {text!r} is not a timestamp")
    value = _days(text, where) * _US_PER_DAY + _time_us(found[4])
    if abs(value) >= _INT64_MAX:
        raise DatetimeOverflow(f"{where}: timestamp {text} is outside the range that can be held")
    return value


def _time_us(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    whole, _, fraction = seconds.partition(".")
    return ((int(hours) * 60 + int(minutes)) * 60 + int(whole)) * 1_000_000 + int((fraction + "000000")[:6])


def _numerics(text: pa.Array, sql_type: SqlType, where: str) -> pa.Array:
    if sql_type.varies:
        return scaled.of_texts(text)
    precision, scale = sql_type.precision or 0, sql_type.scale or 0
    if precision <= MAX_INT64_DIGITS:
        unscaled = _unscaled(text, scale)
        if unscaled is not None:
            return unscaled
    wide = pa.decimal128(38, scale) if precision <= 38 else pa.decimal256(76, scale)
    try:
        array = pc.cast(text, wide)
    except pa.ArrowInvalid:
        special = pc.match_substring_regex(text, "^(NaN|-?Infinity)$")
        if pc.any(special).as_py():
            return _special_numerics(text, special, sql_type, where)
        try:  # zeros at the end do not count
            array = pc.cast(pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1"), wide)
        except pa.ArrowInvalid:
            raise NumericOutOfRange(
                f"{where}: a numeric value cannot be held exactly as numeric({38 if precision <= 38 else 76},{scale})",
                detail=f"It has more than {scale} digits after the point, or too many before it.",
                hint="In the source, give the column a precision and scale, or make a view that casts it to text or "
                     "double precision.") from None
    if precision <= MAX_INT64_DIGITS:
        return decimal_low_words(array)
    return array


def _special_numerics(text: pa.Array, special: pa.Array, sql_type: SqlType, where: str) -> pa.Array:
    """Of numerics some of which are NaN or infinite."""
    plain = _numerics(pc.if_else(special, pa.scalar(None, pa.string()), text), sql_type, where)
    found = np.asarray(pc.fill_null(pc.cast(pc.if_else(special, text, "0"), pa.float64()), 0.0))
    return specials.placed(plain, found, sql_type.scale or 0)


def _unscaled(text: pa.Array, scale: int) -> pa.Array | None:
    """int64 of the digits where every value has exactly `scale` of them after its point; None where one has not."""
    if not scale:
        return pc.cast(text, pa.int64()) if not pc.any(pc.match_substring(text, "N")).as_py() else None
    rows = len(text)
    if rows == 0:
        return pa.array([], pa.int64())
    offsets = np.frombuffer(text.buffers()[1], "<i4", rows + 1, 4 * text.offset)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.frombuffer(text.buffers()[2], np.uint8, last - first, first) if last > first else np.zeros(0, np.uint8)
    point = data == ord(".")
    valid = np.diff(offsets) > 0
    if not np.array_equal(np.flatnonzero(point), offsets[1:][valid] - first - scale - 1):
        return None
    moved = np.zeros(rows + 1, np.int32)
    np.cumsum(valid, out=moved[1:])
    bits = None if text.null_count == 0 else pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [bits, pa.py_buffer(offsets - first - moved), pa.py_buffer(data[~point])]
    return pc.cast(pa.Array.from_buffers(pa.string(), rows, buffers), pa.int64())


_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


def _bytes(text: pa.Array) -> pa.Array:
    """bytea's hex format `\\x68656c6c6f`."""
    hexadecimal = pc.binary_slice(pc.cast(text, pa.binary()), 2, _INT32_MAX)  # Arrow miscounts where no end is given
    rows = len(hexadecimal)
    if rows == 0:
        return pa.array([], pa.binary())
    offsets = np.frombuffer(hexadecimal.buffers()[1], "<i4", rows + 1, 4 * hexadecimal.offset)
    first, last = int(offsets[0]), int(offsets[-1])
    nibbles = _NIBBLE[np.frombuffer(hexadecimal.buffers()[2], np.uint8, last - first, first) if last > first else []]
    if (nibbles == 255).any():
        raise pa.ArrowInvalid("invalid hexadecimal digit")
    data = nibbles[::2] << 4 | nibbles[1::2]
    bits = None
    if text.null_count:
        bits = pa.py_buffer(np.packbits(np.asarray(text.is_valid()), bitorder="little"))
    return pa.Array.from_buffers(pa.binary(), rows, [bits, pa.py_buffer((offsets - first) // 2), pa.py_buffer(data)])


_INTERVAL = (r"^(?:(?P<years>-?\d+) years? ?)?(?:(?P<months>[+-]?\d+) mons? ?)?(?:(?P<days>[+-]?\d+) days? ?)?"
             r"(?:(?P<sign>[+-])?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d+))?)?$")


def _intervals(text: pa.Array, where: str) -> pa.Array:
    """The postgres interval style: `1 year 2 mons -3 days +04:05:06.789`."""
    parts = pc.extract_regex(text, _INTERVAL)
    if parts.null_count > text.null_count:
        raise DataCorrupted(f"{where}: a value is not an interval")

    def number(name: str) -> np.ndarray:
        digits = pc.struct_field(parts, name)
        if name == "fraction":
            digits = pc.utf8_rpad(digits, 6, "0")
        digits = pc.replace_substring_regex(digits, r"^\+|^$", "") if name in ("months", "days") else digits
        filled = pc.if_else(pc.equal(pc.fill_null(digits, ""), ""), "0", digits)
        return pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False)

    us = ((number("hours") * 60 + number("minutes")) * 60 + number("seconds")) * 1_000_000 + number("fraction")
    negative = np.asarray(pc.fill_null(pc.equal(pc.struct_field(parts, "sign"), "-"), False))
    us = np.where(negative, -us, us)
    packed = np.zeros(len(text), "<i4,<i4,<i8")
    packed["f0"], packed["f1"], packed["f2"] = number("years") * 12 + number("months"), number("days"), us
    bits = None
    if text.null_count:
        bits = pa.py_buffer(np.packbits(np.asarray(text.is_valid()), bitorder="little"))
    return pa.Array.from_buffers(pa.month_day_nano_interval(), len(text), [bits, pa.py_buffer(packed)])


def _arrays(text: pa.Array, sql_type: SqlType, where: str) -> pa.Array:
    """Array literals `{1,2,NULL}`; those with quotes, bounds or more dimensions go through a parser of their own."""
    dims: list[list[int]] = []
    odd = pc.fill_null(pc.match_substring_regex(text, r'^\[|^\{.*["\\{]'), False)
    if pc.any(odd).as_py():
        found = [_array_items("{}" if value is None else value) for value in text.to_pylist()]
        lengths = np.array([len(items) for items, _ in found], np.int32)
        elements = pa.array([item for items, _ in found for item in items], pa.string())
        dims = [shape for _, shape in found]
    else:
        inner = pc.fill_null(pc.utf8_slice_codeunits(text, 1, -1), "")
        pieces = pc.split_pattern(inner, ",")
        lengths = np.diff(pieces.offsets.to_numpy())
        empty = np.asarray(pc.equal(inner, ""))
        elements = pieces.flatten()
        if empty.any():
            elements = elements.filter(pa.array(~np.repeat(empty, lengths)))
            lengths = np.where(empty, 0, lengths)
        elements = pc.if_else(pc.equal(elements, "NULL"), pa.scalar(None, pa.string()), elements)
    offsets = np.zeros(len(text) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    element = sql_type.element
    if element.name == "numeric":  # arrays hold them in the widest form
        element = replace(element, precision=76)
    values = _from_text(elements, element, where)
    mask = pc.is_null(text) if text.null_count else None
    lists = pa.ListArray.from_arrays(pa.array(offsets), values, mask=mask)
    if all(len(shape) == 0 or (len(shape) == 2 and shape[1] == 1) for shape in dims):
        return lists
    return struct_of(lists, pa.array(dims, pa.list_(pa.int32())))


_ARRAY_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"]+)|([{}])', re.DOTALL)
_ARRAY_BOUNDS = re.compile(r"\[(-?\d+):(-?\d+)\]")


def _array_items(text: str) -> tuple[list[str | None], list[int]]:
    """The elements of one array literal as PostgreSQL prints it, and size and lower bound of each dimension."""
    items: list[str | None] = []
    opened: list[int] = []  # how many lists there are at each depth
    depth = 0
    bounds, body = text[:text.index("{")], text[text.index("{"):]
    for match in _ARRAY_TOKEN.finditer(body):
        quoted, bare, brace = match.groups()
        if brace == "{":
            if depth == len(opened):
                opened.append(0)
            opened[depth] += 1
            depth += 1
        elif brace:
            depth -= 1
        elif quoted is not None:
            items.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL))
        else:
            items.append(None if bare == "NULL" else bare)
    if not items:
        return items, []
    sizes = [below // above for above, below in zip(opened, [*opened[1:], len(items)], strict=True)]
    lows = [int(low) for low, _ in _ARRAY_BOUNDS.findall(bounds)] or [1] * len(sizes)
    return items, [n for pair in zip(sizes, lows, strict=True) for n in pair]
