"""Where a result's rows come from, and a position in them: Execute with a row limit, FETCH and MOVE.

A `RowSource` gives batches of rows once, forward; batches are cut at a portion's end and the rest is kept. A
`Cursor` is a position in one. A cursor declared SCROLL keeps what it has read to go back in; one that did not say
keeps up to `HISTORY_BYTES` of it, after which it can only go forward.

Spec: PostgreSQL 15 documentation, FETCH: position 0 is before the first row, n on row n, rows + 1 after the last.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pyarrow as pa

from shoal.catalog.errors import ObjectNotInPrerequisiteState
from shoal.exec.engine import Execution, ResultField
from shoal.exec.execution import EncodedRows

HISTORY_BYTES = 16 << 20
Columns = tuple[list[pa.Array], int]
"""Columns and how many rows they hold (a result may have no columns)."""
Rows = Columns | EncodedRows
"""EncodedRows come only where they were asked for, which no cursor does that goes back or stops half way."""


class RowSource:
    """Rows in portions. `tag` is complete once `exhausted`; "" means `verb` and the number of rows given out."""

    def __init__(self, fields: Sequence[ResultField], tag: str = "") -> None:
        self.fields, self._tag = tuple(fields), tag
        self._kept: Rows | None = None
        self.exhausted = False

    @property
    def tag(self) -> str:
        return self._tag

    @property
    def verb(self) -> str:
        """What stands before the number of rows in a tag, where `tag` is empty."""
        return "SELECT"

    async def read(self, limit: int | None = None) -> Rows | None:
        """The next rows, at most `limit`; None at the end."""
        rows = self._kept
        self._kept = None
        while rows is None or rows[1] == 0:
            rows = await self._next()
            if rows is None:
                self.exhausted = True
                return None
        if limit is not None and rows[1] > limit:
            assert not isinstance(rows, EncodedRows)
            arrays, count = rows
            self._kept = [array.slice(limit) for array in arrays], count - limit
            return [array.slice(0, limit) for array in arrays], limit
        return rows

    async def prime(self) -> None:
        """Reads the first rows ahead, so that what they raise comes before anything is sent."""
        self._kept = await self.read()
        self.exhausted = False

    async def _next(self) -> Rows | None:
        return None

    async def close(self) -> None:
        """Lets go of everything unread. Idempotent."""
        self._kept = None
        self.exhausted = True


class LocalRows(RowSource):
    """Rows that are here already."""

    def __init__(self, fields: Sequence[ResultField], batches: Sequence[Rows], tag: str = "") -> None:
        super().__init__(fields, tag)
        self._batches = list(batches)

    async def _next(self) -> Rows | None:
        return self._batches.pop(0) if self._batches else None


class ExecutionRows(RowSource):
    """Rows of a statement the engine runs. `notice` is called with each of its notices."""

    def __init__(self, execution: Execution, fields: Sequence[ResultField], tag: str,
                 notice: Callable[[str], None] = lambda message: None) -> None:
        super().__init__(fields, tag)
        self.execution = execution
        self._notice = notice
        self._noticed = 0
        self._batches: AsyncIterator[list[pa.Array] | EncodedRows] = aiter(execution)
        self._seen = 0

    @property
    def tag(self) -> str:
        return "" if self._tag == "SELECT" and self.fields else self.execution.tag

    async def _next(self) -> Rows | None:
        try:
            arrays = await anext(self._batches)
        except StopAsyncIteration:
            self._tell()
            return None
        if isinstance(arrays, EncodedRows):
            return arrays
        count = len(arrays[0]) if arrays else self.execution.rows - self._seen
        self._seen += count
        return list(arrays), count

    def _tell(self) -> None:
        notices = self.execution.notices
        for message in notices[self._noticed:]:
            self._notice(message)
        self._noticed = len(notices)

    async def close(self) -> None:
        await super().close()
        await self.execution.close()


class Cursor:
    """A position in the rows of `source`. `scroll`: True, False, or None where the client did not say."""

    def __init__(self, source: RowSource, scroll: bool | None = False, row_ids: int = 0) -> None:
        """`row_ids`: how many columns at the end are ids of rows, which are kept and not given out."""
        self.source, self._scroll, self._id_columns = source, scroll, row_ids
        self._ids: list[Columns] = []
        self.position = 0
        self._read = 0
        self._history: list[Columns] | None = None if scroll is False else []
        self._history_bytes = 0

    async def fetch(self, direction: str, count: int | None) -> AsyncIterator[Rows]:
        """Moves and gives the rows passed, as FETCH does. `count` None is ALL.

        Raises: ObjectNotInPrerequisiteState (55000) for going back where that is not possible.
        """
        if direction == "backward" and count is not None and count < 0:
            direction, count = "forward", -count
        elif direction == "forward" and count is not None and count < 0:
            direction, count = "backward", -count
        if direction in ("forward", "backward", "relative") and count == 0:
            direction, count = "absolute", self.position
            if not 1 <= self.position <= self._read:
                return
        if direction == "relative":
            assert count is not None
            direction, count = "absolute", self.position + count
            if count <= 0:
                self._go_back(0)
                return
        if direction == "forward":
            async for rows in self.forward(count):
                yield rows
        elif direction == "backward":
            for rows in self._backward(count):
                yield rows
        else:
            assert count is not None
            async for rows in self._absolute(count):
                yield rows

    async def forward(self, count: int | None = None) -> AsyncIterator[Rows]:
        """The next rows, at most `count`."""
        left = count
        while left is None or left > 0:
            rows = await self._read_from(self.position + 1, left)
            if rows is None:
                self.position = self._read + 1
                return
            self.position += rows[1]
            left = None if left is None else left - rows[1]
            yield rows

    def _backward(self, count: int | None) -> list[Rows]:
        first = 1 if count is None else max(self.position - count, 1)
        last = self.position - 1
        self._go_back(0 if count is None else max(self.position - count, 0))
        if last < first:
            return []
        parts: list[Rows] = []
        position = first
        while position <= last:
            arrays, rows = self._from_history(position, last - position + 1)
            parts.append(([array.take(pa.array(range(rows - 1, -1, -1), pa.int64())) for array in arrays], rows))
            position += rows
        return parts[::-1]

    async def _absolute(self, row: int) -> AsyncIterator[Rows]:
        if row < 0:
            async for _ in self.forward(None):
                pass
            row = max(self._read + 1 + row, 0)
        if row == 0:
            self._go_back(0)
            return
        if row <= self.position:
            self._go_back(row - 1)
        else:
            async for _ in self.forward(row - 1 - self.position):
                pass
        if self.position == row - 1:
            async for rows in self.forward(1):
                yield rows

    def _go_back(self, position: int) -> None:
        if self._history is None and position < self.position:
            raise ObjectNotInPrerequisiteState("cursor can only scan forward",
                                               hint="Declare it with SCROLL option to enable backward scan.")
        self.position = position

    async def _read_from(self, first: int, limit: int | None) -> Rows | None:
        if first <= self._read:
            return self._from_history(first, limit)
        rows = await self.source.read(limit)
        if rows is not None:
            rows = self._without_ids(rows)
            self._read += rows[1]
            if self._history is not None:
                assert not isinstance(rows, EncodedRows)
                self._history.append(rows)
                self._history_bytes += sum(array.nbytes for array in rows[0])
                if self._scroll is None and self._history_bytes > HISTORY_BYTES:
                    self._history = None
        return rows

    def _without_ids(self, rows: Rows) -> Rows:
        if not self._id_columns:
            return rows
        assert not isinstance(rows, EncodedRows)
        arrays, count = rows
        self._ids.append((arrays[-self._id_columns:], count))
        return arrays[:-self._id_columns], count

    def row_ids(self) -> list[int | None]:
        """Of the row that the cursor is on, a table each; None where it is on none."""
        passed = 0
        for arrays, count in self._ids:
            if passed < self.position <= passed + count:
                return [array[self.position - 1 - passed].as_py() for array in arrays]
            passed += count
        return [None] * self._id_columns

    def _from_history(self, first: int, limit: int | None) -> Columns:
        passed = 0
        for arrays, rows in self._history or ():
            if first <= passed + rows:
                start = first - 1 - passed
                size = rows - start if limit is None else min(limit, rows - start)
                return [array.slice(start, size) for array in arrays], size
            passed += rows
        raise ObjectNotInPrerequisiteState("cursor can only scan forward",
                                           hint="Declare it with SCROLL option to enable backward scan.")

    async def hold(self) -> None:
        """Reads all that is left, so that the cursor outlives its transaction."""
        kept: list[Rows] = []
        while (rows := await self.source.read()) is not None:
            kept.append(self._without_ids(rows))
        tag = self.source.tag
        await self.source.close()
        self.source = LocalRows(self.source.fields, kept, tag)
