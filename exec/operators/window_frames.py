"""From a frame clause to each row's first and last frame row.

RANGE with an offset compares values of the one order key: they are searched in the partition for key - offset or
key + offset. Integers, floats and times count beyond their types' ends, as PostgreSQL's in_range functions do; the other
types' own operators compute it (dates take intervals).

Spec: PostgreSQL 15 documentation, 4.2.8 "Window Function Calls" and 38.16.3 (in_range support functions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidFrameSize, NullNotAllowed
from shoal.catalog.types import NUMERIC
from shoal.exec.batch import Batch
from shoal.exec.evaluator import compile_expression
from shoal.exec.functions import resolution
from shoal.exec.kernels import canonical, concat, nulls, scaled, sorting, views, windows
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.expr import Call, Cast, ColumnRef, Expr, FrameBound, Literal, SortKey, WindowFrame

if TYPE_CHECKING:
    from shoal.exec.operators.window import Rows

Bound = np.ndarray
_INT64 = np.iinfo(np.int64)
_FAR = 1 << 40
_INTEGERS = ("int2", "int4", "int8")
_FLOATS = ("float4", "float8")


def frame_of(rows: Rows, frame: WindowFrame) -> tuple[Bound, Bound]:
    """Each row's frame as [start, end), before EXCLUDE.

    Raises: InvalidFrameSize (22013) for a negative offset, NullNotAllowed (22004) for a NULL one.
    """
    return _edge(rows, frame.mode, frame.start, False), _edge(rows, frame.mode, frame.end, True)


def _edge(rows: Rows, mode: str, bound: FrameBound, is_end: bool) -> Bound:
    """The row where the frame starts, or the row after its last."""
    layout = rows.layout
    first, last = layout.partition_start, layout.partition_end
    if bound.kind == "unbounded_preceding":
        return first
    if bound.kind == "unbounded_following":
        return last
    here = np.arange(layout.rows)
    if bound.kind == "current_row":
        if mode == "rows":
            return here + 1 if is_end else here
        return layout.peer_end if is_end else layout.peer_start
    preceding = bound.kind == "preceding"
    offset = _offset(rows, bound, is_end)
    if mode == "range":
        return _range_edge(rows, bound, offset, preceding, is_end)
    distance = np.minimum(views.values(offset).astype(np.int64), _FAR)
    if (distance < 0).any():
        raise InvalidFrameSize(f"frame {'ending' if is_end else 'starting'} offset must not be negative")
    distance = -distance if preceding else distance
    if mode == "rows":
        return np.clip(here + distance + int(is_end), first, last)
    groups = np.append(layout.peer_starts, layout.rows)
    number = layout.peer_number + distance + int(is_end)
    return np.clip(groups[np.clip(number, 0, len(groups) - 1)], first, last)


def _offset(rows: Rows, bound: FrameBound, is_end: bool) -> pa.Array:
    """The offset: one value, or one for each row where a subquery gave it (that of the partition's first row)."""
    assert bound.offset is not None
    if isinstance(bound.offset, Literal):
        array = array_of_values([bound.offset.value], bound.offset.type)
    else:
        array = rows.array(bound.offset).take(pa.array(rows.layout.partition_start))
    if array.null_count:
        raise NullNotAllowed(f"frame {'ending' if is_end else 'starting'} offset must not be null")
    return array


@dataclass(slots=True)
class _Search:
    """What a RANGE bound looks for: `keys` ascend in the window's order (under NULL: anything)."""

    keys: np.ndarray
    targets: np.ndarray
    below: np.ndarray | None = None
    """Where the target is less than every key."""
    above: np.ndarray | None = None
    nan: np.ndarray | None = None
    """Where infinity less infinity was asked for: every key but NaN is in range."""
    is_nan: np.ndarray | None = None
    """Which keys are NaN; given with `nan`."""


def _range_edge(rows: Rows, bound: FrameBound, offset: pa.Array, preceding: bool, is_end: bool) -> Bound:
    (key,) = rows.node.order
    array = rows.array(key.column)
    layout = rows.layout
    _check_size(offset, key.column.type.name)
    minus = preceding != key.descending
    name = key.column.type.name
    if name in _INTEGERS or name == "time":
        search = _integers(array, offset, minus, key.descending)
    elif name in _FLOATS:
        search = _floats(array, offset, minus, key.descending)
    else:
        search = _computed(rows, key, array, bound, minus)
    valid = nulls.validity(array)
    low, high = layout.partition_start, layout.partition_end
    if valid is not None:
        # NULL keys stand together at one end of the partition: others never reach them, and they only have each other
        known = np.concatenate([[0], np.cumsum(valid)])
        count = known[high] - known[low]
        low = high - count if key.nulls_first else low
        high = low + count
    found = windows.search(search.keys, search.targets, low, high, is_end)
    if search.below is not None:
        found = np.where(search.below, low, found)
    if search.above is not None:
        found = np.where(search.above, high, found)
    if search.nan is not None and search.is_nan is not None:
        found = _beside_nan(found, search.nan, search.is_nan, low, high, key.descending, is_end)
    if valid is not None:
        found = np.where(valid, found, layout.peer_end if is_end else layout.peer_start)
    return found


def _beside_nan(found: np.ndarray, asked: np.ndarray, is_nan: np.ndarray, low: np.ndarray, high: np.ndarray,
                descending: bool, is_end: bool) -> np.ndarray:
    """NaN keys stand at the end, in descending order at the beginning, and are in range of no row that asks."""
    before = np.concatenate([[0], np.cumsum(is_nan)])
    count = before[high] - before[low]
    if descending:
        edge = high if is_end else low + count
    else:
        edge = high - count if is_end else low
    return np.where(asked, edge, found)


def _check_size(offset: pa.Array, key: str) -> None:
    """Raises: InvalidFrameSize (22013) for a negative offset or NaN."""
    if offset.type == pa.month_day_nano_interval():
        months, days, micros = canonical.interval_parts(offset)
        negative = micros < 0 if key in ("time", "timetz") else (months * 30 + days) * 86_400_000_000 + micros < 0
    elif pa.types.is_floating(offset.type):
        values = views.values(offset)
        negative = (values < 0) | np.isnan(values)
    else:
        data = scaled.read(offset, NUMERIC)
        negative = np.asarray(data.values < 0)
        if data.odd is not None:
            negative = negative | (data.odd < 0) | np.isnan(data.odd)
    if negative.any():
        raise InvalidFrameSize("invalid preceding or following size in window function")


def _integers(array: pa.Array, offset: pa.Array, minus: bool, descending: bool) -> _Search:
    """Integers, and times by their microseconds (of an interval only its time counts)."""
    keys = views.values(array).astype(np.int64)
    away = canonical.interval_parts(offset)[2] if offset.type == pa.month_day_nano_interval() else \
        views.values(offset).astype(np.int64)
    if minus:
        beyond = keys < _INT64.min + away
        targets = np.where(beyond, keys, keys - away)
    else:
        beyond = keys > _INT64.max - away
        targets = np.where(beyond, keys, keys + away)
    outside = beyond if beyond.any() else None
    is_least = minus != descending
    return _Search(~keys if descending else keys, ~targets if descending else targets,
                   outside if is_least else None, None if is_least else outside)


def _floats(array: pa.Array, offset: pa.Array, minus: bool, descending: bool) -> _Search:
    values, away = views.values(array).astype(np.float64), views.values(offset).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        sums = values - away if minus else values + away
    keys, targets = (sorting.float_codes(each) for each in (values, sums))
    is_nan = np.isnan(values)
    nan = np.isnan(sums) & ~is_nan
    return _Search(~keys if descending else keys, ~targets if descending else targets,
                   nan=nan if nan.any() else None, is_nan=is_nan)


def _computed(rows: Rows, key: SortKey, array: pa.Array, bound: FrameBound, minus: bool) -> _Search:
    """By the operator of key and offset, in the type that it gives."""
    assert bound.offset is not None
    column = ColumnRef(key.column.type, 0, "key")
    columns, offset = [array], bound.offset
    if not isinstance(offset, Literal):
        columns.append(rows.array(offset).take(pa.array(rows.layout.partition_start)))
        offset = ColumnRef(offset.type, 1, "offset")
    found = resolution.resolve_operator("-" if minus else "+", column.type, offset.type)
    arguments: list[Expr] = [column, offset]
    cast = [arg if arg.type == wanted else Cast(wanted, arg) for arg, wanted in zip(arguments, found.arguments, strict=True)]
    expr: Expr = Call(found.returns, found.function.name, tuple(cast))
    shared = expr.type
    batch = Batch.of(columns)
    targets = compile_expression(expr, {0: 0, 1: 1})(batch, rows.evaluation)
    keys = array if shared == key.column.type else compile_expression(Cast(shared, column), {0: 0})(
        Batch.of([array]), rows.evaluation)
    codes = sorting.ranks(concat.concatenated([keys, targets], shared), shared)
    if key.descending:
        codes = ~codes
    search = _Search(codes[:len(array)], codes[len(array):])
    special = scaled.read(targets, shared).odd if shared.name == "numeric" else None
    if special is not None:
        of_keys = scaled.read(keys, shared).odd
        search.is_nan = np.zeros(len(array), np.bool_) if of_keys is None else np.isnan(of_keys)
        search.nan = np.isnan(special) & ~search.is_nan
    return search
