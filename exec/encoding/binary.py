"""Columns in PostgreSQL's binary format: from a column's storage form to the bytes each value has on the wire.

Hop 7 of a query's way, used by DataRow (datarow.py) and COPY (copy_rows.py). A column becomes one of three
forms, none of which touches Python objects per row:

    Fixed     numbers, dates ...: a numpy array and the big-endian type it is written as; no NULLs
    Varying   text, bytea ...: an Arrow binary array and the values' lengths, -1 for NULL
    Prefixed  numeric and NULLable fixed columns: bytes somewhere that already begin with their four length bytes

Spec: the typsend functions of PostgreSQL 15 (chapter 8 describes the values, 55.7 the framing).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled as form
from shoal.catalog import specials
from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.shaped import is_shaped
from shoal.catalog.types import MULTIRANGES, OID_LIKE, RANGES, SqlType
from shoal.exec.encoding.assembling import Placed, at_every_byte, offsets_of, placed_array
from shoal.exec.evaluation_context import EvaluationContext, Names
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import nulls, tids, views
from shoal.exec.kernels.shapes import items_of
from shoal.exec.plan.fragment import TaskSettings

DAYS_TO_2000 = 10_957
MICROSECONDS_TO_2000 = DAYS_TO_2000 * 86_400_000_000
_NUMERIC_NEGATIVE = 0x4000
_NUMERIC_SPECIALS = ((0xC000, 0), (0xD000, 32), (0xF000, 32))
"""Sign and display scale of NaN, Infinity and -Infinity as PostgreSQL sends them."""
NOTHING = pa.scalar(b"", pa.binary())
"""The separator of joins. (The type of a bare b"" would be inferred anew each time.)"""
_JSONB_VERSION = pa.scalar(b"\x01", pa.binary())
_WIDEST_FIXED = 64
_ZERO_UUID = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class Fixed:
    """`values` (rows,) are assigned to a field of `wire`, a numpy type of big-endian or opaque bytes."""

    values: np.ndarray
    wire: np.dtype


@dataclass(slots=True)
class Varying:
    """`values` is pa.binary(); `lengths` int32 holds -1 where a value is NULL."""

    values: pa.Array
    lengths: np.ndarray

    def placed(self) -> Placed:
        """The values without their lengths."""
        data = self.values.buffers()[2]
        return Placed(np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), _offsets(self.values)[:-1],
                      np.maximum(self.lengths, 0))


@dataclass(slots=True)
class Prefixed:
    """Each value, NULL or not, starts with its int32 length."""

    values: Placed


Form = Fixed | Varying | Prefixed


def text_form(array: pa.Array, sql_type: SqlType, settings: TaskSettings, names: Names | None = None) -> Form:
    """The column in text format."""
    form = varying(to_text(array, sql_type, settings, names))
    lengths = form.lengths
    if len(lengths) and (width := int(lengths[0])) > 0 and width <= _WIDEST_FIXED and (lengths == width).all():
        data = np.frombuffer(form.values.buffers()[2], f"V{width}", len(lengths), int(_offsets(form.values)[0]))
        return Fixed(data, data.dtype)
    return form


def _offsets(array: pa.Array) -> np.ndarray:
    """The offsets of a string, binary or list array: one more than its rows."""
    if len(array) == 0:
        return np.zeros(1, np.int32)
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset:array.offset + len(array) + 1]


def varying(array: pa.Array) -> Varying:
    """A string or binary column as it is."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    lengths = np.diff(_offsets(array))
    valid = views.validity(array)
    if valid is not None:
        lengths[~valid] = -1
    return Varying(array if array.type == pa.binary() else array.view(pa.binary()), lengths)


def binary_form(array: pa.Array, sql_type: SqlType, settings: TaskSettings) -> Form:
    """The column in binary format. Raises: FeatureNotSupported (0A000) for types that have none here."""
    name = sql_type.name
    fixed = _FIXED.get(name)
    if fixed is not None:
        values = fixed(array)
        return _nullable(Fixed(*values), views.validity(array))
    if name in OID_LIKE:
        return _nullable(Fixed(views.values(array), np.dtype(">u4")), views.validity(array))
    if name == "numeric":
        return _numeric(array, sql_type)
    if sql_type.is_array or name in ("int2vector", "oidvector"):
        return _array(array, sql_type, settings)
    if name == "bytea":
        return varying(array)
    if name in ("jsonb", "jsonpath"):
        text = to_text(array, sql_type, settings)
        if pa.types.is_dictionary(text.type):
            text = text.dictionary_decode()
        text = text.view(pa.binary())
        return varying(pc.binary_join_element_wise(_JSONB_VERSION, text, NOTHING))
    if name in _PER_DISTINCT:
        return varying(_per_distinct(array, _PER_DISTINCT[name]))
    if name == "record":
        return _record(nulls.decoded(array), sql_type, settings)
    return text_form(array, sql_type, settings)


def binary_array(data: np.ndarray, ends: np.ndarray) -> pa.Array:
    """pa.binary() over the bytes of `data`, value i ending at `ends[i]`."""
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def prefixed(form: Form) -> pa.Array:
    """Any form as values that begin with their own length."""
    if isinstance(form, Prefixed):
        return placed_array(form.values)
    if isinstance(form, Varying):
        lengths = pa.Array.from_buffers(pa.binary(), len(form.lengths), [
            None, offsets_of(len(form.lengths), 4), pa.py_buffer(form.lengths.astype(">i4"))])
        return pc.binary_join_element_wise(lengths, form.values, NOTHING, null_handling="replace", null_replacement=b"")
    rows, width = len(form.values), form.wire.itemsize
    out = np.empty(rows, np.dtype([("length", ">i4"), ("value", form.wire)]))
    out["length"], out["value"] = width, form.values
    return pa.Array.from_buffers(pa.binary(), rows, [None, offsets_of(rows, width + 4), pa.py_buffer(out)])


def _nullable(form: Fixed, valid: np.ndarray | None) -> Form:
    if valid is None:
        return form
    rows, width = len(form.values), form.wire.itemsize
    out = np.empty(rows, np.dtype([("length", ">i4"), ("value", form.wire)]))
    out["length"], out["value"] = np.where(valid, width, -1), form.values
    begins = np.arange(0, rows * (width + 4), width + 4)
    return Prefixed(Placed(out.view(np.uint8), begins, np.where(valid, width + 4, 4)))


# --- fixed-width types: storage array -> values and wire type --------------------------------------------------------

_Fixed = tuple[np.ndarray, np.dtype]


def _plain(wire: str) -> Callable[[pa.Array], _Fixed]:
    dtype = np.dtype(wire)
    return lambda array: (views.values(array), dtype)


def _date(array: pa.Array) -> _Fixed:
    return _since_2000(views.values(array), DAYS_TO_2000), np.dtype(">i4")


def _timestamp(array: pa.Array) -> _Fixed:
    return _since_2000(views.values(array), MICROSECONDS_TO_2000), np.dtype(">i8")


def _since_2000(values: np.ndarray, epoch: int) -> np.ndarray:
    """The smallest and the largest number are infinite and stay what they are."""
    limits = np.iinfo(values.dtype)
    moved = np.subtract(values, epoch, dtype=values.dtype)
    if len(values) and (values.min() == limits.min or values.max() == limits.max):
        return np.where((values == limits.min) | (values == limits.max), values, moved)
    return moved


_NUMERIC = np.dtype([("length", ">i4"), *((name, ">i2") for name in ("digits", "weight", "sign", "scale"))])
_INTERVAL = np.dtype([("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])


def _interval(array: pa.Array) -> _Fixed:
    parts = views.values(array)
    months, days, micros = parts.dtype.names  # type: ignore[misc]
    out = np.empty(len(parts), _INTERVAL)
    out["microseconds"], out["days"], out["months"] = parts[micros], parts[days], parts[months]
    return out, _INTERVAL


_NIBBLES = np.zeros(256, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)
_HEX_POSITIONS = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


def _uuid(array: pa.Array) -> _Fixed:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    text = pc.fill_null(array, pa.scalar(_ZERO_UUID, pa.string())) if array.null_count else array
    rows = len(text)
    first = np.frombuffer(text.buffers()[1], np.int32)[text.offset] if rows else 0
    data = text.buffers()[2]
    characters = np.frombuffer(data, np.uint8, rows * 36, first).reshape(rows, 36) if rows else np.empty((0, 36), np.uint8)
    nibbles = _NIBBLES[characters[:, _HEX_POSITIONS]]
    packed = np.ascontiguousarray(nibbles[:, ::2] << 4 | nibbles[:, 1::2])
    return packed.view("V16").reshape(rows), np.dtype("V16")


def _tid(array: pa.Array) -> _Fixed:
    return tids.wire(views.values(array)), np.dtype("V6")


_FIXED: dict[str, Callable[[pa.Array], _Fixed]] = {
    "bool": _plain("u1"), "int2": _plain(">i2"), "int4": _plain(">i4"), "int8": _plain(">i8"), "float4": _plain(">f4"),
    "float8": _plain(">f8"), "date": _date, "time": _plain(">i8"), "timestamp": _timestamp, "timestamptz": _timestamp,
    "interval": _interval, "uuid": _uuid, "tid": _tid,
}


_SPECIAL_BYTES = np.frombuffer(b"".join(struct.pack(">ihhHh", 8, 0, 0, sign, scale) for sign, scale in _NUMERIC_SPECIALS),
                               np.uint8)


# --- numeric ---------------------------------------------------------------------------------------------------------


def _scaled(array: pa.Array) -> Prefixed:
    """Each value with its own scale: all of one scale at once."""
    array = nulls.decoded(array)
    if pa.types.is_string(array.type):
        return _long(array)
    valid = nulls.validity(array)
    scales, values = views.values(array.field(1)), array.field(0)
    if valid is not None:
        values, scales = nulls.with_validity(values, valid), np.where(valid, scales, 0)
    shown = np.unique(scales).tolist()
    if len(shown) == 1 and shown[0] >= 0:
        return _numeric(values, SqlType("numeric", 76, shown[0]))
    data, begins, lengths = [_SPECIAL_BYTES], np.zeros(len(array), np.int64), np.zeros(len(array), np.int64)
    total = len(_SPECIAL_BYTES)
    for scale in shown:
        where = np.flatnonzero(scales == scale)
        if scale < 0:
            begins[where], lengths[where] = _NUMERIC.itemsize * (-1 - scale), _NUMERIC.itemsize
            continue
        placed = _numeric(values.take(pa.array(where)), SqlType("numeric", 76, scale)).values
        data.append(placed.data)
        begins[where], lengths[where] = placed.begins + total, placed.lengths
        total += len(placed.data)
    return Prefixed(Placed(np.concatenate(data), begins, lengths))


def _long(texts: pa.Array) -> Prefixed:
    """Numbers of any length, one by one."""
    parts: list[bytes] = []
    for text in texts.to_pylist():
        pair = None if text is None else form.parsed(text)
        if pair is None:
            parts.append(struct.pack(">i", -1))
        elif pair[1] < 0:
            parts.append(_SPECIAL_BYTES[_NUMERIC.itemsize * (-1 - pair[1]):][:_NUMERIC.itemsize].tobytes())
        else:
            whole, _, fraction = form.plain(*pair).lstrip("-").partition(".")
            whole, fraction = whole.rjust(-(-len(whole) // 4) * 4, "0"), fraction.ljust(-(-len(fraction) // 4) * 4, "0")
            digits, weight = whole + fraction, len(whole) // 4 - 1
            groups = [int(digits[i:i + 4]) for i in range(0, len(digits), 4)]
            while groups and not groups[0]:
                groups, weight = groups[1:], weight - 1
            while groups and not groups[-1]:
                groups.pop()
            sign = _NUMERIC_NEGATIVE if pair[0] < 0 else 0
            parts.append(struct.pack(f">ihhHh{len(groups)}h", 8 + 2 * len(groups), len(groups),
                                     weight if groups else 0, sign, pair[1], *groups))
    lengths = np.array([len(part) for part in parts], np.int64)
    return Prefixed(Placed(np.frombuffer(b"".join(parts), np.uint8), np.cumsum(lengths) - lengths, lengths))


def _numeric(array: pa.Array, sql_type: SqlType) -> Prefixed:
    """Base-10000 digits by long division of all rows at once; the value 0 has no digits."""
    if sql_type.varies:
        return _scaled(array)
    found = specials.stand_ins(array)
    if found is not None:
        return _numeric_with_specials(array, found, sql_type)
    scale = sql_type.scale
    assert scale is not None
    rows, valid = len(array), views.validity(array)
    padding = -scale % 4
    fraction_groups = (scale + padding) // 4
    groups, negative = _groups(array, padding)
    while len(groups) < fraction_groups:
        groups.append(np.zeros(rows, np.int16))
    count = len(groups)
    zero = [group == 0 for group in groups]
    leading, trailing = _run_lengths(zero[::-1]), _run_lengths(zero)
    some = leading < count
    digits = np.where(some, count - leading - trailing, 0)
    length = 8 + 2 * digits
    if valid is not None:
        length[~valid] = -1
    table = np.empty((rows, 6 + count), ">i2")
    for position, group in enumerate(reversed(groups)):
        table[:, 6 + position] = group
    head = np.empty(rows, _NUMERIC)
    head["length"], head["digits"] = length, digits
    head["weight"] = np.where(some, count - fraction_groups - 1 - leading, 0)
    head["sign"] = np.where(negative & some, _NUMERIC_NEGATIVE, 0)
    head["scale"] = scale
    begins = np.arange(0, rows * table.itemsize * (6 + count), table.itemsize * (6 + count))
    begins += table.itemsize * np.where(some, leading, 0)  # the head goes right before the first digit
    data = table.reshape(-1).view(np.uint8)
    at_every_byte(data, _NUMERIC.itemsize)[begins] = head.view(f"V{_NUMERIC.itemsize}")
    return Prefixed(Placed(data, begins, np.maximum(length, 0) + 4))


def _numeric_with_specials(array: pa.Array, found: np.ndarray, sql_type: SqlType) -> Prefixed:
    ordinary = _numeric(specials.as_zero(array, found), sql_type).values
    data = np.concatenate([ordinary.data, _SPECIAL_BYTES])
    kinds = np.where(np.isnan(found), 0, np.where(found > 0, 1, 2))
    begins = np.where(found != 0, len(ordinary.data) + kinds * _NUMERIC.itemsize, ordinary.begins)
    return Prefixed(Placed(data, begins, np.where(found != 0, _NUMERIC.itemsize, ordinary.lengths)))


def _run_lengths(flags: list[np.ndarray]) -> np.ndarray:
    """How many of the arrays are true in a row, from the first on, for each element."""
    running = flags[0]
    total = running.astype(np.int8)
    for flag in flags[1:]:
        running = running & flag
        total += running
    return total.astype(np.int64)


def _groups(array: pa.Array, padding: int) -> tuple[list[np.ndarray], np.ndarray]:
    """|value| * 10**padding as base-10000 digits, the least significant first, and which values are negative."""
    if not pa.types.is_decimal(array.type):
        values = views.values(array)
        negative = values < 0
        magnitude = np.abs(values).view(np.uint64)  # the smallest int64 stays itself: 2**63
        if not len(values) or int(magnitude.max()) < 10 ** (19 - padding):
            return _divide_words(magnitude * np.uint64(10 ** padding)), negative
        limbs = [magnitude & np.uint64(0xFFFFFFFF), magnitude >> np.uint64(32)]
    else:
        words = array.type.byte_width // 8
        raw = np.frombuffer(array.buffers()[1], "<u4", len(array) * words * 2, array.offset * words * 8)
        wide = raw.reshape(len(array), words * 2).astype(np.uint64)
        negative = wide[:, -1] >> np.uint64(31) == 1
        limbs = [np.where(negative, wide[:, i] ^ np.uint64(0xFFFFFFFF), wide[:, i]) for i in range(words * 2)]
        carry = negative.astype(np.uint64)
        for i, limb in enumerate(limbs):
            total = limb + carry
            limbs[i], carry = total & np.uint64(0xFFFFFFFF), total >> np.uint64(32)
    if padding:
        carry = np.zeros(len(array), np.uint64)
        for i, limb in enumerate(limbs):
            total = limb * np.uint64(10 ** padding) + carry
            limbs[i], carry = total & np.uint64(0xFFFFFFFF), total >> np.uint64(32)
        limbs.append(carry)
    return _divide_limbs(limbs), negative


def _divide_words(values: np.ndarray) -> list[np.ndarray]:
    groups = []
    base = np.uint64(10_000)
    while True:
        quotient = values // base
        groups.append((values - quotient * base).astype(np.int16))
        if not quotient.any():
            return groups
        values = quotient


def _divide_limbs(limbs: list[np.ndarray]) -> list[np.ndarray]:
    """Long division by 10**8, which leaves room for a 32-bit limb in 64 bits."""
    groups: list[np.ndarray] = []
    base, half = np.uint64(100_000_000), np.uint64(10_000)
    while True:
        while len(limbs) > 1 and not limbs[-1].any():
            limbs = limbs[:-1]
        remainder = np.zeros(len(limbs[0]), np.uint64)
        quotients = []
        for limb in reversed(limbs):
            total = (remainder << np.uint64(32)) | limb
            quotient = total // base
            remainder = total - quotient * base
            quotients.append(quotient)
        limbs = quotients[::-1]
        groups += [(remainder % half).astype(np.int16), (remainder // half).astype(np.int16)]
        if not any(limb.any() for limb in limbs):
            return groups


# --- arrays ----------------------------------------------------------------------------------------------------------


def _array(array: pa.Array, sql_type: SqlType, settings: TaskSettings) -> Varying:
    """Arrays: their values are one slice of the elements' bytes, so only headers are built per row."""
    dims = array.flatten()[1] if is_shaped(array) else None
    array = items_of(array)
    vector = not sql_type.is_array
    element = SqlType("int2" if sql_type.name == "int2vector" else "oid") if vector else sql_type.element
    rows, valid = len(array), views.validity(array)
    offsets = _offsets(array)
    child = array.values.slice(offsets[0], offsets[-1] - offsets[0])
    offsets = offsets - offsets[0]
    if vector and element.name == "int2":
        child = child.cast(pa.int16())
    items = prefixed(binary_form(child, element, settings))
    starts = _offsets(items)
    counts = np.diff(offsets)
    present = child.is_valid().to_numpy(zero_copy_only=False) if child.null_count else None
    has_null = np.zeros(rows, np.int32)
    if present is not None:
        missing = np.zeros(len(child) + 1, np.int64)
        missing[1:] = np.cumsum(~present)
        has_null = (missing[offsets[1:]] > missing[offsets[:-1]]).astype(np.int32)
    header = np.empty(rows, np.dtype([(part, ">i4") for part in ("ndim", "flags", "oid", "count", "lower")]))
    header["ndim"], header["flags"], header["oid"] = counts > 0, has_null, element.oid
    header["count"], header["lower"] = counts, 0 if vector else 1
    if vector:
        header["ndim"] = 1
    if dims is not None:
        header["ndim"] = np.diff(_offsets(dims)) // 2
    sizes = np.where(header["ndim"] > 0, 20, 12) if dims is None else np.full(rows, 12)
    kept = np.ones((rows, 20), np.bool_)
    kept[:, 12:] = (sizes == 20)[:, None]
    heads = binary_array(header.view(np.uint8).reshape(rows, 20)[kept], np.cumsum(sizes))
    if dims is not None:
        heads = pc.binary_join_element_wise(heads, _big_endian(dims), NOTHING)
        sizes = np.diff(_offsets(heads))
    bodies = pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(starts[offsets]), items.buffers()[2] or
                                                      pa.py_buffer(b"")])
    lengths = (sizes + np.diff(starts[offsets])).astype(np.int32)
    if valid is not None:
        lengths[~valid] = -1
        heads = pc.if_else(pa.array(valid, pa.bool_()), heads, NOTHING)
        bodies = pc.if_else(pa.array(valid, pa.bool_()), bodies, NOTHING)
    return Varying(pc.binary_join_element_wise(heads, bodies, NOTHING), lengths)


def _big_endian(lists: pa.Array) -> pa.Array:
    """Each list of int4 as their bytes; nothing for NULL."""
    ends = _offsets(lists)
    values = views.values(lists.values)[ends[0]:ends[-1]].astype(">i4")
    return pa.Array.from_buffers(pa.binary(), len(lists), [None, pa.py_buffer((ends - ends[0]) * np.int32(4)),
                                                           pa.py_buffer(np.ascontiguousarray(values).view(np.uint8))])


# --- records ---------------------------------------------------------------------------------------------------------


def _record(array: pa.Array, sql_type: SqlType, settings: TaskSettings) -> Varying:
    """Composite values, which are held as text: each field's texts become a column of its type and that one's bytes."""
    from shoal.exec.functions.rows import field_columns, typed
    fields = sql_type.fields
    if fields is None and array.null_count == len(array):
        fields = ()
    if fields is None:
        raise FeatureNotSupported("binary output of records whose fields are not known is not supported")
    for _, field in fields:
        _check_exact(field, settings)
    parts: list[pa.Array | pa.Scalar] = [pa.scalar(struct.pack(">i", len(fields)), pa.binary())]
    known = array.drop_null()
    for (_, field), texts in zip(fields, field_columns(known, len(fields)), strict=True):
        column = typed(texts, field, EvaluationContext(settings))
        parts += [pa.scalar(struct.pack(">I", field.oid), pa.binary()), prefixed(binary_form(column, field, settings))]
    joined = pc.binary_join_element_wise(*parts, NOTHING) if len(known) and fields else pa.array(
        [parts[0].as_py()] * len(known), pa.binary())
    valid = views.validity(array)
    if valid is None:
        return varying(joined)
    return varying(joined.take(pa.array(np.cumsum(valid) - 1, mask=~valid)))


def _check_exact(field: SqlType, settings: TaskSettings) -> None:
    """Raises: FeatureNotSupported (0A000) where a field's text does not say its value exactly."""
    name = field.name.removeprefix("_")
    if name in OID_LIKE - {"oid", "xid", "cid"}:
        raise FeatureNotSupported(f"binary output of records with fields of type {field.sql} is not supported")
    if (name in ("float4", "float8") and settings.styles.float_digits < 1) or (
            name == "timestamptz" and settings.styles.date != "ISO"):
        raise FeatureNotSupported(f"binary output of records with fields of type {field.sql} is not supported with these "
                                  "settings of extra_float_digits and DateStyle")


# --- rare types, once per distinct value -----------------------------------------------------------------------------


def _per_distinct(array: pa.Array, convert: Callable[[str], bytes]) -> pa.Array:
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    converted = pa.array([None if text is None else convert(text) for text in encoded.dictionary.to_pylist()], pa.binary())
    return converted.take(encoded.indices)


_TIMETZ = re.compile(r"(\d+):(\d+):(\d+)(?:\.(\d+))?([+-])(\d+)(?::(\d+))?(?::(\d+))?$")


def _timetz(text: str) -> bytes:
    match = _TIMETZ.match(text)
    if match is None:
        raise FeatureNotSupported(f'binary output of time with time zone "{text}" is not supported')
    hours, minutes, seconds, fraction, sign, zone_hours, zone_minutes, zone_seconds = match.groups()
    micros = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1_000_000 + int((fraction or "").ljust(6, "0") or 0)
    zone = int(zone_hours) * 3600 + int(zone_minutes or 0) * 60 + int(zone_seconds or 0)
    return struct.pack(">qi", micros, -zone if sign == "+" else zone)


def _inet(text: str, network: int = 0) -> bytes:
    interface = ipaddress.ip_interface(text)
    packed = interface.packed
    return bytes((2 if interface.version == 4 else 3, interface.network.prefixlen, network, len(packed))) + packed


def _char(text: str) -> bytes:
    """One byte; see text_input.char_form."""
    return bytes([int(text[1:], 8)]) if len(text) == 4 else text.encode()[:1] or b"\0"


def _bits(text: str) -> bytes:
    """How many bits, then the bits, filled up to whole bytes at the right."""
    size = (len(text) + 7) // 8
    return struct.pack(">i", len(text)) + int(text.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big")


def _hardware(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _range(kind: str) -> Callable[[str], bytes]:
    def convert(text: str) -> bytes:
        from shoal.exec.encoding.range_binary import range_bytes
        return range_bytes(text, kind)
    return convert


_PER_DISTINCT: dict[str, Callable[[str], bytes]] = {
    "timetz": _timetz, "inet": _inet, "char": _char, "bit": _bits, "varbit": _bits,
    "cidr": lambda text: _inet(text, 1), "macaddr": _hardware, "macaddr8": _hardware,
    **{kind: _range(kind) for kind in (*RANGES, *MULTIRANGES)}}
