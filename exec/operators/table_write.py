"""TableWrite: rows into a table of a writable connector, all or nothing; gives their count or RETURNING's rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import ConflictWriter, SupportsDefinitions, SupportsWrite, Text, Writer
from shoal.catalog.errors import CardinalityViolation, FeatureNotSupported
from shoal.catalog.session_catalogs import written_by
from shoal.exec.batch import BLOCKED, Batch, Output, Selection
from shoal.exec.evaluator import compile_expressions, compile_predicate
from shoal.exec.kernels import views
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.row_checks import RowChecks, text_with


class TableWrite(Operator):
    """Raises: FeatureNotSupported (0A000) where the catalog cannot write, the constraints' errors (23502, 23514), and
    whatever the connector refuses."""

    node: nodes.TableWrite
    _writers: tuple[Writer, ...] = ()

    def batches(self) -> Output:
        node = self.node
        token = str(self.context.settings.session.get("token", ""))
        connector = written_by(self.context.connector(node.handle.catalog), token)
        if not isinstance(connector, SupportsWrite):
            raise FeatureNotSupported(f'catalog "{node.handle.catalog}" cannot be written to')
        text = text_with(self.context.settings, self.context.names)
        if node.mode == "merge":
            yield from self._merge(connector, text)
            return
        if node.mode == "refill":
            assert isinstance(connector, SupportsDefinitions)
            writer = connector.refill(node.handle, text)
        else:
            writer = {"insert": connector.insert, "delete": connector.delete, "update": connector.update}[node.mode](
                node.handle, text)
        self._writers = (writer,)
        writer.after_others = node.after_others
        where = self._places()
        written = [where[column.id] for column in node.columns]
        names = [column.name or f"column{i + 1}" for i, column in enumerate(node.columns)]
        shown = [(where[c.id], c.type) for c in node.columns][node.mode == "update":]
        checks = RowChecks(node.handle, node.checks, where, shown, text, node.view_checks)
        returned = [where[column.id] for _, column in node.returning]
        kept: list[Batch] = []
        rows = held_bytes = 0
        for batch in self._held() if node.conflict is not None else self._extended():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            if node.conflict is not None:
                batch = self._without_conflicts(batch, writer, connector, checks, written, names, kept, returned)
                rows += self._updated
            elif node.after_others and node.mode in ("update", "delete"):
                batch = _still_there(batch, writer, written[0])
            if batch.rows:
                checks.append(writer, batch, written, names, streams.evaluation(self.context))
                rows += batch.rows
                if returned:
                    kept.append(batch.select(returned))
                    held_bytes += kept[-1].nbytes()
                    self.context.reserve(self.metrics, held_bytes)
        writers, self._writers = self._writers, ()
        for writer in reversed(writers):  # changed rows first, then those that are new
            writer.commit()
        if node.returning:
            yield from kept
        else:
            yield Batch.of([views.array_of(np.array([rows]), pa.int64())])

    def _places(self) -> dict[int, int]:
        """Where the input's columns are in a batch, and after them those that are computed here."""
        where = dict(streams.positions(self.node.input))
        for field, _ in self.node.computed:
            where[field.id] = len(where)
        self._computed = [compile_expressions([expr], where) for _, expr in self.node.computed]
        return where

    def _merge(self, connector: SupportsWrite, text: Text) -> Output:
        """MERGE: each row goes to the writer of what is to be done with it. Raises: CardinalityViolation (21000)."""
        node = self.node
        where = self._places()
        action, *written = [where[column.id] for column in node.columns]
        names = [SupportsWrite.ROW_ID, *(column.name for column in node.columns[2:])]
        shown = [(where[c.id], c.type) for c in node.columns[2:]]
        checks = RowChecks(node.handle, node.checks, where, shown, text)
        writers = {kind: getattr(connector, kind)(node.handle, text) for kind in ("delete", "update", "insert")}
        self._writers = tuple(writers.values())
        for writer in self._writers:
            writer.after_others = node.after_others
        taken: list[np.ndarray] = []
        rows = 0
        for batch in self._extended():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            actions = views.values(batch.array(action))
            for kind, writer in writers.items():
                chosen = np.flatnonzero(actions == nodes.MERGE_ACTIONS.index(kind))
                if not len(chosen):
                    continue
                part = batch.take(Selection(chosen))
                part = part if kind == "insert" or not node.after_others else _still_there(part, writer, written[0])
                rows += part.rows
                if kind == "insert":
                    checks.append(writer, part, written[1:], names[1:], streams.evaluation(self.context))
                    continue
                taken.append(views.values(part.array(written[0])))
                if kind == "update":
                    checks.append(writer, part, written, names, streams.evaluation(self.context))
                else:
                    writer.append(pa.RecordBatch.from_arrays([part.array(written[0])], names=names[:1]))
        ids = np.concatenate(taken) if taken else np.zeros(0, np.int64)
        if len(np.unique(ids)) < len(ids):
            raise CardinalityViolation("MERGE command cannot affect row a second time", hint=(
                "Ensure that not more than one source row matches any one target row."))
        self._writers = ()
        for writer in writers.values():
            writer.commit()
        yield Batch.of([views.array_of(np.array([rows]), pa.int64())])

    def _extended(self) -> Iterator[object]:
        """The input's batches that have rows, with the computed columns."""
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield batch
            elif batch.rows:
                yield self._with_computed(batch)

    def _held(self) -> Iterator[object]:
        """All input as one batch: rows that conflict with each other must be seen together."""
        held: list[Batch] = []
        for batch in self._extended():
            if isinstance(batch, Batch):
                held.append(batch)
                self.context.reserve(self.metrics, sum(b.nbytes() for b in held))
            else:
                yield batch
        if held:
            types = [*streams.types(self.node.input), *(field.type for field, _ in self.node.computed)]
            yield concatenated_batches(held, types) if len(held) > 1 else held[0]

    def _with_computed(self, batch: Batch) -> Batch:
        for run in self._computed:  # one may read those before it
            made = run(batch, streams.evaluation(self.context))
            batch = Batch.of([*(batch.array(i) for i in range(len(batch.columns))), *made])
        return batch

    def _without_conflicts(self, batch: Batch, writer: Writer, connector: SupportsWrite, checks: RowChecks,
                           written: list[int], names: list[str], kept: list[Batch], returned: list[int]) -> Batch:
        """The rows of `batch` that are new; what others lead to is written."""
        conflict = self.node.conflict
        assert conflict is not None and isinstance(writer, ConflictWriter)
        self._updated = 0
        arrays = pa.RecordBatch.from_arrays([batch.array(p) for p in written], names=names)
        numbers = np.full(batch.rows, -1, np.int64)
        repeated = np.zeros(batch.rows, np.bool_)
        for key in conflict.keys:
            found, again = writer.conflicts(arrays, key)
            numbers = np.where(numbers < 0, found, numbers)
            repeated |= again
        fresh = (numbers < 0) & ~repeated
        if conflict.assignments:
            if repeated.any() or len(np.unique(numbers[numbers >= 0])) < np.count_nonzero(numbers >= 0):
                raise CardinalityViolation("ON CONFLICT DO UPDATE command cannot affect row a second time", hint=(
                    "Ensure that no rows proposed for insertion within the same command have duplicate constrained "
                    "values."))
            hit = np.flatnonzero(numbers >= 0)
            if len(hit):
                self._update(batch.take(Selection(hit)), writer.existing(numbers[hit]), connector, checks, written, names,
                             kept, returned)
        return batch.take(Selection(np.flatnonzero(fresh)))

    def _update(self, rejected: Batch, existing: pa.RecordBatch, connector: SupportsWrite, checks: RowChecks,
                written: list[int], names: list[str], kept: list[Batch], returned: list[int]) -> None:
        """DO UPDATE of the `existing` rows, beside those that were rejected for them."""
        conflict = self.node.conflict
        assert conflict is not None
        width = len(written)
        given = [rejected.array(place) for place in range(len(rejected.columns))]
        both = Batch.of([*existing.columns[1:], *given, existing.column(0)])
        where = {column: width + place for column, place in self._places().items()}
        where |= {field.id: i for i, field in enumerate(conflict.existing)}
        evaluation = streams.evaluation(self.context)
        if conflict.predicate is not None:
            chosen = np.flatnonzero(compile_predicate(conflict.predicate, where)(both, evaluation))
            both, rejected = both.take(Selection(chosen)), rejected.take(Selection(chosen))
        if not both.rows:
            return
        values = compile_expressions(conflict.assignments, where)(both, evaluation)
        row_ids = both.array(len(both.columns) - 1)
        update = connector.update(self.node.handle, text_with(self.context.settings, self.context.names))
        self._writers = (*self._writers, update)
        changed = dict(zip(written, values, strict=True))
        batch = Batch.of([*(changed.get(i, rejected.array(i)) for i in range(len(rejected.columns))), row_ids])
        checks.append(update, batch, [len(rejected.columns), *written], [SupportsWrite.ROW_ID, *names], evaluation)
        self._updated = both.rows
        if returned:
            kept.append(batch.select(returned))

    def close(self) -> None:
        """A writer that was not committed is aborted."""
        writers, self._writers = self._writers, ()
        for writer in writers:
            writer.abort()


def _still_there(batch: Batch, writer: Writer, row_id: int) -> Batch:
    """The rows that no other part of the statement has changed: the first change of a row counts."""
    gone = writer.gone(views.values(batch.array(row_id)))
    return batch if gone is None or not gone.any() else batch.take(Selection(np.flatnonzero(~gone)))
