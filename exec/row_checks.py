"""CHECK constraints of rows that are about to be stored, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import TableHandle, Text, Writer
from shoal.catalog.connectors.batches import batch_of
from shoal.catalog.errors import CheckViolation, SqlError, WithCheckOptionViolation
from shoal.catalog.types import SqlType
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, Names, compile_expression
from shoal.exec.kernels import views
from shoal.exec.plan.expr import Expr
from shoal.exec.plan.fragment import TaskSettings

_SHOWN_BYTES = 64


def text_with(settings: TaskSettings, names: Names | None) -> Text:
    """How a session writes values, for the errors of connectors."""
    def text(array: pa.Array, sql_type: SqlType) -> pa.Array:
        from shoal.exec.functions.text_output import to_text
        found = to_text(array, sql_type, settings, names)
        return found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
    return text


class RowChecks:
    """`checks`: (constraint name, condition) over columns at `positions` of a batch; `columns`: (position, type) of the
    table's columns, in order, for details of errors."""

    def __init__(self, table: TableHandle, checks: Sequence[tuple[str, Expr]], positions: dict[int, int],
                 columns: Sequence[tuple[int, SqlType]], text: Text,
                 views: Sequence[tuple[str, Expr]] = ()) -> None:
        """`views`: (name, condition) of those WITH CHECK OPTION."""
        self._table, self._text, self._columns = table, text, columns
        self._checks: list[tuple[str, Callable[[Batch, EvaluationContext], pa.Array]]] = [
            (name, compile_expression(expr, positions)) for name, expr in sorted(checks, key=lambda check: check[0])]
        self._views = [(name, compile_expression(expr, positions)) for name, expr in views]

    def violation(self, batch: Batch, context: EvaluationContext) -> SqlError | None:
        """The error for the first row that fails a check; its `row` says which."""
        first: tuple[int, str] | None = None
        for name, run in self._checks:
            found = run(batch, context)
            failed = ~views.values(found)
            valid = views.validity(found)
            rows = np.flatnonzero(failed if valid is None else failed & valid)
            if len(rows) and (first is None or rows[0] < first[0]):
                first = int(rows[0]), name
        if first is None:
            return self._view_violation(batch, context)
        row, name = first
        error = CheckViolation(f'new row for relation "{self._table.name}" violates check constraint "{name}"',
                               detail=self._failing(batch, row)).about(
                                   schema=self._table.schema, table=self._table.name, constraint=name)
        error.row = row
        return error

    def _view_violation(self, batch: Batch, context: EvaluationContext) -> SqlError | None:
        """As `violation`, of what the views written through may show: NULL does not pass."""
        for name, run in self._views:
            found = run(batch, context)
            passed = views.values(found)
            valid = views.validity(found)
            rows = np.flatnonzero(~(passed if valid is None else passed & valid))
            if len(rows):
                error = WithCheckOptionViolation(f'new row violates check option for view "{name}"',
                                                 detail=self._failing(batch, int(rows[0])))
                error.row = int(rows[0])
                return error
        return None

    def _failing(self, batch: Batch, row: int) -> str:
        shown = []
        for position, sql_type in self._columns:
            text = self._text(batch.array(position).slice(row, 1), sql_type)[0].as_py()
            shown.append("null" if text is None else text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "...")
        return f"Failing row contains ({', '.join(shown)})."

    def append(self, writer: Writer, batch: Batch, positions: Sequence[int], names: Sequence[str],
               context: EvaluationContext) -> None:
        """Hands the batch's columns to the writer. Raises: NotNullViolation (23502), CheckViolation (23514): of the first
        bad row."""
        violation = self.violation(batch, context) if self._checks or self._views else None
        whole = batch_of(names, [batch.array(p) for p in positions], batch.rows)
        if violation is not None:
            assert violation.row is not None
            writer.append(whole.slice(0, violation.row + 1))  # a NULL there, or before it, counts first
            raise violation
        writer.append(whole)
