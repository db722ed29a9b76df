"""`memory:`: writable tables of Arrow batches in the coordinator's process; they end with it.

A table is a tuple of immutable segments, and every change makes a new tuple, so a reader that holds one sees one
state for as long as it likes (copy-on-write; a change copies only the segments it touches). Rows carry ids that
never return: an updated row gets a new one, which is how a second statement that read the row before notices.
Hop 6, and TableWrite.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from shoal.catalog.config import parse_size
from shoal.catalog.connector import (
    CatalogDefinition,
    ColumnInfo,
    Connector,
    DynamicFilter,
    Split,
    SupportsSchemas,
    SupportsSnapshot,
    SupportsWrite,
    TableHandle,
    TableName,
    TableStatistics,
    Writer,
)
from shoal.catalog.connectors.batches import batch_of, require_columns
from shoal.catalog.connectors.memory_segments import Segment, compacted, segment_of, statistics_of, with_updates, without
from shoal.catalog.connectors.urls import path_and_options
from shoal.catalog.errors import (
    DependentObjectsStillExist,
    DuplicateColumn,
    DuplicateSchema,
    DuplicateTable,
    InvalidSchemaName,
    NotNullViolation,
    ObjectNotInPrerequisiteState,
    OutOfMemory,
    SerializationFailure,
    UndefinedTable,
)
from shoal.catalog.types import INT8

_ROWS_PER_SPLIT = 100_000
_UNPINNED_VERSIONS = 4
"""Past states kept for splits that were made without `begin`."""


@dataclass(slots=True)
class _Table:
    columns: tuple[ColumnInfo, ...]
    comment: str = ""
    segments: tuple[Segment, ...] = ()
    version: int = 0
    past: dict[int, tuple[Segment, ...]] = field(default_factory=lambda: {0: ()})
    statistics: tuple[int, TableStatistics] | None = None
    """With the version it is of."""

    def change(self, segments: tuple[Segment, ...]) -> None:
        self.segments, self.version = segments, self.version + 1
        self.past[self.version] = segments
        self.past.pop(self.version - _UNPINNED_VERSIONS, None)


class MemoryConnector(Connector, SupportsWrite, SupportsSnapshot, SupportsSchemas):
    """Options: `max_bytes`, the most all tables together may hold (53200 beyond)."""

    kind: ClassVar[str] = "memory"
    placement = "coordinator"

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        _, options = path_and_options(definition, {"max_bytes"})
        self._max_bytes = parse_size(options["max_bytes"], "max_bytes") if "max_bytes" in options else None
        self._lock = threading.RLock()
        self._schemas: dict[str, dict[str, _Table]] = {"public": {}}
        self._pins: dict[str, dict[tuple[str, str], tuple[_Table, tuple[Segment, ...]]]] = {}
        self._row_ids = 0
        self._changes = 0

    def limit(self, max_bytes: int) -> None:
        """Bounds what all tables hold, unless the definition does."""
        if self._max_bytes is None:
            self._max_bytes = max_bytes

    # names

    def schemas(self) -> list[str]:
        return sorted(self._schemas)

    def tables(self, schema: str) -> list[TableName]:
        with self._lock:
            return [TableName(schema, name, "table", table.comment)
                    for name, table in sorted(self._schemas.get(schema, {}).items())]

    def table(self, schema: str, name: str) -> TableHandle | None:
        return TableHandle(self.name, schema, name) if name in self._schemas.get(schema, {}) else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return (*self._table(handle).columns, ColumnInfo(self.ROW_ID, INT8, nullable=False, hidden=True))

    def version(self) -> object:
        return self._changes

    def bytes_used(self) -> int:
        """Bytes that the current rows of all tables hold."""
        with self._lock:
            return sum(s.size_bytes for tables in self._schemas.values() for t in tables.values() for s in t.segments)

    def statistics(self, handle: TableHandle) -> TableStatistics:
        table = self._table(handle)
        with self._lock:
            version, segments, known = table.version, table.segments, table.statistics
        if known is None or known[0] != version:
            known = table.statistics = (version, statistics_of(table.columns, segments))
        return known[1]

    def close(self) -> None:
        with self._lock:
            self._schemas, self._pins = {"public": {}}, {}

    # reading

    def begin(self, query_id: str, handle: TableHandle) -> TableHandle:
        with self._lock:
            if query_id not in self._pins:
                self._pins[query_id] = {(schema, name): (table, table.segments)
                                        for schema, tables in self._schemas.items() for name, table in tables.items()}
        return TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, {**handle.state, "query": query_id})

    def end(self, query_id: str) -> None:
        with self._lock:
            self._pins.pop(query_id, None)

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        with self._lock:
            if "query" in handle.state:
                state, segments = {}, self._pinned(handle)[1]
            else:
                table = self._table(handle)
                state, segments = {"version": table.version}, table.segments
        rows = sum(segment.rows for segment in segments)
        if not rows:
            return []
        parts = max(1, min(max(target, 1), rows // _ROWS_PER_SPLIT))
        size_bytes = sum(segment.size_bytes for segment in segments)
        bounds = [rows * i // parts for i in range(parts + 1)]
        return [Split({**state, "first": first, "last": last}, last - first, size_bytes * (last - first) // rows)
                for first, last in itertools.pairwise(bounds)]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        if "query" in handle.state:
            table, segments = self._pinned(handle)
        else:
            table = self._table(handle)
            found = table.past.get(split.state["version"])
            if found is None:
                raise ObjectNotInPrerequisiteState(f'snapshot of "{handle.name}" is too old')
            segments = found
        places = {c.name: i for i, c in enumerate(table.columns)}
        require_columns(handle, columns, {*places, self.ROW_ID})
        positions = [places.get(name) for name in columns]
        offset = 0
        for segment in segments:
            first, last = max(split.state["first"] - offset, 0), min(split.state["last"] - offset, segment.rows)
            for start in range(first, last, batch_rows):
                rows = min(batch_rows, last - start)
                arrays = [segment.id_array if p is None else segment.columns[p] for p in positions]
                yield batch_of(columns, [array.slice(start, rows) for array in arrays], rows)
            offset += segment.rows

    # writing

    def create_schema(self, name: str) -> None:
        with self._lock:
            if name in self._schemas:
                raise DuplicateSchema(f'schema "{name}" already exists')
            self._schemas = {**self._schemas, name: {}}
            self._changes += 1

    def drop_schema(self, name: str, cascade: bool = False) -> None:
        with self._lock:
            if name not in self._schemas:
                raise InvalidSchemaName(f'schema "{name}" does not exist')
            if self._schemas[name] and not cascade:
                raise DependentObjectsStillExist(
                    f"cannot drop schema {name} because other objects depend on it",
                    detail="\n".join(f"table {name}.{table} depends on schema {name}" for table in self._schemas[name]),
                    hint="Use DROP ... CASCADE to drop the dependent objects too.")
            rest = {key: value for key, value in self._schemas.items() if key != name}
            self._schemas = rest if rest else {"public": {}}
            self._changes += 1

    def create_table(self, schema: str, name: str, columns: Sequence[ColumnInfo]) -> TableHandle:
        seen: set[str] = set()
        for column in columns:
            if column.name in seen or column.name == self.ROW_ID:
                raise DuplicateColumn(f'column "{column.name}" specified more than once')
            seen.add(column.name)
        with self._lock:
            tables = self._schemas.get(schema)
            if tables is None:
                raise InvalidSchemaName(f'schema "{schema}" does not exist')
            if name in tables:
                raise DuplicateTable(f'relation "{name}" already exists')
            self._schemas = {**self._schemas, schema: {**tables, name: _Table(tuple(columns))}}
            self._changes += 1
        return TableHandle(self.name, schema, name)

    def drop_table(self, handle: TableHandle) -> None:
        with self._lock:
            self._table(handle)
            rest = {name: table for name, table in self._schemas[handle.schema].items() if name != handle.name}
            self._schemas = {**self._schemas, handle.schema: rest}
            self._changes += 1

    def truncate(self, handle: TableHandle) -> None:
        with self._lock:
            self._table(handle).change(())

    def insert(self, handle: TableHandle) -> Writer:
        return _Insert(self, handle)

    def delete(self, handle: TableHandle) -> Writer:
        return _Delete(self, handle)

    def update(self, handle: TableHandle) -> Writer:
        return _Update(self, handle)

    def _table(self, handle: TableHandle) -> _Table:
        table = self._schemas.get(handle.schema, {}).get(handle.name)
        if table is None:
            raise UndefinedTable(f'relation "{handle.schema}.{handle.name}" does not exist')
        return table

    def _pinned(self, handle: TableHandle) -> tuple[_Table, tuple[Segment, ...]]:
        found = self._pins.get(handle.state["query"], {}).get((handle.schema, handle.name))
        if found is None:
            raise UndefinedTable(f'relation "{handle.schema}.{handle.name}" does not exist')
        return found

    def new_ids(self, count: int) -> np.ndarray:
        """`count` row ids that no row had before."""
        with self._lock:
            first, self._row_ids = self._row_ids, self._row_ids + count
        return np.arange(first, first + count, dtype=np.int64)

    def require_room(self, size_bytes: int) -> None:
        """Raises: OutOfMemory (53200) when `size_bytes` more would pass the limit."""
        if self._max_bytes is not None and self.bytes_used() + size_bytes > self._max_bytes:
            raise OutOfMemory(f'catalog "{self.name}" may hold {self._max_bytes} bytes, which this statement exceeds',
                              hint="Delete rows, or raise --memory or the catalog's max_bytes.")


class _Writing(Writer):
    """What the three writers share: batches wait until commit, checked as they come."""

    skipped = 0
    """Columns of a batch before the table's own."""

    def __init__(self, connector: MemoryConnector, handle: TableHandle) -> None:
        self.connector, self.handle = connector, handle
        self.table = connector._table(handle)
        self.batches: list[pa.RecordBatch] = []
        self.size_bytes = 0

    def append(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        for position, column in enumerate(self.table.columns):
            if not column.nullable and self.skipped + position < batch.num_columns:
                self._require_values(batch, self.skipped + position, column)
        self.size_bytes += batch.nbytes
        self.connector.require_room(self.size_bytes)
        self.batches.append(batch)

    def _require_values(self, batch: pa.RecordBatch, position: int, column: ColumnInfo) -> None:
        if not batch.column(position).null_count:
            return
        row = int(np.flatnonzero(np.asarray(batch.column(position).is_null()))[0])
        shown = ", ".join("null" if (v := batch.column(i)[row].as_py()) is None else str(v)
                          for i in range(self.skipped, batch.num_columns))
        raise NotNullViolation(f'null value in column "{column.name}" of relation "{self.handle.name}" violates '
                               "not-null constraint", detail=f"Failing row contains ({shown}).")

    def commit(self) -> None:
        if self.batches:
            with self.connector._lock:
                if self.connector._table(self.handle) is not self.table:
                    raise SerializationFailure(f'table "{self.handle.name}" was dropped by another statement')
                self.table.change(self.changed(self.table.segments))
        self.batches = []

    def abort(self) -> None:
        self.batches = []

    def changed(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        """The table's segments after the write; called under the connector's lock."""
        raise NotImplementedError

    def row_ids(self) -> np.ndarray:
        return np.concatenate([batch.column(0).to_numpy(zero_copy_only=False) for batch in self.batches])

    def require_all(self, found: int, wanted: int) -> None:
        if found != wanted:
            raise SerializationFailure("could not serialize access due to concurrent update",
                                       hint="Run the statement again.")


class _Insert(_Writing):
    def changed(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        added = [segment_of(self.connector.new_ids(b.num_rows), b.columns, self.table.columns) for b in self.batches]
        return compacted((*segments, *added), self.table.columns)


class _Delete(_Writing):
    def append(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self.batches.append(batch)

    def changed(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        ids = np.unique(self.row_ids())
        kept, found = without(segments, ids)
        self.require_all(found, len(ids))
        return kept


class _Update(_Writing):
    skipped = 1

    def changed(self, segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
        ids, first = np.unique(self.row_ids(), return_index=True)  # of several matches of a row the first counts
        values = [[batch.column(i + 1) for batch in self.batches] for i in range(len(self.table.columns))]
        changed, found = with_updates(segments, ids, first, values, self.table.columns, self.connector.new_ids)
        self.require_all(found, len(ids))
        return changed
