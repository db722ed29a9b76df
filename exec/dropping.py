"""DROP: relations, sequences, indexes and schemas, with what depends on them. Blocks; runs in a thread.

Wording: dependency.c and tablecmds.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import Connector, SupportsDefinitions, SupportsSchemas, TableHandle
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    DependentObjectsStillExist,
    FeatureNotSupported,
    InvalidSchemaName,
    SqlError,
    UndefinedObject,
    UndefinedTable,
    WrongObjectType,
)
from shoal.exec.commands import KINDS, Commands
from shoal.exec.dependencies import Dependents, depends, kind_word, relations
from shoal.exec.sql import bound as b

_HINTS = {"table": "Use DROP TABLE to remove a table.", "view": "Use DROP VIEW to remove a view.",
          "materialized_view": "Use DROP MATERIALIZED VIEW to remove a materialized view.",
          "sequence": "Use DROP SEQUENCE to remove a sequence."}
_CASCADE = "Use DROP ... CASCADE to drop the dependent objects too."


class Dropping:
    """The DROP statements of one session."""

    def __init__(self, commands: Commands) -> None:
        self.commands = commands

    def drop(self, command: b.Drop) -> None:
        if command.kind == "INDEX":
            self._drop_indexes(command)
            return
        if command.kind == "SEQUENCE":
            self._drop_sequences(command)
            return
        found: list[ResolvedTable] = []
        for parts in command.names:
            kind = command.kind.lower()
            try:
                table = self.commands.namespace.resolve(parts)
            except (UndefinedTable, InvalidSchemaName) as error:
                missing = error.message if isinstance(error, InvalidSchemaName) else f'{kind} "{parts[-1]}" does not exist'
                if not command.if_exists or self.commands.sequence(parts) is not None:
                    self._wrong_kind(parts, command.kind)
                    raise type(error)(missing, hint=error.hint) from None
                self.commands.skip(missing)
                continue
            if table.handle.kind not in KINDS[command.kind]:
                article = "a" if command.kind != "INDEX" else "an"
                raise WrongObjectType(f'"{parts[-1]}" is not {article} {kind}', hint=_HINTS.get(table.handle.kind, ""))
            found.append(table)
        self.drop_tables(found, command.cascade)

    def _wrong_kind(self, parts: b.Parts, kind: str) -> None:
        if self.commands.sequence(parts) is not None:
            raise WrongObjectType(f'"{parts[-1]}" is not a {kind.lower()}', hint=_HINTS["sequence"])

    def drop_tables(self, found: Sequence[ResolvedTable], cascade: bool) -> None:
        """Drops relations with what depends on them. Raises: DependentObjectsStillExist (2BP01) unless `cascade`."""
        dropped = {(t.handle.catalog, t.handle.schema, t.handle.name) for t in found}
        dependents = Dependents()
        for table in found:
            connector = self.commands.written(table.connector)
            if isinstance(connector, SupportsDefinitions):
                depends(connector, table.handle, dropped, dependents)
        if dependents.found and not cascade:
            first = found[0].handle
            raise DependentObjectsStillExist(
                f"cannot drop {kind_word(first)} {self.commands.shown(first)} because other objects depend on it"
                if len(found) == 1 else "cannot drop desired object(s) because other objects depend on them",
                detail="\n".join(d.description(self.commands.shown) for d in dependents.found), hint=_CASCADE)
        self.commands.tell_cascade([d.victim(self.commands.shown) for d in dependents.found])
        for dependent in dependents.found:
            dependent.drop()
        for table in found:
            self._drop_one(table)

    def _drop_one(self, table: ResolvedTable) -> None:
        connector = self.commands.writable(table.connector)
        if isinstance(connector, SupportsDefinitions) and isinstance(connector, Connector):
            for sequence in connector.number_sequences(table.handle.schema):
                if sequence.owner is not None and sequence.owner[0] == table.handle.name:
                    connector.redefine_sequence(table.handle.schema, sequence.name, None)
        connector.drop_table(table.handle)

    def _drop_sequences(self, command: b.Drop) -> None:
        for parts in command.names:
            found = self.commands.sequence(parts)
            if found is None:
                try:
                    table = self.commands.namespace.resolve(parts)
                except SqlError:
                    table = None
                if table is not None:
                    raise WrongObjectType(f'"{parts[-1]}" is not a sequence', hint=_HINTS.get(table.handle.kind, ""))
                if not command.if_exists:
                    raise UndefinedTable(f'sequence "{parts[-1]}" does not exist')
                self.commands.skip(f'sequence "{parts[-1]}" does not exist')
                continue
            self._drop_sequence(found[0], found[1], found[2], command.cascade)

    def _drop_sequence(self, connector: SupportsDefinitions, schema: str, name: str, cascade: bool) -> None:
        assert isinstance(connector, Connector)
        info = next(s for s in connector.number_sequences(schema) if s.name == name)
        users: list[tuple[TableHandle, ColumnInfo]] = []
        for table in connector.tables(schema):
            handle = connector.table(schema, table.name)
            assert handle is not None
            users += [(handle, c) for c in connector.definition_of(handle).columns
                      if f"'{name}'" in c.default or f"{schema}.{name}'" in c.default]
        if info.identity and users:
            raise DependentObjectsStillExist(
                f"cannot drop sequence {name} because column {users[0][1].name} of table {users[0][0].name} requires it",
                hint=f"You can drop column {users[0][1].name} of table {users[0][0].name} instead.")
        if users and not cascade:
            raise DependentObjectsStillExist(
                f"cannot drop sequence {name} because other objects depend on it", detail="\n".join(
                    f"default value for column {c.name} of table {handle.name} depends on sequence {name}"
                    for handle, c in users), hint=_CASCADE)
        self.commands.tell_cascade([f"default value for column {c.name} of table {handle.name}" for handle, c in users])
        for handle, column in users:
            definition = connector.definition_of(handle)
            connector.redefine(handle, replace(definition, columns=tuple(
                replace(c, default="") if c.name == column.name else c for c in definition.columns)))
        connector.redefine_sequence(schema, name, None)

    def _drop_indexes(self, command: b.Drop) -> None:
        drops: list[tuple[SupportsDefinitions, TableHandle, str]] = []
        for parts in command.names:
            found = self.commands.index(parts)
            if found is None:
                if not command.if_exists:
                    raise UndefinedObject(f'index "{parts[-1]}" does not exist')
                self.commands.skip(f'index "{parts[-1]}" does not exist')
                continue
            connector, handle = found
            definition = connector.definition_of(handle)
            if any(c.name == parts[-1] for c in definition.constraints):
                raise DependentObjectsStillExist(
                    f"cannot drop index {parts[-1]} because constraint {parts[-1]} on table {handle.name} requires it",
                    hint=f"You can drop constraint {parts[-1]} on table {handle.name} instead.")
            drops.append((connector, handle, parts[-1]))
        for connector, handle, name in drops:
            now = connector.definition_of(handle)
            connector.redefine(handle, replace(now, indexes=tuple(i for i in now.indexes if i.name != name)))

    def drop_schemas(self, command: b.DropSchema) -> None:
        for parts in command.schemas:
            connector, schema = self.commands.namespace.schema_target(parts)
            found = self.commands.written(connector)
            if not isinstance(found, SupportsSchemas):
                raise FeatureNotSupported(f'schemas cannot be dropped in catalog "{connector.name}"')
            try:
                if isinstance(found, SupportsDefinitions) and schema in found.schemas():
                    self._empty_schema(found, schema, command.cascade)
                found.drop_schema(schema, command.cascade)
            except InvalidSchemaName:
                if not command.if_exists:
                    raise
                self.commands.skip(f'schema "{schema}" does not exist')

    def _empty_schema(self, connector: Connector, schema: str, cascade: bool) -> None:
        """Drops what depends from outside on what is in it. Raises: DependentObjectsStillExist (2BP01) unless `cascade`."""
        assert isinstance(connector, SupportsDefinitions)
        handles = [handle for handle in relations(connector) if handle.schema == schema]
        dropped = {(handle.catalog, handle.schema, handle.name) for handle in handles}
        dependents = Dependents()
        for handle in handles:
            depends(connector, handle, dropped, dependents)
        visible = schema in self.commands.namespace.search_path
        inside = [*(f"{kind_word(handle)} {self.commands.shown(handle)}" for handle in handles),
                  *(f"sequence {s.name if visible else f'{schema}.{s.name}'}"
                    for s in connector.number_sequences(schema) if s.owner is None)]
        if inside and not cascade:
            raise DependentObjectsStillExist(
                f"cannot drop schema {schema} because other objects depend on it", detail="\n".join(
                    [*(f"{what} depends on schema {schema}" for what in inside),
                     *(d.description(self.commands.shown) for d in dependents.found)]), hint=_CASCADE)
        self.commands.tell_cascade([*inside, *(d.victim(self.commands.shown) for d in dependents.found)])
        for dependent in dependents.found:
            dependent.drop()
