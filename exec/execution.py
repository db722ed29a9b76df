"""Execution: one run of a statement, as the server reads it (hop 7)."""

from __future__ import annotations

import abc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa

from shoal.catalog.errors import InternalError, QueryCanceled, SqlError
from shoal.catalog.types import SqlType
from shoal.exec.coordinator.coordinator import Coordinator, QueryRun
from shoal.exec.history import QueryRecord
from shoal.exec.planning import PlannedQuery
from shoal.exec.worker.task import TaskReport


@dataclass(frozen=True, slots=True)
class ResultField:
    """A result column as the client sees it. `origin`: (catalog, schema, table, column index) where it is a plain column."""

    name: str
    type: SqlType
    origin: tuple[str, str, str, int] | None = None


class EncodedRows(NamedTuple):
    """Rows as whole messages for the client."""

    data: memoryview
    rows: int


class Execution(abc.ABC):
    """Iterate its batches (equally long arrays in storage form, one for each of `fields`), then read `tag`.

    One that was started with an encoding may give EncodedRows instead of some or all batches.

    Statements without rows do their work when iterated, too. Reading slowly holds the query back; not reading on is
    fine as long as `close` is called in the end.
    """

    def __init__(self, query_id: str, fields: Sequence[ResultField], tag: str, notices: Sequence[str] = ()) -> None:
        self.query_id = query_id
        self.fields = tuple(fields)
        self.tag = tag
        """The command tag, e.g. "SELECT 5": complete once iteration has ended."""
        self.notices = tuple(notices)
        self.rows = 0

    def __aiter__(self) -> AsyncIterator[list[pa.Array] | EncodedRows]:
        return self

    @abc.abstractmethod
    async def __anext__(self) -> list[pa.Array] | EncodedRows:
        """Raises: the statement's error, a SqlError."""

    @abc.abstractmethod
    async def cancel(self, error: SqlError | None = None) -> None:
        """Stops the statement: iteration then raises `error`, by default QueryCanceled (57014). Safe at any time."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Lets go of everything without reading the rest. Idempotent."""


class RowsExecution(Execution):
    """A statement whose rows are there already, or come from one awaited piece of work (EXPLAIN, DDL)."""

    def __init__(self, query_id: str, fields: Sequence[ResultField], tag: str,
                 work: Callable[[], Awaitable[list[list[pa.Array]]]],
                 record: QueryRecord, notices: Sequence[str], forget: Callable[[str], None]) -> None:
        super().__init__(query_id, fields, tag, notices)
        self.inner: Execution | None = None
        """The query that runs on behalf of this statement."""
        self._forget = forget
        self._work: Callable[[], Awaitable[list[list[pa.Array]]]] | None = work
        self._batches: list[list[pa.Array]] = []
        self._record = record
        self._canceled: SqlError | None = None

    async def __anext__(self) -> list[pa.Array]:
        if self._canceled is not None:
            raise self._canceled
        if self._work is not None:
            work, self._work = self._work, None
            try:
                self._batches = await work()
            except SqlError as error:
                self._close("canceled" if isinstance(error, QueryCanceled) else "failed", error)
                raise
            except BaseException:
                self._close("canceled")
                raise
            self._close("finished")
        if not self._batches:
            raise StopAsyncIteration
        batch = self._batches.pop(0)
        self.rows += len(batch[0]) if batch else 0
        return batch

    async def cancel(self, error: SqlError | None = None) -> None:
        self._canceled = error or QueryCanceled("canceling statement due to user request")
        if self.inner is not None:
            await self.inner.cancel(self._canceled)

    async def close(self) -> None:
        self._work, self._batches = None, []
        if self.inner is not None:
            await self.inner.close()
        self._close("finished")

    def _close(self, state: Any, error: SqlError | None = None) -> None:
        self._record.close(state, error)
        self._forget(self.query_id)


class QueryExecution(Execution):
    """A query run by tasks. `counts`: its one row is a count of rows written, for the tag and not for the client.

    `end` lets go of a plan's snapshots. `again` plans and starts the query anew after an error that a connector has
    learnt from; None: there is no point.
    """

    def __init__(self, coordinator: Coordinator, run: QueryRun, planned: PlannedQuery, fields: Sequence[ResultField],
                 tag: str, record: QueryRecord, *, counts: bool, end: Callable[[PlannedQuery], Awaitable[None]],
                 again: Callable[[SqlError], Awaitable[tuple[QueryRun, PlannedQuery] | None]], forget: Callable[[str], None],
                 max_rows: int | None = None, notices: Sequence[str] = ()) -> None:
        super().__init__(run.query_id, fields, tag, notices)
        self._forget = forget
        self._coordinator, self._run, self.planned, self._record = coordinator, run, planned, record
        self._word, self._counts, self._max_rows = tag, counts, max_rows
        self._end, self._again = end, again
        self._stopped: SqlError | None = None
        self._finished = False
        self.keep_reports = False
        """Wait for the tasks' last figures before letting go, and keep them in `reports` (EXPLAIN ANALYZE)."""
        self.reports: list[TaskReport] = []

    async def __anext__(self) -> list[pa.Array] | EncodedRows:
        if self._stopped is not None:
            raise self._stopped
        if self._finished:
            raise StopAsyncIteration
        try:
            while True:
                page = None if self.rows == self._max_rows else await self._next_page()
                if page is None:
                    await self._complete()
                    raise StopAsyncIteration
                if page.encoded is not None:
                    self.rows += page.rows
                    self._record.rows = self.rows
                    return EncodedRows(page.encoded, page.rows)
                if self._counts:
                    self.rows += sum(page.arrays[0].to_pylist())
                elif page.rows:
                    arrays, count = list(page.arrays), page.rows
                    if self._max_rows is not None and self.rows + count > self._max_rows:
                        count = self._max_rows - self.rows
                        arrays = [array.slice(0, count) for array in arrays]
                    self.rows += count
                    self._record.rows = self.rows
                    return arrays
        except SqlError as error:
            self._stopped = error
            await self._let_go("canceled" if isinstance(error, QueryCanceled) else "failed", error)
            raise
        except BaseException as error:
            if not isinstance(error, StopAsyncIteration):
                await self._let_go("canceled")
            raise

    async def _next_page(self) -> Any:
        try:
            return await self._run.next_page()
        except SqlError as error:
            if self.rows or self._stopped is not None:
                raise
            fresh = await self._again(error)
            if fresh is None:
                raise
            old_run, old_plan = self._run, self.planned
            self._run, self.planned = fresh
            self._record.run = self._run
            self._coordinator.release(old_run.query_id)
            await self._end(old_plan)
            return await self._run.next_page()

    async def _complete(self) -> None:
        self._finished = True
        if self.keep_reports:
            await self._coordinator.last_reports(self._run)
            self.reports = [replace(report) for report in self._run.reports.values()]
        self.tag = f"{self._word} {self.rows}"
        self._record.rows = self.rows
        await self._let_go("finished")

    async def _let_go(self, state: Any, error: SqlError | None = None) -> None:
        self._record.close(state, error)
        self._forget(self.query_id)
        self._coordinator.release(self._run.query_id)
        try:
            await self._end(self.planned)
        except SqlError as problem:
            if state == "finished":
                raise InternalError(f"the query's sources could not be let go of: {problem}") from None

    async def cancel(self, error: SqlError | None = None) -> None:
        self._coordinator.cancel(self._run.query_id, error or QueryCanceled("canceling statement due to user request"))

    async def close(self) -> None:
        if not self._finished:
            self._finished = True
            await self._let_go("finished")
