"""Text to dates, times and timestamps, in all the spellings PostgreSQL reads. Intervals are in interval_input.py.

`order` (MDY, DMY or YMD, from DateStyle) says what 1/2/2003 means.
Spec: PostgreSQL 15 documentation, 8.5.1 "Date/Time Input", 8.5.4 "Interval Input", appendix B.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoal.catalog.errors import DatetimeOverflow, InvalidDatetimeFormat, InvalidTimeZoneDisplacement, SqlError
from shoal.exec.kernels.calendar import JULIAN_1970, days_from_civil, month_length
from shoal.exec.kernels.timezones import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    INFINITY,
    MINUS_INFINITY,
    SECOND_US,
    local_to_utc,
    utc_to_local,
    zone_of,
)

MONTHS = {name: i // 2 + 1 for i, name in enumerate(
    ["jan", "january", "feb", "february", "mar", "march", "apr", "april", "may", "may", "jun", "june", "jul", "july", "aug",
     "august", "sep", "september", "oct", "october", "nov", "november", "dec", "december"])} | {"sept": 9}
_WEEKDAYS = frozenset(["sun", "sunday", "mon", "monday", "tue", "tues", "tuesday", "wed", "weds", "wednesday", "thu", "thur",
                       "thurs", "thursday", "fri", "friday", "sat", "saturday"])
_FIRST_DAY = -JULIAN_1970
_LAST_DAY = 2_145_042_905
"""5874897-12-31."""
_WORDS = {"date": "date", "time": "time", "timetz": "time with time zone", "timestamp": "timestamp",
          "timestamptz": "timestamp with time zone", "interval": "interval"}
_TOKEN = re.compile(r"""
    (?P<time>\d{1,3}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?(?:\.\d*)?)
  | (?P<iso>[+-]?\d{4,}-\d{1,2}-\d{1,2})
  | (?P<offset>[+-]\d{1,2}(?::\d{2}(?::\d{2})?)?(?![\d/-]) | [+-]\d{4}(?![\d/-]) )
  | (?P<date>\d{1,}[-/.](?:\d{1,2}|[A-Za-z]{3,})[-/.]\d{1,}|\d{1,2}[-/][A-Za-z]{3,}|[A-Za-z]{3,}[-/]\d{1,2}[-/]\d+)
  | (?P<ordinal>\d{4,}\.\d{3}(?!\d))
  | (?P<julian>[Jj]\d+(?:\.\d+)?)
  | (?P<zone>[A-Za-z]+(?:_[A-Za-z]+)*/[A-Za-z_/+-]+[A-Za-z0-9]*
           |(?!(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*\d)
            [A-Za-z]{3,}[+-]?\d[A-Za-z0-9+:,./-]*)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<word>[A-Za-z]+)
  | (?P<skip>[\s,]+)
""", re.VERBOSE | re.IGNORECASE)
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?$")


@dataclass(slots=True)
class Moment:
    """What a text said: each part None where it said nothing. `zone` is a name or seconds east of UTC."""

    days: int | None = None
    us: int | None = None
    zone: str | int | None = None
    special: str = ""


def _bad(text: str, kind: str) -> InvalidDatetimeFormat:
    return InvalidDatetimeFormat(f'invalid input syntax for type {_WORDS[kind]}: "{text}"')


def _range(text: str, hint: bool = False) -> DatetimeOverflow:
    return DatetimeOverflow(f'date/time field value out of range: "{text}"',
                            hint='Perhaps you need a different "datestyle" setting.' if hint else "")


def parse_moment(text: str, kind: str, order: str = "MDY") -> Moment:
    """The parts of a date or time. Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008)."""
    match = _ISO.match(text)
    if match is not None:
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        days = _checked_date(year, month, day, text)
        if match[4] is None:
            return Moment(days)
        return Moment(days, _clock(int(match[4]), int(match[5]), int(match[6] or 0), match[7] or "", text))
    return _Reader(text, kind, order).read()


def _checked_date(year: int, month: int, day: int, text: str) -> int:
    if not 1 <= month <= 12:
        raise _range(text, hint=True)
    if not 1 <= day <= 31:
        raise _range(text, hint=True)
    if year == 0 or day > month_length(year, month):
        raise _range(text)
    return int(days_from_civil(year, month, day))


def _clock(hour: int, minute: int, second: int, fraction: str, text: str) -> int:
    us = ((hour * 60 + minute) * 60 + second) * SECOND_US + _fraction_us(fraction)
    if minute > 59 or second > 60 or hour > 24 or us > DAY_US:
        raise _range(text)
    return us


def _fraction_us(digits: str) -> int:
    return round(float("0." + digits) * SECOND_US) if digits else 0


class _Reader:
    """Reads one text, token by token; the meaning of a bare number depends on what is already known."""

    def __init__(self, text: str, kind: str, order: str) -> None:
        self.text, self.kind, self.order = text, kind, order
        self.year: int | None = None
        self.month: int | None = None
        self.day: int | None = None
        self.named_month = self.two_digit_year = False
        self.moment = Moment()
        self.bc = False
        self.half = ""

    def read(self) -> Moment:
        text = self.text.strip()
        position, seen = 0, False
        while position < len(text):
            if text[position] in "Tt" and seen and re.match(r"[Tt]\d", text[position:]) and self._has_date():
                position += 1
                continue
            match = _TOKEN.match(text, position)
            if match is None:
                raise _bad(self.text, self.kind)
            position = match.end()
            if match.lastgroup != "skip":
                seen = True
                self._take(str(match.lastgroup), match.group())
        if not seen:
            raise _bad(self.text, self.kind)
        return self._finish()

    def _has_date(self) -> bool:
        return self.moment.days is not None or self.day is not None or self.month is not None or self.year is not None

    def _take(self, group: str, token: str) -> None:
        if group == "time":
            self._time(token)
        elif group == "iso" or group == "date":
            self._date(token)
        elif group == "offset":
            self._offset(token)
        elif group == "ordinal":
            year, day = token.split(".")
            if not 1 <= int(day) <= 366:
                raise _range(self.text)
            self.moment.days = int(days_from_civil(int(year), 1, 1)) + int(day) - 1
        elif group == "julian":
            whole, _, fraction = token[1:].partition(".")
            self.moment.days = int(whole) - JULIAN_1970
            if fraction:
                self.moment.us = round(float("0." + fraction) * DAY_US)
        elif group == "zone":
            self.moment.zone = token.lower()
            zone_of(self.moment.zone)
        elif group == "number":
            self._number(token)
        else:
            self._word(token.lower())

    def _time(self, token: str) -> None:
        if self.moment.us is not None:
            raise _bad(self.text, self.kind)
        clock, _, fraction = token.partition(".")
        parts = [int(part) for part in clock.split(":")]
        if len(parts) == 2 and fraction:  # minutes and seconds
            parts = [0, *parts]
        self.moment.us = _clock(parts[0], parts[1], parts[2] if len(parts) > 2 else 0, fraction, self.text)

    def _date(self, token: str) -> None:
        if self._has_date():
            raise _bad(self.text, self.kind)
        if token.startswith("-"):
            raise _bad(self.text, self.kind)
        parts = re.findall(r"\d+|[A-Za-z]+", token)
        for part in parts:
            if part.isalpha():
                self._named(part.lower())
        for part in parts:
            if part.isdigit():
                self._field(part)

    def _named(self, word: str) -> None:
        """A month's name. A number before it that was taken for the month is the day."""
        if word not in MONTHS:
            raise _bad(self.text, self.kind)
        if self.month is not None:
            if self.named_month or self.day is not None or not 1 <= self.month <= 31:
                raise _bad(self.text, self.kind)
            self.day = self.month
        self.month, self.named_month = MONTHS[word], True

    def _field(self, digits: str) -> None:
        """A number of a date: which one depends on those before it, on its length and on the order (DecodeNumber)."""
        match (self.year is not None, self.month is not None, self.day is not None):
            case (False, False, False):
                if len(digits) >= 3 or self.order == "YMD":
                    self._set_year(digits)
                elif self.order == "DMY":
                    self.day = int(digits)
                else:
                    self.month = int(digits)
            case (True, False, False) | (False, False, True):
                self.month = int(digits)
            case (False, True, False):
                if self.named_month and (len(digits) >= 3 or self.order == "YMD"):
                    self._set_year(digits)
                else:
                    self.day = int(digits)
            case (True, True, False):
                if self.named_month and len(digits) >= 3 and self.two_digit_year:
                    self.day = self.year
                    self._set_year(digits)
                else:
                    self.day = int(digits)
            case (False, True, True):
                self._set_year(digits)
            case _:
                raise _bad(self.text, self.kind)

    def _set_year(self, digits: str) -> None:
        self.year, self.two_digit_year = int(digits), len(digits) <= 2

    def _offset(self, token: str) -> None:
        if self.moment.us is None and self.kind in ("date",) and not self._has_date():
            raise _bad(self.text, self.kind)
        sign = -1 if token[0] == "-" else 1
        body = token[1:]
        parts = [int(part) for part in body.split(":")] if ":" in body else (
            [int(body[:2]), int(body[2:])] if len(body) == 4 else [int(body)])
        hours, minutes, seconds = [*parts, 0, 0][:3]
        if hours > 15 or minutes > 59 or seconds > 59:
            raise InvalidTimeZoneDisplacement(f'time zone displacement out of range: "{self.text}"')
        self.moment.zone = sign * (hours * 3600 + minutes * 60 + seconds)

    def _number(self, token: str) -> None:
        digits, _, fraction = token.partition(".")
        moment = self.moment
        if self._has_complete_date() and moment.us is None and len(digits) in (4, 6):
            moment.us = _clock(int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0), fraction, self.text)
            return
        if fraction:
            if self.kind in ("time", "timetz") and len(digits) == 6:
                moment.us = _clock(int(digits[:2]), int(digits[2:4]), int(digits[4:6]), fraction, self.text)
                return
            raise _bad(self.text, self.kind)
        if self.kind in ("time", "timetz") and moment.us is None and len(digits) in (4, 6) and self.month is None:
            moment.us = _clock(int(digits[:2]), int(digits[2:4]), int(digits[4:] or 0), "", self.text)
            return
        if self.month is None and self.day is None and moment.days is None and len(digits) >= 6:
            self._set_year(digits[:-4])
            self.month, self.day = int(digits[-4:-2]), int(digits[-2:])
            return
        self._field(digits)

    def _has_complete_date(self) -> bool:
        return self.moment.days is not None or None not in (self.year, self.month, self.day)

    def _word(self, word: str) -> None:
        moment = self.moment
        if word in MONTHS:
            self._named(word)
        elif word in ("bc", "ad"):
            self.bc = word == "bc"
        elif word in ("am", "pm"):
            self.half = word
        elif word in ("epoch", "infinity", "now", "today", "tomorrow", "yesterday", "allballs"):
            if moment.special or (word in ("epoch", "infinity", "now") and self._has_date()):
                raise _bad(self.text, self.kind)
            moment.special = ("-" if word == "infinity" and self.text.strip().startswith("-") else "") + word
        elif word in _WEEKDAYS or word in ("at", "on", "t"):
            return
        else:
            try:
                zone_of(word)
            except SqlError:
                raise _bad(self.text, self.kind) from None
            moment.zone = word

    def _finish(self) -> Moment:
        moment = self.moment
        if self.kind in ("time", "timetz") and isinstance(moment.zone, str) and not self._has_date() and not isinstance(
                zone_of(moment.zone), int):
            raise _bad(self.text, self.kind)  # its offset depends on the date
        if self.half and moment.us is not None:
            hour = moment.us // (3600 * SECOND_US)
            if not 0 <= hour <= 12:
                raise _range(self.text)
            if self.half == "am" and hour == 12:
                moment.us -= 12 * 3600 * SECOND_US
            elif self.half == "pm" and hour != 12:
                moment.us += 12 * 3600 * SECOND_US
        if moment.days is None and (self.month is not None or self.day is not None or self.year is not None):
            if self.year is None or self.month is None or self.day is None:
                raise _bad(self.text, self.kind)
            year = self.year
            if self.two_digit_year and not self.bc:
                year += 2000 if year < 70 else 1900
            if self.bc:
                if year < 1:
                    raise _range(self.text)
                moment.days = _checked_proleptic(1 - year, self.month, self.day, self.text)
            else:
                moment.days = _checked_date(year, self.month, self.day, self.text)
        return moment


def _checked_proleptic(year: int, month: int, day: int, text: str) -> int:
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        raise _range(text, hint=True)
    if day > month_length(year, month):
        raise _range(text)
    return int(days_from_civil(year, month, day))


def _trimmed_special(text: str) -> str:
    return text.strip().lower()


def parse_date(text: str, now_us: int, zone: str, order: str = "MDY") -> int:
    """Days since 1970. Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008)."""
    fold = _trimmed_special(text)
    if fold in ("infinity", "-infinity"):
        return DATE_INFINITY if fold == "infinity" else DATE_MINUS_INFINITY
    moment = parse_moment(text, "date", order)
    if moment.special:
        return _special_us(moment, now_us, zone) // DAY_US
    if moment.days is None:
        raise _bad(text, "date")
    if not _FIRST_DAY <= moment.days <= _LAST_DAY:
        raise DatetimeOverflow(f'date out of range: "{text}"')
    return moment.days


def _special_us(moment: Moment, now_us: int, zone: str) -> int:
    """Local microseconds of a special word, with the time of day the text may also name."""
    if moment.special == "epoch":
        return 0
    local = int(utc_to_local(now_us, zone))
    if moment.special == "now":
        return local
    shift = {"tomorrow": 1, "yesterday": -1}.get(moment.special, 0)
    return (local // DAY_US + shift) * DAY_US + (moment.us or 0)


def parse_time(text: str, now_us: int, zone: str, order: str = "MDY") -> int:
    """Microseconds since midnight. Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008)."""
    moment = parse_moment(text, "time", order)
    if moment.special == "allballs":
        return 0
    if moment.special == "now":
        return int(utc_to_local(now_us, zone)) % DAY_US
    if moment.us is None:
        raise _bad(text, "time")
    return moment.us


def parse_timetz(text: str, now_us: int, zone: str, order: str = "MDY") -> tuple[int, int]:
    """(microseconds since midnight, seconds east of UTC)."""
    from shoal.exec.kernels.timezones import utc_offset
    moment = parse_moment(text, "timetz", order)
    us = int(utc_to_local(now_us, zone)) % DAY_US if moment.special == "now" else moment.us
    if moment.special == "allballs":
        us, moment.zone = 0, 0
    if us is None:
        raise _bad(text, "timetz")
    if isinstance(moment.zone, int):
        return us, moment.zone
    name = moment.zone or zone
    return us, utc_offset((moment.days or now_us // DAY_US) * DAY_US + us, name)


def parse_timestamp(text: str, now_us: int, zone: str, with_zone: bool, order: str = "MDY") -> int:
    """Microseconds since 1970, local or UTC. A zone in the text of a plain timestamp is ignored.

    Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008).
    """
    kind = "timestamptz" if with_zone else "timestamp"
    fold = _trimmed_special(text)
    if fold in ("infinity", "-infinity"):
        return INFINITY if fold == "infinity" else MINUS_INFINITY
    moment = parse_moment(text, kind, order)
    if moment.special:
        if moment.special == "epoch":
            return 0
        local = _special_us(moment, now_us, zone)
        if moment.special == "now" or not with_zone:
            return now_us if with_zone else local
        moment.days, moment.us = divmod(local, DAY_US)
    if moment.days is None:
        raise _bad(text, kind)
    us = moment.days * DAY_US + (moment.us or 0)
    beyond = DatetimeOverflow(f'timestamp out of range: "{text}"')
    if not (_FIRST_DAY - 1) * DAY_US <= us < INFINITY:
        raise beyond
    if with_zone:
        if isinstance(moment.zone, int):
            us -= moment.zone * SECOND_US
        else:
            us = int(local_to_utc(us, moment.zone or zone))
    if not _FIRST_DAY * DAY_US <= us < INFINITY:
        raise beyond
    return us
