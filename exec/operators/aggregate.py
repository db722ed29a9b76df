"""Aggregate: groups by key columns, and the states of aggregate functions for each group.

    batch -> KeyTable.add(group columns) -> codes -> Accumulator.update(codes, arguments) ... -> finish

A partial step whose groups hardly repeat passes rows on as groups of one, or gives out its groups early; the final
step puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import storage_type
from shoal.exec.batch import BLOCKED, Batch, Column, Output
from shoal.exec.evaluator import EvaluationContext
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.aggregation import Accumulator, CountRows, SeenBefore
from shoal.exec.kernels.constants import scalar_of
from shoal.exec.kernels.exactsum import moved, resized
from shoal.exec.kernels.grouping import KeyTable
from shoal.exec.operators import streams
from shoal.exec.operators.accumulators import accumulator
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import AggregateCall, ColumnRef, Expr, Literal

_PASS_ON_SHARE = 0.75
"""Partial steps with more groups than this share of their rows give up grouping."""
_PARTIAL_BYTES = 1 << 28
_PASSES_ON = frozenset({"count", "sum", "sum0", "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or",
                        "any_value"})


class Aggregate(Operator):
    node: nodes.Aggregate

    def batches(self) -> Output:
        source = self.node.input
        where = streams.positions(source)
        keys = [where[field.id] for field in self.node.groups]
        states = self._states(where)
        batch_rows = self.context.settings.batch_rows
        table = self._table()
        rows = 0
        pass_on: Callable[[Batch], Batch] | None = None
        stream = streams.coalesced(self.inputs[0].batches(), streams.types(source), max(1, batch_rows // 8))
        for batch in stream:
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            if pass_on is not None:
                yield pass_on(batch)
                continue
            rows += batch.rows
            codes = table.add([batch.array(p) for p in keys], batch.rows)
            states.update(table, codes, batch)
            table.mark(codes)
            held = table.nbytes + states.nbytes
            self.context.reserve(self.metrics, held)
            if self.node.step == "partial" and keys and rows >= 2 * batch_rows:
                grown = table.count()
                if grown > _PASS_ON_SHARE * rows and states.passes_on:
                    pass_on = states.passing(keys)
                if pass_on is not None or held > _PARTIAL_BYTES:
                    yield from self._results(table, states)
                    table, rows = self._table(), 0
                    states = self._states(where)
        if rows == 0 and not keys:
            states = self._states(where, empty_groups=True)
        if pass_on is None and not (self.node.step == "partial" and rows == 0):
            yield from self._results(table, states)
        self.context.reserve(self.metrics, 0)

    def _states(self, where: Mapping[int, int], empty_groups: bool = False) -> States:
        calls = [call for _, call in self.node.aggregates]
        return States(calls, where, streams.evaluation(self.context), empty_groups)

    def _table(self) -> KeyTable | OneGroup:
        if not self.node.groups:
            return OneGroup()
        return KeyTable([field.type for field in self.node.groups], nulls_match=True)

    def _results(self, table: KeyTable | OneGroup, states: States) -> Output:
        codes = table.occupied()
        if not len(codes):
            return
        states.resize(table.size)
        held = table.nbytes + states.nbytes
        self.context.reserve(self.metrics, held + codes.nbytes * (1 + len(self.node.output)))
        whole = Batch.of(table.keys(codes) + states.finish(codes), len(codes))
        self.context.reserve(self.metrics, held + whole.nbytes())
        yield from streams.sliced(whole, self.context.settings.batch_rows)


class OneGroup:
    """Stands in for a KeyTable where there are no group columns: everything is code 0, also without rows."""

    size, nbytes, moved = 1, 0, None

    def __init__(self) -> None:
        self._rows = 0

    def add(self, arrays: Sequence[pa.Array], rows: int) -> np.ndarray:
        return np.zeros(rows, np.int64)

    def mark(self, codes: np.ndarray) -> None:
        self._rows += len(codes)

    def seen_before(self) -> np.ndarray:
        return np.array([self._rows > 0])

    def occupied(self) -> np.ndarray:
        return np.zeros(1, np.int64)

    def count(self) -> int:
        return 1

    def keys(self, codes: np.ndarray) -> list[pa.Array]:
        return []


class States:
    """The accumulators of one Aggregate node, equal calls sharing one, with how to find their columns in a batch."""

    def __init__(self, calls: Sequence[AggregateCall], where: Mapping[int, int], evaluation: EvaluationContext,
                 empty_groups: bool) -> None:
        self._calls = tuple(calls)
        self._where = where
        self._members: list[_Member] = []
        self._member_of: list[int] = []
        known: dict[AggregateCall, int] = {}
        rows: CountRows | None = None
        for call in calls:
            if call not in known:
                made: Accumulator
                if call.name == "count" and call.filter is None and not (call.distinct and call.args):
                    if rows is None:
                        rows = CountRows(False)
                    made = CountValues(rows) if call.args else rows
                else:
                    made = accumulator(call, evaluation, empty_groups)
                known[call] = len(self._members)
                self._members.append(_Member(made, [*call.args, *(key.column for key in call.order_by)],
                                             None if call.filter is None else self._where[call.filter.id]))
            self._member_of.append(known[call])
        if rows is not None and all(member.state is not rows for member in self._members):
            self._members.insert(0, _Member(rows, [], None))
            self._member_of = [i + 1 for i in self._member_of]

    @property
    def nbytes(self) -> int:
        return sum(member.state.nbytes for member in self._members)

    def resize(self, size: int) -> None:
        for member in self._members:
            member.state.resize(size)

    def update(self, table: KeyTable | OneGroup, codes: np.ndarray, batch: Batch) -> None:
        before: SeenBefore = table.seen_before
        size = table.size
        for member in self._members:
            if table.moved is not None:
                member.state.move(table.moved, size)
            member.state.resize(size)
            columns = [self._column(arg, batch) for arg in member.columns]
            if member.filter is None:
                member.state.update(codes, columns, before)
                continue
            rows = np.flatnonzero(chosen(batch.array(member.filter)))
            taken = pa.array(rows)
            member.state.update(codes.take(rows), [column.take(taken) for column in columns], before)

    def _column(self, arg: Expr, batch: Batch) -> pa.Array:
        if isinstance(arg, ColumnRef):
            return batch.array(self._where[arg.id])
        assert isinstance(arg, Literal)
        return nulls.spread(scalar_of(arg.value, arg.type), batch.rows)

    def finish(self, codes: np.ndarray) -> list[pa.Array]:
        found = [member.state.finish(codes) for member in self._members]
        return [found[i] for i in self._member_of]

    @property
    def passes_on(self) -> bool:
        """Whether a single row can be turned into its group's partial result directly."""
        return all(call.name in _PASSES_ON and not call.distinct for call in self._calls)

    def passing(self, keys: Sequence[int]) -> Callable[[Batch], Batch]:
        """The function that does so for batches."""
        def pass_on(batch: Batch) -> Batch:
            arrays = [Column(self._single(call, batch)) for call in self._calls]
            return Batch([*(batch.columns[p] for p in keys), *arrays], batch.rows)
        return pass_on

    def _single(self, call: AggregateCall, batch: Batch) -> pa.Array:
        array = self._column(call.args[0], batch) if call.args else None
        counts = None if call.filter is None else chosen(batch.array(self._where[call.filter.id]))
        if call.name == "count":
            ones = np.ones(batch.rows, np.int64)
            for mask in (counts, None if array is None else nulls.validity(array)):
                ones = ones if mask is None else ones * mask
            return views.array_of(ones, pa.int64())
        assert array is not None
        if call.name in ("sum", "sum0") and call.type.name in ("int8", "float8"):
            array = array.cast(storage_type(call.type))
        array = nulls.with_validity(array, counts)
        return array.fill_null(0) if call.name == "sum0" else array


class _Member:
    __slots__ = ("columns", "filter", "state")

    def __init__(self, state: Accumulator, columns: Sequence[Expr], filter_position: int | None) -> None:
        self.state, self.columns, self.filter = state, list(columns), filter_position


class CountValues(Accumulator):
    """count(x) as the group's rows (counted once for all calls) less those where x is NULL."""

    def __init__(self, rows: CountRows) -> None:
        self._rows, self._nulls = rows, np.zeros(0, np.int64)
        self._size = 0

    def resize(self, size: int) -> None:
        self._size = size

    def move(self, where: np.ndarray, size: int) -> None:
        if len(self._nulls):
            self._nulls = moved(self._nulls, where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        valid = nulls.validity(columns[0])
        if valid is not None:
            self._nulls = resized(self._nulls, self._size)
            np.add.at(self._nulls, codes.take(np.flatnonzero(~valid)), 1)

    def finish(self, codes: np.ndarray) -> pa.Array:
        counted = self._rows.finish(codes)
        if not len(self._nulls):
            return counted
        return views.array_of(views.values(counted) - resized(self._nulls, self._size).take(codes), pa.int64())

    @property
    def nbytes(self) -> int:
        return self._nulls.nbytes


def chosen(array: pa.Array) -> np.ndarray:
    """A boolean column as a mask: NULL is not chosen."""
    valid = nulls.validity(array)
    return views.values(array) if valid is None else views.values(array) & valid

