"""Set-returning functions.

A kernel gives (rows for each input row, columns with all those rows); see registry.py.
Spec: PostgreSQL 15 documentation, 9.25 "Set Returning Functions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InsufficientResources, InvalidParameterValue
from shoal.catalog.keywords import CATEGORIES, KEYWORDS
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.functions import numeric_types
from shoal.exec.functions.arrays import split_text
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import arrays, datetimes, decimals, nulls, scaled, shapes, views
from shoal.exec.kernels.calendar import civil_from_days
from shoal.exec.kernels.timezones import INFINITY, MINUS_INFINITY, local_to_utc, utc_to_local
from shoal.exec.plan.expr import Call

Args = list[Any]
Rows = tuple[np.ndarray, tuple[pa.Array, ...]]
_MAX_ROWS = 1 << 24
"""A series that cannot be computed piece by piece is refused beyond this length rather than held in memory at once."""

_MAX_STEPS = 1 << 20
_ENDLESS_ROWS = 1 << 40
"""More than there are days in all timestamps."""
_SHORTEST_MONTH = 28
_DAY_US = 86_400_000_000


def _element(types: Sequence[SqlType]) -> SqlType:
    return types[0].element


def _known(args: Args, rows: int) -> np.ndarray:
    valid = nulls.merged_validity(args)
    return np.ones(rows, np.bool_) if valid is None else valid


def _check_counts(counts: np.ndarray) -> None:
    if counts.sum(dtype=np.float64) > _MAX_ROWS:
        raise InsufficientResources(f"a series of more than {_MAX_ROWS} rows is not supported")


@dataclass(frozen=True, slots=True)
class Series:
    """generate_series by arithmetic: row r becomes `counts[r]` values start[r], start[r] + step[r], ..."""

    counts: np.ndarray
    start: np.ndarray
    step: np.ndarray
    pack: Callable[[np.ndarray], pa.Array]
    scales: tuple[np.ndarray, np.ndarray, int] | None = None
    """Of numerics with scales of their own: that of each first value, of all others, and the one computed at."""

    def values(self, rows: np.ndarray, within: np.ndarray) -> pa.Array:
        """The values number `within` of the input rows `rows`."""
        data = self.start.take(rows) + within * self.step.take(rows)
        if self.scales is None:
            return self.pack(data)
        first, later, common = self.scales
        shown = np.where(within == 0, first.take(rows), later.take(rows))
        return scaled.written(scaled.Scaled(scaled.rescaled(scaled.Scaled(data, np.full(len(data), common)), shown), shown))


@dataclass(frozen=True, slots=True)
class EndlessSteps:
    """generate_series to infinity by months or days of a zone's calendar: it ends with the last timestamp that there is,
    which raises DatetimeOverflow (22008)."""

    counts: np.ndarray
    start: np.ndarray
    """By the zone's clock."""
    months: np.ndarray
    days: np.ndarray
    zone: str
    storage: pa.DataType

    def values(self, rows: np.ndarray, within: np.ndarray) -> pa.Array:
        """The values number `within` of the input rows `rows`."""
        local = datetimes.plus_interval(self.start.take(rows), self.months.take(rows) * within,
                                        self.days.take(rows) * within, 0, None)
        utc = np.asarray(local_to_utc(local, self.zone))
        if (np.asarray(utc_to_local(utc, self.zone)) != local).any():  # behind an hour left out all steps go on shifted
            raise InsufficientResources("a series without end through an hour that a zone leaves out is not supported")
        return views.array_of(utc, self.storage)


def _endless(start: np.ndarray, stop: np.ndarray, months: np.ndarray, days: np.ndarray, us: np.ndarray, known: np.ndarray,
             zone: str, storage: pa.DataType) -> EndlessSteps | None:
    """The series where each goes on to infinity by steps whose number alone says where they lead; else None."""
    local = np.asarray(utc_to_local(start, zone))
    ahead = (months > 0) | (days > 0)
    stops = np.where(ahead, stop == INFINITY, stop == MINUS_INFINITY)
    of_month = np.asarray(civil_from_days(local // _DAY_US)[2])
    regular = (us == 0) & ((months == 0) != (days == 0)) & (of_month <= _SHORTEST_MONTH)
    begins = (start > MINUS_INFINITY) & (start < INFINITY)
    if not (stops & regular & begins)[known].all():
        return None
    counts = np.where(known, _ENDLESS_ROWS, 0)
    return EndlessSteps(counts, local, months.astype(np.int64), days.astype(np.int64), zone, storage)


def _check_series(args: Sequence[scaled.Scaled], known: np.ndarray) -> None:
    """Raises: InvalidParameterValue (22023) for NaN and infinities."""
    for arg, name in zip(args, ("start value", "stop value", "step size"), strict=False):
        found = arg.odd
        if found is not None and found[known].any():
            word = "NaN" if np.isnan(found[known & (found != 0)][0]) else "infinity"
            raise InvalidParameterValue(f"{name} cannot be {word}")


def series_of(call: Call, args: Args, rows: int, context: Any) -> Series | EndlessSteps | None:
    """The series of a generate_series call; None for timestamps whose steps have months or follow a zone's clock, unless
    they have no end."""
    known = _known(args, rows)
    name = call.type.name
    if name == "numeric":
        given = [scaled.read(arg, expr.type).spread(rows) for arg, expr in zip(args, call.args, strict=True)]
        _check_series(given, known)
        if len(given) < 3:
            given.append(scaled.Scaled(np.ones(rows, np.int64), np.zeros(rows, np.int64)))
        common = max(int(data.scales.max(initial=0)) for data in given)
        start, stop, step = (scaled.rescaled(data, np.full(1, common)) for data in given)
        found = _series(start, stop, step, known, lambda data: decimals.packed(data, common))
        if not call.type.varies:
            return found
        return replace(found, scales=(given[0].scales, np.maximum(given[0].scales, given[2].scales), common))
    storage = storage_type(call.type)
    if name in ("timestamp", "timestamptz"):
        months, days, us = (np.asarray(part) for part in datetimes.parts_of(args[2]))
        if (known & ((months != 0) | ((days != 0) & (name == "timestamptz") & (context.time_zone != "UTC")))).any():
            start, stop = (views.values(arg).astype(np.int64) for arg in args[:2])
            zone = context.time_zone if name == "timestamptz" else "UTC"
            return _endless(start, stop, months, days, us, known, zone, storage)
        step = days * 86_400_000_000 + us
    else:
        step = views.values(args[2]).astype(np.int64) if len(args) > 2 else np.ones(rows, np.int64)
    start, stop = (views.values(arg).astype(np.int64) for arg in args[:2])
    return _series(start, stop, step, known, lambda data: views.array_of(data, storage))


def _series(start: np.ndarray, stop: np.ndarray, step: np.ndarray, known: np.ndarray,
            pack: Callable[[np.ndarray], pa.Array]) -> Series:
    """Ends included."""
    if ((step == 0) & known).any():
        raise InvalidParameterValue("step size cannot equal zero")
    safe = np.where(step == 0, 1, step)
    wide = len(start) and max(abs(int(bound)) for edge in (start, stop) for bound in (edge.min(), edge.max())) >= 1 << 62
    span = stop.astype(object) - start if wide else stop - start
    counts = np.where(known & ((span == 0) | ((span > 0) == (safe > 0))), np.maximum(span // safe + 1, 0), 0)
    if len(counts) and sum(counts.tolist()) >= 1 << 62:
        raise InsufficientResources("a series of so many rows has no end")
    return Series(counts.astype(np.int64), start, safe, pack)


def series_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    series = series_of(call, args, rows, context)
    if not isinstance(series, Series):
        return _calendar_series(call, args, rows, context)
    _check_counts(series.counts)
    ends = np.cumsum(series.counts)
    total = int(ends[-1]) if len(ends) else 0
    within = np.arange(total) - np.repeat(ends - series.counts, series.counts)
    return series.counts, (series.values(np.repeat(np.arange(rows), series.counts), within),)


def _calendar_series(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """Timestamps a step apart; steps with months are taken one after another, as PostgreSQL does."""
    known = _known(args, rows)
    start, stop = (views.values(arg) for arg in args[:2])
    months, days, us = (np.asarray(part) for part in datetimes.parts_of(args[2]))
    zoned = call.type.name == "timestamptz"
    pieces: list[np.ndarray] = []
    counts = np.zeros(rows, np.int64)
    for row in np.flatnonzero(known).tolist():
        sign = np.sign((int(months[row]) * 30 + int(days[row])) * 86_400_000_000 + int(us[row]))
        if sign == 0:
            raise InvalidParameterValue("step size cannot equal zero")
        piece = _time_steps(int(start[row]), int(stop[row]), int(months[row]), int(days[row]), int(us[row]), int(sign),
                            context.time_zone if zoned else "UTC")
        counts[row] = len(piece)
        pieces.append(piece)
    data = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
    return counts, (views.array_of(data, storage_type(call.type)),)


def _time_steps(start: int, stop: int, months: int, days: int, us: int, sign: int, zone: str) -> np.ndarray:
    longest = abs(months) * 31 * _DAY_US + abs(days) * _DAY_US + abs(us)
    if (stop - start) * sign > longest * (_MAX_STEPS + 1):  # known without taking them
        raise InsufficientResources(f"a series of more than {_MAX_STEPS} steps by the calendar is not supported")
    out: list[int] = []
    current = np.array([start], np.int64)
    while (int(current[0]) - stop) * sign <= 0:
        out.append(int(current[0]))
        if len(out) > _MAX_STEPS:
            raise InsufficientResources(f"a series of more than {_MAX_STEPS} steps by the calendar is not supported")
        local = datetimes.plus_interval(np.asarray(utc_to_local(current, zone)), months, days, 0, None)
        current = np.asarray(local_to_utc(local, zone)) + us
    return np.array(out, np.int64)


def subscripts_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    if shapes.is_shaped(args[0]):
        return _shaped_subscripts(args)
    first = 0 if call.args[0].type.name in ("int2vector", "oidvector") else 1
    counts, _ = arrays.flattened(args[0])
    counts = np.where(views.values(args[1]) == 1, counts, 0)
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if rows else 0) - np.repeat(ends - counts, counts) + first
    if len(args) > 2:
        backwards = np.repeat(views.values(args[2]), counts)
        within = np.where(backwards, np.repeat(counts, counts) - 1 + 2 * first - within, within)
    return counts, (views.array_of(within, pa.int32()),)


def _shaped_subscripts(args: Args) -> Rows:
    found: list[list[int]] = []
    for row, (dims, wanted) in enumerate(zip(shapes.dims_of(args[0]), args[1].to_pylist(), strict=True)):
        subscripts: list[int] = []
        if dims and wanted is not None and 1 <= wanted <= len(dims) // 2:
            size, low = dims[2 * wanted - 2:2 * wanted]
            subscripts = list(range(low, low + size))
        found.append(subscripts[::-1] if len(args) > 2 and args[2][row].as_py() else subscripts)
    return _from_lists(found, pa.int32())


def unnest_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    counts, values = arrays.flattened(shapes.items_of(args[0]))
    return counts, (values,)


def expand_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    counts, values = arrays.flattened(args[0])
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if rows else 0) - np.repeat(ends - counts, counts)
    return counts, (values, views.array_of(within + 1, pa.int32()))


def _from_lists(lists: Sequence[Sequence[Any] | None], arrow: pa.DataType) -> Rows:
    counts = np.array([len(items) if items else 0 for items in lists], np.int64)
    return counts, (pa.array([item for items in lists if items for item in items], arrow),)


def split_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    columns = [arg.to_pylist() for arg in args] + [[None] * rows] * (3 - len(args))
    return _from_lists([split_text(*row) for row in zip(*columns, strict=True)], pa.string())


def regex_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """regexp_split_to_table, regexp_matches."""
    from shoal.exec.kernels import regex
    columns = [arg.to_pylist() for arg in args] + [[""] * rows] * (3 - len(args))
    found: list[list[Any] | None] = []
    for text, source, flags in zip(*columns, strict=True):
        if text is None or source is None or flags is None:
            found.append(None)
            continue
        if call.name == "regexp_split_to_table":
            if "g" in flags:
                raise InvalidParameterValue('regexp_split_to_table() does not support the "global" option')
            found.append(regex.split(text, regex.compiled(source, flags)))
            continue
        pattern = regex.compiled(source, flags.replace("g", ""))
        matches = [regex.groups_of(match) for match in pattern.finditer(text)]
        found.append(matches if "g" in flags else matches[:1])
    return _from_lists(found, pa.string() if call.name == "regexp_split_to_table" else pa.list_(pa.string()))


def keywords_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    words = sorted(KEYWORDS)
    codes = [KEYWORDS[word][0] for word in words]
    labels = [KEYWORDS[word][1] for word in words]
    repeat = np.tile(np.arange(len(words)), rows)
    columns = (pa.array(words), pa.array(codes), pa.array(labels), pa.array([CATEGORIES[c] for c in codes]),
               pa.array(["can be bare label" if label else "requires AS" for label in labels]))
    return np.full(rows, len(words), np.int64), tuple(c.take(pa.array(repeat)) for c in columns)


declare("generate_series", "int4 int4 -> int4", "int4 int4 int4 -> int4", "int8 int8 -> int8", "int8 int8 int8 -> int8",
        kind="set", kernel=series_kernel, family="set", example="generate_series(1, 3)")
declare("generate_series", "numeric numeric", "numeric numeric numeric", returns=numeric_types.merged, kind="set",
        kernel=series_kernel, family="set")
declare("generate_series", "timestamp timestamp interval -> timestamp", kind="set", kernel=series_kernel, family="set")
declare("generate_series", "timestamptz timestamptz interval -> timestamptz", kind="set", volatility="stable",
        kernel=series_kernel, family="set")
declare("generate_subscripts", "anyarray int4 -> int4", "anyarray int4 bool -> int4", kind="set", shapes=True, raises=False,
        kernel=subscripts_kernel, family="set")
declare("unnest", "anyarray", returns=_element, kind="set", shapes=True, raises=False, kernel=unnest_kernel, family="set",
        example="unnest(ARRAY[1, 2])")
declare("string_to_table", "text text -> text", "text text text -> text", kind="set", strict=False, raises=False,
        kernel=split_kernel, family="set", example="string_to_table('a,b', ',')")
declare("regexp_split_to_table", "text text -> text", "text text text -> text", kind="set", kernel=regex_kernel,
        family="set")
declare("regexp_matches", "text text -> _text", "text text text -> _text", kind="set", kernel=regex_kernel, family="set")
declare("pg_get_keywords", "-> record", kind="set", raises=False, volatility="stable", kernel=keywords_kernel, family="set",
        columns=(("word", "text"), ("catcode", "char"), ("barelabel", "bool"), ("catdesc", "text"), ("baredesc", "text")))
declare("_pg_expandarray", "anyarray -> record", kind="set", raises=False, kernel=expand_kernel, family="set",
        columns=(("x", "anyelement"), ("n", "int4")))
