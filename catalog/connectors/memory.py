"""`memory:`: writable tables of Arrow batches in the coordinator's process; they end with it.

A connector object is one session's view of a `MemoryStore` (memory_store.py): the one that is mounted sees what is
committed, `seen_by` and `written_by` give a session's own. Rows carry ids that never return: an updated row gets a new one,
which is how a second statement that read the row before notices. Hop 6, and TableWrite.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from shoal.catalog.config import parse_size
from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    Rewrite,
    Split,
    SupportsDefinitions,
    SupportsSchemas,
    SupportsSnapshot,
    SupportsTransactions,
    SupportsWrite,
    TableHandle,
    TableName,
    TableStatistics,
    Text,
    Writer,
    plain_text,
)
from shoal.catalog.connectors.batches import batch_of, require_columns
from shoal.catalog.connectors.memory_routines import RoutineStore, described
from shoal.catalog.connectors.memory_segments import segment_of, statistics_of
from shoal.catalog.connectors.memory_store import (
    TEMPORARY,
    Counter,
    Key,
    Mark,
    MemorySequence,
    MemoryStore,
    MemoryType,
    Object,
    Table,
)
from shoal.catalog.connectors.memory_writers import Delete, Insert, Refill, Update, check_all, check_deferred, check_unique
from shoal.catalog.connectors.urls import path_and_options
from shoal.catalog.declarations import (
    SYSTEM_COLUMNS,
    ColumnInfo,
    Constraint,
    Index,
    NumberSequence,
    TableDefinition,
    ViewDefinition,
)
from shoal.catalog.errors import (
    DependentObjectsStillExist,
    DuplicateColumn,
    DuplicateObject,
    DuplicateSchema,
    DuplicateTable,
    InvalidSchemaName,
    ObjectNotInPrerequisiteState,
    UndefinedTable,
    WrongObjectType,
)
from shoal.catalog.types import INT8

_ROWS_PER_SPLIT = 100_000
_KEPT_STATES = 4
"""States of tables kept for splits that were made without `begin`."""


class MemoryConnector(RoutineStore, Connector, SupportsWrite, SupportsSnapshot, SupportsSchemas, SupportsDefinitions,
                      SupportsTransactions):
    """Options: `max_bytes`, the most all tables together may hold (53200 beyond)."""

    kind: ClassVar[str] = "memory"
    placement = "coordinator"

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        _, options = path_and_options(definition, {"max_bytes"})
        self.store = MemoryStore()
        self.store.max_bytes = parse_size(options["max_bytes"], "max_bytes") if "max_bytes" in options else None
        self.session = ""
        self._unpinned: dict[int, Table] = {}

    def limit(self, max_bytes: int) -> None:
        """Bounds what all tables hold, unless the definition does."""
        if self.store.max_bytes is None:
            self.store.max_bytes = max_bytes

    def bytes_used(self) -> int:
        """Bytes that the rows of all tables hold."""
        return self.store.bytes_used()

    # --- transactions

    def seen_by(self, session: str) -> MemoryConnector:
        space = self.store.workspace(session)
        return self if space is None or space.is_empty else self.written_by(session)

    def written_by(self, session: str) -> MemoryConnector:
        if session == self.session:
            return self
        view = copy.copy(self)
        view.session = session
        return view

    def touched(self, session: str) -> int:
        space = self.store.workspace(session)
        return 0 if space is None or space.is_empty else 1 + space.definitions

    def mark(self, session: str) -> Mark:
        return self.store.mark(session)

    def restore(self, session: str, mark: object) -> None:
        assert isinstance(mark, Mark)
        self.store.restore(session, mark)

    def commit(self, session: str) -> None:
        check_deferred(self.store, session)
        self.store.commit(session)

    def rollback(self, session: str) -> None:
        self.store.rollback(session)

    def end_session(self, session: str) -> None:
        self.store.end(session)

    def follow(self, session: str) -> None:
        self.store.own(session).followed = True

    def latest(self, session: str, row_id: int) -> int:
        space = self.store.workspace(session)
        for before, after in space.moves if space is not None else ():
            place = np.flatnonzero(before == row_id)
            row_id = int(after[place[0]]) if len(place) else row_id
        return row_id

    def drop_temporary(self, session: str) -> None:
        space = self.store.workspace(session)
        if space is not None:
            for key in [*space.temporary]:
                self.store.put(session, key, None)

    def temporary_schema(self, session: str) -> str:
        return TEMPORARY + session

    # --- names

    def schemas(self) -> list[str]:
        return sorted(self.store.schema_comments(self.session))

    def schema_comment(self, schema: str) -> str:
        return self.store.schema_comments(self.session).get(schema, "")

    def tables(self, schema: str) -> list[TableName]:
        return [TableName(schema, key[1], version.definition.kind, version.definition.comment)
                for key, version in sorted(self._objects(schema)) if isinstance(version, Table)]

    def table(self, schema: str, name: str) -> TableHandle | None:
        found = self.store.find(self.session, (schema, name))
        return TableHandle(self.name, schema, name, found.definition.kind) if isinstance(found, Table) else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        definition = self.relation(handle).definition
        if definition.kind == "view":
            return definition.columns
        return (*definition.columns, ColumnInfo(self.ROW_ID, INT8, nullable=False, hidden=True))

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return self.relation(handle).definition.constraints

    def indexes(self, handle: TableHandle) -> tuple[Index, ...]:
        return self.relation(handle).definition.indexes

    def view(self, handle: TableHandle) -> ViewDefinition | None:
        definition = self.relation(handle).definition
        return definition.view if definition.kind == "view" else None

    def view_definition(self, handle: TableHandle, pretty: bool = False) -> str:
        view = self.relation(handle).definition.view
        return "" if view is None else " " + view.query + ";"

    def number_sequences(self, schema: str) -> tuple[NumberSequence, ...]:
        return tuple(replace(version.definition, last_value=version.counter.value if version.counter.called else None)
                     for _, version in sorted(self._objects(schema)) if isinstance(version, MemorySequence))

    def definition_of(self, handle: TableHandle) -> TableDefinition:
        return self.relation(handle).definition

    def number(self, handle: TableHandle) -> int:
        return self.relation(handle).number

    def numbered(self, number: int) -> TableHandle | None:
        return next((TableHandle(self.name, *key, version.definition.kind)
                     for key, version in self.store.objects(self.session).items()
                     if isinstance(version, Table) and version.number == number), None)

    def version(self) -> object:
        return (self.store.changes, self.touched(self.session) if self.session else 0)

    def statistics(self, handle: TableHandle) -> TableStatistics:
        table = self.relation(handle)
        if "all" not in table.known:
            table.known["all"] = statistics_of(table.definition.columns, table.segments)
        return table.known["all"]

    def close(self) -> None:
        self.store.committed, self.store.schemas, self.store.pins = {}, {"public": ""}, {}

    def _objects(self, schema: str) -> Iterator[tuple[Key, Object]]:
        return ((key, version) for key, version in self.store.objects(self.session).items() if key[0] == schema)

    def relation(self, handle: TableHandle) -> Table:
        """Raises: UndefinedTable (42P01)."""
        found = self.store.find(self.session, (handle.schema, handle.name))
        if not isinstance(found, Table):
            raise UndefinedTable(f'relation "{handle.schema}.{handle.name}" does not exist')
        return found

    # --- reading

    def begin(self, query_id: str, handle: TableHandle) -> TableHandle:
        with self.store.lock:
            if query_id not in self.store.pins:
                self.store.pins[query_id] = self.store.objects(self.session)
        return TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, {**handle.state, "query": query_id})

    def end(self, query_id: str) -> None:
        with self.store.lock:
            self.store.pins.pop(query_id, None)

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        state: Mapping[str, int] = {}
        if "query" in handle.state:
            table = self._pinned(handle)
        else:
            table = self.relation(handle)
            state = {"version": self._remember(table)}
        if not table.definition.populated:
            raise ObjectNotInPrerequisiteState(f'materialized view "{handle.name}" has not been populated',
                                               hint="Use the REFRESH MATERIALIZED VIEW command.")
        rows = table.rows
        if not rows:
            return []
        parts = max(1, min(max(target, 1), rows // _ROWS_PER_SPLIT))
        size_bytes = sum(segment.size_bytes for segment in table.segments)
        bounds = [rows * i // parts for i in range(parts + 1)]
        return [Split({**state, "first": first, "last": last}, last - first, size_bytes * (last - first) // rows)
                for first, last in itertools.pairwise(bounds)]

    def _remember(self, table: Table) -> int:
        """A number under which this state can be read for a while."""
        with self.store.lock:
            for number, version in self._unpinned.items():
                if version is table:
                    return number
            for number in list(self._unpinned)[:1 - _KEPT_STATES]:
                del self._unpinned[number]
            number = self.store.new_number()
            self._unpinned[number] = table
            return number

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        if "query" in handle.state:
            table = self._pinned(handle)
        else:
            found = self._unpinned.get(split.state["version"])
            if found is None:
                raise ObjectNotInPrerequisiteState(f'snapshot of "{handle.name}" is too old')
            table = found
        places = {c.name: i for i, c in enumerate(table.definition.columns)}
        require_columns(handle, columns, {*places, self.ROW_ID})
        positions = [places.get(name) for name in columns]
        offset = 0
        for segment in table.segments:
            first, last = max(split.state["first"] - offset, 0), min(split.state["last"] - offset, segment.rows)
            for start in range(first, last, batch_rows):
                rows = min(batch_rows, last - start)
                arrays = [segment.id_array if p is None else segment.columns[p] for p in positions]
                yield batch_of(columns, [array.slice(start, rows) for array in arrays], rows)
            offset += segment.rows

    def _pinned(self, handle: TableHandle) -> Table:
        found = self.store.pins.get(handle.state["query"], {}).get((handle.schema, handle.name))
        if not isinstance(found, Table):
            raise UndefinedTable(f'relation "{handle.schema}.{handle.name}" does not exist')
        return found

    # --- schemas, tables and views

    def create_schema(self, name: str) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            if name in self.store.schema_comments(session):
                raise DuplicateSchema(f'schema "{name}" already exists')
            self.store.put_schema(session, name, "")

    def comment_on_schema(self, schema: str, comment: str) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self.store.put_schema(session, schema, comment)

    def drop_schema(self, name: str, cascade: bool = False) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            if name not in self.store.schema_comments(session):
                raise InvalidSchemaName(f'schema "{name}" does not exist')
            inside = sorted(self._objects(name))
            if inside and not cascade:
                raise DependentObjectsStillExist(
                    f"cannot drop schema {name} because other objects depend on it",
                    detail="\n".join(f"{described(version, key)} depends on schema {name}"
                                     for key, version in inside
                                     if not (isinstance(version, MemorySequence) and version.definition.owner)),
                    hint="Use DROP ... CASCADE to drop the dependent objects too.")
            for key, _ in inside:
                self.store.put(session, key, None)
            self.store.put_schema(session, name, None)

    def create_table(self, schema: str, name: str, columns: Sequence[ColumnInfo]) -> TableHandle:
        return self.define(schema, name, TableDefinition(tuple(columns)))

    def define(self, schema: str, name: str, definition: TableDefinition) -> TableHandle:
        self._require_distinct(definition)
        with self.store.lock, self.store.writing(self.session) as session:
            self.require_free(session, schema, name)
            self.store.put(session, (schema, name), Table(self.store.new_number(), definition))
        return TableHandle(self.name, schema, name, definition.kind)

    def redefine(self, handle: TableHandle, definition: TableDefinition, rewrite: Rewrite | None = None,
                 name: str | None = None, schema: str | None = None, text: Text = plain_text) -> None:
        self._require_distinct(definition)
        old_key = (handle.schema, handle.name)
        key = (schema or handle.schema, name or handle.name)
        with self.store.lock, self.store.writing(self.session) as session:
            table = self.relation(handle)
            if key != old_key:
                self.require_free(session, *key)
                self.store.put(session, old_key, None)
            segments = table.segments
            if rewrite is not None:
                segments = tuple(segment_of(s.ids, rewrite(s.columns, s.rows), definition.columns) for s in segments)
            self.store.put(session, key, replace(table, definition=definition, segments=segments, known={}))
            for constraint in definition.constraints:
                if constraint not in table.definition.constraints and constraint.name not in {
                        c.name for c in table.definition.constraints}:
                    check_all(self.store, session, key, constraint, text)
            for index in definition.indexes:
                if index.unique and (index not in table.definition.indexes or rewrite is not None):
                    check_unique(self.store, session, key, index.name, text)

    def drop_table(self, handle: TableHandle) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self.relation(handle)
            self.store.put(session, (handle.schema, handle.name), None)

    def _require_distinct(self, definition: TableDefinition) -> None:
        seen: set[str] = {self.ROW_ID}
        for column in definition.columns:
            if column.name in SYSTEM_COLUMNS and definition.kind != "view":
                raise DuplicateColumn(f'column name "{column.name}" conflicts with a system column name')
            if column.name in seen:
                raise DuplicateColumn(f'column "{column.name}" specified more than once')
            seen.add(column.name)

    def require_free(self, session: str, schema: str, name: str) -> None:
        """Raises: InvalidSchemaName (3F000), DuplicateTable (42P07)."""
        if schema not in self.store.schema_comments(session) and schema != TEMPORARY + session:
            raise InvalidSchemaName(f'schema "{schema}" does not exist')
        found = self.store.find(session, (schema, name))
        if isinstance(found, MemoryType):
            raise DuplicateObject(f'type "{name}" already exists', hint=(
                "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any "
                "existing type."))
        if found is not None or self._index_owner(schema, name) is not None:
            raise DuplicateTable(f'relation "{name}" already exists')

    def _index_owner(self, schema: str, name: str) -> Key | None:
        """The table of the index of this name."""
        return next((key for key, version in self._objects(schema) if isinstance(version, Table) and name in {
            *(index.name for index in version.definition.indexes),
            *(c.name for c in version.definition.constraints if c.kind in ("primary", "unique"))}), None)

    def index_owner(self, schema: str, name: str) -> TableHandle | None:
        """The table that has the index of this name, its keys' own included."""
        key = self._index_owner(schema, name)
        return None if key is None else self.table(*key)

    # --- sequences

    def define_sequence(self, schema: str, definition: NumberSequence) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self.require_free(session, schema, definition.name)
            self.store.put(session, (schema, definition.name),
                           MemorySequence(self.store.new_number(), definition, Counter(definition.start)))

    def redefine_sequence(self, schema: str, name: str, definition: NumberSequence | None,
                          new_schema: str | None = None) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            sequence = self._sequence(schema, name)
            key = (new_schema or schema, name if definition is None else definition.name)
            if definition is None or key != (schema, name):
                if definition is not None:
                    self.require_free(session, *key)
                self.store.put(session, (schema, name), None)
            if definition is not None:
                self.store.put(session, key, replace(sequence, definition=definition))

    def next_values(self, schema: str, name: str, count: int) -> list[int]:
        return self.store.next_values(self.session, self._sequence(schema, name), count)

    def last_value(self, schema: str | None = None, name: str | None = None) -> int:
        sequence = None if schema is None or name is None else self._sequence(schema, name)
        return self.store.last_value(self.session, sequence)

    def set_value(self, schema: str, name: str, value: int, called: bool) -> None:
        self.store.set_value(self.session, self._sequence(schema, name), value, called)

    def has_sequence(self, schema: str, name: str) -> bool:
        return isinstance(self.store.find(self.session, (schema, name)), MemorySequence)

    def _sequence(self, schema: str, name: str) -> MemorySequence:
        found = self.store.find(self.session, (schema, name))
        if found is None:
            raise UndefinedTable(f'relation "{name}" does not exist')
        if not isinstance(found, MemorySequence):
            raise WrongObjectType(f'"{name}" is not a sequence')
        return found

    # --- rows

    def truncate(self, handle: TableHandle) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self.store.put(session, (handle.schema, handle.name), self.relation(handle).changed(()), defines=False)

    def is_fresh(self, handle: TableHandle) -> bool:
        key = (handle.schema, handle.name)
        own, seen = self.store.find(self.session, key), self.store.committed.get(key)
        return own is not seen and isinstance(own, Table) and (
            not isinstance(seen, Table) or seen.number != own.number or not set(seen.segments) & set(own.segments))

    def insert(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        return Insert(self, handle, text)

    def refill(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        return Refill(self, handle, text)

    def delete(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        return Delete(self, handle, text)

    def update(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        return Update(self, handle, text)
