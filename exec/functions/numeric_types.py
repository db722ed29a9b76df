"""The static precision and scale of numeric results: what `returns` of numeric declarations computes.

A result has a static scale where every value's is certain: sums and products of such, roundings to a literal number of
digits. Else each value brings its own (NUMERIC): quotients, averages, roots, and what mixes different scales. The
precision is only a cap on digits: results are computed exactly at the result's scale whatever it says
(kernels/decimals.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.types import NUMERIC, SqlType, numeric

MAX_DIGITS = 76
MAX_SCALE = 38
"""Products with more digits after the point, or more at all, are not of a static scale."""
_INTEGER_DIGITS = {"int2": 5, "int4": 10, "int8": 19}


def precision_of(sql_type: SqlType) -> int:
    return sql_type.precision if sql_type.precision is not None else MAX_DIGITS


def scale_of(sql_type: SqlType) -> int:
    return sql_type.scale or 0


def as_numeric(sql_type: SqlType) -> SqlType:
    """The numeric type that holds every value of a number type; of other types the one of any scale."""
    if sql_type.name == "numeric":
        return sql_type
    digits = _INTEGER_DIGITS.get(sql_type.name)
    return numeric(digits, 0) if digits else NUMERIC


def merged(types: Sequence[SqlType]) -> SqlType:
    """The numeric type of a column in which values of all these types come, each with its scale."""
    all_numeric = [as_numeric(t) for t in types]
    first = all_numeric[0]
    if any(t.scale != first.scale for t in all_numeric) or first.varies:
        return NUMERIC
    return numeric(max(precision_of(t) for t in all_numeric), scale_of(first))


def aligned(types: Sequence[SqlType]) -> SqlType:
    """The type of results at the larger scale of these numerics."""
    if any(t.varies for t in types):
        return NUMERIC
    scale = max(scale_of(t) for t in types)
    whole = max(precision_of(t) - scale_of(t) for t in types)
    return numeric(whole + scale, scale) if whole + scale <= MAX_DIGITS else NUMERIC


def sum_of_two(types: Sequence[SqlType]) -> SqlType:
    """a + b, a - b."""
    held = aligned(types)
    if held.varies or precision_of(held) >= MAX_DIGITS:
        return NUMERIC
    return numeric(precision_of(held) + 1, scale_of(held))


def product(types: Sequence[SqlType]) -> SqlType:
    left, right = types
    if left.varies or right.varies:
        return NUMERIC
    scale, digits = scale_of(left) + scale_of(right), precision_of(left) + precision_of(right)
    return numeric(digits, scale) if scale <= MAX_SCALE and digits <= MAX_DIGITS else NUMERIC


def varying(types: Sequence[SqlType]) -> SqlType:
    """Quotients, averages, roots, exponents and logarithms."""
    return NUMERIC


def same(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def whole(types: Sequence[SqlType]) -> SqlType:
    """floor, ceil, round(x): one more digit before the point, none after."""
    if any(t.varies for t in types):
        return NUMERIC
    return numeric(min(precision_of(types[0]) - scale_of(types[0]) + 1, MAX_DIGITS), 0)


def rounded(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    """round(x, n), trunc(x, n): scale n where n is a literal."""
    digits = constants[1] if len(constants) > 1 else None
    if isinstance(digits, int) and not types[0].varies:
        left, scale = precision_of(types[0]) - scale_of(types[0]) + 1, max(digits, 0)
        if scale <= MAX_SCALE and left + scale <= MAX_DIGITS:
            return numeric(max(left + scale, 1), scale)
    return NUMERIC


def total(types: Sequence[SqlType]) -> SqlType:
    """sum(numeric)."""
    return NUMERIC if types[0].varies else numeric(max(38, precision_of(types[0])), scale_of(types[0]))
