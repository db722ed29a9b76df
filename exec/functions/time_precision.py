"""timestamp(n), time(n), interval(n): values rounded to n digits of a second.

Spec: AdjustTimestampForTypmod and AdjustIntervalForTypmod of PostgreSQL 15: halves go away from 2000-01-01, from
midnight and from zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.catalog.types import storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import views
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.kernels.timezones import INFINITY, MINUS_INFINITY
from shoal.exec.plan.expr import Call

_TO_2000_US = 946_684_800_000_000


def rounded_us(us: Any, digits: int, kind: str) -> Any:
    """Microseconds (array or int) of a `kind` rounded to `digits`; infinities stay."""
    step = 10 ** (6 - digits)
    origin = _TO_2000_US if kind in ("timestamp", "timestamptz") else 0
    if isinstance(us, int):
        if us in (INFINITY, MINUS_INFINITY) and origin:
            return us
        size = (abs(us - origin) + step // 2) // step * step
        return origin + (size if us >= origin else -size)
    infinite = (us == INFINITY) | (us == MINUS_INFINITY)
    plain = np.where(infinite, 0, us) - origin
    size = (np.abs(plain) + step // 2) // step * step
    return np.where(infinite, us, origin + np.where(plain >= 0, size, -size)) if origin else np.where(us >= 0, size, -size)


@parameters(1)
def scale_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    array = column(args[0], rows)
    kind, digits, valid = call.type.name, int(args[1]), views.validity(array)
    if kind == "interval":
        fields = views.values(array).copy()
        fields["f2"] = rounded_us(fields["f2"] // 1000, digits, kind) * 1000
        return views.array_of(fields, storage_type(call.type), valid)
    us = views.values(array).astype(np.int64)
    return views.array_of(rounded_us(us, digits, kind), storage_type(call.type), valid)


for _kind in ("timestamp", "timestamptz", "time", "interval"):
    declare("time_scale", f"{_kind} int4 -> {_kind}", hidden=True, raises=False, kernel=scale_kernel, family="datetime",
            doc="The value rounded to so many digits of a second.")
