"""Scan: reads the task's splits of a table, drops rows early, gives out the columns that are wanted.

Dynamic filters that a join elsewhere will publish are awaited for a while: then whole row groups are skipped by the
connector, and rows before their other columns are touched. Where filters keep nothing of whole pieces of splits (row
groups), the columns they need are read first and the others only if a row survived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import Connector, Predicate, Split, SupportsPieces, SupportsSessions
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.evaluator import EvaluationContext, compile_predicate
from shoal.exec.kernels import views
from shoal.exec.kernels.membership import KeySet
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import columns_of

FILTER_WAIT_S = 10.0
"""How long to wait for dynamic filters; the build sides they come from are being read meanwhile."""
_TRIAL_ROWS, _TRIAL_PIECES = 100_000, 4
_USELESS_SHARE = 0.9


class Scan(Operator):
    node: nodes.Scan

    def batches(self) -> Output:
        node = self.node
        self._names = [column.source for column in node.columns]
        where = {column.field.id: position for position, column in enumerate(node.columns)}
        self._tests: list[_Test] = []
        if node.predicate is not None:
            self._tests.append(_PredicateTest(compile_predicate(node.predicate, where), streams.evaluation(self.context),
                                              [where[i] for i in columns_of(node.predicate) if i in where]))
        self._awaited = {use.filter_id: where[use.column.id] for use in node.dynamic_filters}
        self._output = [where[field.id] for field in node.output]
        self._attempts = self._skipped = 0
        deadline = time.monotonic() + FILTER_WAIT_S
        while self._awaiting() and time.monotonic() < deadline:
            yield BLOCKED
        connector = self.context.connector(node.handle.catalog)
        splits = self.context.splits(node.scan_id)
        self.metrics.details["splits"] = len(splits)
        if connector.waits:
            reads: Output = self.context.read_ahead(self._whole(connector, splits))
            for batch in reads:
                if not isinstance(batch, Batch):
                    yield BLOCKED
                else:
                    yield from self._given(batch)
            return
        for split in splits:
            left = node.limit
            for batch in self._split(connector, split):
                yield batch
                left = None if left is None else left - batch.rows
                if left is not None and left <= 0:
                    break
                if self.context.turn_over():
                    yield BLOCKED

    # --- dynamic filters

    def _awaiting(self) -> bool:
        """Takes up the filters that have come; whether some still may."""
        for filter_id in list(self._awaited):
            keys = self.context.filter(filter_id)
            if keys is not None:
                self._tests.append(_KeyTest(keys, self._awaited.pop(filter_id), self._count))
        return any(self.context.expects_filter(filter_id) for filter_id in self._awaited)

    def _count(self, name: str, amount: int) -> None:
        self.metrics.details[name] = self.metrics.details.get(name, 0) + amount

    def _predicates(self) -> Sequence[Predicate]:
        """What a connector may prune by now."""
        found = list(self.node.pruning)
        for test in self._tests:
            if isinstance(test, _KeyTest):
                found.extend(test.predicates(self._names[test.position]))
        return found

    # --- reading

    def _read(self, connector: Connector, split: Split, positions: Sequence[int],
              pruned_by: Callable[[], Sequence[Predicate]]) -> Iterator[Batch]:
        names = [self._names[p] for p in positions]
        rows = self.context.settings.batch_rows
        if isinstance(connector, SupportsSessions):
            batches = connector.read_as(self.context.settings.session, self.node.handle, names, rows)
        else:
            batches = connector.read(self.node.handle, split, names, rows, pruned_by)
        for batch in batches:
            yield Batch([Column(array) for array in batch.columns], batch.num_rows)

    def _whole(self, connector: Connector, splits: Sequence[Split]) -> Iterator[Batch]:
        """All columns of all splits. May run in another thread."""
        for split in splits:
            yield from self._read(connector, split, range(len(self._names)), self._predicates)

    def _split(self, connector: Connector, split: Split) -> Iterator[Batch]:
        """The split's rows that pass all tests, in output columns."""
        self._awaiting()
        pieces = None
        if isinstance(connector, SupportsPieces) and self._in_two_goes() is not None:
            pieces = connector.pieces(self.node.handle, split, self._predicates)
        if pieces is None:
            for batch in self._read(connector, split, range(len(self._names)), self._predicates):
                yield from self._given(batch)
            return
        for piece in pieces:
            self._awaiting()
            yield from self._piece(connector, piece)

    def _in_two_goes(self) -> tuple[list[int], list[int]] | None:
        """(the columns that the tests need, the others), if reading the latter only where rows are left pays."""
        first = sorted({position for test in self._tests for position in test.positions})
        rest = [p for p in range(len(self._names)) if p not in first]
        pays = self._attempts < _TRIAL_PIECES or 4 * self._skipped >= self._attempts
        return (first, rest) if first and rest and pays and self.node.limit is None else None

    def _piece(self, connector: Connector, piece: Split) -> Iterator[Batch]:
        goes = self._in_two_goes()
        if goes is None:
            for batch in self._read(connector, piece, range(len(self._names)), _nothing_known):
                yield from self._given(batch)
            return
        first, rest = goes
        place = {position: place for place, position in enumerate(first)}
        heads: list[tuple[int, Batch]] = []  # rows read, and of those kept: all columns or row numbers for them, row numbers
        for head in self._read(connector, piece, first, _nothing_known):
            numbers = Column(views.array_of(np.arange(head.rows), pa.int64()))
            wide = [head.columns[place[p]] if p in place else numbers for p in range(len(self._names))]
            heads.append((head.rows, self._tested(Batch([*wide, numbers], head.rows), self._tests)))
        self._attempts += 1
        if not any(kept.rows for _, kept in heads):
            self._skipped += 1
            self._count("pieces_skipped", 1)
            return
        for (rows, kept), tail in zip(heads, self._read(connector, piece, rest, _nothing_known), strict=True):
            if kept.rows:
                if kept.rows < rows:
                    tail = tail.take(Selection(views.values(kept.array(-1))))
                others = dict(zip(rest, tail.columns, strict=True))
                yield Batch([others.get(p) or kept.columns[p] for p in self._output], kept.rows)

    def _tested(self, batch: Batch, tests: list[_Test]) -> Batch:
        """The rows that pass all tests, the most selective first."""
        for test in sorted(tests, key=lambda test: test.share):
            if batch.rows and not test.useless:
                batch = batch.filter(test.mask(batch))
        return batch

    def _given(self, batch: Batch) -> Iterator[Batch]:
        """The rows that pass all tests, with their output columns."""
        if self._awaited:
            self._awaiting()
        batch = self._tested(batch, self._tests)
        if batch.rows:
            yield batch.select(self._output)


def _nothing_known() -> Sequence[Predicate]:
    return ()


class _Test:
    """Something that drops rows, with what share of them it kept so far."""

    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = list(positions)
        self._rows = self._kept = 0

    @property
    def share(self) -> float:
        return self._kept / self._rows if self._rows else 0.5

    useless = False

    def mask(self, batch: Batch) -> np.ndarray:
        mask = self._evaluate(batch)
        kept = int(np.count_nonzero(mask))
        self._rows += batch.rows
        self._kept += kept
        return mask

    def _evaluate(self, batch: Batch) -> np.ndarray:
        raise NotImplementedError


class _PredicateTest(_Test):
    def __init__(self, predicate: Callable[[Batch, EvaluationContext], np.ndarray], evaluation: EvaluationContext,
                 positions: Sequence[int]) -> None:
        super().__init__(positions)
        self._predicate, self._evaluation = predicate, evaluation

    def _evaluate(self, batch: Batch) -> np.ndarray:
        return self._predicate(batch, self._evaluation)


class _KeyTest(_Test):
    """A dynamic filter; given up where it keeps nearly all rows, since the join drops the others anyway."""

    def __init__(self, keys: KeySet, position: int, count: Callable[[str, int], None]) -> None:
        super().__init__([position])
        self.keys, self.position, self._count = keys, position, count
        self._predicates: tuple[Predicate, ...] | None = None

    def predicates(self, column: str) -> tuple[Predicate, ...]:
        """What is implied for the connector's column; asked for each row group."""
        if self._predicates is None:
            self._predicates = self.keys.predicates(column)
        return self._predicates

    @property
    def useless(self) -> bool:  # type: ignore[override]
        return self.keys.kind == "any" or (self._rows > _TRIAL_ROWS and self.share > _USELESS_SHARE)

    def _evaluate(self, batch: Batch) -> np.ndarray:
        mask = self.keys.contains(batch.array(self.position))
        self._count("dynamic_filter_rows", batch.rows - int(np.count_nonzero(mask)))
        return mask
