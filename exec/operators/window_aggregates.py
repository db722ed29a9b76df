"""Aggregates used as window functions, over frames.

One frame for a whole partition is grouping by partition. Counts and exact sums over moving frames are differences of
prefix sums; extremes, AND and OR come from windows of 1, 2, 4 ... rows; float sums and moments are PostgreSQL's own
additions where frames grow from their partition's start or are few, else segment tree queries. Any other aggregate
gets the rows of its frames spelled out, in bounded blocks.
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
from shoal.exec.kernels import canonical, concat, datetimes, decimals, nulls, scaled, sorting, views, windows
from shoal.exec.kernels.aggregation_scaled import average
from shoal.exec.kernels.aggregation_statistics import exact_variances
from shoal.exec.kernels.aggregation_values import list_array
from shoal.exec.operators.accumulators import REGRESSION, VARIANCES, accumulator
from shoal.exec.operators.aggregate import chosen
from shoal.exec.operators.window_floats import float_column
from shoal.exec.operators.window_frames import frame_of
from shoal.exec.plan.expr import AggregateCall, WindowCall

if TYPE_CHECKING:
    from shoal.exec.operators.window import Rows

_BLOCK = 1 << 20
_SPELLED = 1 << 22
"""Float aggregates over frames of no more rows in all are added up as PostgreSQL does, value by value."""
_BITS = {"bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bool_and": np.bitwise_and, "every": np.bitwise_and,
         "bool_or": np.bitwise_or}


def aggregate_column(rows: Rows, call: WindowCall) -> pa.Array:
    """The aggregate over each sorted row's frame. Raises: FeatureNotSupported (0A000) for an unknown one."""
    layout = rows.layout
    frame = frame_of(rows, call.frame)
    columns = [rows.array(arg) for arg in call.args]
    mask = chosen(rows.array(call.filter)) if call.filter is not None else None
    from_start = not call.frame.exclude and bool((frame[0] == layout.partition_start).all())
    if from_start and (frame[1] == layout.partition_end).all():
        return _by_partition(rows, call, columns, mask)
    ranges = windows.without(frame, layout, call.frame.exclude)
    argument = call.args[0].type if call.args else None
    floats = argument is not None and argument.name in ("float4", "float8")
    counts = mask
    for column in columns if call.name in REGRESSION else columns[:1]:
        counts = nulls.both(counts, nulls.validity(column))
    present = _counted(ranges, counts)
    if call.name == "count":
        return views.array_of(present, pa.int64())
    if argument is None:
        return _spelled_out(call, columns, mask, ranges, rows.evaluation)
    if call.name in REGRESSION or (floats and call.name in ("sum", "avg", *VARIANCES)):
        if from_start or int(windows.counted(ranges).sum()) > _SPELLED:
            return float_column(call, columns, counts, layout, ranges, present, from_start)
    elif call.name in ("sum", "avg", "sum0"):
        if argument.is_integer or argument.name == "numeric":
            return _exact_sum(call, columns[0], counts, ranges, present)
        if argument.name == "interval":
            return _interval_sum(call, columns[0], counts, ranges, present)
    elif call.name in VARIANCES:
        found = _exact_variance(call, columns[0], counts, ranges, present)
        if found is not None:
            return found
    elif call.name in ("min", "max"):
        return _extreme(call, columns[0], counts, ranges, layout if from_start else None)
    elif call.name in _BITS and (argument.is_integer or argument.name == "bool"):
        return _bits(call, columns[0], counts, ranges, present)
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


def _summed(values: np.ndarray, counts: np.ndarray | None, ranges: windows.Ranges) -> np.ndarray:
    """Exact sums over the rows that count."""
    return windows.range_sums(windows.prefix_sums(values if counts is None else np.where(counts, values, 0)), ranges)


def _exact_sum(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
               present: np.ndarray) -> pa.Array:
    if call.type.varies:
        return _scaled_sum(call, array, counts, ranges, present)
    found = specials.stand_ins(array)
    values = decimals.unscaled(array if found is None else specials.as_zero(array, found))
    total = _summed(values, counts, ranges)  # type: ignore[arg-type]
    valid = None if present.all() or call.name == "sum0" else present > 0
    if call.type.name != "numeric" and total.dtype == object:
        total = _int64(total, "bigint out of range")
    result = decimals.packed(total, call.type.scale or 0, valid)
    if found is None:
        return result
    with np.errstate(invalid="ignore"):
        special = windows.SegmentTree(found if counts is None else np.where(counts, found, 0.0), np.add, 0.0).over(ranges)
    return specials.placed(result, special, call.type.scale or 0)


def _scaled_sum(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
                present: np.ndarray) -> pa.Array:
    """sum and avg where each result has its own scale: the largest in its frame, or what the division gives."""
    data = scaled.read(array, call.args[0].type)
    most = int(data.scales.max(initial=0))
    odd = data.odd if counts is None or data.odd is None else np.where(counts, data.odd, 0.0)
    total = _summed(scaled.rescaled(data, np.full(1, most)), counts, ranges)
    shown = _frame_scales(data.scales, most, counts, ranges)
    special = None
    if odd is not None:
        with np.errstate(invalid="ignore"):
            special = windows.SegmentTree(odd, np.add, 0.0).over(ranges)
    valid = None if present.all() or call.name == "sum0" else present > 0
    sums = scaled.Scaled(scaled.rescaled(scaled.Scaled(total, np.full(len(total), most)), shown), shown, special)
    if call.name == "avg":
        return average(sums, np.maximum(present, 1), valid)
    return scaled.written(sums, valid)


def _int64(values: np.ndarray, message: str) -> np.ndarray:
    if any(not -(1 << 63) <= value < 1 << 63 for value in values):
        raise NumericOutOfRange(message)
    return values.astype(np.int64)


def _interval_sum(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
                  present: np.ndarray) -> pa.Array:
    months, days, micros = (_summed(part, counts, ranges) for part in canonical.interval_parts(array))
    valid = None if present.all() else present > 0
    micros = _int64(micros, "interval out of range") if micros.dtype == object else micros
    if call.name == "avg":
        return datetimes.scaled_interval((months, days, micros), np.maximum(present, 1), len(present), valid, divide=True)
    return datetimes.interval_array(months, days, micros, len(present), valid)


def _exact_variance(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
                    present: np.ndarray) -> pa.Array | None:
    """None where NaN and infinities are among the values."""
    data = scaled.read(array, call.args[0].type)
    if data.odd is not None:
        return None
    most = int(data.scales.max(initial=0))
    plain = scaled.Scaled(scaled.rescaled(data, np.full(1, most)), np.full(len(data), most))
    totals = _summed(plain.values, counts, ranges)
    squares = _summed(scaled.exact_product(plain, plain).values, counts, ranges)
    shown = _frame_scales(data.scales, most, counts, ranges)
    sums = scaled.Scaled(scaled.rescaled(scaled.Scaled(totals, np.full(len(totals), most)), shown), shown)
    powers = scaled.Scaled(scaled.rescaled(scaled.Scaled(squares, np.full(len(squares), 2 * most)), 2 * shown), 2 * shown)
    return exact_variances(call.name, present, sums, powers)


def _frame_scales(scales: np.ndarray, most: int, counts: np.ndarray | None, ranges: windows.Ranges) -> np.ndarray:
    """The largest scale in each frame."""
    if (scales == most).all():
        return np.full(len(ranges[0][0]), most)
    return windows.SegmentTree(scales if counts is None else np.where(counts, scales, 0), np.maximum, 0).over(ranges)


def _bits(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
          present: np.ndarray) -> pa.Array:
    operation = _BITS[call.name]
    identity = -1 if operation is np.bitwise_and else 0
    values = views.values(array).astype(np.int64)
    shown = values if counts is None else np.where(counts, values, identity)
    found = windows.overlapping(shown, operation, identity, ranges)
    return views.array_of(found, storage_type(call.type), None if present.all() else present > 0)


def _extreme(call: WindowCall, array: pa.Array, counts: np.ndarray | None, ranges: windows.Ranges,
             growing: windows.Layout | None) -> pa.Array:
    """By ranks: the rank of a frame's extreme leads to a row that has it. `growing`: frames begin where partitions do."""
    ranks, _ = sorting.dense_ranks(sorting.ranks(array, call.args[0].type))
    row_of = np.zeros(len(ranks) + 1, np.int64)
    row_of[ranks if counts is None else ranks[counts]] = np.arange(len(ranks)) if counts is None else np.flatnonzero(counts)
    largest = call.name == "max"
    nothing = -1 if largest else len(ranks)
    shown = ranks if counts is None else np.where(counts, ranks, nothing)
    if growing is not None:
        (start, end), = ranges
        found = np.where(end > start, windows.accumulated(shown, largest, growing)[np.maximum(end, 1) - 1], nothing)
    else:
        found = windows.overlapping(shown, np.maximum if largest else np.minimum, nothing, ranges)
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
