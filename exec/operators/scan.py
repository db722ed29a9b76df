"""Scan: reads the task's splits of a table, drops rows early, gives out the columns that are wanted.

Dynamic filters that a join elsewhere will publish are awaited for a while: then whole row groups are skipped by the
connector, and rows before their other columns are touched. Where filters keep nothing of whole splits, the columns
they need are read first and the others only if a row survived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from shoal.catalog.connector import Connector, Predicate, Split
from shoal.exec.batch import BLOCKED, Batch, Column, Output
from shoal.exec.evaluator import EvaluationContext, compile_predicate
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.kernels.membership import KeySet
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import columns_of

FILTER_WAIT_S = 10.0
"""How long to wait for dynamic filters; the build sides they come from are being read meanwhile."""
_TRIAL_ROWS = 100_000
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
                for given in self._given(batch):
                    yield given
                    left = None if left is None else left - given.rows
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
                self._tests.append(_KeyTest(keys, self._awaited.pop(filter_id), self._count_dropped))
        return any(self.context.expects_filter(filter_id) for filter_id in self._awaited)

    def _count_dropped(self, rows: int) -> None:
        details = self.metrics.details
        details["dynamic_filter_rows"] = details.get("dynamic_filter_rows", 0) + rows

    def _predicates(self) -> Sequence[Predicate]:
        """What a connector may prune by now."""
        found = list(self.node.pruning)
        for test in self._tests:
            if isinstance(test, _KeyTest):
                found.extend(test.keys.predicates(self._names[test.position]))
        return found

    # --- reading

    def _read(self, connector: Connector, split: Split, positions: Sequence[int],
              pruned_by: Callable[[], Sequence[Predicate]]) -> Iterator[Batch]:
        names = [self._names[p] for p in positions]
        rows = self.context.settings.batch_rows
        for batch in connector.read(self.node.handle, split, names, rows, pruned_by):
            yield Batch([Column(array) for array in batch.columns], batch.num_rows)

    def _whole(self, connector: Connector, splits: Sequence[Split]) -> Iterator[Batch]:
        """All columns of all splits. May run in another thread."""
        for split in splits:
            yield from self._read(connector, split, range(len(self._names)), self._predicates)

    def _split(self, connector: Connector, split: Split) -> Iterator[Batch]:
        self._awaiting()
        first = sorted({position for test in self._tests for position in test.positions})
        rest = [p for p in range(len(self._names)) if p not in first]
        worthwhile = self._attempts < 2 or 4 * self._skipped >= self._attempts
        if not first or not rest or not worthwhile or self.node.limit is not None:
            yield from self._read(connector, split, range(len(self._names)), self._predicates)
            return
        predicates = self._predicates()
        tested = list(self._read(connector, split, first, lambda: predicates))
        self._attempts += 1
        order = [first.index(p) if p in first else -1 for p in range(len(self._names))]
        survivors = False
        for batch in tested:
            seen: Batch = _widened(batch, order)
            for test in self._tests:
                mask = test.mask(seen)
                if not mask.any():
                    break
                seen = seen.filter(mask)
            else:
                survivors = survivors or seen.rows > 0
            if survivors:
                break
        if not survivors:
            self._skipped += 1
            details = self.metrics.details
            details["splits_skipped"] = details.get("splits_skipped", 0) + 1
            return
        others = list(self._read(connector, split, rest, lambda: predicates))
        if [batch.rows for batch in tested] != [batch.rows for batch in others]:
            types = [column.field.type for column in self.node.columns]
            tested = [concatenated_batches(tested, [types[p] for p in first])]
            others = [concatenated_batches(others, [types[p] for p in rest])]
        for head, tail in zip(tested, others, strict=True):
            columns = dict(zip(first, head.columns, strict=True)) | dict(zip(rest, tail.columns, strict=True))
            yield from Batch([columns[p] for p in range(len(self._names))], head.rows).split(
                4 * self.context.settings.batch_rows)

    def _given(self, batch: Batch) -> Iterator[Batch]:
        """The rows that pass all tests, the most selective first; their output columns."""
        if self._awaited:
            self._awaiting()
        self._tests = sorted(self._tests, key=lambda test: test.share)
        for test in self._tests:
            if batch.rows == 0:
                return
            if not test.useless:
                batch = batch.filter(test.mask(batch))
        if batch.rows:
            yield batch.select(self._output)


def _widened(batch: Batch, order: Sequence[int]) -> Batch:
    """The batch with its columns where the scan's columns are; missing ones are never asked for."""
    return Batch([batch.columns[i] if i >= 0 else batch.columns[0] for i in order], batch.rows)


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

    def __init__(self, keys: KeySet, position: int, dropped: Callable[[int], None]) -> None:
        super().__init__([position])
        self.keys, self.position, self._dropped = keys, position, dropped

    @property
    def useless(self) -> bool:  # type: ignore[override]
        return self.keys.kind == "any" or (self._rows > _TRIAL_ROWS and self.share > _USELESS_SHARE)

    def _evaluate(self, batch: Batch) -> np.ndarray:
        mask = self.keys.contains(batch.array(self.position))
        self._dropped(batch.rows - int(np.count_nonzero(mask)))
        return mask
