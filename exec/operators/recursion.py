"""Recursion: WITH RECURSIVE, turn by turn; and what its turns read: WorkingTable and Materialize.

    inputs[0] -> new rows -> out          each turn: the working table holds the rows that were new last;
                   |   ^                  inputs[1] is run again over them and what it gives, less the rows
                   v   |                  seen before (UNION), is new
               working table -> inputs[1]

The operators of inputs[1] are built once and run once a turn. What does not depend on the working table is read in
the first turn and held by Materialize; a join whose build side it is keeps its table, too.

Spec: PostgreSQL 15 documentation, 7.8.2.1 "Recursive Query Evaluation".
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.exec.batch import BLOCKED, Batch, Output, Selection
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.kernels.grouping import KeyTable
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator, TaskContext
from shoal.exec.plan import nodes
from shoal.exec.plan.nodes import PlanNode, free_tables


class Recursion(Operator):
    node: nodes.Recursion

    def __init__(self, context: TaskContext, node: PlanNode, inputs: Sequence[Operator]) -> None:
        super().__init__(context, node, inputs)
        self._tables: list[WorkingTable] = []
        self._renewed: list[Materialize] = []
        self._find(inputs[1])

    def _find(self, operator: Operator) -> None:
        """Notes the readers of the working table, and what is held for one run of this recursion only."""
        core = operator.core
        if isinstance(core, WorkingTable) and core.node.number == self.node.number:
            self._tables.append(core)
        elif isinstance(core, Materialize) and free_tables(core.node):
            self._renewed.append(core)
        for child in operator.inputs:
            self._find(child)

    def batches(self) -> Output:
        for held in self._renewed:
            held.forget()
        seen = _Seen(self.node) if self.node.distinct else None
        turn, turns = self.inputs[0], 0
        types = streams.types(self.node)
        working_bytes = 0
        while True:
            where = streams.positions(self.node.inputs[min(turns, 1)])
            columns = [where[i] for i in self.node.columns[min(turns, 1)]]
            fresh: list[Batch] = []
            fresh_bytes = 0
            for batch in turn.batches():
                if not isinstance(batch, Batch):
                    yield BLOCKED
                    continue
                batch = batch.select(columns)
                if seen is not None and batch.rows:
                    batch = seen.unseen(batch)
                if batch.rows:
                    batch = Batch.of(batch.arrays(), batch.rows)  # not a selection of a selection of the turn before
                    fresh.append(batch)
                    fresh_bytes += batch.nbytes()
                    self.context.reserve(self.metrics, working_bytes + fresh_bytes + (0 if seen is None else seen.nbytes))
                    yield batch
                if self.context.turn_over():
                    yield BLOCKED
            if not fresh:
                break
            if sum(batch.rows for batch in fresh) <= self.context.settings.batch_rows:
                fresh = [concatenated_batches(fresh, types)]
            working_bytes = fresh_bytes
            for table in self._tables:
                table.rows = fresh
            turn, turns = self.inputs[1], turns + 1
            self.metrics.details["turns"] = turns
        for table in self._tables:
            table.rows = []
        self.context.reserve(self.metrics, 0)


class WorkingTable(Operator):
    """The rows that were new last; the Recursion sets them."""

    node: nodes.WorkingTable
    rows: Sequence[Batch] = ()

    def batches(self) -> Output:
        yield from self.rows

    def close(self) -> None:
        self.rows = ()


class Materialize(Operator):
    """The input's rows, read in the first run and given again in all others."""

    node: nodes.Materialize
    _held: list[Batch] | None = None

    @property
    def steady(self) -> object | None:
        return self._held

    def batches(self) -> Output:
        if self._held is None:
            held: list[Batch] = []
            held_bytes = 0
            for batch in self.inputs[0].batches():
                if not isinstance(batch, Batch):
                    yield BLOCKED
                elif batch.rows:
                    held.append(Batch.of(batch.arrays(), batch.rows))
                    held_bytes += held[-1].nbytes()
                    self.context.reserve(self.metrics, held_bytes)
            self._held = held
        yield from self._held

    def forget(self) -> None:
        """The input is to be read again."""
        self._held = None

    def close(self) -> None:
        self.forget()


class _Seen:
    """All rows of a UNION so far."""

    def __init__(self, node: nodes.Recursion) -> None:
        self._table = KeyTable(streams.types(node), nulls_match=True) if node.fields else None
        self._any = False

    @property
    def nbytes(self) -> int:
        return 0 if self._table is None else self._table.nbytes

    def unseen(self, batch: Batch) -> Batch:
        """The first of each of the batch's rows that were not there before."""
        if self._table is None:
            first, self._any = not self._any, True
            return batch.slice(0, 1 if first else 0)
        codes = self._table.add(batch.arrays(), batch.rows)
        rows = self._table.first_rows(codes)
        self._table.mark(codes)
        return batch if len(rows) == batch.rows else batch.take(Selection(rows))
