"""Statements that define things are carried out here, on the connectors' definitions. Blocks; runs in a thread.

ALTER is in altering.py, DROP in dropping.py. Names are looked for here once more, since a statement may have waited for
a lock since then.
Wording: dependency.c, tablecmds.c and namespace.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shoal.catalog.access import Namespace, ResolvedTable, quoted
from shoal.catalog.connector import (
    Connector,
    SupportsDefinitions,
    SupportsSchemas,
    SupportsTransactions,
    SupportsWrite,
    TableHandle,
    Text,
)
from shoal.catalog.declarations import Constraint, TableDefinition
from shoal.catalog.errors import (
    DatatypeMismatch,
    DuplicateSchema,
    DuplicateTable,
    FeatureNotSupported,
    InvalidForeignKey,
    InvalidSchemaName,
    InvalidTableDefinition,
    SqlError,
    UndefinedColumn,
    UndefinedObject,
    UndefinedTable,
    WrongObjectType,
)
from shoal.catalog.registry import MEMORY
from shoal.catalog.session_catalogs import written_by
from shoal.exec.dependencies import Dependents, depends
from shoal.exec.functions.casts import can_coerce
from shoal.exec.locks import LockKey
from shoal.exec.notices import Notice
from shoal.exec.sql import bound as b
from shoal.exec.sql.definitions import free_name

KINDS = {"TABLE": ("table", "partitioned_table", "foreign_table"), "VIEW": ("view",),
          "MATERIALIZED VIEW": ("materialized_view",)}


class Commands:
    """The commands of one session: `token` is whose changes they are; `text` spells values in errors."""

    def __init__(self, namespace: Namespace, token: str, text: Text) -> None:
        self.namespace, self.token, self.text = namespace, token, text
        self.notices: list[Notice] = []

    def run(self, command: b.Command) -> None:
        """Raises: what the connector raises, FeatureNotSupported (0A000) where it cannot do such things."""
        match command:
            case b.CreateTable():
                self.create_table(command)
            case b.CreateView():
                self._create_view(command)
            case b.CreateSchema():
                self._create_schema(command)
            case b.CreateSequence():
                self._create_sequence(command)
            case b.CreateIndex():
                self._create_index(command)
            case b.Drop():
                from shoal.exec.dropping import Dropping
                Dropping(self).drop(command)
            case b.DropSchema():
                from shoal.exec.dropping import Dropping
                Dropping(self).drop_schemas(command)
            case b.Truncate():
                self._truncate(command)
            case b.Comment():
                self._comment(command)
            case b.Alter():
                from shoal.exec.altering import alter
                alter(self, command)
            case b.CreateFunction() | b.ChangeFunction() | b.DropFunctions() | b.CreateType() | b.ChangeType():
                from shoal.exec import defining
                match command:
                    case b.CreateFunction():
                        defining.create_function(self, command)
                    case b.ChangeFunction():
                        defining.change_function(self, command)
                    case b.DropFunctions():
                        defining.drop_functions(self, command)
                    case b.CreateType():
                        defining.create_type(self, command)
                    case _:
                        defining.change_type(self, command)
            case b.Several():
                for part in command.commands:
                    self.run(part)
            case b.NoEffect():
                pass
            case _:
                raise FeatureNotSupported(f"{type(command).__name__} is not supported")

    # --- connectors

    def written(self, connector: Connector) -> Connector:
        return written_by(connector, self.token)

    def writable(self, connector: Connector) -> SupportsWrite:
        found = self.written(connector)
        if not isinstance(found, SupportsWrite):
            raise FeatureNotSupported(f'catalog "{connector.name}" cannot be written')
        return found

    def defining(self, connector: Connector) -> SupportsDefinitions:
        """Raises: FeatureNotSupported (0A000)."""
        found = self.written(connector)
        if not isinstance(found, SupportsDefinitions):
            raise FeatureNotSupported(f'catalog "{connector.name}" ({connector.kind}) does not take such definitions')
        return found

    def skip(self, message: str, sqlstate: str = "00000") -> None:
        self.notices.append(Notice(f"{message}, skipping", sqlstate=sqlstate))

    def target(self, parts: b.Parts, temporary: bool) -> tuple[Connector, str, str]:
        """(connector, schema, name) of what is to be made."""
        if temporary:
            if len(parts) > 1 and parts[-2] not in ("pg_temp", self.namespace.temporary):
                raise InvalidTableDefinition("cannot create temporary relation in non-temporary schema")
            if not self.namespace.temporary:
                raise FeatureNotSupported("temporary tables need a session")
            return self.namespace.catalogs.connector(MEMORY), self.namespace.temporary, parts[-1]
        return self.namespace.target(parts)

    def resolve(self, parts: b.Parts, kind: str = "relation") -> ResolvedTable:
        """As Namespace.resolve, without a position, the missing thing called `kind`."""
        try:
            return self.namespace.resolve(parts)
        except UndefinedTable as error:
            raise UndefinedTable(f'{kind} "{".".join(parts)}" does not exist', hint=error.hint) from None

    # --- tables

    def create_table(self, command: b.CreateTable) -> TableHandle | None:
        """The handle of the new table; None where IF NOT EXISTS found one."""
        connector, schema, name = self.target(command.parts, command.temporary)
        beside = len(command.parts) < 3  # a catalog that is named is meant
        if command.if_not_exists and self.exists(connector, schema, name, beside=beside):
            self.skip(f'relation "{name}" already exists', DuplicateTable.sqlstate)
            return None
        found = self.written(connector)
        self.require_free(connector, schema, name, beside=beside)
        if not isinstance(found, SupportsDefinitions):
            if command.view or command.foreign or command.sequences or command.indexes or command.temporary:
                self.defining(connector)
            return self.writable(connector).create_table(schema, name, command.columns)
        definition = TableDefinition(command.columns, "materialized_view" if command.view else "table", command.constraints,
                                     (), command.comment, command.view, command.on_commit,
                                     command.with_data or command.view is None)
        handle = found.define(schema, name, replace(definition, constraints=(), populated=definition.populated))
        definition = self.numbered_columns(found, schema, name, definition, command.sequences)
        taken = {constraint.name for constraint in definition.constraints}
        for constraint in definition.constraints:
            if constraint.kind in ("primary", "unique"):
                self.require_free(connector, schema, constraint.name)
        for foreign in command.foreign:
            made = self.foreign_key(foreign, connector, schema, name, definition)
            definition = replace(definition, constraints=(*definition.constraints, made))
        for index in command.indexes:
            index = replace(index, name=free_name([name, *index.labels, "idx"], taken))
            taken.add(index.name)
            definition = replace(definition, indexes=(*definition.indexes, index))
        found.redefine(handle, definition, text=self.text)
        return handle

    def numbered_columns(self, connector: SupportsDefinitions, schema: str, table: str, definition: TableDefinition,
                         sequences: Iterable[tuple[str, object]]) -> TableDefinition:
        """Makes the sequences of serial and identity columns; gives the definition with the defaults that call them."""
        from shoal.catalog.declarations import NumberSequence
        columns = {column.name: column for column in definition.columns}
        for column, options in sequences:
            assert isinstance(options, NumberSequence) and isinstance(connector, Connector)
            taken = {n.name for n in connector.number_sequences(schema)} | {t.name for t in connector.tables(schema)}
            name = free_name([table, column, "seq"], taken)
            connector.define_sequence(schema, replace(options, name=name, owner=(table, column)))
            columns[column] = replace(columns[column], default=self.nextval(schema, name))
        return replace(definition, columns=tuple(columns.values()))

    def nextval(self, schema: str, name: str) -> str:
        """The default that takes a sequence's values, whatever the search path of who inserts."""
        return "nextval('" + f"{quoted(schema)}.{quoted(name)}".replace("'", "''") + "'::regclass)"

    def foreign_key(self, foreign: b.ForeignKey, connector: Connector, schema: str, table: str,
                    definition: TableDefinition) -> Constraint:
        """The key with its other end. Raises: InvalidForeignKey (42830), DatatypeMismatch (42804) ..."""
        made = foreign.constraint
        if foreign.table[-1] == table and (
                len(foreign.table) == 1 or self.namespace.target(foreign.table)[:2] == (connector, schema)):
            other, place = definition, (schema, table)
        else:
            found = self.resolve(foreign.table)
            if found.connector.name != connector.name or not isinstance(found.connector, SupportsDefinitions):
                raise FeatureNotSupported("a foreign key to a table of another catalog is not supported")
            if found.handle.kind != "table":
                raise WrongObjectType(f'referenced relation "{foreign.table[-1]}" is not a table')
            other, place = found.connector.definition_of(found.handle), (found.handle.schema, found.handle.name)
        columns = made.referenced_columns
        keys = [key for key in other.constraints if key.kind in ("primary", "unique")]
        if not columns:
            primary = next((key for key in keys if key.kind == "primary"), None)
            if primary is None:
                raise UndefinedObject(f'there is no primary key for referenced table "{place[1]}"')
            columns = primary.columns
        if len(columns) != len(made.columns):
            raise InvalidForeignKey("number of referencing and referenced columns for foreign key disagree")
        types = {info.name: info.type for info in other.columns}
        for column in columns:
            if column not in types:
                raise UndefinedColumn(f'column "{column}" referenced in foreign key constraint does not exist')
        uniques = [*(set(key.columns) for key in keys),
                   *(set(i.columns) for i in other.indexes if i.unique and not i.predicate)]
        if set(columns) not in uniques:
            raise InvalidForeignKey(f'there is no unique constraint matching given keys for referenced table "{place[1]}"')
        for mine, my_type, column in zip(made.columns, foreign.types, columns, strict=True):
            if not (can_coerce(my_type, types[column], "implicit") or can_coerce(types[column], my_type, "implicit")):
                raise DatatypeMismatch(f'foreign key constraint "{made.name}" cannot be implemented', detail=(
                    f'Key columns "{mine}" and "{column}" are of incompatible types: {replace(my_type, length=None).sql} '
                    f"and {replace(types[column], length=None).sql}."))
            if my_type.name != types[column].name:
                raise FeatureNotSupported("a foreign key between columns of different types is not supported")
        return replace(made, references=place, referenced_columns=tuple(columns))

    def exists(self, connector: Connector, schema: str, name: str, *, beside: bool = True) -> bool:
        """Whether a relation of any kind has the name, also (`beside`) in a database that this one stands in for as it
        cannot be written."""
        found = self.written(connector)
        own = self.namespace.read_only_home()
        if beside and own is not None and connector.name == MEMORY and any(
                own.table(place, name) is not None
                for place in {schema, own.default_schema if schema == connector.default_schema else schema}):
            return True
        return found.table(schema, name) is not None or (isinstance(found, SupportsDefinitions) and (
            found.has_sequence(schema, name) or found.index_owner(schema, name) is not None))

    def require_free(self, connector: Connector, schema: str, name: str, *, beside: bool = True) -> None:
        """Raises: DuplicateTable (42P07)."""
        if self.exists(connector, schema, name, beside=beside):
            raise DuplicateTable(f'relation "{name}" already exists')

    # --- views, schemas, sequences, indexes

    def _create_view(self, command: b.CreateView) -> None:
        connector, schema, name = self.target(command.parts, command.temporary)
        defining = self.defining(connector)
        definition = TableDefinition(command.columns, "view", view=command.view)
        handle = self.written(connector).table(schema, name)
        if handle is None or not command.replace:
            self.require_free(connector, schema, name, beside=len(command.parts) < 3)
            defining.define(schema, name, definition)
            return
        if handle.kind != "view":
            raise WrongObjectType(f'"{name}" is not a view')
        old = defining.definition_of(handle)
        if len(command.columns) < len(old.columns):
            raise InvalidTableDefinition("cannot drop columns from view")
        for before, after in zip(old.columns, command.columns, strict=False):
            if before.name != after.name:
                raise InvalidTableDefinition(
                    f'cannot change name of view column "{before.name}" to "{after.name}"',
                    hint="Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")
            if before.type != after.type:
                raise InvalidTableDefinition(f'cannot change data type of view column "{before.name}" from '
                                             f"{before.type.sql} to {after.type.sql}")
        number = defining.number(handle)
        if any(read.number == number and read.catalog == connector.name for read in command.view.reads):
            from shoal.catalog.errors import InvalidRecursion
            raise InvalidRecursion(f'infinite recursion detected in rules for relation "{name}"')
        kept = {column.name: column.comment for column in old.columns}
        columns = tuple(replace(column, comment=kept.get(column.name, "")) for column in command.columns)
        defining.redefine(handle, replace(definition, columns=columns, comment=old.comment))

    def _create_schema(self, command: b.CreateSchema) -> None:
        connector, schema = self.namespace.schema_target(command.parts)
        found = self.written(connector)
        if not isinstance(found, SupportsSchemas):
            raise FeatureNotSupported(f'schemas cannot be created in catalog "{connector.name}"')
        try:
            found.create_schema(schema)
        except DuplicateSchema:
            if not command.if_not_exists:
                raise
            self.skip(f'schema "{schema}" already exists', DuplicateSchema.sqlstate)

    def _create_sequence(self, command: b.CreateSequence) -> None:
        connector, schema, name = self.target(command.parts, command.temporary)
        if command.if_not_exists and self.exists(connector, schema, name):
            self.skip(f'relation "{name}" already exists', DuplicateTable.sqlstate)
            return
        owner = None
        if command.owner is not None:
            found = self.resolve(command.owner[:-1])
            owner = (found.handle.name, command.owner[-1])
        self.defining(connector).define_sequence(schema, replace(command.options, name=name, owner=owner))

    def _create_index(self, command: b.CreateIndex) -> None:
        found = self.resolve(command.table)
        if found.handle.kind not in ("table", "materialized_view"):
            raise WrongObjectType(f'cannot create index on relation "{found.handle.name}"',
                                  detail="This operation is not supported for views.")
        defining = self.defining(found.connector)
        schema, name = found.handle.schema, command.index.name
        if name and self.exists(found.connector, schema, name):
            if not command.if_not_exists:
                raise DuplicateTable(f'relation "{name}" already exists')
            self.skip(f'relation "{name}" already exists', DuplicateTable.sqlstate)
            return
        if not name:
            taken: set[str] = set()
            while self.exists(found.connector, schema,
                              name := free_name([found.handle.name, *command.index.labels, "idx"], taken)):
                taken.add(name)
        definition = defining.definition_of(found.handle)
        index = replace(command.index, name=name)
        defining.redefine(found.handle, replace(definition, indexes=(*definition.indexes, index)), text=self.text)

    # --- names and messages

    def tell_cascade(self, victims: list[str]) -> None:
        if len(victims) == 1:
            self.notices.append(Notice(f"drop cascades to {victims[0]}"))
        elif victims:
            self.notices.append(Notice(f"drop cascades to {len(victims)} other objects",
                                       "\n".join(f"drop cascades to {victim}" for victim in victims)))

    def shown(self, handle: TableHandle) -> str:
        """A relation's name as messages have it: qualified where it is not found without."""
        try:
            bare = self.namespace.resolve((handle.name,)).handle
            visible = (bare.catalog, bare.schema) == (handle.catalog, handle.schema)
        except SqlError:
            visible = False
        return handle.name if visible else f"{handle.schema}.{handle.name}"

    def sequence(self, parts: b.Parts) -> tuple[SupportsDefinitions, str, str] | None:
        """(connector, schema, name) of a sequence."""
        found = self.namespace.sequence(parts)
        return None if found is None else (self.defining(found[0]), found[1], found[2])

    def index(self, parts: b.Parts) -> tuple[SupportsDefinitions, TableHandle] | None:
        """(connector, table) of an index."""
        for connector, schema in self.namespace.places(parts[:-1]):
            found = self.written(connector)
            if isinstance(found, SupportsDefinitions) and (handle := found.index_owner(schema, parts[-1])) is not None:
                return found, handle
        return None

    # --- the rest

    def _truncate(self, command: b.Truncate) -> None:
        found = [self.resolve(parts) for parts in command.tables]
        names = {(t.handle.catalog, t.handle.schema, t.handle.name) for t in found}
        for table in found:
            if table.handle.kind != "table":
                raise WrongObjectType(f'"{table.handle.name}" is not a table')
            connector = self.written(table.connector)
            if isinstance(connector, SupportsDefinitions):
                dependents = Dependents()
                depends(connector, table.handle, names, dependents, constraints_only=True)
                for dependent in {d.handle.name: d for d in dependents.found}.values():
                    if not command.cascade:
                        raise FeatureNotSupported(
                            "cannot truncate a table referenced in a foreign key constraint",
                            detail=f'Table "{dependent.handle.name}" references "{table.handle.name}".',
                            hint=f'Truncate table "{dependent.handle.name}" at the same time, or use TRUNCATE ... CASCADE.')
                    self.notices.append(Notice(f'truncate cascades to table "{dependent.handle.name}"'))
                    self.writable(table.connector).truncate(dependent.handle)
        for table in found:
            writer = self.writable(table.connector)
            writer.truncate(table.handle)
            if command.restart and isinstance(writer, SupportsDefinitions) and isinstance(writer, Connector):
                for sequence in writer.number_sequences(table.handle.schema):
                    if sequence.owner is not None and sequence.owner[0] == table.handle.name:
                        writer.set_value(table.handle.schema, sequence.name, sequence.start, False)

    def _comment(self, command: b.Comment) -> None:
        if command.kind == "SCHEMA":
            connector, schema = self.namespace.schema_target(command.parts)
            defining = self.defining(connector)
            if schema not in connector.schemas():
                raise InvalidSchemaName(f'schema "{schema}" does not exist')
            defining.comment_on_schema(schema, command.text)
            return
        if command.kind in ("SEQUENCE", "INDEX"):
            if (self.sequence if command.kind == "SEQUENCE" else self.index)(command.parts) is None:
                raise UndefinedTable(f'relation "{".".join(command.parts)}" does not exist')
            raise FeatureNotSupported(f"COMMENT ON {command.kind} is not supported")
        found = self.resolve(command.parts)
        if command.kind in KINDS and found.handle.kind not in KINDS[command.kind]:
            raise WrongObjectType(f'"{command.parts[-1]}" is not a {command.kind.lower()}')
        defining = self.defining(found.connector)
        definition = defining.definition_of(found.handle)
        if not command.column:
            defining.redefine(found.handle, replace(definition, comment=command.text))
            return
        if command.kind == "CONSTRAINT":
            if not any(constraint.name == command.column for constraint in definition.constraints):
                raise UndefinedObject(f'constraint "{command.column}" for table "{found.handle.name}" does not exist')
            defining.redefine(found.handle, replace(definition, constraints=tuple(
                replace(c, comment=command.text) if c.name == command.column else c for c in definition.constraints)))
            return
        if not any(column.name == command.column for column in definition.columns):
            raise UndefinedColumn(f'column "{command.column}" of relation "{found.handle.name}" does not exist')
        defining.redefine(found.handle, replace(definition, columns=tuple(
            replace(c, comment=command.text) if c.name == command.column else c for c in definition.columns)))

    # --- locks

    def locks(self, command: b.Command) -> list[LockKey]:
        """What the command changes, as far as it exists already or is to be made."""
        keys: list[LockKey] = []

        def existing(parts: b.Parts) -> None:
            try:
                found = self.namespace.resolve(parts)
            except SqlError:
                return
            if isinstance(found.connector, SupportsTransactions):
                keys.append((found.handle.catalog, found.handle.schema, found.handle.name))

        def made(parts: b.Parts, temporary: bool) -> None:
            try:
                connector, schema, name = self.target(parts, temporary)
            except SqlError:
                return
            if isinstance(connector, SupportsTransactions):
                keys.append((connector.name, schema, name))

        match command:
            case b.CreateTable() | b.CreateView() | b.CreateSequence():
                made(command.parts, command.temporary)
                for foreign in command.foreign if isinstance(command, b.CreateTable) else ():
                    existing(foreign.table)
            case b.CreateIndex():
                existing(command.table)
            case b.Refresh():
                keys.append((command.handle.catalog, command.handle.schema, command.handle.name))
            case b.Drop():
                for parts in command.names:
                    existing(parts)
            case b.Truncate():
                for parts in command.tables:
                    existing(parts)
            case b.Alter() | b.Comment() if command.kind != "SCHEMA":
                existing(command.parts)
            case b.CreateSchema():
                keys.append((*self.namespace.schema_target(command.parts), ""))  # type: ignore[arg-type]
            case b.DropSchema():
                for parts in command.schemas:
                    connector, schema = self.namespace.schema_target(parts)
                    if isinstance(connector, SupportsTransactions):
                        keys += [(connector.name, schema, ""), *((connector.name, schema, t.name)
                                                                for t in connector.tables(schema))]
        return [(c if isinstance(c, str) else c.name, s, n) for c, s, n in keys]
