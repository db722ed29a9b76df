"""Real drivers against a real listener: psycopg 3 and 2, asyncpg, SQLAlchemy, psql."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from decimal import Decimal

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.rows import tuple_row

from tests.server.conftest import Address


@pytest.fixture
def connection(shoal: Address) -> Iterator[psycopg.Connection]:
    with psycopg.connect(host=shoal.host, port=shoal.port, user="shoal", dbname="sample", autocommit=True,
                         row_factory=tuple_row) as connected:
        yield connected


VALUES: list[tuple[str, object]] = [
    ("bool", True), ("int2", -5), ("int4", 123456), ("int8", 2**62), ("float4", 1.5), ("float8", 0.1), ("text", "née 🐟"),
    ("text", ""),
    ("numeric", Decimal("12345.6789")), ("numeric(10,2)", Decimal("-0.05")), ("date", datetime.date(2024, 2, 29)),
    ("time", datetime.time(12, 34, 56, 789)), ("timestamp", datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)), ("interval", datetime.timedelta(days=3,
                                                                                                             seconds=5)),
    ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")), ("bytea", b"\x00\xff"), ("int4[]", [1, None, 3]),
    ("text[]", ["a", ""]),
]


@pytest.mark.parametrize(("cast", "value"), VALUES)
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_values_go_and_come_back(connection: psycopg.Connection, cast: str, value: object, binary: bool) -> None:
    holder = "%b" if binary else "%t"
    row = connection.execute(f"select {holder}::{cast} as v, {holder}::{cast} is null as n", (value, None),
                             binary=binary).fetchone()
    assert row == (value, True)


def test_prepared_statements_and_pipelines(connection: psycopg.Connection) -> None:
    for number in range(8):  # psycopg prepares at the sixth
        assert connection.execute("select %s::int4 * 2", (number,)).fetchone() == (number * 2,)
    with connection.pipeline():
        cursors = [connection.execute("select %s::int4", (number,)) for number in range(50)]
    assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(50)]
    with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():
        connection.execute("select 1/x from generate_series(0, 0) t(x)")
    assert connection.execute("select 1").fetchone() == (1,)


def test_transactions_and_server_cursors(connection: psycopg.Connection) -> None:
    with connection.transaction():
        with pytest.raises(psycopg.errors.UndefinedTable), connection.transaction():
            connection.execute("select * from nope")
        with connection.cursor("named") as cursor:
            cursor.execute("select x from generate_series(1, %s) t(x)", (1000,))
            assert cursor.fetchone() == (1,)
            assert len(cursor.fetchmany(99)) == 99
            assert len(list(cursor)) == 900
        with connection.cursor("scrolling", scrollable=True) as cursor:
            cursor.execute("select x from generate_series(1, 10) t(x)")
            cursor.scroll(5)
            assert cursor.fetchone() == (6,)
            cursor.scroll(-3)
            assert cursor.fetchone() == (4,)
    assert connection.info.transaction_status.name == "IDLE"


def test_copy(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("copy (select x, 'a' || chr(9) || x from generate_series(1, 20000) t(x)) to stdout") as copy:
            rows = list(copy.rows())
        assert len(rows) == 20_000 and rows[6] == ("7", "a\t7")
        sql = "copy (select x, null::text, x / 2.0 from generate_series(1, 20000) t(x)) to stdout (format binary)"
        with cursor.copy(sql) as copy:
            copy.set_types(["int4", "text", "numeric"])
            rows = list(copy.rows())
        assert len(rows) == 20_000 and rows[6] == (7, None, Decimal("3.5000000000000000"))


def test_a_long_result_in_both_formats(connection: psycopg.Connection) -> None:
    sql = ("select x, x::text as t, case when x % 3 = 0 then x end as n, x::numeric(10,2) as d "
           "from generate_series(1, 50000) t(x)")
    text, binary = connection.execute(sql).fetchall(), connection.execute(sql, binary=True).fetchall()
    assert text == binary and len(text) == 50_000 and text[2] == (3, "3", 3, Decimal("3.00"))


def test_set_config_changes_the_session(connection: psycopg.Connection) -> None:
    row = connection.execute("select current_setting('jit') as cur, set_config('jit', 'on', false) as new").fetchone()
    assert row == ("off", "on")
    assert connection.execute("show jit").fetchone() == ("on",)
    connection.execute("select set_config(%s, %s, false)", ("application_name", "named"))
    assert connection.info.parameter_status("application_name") == "named"
    with pytest.raises(psycopg.errors.UndefinedObject):
        connection.execute("select set_config('nope', 'x', false)")
    with connection.transaction():
        connection.execute("select set_config('jit', 'off', true)")
        assert connection.execute("select current_setting('jit')").fetchone() == ("off",)
    assert connection.execute("select current_setting('jit')").fetchone() == ("on",)


def test_time_zones_and_now(connection: psycopg.Connection) -> None:
    connection.execute("set timezone = 'Asia/Tokyo'")
    assert connection.execute("select timestamptz '2024-01-01 00:00+00'::text").fetchone() == ("2024-01-01 09:00:00+09",)
    connection.execute("set time zone -3")
    assert connection.execute("select timestamptz '2024-01-01 00:00+00'::text").fetchone() == ("2023-12-31 21:00:00-03",)
    with connection.transaction():
        first = connection.execute("select now()").fetchone()
        assert connection.execute("select now()").fetchone() == first
    assert connection.execute("select now()").fetchone() != first


def test_writing_and_read_only(connection: psycopg.Connection) -> None:
    connection.execute("create table memory.public.sessions_t (a int, b text)")
    try:
        assert connection.execute("insert into memory.public.sessions_t values (1, 'x'), (2, null)").rowcount == 2
        assert connection.execute("select * from memory.public.sessions_t order by a").fetchall() == [(1, "x"), (2, None)]
        connection.execute("set default_transaction_read_only = on")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("delete from memory.public.sessions_t")
        connection.execute("reset all")
    finally:
        connection.execute("drop table memory.public.sessions_t")


def test_reg_types_print_names(connection: psycopg.Connection) -> None:
    assert connection.execute("select 'boats'::regclass, 23::regtype, 'pg_class'::regclass").fetchone() == ("boats",
                                                                                                            "integer",
                                                                                                            "pg_class")


def test_columns_know_their_tables(connection: psycopg.Connection) -> None:
    result = connection.execute("select name, boat_id, 1 as one from boats limit 1").pgresult
    assert result is not None
    table = connection.execute("select 'boats'::regclass::oid").fetchone()
    assert table is not None
    assert [result.ftable(i) for i in range(3)] == [table[0], table[0], 0]
    assert [result.ftablecol(i) for i in range(3)] == [2, 1, 0]


def test_asyncpg(shoal: Address) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(host=shoal.host, port=shoal.port, user="shoal", database="sample")
        try:
            assert await connection.fetchval("select $1::int4 + 1", 41) == 42
            row = await connection.fetchrow("select true, 1::int2, 2.5::float8, 'x'::text, null::int4, 1.50::numeric(5,2), "
                                            "date '2024-01-01', interval '1 month', '{}'::jsonb")
            assert tuple(row) == (True, 1, 2.5, "x", None, Decimal("1.50"), datetime.date(2024, 1, 1),
                                  datetime.timedelta(30), "{}")
            async with connection.transaction():
                seen = [record[0] async for record in connection.cursor("select x from generate_series(1, 120) t(x)",
                                                                        prefetch=50)]
                assert seen == list(range(1, 121))
            with pytest.raises(asyncpg.UndefinedColumnError):
                await connection.fetch("select nope from boats")
            with pytest.raises(asyncpg.QueryCanceledError):
                await connection.execute("set statement_timeout = 100")
                await connection.fetch("select count(*) from generate_series(1, 90000) a(x), generate_series(1, 90000) b(y) "
                                       "where x * y % 7 = 3")
            await connection.reset()
            assert await connection.fetchval("show statement_timeout") == "0"
        finally:
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy(shoal: Address, driver: str) -> None:
    engine = sa.create_engine(f"postgresql+{driver}://shoal@{shoal.host}:{shoal.port}/sample")
    try:
        with engine.connect() as connection:
            assert connection.execute(sa.text("select count(*) from boats where boat_id = :x"), {"x": 1}).scalar() == 1
            with connection.begin_nested():
                assert connection.scalar(sa.select(sa.literal("x"))) == "x"
        table = sa.Table("boats", sa.MetaData(), autoload_with=engine)
        assert [column.name for column in table.columns][:2] == ["boat_id", "name"]
        with engine.connect() as connection:
            assert len(connection.execute(sa.select(table).where(table.c.boat_id <= 3)).all()) == 3
    finally:
        engine.dispose()


@pytest.mark.skipif(shutil.which("psql") is None, reason="no psql on this machine")
def test_psql(shoal: Address) -> None:
    def psql(*arguments: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["psql", "-X", "-h", shoal.host, "-p", str(shoal.port), "-U", "shoal", *arguments,
                               "sample"], input=script,
                              capture_output=True, text=True, timeout=30)

    done = psql("-At", "-c", "select count(*), null, 'a|b' from boats", "-c", "\\echo :SERVER_VERSION_NUM")
    assert done.stdout == "24||a|b\n150007\n" and done.stderr == ""
    done = psql("-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=verbose", script="select * from boat;\nselect 'x' as y;\n")
    assert 'ERROR:  42P01: relation "boat" does not exist' in done.stderr
    assert "boats" in done.stderr and "LINE 1:" in done.stderr
    assert "y \n---\n x" in done.stdout
    done = psql("-At", "-c", "\\dt")
    assert "public|boats|table" in done.stdout
    done = psql("-c", "begin", "-c", "\\set FETCH_COUNT 2", "-c", "select x from generate_series(1, 5) t(x)", "-At")
    assert done.stdout.split() == ["BEGIN", "1", "2", "3", "4", "5"]


@pytest.mark.skipif(shutil.which("psql") is None, reason="no psql on this machine")
def test_psql_describes(shoal: Address) -> None:
    def psql(command: str) -> str:
        done = subprocess.run(["psql", "-X", "-A", "-h", shoal.host, "-p", str(shoal.port), "-U", "shoal", "-c", command,
                               "sample"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0 and "ERROR" not in done.stderr, (command, done.stderr)
        return done.stdout

    for command in ("\\l", "\\dn", "\\df", "\\dT", "\\du", "\\dv", "\\dx", "\\db", "\\d+", "\\dt *.*", "\\d+ boats"):
        psql(command)
    assert '"boats_pkey" PRIMARY KEY, btree (boat_id)' in psql("\\d boats")
    assert "\npublic|boats_pkey|index|" in psql("\\di")
    assert "information_schema" not in psql("\\dp") and "public|boats|table" in psql("\\dp")


def test_correlated_subqueries_over_values_of_any_type(connection: psycopg.Connection) -> None:
    """Their outer columns come back as join keys with NULL equal to NULL, whatever can be compared how."""
    for value in ("array[i, 2]", "'{\"a\": 1}'::jsonb", "'00000000-0000-0000-0000-000000000001'::uuid", "i % 2 = 0",
                  "i * interval '1 d'", "'1 2'::int2vector", "'10:00'::time", "'10:00+02'::timetz", "i::text::bytea",
                  "'10.0.0.1'::inet"):
        sql = f"""select i, array(select 0 union all select i where v is not null) from
                  (select i, case when i > 0 then {value} end v from generate_series(1, 3) i) t order by i"""
        assert connection.execute(sql.encode()).fetchall() == [(i, [0, i]) for i in (1, 2, 3)], value


def test_the_version_is_the_same_everywhere(connection: psycopg.Connection) -> None:
    shown = connection.execute("show server_version").fetchone()
    assert shown is not None and shown[0] == connection.info.parameter_status("server_version")
    assert connection.execute("select version(), current_setting('server_version')").fetchone() == (
        f"PostgreSQL {shown[0]}", shown[0])
