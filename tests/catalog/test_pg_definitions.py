"""Definitions and names of PostgreSQL's own objects: as a real PostgreSQL 15 prints them; OIDs that stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.pg_catalog.names import SessionNames
from shoal.catalog.registry import Catalogs
from tests.postgres_server import PostgresServer

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE "order" (id int PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', feeling mood, CHECK (id > 0),
                      UNIQUE (name, id));
CREATE TABLE line (n int GENERATED ALWAYS AS IDENTITY, o int REFERENCES "order" ON UPDATE SET NULL DEFERRABLE,
                   double int GENERATED ALWAYS AS (n * 2) STORED);
CREATE INDEX line_o ON line (o DESC NULLS LAST) INCLUDE (n) WHERE o > 3;
CREATE VIEW v AS SELECT id FROM "order" WHERE id > 1;
COMMENT ON COLUMN line.o IS 'which order';
"""


@contextmanager
def names_of(url: str = "") -> Iterator[SessionNames]:
    catalogs = Catalogs([CatalogDefinition("pg", url)] if url else [])
    system = PgCatalog(catalogs)
    catalogs.add(system)
    try:
        yield system.names({"database": "pg" if url else "memory", "search_path": ["public"]})
    finally:
        catalogs.close()


@pytest.fixture
def names() -> Iterator[SessionNames]:
    with names_of() as found:
        yield found


@pytest.mark.parametrize("function", ["pg_get_function_arguments", "pg_get_function_identity_arguments",
                                      "pg_get_function_result"])
def test_functions(names: SessionNames, postgres_server: PostgresServer, function: str) -> None:
    rows = postgres_server.query(f"SELECT oid::int8, {function}(oid) FROM pg_proc WHERE oid < 16384")
    assert [(oid, names.answer(function, (oid,))) for oid, _ in rows] == rows


def test_function_definitions(names: SessionNames, postgres_server: PostgresServer) -> None:
    rows = postgres_server.query("SELECT oid::int8, pg_get_functiondef(oid) FROM pg_proc "
                                 "WHERE oid < 16384 AND prokind <> 'a'")
    wrong = [(text, names.answer("pg_get_functiondef", (oid,))) for oid, text in rows
             if names.answer("pg_get_functiondef", (oid,)) != text]
    assert wrong == []


@pytest.mark.parametrize(("kind", "catalog"), [
    ("regclass", "pg_class WHERE relkind IN ('r', 'v') AND relnamespace <> 'pg_toast'::regnamespace"),
    ("regtype", "pg_type"),
    ("regproc", "pg_proc"), ("regprocedure", "pg_proc"), ("regoper", "pg_operator"), ("regoperator", "pg_operator"),
    ("regnamespace", "pg_namespace")])
def test_identifiers(names: SessionNames, postgres_server: PostgresServer, kind: str, catalog: str) -> None:
    rows = postgres_server.query(
        f"SELECT oid::int8, oid::{kind}::text FROM (SELECT oid FROM {catalog}) AS o WHERE oid < 16384")
    shown = {oid: names.name_of(kind, oid) for oid, _ in rows}
    wrong = [(text, shown[oid]) for oid, text in rows if shown[oid] != text and not text.startswith("pg_toast.")]
    assert wrong == []


def test_objects_of_a_source(postgres_server: PostgresServer, postgres_database: str) -> None:
    postgres_server.run(SCHEMA, postgres_database)
    with names_of(postgres_server.url(postgres_database)) as names:
        oid = {name: names.oid_of("regclass", name) for name in ('"order"', "line", "line_o", "v", "line_n_seq")}
        assert None not in oid.values() and names.name_of("regclass", oid['"order"'] or 0) == '"order"'
        for relation, column in (("line_o", "pg_get_indexdef"), ("v", "pg_get_viewdef")):
            for pretty in (False, True):
                call = f"{column}('{relation}'::regclass, {'0, ' if relation == 'line_o' else ''}{pretty})"
                want, = postgres_server.query(f"SELECT {call}", postgres_database)
                arguments = (oid[relation], *((0,) if relation == "line_o" else ()), pretty)
                assert names.answer(column, arguments) == want[0]
        keys = {key.name: key_oid for _, key_oid, key in names.snapshot.constraints()}
        for name, plain, pretty_text in postgres_server.query(
                "SELECT conname, pg_get_constraintdef(oid), pg_get_constraintdef(oid, true) FROM pg_constraint "
                "WHERE conrelid >= 16384", postgres_database):
            assert names.answer("pg_get_constraintdef", (keys[name],)) == plain
            assert names.answer("pg_get_constraintdef", (keys[name], True)) == pretty_text
        assert names.answer("col_description", (oid["line"], 2)) == "which order"
        assert names.answer("pg_get_serial_sequence", ("line", "n")) == "public.line_n_seq"
        assert names.name_of("regtype", names.oid_of("regtype", "mood[]") or 0) == "mood[]"
    with names_of(postgres_server.url(postgres_database)) as again:
        assert {name: again.oid_of("regclass", name) for name in oid} == oid
