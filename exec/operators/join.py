"""Join: one side is held in memory, the other streams by.

        Join                    build side: all rows in one Batch, its keys in KeyPairs (or AllPairs without keys)
       /    \\                   probe side: for each batch, pairs (probe row, build row) -> residual condition -> rows
    probe   build

Nothing is copied for a match: a result batch is selections over the probe batch's and the build side's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from shoal.catalog.types import storage_type
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.evaluator import compile_predicate
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.kernels.joining import AllPairs, KeyPairs
from shoal.exec.kernels.membership import KeySet
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class Join(Operator):
    node: nodes.Join
    _built_of: object | None = None
    """What the held build side was read from, if that gives the same rows in the next run."""

    def batches(self) -> Output:
        node = self.node
        self._build_left = node.build == "left" and not node.null_aware
        build_input, probe_input = (self.inputs[0], self.inputs[1]) if self._build_left else (self.inputs[1], self.inputs[0])
        self._build_node, self._probe_node = (node.left, node.right) if self._build_left else (node.right, node.left)
        if self._built_of is None or self._built_of is not build_input.steady:
            yield from self._hold(build_input)
        if self._build.rows == 0 and not self._keeps_probe:
            return
        self._matched = np.zeros(self._build.rows, np.bool_) if self._keeps_build else None
        table = self._pairs_table
        self.context.reserve(self.metrics, self._build.nbytes() + table.nbytes)
        batch_rows = self.context.settings.batch_rows
        stream = streams.coalesced(probe_input.batches(), streams.types(self._probe_node), max(1, batch_rows // 16))
        for batch in stream:
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            for result in self._probe(batch, table):
                if result.rows:
                    yield result
                if self.context.turn_over():
                    yield BLOCKED
        yield from self._build_rows()
        if self._built_of is None:
            self.context.reserve(self.metrics, 0)

    def _hold(self, source: Operator) -> Output:
        """Reads the build side, whole. It stays for the next run if it is the same then."""
        held: list[Batch] = []
        held_bytes = 0
        for batch in source.batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                held.append(batch)
                held_bytes += batch.nbytes()
                self.context.reserve(self.metrics, held_bytes)
        self._build = concatenated_batches(held, streams.types(self._build_node)) if held else _empty(self._build_node)
        self._built_of = source.steady
        for derived in ("_pairs_table", "_null_aware_tables"):
            self.__dict__.pop(derived, None)
        self._publish()

    # --- which rows outlive the match

    @cached_property
    def _keeps_probe(self) -> bool:
        """Probe rows without a match are given out."""
        kind = self.node.kind
        if kind in ("anti", "mark"):
            return not self._build_left
        return kind == "full" or kind == ("right" if self._build_left else "left")

    @cached_property
    def _keeps_build(self) -> bool:
        """Which build rows matched decides what comes at the end."""
        kind = self.node.kind
        if kind in ("semi", "anti", "mark"):
            return self._build_left
        return kind == "full" or kind == ("left" if self._build_left else "right")

    @cached_property
    def _tests(self) -> bool:
        """Probe rows are only kept, dropped or marked."""
        return self.node.kind in ("semi", "anti", "mark") and not self._build_left

    # --- the build side

    @cached_property
    def _key_positions(self) -> tuple[list[int], list[int]]:
        """Positions of the keys in probe and build batches."""
        probe, build = streams.positions(self._probe_node), streams.positions(self._build_node)
        if self._build_left:
            return [probe[right.id] for _, right in self.node.keys], [build[left.id] for left, _ in self.node.keys]
        return [probe[left.id] for left, _ in self.node.keys], [build[right.id] for _, right in self.node.keys]

    def _table(self, keys: Sequence[int] | None = None, rows: np.ndarray | None = None,
               existence: bool | None = None) -> KeyPairs | AllPairs:
        """The build rows (`rows` of them) by the keys with these indexes (None: all keys)."""
        chosen = range(len(self.node.keys)) if keys is None else keys
        if not chosen:
            return AllPairs(np.arange(self._build.rows) if rows is None else rows)
        positions = [self._key_positions[1][i] for i in chosen]
        if existence is None:
            existence = self._tests and self._condition is None
        return KeyPairs([self._build.array(p) for p in positions], [self._build_node.output[p].type for p in positions],
                        rows, existence)

    @cached_property
    def _pairs_table(self) -> KeyPairs | AllPairs:
        return self._table()

    def _publish(self) -> None:
        for filter_id, key in self.node.dynamic_filters:
            position = self._key_positions[1][key]
            keys = KeySet.of(self._build.array(position), self._build_node.output[position].type)
            self.context.publish_filter(filter_id, keys)

    # --- pairs

    @cached_property
    def _condition(self) -> Callable[[Batch], np.ndarray] | None:
        """The residual condition over [probe columns, build columns]."""
        if self.node.condition is None:
            return None
        fields = (*self._probe_node.output, *self._build_node.output)
        predicate = compile_predicate(self.node.condition, {field.id: i for i, field in enumerate(fields)})
        evaluation = streams.evaluation(self.context)
        return lambda batch: predicate(batch, evaluation)

    def _pairs(self, batch: Batch, table: KeyPairs | AllPairs, keys: Sequence[int]
               ) -> Iterator[tuple[np.ndarray | None, np.ndarray]]:
        """Pairs that also meet the condition."""
        condition = self._condition
        columns = [batch.array(p) for p in keys]
        for probe, build in table.pairs(columns, batch.rows, 2 * self.context.settings.batch_rows):
            if condition is not None:
                mask = condition(self._joined(batch, probe, build))
                kept = np.flatnonzero(mask)
                if len(kept) < len(mask):
                    probe, build = kept if probe is None else probe.take(kept), build.take(kept)
            yield probe, build

    def _joined(self, batch: Batch, probe: np.ndarray | None, build: np.ndarray, nullable: bool = False) -> Batch:
        """[probe columns, build columns] of the pairs."""
        left = batch if probe is None else batch.take(Selection(probe))
        selection = Selection(build, nullable)
        return Batch([*left.columns, *(column.take(selection) for column in self._build.columns)], len(build))

    def _ordered(self, joined: Batch) -> Batch:
        """The columns in the node's order: left's first."""
        if not self._build_left:
            return joined
        split = len(self._probe_node.output)
        return Batch([*joined.columns[split:], *joined.columns[:split]], joined.rows)

    def _probe(self, batch: Batch, table: KeyPairs | AllPairs) -> Iterator[Batch]:
        keys = self._key_positions[0]
        if self._tests:
            yield self._tested(batch, self._matches(batch, table, keys))
            return
        if self._keeps_probe and self._matched is None and isinstance(table, KeyPairs) and table.unique \
                and self._condition is None:
            found = table.only_match([batch.array(p) for p in keys])
            yield self._ordered(self._joined(batch, None, found.astype(np.int64), nullable=True))
            return
        seen = np.zeros(batch.rows, np.bool_) if self._keeps_probe else None
        gives_pairs = self.node.kind not in ("semi", "anti", "mark")
        for probe, build in self._pairs(batch, table, keys):
            if self._matched is not None:
                self._matched[build] = True
            if seen is not None:
                seen[slice(None) if probe is None else probe] = True
            if gives_pairs:
                yield self._ordered(self._joined(batch, probe, build))
            else:
                yield Batch([], 0)  # lets the caller look at the clock
        if seen is not None and not seen.all():
            alone = np.flatnonzero(~seen)
            yield self._ordered(self._joined(batch, alone, np.full(len(alone), -1), nullable=True))

    def _matches(self, batch: Batch, table: KeyPairs | AllPairs, keys: Sequence[int]) -> np.ndarray:
        """Mask of the probe rows with a match."""
        if self._condition is None:
            if isinstance(table, AllPairs):
                return table.exists([], batch.rows)
            return table.exists([batch.array(p) for p in keys])
        seen = np.zeros(batch.rows, np.bool_)
        for probe, _ in self._pairs(batch, table, keys):
            seen[slice(None) if probe is None else probe] = True
        return seen

    # --- semi, anti, mark

    def _tested(self, batch: Batch, matched: np.ndarray) -> Batch:
        if self.node.kind == "semi":
            return batch.filter(matched)
        unknown = self._unknown(batch, matched) if self.node.null_aware else None
        if self.node.kind == "anti":
            return batch.filter(~matched if unknown is None else ~(matched | unknown))
        valid = None if unknown is None or not unknown.any() else ~unknown
        return Batch([*batch.columns, Column(views.array_of(matched, pa.bool_(), valid))], batch.rows)

    @cached_property
    def _null_aware_tables(self) -> tuple[KeyPairs | AllPairs, KeyPairs | AllPairs]:
        """All build rows, and those whose IN key is NULL, by the correlating keys."""
        others = range(len(self.node.keys) - 1)
        existence = self._condition is None
        valid = nulls.validity(self._build.array(self._key_positions[1][-1]))
        missing = np.zeros(0, np.int64) if valid is None else np.flatnonzero(~valid)
        return self._table(others, None, existence), self._table(others, missing, existence)

    def _unknown(self, batch: Batch, matched: np.ndarray) -> np.ndarray:
        """Rows without a match of which a NULL on either side leaves open whether they match."""
        everything, with_null = self._null_aware_tables
        *others, last = self._key_positions[0]
        valid = nulls.validity(batch.array(last))
        unknown = np.zeros(batch.rows, np.bool_)
        is_null = np.zeros(batch.rows, np.bool_) if valid is None else ~valid
        for table, rows in ((everything, np.flatnonzero(is_null)), (with_null, np.flatnonzero(~is_null & ~matched))):
            if len(rows):
                unknown[rows] = self._matches(batch.take(Selection(rows)), table, others)
        return unknown

    # --- what is left of the build side

    def _build_rows(self) -> Iterator[Batch]:
        if self._matched is None:
            return
        kind, batch_rows = self.node.kind, self.context.settings.batch_rows
        if kind == "mark":
            whole = Batch([*self._build.columns, Column(views.array_of(self._matched, pa.bool_()))], self._build.rows)
            yield from streams.sliced(whole, batch_rows)
            return
        rows = np.flatnonzero(self._matched if kind == "semi" else ~self._matched)
        for start in range(0, len(rows), 4 * batch_rows):
            selection = Selection(rows[start:start + 4 * batch_rows])
            columns = [column.take(selection) for column in self._build.columns]
            if kind not in ("semi", "anti"):
                nothing = Selection(np.full(len(selection.indices), -1), nullable=True)
                empty = [Column(array, nothing) for array in _empty(self._probe_node).arrays()]
                columns = columns + empty if self._build_left else empty + columns
            yield Batch(columns, len(selection.indices))


def _empty(node: nodes.PlanNode) -> Batch:
    return Batch.of([pa.array([], storage_type(field.type)) for field in node.output], 0)
