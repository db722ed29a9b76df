"""Ranges and multiranges: text to values and back, and the algebra on them, a value at a time.

Batches hold the canonical text: discrete ranges as [a,b), dates as ISO, instants in UTC. A bound's key is what it is
ordered by: integers, days or microseconds since 1970, and (is NaN, Decimal) for numerics.

Spec: PostgreSQL 15 documentation, 8.17 "Range Types" and 9.20; rangetypes.c and multirangetypes.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

from shoal.catalog.errors import DataException, DatetimeOverflow, InvalidTextRepresentation, NumericOutOfRange
from shoal.catalog.types import MULTIRANGES, RANGES
from shoal.exec.kernels.timezones import DATE_INFINITY, DATE_MINUS_INFINITY

_SPACE = " \t\n\r\v\f"
_BITS = {"int4": 31, "int8": 63}
_LAST_DAY = 2_145_042_905
_QUOTED = re.compile(r'["\\()\[\],\s]')
_LEAST, _MOST = (-1, 0, 0), (1, 0, 0)


class Range(NamedTuple):
    """One range; a bound None is infinite. Empty ranges are `EMPTY`."""

    lower: Any
    upper: Any
    lower_inc: bool
    upper_inc: bool
    empty: bool = False

    @property
    def low(self) -> tuple[int, Any, int]:
        """Where it begins: comparable with all beginnings and ends."""
        return _LEAST if self.lower is None else (0, self.lower, 0 if self.lower_inc else 1)

    @property
    def high(self) -> tuple[int, Any, int]:
        return _MOST if self.upper is None else (0, self.upper, 0 if self.upper_inc else -1)


EMPTY = Range(None, None, False, False, True)
Multirange = tuple[Range, ...]


# --- bounds

def bound_key(text: str, element: str) -> Any:
    """The key of a bound's text in the form that batches hold."""
    from shoal.exec.functions import datetime_input
    match element:
        case "int4" | "int8":
            return int(text)
        case "numeric":
            return (1, Decimal(0)) if text == "NaN" else (0, Decimal(text))
        case "date":
            return datetime_input.parse_date(text, 0, "UTC", "YMD")
        case _:
            return datetime_input.parse_timestamp(text, 0, "UTC", element == "timestamptz", "YMD")


def bound_text(key: Any, element: str) -> str:
    """The text of a bound, as batches hold it."""
    from shoal.exec.functions.text_output import date_text, timestamp_text
    match element:
        case "int4" | "int8":
            return str(key)
        case "numeric":
            return "NaN" if key[0] else format(key[1], "f") if key[1].is_finite() else str(key[1])
        case "date":
            return {DATE_INFINITY: "infinity", DATE_MINUS_INFINITY: "-infinity"}.get(key) or date_text(key)
        case "timestamptz":
            text = timestamp_text(key)
            if text.endswith("infinity"):
                return text
            return text.removesuffix(" BC") + "+00 BC" if text.endswith(" BC") else text + "+00"
        case _:
            return timestamp_text(key)


def make(kind: str, lower: Any, upper: Any, lower_inc: bool, upper_inc: bool) -> Range:
    """A canonical range of keys. Raises: DataException (22000) for bounds in the wrong order, NumericOutOfRange (22003),
    DatetimeOverflow (22008)."""
    lower_inc, upper_inc = lower_inc and lower is not None, upper_inc and upper is not None
    if lower is not None and upper is not None:
        if lower > upper:
            raise DataException("range lower bound must be less than or equal to range upper bound")
        if lower == upper and not (lower_inc and upper_inc):
            return EMPTY
    element = RANGES[kind]
    if element in ("int4", "int8", "date"):
        if lower is not None and not lower_inc and not _endless(lower, element):
            lower, lower_inc = _next(lower, element), True
        if upper is not None and upper_inc and not _endless(upper, element):
            upper, upper_inc = _next(upper, element), False
        if lower is not None and upper is not None and lower == upper and not (lower_inc and upper_inc):
            return EMPTY
    return Range(lower, upper, lower_inc, upper_inc)


def _endless(key: int, element: str) -> bool:
    return element == "date" and key in (DATE_INFINITY, DATE_MINUS_INFINITY)


def _next(key: int, element: str) -> int:
    if element == "date":
        if key >= _LAST_DAY:
            raise DatetimeOverflow("date out of range")
    elif key + 1 >= 1 << _BITS[element]:
        raise NumericOutOfRange(f"{'integer' if element == 'int4' else 'bigint'} out of range")
    return key + 1


# --- texts

def _malformed(text: str, detail: str, what: str = "range") -> InvalidTextRepresentation:
    return InvalidTextRepresentation(f'malformed {what} literal: "{text}"', detail=detail)


def scanned(text: str) -> tuple[str | None, str | None, bool, bool] | None:
    """(lower text, upper text, lower inclusive, upper inclusive) of a range literal; None for the empty one.

    Raises: InvalidTextRepresentation (22P02).
    """
    body = text.strip(_SPACE)
    if body.lower() == "empty":
        return None
    if not text.lstrip(_SPACE)[:1] or text.lstrip(_SPACE)[0] not in "[(":
        if body[:5].lower() == "empty":
            raise _malformed(text, 'Junk after "empty" key word.')
        raise _malformed(text, "Missing left parenthesis or bracket.")
    position = len(text) - len(text.lstrip(_SPACE))
    lower_inc = text[position] == "["
    lower, position = _bound(text, position + 1)
    if text[position] != ",":
        raise _malformed(text, "Missing comma after lower bound.")
    upper, position = _bound(text, position + 1)
    if text[position] == ",":
        raise _malformed(text, "Too many commas.")
    if text[position + 1:].strip(_SPACE):
        raise _malformed(text, "Junk after right parenthesis or bracket.")
    return lower, upper, lower_inc, text[position] == "]"


def _bound(text: str, position: int) -> tuple[str | None, int]:
    """A bound's text (None: infinite) and where what ends it stands."""
    if position < len(text) and text[position] in ",)]":
        return None, position
    out: list[str] = []
    quoted = False
    while True:
        if position >= len(text):
            raise _malformed(text, "Unexpected end of input.")
        character = text[position]
        if not quoted and character in ",)]":
            return "".join(out), position
        if character == "\\":
            if position + 1 >= len(text):
                raise _malformed(text, "Unexpected end of input.")
            out.append(text[position + 1])
            position += 2
        elif character == '"':
            if quoted and text[position + 1:position + 2] == '"':
                out.append('"')
                position += 2
                continue
            quoted = not quoted
            position += 1
        else:
            out.append(character)
            position += 1


def text_of_bounds(lower: str | None, upper: str | None, lower_inc: bool, upper_inc: bool) -> str:
    """A range's text from its bounds' texts."""
    return (f"{'[' if lower_inc else '('}{_shown(lower)},{_shown(upper)}{']' if upper_inc else ')'}")


def _shown(text: str | None) -> str:
    if text is None:
        return ""
    if text and not _QUOTED.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '""') + '"'


def text_of(value: Range, kind: str) -> str:
    """The canonical text of a range."""
    if value.empty:
        return "empty"
    element = RANGES[kind]
    lower, upper = (None if key is None else bound_text(key, element) for key in (value.lower, value.upper))
    return text_of_bounds(lower, upper, value.lower_inc, value.upper_inc)


@lru_cache(maxsize=65536)
def range_of(text: str, kind: str) -> Range:
    """The range of a canonical text."""
    found = scanned(text)
    if found is None:
        return EMPTY
    element = RANGES[kind]
    lower, upper = (None if part is None else bound_key(part, element) for part in found[:2])
    return Range(lower, upper, found[2], found[3])


def parsed(text: str, kind: str, bound: Callable[[str], str]) -> Range:
    """The range of any literal; `bound` brings a bound's text to the form that batches hold."""
    found = scanned(text)
    if found is None:
        return EMPTY
    element = RANGES[kind]
    lower, upper = (None if part is None else bound_key(bound(part), element) for part in found[:2])
    return make(kind, lower, upper, found[2], found[3])


def multirange_parts(text: str) -> list[str]:
    """The texts of the ranges in a multirange literal. Raises: InvalidTextRepresentation (22P02)."""
    body = text.strip(_SPACE)
    if not body.startswith("{"):
        raise _malformed(text, "Missing left brace.", "multirange")
    parts: list[str] = []
    position, expecting = 1, True
    while True:
        while position < len(body) and body[position] in _SPACE:
            position += 1
        if position >= len(body):
            raise _malformed(text, "Unexpected end of input.", "multirange")
        character = body[position]
        if character == "}" and (not expecting or not parts):
            if body[position + 1:]:
                raise _malformed(text, "Junk after closing right brace.", "multirange")
            return parts
        if character == "," and not expecting:
            expecting, position = True, position + 1
            continue
        if not expecting:
            raise _malformed(text, "Expected comma or end of multirange.", "multirange")
        if body[position:position + 5].lower() == "empty":
            parts.append("empty")
            position += 5
        elif character in "[(":
            end = _range_end(body, position, text)
            parts.append(body[position:end])
            position = end
        else:
            raise _malformed(text, "Expected range start.", "multirange")
        expecting = False


def _range_end(body: str, position: int, text: str) -> int:
    quoted = False
    while position < len(body):
        character = body[position]
        if character == "\\":
            position += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in ")]":
            return position + 1
        position += 1
    raise _malformed(text, "Unexpected end of input.", "multirange")


@lru_cache(maxsize=65536)
def multirange_of(text: str, kind: str) -> Multirange:
    """The multirange of a canonical text."""
    return tuple(range_of(part, MULTIRANGES[kind]) for part in multirange_parts(text))


def multirange_text(value: Iterable[Range], kind: str) -> str:
    return "{" + ",".join(text_of(one, MULTIRANGES[kind]) for one in value) + "}"


def normal_text(text: str, kind: str) -> str:
    """The text of an equal value that all equal ones share: numbers without zeros at their ends."""
    if kind in MULTIRANGES:
        inner = MULTIRANGES[kind]
        return "{" + ",".join(normal_text(part, inner) for part in multirange_parts(text)) + "}"
    value = range_of(text, kind)
    if value.empty:
        return "empty"
    lower, upper = (None if key is None else (key[0], _trimmed(key[1])) for key in (value.lower, value.upper))
    return text_of(value._replace(lower=lower, upper=upper), kind)


def _trimmed(number: Decimal) -> Decimal:
    try:
        return number.normalize() + 0 if number.is_finite() else number
    except InvalidOperation:
        return number


# --- algebra on ranges

def order_key(value: Range) -> tuple[Any, ...]:
    """Empty ranges first, then by lower and by upper bound."""
    return (0,) if value.empty else (1, value.low, value.high)


def multirange_key(value: Multirange) -> tuple[Any, ...]:
    return tuple(order_key(one) for one in value)


def contains(a: Range, b: Range) -> bool:
    return b.empty or (not a.empty and a.low <= b.low and b.high <= a.high)


def contains_value(a: Range, key: Any) -> bool:
    return not a.empty and a.low <= (0, key, 0) <= a.high


def overlaps(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and a.low <= b.high and b.low <= a.high


def before(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and a.high < b.low


def overleft(a: Range, b: Range) -> bool:
    """a does not extend to the right of b."""
    return not a.empty and not b.empty and a.high <= b.high


def overright(a: Range, b: Range) -> bool:
    return not a.empty and not b.empty and a.low >= b.low


def adjacent(a: Range, b: Range) -> bool:
    """Nothing lies between them, and they share nothing (discrete ranges are in canonical form)."""
    def meets(left: Range, right: Range) -> bool:
        return (left.upper is not None and right.lower is not None and left.upper == right.lower
                and left.upper_inc != right.lower_inc)
    return not a.empty and not b.empty and (meets(a, b) or meets(b, a))


def _spanning(low: Range, high: Range) -> Range:
    return Range(low.lower, high.upper, low.lower_inc, high.upper_inc)


def merged(a: Range, b: Range) -> Range:
    """The smallest range that contains both."""
    if a.empty or b.empty:
        return b if a.empty else a
    return _spanning(a if a.low <= b.low else b, a if a.high >= b.high else b)


def union(a: Range, b: Range) -> Range:
    """Raises: DataException (22000) where a gap is between them."""
    if not a.empty and not b.empty and not overlaps(a, b) and not adjacent(a, b):
        raise DataException("result of range union would not be contiguous")
    return merged(a, b)


def intersection(a: Range, b: Range) -> Range:
    if not overlaps(a, b):
        return EMPTY
    return _spanning(a if a.low >= b.low else b, a if a.high <= b.high else b)


def pieces_without(a: Range, b: Range) -> list[Range]:
    """What of a is not in b: none, one or two ranges."""
    if a.empty or not overlaps(a, b):
        return [] if a.empty else [a]
    found = []
    if a.low < b.low:
        found.append(Range(a.lower, b.lower, a.lower_inc, not b.lower_inc))
    if a.high > b.high:
        found.append(Range(b.upper, a.upper, not b.upper_inc, a.upper_inc))
    return found


def difference(a: Range, b: Range) -> Range:
    """Raises: DataException (22000) where two pieces would remain."""
    found = pieces_without(a, b)
    if len(found) > 1:
        raise DataException("result of range difference would not be contiguous")
    return found[0] if found else EMPTY


# --- algebra on multiranges

def normalized(ranges: Iterable[Range]) -> Multirange:
    """The multirange of these ranges: sorted, those that meet put together, no empty ones."""
    out: list[Range] = []
    for one in sorted((r for r in ranges if not r.empty), key=order_key):
        if out and (overlaps(out[-1], one) or adjacent(out[-1], one)):
            out[-1] = merged(out[-1], one)
        else:
            out.append(one)
    return tuple(out)


def span(value: Multirange) -> Range:
    """The range from the first beginning to the last end."""
    return _spanning(value[0], value[-1]) if value else EMPTY


def multi_contains(a: Multirange, b: Multirange) -> bool:
    return all(any(contains(whole, part) for whole in a) for part in b)


def multi_overlaps(a: Multirange, b: Multirange) -> bool:
    return any(overlaps(x, y) for x in a for y in b)


def multi_adjacent(a: Multirange, b: Multirange) -> bool:
    return bool(a) and bool(b) and ((adjacent(a[-1], b[0]) and before(a[-1], b[0])) or (adjacent(b[-1], a[0])
                                    and before(b[-1], a[0])))


def multi_intersection(a: Multirange, b: Multirange) -> Multirange:
    return normalized(intersection(x, y) for x in a for y in b)


def multi_difference(a: Multirange, b: Multirange) -> Multirange:
    left = list(a)
    for hole in b:
        left = [piece for one in left for piece in pieces_without(one, hole)]
    return normalized(left)
