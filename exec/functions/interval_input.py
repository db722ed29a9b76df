"""Text to intervals: PostgreSQL's own form, SQL's and ISO 8601's.

Spec: PostgreSQL 15 documentation, 8.5.4 "Interval Input"; DecodeInterval and DecodeISO8601Interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from shoal.catalog.errors import DatetimeOverflow, IntervalFieldOverflow, InvalidDatetimeFormat
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

_MINUTE_US, _HOUR_US = 60 * SECOND_US, 3600 * SECOND_US
_SECONDS = {"microsecond", "millisecond", "second"}
_TIMES: dict[str, int] = {"microsecond": 1, "millisecond": 1000, "second": SECOND_US, "minute": _MINUTE_US, "hour": _HOUR_US}
_YEARS = {"year": 1, "decade": 10, "century": 100, "millennium": 1000}
_UNITS = {word: unit for unit, words in {
    "microsecond": "microsecond microseconds us usec usecs usecond useconds",
    "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds",
    "second": "second seconds s sec secs", "minute": "minute minutes m min mins", "hour": "hour hours h hr hrs",
    "day": "day days d", "week": "week weeks w", "month": "month months mon mons", "year": "year years y yr yrs",
    "decade": "decade decades dec decs", "century": "century centuries c cent",
    "millennium": "millennium millennia mil mils"}.items() for word in words.split()}
_TOKEN = re.compile(r"""
    (?P<time>\d+:[\d:.]*) | (?P<date>\d+[-/](?:\d+(?:[-/]\d+)*|\w*)) | (?P<number>\d+(?:\.\d*)?|\.\d+)
  | (?P<signed>[+-]\s*[\d.][\d:.-]*) | (?P<word>[A-Za-z]+) | (?P<skip>[\s!-*,/:-@\[-`{-~]+)
""", re.VERBOSE)
_CLOCK = re.compile(r"(\d+):(\d+)(?::(\d+)(\.\d*)?|(\.\d*))?")
_AMOUNT = re.compile(r"([+-]?\d*)(?:(-)(\d+)|(\.\d*))?")
_INT32, _INT64 = 1 << 31, 1 << 63


class _Bad(Exception):
    """The text is not in this form."""


class _Beyond(Exception):
    """A field is out of its range."""


class _Parts:
    """Months, days and microseconds, added up from amounts of units."""

    def __init__(self) -> None:
        self.years = self.months = self.days = self.us = 0

    def add(self, unit: str, whole: int, fraction: float) -> None:
        """`whole` + `fraction` of a unit; a fraction goes to the next smaller parts, as PostgreSQL rounds them."""
        if unit in _TIMES:
            self.us += whole * _TIMES[unit] + _rounded(fraction * _TIMES[unit])
        elif unit == "day":
            self.days += whole
            self.us += _rounded(fraction * DAY_US)
        elif unit == "week":
            self.days += whole * 7
            self._fraction_of_days(fraction * 7)
        elif unit == "month":
            self.months += whole
            self._fraction_of_days(fraction * 30)
        else:
            self.years += whole * _YEARS[unit]
            self.months += round(fraction * _YEARS[unit] * 12)
        if not (-_INT32 <= self.years < _INT32 and -_INT32 <= self.months < _INT32 and -_INT32 <= self.days < _INT32
                and -_INT64 <= self.us < _INT64):
            raise _Beyond

    def _fraction_of_days(self, days: float) -> None:
        self.days += int(days)
        self.us += _rounded((days - int(days)) * DAY_US)

    def negate(self) -> None:
        """Turns all parts around. Raises: _Beyond where one has no opposite."""
        if -_INT32 in (self.years, self.months, self.days) or self.us == -_INT64:
            raise _Beyond
        self.years, self.months, self.days, self.us = -self.years, -self.months, -self.days, -self.us

    def values(self) -> list[int]:
        return [self.years * 12 + self.months, self.days, self.us]


def _rounded(us: float) -> int:
    """To the nearest; halves towards zero."""
    whole = int(us)
    rest = us - whole
    return whole + (rest > 0.5) - (rest < -0.5)


def parse_interval(text: str, fields: Sequence[str] = (), style: str = "postgres") -> list[int]:
    """[months, days, microseconds]. `fields` are those of INTERVAL '3:4' MINUTE TO SECOND; `style` is IntervalStyle.

    Raises: InvalidDatetimeFormat (22007), IntervalFieldOverflow (22015), DatetimeOverflow (22008).
    """
    try:
        try:
            found = _decoded(text, tuple(fields), style)
        except _Bad:
            found = _iso(text.strip())
    except _Bad:
        raise InvalidDatetimeFormat(f'invalid input syntax for type interval: "{text}"') from None
    except _Beyond:
        raise IntervalFieldOverflow(f'interval field value out of range: "{text}"') from None
    if not -_INT32 <= found[0] < _INT32:
        raise DatetimeOverflow("interval out of range")
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Bad
        position = match.end()
        if match.lastgroup != "skip":
            found.append((str(match.lastgroup), re.sub(r"\s", "", match.group())))
    return found


def _decoded(text: str, fields: tuple[str, ...], style: str) -> list[int]:
    """Read from the right, since a unit stands behind its number."""
    tokens = _tokens(text)
    # in SQL's own style one sign before all fields means all of them
    negative = (style == "sql_standard" and bool(tokens) and tokens[0][1].startswith("-")
                and not any(token[0] in "+-" for _, token in tokens[1:]))
    parts = _Parts()
    seen: set[str] = set()
    unit = ""
    ago = False
    for kind, token in reversed(tokens):
        now: set[str]
        if kind == "word":
            word = token.lower()
            if word == "ago":
                ago, unit = True, ""
                continue
            if word[:10] not in _SHORTENED:
                raise _Bad
            unit = _SHORTENED[word[:10]]
            continue
        if kind == "time" or (kind == "signed" and ":" in token):
            us = _clock(token.lstrip("+-"), fields)
            parts.add("microsecond", -us if token.startswith("-") or negative else us, 0.0)
            now, unit = {"hour", "minute", *_SECONDS}, "day"
        else:
            now, unit = _amount(parts, token, unit or _rightmost(fields), negative)
        if now & seen:
            raise _Bad
        seen |= now
    if not seen:
        raise _Bad
    if ago:
        parts.negate()
    return parts.values()


_SHORTENED = {word[:10]: unit for word, unit in _UNITS.items()}
"""PostgreSQL looks at ten letters."""


def _rightmost(fields: tuple[str, ...]) -> str:
    """The unit of a number without one."""
    return fields[-1] if fields else "second"


def _amount(parts: _Parts, token: str, unit: str, negative: bool) -> tuple[set[str], str]:
    """Adds a number of `unit`, or SQL's years-months; gives the fields set and the unit of the number before it."""
    match = _AMOUNT.fullmatch(token)
    if match is None:
        raise _Bad
    minus = token.startswith("-")
    whole = int(match[1]) if match[1] not in ("", "+", "-") else 0
    if match[2]:
        months = int(match[3])
        if months > 11:
            raise _Beyond
        whole, fraction, unit = whole * 12 + (-months if minus else months), 0.0, "month"
    else:
        fraction = float("0" + match[4] + "0") if match[4] else 0.0
        fraction = -fraction if minus else fraction
    if not -_INT64 <= whole < _INT64:
        raise _Beyond
    if negative:
        whole, fraction = -abs(whole), -abs(fraction)
    parts.add(unit, whole, fraction)
    if unit == "second" and fraction:
        return set(_SECONDS), unit
    return {unit}, "day" if unit == "hour" else unit


def _clock(token: str, fields: tuple[str, ...]) -> int:
    """Microseconds of 4:05, 4:05:06.7 or, of minutes and seconds, 5:06."""
    match = _CLOCK.fullmatch(token)
    if match is None:
        raise _Bad
    hours, minutes, seconds, fraction = int(match[1]), int(match[2]), int(match[3] or 0), match[4] or match[5] or ""
    if match[5] is not None or (match[3] is None and fields == ("minute", "second")):
        hours, minutes, seconds = 0, hours, minutes
    if minutes > 59 or seconds > 60:
        raise _Beyond
    rest = round(float("0" + fraction + "0") * SECOND_US) if fraction else 0
    us = (hours * 3600 + minutes * 60 + seconds) * SECOND_US + rest
    if us >= _INT64:
        raise _Beyond
    return us


_ISO_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ISO_DATES = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_ISO_TIMES = {"H": "hour", "M": "minute", "S": "second"}


def _iso(text: str) -> list[int]:
    """P1Y2M3DT4H5M6.7S, P0001-02-03T04:05:06 and P00010203T040506."""
    if len(text) < 2 or text[0] != "P":
        raise _Bad
    date, mark, time = text[1:].partition("T")
    parts = _Parts()
    for body, units, separator, alternative, width in (
            (date, _ISO_DATES, "-", ("year", "month", "day"), 8), (time, _ISO_TIMES, ":", ("hour", "minute", "second"), 6)):
        position, begun = 0, False
        while position < len(body):
            whole, fraction, digits, position = _iso_number(body, position)
            mark = body[position:position + 1]
            if mark in units and mark:
                parts.add(units[mark], whole, fraction)
                position, begun = position + 1, True
                continue
            if begun or mark not in ("", separator):
                raise _Bad
            if not mark and digits == width:
                high, low = (10_000, 100)
                for unit, value in zip(alternative, (whole // high, whole // low % 100, whole % 100), strict=True):
                    parts.add(unit, value, 0.0)
                parts.add("day" if width == 8 else "second", 0, fraction)
                break
            parts.add(alternative[0], whole, fraction)
            for unit in alternative[1:]:
                if position >= len(body):
                    break
                if body[position] != separator:
                    raise _Bad
                whole, fraction, _, position = _iso_number(body, position + 1)
                parts.add(unit, whole, fraction)
            if position < len(body):
                raise _Bad
    return parts.values()


def _iso_number(body: str, position: int) -> tuple[int, float, int, int]:
    """(whole part, fraction, digits before the point, position behind)."""
    match = _ISO_NUMBER.match(body, position)
    if match is None:
        raise _Bad
    value = float(match.group())
    if abs(value) > 1e15:
        raise _Beyond
    whole = math.trunc(value)
    digits = len(re.match(r"-?(\d*)", match.group())[1])  # type: ignore[index]
    return whole, value - whole, digits, match.end()
