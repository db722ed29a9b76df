"""The mounted catalogs as PostgreSQL sees a database: namespaces, relations, columns, keys, indexes, sequences and enum
types with stable OIDs.

A snapshot is of one database (one catalog, or `shoal`, the federated view of all). OIDs are hashes of the full
names, so they are equal in every session and after a restart. Columns of a relation are looked up when first asked
for, since a source may be slow.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import pyarrow as pa

from shoal.catalog import access
from shoal.catalog.connector import (
    Connector,
    SupportsDefinitions,
    SupportsRoutines,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.declarations import (
    ColumnInfo,
    Constraint,
    EnumType,
    FunctionDefinition,
    Index,
    NumberSequence,
    StoredSize,
    TypeDefinition,
    ViewDefinition,
)
from shoal.catalog.errors import SqlError
from shoal.catalog.pg_catalog.static import PUBLIC_OID, SystemRelation, system_relations
from shoal.catalog.registry import FEDERATED, SYSTEM, Catalogs
from shoal.catalog.types import SqlType

FIRST_OID, LAST_OID = 16_384, 2_147_483_647
SUPERUSER_OID, DATABASE_OWNER_OID = 10, 6171
OWNER = "shoal"
KINDS = {"table": "r", "view": "v", "materialized_view": "m", "foreign_table": "f", "partitioned_table": "p", "system": "r"}
"""pg_class.relkind of each kind of table."""

T = TypeVar("T")
ViewText = Callable[[Catalogs, str, Sequence[str], ViewDefinition, Sequence[str], bool], str]
"""A view's query as it is shown: for catalogs, database and search path, under these column names, pretty or not."""


def stable_oid(*name: str) -> int:
    """An OID for a full name; the same in every process and release."""
    return FIRST_OID + zlib.crc32("\0".join(name).encode()) % (LAST_OID - FIRST_OID)


@dataclass(frozen=True)
class Namespace:
    oid: int
    name: str
    """As the session sees it: `schema`, or `catalog.schema` in the federated database."""
    catalog: str
    schema: str
    connector: Connector


@dataclass
class Relation:
    """A table or view of a source. What the source cannot say just now is missing."""

    oid: int
    namespace: Namespace
    table: TableName
    connector: Connector
    _snapshot: Snapshot = field(repr=False)
    _definitions: dict[tuple[bool, tuple[str, ...]], str] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """pg_class.relkind."""
        return KINDS[self.table.kind]

    @property
    def type_oid(self) -> int:
        """Of the type of its rows."""
        return self._snapshot.type_oid(self.namespace, self.table.name)

    @cached_property
    def handle(self) -> TableHandle | None:
        try:
            return self.connector.table(self.table.schema, self.table.name)
        except SqlError:
            return None

    def _asked(self, question: Callable[[TableHandle], T], otherwise: T) -> T:
        try:
            return question(self.handle) if self.handle else otherwise
        except SqlError:
            return otherwise

    @cached_property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """Its visible columns."""
        nothing: tuple[ColumnInfo, ...] = ()
        return tuple(info for info in self._asked(self.connector.columns, nothing) if not info.hidden)

    @cached_property
    def constraints(self) -> tuple[tuple[int, Constraint], ...]:
        """(OID, declared constraint) pairs."""
        base = (self.namespace.catalog, self.namespace.schema, self.table.name)
        nothing: tuple[Constraint, ...] = ()
        return tuple((stable_oid("constraint", *base, key.name), key)
                     for key in self._asked(self.connector.constraints, nothing))

    @cached_property
    def indexes(self) -> tuple[tuple[int, Index], ...]:
        """(OID, index) pairs, with those that keys imply."""
        nothing: tuple[Index, ...] = ()
        given = self._asked(self.connector.indexes, nothing)
        names = {index.name for index in given}
        implied = tuple(Index(key.name, key.columns, unique=True, primary=key.kind == "primary")
                        for _, key in self.constraints if key.kind in ("primary", "unique") and key.name not in names)
        return tuple((self.index_oid(index.name), index) for index in (*given, *implied))

    def index_oid(self, name: str) -> int:
        return stable_oid("index", self.namespace.catalog, self.namespace.schema, self.table.name, name)

    @cached_property
    def statistics(self) -> TableStatistics:
        return self._asked(self.connector.statistics, TableStatistics())

    @cached_property
    def size(self) -> StoredSize | None:
        return self._asked(self.connector.stored_size, None)

    @property
    def main_bytes(self) -> int:
        """What its rows take alone."""
        size = self.size
        return 0 if size is None else size.table_bytes if size.main_bytes is None else size.main_bytes

    def definition(self, pretty: bool = False, search_path: Sequence[str] = ("public",)) -> str:
        """The SELECT of a view, as it is written for a reader with this search path."""
        key = (pretty, tuple(search_path))
        if key not in self._definitions:
            self._definitions[key] = self._asked(lambda handle: self._defined(handle, pretty, search_path), "")
        return self._definitions[key]

    def _defined(self, handle: TableHandle, pretty: bool, search_path: Sequence[str]) -> str:
        found, write = self.connector, self._snapshot.view_text
        own = found.definition_of(handle).view if isinstance(found, SupportsDefinitions) else found.view(handle)
        if own is None or write is None:
            return found.view_definition(handle, pretty) or (own.query if own else "")
        snapshot = self._snapshot
        return write(snapshot.catalogs, snapshot.database, search_path, own, [info.name for info in self.columns], pretty)

    def reads(self) -> list[Relation]:
        """The relations that a view of Shoal's own names."""
        view = self._asked(self.connector.view, None)
        names = dict.fromkeys((read.catalog, read.schema, read.name) for read in view.reads) if view else {}
        found = (self._snapshot.by_name.get(name) for name in names)
        return [relation for relation in found if relation is not None]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """1-based positions of its columns."""
        return {column.name: number for number, column in enumerate(self.columns, 1)}

    def attribute_number(self, column: str) -> int:
        """1-based position, 0 for a name it does not have."""
        return self.numbers.get(column, 0)

    def referenced(self, constraint: Constraint) -> Relation | None:
        """The relation a foreign key points to."""
        if constraint.references is None:
            return None
        schema, name = constraint.references
        return self._snapshot.by_name.get((self.namespace.catalog, schema, name))

    def supporting_index(self, constraint: Constraint) -> int:
        """The OID of the index that enforces a key, for a foreign key that of the key it points to; 0 for none."""
        owner = self if constraint.kind != "foreign" else self.referenced(constraint)
        if owner is None or constraint.kind == "check":
            return 0
        if owner is self:
            return self.index_oid(constraint.name)
        wanted = set(constraint.referenced_columns)
        return next((oid for oid, index in owner.indexes if index.unique and set(index.columns) == wanted), 0)


@dataclass(frozen=True)
class SequenceRelation:
    """A number generator as a relation."""

    oid: int
    namespace: Namespace
    info: NumberSequence


@dataclass(frozen=True)
class Enum:
    """An enum type, and the type of arrays of it."""

    oid: int
    array_oid: int
    namespace: Namespace
    info: EnumType


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite type: `oid` is pg_class's, of the relation that describes it."""

    oid: int
    type_oid: int
    namespace: Namespace
    info: TypeDefinition


@dataclass(frozen=True, slots=True)
class MadeFunction:
    """A function that a user made."""

    oid: int
    namespace: Namespace
    info: FunctionDefinition


class Snapshot:
    """What one database shows. Build a new one when `Catalogs.version()` changed."""

    def __init__(self, database: str, catalogs: Catalogs, users: Callable[[], Iterable[str]] = tuple,
                 view_text: ViewText | None = None) -> None:
        """`users`: the names that may log in."""
        self.database, self.catalogs, self.users, self.view_text = database, catalogs, users, view_text
        self.databases = sorted({*catalogs.names(), FEDERATED})
        self.batches: dict[tuple[str, str], pa.RecordBatch] = {}
        """The rows of system relations that were read, by (schema, name)."""

    def database_oid(self, name: str) -> int:
        return stable_oid("database", name)

    def schema_comment(self, namespace: Namespace) -> str:
        try:
            return namespace.connector.schema_comment(namespace.schema)
        except SqlError:
            return ""

    def type_oid(self, namespace: Namespace, name: str) -> int:
        """Of a type that a source has, row types and "_" arrays too."""
        return stable_oid("type", namespace.catalog, namespace.schema, name)

    @cached_property
    def namespaces(self) -> list[Namespace]:
        """The schemas of the sources (system schemas apart); of sources that cannot be reached, none."""
        own_public = self.database != FEDERATED
        found = []
        for seen, connector, schema in access.Namespace(self.catalogs, self.database).schemas():
            if connector.name != SYSTEM:
                public = own_public and seen == "public" and connector.name == self.database
                oid = PUBLIC_OID if public else stable_oid("schema", connector.name, schema)
                found.append(Namespace(oid, seen, connector.name, schema, connector))
        return found

    @cached_property
    def relations(self) -> list[Relation]:
        found = []
        for namespace in self.namespaces:
            try:
                tables = namespace.connector.tables(namespace.schema)
            except SqlError:
                if namespace.catalog == self.database:  # it would look empty
                    raise
                continue
            for table in tables:
                oid = stable_oid("relation", namespace.catalog, namespace.schema, table.name)
                found.append(Relation(oid, namespace, table, namespace.connector, self))
        return found

    @cached_property
    def sequences(self) -> list[SequenceRelation]:
        return [SequenceRelation(stable_oid("relation", namespace.catalog, namespace.schema, info.name), namespace, info)
                for namespace, info in self._of_schemas(lambda connector, schema: connector.number_sequences(schema))]

    @cached_property
    def enums(self) -> list[Enum]:
        return [Enum(self.type_oid(namespace, info.name), self.type_oid(namespace, "_" + info.name), namespace, info)
                for namespace, info in self._of_schemas(lambda connector, schema: connector.enums(schema))]

    @cached_property
    def made_types(self) -> list[tuple[Namespace, TypeDefinition]]:
        """Composite types and domains."""
        return [(namespace, info) for namespace, info in self._of_schemas(
            lambda connector, schema: connector.type_definitions(schema)) if info.kind != "enum"]

    @cached_property
    def composites(self) -> list[Composite]:
        """The composite types among them."""
        return [Composite(stable_oid("relation", namespace.catalog, namespace.schema, info.name),
                          self.type_oid(namespace, info.name), namespace, info)
                for namespace, info in self.made_types if info.kind == "composite"]

    @cached_property
    def functions(self) -> list[MadeFunction]:
        found = self._of_schemas(
            lambda connector, schema: connector.functions(schema) if isinstance(connector, SupportsRoutines) else ())
        return [MadeFunction(stable_oid("function", namespace.catalog, namespace.schema, info.name, *info.signature),
                             namespace, info) for namespace, info in found]

    @cached_property
    def function_by_oid(self) -> dict[int, MadeFunction]:
        return {made.oid: made for made in self.functions}

    def _of_schemas(self, question: Callable[[Connector, str], Sequence[T]]) -> Iterator[tuple[Namespace, T]]:
        for namespace in self.namespaces:
            try:
                answers = question(namespace.connector, namespace.schema)
            except SqlError:
                continue
            for answer in answers:
                yield namespace, answer

    @cached_property
    def by_oid(self) -> dict[int, Relation]:
        return {relation.oid: relation for relation in self.relations}

    @cached_property
    def by_name(self) -> dict[tuple[str, str, str], Relation]:
        """By (catalog, schema, name) of the source."""
        return {(r.namespace.catalog, r.namespace.schema, r.table.name): r for r in self.relations}

    @cached_property
    def indexes(self) -> dict[int, tuple[Relation, Index]]:
        """By OID: each index and its table."""
        return {oid: (relation, index) for relation in self.relations for oid, index in relation.indexes}

    @cached_property
    def sequence_by_oid(self) -> dict[int, SequenceRelation]:
        return {sequence.oid: sequence for sequence in self.sequences}

    @cached_property
    def enum_by_oid(self) -> dict[int, Enum]:
        return {enum.oid: enum for enum in self.enums}

    @cached_property
    def own_types(self) -> dict[int, tuple[Namespace, str]]:
        """(namespace, name) of every type that is not PostgreSQL's, by OID."""
        found = {}
        for enum in self.enums:
            found[enum.oid], found[enum.array_oid] = (enum.namespace, enum.info.name), (enum.namespace, "_" + enum.info.name)
        for namespace, info in self.made_types:
            for name in (info.name, "_" + info.name):
                found[self.type_oid(namespace, name)] = (namespace, name)
        for relation in self.relations:
            name = relation.table.name
            found[relation.type_oid] = (relation.namespace, name)
            found[self.type_oid(relation.namespace, "_" + name)] = (relation.namespace, "_" + name)
        return found

    @cached_property
    def system_by_oid(self) -> dict[int, SystemRelation]:
        return {relation.oid: relation for relation in system_relations().values()}

    def type_of_column(self, relation: Relation, info: ColumnInfo) -> int:
        """pg_attribute.atttypid: the source's own type where the column has one."""
        return self.made_oid(relation.namespace, info.type, info.made)

    def made_oid(self, namespace: Namespace, sql_type: SqlType, made: tuple[str, str] | None) -> int:
        """The OID of a type, of which `made` (schema, name) is the source's own."""
        if made is None:
            return sql_type.oid
        schema, name = made
        return stable_oid("type", namespace.catalog, schema, "_" + name if sql_type.is_array else name)

    def constraints(self) -> Iterator[tuple[Relation, int, Constraint]]:
        """All declared constraints: (relation, the constraint's OID, the constraint)."""
        for relation in self.relations:
            for oid, constraint in relation.constraints:
                yield relation, oid, constraint

    def declared_keys(self) -> Iterator[tuple[Relation, int, Constraint]]:
        """The primary, unique and foreign keys among them."""
        return (row for row in self.constraints() if row[2].kind in ("primary", "unique", "foreign"))
