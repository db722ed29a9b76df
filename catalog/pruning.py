"""Whether a filter can hold for any row of a part whose smallest and largest values are known, and for one value.

`may_match` skips row groups, stripes and partitions; it errs only towards reading too much. `matches` decides for
a single value with SQL's meaning, which is exact for a partition column. Both are for connectors of any kind.

Hops 3 (push-down) and 6 (reading).
"""

from __future__ import annotations

import datetime
import decimal
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shoal.catalog.connector import Predicate


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of one column in one part of a table.

    `minimum`/`maximum` None means not known; a file may hold bounds that are wider than its values. `nulls` and
    `rows` None means not known. `may_hold_nan`: values above `maximum` may exist (NaN sorts last in SQL, and files
    leave it out of their bounds).
    """

    minimum: Any = None
    maximum: Any = None
    nulls: int | None = None
    rows: int | None = None
    may_hold_nan: bool = False


def may_match(predicate: Predicate, bounds: Bounds) -> bool:
    """False only if no row of the part can meet the predicate."""
    all_null = bounds.nulls is not None and bounds.nulls == bounds.rows
    match predicate.operator:
        case "is_null":
            return bounds.nulls != 0
        case "is_not_null":
            return not all_null
    if all_null and bounds.rows:
        return False
    low, high = bounds.minimum, bounds.maximum
    if low is None or high is None:
        return True
    try:
        return _may_compare(predicate, low, high, bounds.may_hold_nan)
    except (TypeError, decimal.InvalidOperation):  # not comparable: nothing can be said
        return True


def _may_compare(predicate: Predicate, low: Any, high: Any, nan: bool) -> bool:
    values = predicate.values
    if any(value is None for value in values) and predicate.operator != "in":
        return False  # a comparison with NULL is never true
    match predicate.operator:
        case "eq":
            return _within(values[0], low, high, nan)
        case "in":
            return any(value is not None and _within(value, low, high, nan) for value in values)
        case "ne":
            return nan or not (low == high == _like(values[0], low))
        case "lt":
            return _is_nan(values[0]) or low < _like(values[0], low)
        case "le":
            return _is_nan(values[0]) or low <= _like(values[0], low)
        case "gt":
            return nan or high > _like(values[0], high)
        case "ge":
            return nan or high >= _like(values[0], high)
        case "like":
            prefix = _literal_prefix(values[0])
            return not prefix or not isinstance(low, str) or (low[:len(prefix)] <= prefix <= high)
    return True


def _within(value: Any, low: Any, high: Any, nan: bool) -> bool:
    if _is_nan(value):
        return True
    value = _like(value, low)
    return low <= value and (value <= high or (nan and value != value))


def _is_nan(value: Any) -> bool:
    return isinstance(value, (float, decimal.Decimal)) and value != value


def _like(value: Any, other: Any) -> Any:
    """`value` in a form Python compares with `other`: a date is the midnight it starts with."""
    is_midnight = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    if is_midnight and isinstance(other, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=other.tzinfo)
    return value


def matches(predicate: Predicate, value: Any) -> bool:
    """Whether a row with this value in the predicate's column passes, as SQL decides it (unknown is no).

    Raises: TypeError where Python cannot compare the two.
    """
    if predicate.operator in ("is_null", "is_not_null"):
        return (value is None) == (predicate.operator == "is_null")
    if value is None:
        return False
    values = [_like(item, value) for item in predicate.values]
    if predicate.operator == "in":
        return any(item is not None and value == item for item in values)
    if values[0] is None:
        return False
    match predicate.operator:
        case "eq":
            return value == values[0]
        case "ne":
            return value != values[0]
        case "lt":
            return value < values[0]
        case "le":
            return value <= values[0]
        case "gt":
            return value > values[0]
        case "ge":
            return value >= values[0]
        case "like":
            return like_pattern(values[0]).fullmatch(value) is not None
        case "not_like":
            return like_pattern(values[0]).fullmatch(value) is None
    raise TypeError(f"unknown operator {predicate.operator}")


def comparable(predicate: Predicate, example: Any) -> bool:
    """Whether `matches` has an answer for values like `example`, so that a connector may enforce the predicate."""
    text = isinstance(example, str)
    if predicate.operator in ("like", "not_like") and not text:
        return False
    for value in predicate.values:
        if value is not None and isinstance(value, str) != text:
            return False
    try:
        matches(predicate, example)
    except TypeError:
        return False
    return True


@lru_cache(256)
def like_pattern(pattern: str) -> re.Pattern[str]:
    """The regular expression (for fullmatch) of a LIKE pattern whose escape character is the backslash."""
    out, i = [], 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\" and i + 1 < len(pattern):
            i += 1
            out.append(re.escape(pattern[i]))
        else:
            out.append({"%": ".*", "_": "."}.get(char) or re.escape(char))
        i += 1
    return re.compile("".join(out), re.DOTALL)


def _literal_prefix(pattern: str) -> str:
    out, i = [], 0
    while i < len(pattern) and pattern[i] not in "%_":
        i += pattern[i] == "\\" and i + 1 < len(pattern)
        out.append(pattern[i])
        i += 1
    return "".join(out)
