"""to_char, to_date, to_timestamp and to_number: templates are taken apart once, then run over distinct values.

Spec: PostgreSQL 15 documentation, 9.8 "Data Type Formatting Functions" (tables 9.26 to 9.30), locale C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shoal.catalog.errors import DatetimeOverflow, InvalidDatetimeFormat
from shoal.exec.kernels.calendar import JULIAN_1970, civil_from_days, days_from_civil, iso_week, month_length
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"]
DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]
_KEYWORDS = sorted(["HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
                    "AM", "PM", "am", "pm", "A.M.", "P.M.", "a.m.", "p.m.", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY",
                    "IY", "I", "BC", "AD", "bc", "ad", "B.C.", "A.D.", "b.c.", "a.d.", "MONTH", "Month", "month", "MON",
                    "Mon", "mon", "MM", "DAY", "Day", "day", "DY", "Dy", "dy", "DDD", "IDDD", "DD", "D", "ID", "WW", "IW",
                    "W", "CC", "J", "Q", "RM", "rm", "TZH", "TZM", "TZ", "tz", "OF"], key=len, reverse=True)
_FOLDED = frozenset({"month", "day", "mon", "dy", "am", "pm", "a.m.", "p.m.", "bc", "ad", "b.c.", "a.d.", "rm", "tz"})


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a template: a keyword with its modifiers, or literal text."""

    keyword: str = ""
    text: str = ""
    fill: bool = True
    suffix: str = ""
    """"TH" or "th" after a number."""
    quoted: bool = False


@lru_cache(maxsize=256)
def date_parts(template: str) -> tuple[Part, ...]:
    """A date/time template as its parts. FX is accepted and means nothing here."""
    parts: list[Part] = []
    i, fill = 0, True
    while i < len(template):
        rest = template[i:]
        upper = rest.upper()
        if upper.startswith("FM"):
            fill, i = False, i + 2
            continue
        if upper.startswith(("FX", "TM")):
            i += 2
            continue
        if rest[0] == '"':
            end = i + 1
            text = ""
            while end < len(template) and template[end] != '"':
                if template[end] == "\\" and end + 1 < len(template):
                    end += 1
                text += template[end]
                end += 1
            parts.append(Part(text=text, quoted=True))
            i = end + 1
            continue
        if rest.startswith('\\"'):
            parts.append(Part(text='"', quoted=True))
            i += 2
            continue
        keyword = _keyword(rest)
        if keyword is None:
            parts.append(Part(text=rest[0]))
            i += 1
            continue
        i += len(keyword)
        suffix = template[i:i + 2] if template[i:i + 2].upper() == "TH" else ""
        i += len(suffix)
        parts.append(Part(keyword, fill=fill, suffix=suffix))
        fill = True
    return tuple(parts)


def _keyword(rest: str) -> str | None:
    for keyword in _KEYWORDS:
        if rest.startswith(keyword):
            return keyword
    upper = rest.upper()
    for keyword in _KEYWORDS:
        if keyword.lower() not in _FOLDED and upper.startswith(keyword) and keyword.isupper():
            return keyword
    for keyword in _KEYWORDS:  # mixed case such as "mOnTh" follows its first letters
        if keyword.lower() in _FOLDED and upper.startswith(keyword.upper()):
            first, second = rest[0].isupper(), rest[1:2].isupper()
            form = keyword.upper() if first and second else keyword.capitalize() if first else keyword.lower()
            return form if form in _KEYWORDS else keyword
    return None


def ordinal(number: int, suffix: str) -> str:
    """1st 2nd 3rd 4th 11th, in the suffix's case."""
    last = abs(number) % 100
    word = "th" if 10 < last < 14 else {1: "st", 2: "nd", 3: "rd"}.get(last % 10, "th")
    return word.upper() if suffix == "TH" else word


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
    return "".join(_format_part(clock, part) for part in date_parts(template))


def _number(value: int, width: int, part: Part) -> str:
    """Filled with zeros unless FM; a sign takes one more place."""
    text = f"{value:0{width + (value < 0)}d}" if part.fill else str(value)
    return text + (ordinal(value, part.suffix) if part.suffix else "")


def _format_part(clock: Clock, part: Part) -> str:
    keyword = part.keyword
    if not keyword:
        return part.text
    us, interval = clock.us, clock.days is None
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
            return str(total_seconds) + (ordinal(total_seconds, part.suffix) if part.suffix else "")
        case "MS" | "FF3":
            return _number(int(fraction / 1000), 3, part)
        case "US" | "FF6":
            return _number(fraction, 6, part)
        case "FF1" | "FF2" | "FF4" | "FF5":
            digits = int(keyword[2])
            return _number(int(fraction / 10 ** (6 - digits)), digits, part)
        case "AM" | "PM" | "am" | "pm" | "A.M." | "P.M." | "a.m." | "p.m.":
            return _cased(keyword, "PM" if hour % 24 >= 12 else "AM")
        case "BC" | "AD" | "bc" | "ad" | "B.C." | "A.D." | "b.c." | "a.d.":
            return _cased(keyword, "BC" if clock.year <= 0 else "AD")
        case "Y,YYY":
            text = f"{year // 1000},{year % 1000:03d}"
            return text + (ordinal(year, part.suffix) if part.suffix else "")
        case "YYYY":
            return _number(year, 4, part)
        case "YYY" | "YY" | "Y":
            return _number(year % 10 ** len(keyword), len(keyword), part)
        case "CC":
            century = (year + 99) // 100 if clock.year > 0 else -((year + 99) // 100)
            if interval:
                century = year // 100
            return _number(century, 2, part)
        case "MM":
            return _number(clock.month, 2, part)
        case "DD":
            return _number(clock.day, 2, part)
        case "Q":
            return "" if clock.month == 0 else _number((clock.month - 1) // 3 + 1, 1, part)
        case "RM" | "rm":
            if clock.month == 0:
                return ""
            roman = ROMAN[clock.month - 1]
            text = roman.ljust(4) if part.fill else roman
            return text.lower() if keyword == "rm" else text
        case "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon":
            if clock.month == 0:
                return ""
            return _named(keyword, MONTHS[clock.month - 1], part, 9)
        case "TZ" | "tz" | "TZH" | "TZM" | "OF":
            return _zone(clock, keyword)
    if interval:
        if keyword in ("DDD", "J"):
            return _number((clock.year * 12 + clock.month) * 30 + clock.day, 3, part)
        if keyword in ("W", "WW"):
            return _number((clock.day - 1) // 7 + 1, len(keyword), part)
        raise InvalidDatetimeFormat("invalid format specification for an interval value",
                                    hint="Intervals are not tied to specific calendar dates.")
    return _format_day(clock, part)


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
    return _number(year if width == 4 else year % 10 ** width, width, part)


def _cased(keyword: str, word: str) -> str:
    text = word if "." not in keyword else f"{word[0]}.{word[1]}."
    return text.lower() if keyword.islower() else text


def _named(keyword: str, name: str, part: Part, width: int) -> str:
    text = name if keyword.upper() in ("MONTH", "DAY") else name[:3]
    text = text.upper() if keyword.isupper() else text.lower() if keyword.islower() else text
    return text.ljust(width) if part.fill and keyword.upper() in ("MONTH", "DAY") else text


def _zone(clock: Clock, keyword: str) -> str:
    if clock.offset is None:
        return {"OF": "+00", "TZH": "+00", "TZM": "00"}.get(keyword, "")
    sign, size = "-" if clock.offset < 0 else "+", abs(clock.offset)
    match keyword:
        case "TZH":
            return f"{sign}{size // 3600:02d}"
        case "TZM":
            return f"{size // 60 % 60:02d}"
        case "OF":
            return f"{sign}{size // 3600:02d}" + (f":{size // 60 % 60:02d}" if size % 3600 else "")
    return clock.zone.lower() if keyword == "tz" else clock.zone.upper()


# --- reading dates

_WIDTHS = {"HH24": 2, "HH12": 2, "HH": 2, "MI": 2, "SS": 2, "SSSS": 5, "SSSSS": 5, "YYYY": 4, "YYY": 3, "YY": 2, "Y": 1,
           "MM": 2, "DD": 2,
           "DDD": 3, "D": 1, "J": 7, "Q": 1, "WW": 2, "W": 1, "CC": 2, "IYYY": 4, "IW": 2, "ID": 1, "IDDD": 3, "MS": 3,
           "US": 6,
           "FF1": 1, "FF2": 2, "FF3": 3, "FF4": 4, "FF5": 5, "FF6": 6, "TZH": 2, "TZM": 2}


def read_clock(text: str, template: str) -> tuple[int, int | None]:
    """to_timestamp: (local microseconds, seconds east of UTC where the text said so).

    Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008).
    """
    found: dict[str, Any] = {}
    parts = date_parts(template)
    at = 0
    for index, part in enumerate(parts):
        if not part.keyword:
            at = _skip_literal(text, at, part)
            continue
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            break
        at = _read_part(text, at, part, parts, index, found)
    return _assembled(found, text)


def _skip_literal(text: str, at: int, part: Part) -> int:
    if part.quoted:
        return min(at + len(part.text), len(text))
    if part.text.isalnum():
        return min(at + 1, len(text))
    while at < len(text) and (text[at].isspace()):
        at += 1
    if not part.text.isspace() and at < len(text) and not text[at].isalnum() and text[at] not in "+-":
        return at + 1
    if not part.text.isspace() and at < len(text) and text[at] == part.text:
        return at + 1
    if part.text.isspace() and at < len(text) and not text[at].isalnum() and text[at] not in "+-":
        return at + 1
    return at


def _bad_value(value: str, part: Part, detail: str = "Value must be an integer.") -> InvalidDatetimeFormat:
    return InvalidDatetimeFormat(f'invalid value "{value}" for "{part.keyword}"', detail=detail)


def _read_part(text: str, at: int, part: Part, parts: tuple[Part, ...], index: int, found: dict[str, Any]) -> int:
    keyword, upper = part.keyword, part.keyword.upper()
    if upper in ("MONTH", "MON", "DAY", "DY"):
        names = MONTHS if upper.startswith("MON") else DAYS
        for number, name in enumerate(names):
            for form in (name, name[:3]):
                if text[at:at + len(form)].lower() == form.lower():
                    found["month" if names is MONTHS else "weekday"] = number + 1
                    return at + len(form)
        raise InvalidDatetimeFormat(f'invalid value "{text[at:at + 9].split(" ")[0]}" for "{keyword}"',
                                    detail="The given value did not match any of the allowed values for this field.")
    if upper in ("AM", "PM", "A.M.", "P.M.", "BC", "AD", "B.C.", "A.D."):
        form = text[at:at + len(keyword)].upper().replace(".", "")
        if form not in (("AM", "PM") if upper[0] in "AP" and "M" in upper else ("BC", "AD")):
            raise InvalidDatetimeFormat(f'invalid value "{text[at:at + len(keyword)]}" for "{keyword}"',
                                        detail="The given value did not match any of the allowed values for this field.")
        found["half" if form in ("AM", "PM") else "era"] = form
        return at + len(keyword)
    if upper == "RM":
        for number in sorted(range(12), key=lambda n: -len(ROMAN[n])):
            if text[at:at + len(ROMAN[number])].upper() == ROMAN[number]:
                found["month"] = number + 1
                return at + len(ROMAN[number])
        raise _bad_value(text[at:at + 4], part, "The given value did not match any of the allowed values for this field.")
    if upper in ("TZ", "OF"):
        match = re.compile(r"([+-])?(\d{1,2})(?::?(\d{2}))?|[A-Za-z]+").match(text, at)
        if match is None:
            return at
        if match[2]:
            found["offset"] = (-1 if match[1] == "-" else 1) * (int(match[2]) * 3600 + int(match[3] or 0) * 60)
        return match.end()
    if upper == "Y,YYY":
        match = re.compile(r"(\d+),(\d{3})").match(text, at)
        if match is None:
            raise _bad_value(text[at:at + 5], part)
        found["year"] = int(match[1]) * 1000 + int(match[2])
        return match.end()
    following = parts[index + 1] if index + 1 < len(parts) else None
    fixed = following is not None and following.keyword != "" and following.keyword.upper() in _WIDTHS
    limit = _WIDTHS[keyword] if fixed or keyword not in ("YYYY", "IYYY", "J") else 9
    match = re.compile(rf"[+-]?\d{{1,{limit}}}").match(text, at)
    if match is None:
        raise _bad_value(text[at:at + _WIDTHS[keyword]], part)
    found[_FIELDS.get(keyword, keyword)] = _value(keyword, match.group(), found)
    end = match.end()
    if part.suffix:
        end = min(end + 2, len(text))
    return end


_FIELDS = {"HH24": "hour", "HH12": "hour12", "HH": "hour12", "MI": "minute", "SS": "second", "SSSS": "seconds",
           "SSSSS": "seconds",
           "YYYY": "year", "YYY": "year", "YY": "year", "Y": "year", "MM": "month", "DD": "day", "DDD": "yearday",
           "J": "julian",
           "MS": "fraction", "US": "fraction", **{f"FF{n}": "fraction" for n in range(1, 7)}, "TZH": "zone_hour",
           "TZM": "zone_minute"}


def _value(keyword: str, digits: str, found: dict[str, Any]) -> int:
    if keyword in ("MS", "US") or keyword.startswith("FF"):
        return round(float("0." + digits.lstrip("+-")) * SECOND_US)
    value = int(digits)
    if keyword in ("YY", "Y", "YYY") and len(digits) < 4:
        width = len(digits)
        if width <= 2:
            return value + (2000 if value < 70 else 1900)
        return value + (2000 if value < 520 else 1000)
    if keyword == "TZH" and digits.startswith("-"):
        found["zone_sign"] = -1
        return abs(value)
    return value


def _assembled(found: dict[str, Any], text: str) -> tuple[int, int | None]:
    def out_of_range() -> DatetimeOverflow:
        return DatetimeOverflow(f'date/time field value out of range: "{text}"')
    hour, minute, second = found.get("hour", 0), found.get("minute", 0), found.get("second", 0)
    if "hour12" in found:
        hour = found["hour12"]
        if "half" in found:
            if not 1 <= hour <= 12:
                raise InvalidDatetimeFormat(f'hour "{hour}" is invalid for the 12-hour clock',
                                            hint="Use the 24-hour clock, or give an hour between 1 and 12.")
            hour = hour % 12 + (12 if found["half"] == "PM" else 0)
    elif found.get("half") == "PM" and hour < 12:
        hour += 12
    if "seconds" in found:
        hour, minute, second = found["seconds"] // 3600, found["seconds"] // 60 % 60, found["seconds"] % 60
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60):
        raise out_of_range()
    us = ((hour * 60 + minute) * 60 + second) * SECOND_US + found.get("fraction", 0)
    offset = None
    if "zone_hour" in found:
        offset = found.get("zone_sign", 1) * (found["zone_hour"] * 3600 + found.get("zone_minute", 0) * 60)
    offset = found.get("offset", offset)
    return _assembled_days(found, out_of_range) * DAY_US + us, offset


def _assembled_days(found: dict[str, Any], out_of_range: Any) -> int:
    if "julian" in found:
        return int(found["julian"]) - JULIAN_1970
    year = found.get("year", 0)
    if "CC" in found and "year" in found and found["year"] < 100:
        year = (found["CC"] - 1) * 100 + year
    elif "CC" in found and "year" not in found:
        year = (found["CC"] - 1) * 100 + 1
    if found.get("era") == "BC" and year > 0:
        year = 1 - year
    elif year == 0:
        year = 0
    if "IYYY" in found:
        first = int(days_from_civil(found["IYYY"], 1, 4))
        monday = first - (first + 3) % 7
        if "IDDD" in found:
            return monday + int(found["IDDD"]) - 1
        return monday + (int(found.get("IW", 1)) - 1) * 7 + int(found.get("ID", 1)) - 1
    if "yearday" in found:
        if not 1 <= found["yearday"] <= 366:
            raise out_of_range()
        return int(days_from_civil(year, 1, 1)) + int(found["yearday"]) - 1
    month, day = found.get("month", 1), found.get("day", 1)
    if "WW" in found and "month" not in found:
        return int(days_from_civil(year, 1, 1)) + (int(found["WW"]) - 1) * 7 + day - 1
    if not 1 <= month <= 12 or not 1 <= day <= month_length(year, month):
        raise out_of_range()
    return int(days_from_civil(year, month, day))
