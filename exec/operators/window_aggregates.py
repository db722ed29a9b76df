"""Aggregates used as window functions, over frames.

One frame for a whole partition is grouping by partition. Counts and integer sums over moving frames are differences
of prefix sums, extremes and float sums segment tree queries; any other aggregate gets the rows of its frames spelled
out, in bounded blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import storage_type
from shoal.exec.evaluator import EvaluationContext
from shoal.exec.kernels import concat, decimals, nulls, sorting, views, windows
from shoal.exec.kernels.aggregation_values import list_array
from shoal.exec.operators.accumulators import accumulator
from shoal.exec.operators.aggregate import chosen
from shoal.exec.operators.window_frames import frame_of
from shoal.exec.plan.expr import AggregateCall, WindowCall

if TYPE_CHECKING:
    from shoal.exec.operators.window import Rows

_BLOCK = 1 << 20


def aggregate_column(rows: Rows, call: WindowCall) -> pa.Array:
    """The aggregate over each sorted row's frame. Raises: FeatureNotSupported (0A000) for an unknown one."""
    layout = rows.layout
    start, end = frame_of(rows, call.frame)
    columns = [rows.array(arg) for arg in call.args]
    mask = chosen(rows.array(call.filter)) if call.filter is not None else None
    if not call.frame.exclude and (start == layout.partition_start).all() and (end == layout.partition_end).all():
        return _by_partition(rows, call, columns, mask)
    ranges = windows.without((start, end), layout, call.frame.exclude)
    counts = mask
    if columns:
        valid = nulls.validity(columns[0])
        counts = mask if valid is None else valid if mask is None else valid & mask
    present = _counted(ranges, counts)
    argument = call.args[0].type if call.args else None
    if call.name == "count":
        return views.array_of(present, pa.int64())
    valid = None if present.all() else present > 0
    if argument is not None and call.name in ("sum", "avg", "sum0"):
        if argument.is_integer or argument.name == "numeric":
            return _exact_sum(call, columns[0], counts, ranges, present)
        if argument.name in ("float4", "float8"):
            values = views.values(columns[0]).astype(np.float64)
            with np.errstate(invalid="ignore", over="ignore"):
                shown = values if counts is None else np.where(counts, values, 0.0)
                total = windows.SegmentTree(shown, np.add, 0.0).over(ranges)
            if call.name == "avg":
                total = total / np.maximum(present, 1)
            return views.array_of(total, storage_type(call.type), valid)
    if argument is not None and call.name in ("min", "max"):
        return _extreme(call, columns[0], counts, ranges)
    return _spelled_out(call, columns, mask, ranges, rows.evaluation)


def _aggregate(call: WindowCall) -> AggregateCall:
    return AggregateCall(call.name, call.args, call.type, filter=call.filter)


def _by_partition(rows: Rows, call: WindowCall, columns: Sequence[pa.Array], mask: np.ndarray | None) -> pa.Array:
    numbers = rows.layout.partition_number
    partitions = int(numbers[-1]) + 1
    state = accumulator(_aggregate(call), rows.evaluation, empty_groups=True)
    state.resize(partitions)
    codes = numbers
    if mask is not None:
        kept = np.flatnonzero(mask)
        codes, columns = numbers.take(kept), [column.take(pa.array(kept)) for column in columns]
    state.update(codes, columns, lambda: np.zeros(partitions, np.bool_))
    return state.finish(np.arange(partitions)).take(pa.array(numbers))


def _counted(ranges: windows.Ranges, counts: np.ndarray | None) -> np.ndarray:
    if counts is None:
        return windows.counted(ranges)
    return windows.range_sums(windows.prefix_sums(counts.astype(np.int64)), ranges)


def _exact_sum(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
               present: np.ndarray) -> pa.Array:
    found = specials.stand_ins(array)
    values = decimals.unscaled(array if found is None else specials.as_zero(array, found))
    if counts is not None:
        values = np.where(counts, values, 0)
    total = windows.range_sums(windows.prefix_sums(values), ranges)  # type: ignore[arg-type]
    valid = None if present.all() or call.name == "sum0" else present > 0
    if call.name == "avg":
        digits = (call.type.scale or 0) - (call.args[0].type.scale or 0)
        total = decimals.divide(total, np.maximum(present, 1), digits, len(total))
    if call.type.name != "numeric" and total.dtype == object:
        if any(not -(1 << 63) <= value < 1 << 63 for value in total):
            raise NumericOutOfRange("bigint out of range")
        total = total.astype(np.int64)
    result = decimals.packed(total, call.type.scale or 0, valid)
    if found is None:
        return result
    with np.errstate(invalid="ignore"):
        special = windows.SegmentTree(found if counts is None else np.where(counts, found, 0.0), np.add, 0.0).over(ranges)
    return specials.placed(result, special, call.type.scale or 0)


def _extreme(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges) -> pa.Array:
    """By ranks: the rank of a frame's extreme leads to a row that has it."""
    ranks, _ = sorting.dense_ranks(sorting.ranks(array, call.args[0].type))
    row_of = np.zeros(len(ranks) + 1, np.int64)
    row_of[ranks if counts is None else ranks[counts]] = np.arange(len(ranks)) if counts is None else np.flatnonzero(counts)
    largest = call.name == "max"
    nothing = -1 if largest else len(ranks)
    shown = ranks if counts is None else np.where(counts, ranks, nothing)
    found = windows.SegmentTree(shown, np.maximum if largest else np.minimum, nothing).over(ranges)
    missing = found == nothing
    rows = row_of[np.where(missing, 0, found)]
    return array.take(pa.array(rows, mask=missing if missing.any() else None))


def _spelled_out(call: WindowCall, columns: Sequence[pa.Array], mask: np.ndarray | None, ranges: windows.Ranges,
                 evaluation: EvaluationContext) -> pa.Array:
    """Any aggregate: each row's frame becomes a group of its own, a block of rows at a time."""
    sizes = windows.counted(ranges)
    total = len(sizes)
    if call.name == "array_agg" and mask is None and len(ranges) == 1 and not call.args[0].type.is_array:
        values = columns[0].dictionary_decode() if pa.types.is_dictionary(columns[0].type) else columns[0]
        wanted = storage_type(call.type).value_type
        values = concat.widened(values, wanted) if pa.types.is_decimal(wanted) else values
        return list_array(values, *ranges[0])
    reached = np.cumsum(sizes)
    results: list[pa.Array] = []
    first = 0
    while first < total:
        done = int(reached[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(reached, done + _BLOCK, "right")))
        block = slice(first, last)
        pieces = [(np.repeat(np.arange(last - first), (end - start)[block]), concat.ranges(start[block], end[block]))
                  for start, end in ranges]
        codes, rows = np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])
        if len(pieces) > 1:
            order = np.argsort(codes * (int(rows.max(initial=0)) + 1) + rows)
            codes, rows = codes[order], rows[order]
        if mask is not None:
            kept = np.flatnonzero(mask[rows])
            codes, rows = codes[kept], rows[kept]
        state = accumulator(_aggregate(call), evaluation, empty_groups=True)
        state.resize(last - first)
        picked = pa.array(rows)
        state.update(codes, [column.take(picked) for column in columns], partial(np.zeros, last - first, np.bool_))
        results.append(state.finish(np.arange(last - first)))
        first = last
    return concat.concatenated(results, call.type)
