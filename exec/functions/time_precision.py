"""timestamp(n), time(n), timetz(n), interval(n), interval fields: values brought to what a type's modifier allows.

Spec: AdjustTimestampForTypmod and AdjustIntervalForTypmod of PostgreSQL 15: halves go away from 2000-01-01, from
midnight and from zero; an interval's parts below its last field are dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType, storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.kernels.timezones import INFINITY, MINUS_INFINITY
from shoal.exec.plan.expr import Call

_TO_2000_US = 946_684_800_000_000
TIMES = frozenset({"timestamp", "timestamptz", "time", "timetz", "interval"})
_FULL_PRECISION = 6
_MONTH, _YEAR, _DAY, _HOUR, _MINUTE, _SECOND = (1 << bit for bit in (1, 2, 3, 10, 11, 12))
"""Bits of an interval's fields in its modifier (datetime.h)."""


def modifier_of(target: SqlType) -> int:
    """The modifier that values of `target` must be brought to; -1 where it allows all."""
    modifier = target.modifier
    if modifier is None or modifier < 0 or target.name not in TIMES:
        return -1
    if target.name == "interval":
        return modifier if modifier != 0x7FFF_FFFF else -1
    return modifier if modifier < _FULL_PRECISION else -1


def rounded_us(us: Any, digits: int, kind: str) -> Any:
    """Microseconds (array or int) of a `kind` rounded to `digits`; infinities stay."""
    if digits >= _FULL_PRECISION:
        return us
    step = 10 ** (_FULL_PRECISION - digits)
    origin = _TO_2000_US if kind in ("timestamp", "timestamptz") else 0
    if isinstance(us, int):
        if us in (INFINITY, MINUS_INFINITY) and origin:
            return us
        size = (abs(us - origin) + step // 2) // step * step
        rounded = origin + (size if us >= origin else -size)
        if -(1 << 63) <= rounded < 1 << 63:
            return rounded
        wrapped = abs(us - origin) + step // 2 - (1 << 64)  # as PostgreSQL's arithmetic does
        size = -(-wrapped // step * step)
        return origin + (size if us >= origin else -size)
    infinite = (us == INFINITY) | (us == MINUS_INFINITY)
    plain = np.where(infinite, 0, us) - origin
    size = (np.abs(plain) + step // 2) // step * step
    return np.where(infinite, us, origin + np.where(plain >= 0, size, -size)) if origin else np.where(us >= 0, size, -size)


def adjusted_interval(months: Any, days: Any, us: Any, modifier: int) -> tuple[Any, Any, Any]:
    """The parts (arrays or ints) of intervals with only what the fields and digits of `modifier` hold."""
    fields, digits = modifier >> 16 & 0x7FFF, modifier & 0xFFFF
    if fields != 0x7FFF:
        if not fields & ~_YEAR:
            months = _cut(months, 12)
        if not fields & (_DAY | _HOUR | _MINUTE | _SECOND):
            days = days * 0
        if not fields & (_HOUR | _MINUTE | _SECOND):
            us = us * 0
        elif not fields & _SECOND:
            us = _cut(us, 60_000_000 if fields & _MINUTE else 3_600_000_000)
    return months, days, us if digits == 0xFFFF else rounded_us(us, digits, "interval")


def _cut(value: Any, step: int) -> Any:
    """The multiple of `step` below, towards zero."""
    size = abs(value) // step * step
    return np.where(value < 0, -size, size) if isinstance(value, np.ndarray) else -size if value < 0 else size


def adjusted(value: Any, kind: str, modifier: int) -> Any:
    """One physical value (see exec/plan/expr.Literal) of `kind`, not NULL."""
    if kind == "interval":
        months, days, us = value
        return adjusted_interval(months, days, us, modifier)
    if kind == "timetz":
        return _adjusted_text(value, modifier)
    return rounded_us(value, modifier, kind)


def _adjusted_text(text: str, digits: int) -> str:
    from shoal.exec.kernels.timetz import parts_of, text_of
    us, offset = parts_of(text)
    return text_of(rounded_us(us, digits, "time"), offset)


@parameters(1)
def scale_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    array = column(args[0], rows)
    kind, modifier, valid = call.type.name, int(args[1]), views.validity(array)
    if kind == "timetz":
        return pa.array([None if text is None else _adjusted_text(text, modifier)
                         for text in nulls.decoded(array).to_pylist()], pa.string())
    if kind == "interval":
        fields = views.values(array).copy()
        fields["f0"], fields["f1"], fields["f2"] = adjusted_interval(fields["f0"].astype(np.int64),
                                                                     fields["f1"].astype(np.int64), fields["f2"], modifier)
        return views.array_of(fields, storage_type(call.type), valid)
    us = views.values(array).astype(np.int64)
    return views.array_of(rounded_us(us, modifier, kind), storage_type(call.type), valid)


for _kind in sorted(TIMES):
    declare("time_scale", f"{_kind} int4 -> {_kind}", hidden=True, raises=False, kernel=scale_kernel, family="datetime",
            doc="The value brought to a modifier of its type: digits of a second, fields of an interval.")
