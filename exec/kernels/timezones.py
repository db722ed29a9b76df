"""Local time and UTC: conversions of microsecond timestamps in a session's time zone, whole columns at a time.

Times that a zone skips are taken with the offset before the gap, times that happen twice with standard time, as
PostgreSQL does. Zones are IANA names, POSIX-style or ISO offsets ("+02", "UTC-3"), and common abbreviations.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import DatetimeOverflow, InvalidParameterValue
from shoal.exec.kernels import views
from shoal.exec.kernels.calendar import civil_from_days, days_from_civil
from shoal.exec.kernels.zone_abbreviations import CHANGING, FIXED

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
DATE_INFINITY, DATE_MINUS_INFINITY = (1 << 31) - 1, -(1 << 31)
INFINITY, MINUS_INFINITY = (1 << 63) - 1, -(1 << 63)
_EPOCH = datetime.datetime(1970, 1, 1)
_UTC = frozenset({"utc", "gmt", "z", "etc/utc", "zulu", "uct", "universal"})
_OFFSET = re.compile(r"([A-Za-z]{3,}|<[^<>]*>)?([+-]?)(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?$")


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo | int:
    """A zone by name, or its fixed offset east of UTC in seconds.

    A name after a colon is one of the tz database only: "CET" is one hour, ":CET" has summer time.
    Raises: InvalidParameterValue (22023) for an unknown zone.
    """
    fold = name.strip().lower()
    if fold in _UTC:
        return 0
    if fold in FIXED:
        return FIXED[fold]
    match = _OFFSET.match(name.strip())
    if match:
        seconds = int(match[3]) * 3600 + int(match[4] or 0) * 60 + int(match[5] or 0)
        # POSIX counts offsets west of Greenwich as positive
        return seconds if match[2] == "-" else -seconds
    try:
        return ZoneInfo(_spelled(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidParameterValue(f'time zone "{name}" not recognized') from None


def _spelled(name: str) -> str:
    """IANA names are found whatever their case; some abbreviations stand for one."""
    name = CHANGING.get(name.strip().lower()) or name.removeprefix(":")
    try:
        ZoneInfo(name)
        return name
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from zoneinfo import available_timezones
        return next((known for known in available_timezones() if known.lower() == name.lower()), name)


_RULES_END_US = 24_837 * DAY_US
"""2038-01-01: Arrow knows the changes of offset until then, and not the rules by which they go on."""
_LIKE_JANUARY, _LIKE_MARCH = (
    np.array([next(day for day in (days_from_civil(year, month, 1) for year in range(2037, 2020, -1))
                   if (day + 3) % 7 == weekday) for weekday in range(7)]) for month in (1, 3))
"""For each weekday, the latest first of January and first of March that it was, before 2038."""


@lru_cache(maxsize=256)
def _follows_rules(zone: str) -> bool:
    """Whether the zone's offset goes on changing by rules."""
    fixed = zone_of(zone)
    return not isinstance(fixed, int) and len({
        fixed.utcoffset(datetime.datetime(2100, month, 15)) for month in range(1, 13)}) > 1


def _rule_shift(us: Any, zone: str) -> Any:
    """What to take off times from 2038 on so that they fall in a year with the same weekdays before, where zones that
    follow rules have the same offsets; 0 where there are none such."""
    if isinstance(us, int):
        return int(np.max(_rule_shift(np.array([us], np.int64), zone)))
    if len(us) == 0 or int(us.max()) < _RULES_END_US or not _follows_rules(zone):
        return 0
    year, month, _ = civil_from_days(us // DAY_US)
    late = month >= 3
    first = days_from_civil(year, np.where(late, 3, 1), 1)
    weekday = (first + 3) % 7
    like = np.where(late, _LIKE_MARCH[weekday], _LIKE_JANUARY[weekday])
    return np.where(us >= _RULES_END_US, (first - like) * DAY_US, 0)


def utc_to_local(us: Any, zone: str) -> Any:
    """Local wall-clock microseconds of UTC instants (array or int); infinities stay."""
    fixed = zone_of(zone)
    if isinstance(fixed, int):
        return _shifted(us, fixed * SECOND_US)
    if isinstance(us, int):
        return us if us in (INFINITY, MINUS_INFINITY) else us + utc_offset(us, zone) * SECOND_US
    finite = _finite(us)
    plain = us if finite is None else np.where(finite, us, 0)
    shift = _rule_shift(plain, zone)
    stamps = views.array_of(plain - shift, pa.timestamp("us", "UTC"))
    local = pc.local_timestamp(stamps.cast(pa.timestamp("us", _spelled(zone))))
    result = views.values(local) + shift
    return result if finite is None else np.where(finite, result, us)


def local_to_utc(us: Any, zone: str) -> Any:
    """UTC instants of local wall-clock microseconds (array or int); infinities stay."""
    fixed = zone_of(zone)
    if isinstance(fixed, int):
        return _shifted(us, -fixed * SECOND_US)
    if isinstance(us, int):
        return int(local_to_utc(np.array([us], np.int64), zone)[0])
    finite = _finite(us)
    plain = us if finite is None else np.where(finite, us, 0)
    shift = _rule_shift(plain, zone)
    plain = plain - shift
    stamps = views.array_of(plain, pa.timestamp("us"))
    try:
        aware = pc.assume_timezone(stamps, _spelled(zone), ambiguous="raise", nonexistent="raise")
        result = views.values(aware.view(pa.int64()))
    except pa.ArrowInvalid:
        result = _local_to_utc_slow(plain, fixed)
    result = result + shift
    if zone.strip().lower() in CHANGING:  # the abbreviation's offset from that moment on
        result = plain + shift - (utc_to_local(result, zone) - result)
    return result if finite is None else np.where(finite, result, us)


def _local_to_utc_slow(us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Where some times are skipped or happen twice: per distinct local time."""
    distinct, inverse = np.unique(us, return_inverse=True)
    offsets = np.empty(len(distinct), np.int64)
    for i, value in enumerate(distinct.tolist()):
        try:
            local = _EPOCH + datetime.timedelta(microseconds=value)
        except OverflowError:
            raise DatetimeOverflow("timestamp out of range") from None
        first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        assert first is not None and second is not None
        # a gap (offset grows) keeps the offset before it, an overlap takes standard time: fold 0 and fold 1
        chosen = first if first < second else second
        offsets[i] = chosen // datetime.timedelta(microseconds=1)
    return us - offsets[inverse]


def utc_offset(us: int, zone: str) -> int:
    """Seconds east of UTC at one instant."""
    fixed = zone_of(zone)
    if isinstance(fixed, int):
        return fixed
    try:
        instant = (_EPOCH + datetime.timedelta(microseconds=us - _rule_shift(us, zone))).replace(tzinfo=datetime.UTC)
        offset = instant.astimezone(fixed).utcoffset()
    except OverflowError:
        return 0
    return int(offset.total_seconds()) if offset is not None else 0


def zone_abbreviations(us: np.ndarray, zone: str) -> Any:
    """What clocks in the zone are called at these instants: PST, CEST, +03; one str where that is always the same."""
    fixed = zone_of(zone)
    if isinstance(fixed, int):
        match = _OFFSET.match(zone)
        if match:
            return (match[1] or "").strip("<>")
        return "UTC" if fixed == 0 and zone.lower() != "gmt" else zone.upper()
    stamps = views.array_of(us - _rule_shift(us, zone), pa.timestamp("us", "UTC")).cast(pa.timestamp("us", _spelled(zone)))
    return pc.strftime(stamps, format="%Z")


def _shifted(us: Any, by: int) -> Any:
    if by == 0:
        return us
    if isinstance(us, int):
        return us if us in (INFINITY, MINUS_INFINITY) else us + by
    finite = _finite(us)
    return us + by if finite is None else np.where(finite, us + by, us)


def _finite(us: np.ndarray) -> np.ndarray | None:
    if len(us) == 0 or (int(us.min()) != MINUS_INFINITY and int(us.max()) != INFINITY):
        return None
    return (us != INFINITY) & (us != MINUS_INFINITY)


def date_to_timestamp(days: Any, saturate: bool = False) -> Any:
    """Midnight of a date (array or int) in microseconds, infinities kept.

    Raises: DatetimeOverflow (22008) for dates no timestamp reaches, unless they may `saturate` to infinity.
    """
    if isinstance(days, int):
        return int(date_to_timestamp(np.array([days], np.int32), saturate)[0])
    wide = days.astype(np.int64)
    result = wide * DAY_US
    if len(days) and (int(wide.max()) > 106_751_990 or int(wide.min()) < -106_751_990):
        special = (days == DATE_INFINITY) | (days == DATE_MINUS_INFINITY)
        beyond = ((wide > 106_751_990) | (wide < -106_751_990)) & ~special
        if not saturate and beyond.any():
            raise DatetimeOverflow("date out of range for timestamp")
        result = np.where(wide > 106_751_990, INFINITY, np.where(wide < -106_751_990, MINUS_INFINITY, result))
    return result
