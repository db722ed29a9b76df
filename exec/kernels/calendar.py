"""The proleptic Gregorian calendar on day numbers since 1970, for numpy arrays and Python integers alike.

Years are astronomical: 0 is 1 BC. Algorithms count days in 400-year eras starting on March 1st.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DAYS_0000_03_01 = 719_468
"""From 0000-03-01 to 1970-01-01."""
JULIAN_1970 = 2_440_588
"""The Julian day number of 1970-01-01."""


def civil_from_days(days: Any) -> tuple[Any, Any, Any]:
    """(year, month, day) of days since 1970."""
    z = days + DAYS_0000_03_01
    era = z // 146_097
    day_of_era = z - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    late = shifted >= 10
    month = shifted + 3 - 12 * late
    year = year_of_era + era * 400 + late
    return year, month, day


def days_from_civil(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970 of a date; `day` may lie outside the month and then counts on."""
    early = month <= 2
    y = year - early
    era = y // 400
    year_of_era = y - era * 400
    day_of_year = (153 * (month - 3 + 12 * early) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * 146_097 + day_of_era - DAYS_0000_03_01


_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def is_leap(year: Any) -> Any:
    return (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))


def month_length(year: Any, month: Any) -> Any:
    """Days of a month (1 to 12)."""
    return _MONTH_DAYS[month - 1] + ((month == 2) & is_leap(year))


def add_months(days: Any, months: Any) -> Any:
    """The date `months` later, at most the last day of its month."""
    year, month, day = civil_from_days(days)
    total = year * 12 + (month - 1) + months
    year, month = total // 12, total % 12 + 1
    return days_from_civil(year, month, np.minimum(day, month_length(year, month)))


def iso_week(days: Any) -> tuple[Any, Any, Any]:
    """(ISO year, ISO week, ISO weekday 1..7)."""
    weekday = (days + 3) % 7 + 1
    thursday = days + 4 - weekday
    year, _, _ = civil_from_days(thursday)
    week = (thursday - days_from_civil(year, 1, 1)) // 7 + 1
    return year, week, weekday
