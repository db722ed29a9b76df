"""Dates and times that .datetime() makes of JSON strings: read, compared, and written as ISO 8601 (hop 6).

Spec: PostgreSQL 15 documentation, 9.16.2.3, the templates as in 9.8 (those that say the whole value).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shoal.catalog.errors import (
    DatetimeOverflow,
    FeatureNotSupported,
    InvalidDatetimeFormat,
    InvalidJsonDatetime,
)
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DATE = r"(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2}):(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,6}))?"
_ZONE = r"(?P<zone>\s*[+-]\s*\d{1,2}(?::\d{1,2})?)?"
_FORMS = tuple(re.compile(form) for form in (_DATE, _TIME + _ZONE, rf"{_DATE}[ T]{_TIME}{_ZONE}"))
_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)"|(YYYY|YYY|YY|Y,YYY|MM|DD|HH24|HH12|HH|MI|SSSSS|SS|MS|US|FF[1-6]|TZH|TZM|AM|PM|'
                     r"A\.M\.|P\.M\.)|(\s+|[^\w\s])|(\w+)", re.IGNORECASE | re.DOTALL)
_PARTS = {"YYYY": "year", "YYY": "year", "YY": "year", "Y,YYY": "year", "MM": "month", "DD": "day", "HH24": "hour",
          "HH12": "half", "HH": "half", "MI": "minute", "SS": "second", "SSSSS": "day_second", "MS": "ms", "US": "us",
          "TZH": "zone_hour", "TZM": "zone_minute", "AM": "meridiem", "PM": "meridiem", "A.M.": "meridiem",
          "P.M.": "meridiem"}
_WIDTHS = {"YYYY": 4, "YYY": 3, "YY": 2, "MM": 2, "DD": 2, "HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "SSSSS": 5,
           "MS": 3, "US": 6, "TZM": 2}


@dataclass(frozen=True, slots=True)
class Moment:
    """`kind` is the type's name; `us` microseconds of the day, or since 1970 on the clock of its own offset, which is
    `offset` seconds east of UTC; days for dates are whole days of them."""

    kind: str
    us: int
    offset: int = 0

    @property
    def type_name(self) -> str:
        return {"timetz": "time with time zone", "time": "time without time zone", "date": "date",
                "timestamp": "timestamp without time zone", "timestamptz": "timestamp with time zone"}[self.kind]

    def __str__(self) -> str:
        from shoal.exec.functions.text_output import date_text, time_text
        clock = time_text(self.us % DAY_US)
        day = date_text(self.us // DAY_US)
        zone = ""
        if self.kind.endswith("tz"):
            minutes = abs(self.offset) // 60
            zone = f"{'-' if self.offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
        return day if self.kind == "date" else (clock if self.kind.startswith("time") and "stamp" not in self.kind
                                                else f"{day}T{clock}") + zone


def moment_of(value: Any, template: str | None) -> Moment:
    """.datetime() of a JSON value. Raises: InvalidJsonDatetime (22031), InvalidDatetimeFormat (22007)."""
    if not isinstance(value, str):
        raise InvalidJsonDatetime("jsonpath item method .datetime() can only be applied to a string")
    if template is not None:
        return _by_template(value, template)
    for form in _FORMS:
        match = form.fullmatch(value)
        if match is not None:
            parts = {name: text for name, text in match.groupdict().items() if text is not None}
            try:
                return _made(parts)
            except (ValueError, DatetimeOverflow):
                break
    raise InvalidJsonDatetime(f'datetime format is not recognized: "{value}"',
                              hint="Use a datetime template argument to specify the input data format.")


def _made(parts: dict[str, str]) -> Moment:
    us = 0
    has_date, has_time = "year" in parts, "hour" in parts
    if has_date:
        us += (datetime.date(int(parts["year"]), int(parts["month"]), int(parts["day"])).toordinal() - _EPOCH) * DAY_US
    if has_time:
        hour, minute, second = (int(parts.get(name, "0")) for name in ("hour", "minute", "second"))
        if hour > 23 or minute > 59 or second > 59:
            raise DatetimeOverflow("date/time field value out of range")
        us += (hour * 3600 + minute * 60 + second) * SECOND_US + int(parts.get("fraction", "").ljust(6, "0"))
    zone = parts.get("zone")
    offset = 0
    if zone is not None:
        body = zone.strip()
        hours, _, minutes = body[1:].strip().partition(":")
        offset = (int(hours) * 3600 + int(minutes or 0) * 60) * (-1 if body[0] == "-" else 1)
    if has_date:
        kind = "date" if not has_time else "timestamp" if zone is None else "timestamptz"
    else:
        kind = "time" if zone is None else "timetz"
    return Moment(kind, us, offset)


@lru_cache(maxsize=64)
def _template(text: str) -> tuple[tuple[str, str], ...]:
    """(what, text) of each part: a name of _PARTS, "fraction", or "" for text that must be there."""
    found: list[tuple[str, str]] = []
    for literal, token, separator, word in _TOKENS.findall(text):
        if word:
            raise FeatureNotSupported(f'template "{text}" of the jsonpath method .datetime() is not supported')
        if token:
            upper = token.upper()
            found.append(("fraction", upper[2:]) if upper.startswith("FF") else (_PARTS[upper], upper))
        else:
            found.append(("", re.sub(r"\\(.)", r"\1", literal) if literal else separator))
    return tuple(found)


def _by_template(value: str, template: str) -> Moment:
    parts: dict[str, int] = {}
    at = 0
    tokens = _template(template)
    for number, (name, text) in enumerate(tokens):
        if not name:
            if at >= len(value):
                raise InvalidDatetimeFormat("input string is too short for datetime format")
            if text.isspace():
                while at < len(value) and value[at].isspace():
                    at += 1
            elif value[at:at + len(text)] != text:
                raise InvalidDatetimeFormat(f'unmatched format separator "{text}"' if len(text) == 1
                                            else f'unmatched format character "{text[0]}"')
            else:
                at += len(text)
            continue
        while at < len(value) and value[at].isspace():
            at += 1
        if at >= len(value):
            raise InvalidDatetimeFormat("input string is too short for datetime format")
        at = _field(value, at, name, text, number + 1 < len(tokens) and bool(tokens[number + 1][0]), parts)
    if value[at:].strip():
        raise InvalidDatetimeFormat("trailing characters remain in input string after datetime format")
    return _assembled(parts, {name for name, _ in tokens})


def _field(value: str, at: int, name: str, token: str, tight: bool, parts: dict[str, int]) -> int:
    """Reads one field; where the next one follows at once, no more than its own digits. Gives where it ends."""
    if name == "meridiem":
        match = re.compile(r"[ap]\.?m\.?", re.IGNORECASE).match(value, at)
        if match is None:
            raise InvalidDatetimeFormat(f'invalid value "{value[at:at + 2]}" for "{token}"',
                                        detail="The given value did not match any of the allowed values for this field.")
        parts[name] = match[0][0].lower() == "p"
        return match.end()
    width = int(token) if name == "fraction" else 2 if name == "zone_hour" else _WIDTHS.get(token, 4)
    signed = r"[+-]?\s*" if name == "zone_hour" else ""
    limit = f"{{1,{width}}}" if tight or name in ("fraction", "ms", "us", "zone_hour", "zone_minute") else "+"
    match = re.compile(rf"{signed}\d{limit}").match(value, at)
    if match is None:
        shown = f"FF{token}" if name == "fraction" else token
        raise InvalidDatetimeFormat(f'invalid value "{value[at:at + width]}" for "{shown}"',
                                    detail="Value must be an integer.")
    digits = match[0].replace(" ", "")
    if name in ("fraction", "ms", "us"):
        parts["fraction"] = int(digits.ljust(6, "0"))
    else:
        parts[name] = int(digits)
        if name == "zone_hour":
            parts["zone_sign"] = -1 if digits.startswith("-") else 1
        elif name == "year" and len(digits) < 4 and token != "YYYY":
            century = 10 ** len(token)
            parts[name] += 2000 // century * century if parts[name] < 70 * century // 100 else 1900 // century * century
    return match.end()


def _assembled(parts: dict[str, int], named: set[str]) -> Moment:
    has_date = bool(named & {"year", "month", "day"})
    has_time = bool(named & {"hour", "half", "minute", "second", "day_second", "fraction", "ms", "us"})
    hour = parts.get("hour", 0)
    if "half" in parts:
        if not 1 <= parts["half"] <= 12:
            raise InvalidDatetimeFormat(f'hour "{parts["half"]}" is invalid for the 12-hour clock',
                                        hint="Use the 24-hour clock, or give an hour between 1 and 12.")
        hour = parts["half"] % 12 + (12 if parts.get("meridiem") else 0)
    us = 0
    try:
        if has_date:
            day = datetime.date(parts.get("year", 1), parts.get("month", 1), parts.get("day", 1))
            us = (day.toordinal() - _EPOCH) * DAY_US
    except ValueError:
        raise DatetimeOverflow("date/time field value out of range") from None
    if hour > 23 or parts.get("minute", 0) > 59 or parts.get("second", 0) > 59:
        raise DatetimeOverflow("date/time field value out of range")
    us += (hour * 3600 + parts.get("minute", 0) * 60 + parts.get("second", 0) + parts.get("day_second", 0)) * SECOND_US
    us += parts.get("fraction", 0)
    offset = 0
    zoned = "zone_hour" in parts
    if zoned:
        sign = parts["zone_sign"]
        offset = sign * (abs(parts["zone_hour"]) * 3600 + parts.get("zone_minute", 0) * 60)
    if has_date:
        if zoned and not has_time:
            raise InvalidDatetimeFormat("datetime format is zoned but not timed")
        return Moment("date" if not has_time else "timestamptz" if zoned else "timestamp", us, offset)
    if has_time:
        return Moment("timetz" if zoned else "time", us, offset)
    raise InvalidDatetimeFormat("datetime format is not dated and not timed")


def compare_moments(left: Moment, right: Moment, zone: str) -> int | None:
    """-1, 0 or 1; None where a date meets a time. Raises: FeatureNotSupported (0A000) where a zone would be needed that the
    function may not use (`zone` is "")."""
    timed = ("time", "timetz")
    if (left.kind in timed) != (right.kind in timed):
        return None
    zoned = left.kind.endswith("tz") or right.kind.endswith("tz")
    one, other = (_comparable(side, zoned, beside, zone) for side, beside in ((left, right), (right, left)))
    return (one > other) - (one < other)


def _comparable(moment: Moment, zoned: bool, other: Moment, zone: str) -> tuple[int, int]:
    clock = "stamp" not in moment.kind and moment.kind != "date"
    if not zoned:
        return moment.us, 0
    offset = moment.offset
    if not moment.kind.endswith("tz"):
        if not zone:
            raise FeatureNotSupported(f"cannot convert value from {moment.kind} to {other.kind} without time zone usage",
                                      hint="Use *_tz() function for time zone support.")
        offset = _offset_at(moment, zone)
    utc = moment.us - offset * SECOND_US
    return (utc, -offset) if clock else (utc, 0)


def _offset_at(moment: Moment, zone: str) -> int:
    from shoal.exec.kernels.timezones import local_to_utc
    return (moment.us - int(local_to_utc(moment.us, zone))) // SECOND_US
