"""Loading: rows that a client sends as text or binary values go into a table, a block at a time (COPY FROM).

Blocks of one load come one after another; each is converted, completed, filtered and checked column by column and handed
to the connector's writer, whose commit makes all of them visible at once. Blocks the thread it runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.errors import SqlError
from shoal.catalog.session_catalogs import written_by
from shoal.catalog.types import TEXT, SqlType
from shoal.exec.batch import Batch, Selection
from shoal.exec.evaluator import EvaluationContext, Names, compile_expression, compile_expressions, compile_predicate
from shoal.exec.functions.cast_kernels import conversion
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.row_checks import RowChecks, text_with

if TYPE_CHECKING:
    from shoal.exec.sql.load import Load


class RowError(Exception):
    """`error` arose in this row of a block, in the column of this place among the given ones (None: the whole row)."""

    def __init__(self, error: SqlError, row: int, column: int | None = None) -> None:
        super().__init__(error.message)
        self.error, self.row, self.column = error, row, column


Convert = Callable[[pa.Array], pa.Array]


class Loading:
    """One COPY FROM. Then `commit` or `abort`, exactly one of them."""

    def __init__(self, load: Load, settings: TaskSettings, names: Names | None) -> None:
        connector = written_by(load.found.connector, str(settings.session.get("token", "")))
        assert isinstance(connector, SupportsWrite)
        self._connector = connector
        self.load, self.settings = load, settings
        self._context = EvaluationContext(settings, names)
        text = text_with(settings, names)
        self._writer = connector.insert(load.found.handle, text)
        where = {field.id: place for place, field in enumerate(load.fields)}
        self._defaults = compile_expressions([expr for _, expr in load.defaults], {}) if load.defaults else None
        self._where = None if load.where is None else compile_predicate(load.where, where)
        self._checks = RowChecks(load.found.handle, load.checks, where,
                                 [(i, info.type) for i, info in enumerate(load.columns)], text)
        self._conditions = {place: compile_expression(condition, {load.fields[place].id: 0})
                            for place, condition in load.conditions.items()}
        self._from_text = [self._reader(load.columns[i].type) for i in load.given]
        self.rows = 0
        """Rows stored so far."""

    def is_fresh(self) -> bool:
        """Whether nobody else sees rows that this will stand beside."""
        return self._connector.is_fresh(self.load.found.handle)

    def _reader(self, sql_type: SqlType) -> Convert:
        found = conversion(TEXT, sql_type, False)
        return lambda array: found.run(array, self._context)

    def _in_domain(self, place: int, read: Convert) -> Convert:
        """Reads values of the column of this place that pass its domain's conditions, if it has one."""
        condition = self._conditions.get(place)
        return read if condition is None else lambda array: condition(Batch.of([read(array)]), self._context)

    def append_texts(self, columns: Sequence[pa.Array], rows: int) -> None:
        """Adds rows of texts. Raises: RowError for the first bad one; those before it have been checked."""
        self.append(columns, rows, self._from_text)

    def check_texts(self, values: Sequence[str | None]) -> None:
        """Reads the first values of a row, and forgets them. Raises: RowError."""
        for place, value in enumerate(values):
            try:
                self._from_text[place](pa.array([value], pa.string()))
            except SqlError as error:
                raise RowError(error, 0, place) from None

    def append(self, columns: Sequence[pa.Array], rows: int, readers: Sequence[Convert]) -> None:
        """Adds rows of values that `readers` convert. Raises: RowError."""
        bad: RowError | None = None
        converted: list[pa.Array] = []
        for place, (column, convert) in enumerate(zip(columns, readers, strict=True)):
            read = self._in_domain(self.load.given[place], convert)
            until = rows if bad is None else bad.row  # a later column counts in an earlier row only
            column = column.slice(0, until)
            try:
                converted.append(read(column))
            except SqlError:
                row, error = first_bad(column, read)
                bad = RowError(error, row, place)
                converted.append(read(column.slice(0, row)))
        if bad is not None:
            rows = bad.row
            converted = [column.slice(0, rows) for column in converted]
        if rows:
            self._store(converted, rows)
        if bad is not None:
            raise bad

    def _store(self, given: Sequence[pa.Array], rows: int) -> None:
        arrays: list[pa.Array | None] = [None] * len(self.load.columns)
        for place, array in zip(self.load.given, given, strict=True):
            arrays[place] = array
        if self._defaults is not None:
            made = self._defaults(Batch([], rows), self._context)
            for (place, _), array in zip(self.load.defaults, made, strict=True):
                arrays[place] = array
        batch = Batch.of([array for array in arrays if array is not None], rows)
        kept: np.ndarray | None = None
        if self._where is not None:
            kept = np.flatnonzero(self._where(batch, self._context))
            batch = batch.take(Selection(kept))
        if not batch.rows:
            return
        try:
            self._checks.append(self._writer, batch, range(len(arrays)), [c.name for c in self.load.columns], self._context)
        except SqlError as error:
            if error.row is None:
                raise
            raise RowError(error, error.row if kept is None else int(kept[error.row])) from None
        self.rows += batch.rows

    def commit(self) -> None:
        """Raises: UniqueViolation (23505) and its like; `row` of the error is the row among those stored."""
        self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()


def first_bad(column: pa.Array, read: Convert) -> tuple[int, SqlError]:
    """The first value that cannot be read, of a column that holds one; found by halving."""
    first, last = 0, len(column)
    while last - first > 1:
        middle = (first + last) // 2
        try:
            read(column.slice(first, middle - first))
            first = middle
        except SqlError:
            last = middle
    try:
        read(column.slice(first, 1))
    except SqlError as error:
        return first, error
    raise AssertionError("the column was read without an error this time")
