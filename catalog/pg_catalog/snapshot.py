"""The mounted catalogs as PostgreSQL sees a database: namespaces, relations and columns with stable OIDs.

A snapshot is of one database (one catalog, or `shoal`, the federated view of all). OIDs are hashes of the full
names, so they are equal in every session and after a restart. Columns of a relation are looked up when first asked
for, since a source may be slow.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from shoal.catalog import access
from shoal.catalog.connector import ColumnInfo, Connector, Constraint, TableHandle, TableName, TableStatistics
from shoal.catalog.errors import SqlError
from shoal.catalog.registry import FEDERATED, SYSTEM, Catalogs
from shoal.catalog.types import NUMERIC, OID, OIDS, TEXT, SqlType

DATA = Path(__file__).parent / "data"
FIRST_OID, LAST_OID = 16_384, 2_147_483_647
PG_CATALOG_OID, INFORMATION_SCHEMA_OID, PUBLIC_OID, SUPERUSER_OID = 11, 13_000, 2200, 10


def stable_oid(*name: str) -> int:
    """An OID for a full name; the same in every process and release."""
    return FIRST_OID + zlib.crc32("\0".join(name).encode()) % (LAST_OID - FIRST_OID)


@dataclass(frozen=True)
class SystemRelation:
    """A relation of pg_catalog or information_schema, with the columns PostgreSQL 15 gives it."""

    schema: str
    name: str
    kind: str
    oid: int
    columns: tuple[ColumnInfo, ...]


@cache
def system_relations() -> dict[tuple[str, str], SystemRelation]:
    """All system relations by (schema, name), read once from data/relations.csv."""
    columns: dict[tuple[str, str, str, int], list[ColumnInfo]] = {}
    with (DATA / "relations.csv").open(newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for schema, relation, kind, oid, _, column, type_name, not_null in reader:
            sql_type = NUMERIC if type_name == "numeric" else SqlType(type_name) if type_name in OIDS else TEXT
            columns.setdefault((schema, relation, kind, int(oid)), []).append(ColumnInfo(column, sql_type, not_null == "f"))
    found = {}
    for (schema, relation, kind, relation_oid), infos in columns.items():
        if kind == "r" and not any(info.name == "oid" for info in infos):
            infos.append(ColumnInfo("oid", OID, hidden=True))
        hidden = [ColumnInfo("tableoid", OID, hidden=True), ColumnInfo("xmin", SqlType("xid"), hidden=True),
                  ColumnInfo("ctid", TEXT, hidden=True)]
        found[schema, relation] = SystemRelation(schema, relation, kind, relation_oid, (*infos, *hidden))
    return found


@dataclass(frozen=True)
class Namespace:
    oid: int
    name: str
    """As the session sees it: `schema`, or `catalog.schema` in the federated database."""
    catalog: str
    schema: str


@dataclass
class Relation:
    """A table or view of a source."""

    oid: int
    namespace: Namespace
    table: TableName
    connector: Connector
    _oid_owner: Snapshot = field(repr=False)

    @property
    def kind(self) -> str:
        """pg_class.relkind."""
        return "v" if self.table.kind == "view" else "r"

    @cached_property
    def handle(self) -> TableHandle | None:
        try:
            return self.connector.table(self.table.schema, self.table.name)
        except SqlError:
            return None

    @cached_property
    def columns(self) -> tuple[ColumnInfo, ...]:
        """Its visible columns; none where the source cannot be asked just now."""
        try:
            return tuple(c for c in self.connector.columns(self.handle) if not c.hidden) if self.handle else ()
        except SqlError:
            return ()

    @cached_property
    def constraints(self) -> tuple[tuple[int, Constraint], ...]:
        """(OID, declared key) pairs."""
        try:
            keys = self.connector.constraints(self.handle) if self.handle else ()
        except SqlError:
            keys = ()
        base = (self.namespace.catalog, self.namespace.schema, self.table.name)
        return tuple((stable_oid("constraint", *base, key.name), key) for key in keys)

    @cached_property
    def statistics(self) -> TableStatistics:
        try:
            return self.connector.statistics(self.handle) if self.handle else TableStatistics()
        except SqlError:
            return TableStatistics()

    def attribute_number(self, column: str) -> int:
        """1-based position, 0 for a name it does not have."""
        return next((n for n, c in enumerate(self.columns, 1) if c.name == column), 0)

    def referenced(self, constraint: Constraint) -> Relation | None:
        """The relation a foreign key points to."""
        if constraint.references is None:
            return None
        schema, name = constraint.references
        return self._oid_owner.by_name.get((self.namespace.catalog, schema, name))


class Snapshot:
    """What one database shows. Build a new one when `Catalogs.version()` changed."""

    def __init__(self, database: str, catalogs: Catalogs) -> None:
        self.database, self.catalogs = database, catalogs
        self.databases = sorted({*catalogs.names(), FEDERATED})

    def database_oid(self, name: str) -> int:
        return stable_oid("database", name)

    @cached_property
    def namespaces(self) -> list[Namespace]:
        """The schemas of the sources (system schemas apart); of sources that cannot be reached, none."""
        own_public = self.database != FEDERATED
        found = []
        for seen, connector, schema in access.Namespace(self.catalogs, self.database).schemas():
            if connector.name != SYSTEM:
                public = own_public and seen == "public" and connector.name == self.database
                oid = PUBLIC_OID if public else stable_oid("schema", connector.name, schema)
                found.append(Namespace(oid, seen, connector.name, schema))
        return found

    @cached_property
    def relations(self) -> list[Relation]:
        found = []
        for namespace in self.namespaces:
            connector = self.catalogs.connector(namespace.catalog)
            try:
                tables = connector.tables(namespace.schema)
            except SqlError:
                if namespace.catalog == self.database:  # it would look empty
                    raise
                continue
            for table in tables:
                oid = stable_oid("relation", namespace.catalog, namespace.schema, table.name)
                found.append(Relation(oid, namespace, table, connector, self))
        return found

    @cached_property
    def by_oid(self) -> dict[int, Relation]:
        return {relation.oid: relation for relation in self.relations}

    @cached_property
    def by_name(self) -> dict[tuple[str, str, str], Relation]:
        return {(r.namespace.catalog, r.namespace.schema, r.table.name): r for r in self.relations}

    @cached_property
    def system_by_oid(self) -> dict[int, SystemRelation]:
        return {relation.oid: relation for relation in system_relations().values()}

    def namespace_oid(self, relation: Relation | SystemRelation) -> int:
        if isinstance(relation, Relation):
            return relation.namespace.oid
        return PG_CATALOG_OID if relation.schema == "pg_catalog" else INFORMATION_SCHEMA_OID

    def declared_keys(self) -> Iterator[tuple[Relation, int, Constraint]]:
        """All declared keys: (relation, the constraint's OID, the key)."""
        for relation in self.relations:
            for oid, constraint in relation.constraints:
                yield relation, oid, constraint

    def index_oid(self, relation: Relation, constraint: Constraint) -> int:
        """The OID of the index that a primary or unique key is shown to have."""
        namespace = relation.namespace
        return stable_oid("index", namespace.catalog, namespace.schema, relation.table.name, constraint.name)


