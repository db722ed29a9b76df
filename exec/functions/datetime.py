"""Date, time, timestamp and interval functions and operators.

Spec: PostgreSQL 15 documentation, 9.9 "Date/Time Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.types import FLOAT8, SqlType, numeric
from shoal.exec.functions.registry import declare

_SUBSECOND = {"epoch": 6, "second": 6, "seconds": 6, "sec": 6, "secs": 6, "s": 6, "milliseconds": 3, "millisecond": 3,
              "msec": 3, "msecs": 3, "ms": 3}
_WITH_FIELDS = ("date", "time", "timestamp", "timestamptz", "interval")


def extract_type(types: Sequence[SqlType], constants: Sequence[Any]) -> SqlType:
    """numeric whose scale the field decides: year and its like have none, epoch six digits."""
    field = constants[0] if constants else None
    if not isinstance(field, str):
        return numeric(24, 6, trim=True)
    field = field.lower()
    if types[1].name == "date":
        return numeric(12, 0)
    if field == "julian":
        return numeric(38, 20, trim=True)
    return numeric(18 if field in _SUBSECOND else 12, _SUBSECOND.get(field, 0))


declare("add", "date int4 -> date", "int4 date -> date", "date interval -> timestamp", "interval date -> timestamp",
        "date time -> timestamp", "time date -> timestamp", "time interval -> time", "interval time -> time",
        "timestamp interval -> timestamp", "interval timestamp -> timestamp",
        "interval interval -> interval", symbol="+", hidden=True, family="datetime")
declare("add", "timestamptz interval -> timestamptz", "interval timestamptz -> timestamptz", symbol="+", hidden=True,
        volatility="stable", family="datetime")
declare("sub", "date date -> int4", "date int4 -> date", "date interval -> timestamp", "time time -> interval",
        "time interval -> time", "timestamp timestamp -> interval", "timestamp interval -> timestamp",
        "timestamptz timestamptz -> interval", "interval interval -> interval", symbol="-", hidden=True, family="datetime")
declare("sub", "timestamptz interval -> timestamptz", symbol="-", hidden=True, volatility="stable", family="datetime")
declare("neg", "interval -> interval", symbol="-", hidden=True, family="datetime")
declare("mul", "interval float8 -> interval", "float8 interval -> interval", symbol="*", hidden=True, family="datetime")
declare("div", "interval float8 -> interval", symbol="/", hidden=True, family="datetime")

for _type in _WITH_FIELDS:
    _volatility = "stable" if _type == "timestamptz" else "immutable"
    declare("extract", f"text {_type}", returns=extract_type, typed_by_constants=True, volatility=_volatility,
            family="datetime", doc="A field of a date or time as numeric.", example="extract('year', DATE '2001-02-16')")
    declare("date_part", f"text {_type}", returns=FLOAT8, volatility=_volatility, family="datetime",
            doc="A field of a date or time as double precision.", example="date_part('year', DATE '2001-02-16')")
declare("date_trunc", "text timestamp -> timestamp", "text interval -> interval", family="datetime",
        doc="Cut down to a precision.", example="date_trunc('hour', TIMESTAMP '2001-02-16 20:38:40')")
declare("date_trunc", "text timestamptz -> timestamptz", "text timestamptz text -> timestamptz", volatility="stable",
        family="datetime")
declare("date_bin", "interval timestamp timestamp -> timestamp", "interval timestamptz timestamptz -> timestamptz",
        family="datetime", doc="The start of the interval's bin, counted from an origin.")
declare("age", "timestamp timestamp -> interval", family="datetime", doc="The difference in years, months and days.",
        example="age(TIMESTAMP '2001-04-10', TIMESTAMP '1957-06-13')")
declare("age", "timestamptz timestamptz -> interval", "timestamptz -> interval", "timestamp -> interval", volatility="stable",
        family="datetime")
declare("make_date", "int4 int4 int4 -> date", family="datetime", example="make_date(2013, 7, 15)")
declare("make_time", "int4 int4 float8 -> time", family="datetime")
declare("make_timestamp", "int4 int4 int4 int4 int4 float8 -> timestamp", family="datetime")
declare("make_timestamptz", "int4 int4 int4 int4 int4 float8 -> timestamptz", "int4 int4 int4 int4 int4 float8 text -> timestamptz",
        volatility="stable", family="datetime")
declare("make_interval", *("int4 " * n + "-> interval" for n in range(7)), "int4 int4 int4 int4 int4 int4 float8 -> interval",
        family="datetime", doc="make_interval(years, months, weeks, days, hours, mins, secs)")
for _name in ("justify_days", "justify_hours", "justify_interval"):
    declare(_name, "interval -> interval", family="datetime")
declare("isfinite", "date -> bool", "timestamp -> bool", "timestamptz -> bool", "interval -> bool", raises=False, family="datetime")
declare("timezone", "text timestamp -> timestamptz", "text timestamptz -> timestamp", "interval timestamp -> timestamptz",
        "interval timestamptz -> timestamp", family="datetime", doc="x AT TIME ZONE zone is timezone(zone, x).")
for _name in ("now", "transaction_timestamp", "statement_timestamp", "current_timestamp"):
    declare(_name, "-> timestamptz", volatility="stable", raises=False, family="datetime", doc="The start of the statement.")
declare("clock_timestamp", "-> timestamptz", volatility="volatile", raises=False, family="datetime", doc="The time now.")
declare("timeofday", "-> text", volatility="volatile", raises=False, family="datetime")
declare("current_date", "-> date", volatility="stable", raises=False, family="datetime")
declare("current_time", "-> timetz", volatility="stable", raises=False, family="datetime")
declare("localtime", "-> time", volatility="stable", raises=False, family="datetime")
declare("localtimestamp", "-> timestamp", volatility="stable", raises=False, family="datetime")
declare("to_timestamp", "float8 -> timestamptz", family="datetime", doc="Seconds since 1970.")
for _type in ("timestamp", "timestamptz", "time"):
    declare("overlaps", f"{_type} {_type} {_type} {_type} -> bool", strict=False, raises=False, family="datetime")
for _type in ("timestamp", "timestamptz"):
    declare("overlaps", f"{_type} interval {_type} interval -> bool", f"{_type} interval {_type} {_type} -> bool",
            f"{_type} {_type} {_type} interval -> bool", strict=False, raises=False, family="datetime")
