"""Date, time, timestamp and interval functions and operators.

Spec: PostgreSQL 15 documentation, 9.9 "Date/Time Functions and Operators".
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.errors import DatetimeOverflow, DivisionByZero, FeatureNotSupported, InvalidParameterValue
from shoal.catalog.types import FLOAT8, NUMERIC, SqlType, numeric, storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, fields, spelled, truncations
from shoal.exec.functions.text_output import float_text, interval_text
from shoal.exec.kernels import datetimes, decimals, nulls, scaled, timetz, views
from shoal.exec.kernels.comparing import raw
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.kernels.timezones import (
    DATE_INFINITY,
    DATE_MINUS_INFINITY,
    DAY_US,
    INFINITY,
    MINUS_INFINITY,
    SECOND_US,
    date_to_timestamp,
    local_to_utc,
    utc_offset,
    utc_to_local,
)
from shoal.exec.plan.expr import Call

Args = list[Any]
_MOST_DAYS = ((1 << 63) - 1) // DAY_US
_WITH_FIELDS = ("date", "time", "timestamp", "timestamptz", "interval")
_STAMPS = ("timestamp", "timestamptz")


def extract_type(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    """numeric whose scale the field decides: year and its like have none, epoch six digits."""
    name = constants[0] if constants else None
    if not isinstance(name, str):
        return NUMERIC
    kind = types[1].name
    unit = datetimes.known_unit(name)
    if unit is None:
        return NUMERIC  # refused when it runs, and only for values
    if kind == "date":
        return numeric(18, 0)
    if kind == "interval" and unit == "epoch":
        return numeric(24, 6)
    if unit == "julian":
        return NUMERIC
    scale = datetimes.SUBSECOND_DIGITS.get(unit, 0)
    return numeric(18 if scale else 12, scale)


def _local(arg: Any, kind: str, context: Any, rows: int) -> np.ndarray:
    """Raw values of a main argument; timestamps with time zone as local ones; 0 under NULL."""
    array = column(arg, rows)
    data, valid = views.values(array), views.validity(array)
    if valid is not None and kind != "interval":
        data = np.where(valid, data, np.zeros(1, data.dtype))
    return utc_to_local(data, context.time_zone) if kind == "timestamptz" else data


@parameters(0)
def extract_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    name, kind = args[0], call.args[1].type.name
    found, valid = _field(name, args[1], kind, context, rows)
    ends = _ends(args[1], kind, rows) if valid is not None and datetimes.unit_of(name, kind) in _GROWING else None
    if call.type.name == "float8":
        data = found.data.astype(np.float64) if found.scale == 0 else np.asarray(decimals.to_float(found.data, found.scale))
        if ends is not None and valid is not None:
            data, valid = np.where(valid, data, ends), None
        return views.array_of(data, pa.float64(), valid)
    data = found.data if found.data.dtype == object else found.data.astype(np.int64)
    if call.type.varies:
        unit = datetimes.unit_of(name, kind)
        scale = 20 if unit == "julian" and kind != "date" else datetimes.SUBSECOND_DIGITS.get(unit, 0)
        exact = decimals.rescaled(data, scale - found.scale)
        return scaled.written(scaled.Scaled(np.asarray(exact), np.full(rows, scale), ends),
                              valid if valid is None or ends is None else valid | (ends != 0))
    exact = decimals.rescaled(data, (call.type.scale or 0) - found.scale)
    result = decimals.packed(np.asarray(exact), call.type.scale or 0, valid)
    return result if ends is None else specials.placed(result, ends, call.type.scale or 0)


_GROWING = frozenset({"epoch", "year", "isoyear", "decade", "century", "millennium", "julian"})
"""Fields that grow with time without an end: those of infinite dates and timestamps are infinite."""


def _ends(arg: Any, kind: str, rows: int) -> np.ndarray:
    """inf and -inf where a date or timestamp is, else 0."""
    data = views.values(column(arg, rows))
    last, first = (DATE_INFINITY, DATE_MINUS_INFINITY) if kind == "date" else (INFINITY, MINUS_INFINITY)
    return np.where(data == last, np.inf, np.where(data == first, -np.inf, 0.0))


def _field(name: str, arg: Any, kind: str, context: Any, rows: int) -> tuple[datetimes.FieldValue, np.ndarray | None]:
    """The field and the rows where it is not NULL: infinities have no fields (but see _GROWING)."""
    if kind == "timestamptz":
        unit = datetimes.unit_of(name, kind)
        us = views.values(column(arg, rows))
        if unit == "epoch":
            return datetimes.FieldValue(us, 6), datetimes.finite_timestamps(us)
        local = _local(arg, kind, context, rows)
        if unit.startswith("timezone"):
            offset = (local - us) // SECOND_US
            sign, size = np.sign(offset), np.abs(offset)
            data = offset if unit == "timezone" else sign * (size // 3600 if unit == "timezone_hour" else size // 60 % 60)
            return datetimes.FieldValue(data, 0), datetimes.finite_timestamps(us)
        return _julian(local, datetimes.field(local, kind, name), unit), datetimes.finite_timestamps(us)
    data = _local(arg, kind, context, rows)
    if kind == "interval":
        return datetimes.field(data, kind, name), None
    finite = None
    if kind != "time":
        finite = (datetimes.finite_dates if kind == "date" else datetimes.finite_timestamps)(data)
    if finite is not None:
        data = np.where(finite, data, np.zeros(1, data.dtype))
    found = datetimes.field(data, kind, name)
    return (_julian(data, found, datetimes.unit_of(name, kind)) if kind == "timestamp" else found), finite


def _julian(us: np.ndarray, found: datetimes.FieldValue, unit: str) -> datetimes.FieldValue:
    """Julian days of a timestamp have a fraction: the time of day."""
    if unit != "julian":
        return found
    fraction = np.asarray(decimals.divide(us % DAY_US, DAY_US, 9, len(us)))
    return datetimes.FieldValue(found.data * 10 ** 9 + fraction, 9)


def add_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """+ and - between dates, times, timestamps and intervals."""
    sign = -1 if call.name == "sub" else 1
    kinds = [arg.type.name for arg in call.args]
    valid = nulls.merged_validity(args)
    if sign == 1 and kinds[0] in ("interval", "int4", "time") and kinds[1] != "interval" and (kinds[0], kinds[1]) != ("time",
                                                                                                                      "interval"):
        args, kinds = args[::-1], kinds[::-1]
    left, right = args
    pair = (kinds[0], kinds[1])
    if pair == ("date", "int4"):
        count = raw(right)
        data = datetimes.plus_days(raw(left), -np.asarray(count).astype(np.int64) if sign < 0 else count, valid)
        return views.array_of(_rows(data, rows), pa.date32(), None)
    if pair == ("date", "date"):
        days = [_rows(np.asarray(raw(side)).astype(np.int64), rows) for side in (left, right)]
        for finite in map(datetimes.finite_dates, days):
            if finite is not None and (~finite if valid is None else ~finite & valid).any():
                raise DatetimeOverflow("cannot subtract infinite dates")
        return views.array_of(days[0] - days[1], pa.int32())
    if pair == ("interval", "interval"):
        a, b = datetimes.parts_of(left), datetimes.parts_of(right)
        months, days = (x + sign * y for x, y in zip(a[:2], b[:2], strict=True))
        return datetimes.interval_array(months, days, datetimes.exact_sum(a[2], b[2], valid, sign=sign), rows, valid)
    if pair in (("time", "interval"), ("time", "time")):
        return _time_arithmetic(left, right, kinds[1], sign, rows, valid)
    if pair == ("date", "time"):
        return views.array_of(_moments(left, right, rows), pa.timestamp("us"))
    if kinds[1] != "interval":
        return datetimes.difference(raw(left), raw(right), rows, valid)
    return _plus_interval(left, right, kinds[0], sign, rows, valid, context)


def moment_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """A date at a time of day in the session's zone."""
    return views.array_of(local_to_utc(_moments(args[0], args[1], rows), context.time_zone), storage_type(call.type))


def _moments(days: Any, times: Any, rows: int) -> np.ndarray:
    """Dates at times of day; an infinite date stays one."""
    start = date_to_timestamp(_rows(raw(days), rows))
    finite = datetimes.finite_timestamps(start)
    moments: np.ndarray = start + raw(times)
    return moments if finite is None else np.where(finite, moments, start)


def _rows(data: Any, rows: int) -> np.ndarray:
    found = np.asarray(data)
    return found if found.shape == (rows,) else np.broadcast_to(found, rows).copy()


def _time_arithmetic(left: Any, right: Any, kind: str, sign: int, rows: int, valid: np.ndarray | None) -> pa.Array:
    if kind == "time":
        return datetimes.interval_array(0, 0, _rows(raw(left), rows) - raw(right), rows, valid)
    us = datetimes.parts_of(right)[2]
    return views.array_of(_rows((raw(left) + sign * us) % DAY_US, rows), pa.time64("us"))


def _plus_interval(left: Any, right: Any, kind: str, sign: int, rows: int, valid: np.ndarray | None,
                   context: Any) -> pa.Array:
    months, days, us = (sign * part for part in datetimes.parts_of(right))
    base = _rows(raw(left), rows)
    if valid is not None:
        base = np.where(valid, base, np.zeros(1, base.dtype))
    if kind == "date":
        base = date_to_timestamp(base)
    if kind == "timestamptz" and (np.any(months) or np.any(days)):
        local = utc_to_local(base, context.time_zone)
        base = local_to_utc(datetimes.plus_interval(local, months, days, 0, valid), context.time_zone)
        months = days = 0
    data = datetimes.plus_interval(base, months, days, us, valid)
    return views.array_of(data, storage_type(SqlType("timestamptz" if kind == "timestamptz" else "timestamp")))


def neg_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    months, days, us = datetimes.parts_of(args[0])
    valid = nulls.merged_validity(args)
    return datetimes.interval_array(-months, -days, datetimes.exact_sum(0, us, valid, sign=-1), rows, valid)


def scale_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """interval * float, interval / float."""
    interval, factor = args if call.args[0].type.name == "interval" else args[::-1]
    valid, number = nulls.merged_validity(args), raw(factor)
    if call.name == "div":
        zero = np.asarray(number) == 0
        if (zero if valid is None or not zero.shape else zero & valid).any():
            raise DivisionByZero("division by zero")
        with np.errstate(all="ignore"):
            return datetimes.scaled_interval(datetimes.parts_of(interval), np.where(zero, 1.0, number), rows, valid,
                                             divide=True)
    return datetimes.scaled_interval(datetimes.parts_of(interval), number, rows, valid)


@parameters(0)
def trunc_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    name, kind = args[0], call.args[1].type.name
    array = column(args[1], rows)
    if kind != "interval" and not _any_finite(array):
        return array  # whatever the unit
    if kind == "interval":
        return datetimes.truncate_interval(datetimes.parts_of(array), name, rows)
    if kind == "timestamp":
        return views.array_of(datetimes.truncate_timestamp(views.values(array), name), array.type)
    if len(args) > 2:
        return _trunc_in_zone(name, array, column(args[2], rows))
    us = datetimes.truncate_timestamp(_local(array, kind, context, rows), name, kind)
    return views.array_of(local_to_utc(us, context.time_zone), array.type)


def _any_finite(array: pa.Array) -> bool:
    finite = datetimes.finite_timestamps(views.values(array))
    return finite is None or bool(finite.any())


def _trunc_in_zone(name: str, array: pa.Array, zones: pa.Array) -> pa.Array:
    result = views.values(array).copy()
    for zone, rows in _by_zone(zones):
        local = datetimes.truncate_timestamp(utc_to_local(result[rows], zone), name, "timestamptz")
        result[rows] = local_to_utc(local, zone)
    return views.array_of(result, array.type)


def bin_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    months, days, us = (_rows(part, rows) for part in datetimes.parts_of(args[0]))
    valid = nulls.merged_validity(args)
    seen = np.ones(rows, np.bool_) if valid is None else valid
    value, origin = _rows(raw(args[1]), rows), _rows(raw(args[2]), rows)
    finite = datetimes.finite_timestamps(value)
    if finite is not None:
        seen = seen & finite
        value = np.where(finite, value, origin)
    known = datetimes.finite_timestamps(origin)
    if known is not None and not known[seen].all():
        raise DatetimeOverflow("origin out of range")
    if (months != 0)[seen].any():
        raise FeatureNotSupported("timestamps cannot be binned into intervals containing months or years")
    if (np.abs(days) > _MOST_DAYS)[seen].any():
        raise DatetimeOverflow("interval out of range")
    stride = datetimes.exact_sum(days.astype(np.int64) * DAY_US, us, valid)
    if (stride <= 0)[seen].any():
        raise DatetimeOverflow("stride must be greater than zero")
    stride = np.where(stride > 0, stride, 1)
    binned = datetimes.exact_sum(origin, datetimes.exact_sum(value, origin, valid, sign=-1) // stride * stride, valid,
                                 "timestamp out of range")
    if (binned < datetimes.MIN_TIMESTAMP)[seen].any():
        raise DatetimeOverflow("timestamp out of range")
    result = binned if finite is None else np.where(finite, binned, _rows(raw(args[1]), rows))
    return views.array_of(result, storage_type(call.type))


def age_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    kind = call.args[0].type.name
    valid = nulls.merged_validity(args)
    if len(args) == 1:
        today = int(utc_to_local(context.settings.now_us, context.time_zone)) // DAY_US * DAY_US
        left, right = np.full(rows, today), _local(args[0], kind, context, rows)
    else:
        left, right = (_local(arg, kind, context, rows) for arg in args)
    for side in (left, right):
        beyond = side == MINUS_INFINITY
        if (beyond if valid is None else beyond & valid).any():
            raise DatetimeOverflow("timestamp out of range")
    return datetimes.age(left, right, valid)


_LAST_YEAR = 5_874_897
"""Of dates."""


def make_date_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    year, month, day = (_rows(raw(arg), rows).astype(np.int64) for arg in args)
    valid = nulls.merged_validity(args)
    days = datetimes.checked_dates(year, month, day, valid, lambda row: (
        f"date field value out of range: {year[row]}-{month[row]:02d}-{day[row]:02d}"))
    beyond = (year > _LAST_YEAR) | (days < datetimes.FIRST_DATE)
    if valid is not None:
        beyond &= valid
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        raise DatetimeOverflow(f"date out of range: {year[row]}-{month[row]:02d}-{day[row]:02d}")
    return views.array_of(days, pa.date32())


def _clock(hour: np.ndarray, minute: np.ndarray, second: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
    finite = np.isfinite(second)
    part = np.rint(np.where(abs(second) <= 60, second, 0.0) * SECOND_US).astype(np.int64)
    us = (hour * 60 + minute) * 60 * SECOND_US + part
    bad = (hour < 0) | (minute < 0) | (minute > 59) | ~(second >= 0) | (second > 60) | (us > DAY_US)
    blamed = bad if valid is None else bad & valid
    if blamed.any():
        row = int(np.flatnonzero(blamed)[0])
        shown = f"{second[row]:02g}" if finite[row] else float_text(second[row])
        raise DatetimeOverflow(f"time field value out of range: {hour[row]}:{minute[row]:02d}:{shown}")
    return us


def make_time_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    hour, minute = (_rows(raw(arg), rows).astype(np.int64) for arg in args[:2])
    return views.array_of(_clock(hour, minute, _rows(raw(args[2]), rows), nulls.merged_validity(args)), pa.time64("us"))


def make_timestamp_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    valid = nulls.merged_validity(args)
    year, month, day, hour, minute = (_rows(raw(arg), rows).astype(np.int64) for arg in args[:5])
    days = datetimes.checked_dates(year, month, day, valid, lambda row: (
        f"date field value out of range: {year[row]}-{month[row]:02d}-{day[row]:02d}"))
    us = days * DAY_US + _clock(hour, minute, _rows(raw(args[5]), rows), valid)
    if call.type.name == "timestamptz":
        if len(args) > 6:
            return _in_zones(us, column(args[6], rows), _from_written_zone, call.type)
        us = local_to_utc(us, context.time_zone)
    return views.array_of(us, storage_type(call.type))


_NUMERIC_ZONE = re.compile(r"([+-])(\d+)(?::(\d*))?(?::(\d*))?$")
_MOST_OFFSET_S = 16 * 3600


def _from_written_zone(us: np.ndarray, zone: str) -> Any:
    """UTC of local times in a zone by name, or by its offset as ISO writes it: +2 is east."""
    if zone[:1].isdigit():
        raise InvalidParameterValue(f'invalid input syntax for type numeric time zone: "{zone}"',
                                    hint='Numeric time zones must have "-" or "+" as first character.')
    match = _NUMERIC_ZONE.match(zone)
    if match is None:
        return local_to_utc(us, zone)
    digits, minutes, seconds = match[2], match[3] or "", match[4] or ""
    if not match[3] and ":" not in zone and len(digits) > 2:
        digits, minutes = digits[:-2], digits[-2:]
    hours, minute, second = int(digits), int(minutes or 0), int(seconds or 0)
    offset = hours * 3600 + minute * 60 + second
    if hours > 15 or minute > 59 or second > 59 or offset >= _MOST_OFFSET_S:
        raise InvalidParameterValue(f'numeric time zone "{zone}" out of range')
    return us - (offset if match[1] == "+" else -offset) * SECOND_US


def _by_zone(zones: pa.Array) -> Iterator[tuple[str, np.ndarray]]:
    """Each zone of a column and its rows."""
    encoded = nulls.decoded(zones).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    for code, zone in enumerate(encoded.dictionary.to_pylist()):
        yield zone, np.flatnonzero(codes == code)


def _in_zones(us: np.ndarray, zones: pa.Array, convert: Any, target: SqlType) -> pa.Array:
    result = np.zeros(len(us), np.int64)
    for zone, chosen in _by_zone(zones):
        result[chosen] = convert(us[chosen], zone)
    return views.array_of(result, storage_type(target))


def make_interval_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    given, valid = [_rows(raw(arg), rows) for arg in args], nulls.merged_validity(args)
    years, months, weeks, days, hours, minutes = [g.astype(np.int64)
                                                  for g in given[:6]] + [np.zeros(rows, np.int64)] * (6 - len(given[:6]))
    if len(given) > 6 and not np.isfinite(given[6][slice(None) if valid is None else valid]).all():
        raise DatetimeOverflow("interval out of range")
    with np.errstate(all="ignore"):  # as PostgreSQL 15 does, all sums wrap around
        seconds = np.rint(np.where(np.isfinite(given[6]), given[6], 0.0) * SECOND_US) if len(given) > 6 else np.zeros(rows)
        whole = np.where(np.abs(seconds) < 2.0 ** 63, seconds, 0.0).astype(np.int64)
        us = (hours * 60 + minutes) * 60 * SECOND_US + np.where(np.abs(seconds) < 2.0 ** 63, whole, -1 << 63)
    return datetimes.interval_array((years * 12 + months).astype(np.int32), (weeks * 7 + days).astype(np.int32), us, rows,
                                    valid)


def justify_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Hours to days of 24, days to months of 30, all of one sign."""
    months, days, us = datetimes.parts_of(args[0])

    def carry(small: np.ndarray, large: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        whole = np.trunc(small / size).astype(np.int64)
        small, large = small - whole * size, large + whole
        shift = ((large > 0) & (small < 0)).astype(np.int64) - ((large < 0) & (small > 0))
        return small + shift * size, large - shift
    if call.name != "justify_days":
        us, days = carry(us, days, DAY_US)
    if call.name != "justify_hours":
        days, months = carry(days, months, 30)
    if call.name == "justify_interval":
        mixed = (months > 0) & ((days < 0) | ((days == 0) & (us < 0)))
        opposite = (months < 0) & ((days > 0) | ((days == 0) & (us > 0)))
        days, months = days + 30 * (mixed.astype(np.int64) - opposite), months - (mixed.astype(np.int64) - opposite)
        late = ((days > 0) & (us < 0)).astype(np.int64) - ((days < 0) & (us > 0))
        us, days = us + late * DAY_US, days - late
    return datetimes.interval_array(months, days, us, rows, nulls.merged_validity(args))


def isfinite_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    kind = call.args[0].type.name
    if kind == "interval":
        return np.ones(rows, np.bool_)
    finite = (datetimes.finite_dates if kind == "date" else datetimes.finite_timestamps)(views.values(args[0]))
    return np.ones(rows, np.bool_) if finite is None else finite


@parameters(0)
def timezone_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """AT TIME ZONE, zones by name or as an interval."""
    us = views.values(column(args[1], rows))
    if not _any_finite(column(args[1], rows)):
        return views.array_of(us, storage_type(call.type))  # whatever the zone
    to_utc = call.type.name == "timestamptz"
    if isinstance(args[0], list):
        months, days, offset = args[0]
        if months or days:
            text = interval_text(months, days, offset)
            raise InvalidParameterValue(f'interval time zone "{text}" must not include months or days')
        offset = int(offset / SECOND_US) * SECOND_US  # zones have whole seconds
        finite = datetimes.finite_timestamps(us)
        shifted = us - offset if to_utc else us + offset
        return views.array_of(shifted if finite is None else np.where(finite, shifted, us), storage_type(call.type))
    return views.array_of((local_to_utc if to_utc else utc_to_local)(us, args[0]), storage_type(call.type))


def now_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    now = context.settings.now_us
    local = int(utc_to_local(now, context.time_zone))
    match call.name:
        case "current_date":
            return pa.scalar(local // DAY_US, pa.date32())
        case "localtime":
            return pa.scalar(local % DAY_US, pa.time64("us"))
        case "localtimestamp":
            return pa.scalar(local, pa.timestamp("us"))
        case "current_time":
            return pa.scalar(timetz.text_of(local % DAY_US, utc_offset(now, context.time_zone)))
        case "clock_timestamp":
            return pa.scalar(time.time_ns() // 1000, pa.timestamp("us", "UTC"))
        case "timeofday":
            return pa.scalar(time.strftime("%a %b %d %H:%M:%S.000000 %Y UTC", time.gmtime()))
    return pa.scalar(now, pa.timestamp("us", "UTC"))


def from_epoch_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    seconds, valid = views.values(args[0]), views.validity(args[0])
    infinite = np.isinf(seconds)
    bad = np.isnan(seconds) | ((seconds < -210_866_803_200) | (seconds >= 9_224_318_016_000)) & ~infinite
    if (bad if valid is None else bad & valid).any():
        value = seconds[bad if valid is None else bad & valid][0]
        raise DatetimeOverflow("timestamp cannot be NaN" if np.isnan(value) else f'timestamp out of range: "{value:g}"')
    whole = np.floor(np.where(infinite | bad, 0, seconds))
    us = whole.astype(np.int64) * SECOND_US + np.rint((np.where(infinite | bad, 0,
                                                                seconds) - whole) * SECOND_US).astype(np.int64)
    us = np.where(infinite, np.where(seconds > 0, INFINITY, MINUS_INFINITY), us)
    return views.array_of(us, storage_type(call.type))


def overlaps_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """(start1, end1) OVERLAPS (start2, end2), half-open; an interval as end is added to its start."""
    ends: list[list[tuple[np.ndarray, np.ndarray]]] = []
    for first in (0, 2):
        start, start_valid = _nullable(args[first], rows)
        end, end_valid = _nullable(args[first + 1], rows)
        if call.args[first + 1].type.name == "interval":
            months, days, us = datetimes.parts_of(column(args[first + 1], rows))
            end_valid = start_valid & end_valid
            end = (start + us) % DAY_US if call.args[first].type.name == "time" else datetimes.plus_interval(
                start, months, days, us, end_valid)
        swap = ~start_valid | (start_valid & end_valid & (start > end))
        ends.append([(np.where(swap, end, start), np.where(swap, end_valid, start_valid)),
                     (np.where(swap, start, end), np.where(swap, start_valid, end_valid))])
    ((s1, v1), (e1, w1)), ((s2, v2), (e2, w2)) = ends
    # the later start must lie before the earlier-starting period's end
    first_starts_later = s1 > s2
    end_other, known_other = np.where(first_starts_later, e2, e1), np.where(first_starts_later, w2, w1)
    later = np.where(first_starts_later, s1, s2)
    same = s1 == s2
    own_known = np.where(first_starts_later, w1, w2)
    result = same & v1 & v2 | known_other & (later < end_other)
    unknown = ~v1 | ~v2 | np.where(same, ~(known_other & own_known), ~known_other | (~own_known & (later >= end_other)))
    return views.array_of(result & ~unknown, pa.bool_(), ~unknown)


def _nullable(arg: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    array = column(arg, rows)
    valid = views.validity(array)
    data = timetz.order_keys(*timetz.columns_of(array))[0] if array.type == pa.string() else views.values(array)
    return data, np.ones(rows, np.bool_) if valid is None else valid


declare("add", "date int4 -> date", "int4 date -> date", "date interval -> timestamp", "interval date -> timestamp",
        "date time -> timestamp", "time date -> timestamp", "time interval -> time", "interval time -> time",
        "timestamp interval -> timestamp", "interval timestamp -> timestamp",
        "interval interval -> interval", symbol="+", hidden=True, kernel=add_kernel, family="datetime")
declare("add", "timestamptz interval -> timestamptz", "interval timestamptz -> timestamptz", symbol="+", hidden=True,
        volatility="stable", kernel=add_kernel, family="datetime")
declare("sub", "date date -> int4", symbol="-", hidden=True, kernel=add_kernel, family="datetime",
        spelled=spelled(Spelling("(CASE WHEN isfinite({0}) AND isfinite({1}) THEN {0} - {1} END)",
                                 "(NOT (isfinite({0}) AND isfinite({1})))")))
declare("sub", "date int4 -> date", "date interval -> timestamp", "time time -> interval",
        "time interval -> time", "timestamp timestamp -> interval", "timestamp interval -> timestamp",
        "timestamptz timestamptz -> interval", "interval interval -> interval", symbol="-", hidden=True, kernel=add_kernel,
        family="datetime")
declare("sub", "timestamptz interval -> timestamptz", symbol="-", hidden=True, volatility="stable", kernel=add_kernel,
        family="datetime")
declare("neg", "interval -> interval", symbol="-", hidden=True, kernel=neg_kernel, family="datetime")
declare("mul", "interval float8 -> interval", "float8 interval -> interval", symbol="*", hidden=True, kernel=scale_kernel,
        family="datetime")
declare("div", "interval float8 -> interval", symbol="/", hidden=True, kernel=scale_kernel, family="datetime")

for _type in _WITH_FIELDS:
    _volatility = "stable" if _type == "timestamptz" else "immutable"
    declare("extract", f"text {_type}", returns=extract_type, typed_by_constants=True, volatility=_volatility,
            kernel=extract_kernel, spelled=fields(_type),
            family="datetime", doc="A field of a date or time as numeric.", example="extract(year FROM DATE '2001-02-16')")
    declare("date_part", f"text {_type}", returns=FLOAT8, volatility=_volatility, kernel=extract_kernel,
            family="datetime", doc="A field of a date or time as double precision.",
            example="date_part('year', DATE '2001-02-16')")
declare("date_trunc", "text interval -> interval", family="datetime", kernel=trunc_kernel)
declare("date_trunc", "text timestamp -> timestamp", family="datetime", kernel=trunc_kernel, spelled=truncations(),
        doc="Cut down to a precision.", example="date_trunc('hour', TIMESTAMP '2001-02-16 20:38:40')")
declare("date_trunc", "text timestamptz -> timestamptz", "text timestamptz text -> timestamptz", volatility="stable",
        kernel=trunc_kernel, family="datetime")
declare("date_bin", "interval timestamp timestamp -> timestamp", "interval timestamptz timestamptz -> timestamptz",
        kernel=bin_kernel, family="datetime", doc="The start of the interval's bin, counted from an origin.")
declare("age", "timestamp timestamp -> interval", family="datetime", doc="The difference in years, months and days.",
        kernel=age_kernel, example="age(TIMESTAMP '2001-04-10', TIMESTAMP '1957-06-13')")
# pg_proc calls the first immutable; it depends on the time zone
declare("age", "timestamptz timestamptz -> interval", "timestamptz -> interval", "timestamp -> interval",
        volatility="stable", kernel=age_kernel, family="datetime")
declare("make_date", "int4 int4 int4 -> date", kernel=make_date_kernel, family="datetime", example="make_date(2013, 7, 15)")
declare("make_time", "int4 int4 float8 -> time", kernel=make_time_kernel, family="datetime",
        example="make_time(8, 15, 23.5)")
declare("make_timestamp", "int4 int4 int4 int4 int4 float8 -> timestamp", kernel=make_timestamp_kernel, family="datetime")
declare("make_timestamptz", "int4 int4 int4 int4 int4 float8 -> timestamptz",
        "int4 int4 int4 int4 int4 float8 text -> timestamptz",
        volatility="stable", kernel=make_timestamp_kernel, family="datetime")
declare("make_interval", *("int4 " * n + "-> interval" for n in range(7)),
        "int4 int4 int4 int4 int4 int4 float8 -> interval",
        kernel=make_interval_kernel, family="datetime", doc="make_interval(years, months, weeks, days, hours, mins, secs)")
for _name in ("justify_days", "justify_hours", "justify_interval"):
    declare(_name, "interval -> interval", kernel=justify_kernel, family="datetime",
            example=f"{_name}(INTERVAL '35 days 27 hours')")
declare("isfinite", "date -> bool", "timestamp -> bool", "timestamptz -> bool", "interval -> bool", raises=False,
        kernel=isfinite_kernel, family="datetime")
declare("timezone", "text timestamp -> timestamptz", "text timestamptz -> timestamp", "interval timestamp -> timestamptz",
        "interval timestamptz -> timestamp", kernel=timezone_kernel, family="datetime",
        doc="x AT TIME ZONE zone is timezone(zone, x).")
for _name in ("now", "transaction_timestamp", "statement_timestamp", "current_timestamp"):
    declare(_name, "-> timestamptz", volatility="stable", raises=False, kernel=now_kernel, family="datetime",
            doc="The start of the statement.")
declare("clock_timestamp", "-> timestamptz", volatility="volatile", raises=False, kernel=now_kernel, family="datetime",
        doc="The time now.")
declare("timeofday", "-> text", volatility="volatile", raises=False, kernel=now_kernel, family="datetime")
declare("current_date", "-> date", volatility="stable", raises=False, kernel=now_kernel, family="datetime")
declare("current_time", "-> timetz", volatility="stable", raises=False, kernel=now_kernel, family="datetime")
declare("localtime", "-> time", volatility="stable", raises=False, kernel=now_kernel, family="datetime")
declare("localtimestamp", "-> timestamp", volatility="stable", raises=False, kernel=now_kernel, family="datetime")
declare("to_timestamp", "float8 -> timestamptz", kernel=from_epoch_kernel, family="datetime", doc="Seconds since 1970.")
declare("timestamp", "date time -> timestamp", kernel=add_kernel, family="datetime", doc="A date at a time of day.")
declare("timestamptz", "date time -> timestamptz", volatility="stable", kernel=moment_kernel, family="datetime")
for _type in (*_STAMPS, "time", "timetz"):
    declare("overlaps", f"{_type} {_type} {_type} {_type} -> bool", strict=False, raises=False, kernel=overlaps_kernel,
            family="datetime")
for _type in (*_STAMPS, "time"):
    declare("overlaps", f"{_type} interval {_type} interval -> bool", f"{_type} interval {_type} {_type} -> bool",
            f"{_type} {_type} {_type} interval -> bool", strict=False, raises=False, kernel=overlaps_kernel,
            volatility="stable" if _type == "timestamptz" else "immutable", family="datetime")
