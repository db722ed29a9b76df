"""Writers of memory tables: batches wait, and at the end all of them become the next version, if the keys allow it.

Unique keys are checked over the added rows, foreign keys in both directions; what follows from ON DELETE and ON UPDATE is
done here too. Wording: nbtree's _bt_check_unique and ri_triggers.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.access import quoted
from shoal.catalog.connector import ConflictWriter, TableHandle, Text, Writer, plain_text
from shoal.catalog.connectors.memory_keys import Columns, first_missing, first_repeated, matches, members
from shoal.catalog.connectors.memory_segments import (
    Segment,
    compacted,
    concatenated,
    segment_of,
    with_updates,
    without,
)
from shoal.catalog.connectors.memory_store import Key, MemoryStore, Table
from shoal.catalog.declarations import Constraint, KeysOfRows, TableDefinition
from shoal.catalog.errors import (
    FeatureNotSupported,
    ForeignKeyViolation,
    NotNullViolation,
    SerializationFailure,
    UndefinedTable,
    UniqueViolation,
)
from shoal.catalog.types import SqlType

if TYPE_CHECKING:
    from shoal.catalog.connectors.memory import MemoryConnector


_SHOWN_BYTES = 64


class MemoryWriter(Writer):
    """What the three writers share. `text` spells values for errors."""

    skipped = 0
    """Columns of a batch before the table's own."""

    def __init__(self, connector: MemoryConnector, handle: TableHandle, text: Text = plain_text) -> None:
        self.connector, self.handle, self.text = connector, handle, text
        self.store: MemoryStore = connector.store
        self.session = connector.session
        self.table = connector.relation(handle)
        self.batches: list[pa.RecordBatch] = []
        self.size_bytes = 0

    def append(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self._require_values(batch)
            self.size_bytes += batch.nbytes
            self.store.require_room(self.connector.name, self.size_bytes)
            self.batches.append(batch)

    def _require_values(self, batch: pa.RecordBatch) -> None:
        """Raises: NotNullViolation (23502) for the first row with a NULL where none may be."""
        worst: tuple[int, int] | None = None
        for position, column in enumerate(self.table.definition.columns):
            values = batch.column(self.skipped + position)
            if not column.nullable and values.null_count:
                row = int(np.flatnonzero(np.asarray(values.is_null()))[0])
                worst = min(worst or (row, position), (row, position))
        if worst is None:
            return
        row, position = worst
        error = NotNullViolation(
            f'null value in column "{self.table.definition.columns[position].name}" of relation "{self.handle.name}" '
            "violates not-null constraint", detail=f"Failing row contains ({self.shown_row(batch, row)}).").about(
                schema=self.handle.schema, table=self.handle.name, column=self.table.definition.columns[position].name)
        error.row = row
        raise error

    def shown_row(self, batch: pa.RecordBatch, row: int) -> str:
        """The row as details of errors have it."""
        found = []
        for position, column in enumerate(self.table.definition.columns):
            text = self.text(batch.column(self.skipped + position).slice(row, 1), column.type)[0].as_py()
            found.append("null" if text is None else text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "...")
        return ", ".join(found)

    def gone(self, ids: np.ndarray) -> np.ndarray | None:
        found = np.ones(len(ids), np.bool_)
        for segment in self.connector.relation(self.handle).segments:
            found &= ~np.isin(ids, segment.ids)
        return found

    def commit(self) -> None:
        if self.batches:
            with self.store.lock, self.store.writing(self.session) as session:
                key = (self.handle.schema, self.handle.name)
                now = self.store.find(session, key)
                if not isinstance(now, Table) or now.number != self.table.number:
                    raise SerializationFailure(f'table "{self.handle.name}" was dropped by another statement')
                self.change(Change(self.store, session, self.text, self.after_others), key, now)
        self.batches = []

    def abort(self) -> None:
        self.batches = []

    def change(self, change: Change, key: Key, table: Table) -> None:
        raise NotImplementedError

    def row_ids(self) -> np.ndarray:
        return np.concatenate([batch.column(0).to_numpy(zero_copy_only=False) for batch in self.batches])

    def values(self, table: Table, skipped: int) -> list[pa.Array]:
        return [concatenated([batch.column(i + skipped) for batch in self.batches], column.type)
                for i, column in enumerate(table.definition.columns)]


class Insert(MemoryWriter, ConflictWriter):
    def change(self, change: Change, key: Key, table: Table) -> None:
        change.insert(key, table, self._added(table))

    def _added(self, table: Table) -> list[Segment]:
        return [segment_of(self.store.new_ids(b.num_rows), b.columns, table.definition.columns) for b in self.batches]

    def conflicts(self, batch: pa.RecordBatch, key: str) -> tuple[np.ndarray, np.ndarray]:
        found = next(unique for unique in unique_keys(self.table.definition) if unique.name == key)
        return matches(found.of(batch.columns), [found.of_segment(segment) for segment in self._now().segments], found.types)

    def existing(self, numbers: np.ndarray) -> pa.RecordBatch:
        table = self._now()
        ids = np.concatenate([segment.ids for segment in table.segments])
        columns = [concatenated([s.columns[i] for s in table.segments], c.type).take(pa.array(numbers))
                   for i, c in enumerate(table.definition.columns)]
        return pa.RecordBatch.from_arrays([pa.array(ids[numbers]), *columns],
                                          names=[self.connector.ROW_ID, *(c.name for c in table.definition.columns)])

    def _now(self) -> Table:
        return self.connector.relation(self.handle)


class Refill(Insert):
    def commit(self) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            table = self._now()
            definition = replace(table.definition, populated=True)
            emptied = replace(table, definition=definition, segments=(), known={})
            self.store.put(session, (self.handle.schema, self.handle.name), emptied, defines=not table.definition.populated)
            Change(self.store, session, self.text).insert((self.handle.schema, self.handle.name), emptied,
                                                          self._added(emptied))
        self.batches = []


class Delete(MemoryWriter):
    def append(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows:
            self.batches.append(batch)

    def change(self, change: Change, key: Key, table: Table) -> None:
        change.delete(key, table, np.unique(self.row_ids()))


class Update(MemoryWriter):
    skipped = 1

    def change(self, change: Change, key: Key, table: Table) -> None:
        ids, first = np.unique(self.row_ids(), return_index=True)  # of several matches of a row the first counts
        change.update(key, table, ids, [column.take(pa.array(first)) for column in self.values(table, 1)])


class Change:
    """The changes of one statement, with what they lead to in other tables."""

    def __init__(self, store: MemoryStore, session: str, text: Text, after_others: bool = False) -> None:
        self.store, self.session, self.text, self.after_others = store, session, text, after_others

    # --- the three changes

    def insert(self, key: Key, table: Table, added: Sequence[Segment]) -> None:
        if not added:
            return
        self._require_unique(key, table, [segment.columns for segment in added], table.segments)
        self._put(key, table, compacted((*table.segments, *added), table.definition.columns))
        self._require_referenced(key, table, [segment.columns for segment in added])

    def delete(self, key: Key, table: Table, ids: np.ndarray) -> None:
        old = _rows_of(table, ids) if self._referencing(key) else None
        kept, found = without(table.segments, ids)
        self._require_all(found, len(ids))
        self._put(key, table, kept)
        if old is not None:
            self._after_removal(key, old, None)

    def update(self, key: Key, table: Table, ids: np.ndarray, values: list[pa.Array]) -> None:
        columns = table.definition.columns
        old = _rows_of(table, ids) if self._referencing(key) else None
        kept = without(table.segments, ids)[0] if any(True for _ in unique_keys(table.definition)) else ()
        self._require_unique(key, table, [values], kept)
        changed, found = with_updates(table.segments, ids, np.arange(len(ids)), [[column] for column in values], columns,
                                      self.store.new_ids)
        self._require_all(found, len(ids))
        space = self.store.workspace(self.session)
        if space is not None and space.followed:
            for before, after in zip(table.segments, changed, strict=True):
                moved = before.ids != after.ids
                space.moves.append((before.ids[moved], after.ids[moved]))
        self._put(key, table, changed)
        self._require_referenced(key, table, [values])
        if old is not None:
            self._after_removal(key, old, values)

    def _require_all(self, found: int, wanted: int) -> None:
        """Raises: SerializationFailure (40001) where others have changed the rows, and no part of the same statement."""
        if found != wanted and not self.after_others:
            raise SerializationFailure("could not serialize access due to concurrent update",
                                       hint="Run the statement again.")

    def _put(self, key: Key, table: Table, segments: tuple[Segment, ...]) -> None:
        self.store.put(self.session, key, table.changed(segments), defines=False)

    # --- unique keys

    def _require_unique(self, key: Key, table: Table, added: Sequence[Columns], kept: Sequence[Segment]) -> None:
        whole: list[pa.Array] = []
        for unique in unique_keys(table.definition):
            whole = whole or [concatenated([group[place] for group in added], column.type)
                              for place, column in enumerate(table.definition.columns)]
            fresh = unique.of(whole)
            row = first_repeated(fresh, [unique.of_segment(segment) for segment in kept], unique.types)
            if row is not None:
                shown = self._shown(unique.labels, fresh, unique.types, row)
                error = UniqueViolation(f'duplicate key value violates unique constraint "{unique.name}"',
                                        detail=f"Key {shown} already exists.").about(
                                            schema=key[0], table=key[1], constraint=unique.name)
                error.row = row
                raise error

    def require_distinct(self, key: Key, table: Table, unique: UniqueKey) -> None:
        """Raises: UniqueViolation (23505) for the first row of a table that repeats another's new key."""
        groups = [unique.of_segment(segment) for segment in table.segments]
        values = [concatenated([group[place] for group in groups], t) for place, t in enumerate(unique.types)]
        row = first_repeated(values, [], unique.types)
        if row is not None:
            raise UniqueViolation(
                f'could not create unique index "{unique.name}"',
                detail=f"Key {self._shown(unique.labels, values, unique.types, row)} is duplicated.").about(
                    schema=key[0], table=key[1], constraint=unique.name)

    def _shown(self, columns: Sequence[str], values: Columns, types: Sequence[SqlType], row: int) -> str:
        texts = [self.text(value.slice(row, 1), t)[0].as_py() for value, t in zip(values, types, strict=True)]
        return f"({', '.join(columns)})=({', '.join('null' if text is None else text for text in texts)})"

    # --- foreign keys

    def _require_referenced(self, key: Key, table: Table, added: Sequence[Columns]) -> None:
        for constraint in table.definition.constraints:
            if constraint.kind != "foreign":
                continue
            if constraint.deferred:
                self.store.own(self.session).deferred.add(key)
                continue
            self.require_referenced(key, table, constraint, added)

    def require_referenced(self, key: Key, table: Table, constraint: Constraint, groups: Sequence[Columns]) -> None:
        """Raises: ForeignKeyViolation (23503) for a row of `groups` that points to nothing."""
        if not groups:
            return
        assert constraint.references is not None
        target = self.store.find(self.session, constraint.references)
        if not isinstance(target, Table):
            raise UndefinedTable(f'relation "{".".join(constraint.references)}" does not exist')
        places, types = _places(table, constraint.columns)
        fresh = [concatenated([group[place] for group in groups], t) for place, t in zip(places, types, strict=True)]
        theirs, _ = _places(target, constraint.referenced_columns)
        row = first_missing(fresh, [[segment.columns[place] for place in theirs] for segment in target.segments], types)
        if row is not None:
            raise ForeignKeyViolation(
                f'insert or update on table "{key[1]}" violates foreign key constraint "{constraint.name}"',
                detail=f"Key {self._shown(constraint.columns, fresh, types, row)} is not present in table "
                       f'"{constraint.references[1]}".').about(schema=key[0], table=key[1], constraint=constraint.name)

    def _referencing(self, key: Key) -> list[tuple[Key, Constraint]]:
        return [(other, constraint) for other, version in self.store.objects(self.session).items()
                if isinstance(version, Table) for constraint in version.definition.constraints
                if constraint.kind == "foreign" and constraint.references == key]

    def _after_removal(self, key: Key, old: list[pa.Array], new: list[pa.Array] | None) -> None:
        """What foreign keys that point to `key` make of rows that are gone (or have the values `new` now)."""
        for other, constraint in self._referencing(key):
            child = self.store.find(self.session, other)
            parent = self.store.find(self.session, key)
            if not isinstance(child, Table) or not isinstance(parent, Table) or not child.segments:
                continue
            theirs, types = _places(parent, constraint.referenced_columns)
            removed = [old[place] for place in theirs]
            gone = np.ones(len(removed[0]), np.bool_)
            for segment in parent.segments:
                gone &= ~members(removed, [segment.columns[place] for place in theirs], types)
            if not gone.any():
                continue
            chosen = pa.array(np.flatnonzero(gone))
            removed = [column.take(chosen) for column in removed]
            mine, _ = _places(child, constraint.columns)
            hit = [(segment, members([segment.columns[place] for place in mine], removed, types))
                   for segment in child.segments]
            if not any(mask.any() for _, mask in hit):
                continue
            action = constraint.on_delete if new is None else constraint.on_update
            if constraint.deferred and action == "a":
                self.store.own(self.session).deferred.add(other)
            elif action in ("a", "r"):
                segment, mask = next((s, m) for s, m in hit if m.any())
                row = self._first_of(removed, segment, mask, mine, types)
                raise ForeignKeyViolation(
                    f'update or delete on table "{key[1]}" violates foreign key constraint "{constraint.name}" on table '
                    f'"{other[1]}"',
                    detail=f"Key {self._shown(constraint.referenced_columns, removed, types, row)} is still referenced from "
                           f'table "{other[1]}".').about(schema=other[0], table=other[1], constraint=constraint.name)
            else:
                replacement = None if new is None else [new[place].take(chosen) for place in theirs]
                self._cascade(other, child, action, hit, removed, replacement, mine, types)

    @staticmethod
    def _first_of(removed: Columns, segment: Segment, mask: np.ndarray, places: Sequence[int],
                  types: Sequence[SqlType]) -> int:
        chosen = pa.array(np.flatnonzero(mask))
        used = members(removed, [segment.columns[place].take(chosen) for place in places], types)
        return int(np.flatnonzero(used)[0])

    def _cascade(self, key: Key, child: Table, action: str,
                 hit: Sequence[tuple[Segment, np.ndarray]], removed: Columns, replacement: list[pa.Array] | None,
                 places: Sequence[int], types: Sequence[SqlType]) -> None:
        ids = np.sort(np.concatenate([segment.ids[mask] for segment, mask in hit]))
        if action == "c" and replacement is None:
            self.delete(key, child, ids)
            return
        if action == "d":
            raise FeatureNotSupported("SET DEFAULT of a foreign key is not supported")
        values = _rows_of(child, ids)
        if action == "n":
            for place in places:
                values[place] = pa.nulls(len(ids), values[place].type)
        else:
            assert replacement is not None
            found, _ = matches([values[place] for place in places], [removed], types)
            for place, fresh in zip(places, replacement, strict=True):
                values[place] = fresh.take(pa.array(found))
        self.update(key, child, ids, values)


def check_deferred(store: MemoryStore, session: str, text: Text = plain_text) -> None:
    """Raises: ForeignKeyViolation (23503) for the first deferred constraint that does not hold at the end."""
    space = store.workspace(session)
    if space is None or not space.deferred:
        return
    change = Change(store, session, text)
    for key in sorted(space.deferred):
        table = store.find(session, key)
        if isinstance(table, Table):
            for constraint in table.definition.constraints:
                if constraint.kind == "foreign" and constraint.deferred:
                    change.require_referenced(key, table, constraint, [segment.columns for segment in table.segments])


def check_all(store: MemoryStore, session: str, key: Key, constraint: Constraint, text: Text) -> None:
    """Whether a key that is declared now holds for the rows there are. Raises: UniqueViolation (23505)
    `could not create unique index`, ForeignKeyViolation (23503)."""
    table = store.find(session, key)
    if not isinstance(table, Table) or not table.segments:
        return
    if constraint.kind == "foreign":
        groups = [segment.columns for segment in table.segments]
        Change(store, session, text).require_referenced(key, table, constraint, groups)
    elif constraint.kind in ("primary", "unique"):
        check_unique(store, session, key, constraint.name, text)


def check_unique(store: MemoryStore, session: str, key: Key, name: str, text: Text) -> None:
    """Whether the unique key of this name, declared now, holds for the rows there are. Raises: UniqueViolation (23505)."""
    table = store.find(session, key)
    if isinstance(table, Table) and table.segments:
        unique = next((unique for unique in unique_keys(table.definition) if unique.name == name), None)
        if unique is not None:
            Change(store, session, text).require_distinct(key, table, unique)


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique key or index of a table. `labels`: its columns as errors have them."""

    name: str
    labels: tuple[str, ...]
    types: tuple[SqlType, ...]
    places: tuple[int, ...]
    """Of its columns in the table; none where `keys_of` computes them."""
    names: tuple[str, ...] = ()
    """Of the table's columns, which `keys_of` takes."""
    keys_of: KeysOfRows | None = None

    def of(self, columns: Columns) -> Columns:
        """The keys of rows: NULL for those that may repeat others."""
        if self.keys_of is None:
            return [columns[place] for place in self.places]
        return list(self.keys_of(dict(zip(self.names, columns, strict=True))))

    def of_segment(self, segment: Segment) -> Columns:
        if self.keys_of is None:
            return self.of(segment.columns)
        if self.keys_of not in segment.keys:
            segment.keys[self.keys_of] = list(self.of(segment.columns))
        return segment.keys[self.keys_of]


def unique_keys(definition: TableDefinition) -> Iterator[UniqueKey]:
    """All that must be unique in a table."""
    places = {column.name: place for place, column in enumerate(definition.columns)}
    types = {column.name: column.type for column in definition.columns}
    for constraint in definition.constraints:
        if constraint.kind in ("primary", "unique"):
            yield UniqueKey(constraint.name, tuple(map(quoted, constraint.columns)),
                            tuple(types[name] for name in constraint.columns),
                            tuple(places[name] for name in constraint.columns))
    for index in definition.indexes:
        if not index.unique:
            continue
        made = {f"({e.text})": (e.pretty if e.is_call else f"({e.pretty})", e.type) for e in index.expressions}
        keys = [made[name] if name in made else (quoted(name), types[name]) for name in index.key_columns]
        yield UniqueKey(index.name, tuple(label for label, _ in keys), tuple(t for _, t in keys),
                        () if index.keys_of is not None else tuple(places[name] for name in index.key_columns),
                        tuple(places), index.keys_of)


def _places(table: Table, columns: Sequence[str]) -> tuple[list[int], list[SqlType]]:
    places = [next(i for i, c in enumerate(table.definition.columns) if c.name == name) for name in columns]
    return places, [table.definition.columns[place].type for place in places]


def _rows_of(table: Table, ids: np.ndarray) -> list[pa.Array]:
    """All columns of the rows with these sorted ids, in their order."""
    parts: list[list[pa.Array]] = []
    found_ids: list[np.ndarray] = []
    for segment in table.segments:
        hits = np.flatnonzero(np.isin(segment.ids, ids))
        if len(hits):
            found_ids.append(segment.ids[hits])
            parts.append([column.take(pa.array(hits)) for column in segment.columns])
    if not parts:
        return [pa.nulls(0, pa.int64()) for _ in table.definition.columns]
    order = pa.array(np.argsort(np.concatenate(found_ids)))
    return [concatenated([part[i] for part in parts], c.type).take(order)
            for i, c in enumerate(table.definition.columns)]
