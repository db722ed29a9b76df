"""Functions and types that users make in a memory catalog: objects of its store as tables are. No hop: names only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from shoal.catalog.connector import SupportsRoutines
from shoal.catalog.connectors.memory_store import (
    TEMPORARY,
    Key,
    MemoryFunction,
    MemorySequence,
    MemoryStore,
    MemoryType,
    Object,
    Table,
    function_key,
)
from shoal.catalog.declarations import ColumnInfo, EnumType, FunctionDefinition, TypeDefinition
from shoal.catalog.errors import DuplicateObject, InvalidSchemaName


class RoutineStore(SupportsRoutines):
    """The part of the memory connector that keeps them."""

    store: MemoryStore
    session: str

    def functions(self, schema: str) -> tuple[FunctionDefinition, ...]:
        return tuple(v.definition for v in self._in(schema) if isinstance(v, MemoryFunction))

    def redefine_function(self, schema: str, old: FunctionDefinition | None, new: FunctionDefinition | None) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self._require_schema(session, schema)
            number = self.store.new_number()
            if old is not None:
                key = function_key(schema, old)
                found = self.store.find(session, key)
                number = found.number if found is not None else number
                self.store.put(session, key, None)
            if new is not None:
                self.store.put(session, function_key(schema, new), MemoryFunction(number, new))

    def type_definitions(self, schema: str) -> tuple[TypeDefinition, ...]:
        return tuple(v.definition for v in self._in(schema) if isinstance(v, MemoryType))

    def redefine_type(self, schema: str, old: TypeDefinition | None, new: TypeDefinition | None) -> None:
        with self.store.lock, self.store.writing(self.session) as session:
            self._require_schema(session, schema)
            number = self.store.new_number()
            if old is not None:
                found = self.store.find(session, (schema, old.name))
                number = found.number if found is not None else number
                self.store.put(session, (schema, old.name), None)
            if new is not None:
                if self.store.find(session, (schema, new.name)) is not None:
                    raise DuplicateObject(f'type "{new.name}" already exists')
                self.store.put(session, (schema, new.name), MemoryType(number, new))
            if old is not None and new is not None and old.kind == "enum":
                self._relabel(session, old, new)

    def enums(self, schema: str) -> tuple[EnumType, ...]:
        return tuple(EnumType(t.name, t.labels, t.comment) for t in self.type_definitions(schema) if t.kind == "enum")

    def _relabel(self, session: str, old: TypeDefinition, new: TypeDefinition) -> None:
        """Columns of an enum type know its labels, and hold them."""
        renamed = {a: b for a, b in zip(old.labels, new.labels, strict=False) if a != b} if len(old.labels) == len(
            new.labels) else {}
        for key, version in self.store.objects(session).items():
            if not isinstance(version, Table):
                continue
            columns = tuple(self._relabeled(info, old, new) for info in version.definition.columns)
            changed = [a is not b for a, b in zip(columns, version.definition.columns, strict=True)]
            if any(changed):
                segments = tuple(
                    replace(s, columns=tuple(_renamed(array, renamed) if hit and renamed else array
                                             for array, hit in zip(s.columns, changed, strict=True)))
                    for s in version.segments)
                definition = replace(version.definition, columns=columns)
                self.store.put(session, key, replace(version, definition=definition, segments=segments, known={}))

    @staticmethod
    def _relabeled(info: ColumnInfo, old: TypeDefinition, new: TypeDefinition) -> ColumnInfo:
        user = info.type.user
        if user is None or user.labels != old.labels or user.name.rpartition(".")[2].strip('"') != old.name:
            return info
        return replace(info, type=replace(info.type, user=replace(user, labels=new.labels)))

    def _in(self, schema: str) -> Iterator[Object]:
        return (version for key, version in sorted(self.store.objects(self.session).items(), key=lambda item: item[0])
                if key[0] == schema)

    def _require_schema(self, session: str, schema: str) -> None:
        if schema not in self.store.schema_comments(session) and schema != TEMPORARY + session:
            raise InvalidSchemaName(f'schema "{schema}" does not exist')


def described(version: Object, key: Key) -> str:
    """What messages call an object."""
    schema, name = key
    match version:
        case MemorySequence():
            return f"sequence {schema}.{name}"
        case MemoryFunction():
            return f"function {schema}.{name[1:]}"
        case MemoryType():
            return f"type {schema}.{name}"
        case Table():
            return f"{version.definition.kind.replace('_', ' ')} {schema}.{name}"


def _renamed(array: pa.Array, labels: dict[str, str]) -> pa.Array:
    """Labels, or arrays of them, under their new names."""
    if pa.types.is_list(array.type):
        values = [None if row is None else [labels.get(v, v) for v in row] for row in array.to_pylist()]
    else:
        values = [labels.get(v, v) for v in array.to_pylist()]
    return pa.array(values, array.type)
