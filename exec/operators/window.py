"""Window: sorts its input by partition and order once, then computes every call over the sorted rows.

    input -> one batch -> sort by (partition, order) -> windows.Layout -> per call: frame ranges -> a column

Spec: PostgreSQL 15 documentation, 4.2.8 and 9.22.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidArgumentForNthValue, InvalidArgumentForNtile
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.evaluator import EvaluationContext
from shoal.exec.kernels import concat, nulls, scaled, sorting, views, windows
from shoal.exec.kernels.constants import scalar_of
from shoal.exec.kernels.sorting import Ordering
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.operators.sort import orderings, working_bytes
from shoal.exec.operators.window_aggregates import aggregate_column
from shoal.exec.operators.window_frames import frame_of
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import ColumnRef, Expr, Literal, WindowCall

_RANKS = {"row_number": windows.row_number, "rank": windows.rank, "dense_rank": windows.dense_rank,
          "percent_rank": windows.percent_rank, "cume_dist": windows.cume_dist}


class Window(Operator):
    node: nodes.Window

    def batches(self) -> Output:
        held: list[Batch] = []
        held_bytes = rows = 0
        keys = len(self.node.partition) + len(self.node.order)
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                held.append(batch)
                held_bytes += batch.nbytes()
                rows += batch.rows
                self.context.reserve(self.metrics, working_bytes(held_bytes, rows, keys) + 24 * rows * len(self.node.calls))
        if held:
            whole = concat.concatenated_batches(held, streams.types(self.node.input))
            del held
            yield from streams.sliced(self._computed(whole), self.context.settings.batch_rows)
        self.context.reserve(self.metrics, 0)

    def _computed(self, whole: Batch) -> Batch:
        where = streams.positions(self.node.input)
        partition = [Ordering(whole.array(where[c.id]), c.type) for c in self.node.partition]
        partition_codes = sorting.combined_ranks(sorting.key_codes(partition), whole.rows)[0]
        peer_codes = sorting.combined_ranks(sorting.key_codes(orderings(whole, self.node.order, where)), whole.rows)[0]
        codes, bits = sorting.combined_ranks([partition_codes, peer_codes], whole.rows)
        order = sorting.stable_order(codes, bits)
        ordered = whole.take(Selection(order))
        rows = Rows(ordered, windows.layout_of(partition_codes[order], peer_codes[order]), where, self.node,
                    streams.evaluation(self.context))
        columns = [*ordered.columns, *(Column(_column(rows, call)) for _, call in self.node.calls)]
        return Batch(columns, whole.rows)


class Rows:
    """The sorted rows, and how to find a call's arguments among them."""

    def __init__(self, batch: Batch, layout: windows.Layout, where: Mapping[int, int], node: nodes.Window,
                 evaluation: EvaluationContext) -> None:
        self.batch, self.layout, self.node, self.evaluation = batch, layout, node, evaluation
        self._where = where

    def array(self, arg: Expr) -> pa.Array:
        if isinstance(arg, ColumnRef):
            return self.batch.array(self._where[arg.id])
        assert isinstance(arg, Literal)
        return nulls.spread(scalar_of(arg.value, arg.type), self.batch.rows)

    def integers(self, arg: Expr) -> tuple[np.ndarray, np.ndarray | None]:
        array = self.array(arg)
        return views.values(array).astype(np.int64), nulls.validity(array)


def _column(rows: Rows, call: WindowCall) -> pa.Array:
    layout = rows.layout
    if call.name in _RANKS:
        return views.array_of(_RANKS[call.name](layout), storage_type(call.type))
    if call.name == "ntile":
        return _ntile(rows, call)
    if call.name in ("lag", "lead"):
        return _shifted(rows, call)
    if call.name in ("first_value", "last_value", "nth_value"):
        return _framed_value(rows, call)
    return aggregate_column(rows, call)


def _ntile(rows: Rows, call: WindowCall) -> pa.Array:
    buckets, valid = rows.integers(call.args[0])
    first = rows.layout.partition_start
    buckets = buckets[first]
    valid = None if valid is None else valid[first]
    if (buckets if valid is None else buckets[valid]).min(initial=1) <= 0:
        raise InvalidArgumentForNtile("argument of ntile must be greater than zero")
    found = windows.ntile(rows.layout, buckets if valid is None else np.where(valid, buckets, 1))
    return views.array_of(found, storage_type(call.type), valid)


def _shifted(rows: Rows, call: WindowCall) -> pa.Array:
    """lag and lead: the value some rows away in the partition, else the default."""
    values, layout = _as_result(rows.array(call.args[0]), call.args[0].type, call.type), rows.layout
    count = rows.batch.rows
    distance, valid = rows.integers(call.args[1]) if len(call.args) > 1 else (np.ones(count, np.int64), None)
    target = np.arange(count) + (distance if call.name == "lead" else -distance)
    inside = (target >= layout.partition_start) & (target < layout.partition_end)
    if valid is not None:
        inside &= valid
    found = _taken(values, np.where(inside, target, -1))
    outside = ~inside if valid is None else ~inside & valid
    if len(call.args) < 3 or not outside.any():
        return found
    return _replaced(found, outside, _as_result(rows.array(call.args[2]), call.args[2].type, call.type), call.type)


def _as_result(array: pa.Array, sql_type: SqlType, target: SqlType) -> pa.Array:
    """Numerics of one scale as some whose values bring their own, where the result has such."""
    if not target.varies or sql_type.varies:
        return array
    return scaled.written(scaled.read(array, sql_type), nulls.validity(array))


def _taken(values: pa.Array, rows: np.ndarray) -> pa.Array:
    """values[rows], NULL for -1."""
    return Column(values, Selection(rows, nullable=True)).array


def _replaced(array: pa.Array, mask: np.ndarray, other: pa.Array, sql_type: SqlType) -> pa.Array:
    """`other` where `mask`, else `array`."""
    both = concat.concatenated([array, other], sql_type)
    rows = np.arange(len(array))
    return Column(both, Selection(np.where(mask, rows + len(array), rows))).array


def _framed_value(rows: Rows, call: WindowCall) -> pa.Array:
    ranges = windows.without(frame_of(rows, call.frame), rows.layout, call.frame.exclude)
    count = rows.batch.rows
    if call.name == "first_value":
        place = np.zeros(count, np.int64)
    elif call.name == "last_value":
        place = windows.counted(ranges) - 1
    else:
        place, valid = rows.integers(call.args[1])
        if (place if valid is None else place[valid]).min(initial=1) <= 0:
            raise InvalidArgumentForNthValue("argument of nth_value must be greater than zero")
        place = place - 1 if valid is None else np.where(valid, place - 1, -1)
    return _taken(rows.array(call.args[0]), windows.nth_row(ranges, place))
