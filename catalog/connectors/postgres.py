"""`postgresql://...`: the tables and views of a PostgreSQL database, read in parallel under one snapshot.

Hops 2, 3 and 6. Filters and limits go into the remote statement (postgres_sql), only the needed columns come back, as
COPY CSV parsed by Arrow (postgres_types). A table of more than a few megabytes is read as ranges of its blocks
(ctid), each by another task, in the snapshot that `begin` exports.

Options, in the URL's query or beside it: any of libpq's connection parameters (user, password, sslmode, ...).
Spec: PostgreSQL 15 documentation, COPY, 9.27.5 "Snapshot Synchronization Functions", 34.1.2 "Parameter Key Words".
"""

from __future__ import annotations

import io
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import psycopg
import pyarrow as pa
from pyarrow import csv

from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    FilterResult,
    LimitResult,
    Predicate,
    Split,
    SupportsExpressions,
    SupportsFilter,
    SupportsInterrupt,
    SupportsLimit,
    SupportsSnapshot,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors import postgres_sql
from shoal.catalog.connectors.batches import counted, require_columns
from shoal.catalog.connectors.postgres_connections import Connection, Connections
from shoal.catalog.connectors.postgres_metadata import Metadata
from shoal.catalog.connectors.postgres_types import RemoteColumn, converted, parsed_type
from shoal.catalog.declarations import ColumnInfo, Constraint, EnumType, Index, NumberSequence, StoredSize, TypeDefinition
from shoal.catalog.errors import DataCorrupted, UndefinedTable
from shoal.catalog.expressions import SourceExpression

_DIVIDED_BYTES = 8 << 20
_SMALLEST_SPLIT_BYTES, _LARGEST_SPLIT_BYTES = 4 << 20, 64 << 20
_SMALL_LIMIT_ROWS = 100_000
_CANCEL_S = 5.0
_BLOCK_ROWS, _BLOCK_BYTES = 4096, 16 << 20


class PostgresConnector(Connector, SupportsFilter, SupportsExpressions, SupportsLimit, SupportsSnapshot, SupportsInterrupt):
    kind: ClassVar[str] = "postgresql"
    dialect: ClassVar[str] = "postgres"
    expression_types: ClassVar[frozenset[str]] = postgres_sql.EXPRESSION_TYPES
    waits = True

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        self._connections = Connections(definition)
        self._metadata = Metadata(self._connections)
        self._lock = threading.Lock()
        self._snapshots: dict[str, tuple[Connection, str]] = {}
        self._reading: list[tuple[int, Connection]] = []
        """(thread, connection) of the reads that are going on."""
        self._interrupted: set[Connection] = set()

    # names

    def schemas(self) -> list[str]:
        return sorted(self._metadata.names())

    def tables(self, schema: str) -> list[TableName]:
        return sorted(self._metadata.names().get(schema, {}).values(), key=lambda table: table.name)

    def table(self, schema: str, name: str) -> TableHandle | None:
        found = self._metadata.find(schema, name)
        return None if found is None else TableHandle(self.name, schema, name, found.kind)

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        found = self._metadata.columns(handle.schema, handle.name)
        if not found and self._metadata.find(handle.schema, handle.name) is None:
            raise UndefinedTable(f'relation "{handle.catalog}.{handle.schema}.{handle.name}" does not exist')
        return found

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return self._metadata.objects.constraints(handle.schema).get(handle.name, ())

    def indexes(self, handle: TableHandle) -> tuple[Index, ...]:
        return self._metadata.objects.indexes(handle.schema).get(handle.name, ())

    def view_definition(self, handle: TableHandle, pretty: bool = False) -> str:
        return self._metadata.objects.views(handle.schema).get(handle.name, ("", ""))[pretty]

    def stored_size(self, handle: TableHandle) -> StoredSize | None:
        return self._metadata.objects.sizes(handle.schema).get(handle.name)

    def number_sequences(self, schema: str) -> tuple[NumberSequence, ...]:
        return self._metadata.objects.sequences(schema)

    def enums(self, schema: str) -> tuple[EnumType, ...]:
        return self._metadata.objects.enums(schema)

    def type_definitions(self, schema: str) -> tuple[TypeDefinition, ...]:
        return self._metadata.objects.composites(schema)

    def schema_comment(self, schema: str) -> str:
        return self._metadata.objects.schema_comment(schema)

    def statistics(self, handle: TableHandle) -> TableStatistics:
        """Of what the handle gives: where filters were pushed down the row count is the remote planner's estimate."""
        found = self._metadata.statistics(handle.schema, handle.name)
        rows = found.rows
        if rows is None or handle.state.get("where") or handle.state.get("expressions"):
            planned = self._metadata.planned_rows(postgres_sql.select(_without_limit(handle), None))
            rows = planned if planned is not None else rows
        if "limit" in handle.state and rows is not None:
            rows = min(rows, handle.state["limit"])
        return TableStatistics(rows, found.columns)

    def version(self) -> object:
        return self._metadata.version()

    def explain(self, handle: TableHandle, columns: Sequence[str]) -> str:
        """The statement that is sent."""
        return postgres_sql.select(handle, columns)

    def close(self) -> None:
        with self._lock:
            queries = list(self._snapshots)
        for query in queries:
            self.end(query)
        self._connections.close()

    # push-down

    def apply_filter(self, handle: TableHandle, predicates: tuple[Predicate, ...]) -> FilterResult | None:
        if "limit" in handle.state:  # a filter above a limit is not one beneath it
            return None
        columns = self._metadata.remote_columns(handle.schema, handle.name)
        made = [postgres_sql.condition_of(p, columns[p.column]) if p.column in columns else None for p in predicates]
        taken = [condition for condition in made if condition is not None]
        if not taken:
            return None
        state = {**handle.state, "where": (*handle.state.get("where", ()), *taken)}
        remaining = tuple(i for i, condition in enumerate(made) if condition is None)
        return FilterResult(_with_state(handle, state), remaining)

    def apply_expressions(self, handle: TableHandle, expressions: tuple[SourceExpression, ...]) -> FilterResult | None:
        if "limit" in handle.state:
            return None
        columns = self._metadata.remote_columns(handle.schema, handle.name)
        made = [postgres_sql.written(expression, columns) for expression in expressions]
        taken = [parts for parts in made if parts is not None]
        if not taken:
            return None
        state = {**handle.state, "expressions": (*handle.state.get("expressions", ()), *taken)}
        return FilterResult(_with_state(handle, state), tuple(i for i, parts in enumerate(made) if parts is None))

    def apply_limit(self, handle: TableHandle, rows: int) -> LimitResult | None:
        if handle.state.get("limit", rows + 1) <= rows:
            return None
        return LimitResult(_with_state(handle, {**handle.state, "limit": rows}), rows <= _SMALL_LIMIT_ROWS)

    # reading

    def begin(self, query_id: str, handle: TableHandle) -> TableHandle:
        with self._lock:
            found = self._snapshots.get(query_id)
        if found is None:
            connection = self._connections.begin()
            try:
                row = connection.execute("SELECT pg_export_snapshot()").fetchone()
            except psycopg.Error as error:
                self._connections.release(connection)
                raise self._connections.error(error) from None
            assert row is not None
            with self._lock:
                found = self._snapshots.setdefault(query_id, (connection, row[0]))
            if found[0] is not connection:
                self._connections.release(connection)
        return _with_state(handle, {**handle.state, "snapshot": found[1]})

    def end(self, query_id: str) -> None:
        with self._lock:
            found = self._snapshots.pop(query_id, None)
        if found is not None:
            self._connections.release(found[0])

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        known = self._metadata.remote_columns(handle.schema, handle.name)
        require_columns(handle, columns, known)
        state: dict[str, Any] = {"columns": tuple(known[name].to_json() for name in columns)}
        statistics = self._metadata.statistics(handle.schema, handle.name)
        rows = None if statistics.rows is None else int(statistics.rows)
        layout = self._metadata.layout(handle.schema, handle.name)
        whole = layout.size_bytes
        limited = handle.state.get("limit", _SMALL_LIMIT_ROWS + 1) <= _SMALL_LIMIT_ROWS
        if whole <= _DIVIDED_BYTES or limited or not layout.divisible:
            return [Split(state, rows, whole or None)]
        count = min(max(target, whole // _LARGEST_SPLIT_BYTES), whole // _SMALLEST_SPLIT_BYTES)
        bounds: list[int | None] = [None, *block_bounds(layout.leaves, count), None]
        return [Split({**state, "first": first, "last": last}, None if rows is None else rows // count, whole // count)
                for first, last in itertools.pairwise(bounds)]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        by_name = {fields[0]: RemoteColumn.from_json(fields) for fields in split.state["columns"]}
        more = []
        if "limit" not in handle.state:
            offered = [(p, by_name[p.column]) for p in dynamic_filter() if p.column in by_name]
            more = [c for c in (postgres_sql.condition_of(p, column) for p, column in offered) if c is not None]
        connection = self._connections.begin(handle.state.get("snapshot"))
        reading = (threading.get_ident(), connection)
        with self._lock:
            self._reading.append(reading)
        try:
            statement = postgres_sql.select(handle, columns, split.state, more, connection)
            if columns:
                yield from self._copied(connection, statement, [by_name[name] for name in columns], handle, batch_rows)
            else:
                row = connection.execute(statement).fetchone()
                for start in range(0, row[0] if row else 0, batch_rows):
                    yield counted(min(batch_rows, row[0] - start))  # type: ignore[index]
        except psycopg.Error as error:
            if error.sqlstate in ("42P01", "42703", "3F000"):
                self._metadata.forget()
            raise self._connections.error(error) from None
        finally:
            with self._lock:
                self._reading.remove(reading)
                if connection in self._interrupted:  # the cancel may still be under way: nobody else must meet it
                    self._interrupted.remove(connection)
                    connection.close()
            self._connections.release(connection)

    def interrupt(self, thread_id: int) -> None:
        with self._lock:
            connections = [connection for thread, connection in self._reading if thread == thread_id]
            self._interrupted.update(connections)
        for connection in connections:
            try:
                connection.cancel_safe(timeout=_CANCEL_S)
            except psycopg.Error:  # the server is gone or too busy to hear: the read ends by itself
                pass

    def _copied(self, connection: Connection, statement: str, columns: list[RemoteColumn], handle: TableHandle,
                batch_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT by COPY. Leaving early cancels the remote statement (psycopg's Copy does so)."""
        names = [column.name for column in columns]
        where = f'catalog "{self.name}": {handle.schema}.{handle.name}'
        with connection.cursor() as cursor, cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT csv)") as copy:
            messages = iter(copy)  # each is one whole row
            row_bytes = 4096  # a guess, until there are rows to measure
            more = True
            while more:
                block, rows = io.BytesIO(), 0
                while more and rows < batch_rows and (held := block.tell()) < _BLOCK_BYTES:
                    wanted = min(_BLOCK_ROWS, batch_rows - rows, max(1, _BLOCK_BYTES // row_bytes))
                    block.writelines(itertools.islice(messages, wanted))
                    rows += wanted
                    more = block.tell() > held
                    row_bytes = max(1, block.tell() // rows)
                if block.tell():
                    yield pa.RecordBatch.from_arrays(_parsed(block, columns, where), names=names)


def _parsed(block: io.BytesIO, columns: Sequence[RemoteColumn], where: str) -> list[pa.Array]:
    """Whole rows of COPY CSV as arrays in storage form. Where the parser refuses a value, all is read as text first."""
    data = pa.py_buffer(block.getbuffer())
    try:
        table = _csv(data, [parsed_type(column) for column in columns])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        try:
            table = _csv(data, [pa.string()] * len(columns))
        except pa.ArrowInvalid as error:
            raise DataCorrupted(f"{where}: cannot read the source's answer: {error}") from None
    return [converted(array.chunk(0) if array.num_chunks == 1 else array.combine_chunks(), column, f"{where}.{column.name}")
            for array, column in zip(table.columns, columns, strict=True)]


def _csv(data: pa.Buffer, types: Sequence[pa.DataType]) -> pa.Table:
    names = [str(position) for position in range(len(types))]
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(use_threads=False, column_names=names, block_size=max(data.size + 1, 1024)),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)), null_values=[""], strings_can_be_null=True,
            quoted_strings_can_be_null=False, true_values=["t"], false_values=["f"]))


def block_bounds(leaves: Sequence[int], count: int) -> list[int]:
    """The block numbers that cut tables of these sizes (in blocks), all at the same numbers, into about `count` even
    parts: below block b lie the sum over leaves of min(leaf, b) blocks."""
    sizes = np.unique(np.asarray(leaves, np.int64))
    below = np.array([np.minimum(leaves, size).sum() for size in sizes], np.float64)
    wanted = below[-1] * np.arange(1, count) / count
    cuts = np.interp(wanted, np.concatenate([[0.0], below]), np.concatenate([[0.0], sizes])).astype(np.int64)
    return [int(cut) for cut in np.unique(cuts) if cut > 0]


def _with_state(handle: TableHandle, state: Mapping[str, Any]) -> TableHandle:
    return TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, state)


def _without_limit(handle: TableHandle) -> TableHandle:
    return _with_state(handle, {key: value for key, value in handle.state.items() if key != "limit"})
