"""Columns of a mounted PostgreSQL's own enum and composite types answer as they do there, and are described alike."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum

from conformance.server import Server
from tests.postgres_server import PostgresServer

TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'Zen', 'apple');
CREATE TYPE comp AS (p int, q text, m mood, ms mood[]);
CREATE DOMAIN some_mood AS mood;
CREATE TABLE e (id int PRIMARY KEY, m mood, ms mood[], c comp, d some_mood, t text);
INSERT INTO e VALUES (1, 'happy', '{sad,happy}', (10, 'x', 'ok', '{ok,sad}'), 'ok', 'happy'),
  (2, 'sad', '{apple,NULL}', (2, 'y,"', 'sad', NULL), 'sad', 'b'), (3, 'ok', NULL, NULL, NULL, 'ok'),
  (4, NULL, '{}', (NULL, NULL, NULL, NULL), 'Zen', NULL), (5, 'Zen', '{Zen}', (2, 'y', 'ok', '{}'), 'apple', 'Zen'),
  (6, 'apple', '{ok,ok}', (9, 'a', 'happy', '{apple}'), 'happy', 'z');
CREATE TABLE f (m mood, n int);
INSERT INTO f VALUES ('sad', 10), ('happy', 20), ('apple', 30), (NULL, 40);
"""
CONDITIONS = (
    "m = 'happy'", "m <> 'happy'", "m < 'happy'", "m >= 'happy'", "not m < 'Zen'", "(m < 'sad') is null", "m <= 'apple'",
    "m between 'ok' and 'Zen'", "m in ('happy', 'sad')", "m not in ('happy', 'sad')", "m = any ('{happy,sad}')",
    "m > any ('{ok,Zen}')", "m is distinct from 'happy'", "m is null", "m = 'none'", "m in ('ok', 'none')", "m like 'h%'",
    "m::text < 'b'", "m::text > 'happy'", "m::text between 'a' and 'i'", "m::text = 'none'", "m::text <> 'none'",
    "m::text in ('happy', 'none')", "m::text not in ('happy', 'none')", "m::text like 'h%'", "m::varchar(2) = 'ha'",
    "m::text = t", "m = t", "m = 'ok' or m::text < 'b'", "m = (select max(m) from f)", "m in (select m from f)",
    "m not in (select m from f where m is not null)", "ms @> '{ok}'", "'ok' = any (ms)", "ms < '{happy}'", "d::mood > 'ok'",
    "(c).m < 'happy'", "(c).p = 2", "(c).m::text < 'p'", "c < row(2, 'z', 'sad', null)::comp", "(m, id) < ('happy', 2)",
    "'sad' = any ((c).ms)", "m = 1", "ms is null and c is null")
QUERIES = (
    "select m, ms, c, d from e order by id", "select id from e order by m, id", "select id from e order by m::text, id",
    "select id from e order by ms, id", "select id from e order by c, id", "select id, m from e order by m desc limit 2",
    "select m from e order by m fetch first 2 rows with ties", "select distinct m from e order by m",
    "select m, count(*) from e group by m order by m", "select m::text, count(*) from e group by 1 order by 1",
    "select min(m), max(m), min(m::text), max(m::text), max(ms) from e", "select array_agg(distinct m order by m) from e",
    "select e.id, n from e join f on e.m = f.m order by 1", "select e.id, n from e join f on e.m < f.m order by 1, 2",
    "select e.id, n from e join f on e.m::text < f.m::text order by 1, 2", "select id, (c).* from e order by id",
    "select id, unnest(ms) from e order by id, 2", "select to_jsonb(e) from e order by id",
    "select rank() over (order by m) from e order by id", "select greatest(m, 'ok'), least(m, 'ok') from e order by id",
    "select pg_typeof(m)::text, pg_typeof(ms)::text, pg_typeof(c)::text from e where id = 1", "select m + 1 from e",
    "select enum_range(null::mood)", "select (c).none from e", "select coalesce(m, 'none') from e",
    "select column_name::text, data_type::text, udt_name::text from information_schema.columns where table_name = 'e' "
    "and column_name <> 'd' order by ordinal_position",
    "select a.attname::text, format_type(a.atttypid, a.atttypmod) from pg_type t "
    "join pg_attribute a on a.attrelid = t.typrelid where t.typname = 'comp' order by a.attnum")


@pytest.fixture(scope="module")
def sides(postgres_server: PostgresServer) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """PostgreSQL itself, and Shoal over it."""
    postgres_server.run("CREATE DATABASE source_types")
    url = postgres_server.url("source_types")
    postgres_server.run(TABLES, "source_types")
    with (Server(["--workers", "1", "--catalog", f"pg={url}", "--catalog", "mem=memory:"]) as server,
          psycopg.connect(url, autocommit=True) as judge, server.connect("pg") as shoal):
        yield judge, shoal
    postgres_server.run("DROP DATABASE source_types WITH (FORCE)")


def _answer(connection: psycopg.Connection, sql: str) -> object:
    """Columns and rows, types of the source's own by their names; or the error's SQLSTATE."""
    try:
        result = connection.execute(sql)  # type: ignore[arg-type]
    except psycopg.Error as error:
        return error.sqlstate
    columns = [(column.name, column.type_code) for column in result.description or ()]
    rows = result.fetchall()
    named = [(name, connection.execute("select format_type(%s, null)", (code,)).fetchone()) for name, code in columns]
    return named, rows


@pytest.mark.parametrize("sql", [*(f"select id from e where {c} order by id" for c in CONDITIONS), *QUERIES])
def test_answers_are_those_of_the_source(sql: str, sides: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    judge, shoal = sides
    assert _answer(shoal, sql) == _answer(judge, sql)


@pytest.mark.parametrize(("condition", "sent"), [
    ("m = 'happy'", """"m"::text = 'happy'::text"""), ("m < 'happy'", """"m"::text IN ('sad'::text, 'ok'::text)"""),
    ("m::text like 'h%'", """"m"::text LIKE 'h%'::text"""), ("m::text < 'b'", "")])
def test_what_the_source_is_asked(condition: str, sent: str, sides: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    plan = "\n".join(line for line, in sides[1].execute(f"explain select id from e where {condition}"))  # type: ignore
    assert (f"WHERE {sent}" in plan) if sent else ("WHERE" not in plan)


@pytest.mark.parametrize("binary", [False, True])
def test_drivers_know_the_types(binary: bool, sides: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    for connection in sides:
        mood, comp = EnumInfo.fetch(connection, "mood"), CompositeInfo.fetch(connection, "comp")
        assert mood is not None and comp is not None and list(comp.field_names) == ["p", "q", "m", "ms"]
        cursor = connection.cursor(binary=binary)
        register_enum(mood, cursor)
        register_composite(comp, cursor)
        assert mood.enum is not None and comp.python_type is not None
        happy, sad = mood.enum["happy"], mood.enum["sad"]
        found = cursor.execute("select m, ms, c from e where m = %s", (happy,)).fetchall()
        assert found == [(happy, [sad, happy], comp.python_type(10, "x", mood.enum["ok"], [mood.enum["ok"], sad]))]


def test_types_of_two_sources_differ(sides: tuple[psycopg.Connection, psycopg.Connection]) -> None:
    shoal = sides[1]
    shoal.execute("create type mem.public.mood as enum ('sad', 'happy')")
    shoal.execute("create table mem.public.own (m mem.public.mood)")
    shoal.execute("insert into mem.public.own values ('happy'), ('sad')")
    with pytest.raises(psycopg.errors.UndefinedFunction):
        shoal.execute("select * from e join mem.public.own o on e.m = o.m")
    assert shoal.execute("select e.id from e join mem.public.own o on e.m::text = o.m::text order by 1").fetchall() == [
        (1,), (2,)]
    shoal.execute("create table mem.public.copied as select id, m, ms, c from e")
    joined = "select a.id from e a join mem.public.copied b on a.m = b.m and b.m < 'happy' order by b.m"
    assert shoal.execute(joined).fetchall() == [(2,), (3,)]
