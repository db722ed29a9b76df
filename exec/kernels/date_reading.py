"""to_date() and to_timestamp(): a text read along a template.

Spec: PostgreSQL 15 documentation, 9.8 (tables 9.27 and 9.28 and the usage notes below them).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shoal.catalog.errors import DatetimeOverflow, FeatureNotSupported, InvalidDatetimeFormat, InvalidTimeZoneDisplacement
from shoal.exec.kernels.calendar import JULIAN_1970, civil_from_days, days_from_civil, month_length
from shoal.exec.kernels.formatting import DAYS, MONTHS, ROMAN, Part, date_parts
from shoal.exec.kernels.timezones import DAY_US, SECOND_US

_SPACE: Final = " \t\n\r\v\f"
_INTEGER: Final = re.compile(r"[ \t\n\r\v\f]*[+-]?\d+")
_THOUSANDS: Final = re.compile(r"\s*([+-]?\d+),\s*([+-]?\d{1,3})")
_LAST_YEAR: Final = 294_276
"""Of timestamps."""
_FIXED: Final = "If your source string is not fixed-width, try using the \"FM\" modifier."
_FIELDS: Final = {"HH": "hh", "HH12": "hh", "HH24": "hh", "MI": "mi", "SS": "ss", "SSSS": "ssss", "SSSSS": "ssss",
                  "MM": "mm", "DDD": "ddd", "IDDD": "ddd", "DD": "dd", "D": "d", "ID": "d", "WW": "ww", "IW": "ww",
                  "Q": "", "CC": "cc", "YYYY": "year", "IYYY": "year", "YYY": "year", "IYY": "year", "YY": "year",
                  "IY": "year", "Y": "year", "I": "year", "W": "w", "J": "j", "MS": "ms", "US": "us",
                  **{f"FF{i}": "us" for i in range(1, 7)}}
_WIDTHS: Final = {"HH12": 2, "HH24": 2, "MS": 3, "US": 6, "IDDD": 3, "ID": 1, "TZH": 2, "TZM": 2,
                  **{f"FF{i}": i for i in range(1, 7)}}
"""Digits of the fields that have not as many as their names letters."""
_WORDS: Final = frozenset({"AM", "PM", "A.M.", "P.M.", "AD", "BC", "A.D.", "B.C.", "MONTH", "MON", "DAY", "DY", "RM", "FX",
                           "TZ", "OF", "TZH"})
_ISO: Final = frozenset({"IYYY", "IYY", "IY", "I", "IW", "ID", "IDDD"})
_GREGORIAN: Final = frozenset({"MONTH", "MON", "MM", "RM", "DDD", "DD", "D", "WW", "W", "YYYY", "YYY", "YY", "Y", "Y,YYY"})
_MOST_ZONE_HOURS: Final = 15


def read_date(text: str, template: str) -> int:
    """to_date: days since 1970. Raises: as read_clock."""
    reader = _Reader(text, date_parts(template))
    reader.read()
    return reader.assembled()[0]


def read_clock(text: str, template: str) -> tuple[int, int | None]:
    """to_timestamp: (local microseconds, seconds east of UTC where the text said so).

    Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008), FeatureNotSupported (0A000) for TZ and OF.
    """
    reader = _Reader(text, date_parts(template))
    reader.read()
    days, us, offset = reader.assembled()
    if int(civil_from_days(days)[0]) > _LAST_YEAR:
        raise DatetimeOverflow("timestamp out of range")
    return days * DAY_US + us, offset


@dataclass(slots=True)
class _Reader:
    text: str
    parts: tuple[Part, ...]
    at: int = 0
    skipped: int = 0
    """Blanks passed that the template had no place for."""
    fields: dict[str, int] | None = None
    mode: str = ""
    half_day: bool = False
    year_digits: int = 0
    zone_sign: int = 0

    def read(self) -> None:
        self.fields = {}
        fixed = False
        for i, part in enumerate(self.parts):
            if self.at >= len(self.text):
                break
            upper = part.keyword.upper()
            if not fixed and upper != "FX" and (part.keyword or i == 0):
                self._pass_blanks()
            if not part.keyword:
                self._literal(part, fixed)
                continue
            if upper == "FX":
                fixed = True
                continue
            self._field(part, upper, i)
            if not fixed:
                self.skipped = 0
                self._pass_blanks()

    def _pass_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1
            self.skipped += 1

    def _literal(self, part: Part, fixed: bool) -> None:
        if fixed:
            self.at += 1
        elif not part.quoted and _separates(part.text):
            self.skipped -= 1
            if self.at < len(self.text) and _separates(self.text[self.at]):
                self.at += 1
                self.skipped += 1
        elif self.skipped > 0:
            self.skipped -= 1
        else:
            self.at += 1

    # --- fields

    def _field(self, part: Part, upper: str, index: int) -> None:
        mode = "iso" if upper in _ISO else "gregorian" if upper in _GREGORIAN else ""
        if mode and self.mode and mode != self.mode:
            raise InvalidDatetimeFormat("invalid combination of date conventions", hint=(
                "Do not mix Gregorian and ISO week date conventions in a formatting template."))
        self.mode = self.mode or mode
        if upper in ("AM", "PM", "A.M.", "P.M."):
            self._set("pm", self._word(part, ("A.M.", "P.M.") if "." in upper else ("AM", "PM")), part)
            self.half_day = True
        elif upper in ("AD", "BC", "A.D.", "B.C."):
            self._set("bc", self._word(part, ("A.D.", "B.C.") if "." in upper else ("AD", "BC")), part)
        elif upper in ("MONTH", "MON"):
            self._set("mm", self._word(part, [name if upper == "MONTH" else name[:3] for name in MONTHS]) + 1, part)
        elif upper in ("DAY", "DY"):
            self._set("d", self._word(part, [name if upper == "DAY" else name[:3] for name in DAYS]), part)
            self._fields["d"] += 1
        elif upper == "RM":
            self._set("mm", 12 - self._word(part, ROMAN[::-1]), part)
        elif upper in ("TZ", "OF"):
            raise FeatureNotSupported(f'formatting field "{part.keyword}" is only supported in to_char')
        elif upper in ("TZH", "TZM"):
            self._zone(part, upper, index)
        elif upper == "Y,YYY":
            match = _THOUSANDS.match(self.text, self.at)
            if match is None:
                raise InvalidDatetimeFormat('invalid input string for "Y,YYY"')
            self._set("year", int(match[1]) * 1000 + int(match[2]), part)
            self.year_digits = 4
            self.at = match.end()
            self._pass_suffix(part)
        else:
            self._number(part, upper, index)

    @property
    def _fields(self) -> dict[str, int]:
        assert self.fields is not None
        return self.fields

    def _set(self, name: str, value: int, part: Part) -> None:
        known = self._fields.get(name, 0)
        if known and known != value:
            raise InvalidDatetimeFormat(f'conflicting values for "{part.keyword}" field in formatting string',
                                        detail="This value contradicts a previous setting for the same field type.")
        self._fields[name] = value

    def _word(self, part: Part, words: tuple[str, ...] | list[str]) -> int:
        for number, word in enumerate(words):
            if self.text[self.at:self.at + len(word)].upper() == word.upper():
                self.at += len(word)
                return number
        given = re.split(f"[{_SPACE}]", self.text[self.at:], maxsplit=1)[0]
        raise InvalidDatetimeFormat(f'invalid value "{given}" for "{part.keyword}"',
                                    detail="The given value did not match any of the allowed values for this field.")

    def _pass_suffix(self, part: Part) -> None:
        if part.suffix:
            self.at = min(self.at + 2, len(self.text))

    def _integer(self, part: Part, index: int) -> tuple[int, int]:
        """(the number, characters taken)."""
        upper = part.keyword.upper()
        width = _WIDTHS.get(upper, len(upper))
        start = self.at
        begin = start
        while begin < len(self.text) and self.text[begin] in _SPACE:
            begin += 1
        copy = self.text[begin:begin + width]
        if not part.fill or self._ends_by_itself(index):
            match = _INTEGER.match(self.text, start)
            end = match.end() if match else start
            found = match[0] if match else ""
        else:
            if len(copy) < width:
                raise InvalidDatetimeFormat(f'source string too short for "{part.keyword}" formatting field', hint=_FIXED,
                                            detail=f"Field requires {width} characters, but only {len(copy)} remain.")
            match = _INTEGER.match(copy)
            found = match[0] if match else ""
            if found and len(found) < width:
                raise InvalidDatetimeFormat(f'invalid value "{copy}" for "{part.keyword}"', hint=_FIXED, detail=(
                    f"Field requires {width} characters, but only {len(found)} could be parsed."))
            end = begin + len(found)
        if not found:
            raise InvalidDatetimeFormat(f'invalid value "{copy}" for "{part.keyword}"', detail="Value must be an integer.")
        self.at = end
        value = int(found) if len(found) < 40 else 1 << 63
        if not -(1 << 31) <= value < 1 << 31:
            raise DatetimeOverflow(f'value for "{part.keyword}" in source string is out of range',
                                   detail="Value must be in the range -2147483648 to 2147483647.")
        return value, end - start

    def _ends_by_itself(self, index: int) -> bool:
        """Whether what follows in the template is no digit, so that the number ends where its digits do."""
        if self.parts[index].suffix:
            return True
        if index + 1 == len(self.parts):
            return True
        following = self.parts[index + 1]
        if following.keyword:
            return following.keyword.upper() in _WORDS
        return not following.text.isdigit()

    def _number(self, part: Part, upper: str, index: int) -> None:
        value, size = self._integer(part, index)
        name = _FIELDS[upper]
        if upper in ("HH", "HH12"):
            self.half_day = True
        elif name in ("ms", "us"):
            value *= 10 ** max((3 if name == "ms" else 6) - size, 0)
            self._fields[name] = 0
        elif upper == "ID":
            value = value + 1 if value < 7 else 1
        elif name == "year":
            digits = len(upper)
            if digits < 4 and size < 4:
                value = _near_2020(value)
            self.year_digits = digits
        if name:
            self._set(name, value, part)
        self._pass_suffix(part)

    def _zone(self, part: Part, upper: str, index: int) -> None:
        if upper == "TZH":
            if self.text[self.at:self.at + 1] in ("+", "-", " "):
                self.zone_sign = -1 if self.text[self.at] == "-" else 1
                self.at += 1
            else:
                self.zone_sign = -1 if self.skipped > 0 and self.text[self.at - 1] == "-" else 1
        elif not self.zone_sign:
            self.zone_sign = 1
        self._set(upper, self._integer(part, index)[0], part)
        self._pass_suffix(part)

    # --- what they mean together

    def _beyond(self) -> DatetimeOverflow:
        return DatetimeOverflow(f'date/time field value out of range: "{self.text}"')

    def assembled(self) -> tuple[int, int, int | None]:
        """(days since 1970, microseconds of the day, seconds east of UTC).

        Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008).
        """
        given = {name: value for name, value in self._fields.items() if value}
        days = self._days(given)
        seconds = given.get("ssss", 0)
        hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
        hour, minute, second = given.get("hh", hour), given.get("mi", minute), given.get("ss", second)
        if self.half_day:
            if not 1 <= hour <= 12:
                raise InvalidDatetimeFormat(f'hour "{hour}" is invalid for the 12-hour clock',
                                            hint="Use the 24-hour clock, or give an hour between 1 and 12.")
            hour = hour % 12 + (12 if given.get("pm") else 0)
        fraction = given.get("ms", 0) * 1000 + given.get("us", 0)
        if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 60 and 0 <= fraction < SECOND_US):
            raise self._beyond()
        offset = None
        if self.zone_sign:
            hours, minutes = given.get("TZH", 0), given.get("TZM", 0)
            if not (0 <= hours <= _MOST_ZONE_HOURS and 0 <= minutes < 60):
                raise InvalidTimeZoneDisplacement(f'time zone displacement out of range: "{self.text}"')
            offset = self.zone_sign * (hours * 3600 + minutes * 60)
        return days, ((hour * 60 + minute) * 60 + second) * SECOND_US + fraction, offset

    def _year(self, given: dict[str, int]) -> int:
        """The astronomical year, 0 where none is given."""
        year, century, before = given.get("year", 0), given.get("cc", 0), bool(given.get("bc"))
        if year and not (century and self.year_digits <= 2):
            year = -year if before else year
            return year + 1 if year < 0 else year
        if before:
            century = -century
        if year:
            rest = int(abs(year) % 100) * (1 if year > 0 else -1)
            if rest:
                return rest + (century - 1) * 100 if century >= 0 else (century + 1) * 100 - rest + 1
            return century * 100 + (0 if century >= 0 else 1)
        if century:
            return (century - 1) * 100 + 1 if century >= 0 else century * 100 + 1
        return 0

    def _days(self, given: dict[str, int]) -> int:
        """Days since 1970. Raises: InvalidDatetimeFormat (22007), DatetimeOverflow (22008)."""
        year, month, day = self._year(given), 1, 1
        day_of_year = given.get("ddd", 0)
        if "j" in given:
            year, month, day = (int(value) for value in civil_from_days(given["j"] - JULIAN_1970))
        if "ww" in given:
            if self.mode == "iso":
                monday = _iso_week_start(year, given["ww"])
                weekday = given.get("d", 2)
                found = monday + (weekday - 2 if weekday > 1 else 6)
                year, month, day = (int(value) for value in civil_from_days(found))
            else:
                day_of_year = (given["ww"] - 1) * 7 + 1
        if "w" in given:
            given["dd"] = (given["w"] - 1) * 7 + 1
        day, month = given.get("dd", day), given.get("mm", month)
        if day_of_year and (month <= 1 or day <= 1):
            if not year and not given.get("bc"):
                raise InvalidDatetimeFormat("cannot calculate day of year without year information")
            if self.mode == "iso":
                found = _iso_week_start(year, 1) - 1 + day_of_year
                year, month, day = (int(value) for value in civil_from_days(found))
            else:
                number, before = 1, 0
                while number <= 12 and day_of_year > before + int(month_length(year, number)):
                    before += int(month_length(year, number))
                    number += 1
                month = number if month <= 1 else month
                day = day_of_year - before if day <= 1 else day
        if not (1 <= month <= 12 and 1 <= day <= 31 and -4713 <= year <= 5_874_897):
            raise self._beyond()
        if day > int(month_length(year, month)):
            raise self._beyond()
        return int(days_from_civil(year, month, day))


def _iso_week_start(year: int, week: int) -> int:
    """The Monday of an ISO week, in days since 1970: week 1 has January 4."""
    fourth = int(days_from_civil(year, 1, 4))
    return fourth - (fourth + 3) % 7 + (week - 1) * 7


def _near_2020(year: int) -> int:
    """A year of fewer than four digits as the one nearest to 2020."""
    if year < 70:
        return year + 2000
    if year < 100:
        return year + 1900
    if year < 520:
        return year + 2000
    return year + 1000 if year < 1000 else year


def _separates(char: str) -> bool:
    """Whether this is a blank, or a sign that separates fields."""
    return char in _SPACE or (char.isascii() and "!" <= char <= "~" and not char.isalnum())
