"""DDL, EXPLAIN, writes that are refused, and what a Bound says beside its plan."""

from __future__ import annotations

import pytest

from shoal.catalog.errors import FeatureNotSupported, ReadOnlyTransaction, SqlError, WrongObjectType
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bound import CreateSchema, CreateTable, CreateView, Drop, DropSchema, Explain, Truncate
from tests.exec.sql.tables import bound


def test_create_table() -> None:
    found = bound("create temp table if not exists s.x (a int, b numeric(5,2) not null default 1+1, c text[], "
                  "primary key (a, b), d timestamp with time zone)")
    assert (found.kind, found.tag) == ("command", "CREATE TABLE")
    command = found.command
    assert isinstance(command, CreateTable)
    assert (command.parts, command.if_not_exists, command.temporary) == (("s", "x"), True, True)
    assert [(c.name, c.type.sql, c.nullable) for c in command.columns] == [
        ("a", "integer", False), ("b", "numeric(5,2)", False), ("c", "text[]", True), ("d", "timestamp with time zone",
                                                                                       True)]
    assert command.columns[1].default


def test_create_table_as() -> None:
    found = bound("create table x (p) as select a, b from t where a > $1 with no data")
    assert found.kind == "create_table_as" and found.plan is not None
    command = found.command
    assert isinstance(command, CreateTable) and not command.with_data
    assert [(c.name, c.type.sql) for c in command.columns] == [("p", "integer"), ("b", "bigint")]
    assert [t.sql for t in found.parameters] == ["integer"]


def test_drop_truncate_schema_view() -> None:
    assert bound("drop table if exists a, b.c cascade").command == Drop("TABLE", (("a",), ("b", "c")), True, True)
    assert bound("truncate table t, u restart identity").command == Truncate((("t",), ("u",)), True)
    assert bound("create schema if not exists s").command == CreateSchema(("s",), True)
    assert bound("drop schema s").command == DropSchema((("s",),))
    view = bound("create or replace view w as select a, c as z from t").command
    assert isinstance(view, CreateView) and view.view.query == "select a, c as z from t" and view.replace
    assert [c.name for c in view.columns] == ["a", "z"]


def test_explain() -> None:
    found = bound("explain (analyze, verbose off, format json) select a from t where a = $1")
    command = found.command
    assert isinstance(command, Explain) and (command.analyze, command.verbose, command.format) == (True, False, "json")
    assert command.bound.kind == "select" and [t.sql for t in found.parameters] == ["integer"]
    assert [f.name for f in found.fields] == ["QUERY PLAN"] and found.returns_rows
    assert bound("explain analyze verbose delete from t").command.analyze  # type: ignore[union-attr]


@pytest.mark.parametrize(("sql", "state", "message"), [
    ("create table x (a int, a text)", "42701", 'column "a" specified more than once'),
    ("create table x (a nosuch)", "42704", 'type "nosuch" does not exist'),
    ("create table x as select 1 as a, 2 as a", "42701", 'column "a" specified more than once'),
    ("create table x (a int default 'x')", "22P02", 'invalid input syntax for type integer: "x"'),
    ("truncate nosuch", "42P01", 'relation "nosuch" does not exist'),
    ("explain (format xml) select 1", "0A000", "EXPLAIN (FORMAT XML) is not supported"),
    ("explain (timing) select 1", "22023", "EXPLAIN option TIMING requires ANALYZE"),
    ("explain drop table t", "0A000", "EXPLAIN of DROP TABLE is not supported"),
])
def test_command_errors(sql: str, state: str, message: str) -> None:
    with pytest.raises(SqlError) as caught:
        bound(sql)
    assert (caught.value.sqlstate, caught.value.message) == (state, message)


@pytest.mark.parametrize("sql", ["insert into nation values (1)", "update nation set n_name = 'x'", "delete from nation"])
def test_what_cannot_be_written_says_so(sql: str) -> None:
    with pytest.raises(FeatureNotSupported, match=r'catalog "h" .* is read-only'):
        bound(sql, database="h")


@pytest.mark.parametrize("sql", ["insert into t default values", "update t set a = 1", "delete from t", "truncate t",
                                 "create table x (a int)", "drop table t", "create schema s"])
def test_read_only_sessions(sql: str) -> None:
    with pytest.raises(ReadOnlyTransaction):
        bound(sql, session=SessionContext(database="plain", read_only=True))


def test_origins_and_tags() -> None:
    found = bound("select t.c, a + 1, s.b from t, (select b, a as x from t) s")
    assert found.origins == (("plain", "public", "t", 2), None, ("plain", "public", "t", 1))
    assert found.tag == "SELECT" and bound("insert into t default values").tag == "INSERT 0"
    assert bound("delete from t").tag == "DELETE" and not bound("delete from t").returns_rows


def test_system_tables_are_not_written() -> None:
    with pytest.raises((WrongObjectType, SqlError)):
        bound("delete from pg_catalog.pg_class")
