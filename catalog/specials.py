"""NaN and the infinities of numeric: the three values of a decimal256 column that are no numbers.

They are raw 256-bit values outside of the 76 digits that numbers have, chosen so that raw values compare as PostgreSQL
orders numerics, and are equal where it says so:

    -Infinity  the least raw value | numbers | Infinity  the greatest but one | NaN  the greatest

Sorting, grouping, joins, DISTINCT, min and max of raw values therefore know nothing of them; whoever computes with
numbers sets them apart first: `stand_ins` says as floats where they are (IEEE arithmetic follows the same rules),
`without` takes them out, `placed` puts them in. Columns in int64 or decimal128 never hold one, and of decimal256 only the
highest words are looked at, so ordinary columns pay next to nothing.

Spec: PostgreSQL 15 documentation, 8.1.2 "Arbitrary Precision Numbers".
"""

from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa

NAN, INFINITY, MINUS_INFINITY = (1 << 255) - 1, (1 << 255) - 2, -(1 << 255)
TEXTS = {NAN: "NaN", INFINITY: "Infinity", MINUS_INFINITY: "-Infinity"}
"""Unscaled value -> what PostgreSQL prints."""
_SPELLINGS = {"nan": NAN, **{sign + word: value for word in ("inf", "infinity")
                             for sign, value in (("", INFINITY), ("+", INFINITY), ("-", MINUS_INFINITY))}}
_TOP, _BOTTOM = (1 << 63) - 1, -(1 << 63)
_WORDS = {value: np.frombuffer(value.to_bytes(32, "little", signed=True), "<i8") for value in TEXTS}
_SPACE = " \t\n\r\v\f"


def parsed(text: str) -> int | None:
    """The special value that a text spells, in PostgreSQL's spellings; None where it spells none."""
    return _SPELLINGS.get(text.strip(_SPACE).lower())


def of_float(value: float) -> int:
    """The special value of a float that is no finite number."""
    return NAN if value != value else INFINITY if value > 0 else MINUS_INFINITY


def of_decimal(value: decimal.Decimal) -> int:
    return NAN if value.is_nan() else INFINITY if value > 0 else MINUS_INFINITY


def _words(array: pa.Array) -> np.ndarray:
    return np.frombuffer(array.buffers()[1], "<i8", 4 * len(array), 32 * array.offset).reshape(-1, 4)


def _valid(array: pa.Array) -> np.ndarray | None:
    return np.asarray(array.is_valid()) if array.null_count else None


def present(array: pa.Array) -> bool:
    """Whether a numeric column (in any form) holds a special value; a value under NULL may count."""
    if not pa.types.is_decimal256(array.type) or not len(array) or array.buffers()[1] is None:
        return False
    high = _words(array)[:, 3]
    return int(high.max()) == _TOP or int(high.min()) == _BOTTOM


def stand_ins(array: pa.Array) -> np.ndarray | None:
    """float64: nan, inf and -inf where the column holds them, 0 for numbers and NULLs; None where it holds none."""
    if not present(array):
        return None
    words = _words(array)
    found = np.zeros(len(array))
    found[words[:, 3] == _BOTTOM] = -np.inf
    top = words[:, 3] == _TOP
    found[top] = np.where(words[top, 0] == -1, np.nan, np.inf)
    valid = _valid(array)
    if valid is not None:
        found[~valid] = 0.0
    return found if found.any() else None


def without(array: pa.Array, found: np.ndarray) -> pa.Array:
    """The column with NULL where `found` (see stand_ins) is not 0: what lies under NULL raises nowhere."""
    kept = found == 0
    valid = _valid(array)
    return _array(_zeroed(array, found), array.type.scale, kept if valid is None else kept & valid)


def as_zero(array: pa.Array, found: np.ndarray) -> pa.Array:
    """The column with 0 where `found` is not 0."""
    return _array(_zeroed(array, found), array.type.scale, _valid(array))


def _zeroed(array: pa.Array, found: np.ndarray) -> np.ndarray:
    return np.where((found == 0)[:, None], _words(array), 0)


def placed(array: pa.Array, found: np.ndarray, scale: int) -> pa.Array:
    """The numeric column (in any form) with the special values that `found` has where it is not finite; where it is,
    the column stays as it is."""
    words = np.empty((len(array), 4), np.int64)
    size = array.type.byte_width // 8
    if array.buffers()[1] is None:
        words[:] = 0
    else:
        have = np.frombuffer(array.buffers()[1], "<i8", size * len(array), 8 * size * array.offset).reshape(-1, size)
        words[:, :size] = have
        words[:, size:] = (have[:, -1] >> 63)[:, None]
    odd = ~np.isfinite(found)
    for value, where in ((NAN, np.isnan(found)), (INFINITY, found == np.inf), (MINUS_INFINITY, found == -np.inf)):
        words[where] = _WORDS[value]
    valid = _valid(array)
    return _array(words, scale, None if valid is None else valid | odd)


def with_infinities(array: pa.Array, value: int) -> pa.Array:
    """The column with the unscaled `value` in place of both infinities."""
    found = stand_ins(array)
    if found is None:
        return array
    words = _words(array).copy()
    words[np.isinf(found)] = np.frombuffer(value.to_bytes(32, "little", signed=True), "<i8")
    return _array(words, array.type.scale, _valid(array))


def _array(words: np.ndarray, scale: int, valid: np.ndarray | None) -> pa.Array:
    bits = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.decimal256(76, scale), len(words), [bits, pa.py_buffer(np.ascontiguousarray(words))])
