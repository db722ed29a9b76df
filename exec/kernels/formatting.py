"""Templates of dates and times, and to_char() by them: taken apart once, then run over distinct values.

Spec: PostgreSQL 15 documentation, 9.8 "Data Type Formatting Functions" (tables 9.26 to 9.30), locale C.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from shoal.catalog.errors import InvalidDatetimeFormat
from shoal.exec.kernels.calendar import JULIAN_1970, civil_from_days, days_from_civil, iso_week
from shoal.exec.kernels.number_formats import ordinal
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"]
DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
_NUMBERS = ("HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "Y,YYY",
            "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "I", "MM", "DDD", "IDDD", "DD", "D", "ID", "WW", "IW", "W", "CC",
            "J", "Q", "TZH", "TZM", "OF", "FX")
"""Keywords that mean the same in lower case."""
_WORDS = ("AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D.", "MONTH", "MON", "DAY", "DY", "RM", "TZ")
"""Keywords whose case is the result's."""
_SPELLED: dict[str, str] = {
    **{spelled: name for name in _NUMBERS for spelled in (name, name.lower())},
    **{spelled: spelled for name in _WORDS for spelled in (name, name.lower())},
    **{name: name for name in ("Month", "Mon", "Day", "Dy")}}
_KEYWORDS = sorted(_SPELLED, key=len, reverse=True)
_PREFIXES = ("FM", "fm", "TM", "tm")
_SUFFIXES = ("TH", "th", "SP")


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a template: a keyword with its modifiers, or literal text."""

    keyword: str = ""
    text: str = ""
    fill: bool = True
    suffix: str = ""
    """"TH" or "th" after a number."""
    quoted: bool = False
    localized: bool = False
    """With TM: names are not filled up."""


@lru_cache(maxsize=256)
def date_parts(template: str) -> tuple[Part, ...]:
    """A date/time template as its parts: each keyword may have one prefix and one suffix."""
    parts: list[Part] = []
    i = 0
    while i < len(template):
        prefix = template[i:i + 2] if template.startswith(_PREFIXES, i) else ""
        i += len(prefix)
        if i >= len(template):
            break
        keyword = next((k for k in _KEYWORDS if template.startswith(k, i)), None)
        if keyword is not None:
            i += len(keyword)
            suffix = template[i:i + 2] if template.startswith(_SUFFIXES, i) else ""
            i += len(suffix)
            parts.append(Part(_SPELLED[keyword], fill=prefix not in ("FM", "fm"), suffix="" if suffix == "SP" else suffix,
                              localized=prefix in ("TM", "tm")))
        elif template[i] == '"':
            i += 1
            while i < len(template) and template[i] != '"':
                i += template[i] == "\\" and i + 1 < len(template)
                parts.append(Part(text=template[i], quoted=True))
                i += 1
            i += 1
        else:
            i += template.startswith('\\"', i)
            parts.append(Part(text=template[i]))
            i += 1
    return tuple(parts)


@dataclass(slots=True)
class Clock:
    """The fields of one local timestamp, or of one interval (`days` None, with its own year, month, day, hours)."""

    days: int | None
    year: int
    month: int
    day: int
    us: int
    offset: int | None = None
    zone: str = ""


def timestamp_clock(us: int, offset: int | None = None, zone: str = "") -> Clock:
    days, rest = divmod(us, DAY_US)
    year, month, day = civil_from_days(days)
    return Clock(days, int(year), int(month), int(day), rest, offset, zone)


def interval_clock(months: int, days: int, us: int) -> Clock:
    years = int(months / 12)
    return Clock(None, years, months - years * 12, days, us)


def format_clock(clock: Clock, template: str) -> str:
    """to_char of a timestamp or interval. Raises: InvalidDatetimeFormat (22007) for day names of intervals."""
    return format_parts(clock, date_parts(template))


def format_parts(clock: Clock, parts: Iterable[Part]) -> str:
    return "".join(_format_part(clock, part) for part in parts)


def _number(value: int, width: int, part: Part) -> str:
    """Filled with zeros unless FM; a sign takes one more place."""
    text = f"{value:0{width + (value < 0)}d}" if part.fill else str(value)
    return text + (ordinal(str(value), part.suffix) if part.suffix else "")


def _rest(value: int, by: int) -> int:
    """What is left by a division towards zero."""
    return abs(value) % by * (-1 if value < 0 else 1)


def _digits(value: int, width: int, part: Part) -> str:
    """Of a fraction: FM leaves no zeros out."""
    text = f"{value:0{width + (value < 0)}d}"
    return text + (ordinal(text, part.suffix) if part.suffix else "")


_OF_DATES = frozenset({"AD", "BC", "A.D.", "B.C.", "MONTH", "MON", "DAY", "DY", "D", "ID", "TZ", "TZH", "TZM", "OF"})
"""What intervals do not have."""
ZONED = frozenset({"TZ", "tz", "TZH", "TZM", "OF"})
"""Keywords that depend on the zone a timestamp is shown in."""


def _format_part(clock: Clock, part: Part) -> str:
    keyword = part.keyword
    if not keyword:
        return part.text
    us, interval = clock.us, clock.days is None
    if interval and keyword.upper() in _OF_DATES:
        raise _not_of_intervals()
    total_seconds = int(us / SECOND_US)
    hour = int(us / (3600 * SECOND_US))
    minute, second = int((us - hour * 3600 * SECOND_US) / (60 * SECOND_US)), total_seconds - int(total_seconds / 60) * 60
    fraction = us - total_seconds * SECOND_US
    year = clock.year if clock.year > 0 or interval else 1 - clock.year
    match keyword:
        case "HH24":
            return _number(hour, 2, part)
        case "HH" | "HH12":
            return _number(12 if hour % 12 == 0 else (hour % 12 if hour >= 0 else -(-hour % 12)), 2, part)
        case "MI":
            return _number(minute, 2, part)
        case "SS":
            return _number(second, 2, part)
        case "SSSS" | "SSSSS":
            return str(total_seconds) + (ordinal(str(total_seconds), part.suffix) if part.suffix else "")
        case "MS" | "FF3":
            return _digits(int(fraction / 1000), 3, part)
        case "US" | "FF6":
            return _digits(fraction, 6, part)
        case "FF1" | "FF2" | "FF4" | "FF5":
            digits = int(keyword[2])
            return _digits(int(fraction / 10 ** (6 - digits)), digits, part)
        case "AM" | "PM" | "am" | "pm" | "A.M." | "P.M." | "a.m." | "p.m.":
            return _cased(keyword, "PM" if _rest(hour, 24) >= 12 else "AM")
        case "BC" | "AD" | "bc" | "ad" | "B.C." | "A.D." | "b.c." | "a.d.":
            return _cased(keyword, "BC" if clock.year <= 0 else "AD")
        case "Y,YYY":
            text = f"{year // 1000},{year % 1000:03d}"
            return text + (ordinal(text, part.suffix) if part.suffix else "")
        case "YYYY":
            return _number(year, 4, part)
        case "YYY" | "YY" | "Y":
            return _number(_rest(year, 10 ** len(keyword)), len(keyword), part)
        case "CC":
            century = (year + 99) // 100 if clock.year > 0 else -((year + 99) // 100)
            if interval:
                century = year // 100
            return _number(century, 2, part)
        case "MM":
            return _number(clock.month, 2, part)
        case "DD":
            return f"{clock.day:02d}" + (ordinal(str(clock.day), part.suffix) if part.suffix else "") if (
                interval and clock.day < 0 and part.fill) else _number(clock.day, 2, part)
        case "Q":
            return "" if clock.month == 0 else _number((clock.month - 1) // 3 + 1, 1, part)
        case "RM" | "rm":
            if clock.month == 0 and not (interval and clock.year):
                return ""
            # of intervals, months below zero count back from December, and none are December's or, back, January's
            roman = ROMAN[clock.month - 1 if clock.month > 0 or (not clock.month and clock.year > 0) else clock.month]
            text = roman.ljust(4) if part.fill else roman
            return text.lower() if keyword == "rm" else text
        case "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon":
            if clock.month == 0:
                return ""
            return _named(keyword, MONTHS[clock.month - 1], part, 9)
        case "TZ" | "tz" | "TZH" | "TZM" | "OF":
            return _zone(clock, part)
        case "FX":
            return ""
    if interval:
        return _format_interval_day(clock, part)
    return _format_day(clock, part)


def _format_interval_day(clock: Clock, part: Part) -> str:
    """Days by number: of the year they are 30 a month; else PostgreSQL takes the fields for a date's."""
    keyword = part.keyword
    day_of_year = (clock.year * 12 + clock.month) * 30 + clock.day
    if keyword == "DDD":
        return _number(day_of_year, 3, part)
    if keyword == "WW":
        return _number(int((day_of_year - 1) / 7) + 1, 2, part)
    if keyword == "W":
        return _number(int((clock.day - 1) / 7) + 1, 1, part)
    year, month = (clock.year + 4800, clock.month + 1) if clock.month > 2 else (clock.year + 4799, clock.month + 13)
    days = year * 365 - 32167 + year // 4 - year // 100 + year // 400 + 7834 * month // 256 + clock.day - JULIAN_1970
    if keyword == "J":
        return _number(days + JULIAN_1970, 1, part)
    iso_year, week, iso_day = (int(value) for value in iso_week(days))
    if keyword == "IDDD":
        return _number((week - 1) * 7 + iso_day, 3, part)
    if keyword == "IW":
        return _number(week, 2, part)
    width = len(keyword)
    shown = iso_year if width == 4 else _rest(iso_year, 10 ** width)
    text = f"{shown:0{width + (clock.year < 0)}d}" if part.fill else str(shown)
    return text + (ordinal(text, part.suffix) if part.suffix else "")


def _not_of_intervals() -> InvalidDatetimeFormat:
    return InvalidDatetimeFormat("invalid format specification for an interval value",
                                 hint="Intervals are not tied to specific calendar dates.")


def _format_day(clock: Clock, part: Part) -> str:
    assert clock.days is not None
    days, keyword = clock.days, part.keyword
    weekday = (days + 4) % 7
    iso_year, week, iso_day = (int(value) for value in iso_week(days))
    day_of_year = days - int(days_from_civil(clock.year, 1, 1)) + 1
    match keyword:
        case "DAY" | "Day" | "day" | "DY" | "Dy" | "dy":
            return _named(keyword, DAYS[weekday], part, 9)
        case "DDD":
            return _number(day_of_year, 3, part)
        case "IDDD":
            return _number((week - 1) * 7 + iso_day, 3, part)
        case "D":
            return _number(weekday + 1, 1, part)
        case "ID":
            return _number(iso_day, 1, part)
        case "WW":
            return _number((day_of_year - 1) // 7 + 1, 2, part)
        case "IW":
            return _number(week, 2, part)
        case "W":
            return _number((clock.day - 1) // 7 + 1, 1, part)
        case "J":
            return _number(days + JULIAN_1970, 1, part)
    year = iso_year if iso_year > 0 else 1 - iso_year
    width = len(keyword)  # IYYY, IYY, IY, I
    return _number(year if width == 4 else _rest(year, 10 ** width), width, part)


def _cased(keyword: str, word: str) -> str:
    text = word if "." not in keyword else f"{word[0]}.{word[1]}."
    return text.lower() if keyword.islower() else text


def _named(keyword: str, name: str, part: Part, width: int) -> str:
    text = name if keyword.upper() in ("MONTH", "DAY") else name[:3]
    text = text.upper() if keyword.isupper() else text.lower() if keyword.islower() else text
    return text.ljust(width) if part.fill and not part.localized and keyword.upper() in ("MONTH", "DAY") else text


def _zone(clock: Clock, part: Part) -> str:
    keyword = part.keyword
    if clock.offset is None:
        return {"OF": "+00" if part.fill else "+0", "TZH": "+00", "TZM": "00"}.get(keyword.upper(), "")
    sign, size = "-" if clock.offset < 0 else "+", abs(clock.offset)
    match keyword.upper():
        case "TZH":
            return f"{sign}{size // 3600:02d}"
        case "TZM":
            return f"{size // 60 % 60:02d}"
        case "OF":
            return f"{sign}{size // 3600:0{2 if part.fill else 1}d}" + (f":{size // 60 % 60:02d}" if size % 3600 else "")
    return clock.zone.lower() if keyword == "tz" else clock.zone.upper()
