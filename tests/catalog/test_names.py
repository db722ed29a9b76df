"""Object names and identifiers as a session sees them (pg_catalog.names)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.pg_catalog.names import SessionNames, split_name
from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.registry import Catalogs
from shoal.catalog.types import INT4


@pytest.fixture
def names() -> Iterator[SessionNames]:
    catalogs = Catalogs()
    system = PgCatalog(catalogs)
    catalogs.add(system)
    memory = catalogs.connector("memory")
    assert isinstance(memory, SupportsWrite)
    memory.create_table("public", "Fish", [ColumnInfo("id", INT4)])
    yield SessionNames(lambda: system.snapshot("memory"), ("public",))
    catalogs.close()


def test_regclass_goes_both_ways(names: SessionNames) -> None:
    oid = names.oid_of("regclass", '"Fish"')
    assert oid is not None
    assert names.oid_of("regclass", 'public."Fish"') == oid == names.oid_of("regclass", 'memory.public."Fish"')
    assert names.oid_of("regclass", "Fish") is None
    assert names.name_of("regclass", oid) == '"Fish"'
    assert names.is_visible("table", oid)


def test_system_relations_have_postgresql_s_oids(names: SessionNames) -> None:
    assert names.oid_of("regclass", "pg_catalog.pg_class") == 1259 == names.oid_of("regclass", "pg_class")
    assert names.name_of("regclass", 1259) == "pg_class"


def test_types_and_schemas(names: SessionNames) -> None:
    assert names.name_of("regtype", 1700) == "numeric" and names.oid_of("regtype", "integer") == 23
    assert names.oid_of("regtype", "int[]") == 1007
    assert names.name_of("regnamespace", 11) == "pg_catalog"
    assert names.name_of("regclass", 99) is None


@pytest.mark.parametrize(("text", "parts"), [
    ("a", ["a"]), ("A.b", ["a", "b"]), ('"A"."b.c"', ["A", "b.c"]), ('x."a""b"', ["x", 'a"b'])])
def test_names_split_as_sql_reads_them(text: str, parts: list[str]) -> None:
    assert split_name(text) == parts


def test_nothing_is_looked_up_before_a_name_is_asked_for() -> None:
    def snapshot() -> Snapshot:
        raise AssertionError("taken too early")

    names = SessionNames(snapshot, ("public",))
    assert names.name_of("regtype", 23) == "integer"
