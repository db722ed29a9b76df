"""System catalogs: every relation of PostgreSQL 15 exists and reads, live ones show the mounted catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shoal.catalog.connector import CatalogDefinition, Split, SupportsWrite
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import SqlError
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.pg_catalog.snapshot import PUBLIC_OID, stable_oid, system_relations
from shoal.catalog.registry import Catalogs
from shoal.catalog.types import INT4, TEXT, numeric, storage_type


@pytest.fixture
def catalogs() -> Iterator[Catalogs]:
    mounted = Catalogs()
    mounted.add(PgCatalog(mounted))
    memory = mounted.connector("memory")
    assert isinstance(memory, SupportsWrite)
    memory.create_table("public", "Fish", [ColumnInfo("id", INT4, nullable=False), ColumnInfo("name", TEXT),
                                           ColumnInfo("weight", numeric(6, 2))])
    yield mounted
    mounted.close()


def read(catalogs: Catalogs, relation: str, database: str = "memory") -> list[dict[str, Any]]:
    schema, name = relation.split(".")
    system = catalogs.connector("$system")
    assert isinstance(system, PgCatalog)
    handle = system.table_in(database, schema, name)
    assert handle is not None
    columns = [column.name for column in system.columns(handle)]
    batches = list(system.read(handle, Split({}), columns, 1000, lambda: ()))
    types = {column.name: storage_type(column.type) for column in system.columns(handle)}
    for batch in batches:
        assert [field.type for field in batch.schema] == [types[column] for column in columns]
    return [row for batch in batches for row in batch.to_pylist()]


def test_every_relation_reads(catalogs: Catalogs) -> None:
    assert len(system_relations()) > 200
    for schema, name in system_relations():
        read(catalogs, f"{schema}.{name}")


def test_tables_and_columns_show(catalogs: Catalogs) -> None:
    fish, = (row for row in read(catalogs, "pg_catalog.pg_class") if row["relname"] == "Fish")
    assert fish["relkind"] == "r" and fish["relnatts"] == 3 and fish["relnamespace"] == PUBLIC_OID
    columns = [row for row in read(catalogs, "pg_catalog.pg_attribute") if row["attrelid"] == fish["oid"]
               and row["attnum"] > 0]
    assert [(c["attname"], c["atttypid"], c["atttypmod"], c["attnotnull"]) for c in columns] == [
        ("id", 23, -1, True), ("name", 25, -1, False), ("weight", 1700, ((6 << 16) | 2) + 4, False)]


def test_the_federated_database_shows_all_schemas(catalogs: Catalogs) -> None:
    databases = {row["datname"] for row in read(catalogs, "pg_catalog.pg_database", "shoal")}
    assert databases == {"memory", "shoal"}
    assert "public" in {row["nspname"] for row in read(catalogs, "pg_catalog.pg_namespace", "shoal")}


def test_information_schema_agrees(catalogs: Catalogs) -> None:
    columns = [row for row in read(catalogs, "information_schema.columns") if row["table_name"] == "Fish"]
    assert [(c["column_name"], c["data_type"], c["numeric_precision"], c["numeric_scale"]) for c in columns] == [
        ("id", "integer", 32, 0), ("name", "text", None, None), ("weight", "numeric", 6, 2)]


def test_oids_are_stable() -> None:
    assert stable_oid("relation", "files", "public", "orders") == 1350425517


def test_a_source_that_is_gone_is_not_shown_as_empty(catalogs: Catalogs) -> None:
    catalogs.mount(CatalogDefinition("gone", "sqlite:/no/such/file.db"))
    with pytest.raises(SqlError, match="gone") as caught:
        read(catalogs, "pg_catalog.pg_class", "gone")
    assert caught.value.kind == "external"
    assert "Fish" in {row["relname"] for row in read(catalogs, "pg_catalog.pg_class", "shoal")}
