"""Names as one session sees them: from the parts of a table's name in SQL to a connector and a handle.

Hop 2 (bind). The rules are those of the architecture's page "Names a client sees": a database is a catalog, the
database `shoal` is the federated view of all of them. The binder folds case; what arrives here is exact, except
that a name all in lower case that exists nowhere also finds a unique table that differs in case only, so that
sources with mixed-case names can be used without quotes.

Spec: PostgreSQL 15 documentation, 5.9.3 "The Schema Search Path".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shoal.catalog.connector import (
    Connector,
    SupportsDatabases,
    SupportsDefinitions,
    SupportsPaths,
    SupportsWrite,
    TableHandle,
    TableName,
)
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    FeatureNotSupported,
    InsufficientPrivilege,
    InvalidName,
    InvalidSchemaName,
    SqlError,
    UndefinedTable,
    did_you_mean,
)
from shoal.catalog.keywords import QUOTED_KEYWORDS
from shoal.catalog.registry import FEDERATED, MEMORY, SYSTEM, Catalogs

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")
PG_TEMP = "pg_temp"
"""What a session calls the schema of its temporary tables."""


@dataclass(frozen=True, slots=True)
class ResolvedTable:
    connector: Connector
    handle: TableHandle
    columns: tuple[ColumnInfo, ...]


Place = tuple[Connector, str]
"""A connector and one of its schemas."""


class Namespace:
    """The names of `database` under a `search_path`; cheap to make, holds no state of its own."""

    def __init__(self, catalogs: Catalogs, database: str, search_path: tuple[str, ...] = ("public",),
                 temporary: str = "") -> None:
        """`temporary`: the schema of `memory` that holds the session's temporary tables, which is searched first."""
        self.catalogs, self.database, self.search_path = catalogs, database, search_path
        self.temporary = temporary or catalogs.temporary

    @property
    def federated(self) -> bool:
        return self.database == FEDERATED

    def resolve(self, parts: tuple[str, ...]) -> ResolvedTable:
        """The table that one to three parts name.

        Raises: UndefinedTable (42P01) with near names, UndefinedDatabase (3D000), InvalidName (42602) for more parts,
        and what a source that cannot be reached raises where it might have held the table.
        """
        if not 1 <= len(parts) <= 3:
            raise InvalidName(f"improper relation name (too many dotted names): {'.'.join(parts)}")
        *qualifiers, name = parts
        failures: list[SqlError] = []
        for group in self._places(tuple(qualifiers)):
            found = self._find(group, name, parts, failures)
            if found is not None:
                return ResolvedTable(found[0], found[1], found[0].columns(found[1]))
        if failures:
            raise failures[0]
        raise UndefinedTable(f'relation "{".".join(parts)}" does not exist', hint=self._near(parts))

    def at_path(self, path: str) -> ResolvedTable:
        """The files that FROM 'path' means, those of the session's own catalog first.

        Raises: UndefinedTable (42P01), InsufficientPrivilege (42501) for a path out of what is mounted.
        """
        refused: SqlError | None = None
        connectors = [c for c in self._connectors() if isinstance(c, SupportsPaths)]
        for connector in sorted(connectors, key=lambda c: c.name != self.database):
            try:
                handle = connector.at_path(path)
            except InsufficientPrivilege as error:
                refused = error
                continue
            if handle is not None:
                return ResolvedTable(connector, handle, connector.columns(handle))
        if refused is not None:
            raise refused
        raise UndefinedTable(f'no mounted file is called "{path}"',
                             hint="Paths are relative to the folders that are mounted; * ? [] and ** match names.")

    def column_name(self, parts: tuple[str, ...], name: str) -> str:
        """What a column of the relation `parts` is called here."""
        return name

    def target(self, parts: tuple[str, ...]) -> tuple[Connector, str, str]:
        """(connector, schema, name) that a CREATE of this name makes.

        Raises: InvalidSchemaName (3F000), FeatureNotSupported (0A000) for a catalog that cannot be written,
        UndefinedDatabase (3D000).
        """
        if not 1 <= len(parts) <= 3:
            raise InvalidName(f"improper relation name (too many dotted names): {'.'.join(parts)}")
        *qualifiers, name = parts
        if len(qualifiers) == 2 and qualifiers[0] != FEDERATED:
            connector = self.catalogs.connector(qualifiers[0])
            self._require_writable(connector)
            return connector, self._existing_schema(connector, qualifiers[1]), name
        home = self._home()
        if not qualifiers:
            for schema in self.search_path:
                if (found := self._schema_of(home, schema)) is not None:
                    return home, found, name
            return home, home.default_schema, name
        schema = qualifiers[-1]
        if schema in (PG_TEMP, self.temporary) and self.temporary:
            return self.catalogs.connector(MEMORY), self.temporary, name
        if (found := self._schema_of(home, schema)) is not None:
            return home, found, name
        catalog, _, inner = schema.partition(".")
        if catalog in self.catalogs:
            connector = self.catalogs.connector(catalog)
            self._require_writable(connector)
            return connector, self._existing_schema(connector, inner) if inner else connector.default_schema, name
        return home, self._existing_schema(home, schema), name

    def schema_target(self, parts: tuple[str, ...]) -> tuple[Connector, str]:
        """(connector, schema) that CREATE SCHEMA or DROP SCHEMA of this name concerns; one or two parts."""
        if len(parts) == 2 and parts[0] != FEDERATED:
            connector = self.catalogs.connector(parts[0])
            self._require_writable(connector)
            return connector, parts[1]
        catalog, _, inner = parts[-1].partition(".")
        if inner and catalog in self.catalogs:
            connector = self.catalogs.connector(catalog)
            self._require_writable(connector)
            return connector, inner
        return self._home(), parts[-1]

    def places(self, qualifiers: tuple[str, ...]) -> Iterator[Place]:
        """Where objects with these qualifiers are looked for, in order."""
        for group in self._places(qualifiers):
            yield from group

    def sequence(self, parts: tuple[str, ...]) -> tuple[Connector, str, str] | None:
        """(connector, schema, name) of the sequence that one to three parts name."""
        for connector, schema in self.places(parts[:-1]):
            if isinstance(connector, SupportsDefinitions) and connector.has_sequence(schema, parts[-1]):
                return connector, schema, parts[-1]
        return None

    def schemas(self) -> list[tuple[str, Connector, str]]:
        """(schema as seen, connector, schema) of the database, system schemas last.

        Another source that cannot be reached is left out. Raises: that of the database's own catalog, which would
        otherwise look empty.
        """
        found: list[tuple[str, Connector, str]] = []
        for connector in self._connectors():
            try:
                names = connector.schemas()
            except SqlError as error:
                if error.kind != "external" or connector.name == self.database:
                    raise
                continue
            found += [(self.schema_as_seen(connector.name, schema), connector, schema) for schema in names]
        memory = self.catalogs.connector(MEMORY) if self.temporary else None
        if memory is not None and memory not in self._connectors() and self.temporary in memory.schemas():
            found.append((self.temporary, memory, self.temporary))
        if SYSTEM in self.catalogs:
            system = self.catalogs.connector(SYSTEM)
            found += [(schema, system, schema) for schema in system.schemas()]
        return found

    def tables(self) -> Iterator[tuple[str, str, TableName]]:
        """(catalog, schema as seen, table) of every table of the database, system tables last."""
        for seen, connector, schema in self.schemas():
            try:
                tables = connector.tables(schema)
            except SqlError as error:
                if error.kind != "external":
                    raise
                continue
            for table in tables:
                yield connector.name, seen, table

    def schema_as_seen(self, catalog: str, schema: str) -> str:
        """The schema name that pg_catalog shows: bare for the database's own catalog (in `shoal`: memory) and for
        temporary tables, else `catalog.schema`."""
        own = MEMORY if self.federated else self.database
        return schema if catalog in (own, SYSTEM) or schema == self.temporary else f"{catalog}.{schema}"

    def visible(self, catalog: str, schema: str) -> bool:
        """Whether tables of this schema are found by their bare names."""
        return any(connector.name == catalog and schema == inner
                   for group in self._places(()) for connector, inner in group)

    def _connectors(self) -> list[Connector]:
        """Those whose tables the database shows: one catalog, or all of them with memory first."""
        if not self.federated:
            own = [self.catalogs.connector(self.database)]
            return own if isinstance(own[0], SupportsWrite) else [*own, self.catalogs.connector(MEMORY)]
        return [self.catalogs.connector(name) for name in sorted(self.catalogs.names(), key=lambda n: (n != MEMORY, n))]

    def read_only_home(self) -> Connector | None:
        """The database's own catalog if it cannot be written, so that new tables go to `memory` beside it."""
        if self.federated:
            return None
        connector = self.catalogs.connector(self.database)
        return None if isinstance(connector, SupportsWrite) else connector

    def _home(self) -> Connector:
        """Where new tables go: the database's own catalog, or memory where that cannot be written."""
        if not self.federated:
            connector = self.catalogs.connector(self.database)
            if isinstance(connector, SupportsWrite):
                return connector
        return self.catalogs.connector(MEMORY)

    def _places(self, qualifiers: tuple[str, ...]) -> Iterator[list[Place]]:
        """Where to look, in order. Places of one group are equal: found in two of them is an ambiguity."""
        if len(qualifiers) == 2:
            catalog, schema = qualifiers
            if catalog == FEDERATED:
                yield from Namespace(self.catalogs, FEDERATED, self.search_path)._places((schema,))
            elif schema in SYSTEM_SCHEMAS and SYSTEM in self.catalogs:
                self.catalogs.connector(catalog)
                yield [(self.catalogs.connector(SYSTEM), schema)]
            else:
                yield [(self.catalogs.connector(catalog), schema)]
        elif qualifiers:
            yield from self._schema_places(qualifiers[0])
        else:
            path = self.search_path
            if "pg_catalog" not in path:
                path = ("pg_catalog", *path)
            if self.temporary and PG_TEMP not in path:
                path = (PG_TEMP, *path)
            for schema in path:
                yield from self._path_places(schema)
            if not self.federated and not isinstance(self.catalogs.connector(self.database), SupportsWrite):
                memory = self.catalogs.connector(MEMORY)
                yield [(memory, memory.default_schema)]

    def _path_places(self, schema: str) -> Iterator[list[Place]]:
        """One entry of the search path."""
        if schema in SYSTEM_SCHEMAS:
            if SYSTEM in self.catalogs:
                yield [(self.catalogs.connector(SYSTEM), schema)]
        elif self.temporary and schema in (PG_TEMP, self.temporary):
            yield [(self.catalogs.connector(MEMORY), self.temporary)]
        elif not self.federated:
            connector = self.catalogs.connector(self.database)
            if schema == "public" and connector.default_schema != "public":
                yield [(connector, connector.default_schema)]
            yield [(connector, schema)]
        elif schema == "public":
            memory = self.catalogs.connector(MEMORY)
            yield [(memory, memory.default_schema)]
            others = (self.catalogs.connector(name) for name in self.catalogs.names() if name != MEMORY)
            yield [(connector, connector.default_schema) for connector in others]
        else:
            yield from self._schema_places(schema)

    def _schema_places(self, schema: str) -> Iterator[list[Place]]:
        """`schema.name`: a schema of the current catalog, then a catalog, then `catalog.schema` in one quoted name."""
        if schema in SYSTEM_SCHEMAS or schema in ("public", PG_TEMP, self.temporary):
            yield from self._path_places(schema)
        elif self.federated:
            yield [(self.catalogs.connector(MEMORY), schema)]
        else:
            yield [(self.catalogs.connector(self.database), schema)]
        if schema in self.catalogs and not schema.startswith("$"):
            connector = self.catalogs.connector(schema)
            yield [(connector, connector.default_schema)]
        catalog, _, inner = schema.partition(".")
        if inner and catalog in self.catalogs:
            yield [(self.catalogs.connector(catalog), inner)]
        if self.federated:
            yield [(connector, schema) for connector in self._connectors() if connector.name != MEMORY]
        else:
            yield [(self._home(), schema)]

    def _find(self, group: list[Place], name: str, parts: tuple[str, ...],
              failures: list[SqlError]) -> tuple[Connector, TableHandle] | None:
        """The one table called `name` in a group of equal places. Sources that are down go to `failures`."""
        for attempt in (self._exact, self._folded):
            found: list[tuple[Connector, TableHandle]] = []
            for connector, schema in group:
                try:
                    found += [(connector, handle) for handle in attempt(connector, schema, name)]
                except SqlError as error:
                    if error.kind != "external":
                        raise
                    failures.append(error)
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(f"{quoted(h.catalog)}.{quoted(h.schema)}.{quoted(h.name)}" for _, h in found)
                raise UndefinedTable(f'relation name "{".".join(parts)}" is ambiguous', hint=f"It could be one of {names}.")
        return None

    def _exact(self, connector: Connector, schema: str, name: str) -> list[TableHandle]:
        if isinstance(connector, SupportsDatabases):
            handle = connector.table_in(self.database, schema, name)
        else:
            handle = connector.table(schema, name)
        return [] if handle is None else [handle]

    @staticmethod
    def _folded(connector: Connector, schema: str, name: str) -> list[TableHandle]:
        """Tables that differ from a lower-case name (or schema) in case only."""
        if connector.name == SYSTEM or name != name.lower():
            return []
        schemas = [schema] if schema != schema.lower() else [s for s in connector.schemas() if s.lower() == schema]
        tables = ((s, table.name) for s in schemas for table in connector.tables(s) if table.name.lower() == name)
        return [handle for s, table in tables if (handle := connector.table(s, table)) is not None]

    @staticmethod
    def _require_writable(connector: Connector) -> None:
        if not isinstance(connector, SupportsWrite):
            raise FeatureNotSupported(f'catalog "{connector.name}" ({connector.kind}) is read-only')

    @staticmethod
    def _schema_of(connector: Connector, schema: str) -> str | None:
        """The schema of the connector that this name of a search path means."""
        names = connector.schemas()
        return schema if schema in names else connector.default_schema if schema == "public" else None

    def _existing_schema(self, connector: Connector, schema: str) -> str:
        found = self._schema_of(connector, schema)
        if found is None:
            raise InvalidSchemaName(f'schema "{schema}" does not exist', hint=did_you_mean(schema, connector.schemas()))
        return found

    def _near(self, parts: tuple[str, ...]) -> str:
        """A hint for a name that was not found: near tables, else near schemas or catalogs."""
        *qualifiers, name = parts
        tables: list[str] = []
        known_place = False
        for group in self._places(tuple(qualifiers)):
            for connector, schema in group:
                try:
                    if schema in connector.schemas():
                        known_place = True
                        if connector.name != SYSTEM or qualifiers:
                            tables += [table.name for table in connector.tables(schema)]
                except SqlError:
                    continue  # a hint is no reason to fail
        hint = did_you_mean(name, tables)
        if hint or not qualifiers:
            return hint or self._elsewhere(name)
        if not known_place:
            places = [seen for seen, _, _ in self.schemas()] + self.catalogs.names()
            return did_you_mean(qualifiers[-1], places) or self._elsewhere(name)
        return ""

    def _elsewhere(self, name: str) -> str:
        """A hint where a table of exactly this name exists beyond the search path."""
        found: list[str] = []
        for catalog in self.catalogs.names():
            connector = self.catalogs.connector(catalog)
            try:
                found += [f"{quoted(catalog)}.{quoted(schema)}.{quoted(name)}" for schema in connector.schemas()
                          if connector.table(schema, name) is not None]
            except SqlError:
                continue
        return f"There is a table {_joined(found)}." if found else ""


def quoted(name: str) -> str:
    """The name as SQL needs it, in double quotes unless it is plain lower case and no keyword but an unreserved one."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit() \
        and name not in QUOTED_KEYWORDS
    return name if plain else '"' + name.replace('"', '""') + '"'


def _joined(names: Iterable[str]) -> str:
    return " and ".join(list(names)[:3])
