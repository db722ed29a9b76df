"""Date and time arithmetic on whole columns: int32 days, int64 microseconds, intervals as (months, days, us) arrays.

Infinite dates and timestamps stay infinite. Spec: PostgreSQL 15 documentation, 9.9.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import DatetimeOverflow, FeatureNotSupported, InvalidParameterValue
from shoal.exec.kernels import views
from shoal.exec.kernels.calendar import JULIAN_1970, add_months, civil_from_days, days_from_civil, iso_week, month_length
from shoal.exec.kernels.timezones import DATE_INFINITY, DATE_MINUS_INFINITY, DAY_US, INFINITY, MINUS_INFINITY, SECOND_US

MIN_TIMESTAMP = -210_866_803_200_000_000
_HOUR_US, _MINUTE_US = 3600 * SECOND_US, 60 * SECOND_US
_INT64_SAFE_DAYS = 106_751_990

_ALIASES = {alias: unit for unit, aliases in {
    "microseconds": "us usec usecs usecond useconds microsecond microseconds microsecon",
    "milliseconds": "ms msec msecs mseconds msecond millisecond milliseconds", "second": "s sec secs second seconds",
    "minute": "m min mins minute minutes", "hour": "h hr hrs hour hours", "day": "d day days", "week": "w week weeks",
    "month": "mon mons month months", "quarter": "qtr quarter quarters", "year": "y yr yrs year years",
    "decade": "dec decs decade decades", "century": "c cent century centuries",
    "millennium": "mil mils millennium millennia",
    "dow": "dow", "doy": "doy", "isodow": "isodow", "isoyear": "isoyear", "epoch": "epoch", "julian": "j jd julian",
    "timezone": "timezone", "timezone_hour": "timezone_h timezone_hour", "timezone_minute": "timezone_m timezone_minute",
}.items() for alias in aliases.split()}
_DATE_UNITS = frozenset(["day", "week", "month", "quarter", "year", "decade", "century", "millennium", "dow", "doy",
                         "isodow", "isoyear", "epoch", "julian"])
_TIME_UNITS = frozenset(["microseconds", "milliseconds", "second", "minute", "hour", "epoch"])
_TYPE_WORDS = {"date": "date", "time": "time without time zone", "timestamp": "timestamp without time zone",
               "timestamptz": "timestamp with time zone", "interval": "interval", "timetz": "time with time zone"}

SUBSECOND_DIGITS = {"epoch": 6, "second": 6, "milliseconds": 3}
"""Digits after the point of the units that extract() gives with any."""


def known_unit(name: str) -> str | None:
    """The canonical unit, None for a word that is none."""
    return _ALIASES.get(name.strip().lower())


def unit_of(name: str, kind: str) -> str:
    """The canonical unit. Raises: InvalidParameterValue (22023) for a word that is none."""
    unit = known_unit(name)
    if unit is None:
        raise InvalidParameterValue(f'unit "{name.lower()}" not recognized for type {_TYPE_WORDS[kind]}')
    return unit


def unsupported_unit(name: str, kind: str) -> FeatureNotSupported:
    return FeatureNotSupported(f'unit "{name.lower()}" not supported for type {_TYPE_WORDS[kind]}')


# --- fields

@dataclass(frozen=True, slots=True)
class FieldValue:
    """integer / 10**scale for each row."""

    data: np.ndarray
    scale: int


def date_field(days: np.ndarray, unit: str) -> np.ndarray:
    """A field of dates. Few distinct days are computed once each."""
    if unit == "epoch":
        return days.astype(np.int64) * 86_400
    if len(days) > 64:
        low, high = int(days.min()), int(days.max())
        if high - low < len(days):
            return _date_field(np.arange(low, high + 1), unit)[days - low]
    return _date_field(days.astype(np.int64), unit)


def _date_field(days: np.ndarray, unit: str) -> np.ndarray:
    if unit == "dow":
        return (days + 4) % 7
    if unit == "isodow":
        return (days + 3) % 7 + 1
    if unit == "julian":
        return days + JULIAN_1970
    if unit in ("week", "isoyear"):
        year, week, _ = iso_week(days)
        return week if unit == "week" else np.where(year > 0, year, year - 1)
    year, month, day = civil_from_days(days)
    if unit == "doy":
        return days - days_from_civil(year, 1, 1) + 1
    return calendar_field(year, month, day, unit)


def calendar_field(year: Any, month: Any, day: Any, unit: str) -> Any:
    """year, month ... millennium; years before 1 AD count down from -1."""
    match unit:
        case "day":
            return day
        case "month":
            return month
        case "quarter":
            return (month - 1) // 3 + 1
        case "year":
            return np.where(year > 0, year, year - 1)
        case "decade":
            return year // 10
        case "century":
            return np.where(year > 0, (year + 99) // 100, -((99 - (year - 1)) // 100))
        case _:
            return np.where(year > 0, (year + 999) // 1000, -((999 - (year - 1)) // 1000))


def time_field(us: np.ndarray, unit: str) -> FieldValue:
    """A field of a time of day (or of an interval's microseconds, then with its sign)."""
    within_minute = np.fmod(us, _MINUTE_US)
    match unit:
        case "microseconds":
            return FieldValue(within_minute, 0)
        case "milliseconds":
            return FieldValue(within_minute, 3)
        case "second":
            return FieldValue(within_minute, 6)
        case "minute":
            return FieldValue(_towards_zero(us, _MINUTE_US) - _towards_zero(us, _HOUR_US) * 60, 0)
        case "hour":
            return FieldValue(_towards_zero(us, _HOUR_US), 0)
        case _:
            return FieldValue(us, 6)


def _towards_zero(data: np.ndarray, divisor: int) -> np.ndarray:
    return (data - np.fmod(data, divisor)) // divisor


def timestamp_field(us: np.ndarray, unit: str) -> FieldValue:
    """A field of local timestamps."""
    if unit == "epoch":
        return FieldValue(us, 6)
    if unit in _TIME_UNITS:
        return time_field(us % DAY_US, unit)
    return FieldValue(date_field(us // DAY_US, unit), 0)


def interval_field(fields: np.ndarray, name: str, unit: str) -> FieldValue:
    months, days, us = fields["f0"].astype(np.int64), fields["f1"].astype(np.int64), fields["f2"]
    if unit == "epoch":
        years = _towards_zero(months, 12)
        rest = months - years * 12
        # 365.25 days a year, 30 days a month
        seconds = years * 31_557_600 + (rest * 30 + days) * 86_400
        if len(seconds) and np.abs(seconds).max() * 1e6 + np.abs(us.astype(np.float64)).max() > 9.2e18:
            return FieldValue(seconds.astype(object) * SECOND_US + us.astype(object), 6)
        return FieldValue(seconds * SECOND_US + us, 6)
    if unit in _TIME_UNITS:
        return time_field(us, unit)
    if unit == "day":
        return FieldValue(days, 0)
    if unit == "month":
        return FieldValue(np.fmod(months, 12), 0)
    if unit == "quarter":
        return FieldValue(_towards_zero(np.fmod(months, 12), 3) + 1, 0)
    divisors = {"year": 12, "decade": 120, "century": 1200, "millennium": 12000}
    if unit in divisors:
        return FieldValue(_towards_zero(months, divisors[unit]), 0)
    raise unsupported_unit(name, "interval")


def field(values: np.ndarray, kind: str, name: str) -> FieldValue:
    """extract(name FROM value) for raw dates, times, local timestamps and intervals.

    Raises: InvalidParameterValue (22023), FeatureNotSupported (0A000) for units the type lacks.
    """
    unit = unit_of(name, kind)
    if kind == "interval":
        return interval_field(values, name, unit)
    if kind == "date":
        if unit not in _DATE_UNITS:
            raise unsupported_unit(name, kind)
        return FieldValue(date_field(values, unit), 0)
    if kind == "time":
        if unit not in _TIME_UNITS:
            raise unsupported_unit(name, kind)
        return time_field(values, unit)
    if unit.startswith("timezone"):
        raise unsupported_unit(name, kind)
    return timestamp_field(values, unit)


def finite_dates(days: np.ndarray) -> np.ndarray | None:
    """Rows that are no infinity; None means all."""
    if len(days) == 0 or (int(days.max()) != DATE_INFINITY and int(days.min()) != DATE_MINUS_INFINITY):
        return None
    return (days != DATE_INFINITY) & (days != DATE_MINUS_INFINITY)


def finite_timestamps(us: np.ndarray) -> np.ndarray | None:
    if len(us) == 0 or (int(us.max()) != INFINITY and int(us.min()) != MINUS_INFINITY):
        return None
    return (us != INFINITY) & (us != MINUS_INFINITY)


# --- arithmetic

FIRST_DATE, LAST_DATE = -2_440_588, 2_145_042_905
"""4714-11-24 BC and 5874897-12-31 as days since 1970."""


def plus_days(days: Any, count: Any, valid: np.ndarray | None) -> np.ndarray:
    """date + integer. Raises: DatetimeOverflow (22008)."""
    wide = np.asarray(days).astype(np.int64)
    result = wide + np.asarray(count).astype(np.int64)
    infinite = (wide == DATE_INFINITY) | (wide == DATE_MINUS_INFINITY)
    result = np.where(infinite, wide, result)
    bad = ((result > LAST_DATE) | (result < FIRST_DATE)) & ~infinite
    if (bad if valid is None else bad & valid).any():
        raise DatetimeOverflow("date out of range")
    return np.where(bad, 0, result)


def plus_interval(us: np.ndarray, months: Any, days: Any, micros: Any, valid: np.ndarray | None) -> np.ndarray:
    """Local timestamp + interval: months (at most the month's last day), then days, then time.

    Raises: DatetimeOverflow (22008).
    """
    finite = finite_timestamps(us)
    base = us if finite is None else np.where(finite, us, 0)
    if np.any(months) or np.any(days):
        day = base // DAY_US
        rest = base - day * DAY_US
        if np.any(months):
            day = add_months(day, np.asarray(months).astype(np.int64))
        day = day + days
        beyond = np.abs(day) > _INT64_SAFE_DAYS
        if beyond.any():
            _raise_where(beyond, valid, finite)
            day = np.where(beyond, 0, day)
        base = day * DAY_US + rest
    result = base + micros
    wrapped = ((base > 0) & (np.asarray(micros) > 0) & (result < 0)) | (result < MIN_TIMESTAMP)
    if wrapped.any():
        _raise_where(wrapped, valid, finite)
    return result if finite is None else np.where(finite, result, us)


def _raise_where(bad: np.ndarray, valid: np.ndarray | None, finite: np.ndarray | None) -> None:
    for mask in (valid, finite):
        if mask is not None:
            bad = bad & mask
    if bad.any():
        raise DatetimeOverflow("timestamp out of range")


INTERVAL_DTYPE = np.dtype("<i4,<i4,<i8")
INTERVAL_ARROW = pa.month_day_nano_interval()


def interval_array(months: Any, days: Any, us: Any, rows: int, valid: np.ndarray | None) -> pa.Array:
    """An interval column of its parts; microseconds are the caller's to check. Raises: DatetimeOverflow (22008)."""
    data = np.zeros(rows, INTERVAL_DTYPE)
    for name, part in (("f0", months), ("f1", days)):
        part = np.asarray(part)
        bad = (part < -(1 << 31)) | (part >= 1 << 31)
        if bad.any():
            if (bad if valid is None else bad & valid).any():
                raise DatetimeOverflow("interval out of range")
            part = np.where(bad, 0, part)
        data[name] = part
    data["f2"] = us
    return views.array_of(data, INTERVAL_ARROW, valid)


def exact_sum(a: Any, b: Any, valid: np.ndarray | None, message: str = "interval out of range", sign: int = 1) -> Any:
    """a + b (or a - b) of int64 microseconds. Raises: DatetimeOverflow (22008) where the result wraps around."""
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    with np.errstate(over="ignore"):
        total = a + b if sign > 0 else a - b
    other = b if sign > 0 else ~b  # -b, as far as its sign goes
    wrapped = ((a >= 0) == (other >= 0)) & ((total >= 0) != (a >= 0))
    if wrapped.any() and (wrapped if valid is None else wrapped & valid).any():
        raise DatetimeOverflow(message)
    return total


def parts_of(arg: pa.Array | pa.Scalar) -> tuple[Any, Any, Any]:
    """(months, days, microseconds) of an interval column or constant."""
    if isinstance(arg, pa.Scalar):
        value = arg.as_py()
        return (0, 0, 0) if value is None else (value.months, value.days, value.nanoseconds)
    fields = views.values(arg)
    return fields["f0"].astype(np.int64), fields["f1"].astype(np.int64), fields["f2"]


def difference(left: Any, right: Any, rows: int, valid: np.ndarray | None) -> pa.Array:
    """timestamp - timestamp as days and time. Raises: DatetimeOverflow (22008) for infinities."""
    a, b = np.broadcast_to(np.asarray(left), rows), np.broadcast_to(np.asarray(right), rows)
    for side in (finite_timestamps(a), finite_timestamps(b)):
        if side is not None:
            bad = ~side if valid is None else ~side & valid
            if bad.any():
                raise DatetimeOverflow("cannot subtract infinite timestamps")
            a, b = np.where(side, a, 0), np.where(side, b, 0)
    us = exact_sum(a, b, valid, sign=-1)
    days = _towards_zero(us, DAY_US)
    return interval_array(0, days, us - days * DAY_US, rows, valid)


def scaled_interval(parts: tuple[Any, Any, Any], factor: Any, rows: int, valid: np.ndarray | None,
                    divide: bool = False) -> pa.Array:
    """interval * factor (or / factor), fractions of months cascading to days (of 30) and of days to time."""
    months, days, us = (np.asarray(part, np.float64) for part in parts)
    with np.errstate(all="ignore"):
        total_months, total_days, total_us = (part / factor if divide else part * factor for part in (months, days, us))
        new_months, new_days = np.trunc(total_months), np.trunc(total_days)
        month_days = np.round((total_months - new_months) * 30, 6)
        seconds = np.round((total_days - new_days + month_days - np.trunc(month_days)) * 86_400, 6)
        extra = np.where(np.abs(seconds) >= 86_400, np.trunc(seconds / 86_400), 0)
        seconds = seconds - extra * 86_400
        new_days = new_days + extra + np.trunc(month_days)
        new_us = np.rint(total_us + seconds * SECOND_US)
    clean = []
    for part, limit in ((new_months, 2.0 ** 31), (new_days, 2.0 ** 31), (new_us, 2.0 ** 63)):
        bad = ~((part >= -limit) & (part < limit))
        if (bad if valid is None else bad & valid).any():
            raise DatetimeOverflow("interval out of range")
        clean.append(np.where(bad, 0, part).astype(np.int64))
    return interval_array(clean[0], clean[1], clean[2], rows, valid)


_LAST_MOMENT = divmod(INFINITY + 946_684_800 * SECOND_US, DAY_US)
"""Where infinity would be, counted from 2000: PostgreSQL 15 takes it for that moment here."""


def _days_and_us(us: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    days = us // DAY_US
    rest = us - days * DAY_US
    infinite = us == INFINITY
    return np.where(infinite, _LAST_MOMENT[0], days), np.where(infinite, _LAST_MOMENT[1], rest)


def age(left: np.ndarray, right: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """The difference of local timestamps in years, months, days and time, as a calendar counts."""
    backwards = left < right
    (days_a, us_a), (days_b, us_b) = (_days_and_us(side) for side in (left, right))
    (year_a, month_a, day_a), (year_b, month_b, day_b) = civil_from_days(days_a), civil_from_days(days_b)
    sign = np.where(backwards, -1, 1)
    months = sign * ((year_a - year_b) * 12 + month_a - month_b)
    days = sign * (day_a - day_b)
    us = sign * (us_a - us_b)
    borrow = us < 0
    us, days = us + DAY_US * borrow, days - borrow
    length = np.where(backwards, month_length(year_a, month_a), month_length(year_b, month_b))
    while True:
        short = days < 0
        if not short.any():
            break
        days, months = days + length * short, months - short
    return interval_array(sign * months, sign * days, sign * us, len(left), valid)


# --- truncation

def truncate_timestamp(us: np.ndarray, name: str, kind: str = "timestamp") -> np.ndarray:
    """date_trunc on local timestamps."""
    unit = unit_of(name, kind)
    finite = finite_timestamps(us)
    base = us if finite is None else np.where(finite, us, 0)
    steps = {"microseconds": 1, "milliseconds": 1000, "second": SECOND_US, "minute": _MINUTE_US, "hour": _HOUR_US,
             "day": DAY_US}
    if unit in steps:
        result = base // steps[unit] * steps[unit]
    else:
        result = _truncated_days(base // DAY_US, unit, name, kind) * DAY_US
    return result if finite is None else np.where(finite, result, us)


def _truncated_days(days: np.ndarray, unit: str, name: str, kind: str) -> np.ndarray:
    if unit == "week":
        return days - (days + 3) % 7
    year, month, _ = civil_from_days(days)
    match unit:
        case "month":
            return days_from_civil(year, month, 1)
        case "quarter":
            return days_from_civil(year, (month - 1) // 3 * 3 + 1, 1)
        case "year":
            return days_from_civil(year, 1, 1)
        case "decade":
            return days_from_civil(year // 10 * 10, 1, 1)
        case "century":
            return days_from_civil((year - 1) // 100 * 100 + 1, 1, 1)
        case "millennium":
            return days_from_civil((year - 1) // 1000 * 1000 + 1, 1, 1)
    raise unsupported_unit(name, kind)


def truncate_interval(parts: tuple[Any, Any, Any], name: str, rows: int) -> pa.Array:
    months, days, us = parts
    unit = unit_of(name, "interval")
    month_steps = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12000}
    time_steps = {"microseconds": 1, "milliseconds": 1000, "second": SECOND_US, "minute": _MINUTE_US, "hour": _HOUR_US}
    if unit in month_steps:
        step = month_steps[unit]
        return interval_array(_towards_zero(months, step) * step, 0, 0, rows, None)
    if unit == "day":
        return interval_array(months, days, 0, rows, None)
    if unit in time_steps:
        return interval_array(months, days, _towards_zero(us, time_steps[unit]) * time_steps[unit], rows, None)
    raise unsupported_unit(name, "interval")


def checked_dates(year: np.ndarray, month: np.ndarray, day: np.ndarray, valid: np.ndarray | None,
                  describe: Callable[[int], str]) -> np.ndarray:
    """Days since 1970; negative years are BC. Raises: DatetimeOverflow (22008)."""
    astronomical = np.where(year < 0, year + 1, year)
    bad = (year == 0) | (month < 1) | (month > 12) | (day < 1)
    safe_month = np.where(bad, 1, month)
    bad |= day > month_length(astronomical, safe_month)
    blamed = bad if valid is None else bad & valid
    if blamed.any():
        raise DatetimeOverflow(describe(int(np.flatnonzero(blamed)[0])))
    return days_from_civil(astronomical, safe_month, np.where(bad, 1, day))
