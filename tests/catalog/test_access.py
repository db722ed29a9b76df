"""Names as a session sees them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shoal.catalog.access import Namespace
from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.memory import MemoryConnector
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    ConnectionRefused,
    FeatureNotSupported,
    InvalidName,
    InvalidSchemaName,
    SqlError,
    UndefinedDatabase,
    UndefinedTable,
)
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.registry import Catalogs
from shoal.catalog.session_catalogs import session_namespace
from shoal.catalog.types import INT4


@pytest.fixture
def catalogs(tmp_path: Path) -> Catalogs:
    with closing(sqlite3.connect(tmp_path / "l.db")) as connection:
        connection.executescript('CREATE TABLE boats (x); CREATE TABLE "MixedCase" (x); CREATE TABLE "select" (x); '
                                 'CREATE TABLE only_here (x); CREATE TABLE "Twice" (x);')
    found = Catalogs([CatalogDefinition("s", "sample:"), CatalogDefinition("lite", f"sqlite:{tmp_path}/l.db"),
                      CatalogDefinition("mem2", "memory:")])
    found.add(PgCatalog(found))
    for catalog, schema, name in (("memory", "public", "made"), ("mem2", "public", "two"), ("mem2", "stage", "deep"),
                                  ("memory", "work", "w")):
        connector = found.connector(catalog)
        assert isinstance(connector, MemoryConnector)
        if schema not in connector.schemas():
            connector.create_schema(schema)
        connector.create_table(schema, name, [ColumnInfo("i", INT4)])
    return found


def where(catalogs: Catalogs, database: str, name: str, path: tuple[str, ...] = ("public",)) -> str:
    handle = Namespace(catalogs, database, path).resolve(tuple(name.split("|"))).handle
    return f"{handle.catalog}.{handle.schema}.{handle.name}"


@pytest.mark.parametrize(("database", "name", "found"), [
    ("s", "boats", "s.public.boats"),
    ("lite", "boats", "lite.public.boats"),
    ("s", "lite|boats", "lite.public.boats"),
    ("s", "public|boats", "s.public.boats"),
    ("s", "lite|public|boats", "lite.public.boats"),
    ("s", "shoal|public|only_here", "lite.public.only_here"),
    ("s", "made", "memory.public.made"),  # what CREATE TABLE in a read-only database made
    ("s", "work|w", "memory.work.w"),
    ("mem2", "two", "mem2.public.two"),
    ("mem2", "stage|deep", "mem2.stage.deep"),
    ("lite", "mixedcase", "lite.public.MixedCase"),
    ("lite", "MixedCase", "lite.public.MixedCase"),
    ("lite", "select", "lite.public.select"),
    ("shoal", "made", "memory.public.made"),
    ("shoal", "only_here", "lite.public.only_here"),
    ("shoal", "catches", "s.public.catches"),
    ("shoal", "s|boats", "s.public.boats"),
    ("shoal", "s.public|boats", "s.public.boats"),
    ("shoal", "shoal|s.public|boats", "s.public.boats"),
    ("shoal", "mem2.stage|deep", "mem2.stage.deep"),
    ("shoal", "stage|deep", "mem2.stage.deep"),
    ("shoal", "public|trips", "s.public.trips"),
    ("shoal", "pg_class", "$system.pg_catalog.pg_class"),
    ("s", "pg_catalog|pg_class", "$system.pg_catalog.pg_class"),
    ("s", "s|pg_catalog|pg_class", "$system.pg_catalog.pg_class"),
    ("s", "information_schema|tables", "$system.information_schema.tables"),
])
def test_resolution(catalogs: Catalogs, database: str, name: str, found: str) -> None:
    assert where(catalogs, database, name) == found


def test_search_path(catalogs: Catalogs) -> None:
    assert where(catalogs, "mem2", "deep", ("nowhere", "stage", "public")) == "mem2.stage.deep"
    assert where(catalogs, "shoal", "boats", ("lite.public", "public")) == "lite.public.boats"
    assert where(catalogs, "shoal", "w", ("work",)) == "memory.work.w"
    with pytest.raises(UndefinedTable):
        where(catalogs, "mem2", "deep")
    with pytest.raises(UndefinedTable):
        where(catalogs, "mem2", "two", ())


@pytest.mark.parametrize(("database", "name", "error", "message", "hint"), [
    ("s", "boat", UndefinedTable, 'relation "boat" does not exist', 'Did you mean "boats"?'),
    ("s", "MIXEDCASE", UndefinedTable, 'relation "MIXEDCASE" does not exist', ""),
    ("s", "only_here", UndefinedTable, 'relation "only_here" does not exist', "There is a table lite.public.only_here."),
    ("s", "lite|MixedCas", UndefinedTable, 'relation "lite.MixedCas" does not exist', 'Did you mean "MixedCase"?'),
    ("s", "publik|boats", UndefinedTable, 'relation "publik.boats" does not exist', 'Did you mean "public"?'),
    ("s", "lit|public|x", UndefinedDatabase, 'catalog "lit" does not exist', 'Did you mean "lite"?'),
    ("shoal", "boats", UndefinedTable, 'relation name "boats" is ambiguous',
     "It could be one of lite.public.boats, s.public.boats."),
    ("s", "a|b|c|d", InvalidName, "improper relation name (too many dotted names): a.b.c.d", ""),
    ("gone", "x", UndefinedDatabase, 'catalog "gone" does not exist', ""),
])
def test_mistakes(catalogs: Catalogs, database: str, name: str, error: type[SqlError], message: str, hint: str) -> None:
    with pytest.raises(error) as caught:
        where(catalogs, database, name)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(("database", "name", "target"), [
    ("s", "new", "memory.public.new"),
    ("mem2", "new", "mem2.public.new"),
    ("mem2", "stage|new", "mem2.stage.new"),
    ("shoal", "new", "memory.public.new"),
    ("shoal", "work|new", "memory.work.new"),
    ("shoal", "mem2|new", "mem2.public.new"),
    ("shoal", "mem2.stage|new", "mem2.stage.new"),
    ("s", "mem2|stage|new", "mem2.stage.new"),
])
def test_targets(catalogs: Catalogs, database: str, name: str, target: str) -> None:
    connector, schema, table = Namespace(catalogs, database).target(tuple(name.split("|")))
    assert f"{connector.name}.{schema}.{table}" == target


def test_targets_that_cannot_be(catalogs: Catalogs) -> None:
    with pytest.raises(InvalidSchemaName, match='schema "werk" does not exist') as caught:
        Namespace(catalogs, "shoal").target(("werk", "t"))
    assert caught.value.hint == 'Did you mean "work"?'
    with pytest.raises(FeatureNotSupported, match=r'catalog "s" .sample. is read-only'):
        Namespace(catalogs, "shoal").target(("s", "public", "t"))
    with pytest.raises(FeatureNotSupported):
        Namespace(catalogs, "shoal").target(("s.public", "t"))
    with pytest.raises(UndefinedDatabase):
        Namespace(catalogs, "shoal").target(("x", "public", "t"))


def test_schema_targets(catalogs: Catalogs) -> None:
    for database, parts, target in (("s", ("x",), "memory.x"), ("mem2", ("x",), "mem2.x"), ("s", ("mem2", "x"), "mem2.x"),
                                    ("shoal", ("mem2.x",), "mem2.x")):
        connector, schema = Namespace(catalogs, database).schema_target(parts)
        assert f"{connector.name}.{schema}" == target


def test_listing(catalogs: Catalogs) -> None:
    seen = {(catalog, schema, table.name) for catalog, schema, table in Namespace(catalogs, "shoal").tables()}
    assert {("memory", "public", "made"), ("s", "s.public", "boats"), ("mem2", "mem2.stage", "deep"),
            ("$system", "pg_catalog", "pg_class")} <= seen
    own = {(catalog, schema, table.name) for catalog, schema, table in Namespace(catalogs, "s").tables()}
    assert ("s", "public", "boats") in own and not any(catalog == "lite" for catalog, _, _ in own)


def test_a_source_that_is_down_hides_only_itself(catalogs: Catalogs) -> None:
    catalogs.mount(CatalogDefinition("pg", "postgresql://u@127.0.0.1:1/x"))
    assert where(catalogs, "shoal", "catches") == "s.public.catches"
    with pytest.raises(ConnectionRefused, match='catalog "pg"'):
        where(catalogs, "shoal", "nowhere_else")
    assert any(catalog == "s" for catalog, _, _ in Namespace(catalogs, "shoal").tables())


def test_case_folding_needs_one_answer(catalogs: Catalogs) -> None:
    connector = catalogs.connector("mem2")
    assert isinstance(connector, MemoryConnector)
    connector.create_table("public", "Pair", [ColumnInfo("i", INT4)])
    assert where(catalogs, "mem2", "pair") == "mem2.public.Pair"
    connector.create_table("public", "PAIR", [ColumnInfo("i", INT4)])
    with pytest.raises(UndefinedTable, match="ambiguous") as caught:
        where(catalogs, "mem2", "pair")
    assert caught.value.hint == 'It could be one of mem2.public."PAIR", mem2.public."Pair".'


@pytest.mark.parametrize("database", ["memory", "mem2", "shoal", "lite"])
def test_temporary_things_are_found_by_the_schema_that_they_are_in(catalogs: Catalogs, database: str) -> None:
    """As the defaults of serial columns name their sequences."""
    memory = catalogs.connector("memory")
    assert isinstance(memory, MemoryConnector)
    schema = memory.temporary_schema("7")
    memory.written_by("7").create_table(schema, "mine", [ColumnInfo("a", INT4)])
    seen = session_namespace(catalogs, database, ("public",), "7")
    for parts in ((schema, "mine"), ("pg_temp", "mine"), ("mine",)):
        found = seen.resolve(parts).handle
        assert (found.catalog, found.schema, found.name) == ("memory", schema, "mine")
