"""Huge and hostile statements through the wire: PostgreSQL's answer or SQLSTATE, in bounded time, and a living server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import pq

from conformance.server import Server
from conformance.slt import ask

DEEP = 10_000
SECONDS = 20.0
"""What the slowest of these statements may take on a busy machine; most need a fraction of a second."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["--workers", "1"]) as running:
        with running.connect("memory") as connection:
            connection.execute("CREATE TABLE t (a int, b text)")
            connection.execute("INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 1000) i")
            connection.execute("CREATE TABLE made (a int, b text, c numeric, d date)")
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[psycopg.Connection]:
    with server.connect("memory") as opened:
        yield opened
        assert opened.execute("SELECT 1").fetchone() == (1,)
    assert server.process.poll() is None


def _chain(operator: str, operand: str) -> str:
    return operator.join([operand] * DEEP)


NUMBERS = range(100_000)
ANSWERS = {
    "integers": (f"SELECT count(*) FROM t WHERE a IN ({', '.join(map(str, NUMBERS))})", "1000"),
    "other integers": (f"SELECT count(*) FROM t WHERE a NOT IN ({','.join(map(str, NUMBERS))})", "0"),
    "ten megabytes": (f"SELECT count(*) FROM t WHERE a IN ({','.join(f'{i:0100}' for i in NUMBERS)})", "1000"),
    "strings": ("SELECT count(*) FROM t WHERE b IN ({})".format(",".join(f"'n{i}'" for i in NUMBERS)), "1000"),
    "with null": (f"SELECT count(*) FROM t WHERE (a NOT IN ({','.join(map(str, NUMBERS[1000:]))}, NULL)) IS NULL", "999"),
    "array": (f"SELECT count(*) FROM t WHERE a = ANY (ARRAY[{','.join(map(str, NUMBERS))}])", "1000"),
    "array text": (f"SELECT count(*) FROM t WHERE a = ANY ('{{{','.join(map(str, NUMBERS))}}}')", "1000"),
    "array items": (f"SELECT array_length(ARRAY[{','.join(map(str, range(DEEP)))}], 1)", str(DEEP)),
    "values": ("SELECT count(*) || ' ' || sum(a) || max(b) FROM (VALUES {}) v(a, b)".format(
        ",".join(f"({i}, 'x{i}')" for i in NUMBERS)), "100000 4999950000x99999"),
    "and": (f"SELECT count(*) FROM t WHERE {' AND '.join(f'a <> {i}' for i in range(DEEP))}", "0"),
    "or": (f"SELECT count(*) FROM t WHERE {' OR '.join(f'a = {i}' for i in range(DEEP))}", "1000"),
    "union all": (f"SELECT count(*) FROM ({' UNION ALL '.join(f'SELECT {i}' for i in range(2000))}) u", "2000"),
    "join": ("SELECT count(*) FROM {} WHERE {}".format(
        ", ".join(f"t t{i}" for i in range(60)), " AND ".join(f"t{i}.a = t{i + 1}.a" for i in range(59))), "1000"),
    "ctes": ("WITH {} SELECT x FROM c999".format(", ".join(f"c{i} AS (SELECT {i} AS x)" for i in range(1000))), "999"),
    "coalesce": (f"SELECT coalesce({'NULL, ' * 20_000}1)", "1"),
    "when": ("SELECT sum(CASE {} END) FROM t".format(" ".join(f"WHEN a = {i} THEN {i}" for i in range(2000))), "500500"),
    "long string": (f"SELECT length('{'x' * 5_000_000}')", "5000000"),
    "long comment": (f"SELECT 1 /*{'x' * 5_000_000}*/", "1"),
    "many comments": (f"SELECT 1 {'/* */ ' * 100_000}", "1"),
}
REFUSED = {
    "parentheses": ("SELECT " + "(" * DEEP + "1" + ")" * DEEP, "54001"),
    "open parentheses": ("SELECT " + "(" * DEEP, "54001"),
    "subqueries": ("SELECT " + "(SELECT " * DEEP + "1" + ")" * DEEP, "54001"),
    "from": ("SELECT * FROM " + "(SELECT * FROM " * DEEP + "t" + ") x" * DEEP, "54001"),
    "case": ("SELECT " + "CASE WHEN true THEN " * DEEP + "1" + " END" * DEEP, "54001"),
    "calls": ("SELECT " + "abs(" * DEEP + "1" + ")" * DEEP, "54001"),
    "not": ("SELECT " + "NOT " * DEEP + "true", "54001"),
    "minus": ("SELECT " + "- " * DEEP + "1", "54001"),
    "arrays": ("SELECT " + "ARRAY[" * DEEP + "1" + "]" * DEEP, "54001"),
    "concatenations": (f"SELECT {_chain('||', 'b')} FROM t", "54001"),
    "sums": (f"SELECT {_chain('+', 'a')} FROM t", "54001"),
    "signs": ("SELECT 1 " + "+" * 20_000 + " 1", "54001"),
    "subscripts": ("SELECT (ARRAY[1])" + "[1]" * DEEP, "54000"),
    "columns": (f"CREATE TABLE wide ({', '.join(f'c{i} int' for i in range(1601))})", "54011"),
    "targets": (f"SELECT {','.join(['1'] * 1665)}", "54011"),
    "arguments": (f"SELECT concat({','.join(['1'] * 101)})", "54023"),
    "operator": ("SELECT 1 " + "@" * DEEP + " 1", "42601"),
    "unterminated string": ("SELECT '" + "x" * 1_000_000, "42601"),
    "unterminated comment": ("SELECT " + "/*" * 100_000, "42601"),
    "unterminated name": ('SELECT "' + "x" * 1_000_000, "42601"),
    "dots": ("SELECT a" + ".a" * 1000, "42601"),
    "long name": ("SELECT " + "x" * 1_000_000, "42703"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_is_answered(name: str, connection: psycopg.Connection) -> None:
    sql, want = ANSWERS[name]
    started = time.monotonic()
    answer = ask(connection, sql)
    assert (answer.sqlstate, answer.rows) == ("", (want,)), answer.fields
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(name: str, connection: psycopg.Connection) -> None:
    sql, want = REFUSED[name]
    started = time.monotonic()
    assert ask(connection, sql).sqlstate == want
    assert time.monotonic() - started < SECONDS


def test_many_rows_are_inserted_at_once(connection: psycopg.Connection) -> None:
    rows = ",".join(f"({i}, 'x{i}', {i}.25, '2020-01-01')" for i in range(10_000))
    connection.execute(f"INSERT INTO made VALUES {rows}".encode())
    assert connection.execute("SELECT count(*), sum(a), min(b), sum(c)::text, max(d)::text FROM made").fetchone() == (
        10_000, 49995000, "x0", "49997500.00", "2020-01-01")
    wrong = ask(connection, f"INSERT INTO made VALUES {rows}, (1, 2, 'x', NULL)")
    assert wrong.sqlstate == "22P02" and wrong.fields["position"] == str(len(f"INSERT INTO made VALUES {rows}, (1, 2, ") + 1)


def test_the_last_column_allowed(connection: psycopg.Connection) -> None:
    connection.execute(f"CREATE TABLE wide ({', '.join(f'c{i} int' for i in range(1600))})".encode())
    connection.execute(f"INSERT INTO wide VALUES ({', '.join(map(str, range(1600)))})".encode())
    row = connection.execute("SELECT * FROM wide").fetchone()
    assert row == tuple(range(1600))
    assert len(ask(connection, f"SELECT {','.join(['1'] * 1664)}").types) == 1664


def test_long_names_are_cut_with_a_notice(connection: psycopg.Connection) -> None:
    notices: list[tuple[str | None, str | None]] = []
    connection.add_notice_handler(lambda notice: notices.append((notice.sqlstate, notice.message_primary)))
    result = connection.execute(f"SELECT 1 AS {'é' * 40}".encode())
    assert result.description is not None and result.description[0].name == "é" * 31
    assert notices == [("42622", f'identifier "{"é" * 40}" will be truncated to "{"é" * 31}"')]


@pytest.mark.parametrize("sql", [b"SELECT '\xff'", b"SELECT '\xc3('", b"SELECT '\xed\xa0\x80'", b"SELECT \"\xf8\""])
def test_bytes_that_are_no_text(sql: bytes, connection: psycopg.Connection) -> None:
    result = connection.pgconn.exec_(sql)
    assert result.error_field(pq.DiagnosticField.SQLSTATE) == b"22021"


@pytest.mark.parametrize("value", [b"a\0b", b"\xff"])
def test_parameters_that_are_no_text(value: bytes, connection: psycopg.Connection) -> None:
    result = connection.pgconn.exec_params(b"SELECT $1::text", [value], param_formats=[pq.Format.BINARY])
    assert result.error_field(pq.DiagnosticField.SQLSTATE) == b"22021"
