"""The storage forms of numerics that bring each its own scale: what an undeclared numeric, a quotient, an average has.

    struct<value: int64 | decimal128(38,0) | decimal256(76,0), scale: int16>     unscaled integer and digits after the point
    string                                                                      PostgreSQL's text; for what fits no other

A scale below zero is no scale: the value is then NaN or an infinity (`NAN`, `INFINITY`, `MINUS_INFINITY`). As with other
numerics any batch may have any of the forms, and readers take all (exec/kernels/scaled.py). Values of one column whose
scale is certain are no such numerics: they stay plain integers and decimals (types.py).

Spec: PostgreSQL 15 documentation, 8.1.2 "Arbitrary Precision Numbers"; display scales as its numeric.c has them.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import specials
from shoal.catalog.errors import NumericOutOfRange

NAN, INFINITY, MINUS_INFINITY = -1, -2, -3
_SPECIALS = {specials.NAN: NAN, specials.INFINITY: INFINITY, specials.MINUS_INFINITY: MINUS_INFINITY}
SPECIAL_TEXTS = {NAN: "NaN", INFINITY: "Infinity", MINUS_INFINITY: "-Infinity"}
MOST_WHOLE_DIGITS, MOST_SCALE = 131_072, 16_383
EXACT = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[])
"""No rounding."""
_AT_ONCE = 4000
"""Digits that int() and str() take."""
_LIMIT_128, _LIMIT_256 = 10 ** 38, 10 ** 76
_SIMPLE = r"^-?(\d+\.?\d*|\.\d+)$"
_NUMBER = re.compile(r"[ \t\n\r\v\f]*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?[ \t\n\r\v\f]*")


def scaled_type(value: pa.DataType) -> pa.DataType:
    return pa.struct([("value", value), ("scale", pa.int16())])


SCALED = scaled_type(pa.int64())


def is_scaled(arrow: pa.DataType) -> bool:
    return pa.types.is_struct(arrow) and arrow.field(0).name == "value"


def struct_of(value: pa.Array, scales: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """The struct form of unscaled integers (without NULLs) and scales."""
    bits = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    scale = pa.array(np.ascontiguousarray(scales, np.int16))
    return pa.Array.from_buffers(scaled_type(value.type), len(value), [bits], children=[value, scale])


def integer(digits: str) -> int:
    """int() of decimal digits, however many."""
    if len(digits) <= _AT_ONCE:
        return int(digits or "0")
    half = len(digits) // 2
    return integer(digits[:-half]) * 10 ** half + integer(digits[-half:])


def digits_of(value: int) -> str:
    """The decimal digits of an integer that is not negative."""
    if value.bit_length() <= 3 * _AT_ONCE:
        return str(value)
    half = digit_count(value) // 2
    whole, rest = divmod(value, 10 ** half)
    return digits_of(whole) + digits_of(rest).zfill(half)


def digit_count(value: int) -> int:
    """How many decimal digits an integer above 0 has."""
    count = int((value.bit_length() - 1) * 0.30102999566398120) + 1
    return count + (value >= 10 ** count)


def plain(value: int, scale: int) -> str:
    """value / 10**scale as PostgreSQL prints it."""
    if scale < 0:
        return SPECIAL_TEXTS[scale]
    digits = digits_of(abs(value)).rjust(scale + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}" if scale else \
        f"{'-' if value < 0 else ''}{digits}"


def parsed(text: str) -> tuple[int, int] | None:
    """(unscaled integer, scale) of a number's or special value's text; None where it is no such text.

    Raises: NumericOutOfRange (22003) for exponents and digits beyond all numerics.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        special = specials.parsed(text)
        return None if special is None else (0, _SPECIALS[special])
    whole, fraction, exponent = match[2], match[3] or "", int(match[4] or 0)
    if abs(exponent) >= 1 << 30:
        raise NumericOutOfRange("value overflows numeric format")
    scale = len(fraction) - exponent
    digits = (whole + fraction).lstrip("0") or "0"
    if len(digits) - scale > MOST_WHOLE_DIGITS and digits != "0":
        raise NumericOutOfRange("value overflows numeric format")
    if scale > MOST_SCALE:
        kept = len(digits) - (scale - MOST_SCALE)
        up = kept >= 0 and digits[kept:kept + 1] >= "5"
        value, scale = (integer(digits[:kept]) if kept > 0 else 0) + up, MOST_SCALE
    else:
        value = integer(digits)
    if scale < 0:
        value, scale = value * 10 ** -scale if value else 0, 0
    return (-value if match[1] == "-" else value), scale


def decimal_of(text: str) -> decimal.Decimal:
    return EXACT.create_decimal(text)


def made(values: Sequence[int], scales: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """A column of Python integers and their scales, in the narrowest form that holds them."""
    reach = max(max(values, default=0), -min(values, default=0))
    if reach >= _LIMIT_256:
        mask = None if valid is None else ~valid
        return pa.array([plain(v, s) for v, s in zip(values, scales.tolist(), strict=True)], pa.string(), mask=mask)
    if reach < 1 << 63:
        return struct_of(pa.array(values, pa.int64()), scales, valid)
    width = 2 if reach < _LIMIT_128 else 4
    data = b"".join(value.to_bytes(8 * width, "little", signed=True) for value in values)
    arrow = pa.decimal128(38, 0) if width == 2 else pa.decimal256(76, 0)
    return struct_of(pa.Array.from_buffers(arrow, len(values), [None, pa.py_buffer(data)]), scales, valid)


def of_texts(array: pa.Array) -> pa.Array:
    """A string column of numbers as PostgreSQL prints or reads them, in the struct form where that holds all values.

    Raises: NumericOutOfRange (22003), ValueError where a text is no number.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    valid = None if not array.null_count else np.asarray(array.is_valid())
    found = _of_short_texts(array, valid)
    if found is not None:
        return found
    values, scales = [], np.zeros(len(array), np.int64)
    for row, text in enumerate(array.to_pylist()):
        pair = (0, 0) if text is None else parsed(text)
        if pair is None:
            raise ValueError(text)
        values.append(pair[0])
        scales[row] = pair[1]
    return made(values, scales, valid)


def _of_short_texts(array: pa.Array, valid: np.ndarray | None) -> pa.Array | None:
    """All at once where every text has at most 18 digits and nothing else; else None."""
    if len(array) < 16 or (pc.max(pc.binary_length(array)).as_py() or 99) > 19:
        return None
    if pc.all(pc.match_substring_regex(array, _SIMPLE)).as_py() is not True:
        return None
    filled = array if valid is None else array.fill_null("0")
    point = pc.find_substring(filled, ".").to_numpy(zero_copy_only=False)
    lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False)
    try:
        value = pc.cast(pc.replace_substring(filled, ".", "", max_replacements=1), pa.int64())
    except pa.ArrowInvalid:
        return None
    return struct_of(value, np.where(point < 0, 0, lengths - point - 1), valid)


def normalized(array: pa.Array) -> pa.Array:
    """What a source delivered (texts, decimals, integers, floats) in one of the forms of this file."""
    arrow = array.type
    if is_scaled(arrow):
        return array
    if pa.types.is_decimal(arrow) and not specials.present(array):
        valid = None if not array.null_count else np.asarray(array.is_valid())
        words = pa.Array.from_buffers(_at_zero(arrow), len(array),
                                      [None, array.buffers()[1]], offset=array.offset)
        return struct_of(words, np.full(len(array), arrow.scale), valid)
    return of_texts(pc.cast(array, pa.string()))


def _at_zero(arrow: pa.DataType) -> pa.DataType:
    return pa.decimal128(38, 0) if arrow.byte_width == 16 else pa.decimal256(76, 0)


def alike(arrays: Sequence[pa.Array]) -> list[pa.Array]:
    """Columns that may be put together: all in the widest of their forms."""
    types = {array.type for array in arrays}
    if len(types) == 1:
        return list(arrays)
    if any(not is_scaled(t) and not pa.types.is_null(t) for t in types):
        return [texts(array) for array in arrays]
    kinds = [t.field(0).type for t in types if is_scaled(t)]
    widest = max(kinds, key=lambda t: t.bit_width) if kinds else pa.int64()
    return [_widened(array, widest) for array in arrays]


def _widened(array: pa.Array, value: pa.DataType) -> pa.Array:
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), scaled_type(value))
    if array.type.field(0).type == value:
        return array
    narrow = array.field(0)
    size, have = value.byte_width // 8, narrow.type.bit_width // 64
    words = np.empty((len(array), size), np.int64)
    words[:, :have] = np.frombuffer(narrow.buffers()[1], "<i8", have * len(array),
                                    8 * have * narrow.offset).reshape(-1, have) if len(array) else 0
    words[:, have:] = (words[:, have - 1] >> 63)[:, None]
    wide = pa.Array.from_buffers(value, len(array), [None, pa.py_buffer(words)])
    valid = None if not array.null_count else np.asarray(array.is_valid())
    scales = array.field(1)  # may itself have NULLs, where the row is NULL
    return struct_of(wide, (scales.fill_null(0) if scales.null_count else scales).to_numpy(), valid)


def texts(array: pa.Array) -> pa.Array:
    """Any form as the string form, value by value."""
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if not is_scaled(array.type):
        return array.cast(pa.string())
    values = array.field(0).cast(pa.decimal256(76, 0)).to_pylist()
    known = array.is_valid().to_pylist()
    return pa.array([plain(int(v), s) if ok else None for v, s, ok in
                     zip(values, array.field(1).to_pylist(), known, strict=True)], pa.string())
