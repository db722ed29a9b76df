"""The static precision and scale of numeric results: what `returns` of numeric declarations computes.

The scale decides what is kept and shown; the precision is only a cap on digits. Results are computed exactly at
the result's scale whatever the precision says (kernels/decimals.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.types import NUMERIC, SqlType, numeric

MAX_DIGITS = 76
MAX_SCALE = 38
"""Products of unconstrained numerics keep at most this many digits after the point."""
QUOTIENT_SCALE = 16
_INTEGER_DIGITS = {"int2": 5, "int4": 10, "int8": 19}


def precision_of(sql_type: SqlType) -> int:
    return sql_type.precision if sql_type.precision is not None else 38


def scale_of(sql_type: SqlType) -> int:
    return sql_type.scale or 0


def as_numeric(sql_type: SqlType) -> SqlType:
    """The numeric type that holds every value of a number type; of other types the unconstrained one."""
    if sql_type.name == "numeric":
        return sql_type
    digits = _INTEGER_DIGITS.get(sql_type.name)
    return numeric(digits, 0) if digits else NUMERIC


def merged(types: Sequence[SqlType]) -> SqlType:
    """The numeric type that holds the values of all these."""
    all_numeric = [as_numeric(t) for t in types]
    scale = max(scale_of(t) for t in all_numeric)
    whole = max(precision_of(t) - scale_of(t) for t in all_numeric)
    return numeric(min(whole + scale, MAX_DIGITS), scale, trim=any(t.trim for t in all_numeric))


def sum_of_two(types: Sequence[SqlType]) -> SqlType:
    """a + b, a - b."""
    held = merged(types)
    return numeric(min(precision_of(held) + 1, MAX_DIGITS), scale_of(held), trim=held.trim)


def product(types: Sequence[SqlType]) -> SqlType:
    left, right = types
    scale = scale_of(left) + scale_of(right)
    trim = left.trim or right.trim
    if scale > MAX_SCALE:
        scale = max(MAX_SCALE, scale_of(left), scale_of(right))
    return numeric(min(precision_of(left) + precision_of(right), MAX_DIGITS), scale, trim=trim)


def quotient(types: Sequence[SqlType]) -> SqlType:
    return numeric(38, max(QUOTIENT_SCALE, *(scale_of(t) for t in types)))


def quotient_of_one(types: Sequence[SqlType]) -> SqlType:
    """sqrt, exp, ln, log: not exact, so with a quotient's scale."""
    return numeric(38, max(QUOTIENT_SCALE, scale_of(types[0])))


def remainder(types: Sequence[SqlType]) -> SqlType:
    return merged(types)


def same(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def whole(types: Sequence[SqlType]) -> SqlType:
    """floor, ceil, round(x): one more digit before the point, none after."""
    return numeric(min(precision_of(types[0]) - scale_of(types[0]) + 1, MAX_DIGITS), 0)


def rounded(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    """round(x, n), trunc(x, n): scale n where n is a literal, else the argument's, not padded."""
    digits = constants[1] if len(constants) > 1 else None
    left = precision_of(types[0]) - scale_of(types[0]) + 1
    if isinstance(digits, int):
        scale = min(max(digits, 0), MAX_SCALE)
        return numeric(min(max(left + scale, 1), MAX_DIGITS), scale)
    return numeric(min(left + scale_of(types[0]), MAX_DIGITS), scale_of(types[0]), trim=True)


def total(types: Sequence[SqlType]) -> SqlType:
    """sum(numeric)."""
    return numeric(38, scale_of(types[0]), trim=types[0].trim)


def average(types: Sequence[SqlType]) -> SqlType:
    """avg, stddev and variance of numbers that are not floats."""
    return numeric(38, max(QUOTIENT_SCALE, scale_of(as_numeric(types[0]))))
