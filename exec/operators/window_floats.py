"""Float aggregates over moving frames: sums, averages, the variance family and two-column regression.

Frames that grow from their partition's start are read off running states, made by PostgreSQL's additions in its order;
others ask a segment tree of states, without the cancellation that differences of running sums suffer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import storage_type
from shoal.exec.kernels import views, windows, youngs_cramer
from shoal.exec.kernels.aggregation_floats import regressions, variances
from shoal.exec.kernels.windows import Layout, Ranges, SegmentTree
from shoal.exec.operators.accumulators import REGRESSION
from shoal.exec.plan.expr import WindowCall


def float_column(call: WindowCall, columns: Sequence[pa.Array], counts: np.ndarray | None, layout: Layout, ranges: Ranges,
                 present: np.ndarray, growing: bool) -> pa.Array:
    """`counts`: the rows that count (None for all), `present` how many each frame has; `growing`: frames begin where
    their partitions do. Raises: NumericOutOfRange (22003) where finite values overflow."""
    single = call.name == "sum" and call.type.name == "float4"
    values = [views.values(column).astype(np.float32 if single else np.float64, copy=False) for column in columns]
    if call.name in REGRESSION:
        values.reverse()  # of (Y, X)
    if growing:
        state = _growing(call, values, counts, layout, ranges[0][1])
    else:
        state = _moving(call, values, counts, ranges)
    if call.name in REGRESSION:
        return regressions(call.name, [present.astype(np.float64), *state], call.type)
    if call.name not in ("sum", "avg"):
        return variances(call.name, present.astype(np.float64), state[1], call.type)
    total = state[0]
    if np.isinf(total).any() and np.isfinite(values[0] if counts is None else values[0][counts]).all():
        raise NumericOutOfRange("value out of range: overflow")
    if call.name == "avg":
        total = total / np.maximum(present, 1)
    return views.array_of(total, storage_type(call.type), None if present.all() else present > 0)


def _growing(call: WindowCall, values: Sequence[np.ndarray], counts: np.ndarray | None, layout: Layout,
             end: np.ndarray) -> list[np.ndarray]:
    """Sx, Sxx (, Sy, Syy, Sxy) of each frame: the running state at its last row that counts."""
    numbers = layout.partition_number
    last = end - 1
    if counts is not None:
        kept = np.flatnonzero(counts)
        values, numbers = [each.take(kept) for each in values], numbers.take(kept)
        last = np.searchsorted(kept, end) - 1
    if not len(numbers):
        return [np.zeros(len(end)) for _ in range(5)]
    rows = youngs_cramer.grouped(numbers)
    zeros = np.zeros(len(rows.starts), values[0].dtype)
    picked = np.maximum(last, 0)
    with np.errstate(invalid="ignore", over="ignore"):
        sum_x = youngs_cramer.accumulated(rows, values[0], zeros)
        if call.name in ("sum", "avg"):
            return [sum_x[picked]]
        if call.name not in REGRESSION:
            squares = youngs_cramer.squares(rows.number, values[0], sum_x)
            return [sum_x[picked], _settled(youngs_cramer.accumulated(rows, squares, zeros), values)[picked]]
        sum_y = youngs_cramer.accumulated(rows, values[1], zeros)
        moments = [_settled(youngs_cramer.accumulated(rows, added, zeros), values)
                   for added in youngs_cramer.products(rows.number, values[0], sum_x, values[1], sum_y)]
    return [each[picked] for each in (sum_x, moments[0], sum_y, moments[1], moments[2])]


def _settled(moments: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
    finite = np.full(len(moments), all(bool(np.isfinite(each).all()) for each in values))
    return youngs_cramer.settled(moments, (), finite)


def _moving(call: WindowCall, values: Sequence[np.ndarray], counts: np.ndarray | None, ranges: Ranges) -> list[np.ndarray]:
    def shown(each: np.ndarray) -> np.ndarray:
        return each if counts is None else np.where(counts, each, 0.0)

    if call.name in ("sum", "avg"):
        with np.errstate(invalid="ignore", over="ignore"):
            return [SegmentTree(shown(values[0]), np.add, 0.0).over(ranges)]
    width = 6 if call.name in REGRESSION else 3
    states = np.zeros((len(values[0]), width))
    states[:, 0] = 1.0 if counts is None else counts
    for place, each in enumerate(values):
        states[:, 1 + 2 * place] = shown(each)
        states[:, 2 + 2 * place] = np.where(np.isfinite(shown(each)), 0.0, np.nan)
    if width == 6:
        states[:, 5] = states[:, 2] + states[:, 4]
    found = windows.SegmentTree(states, youngs_cramer.merged, np.zeros(width)).over(ranges)
    return [found[:, place] for place in range(1, width)]
