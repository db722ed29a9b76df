"""Functions and operators of time with time zone.

Spec: PostgreSQL 15 documentation, 9.9 "Date/Time Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue
from shoal.catalog.types import FLOAT8, NUMERIC, SqlType, numeric
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import interval_text
from shoal.exec.kernels import datetimes, decimals, nulls, scaled, timetz, views
from shoal.exec.kernels.comparing import raw
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.kernels.timezones import DAY_US, SECOND_US, date_to_timestamp, utc_offset
from shoal.exec.plan.expr import Call

Args = list[Any]
_ZONE_UNITS = frozenset({"timezone", "timezone_hour", "timezone_minute"})


def _extract_type(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    name = constants[0] if constants else None
    if not isinstance(name, str):
        return NUMERIC
    scale = datetimes.SUBSECOND_DIGITS.get(datetimes.known_unit(name) or "", 0)
    return numeric(18 if scale else 12, scale)


def _parts(arg: Any, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    array = column(arg, rows)
    return *timetz.columns_of(array), views.validity(array)


@parameters(0)
def extract_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    name = args[0]
    us, offset, valid = _parts(args[1], rows)
    unit = datetimes.unit_of(name, "timetz")
    if unit in _ZONE_UNITS:
        sign, size = np.sign(offset), np.abs(offset)
        data = offset if unit == "timezone" else sign * (size // 3600 if unit == "timezone_hour" else size // 60 % 60)
        found = datetimes.FieldValue(data, 0)
    elif unit == "epoch":
        found = datetimes.FieldValue(us - offset * SECOND_US, 6)
    elif unit in ("microseconds", "milliseconds", "second", "minute", "hour"):
        found = datetimes.time_field(us, unit)
    else:
        raise datetimes.unsupported_unit(name, "timetz")
    if call.type.name == "float8":
        return views.array_of(np.asarray(decimals.to_float(found.data, found.scale), np.float64), pa.float64(), valid)
    if call.type.varies:
        scale = datetimes.SUBSECOND_DIGITS.get(unit, 0)
        exact = decimals.rescaled(found.data.astype(np.int64), scale - found.scale)
        return scaled.written(scaled.Scaled(np.asarray(exact), np.full(rows, scale)), valid)
    exact = decimals.rescaled(found.data.astype(np.int64), (call.type.scale or 0) - found.scale)
    return decimals.packed(np.asarray(exact), call.type.scale or 0, valid)


@parameters(0)
def zone_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """AT TIME ZONE: the same instant on another zone's clock, by its offset at the statement's time."""
    us, offset, valid = _parts(args[1], rows)
    if isinstance(args[0], list):
        months, days, span = args[0]
        if months or days:
            raise InvalidParameterValue(f'interval time zone "{interval_text(months, days, span)}" must not include months '
                                        "or days")
        target = int(span / SECOND_US)
    else:
        target = utc_offset(context.settings.now_us, args[0])
    return timetz.texts_of((us + (target - offset) * SECOND_US) % DAY_US, np.full(rows, target), valid)


def add_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """timetz + interval, timetz - interval."""
    left, right = args if call.args[0].type.name == "timetz" else args[::-1]
    us, offset, valid = _parts(left, rows)
    span = datetimes.parts_of(right)[2]
    moved = us - span % DAY_US if call.name == "sub" else us + span % DAY_US
    return timetz.texts_of(np.broadcast_to(moved % DAY_US, rows), offset, nulls.both(valid, nulls.merged_validity(args)))


def moment_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """date + timetz: the instant."""
    day, time = args if call.args[0].type.name == "date" else args[::-1]
    us, offset, _ = _parts(time, rows)
    midnight = date_to_timestamp(np.broadcast_to(np.asarray(raw(day)), rows))
    finite = datetimes.finite_timestamps(midnight)
    found = midnight + us - offset * SECOND_US
    return views.array_of(found if finite is None else np.where(finite, found, midnight), pa.timestamp("us", "UTC"))


declare("extract", "text timetz", returns=_extract_type, typed_by_constants=True, kernel=extract_kernel, family="datetime")
declare("date_part", "text timetz", returns=FLOAT8, kernel=extract_kernel, family="datetime")
declare("timezone", "text timetz -> timetz", volatility="stable", kernel=zone_kernel, family="datetime")
declare("timezone", "interval timetz -> timetz", kernel=zone_kernel, family="datetime")
declare("add", "timetz interval -> timetz", "interval timetz -> timetz", symbol="+", hidden=True, raises=False,
        kernel=add_kernel, family="datetime")
declare("sub", "timetz interval -> timetz", symbol="-", hidden=True, raises=False, kernel=add_kernel, family="datetime")
declare("timestamptz", "date timetz -> timestamptz", kernel=moment_kernel, family="datetime")
declare("add", "date timetz -> timestamptz", "timetz date -> timestamptz", symbol="+", hidden=True, kernel=moment_kernel,
        family="datetime")
