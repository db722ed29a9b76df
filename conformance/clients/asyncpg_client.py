"""asyncpg as its users use it: binary types, prepared statements, cursors, COPY, pool with reset, listen, introspection."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import math
import uuid
from decimal import Decimal
from typing import Any

import asyncpg
from checking import Check, equal

check = Check(asyncpg.__version__)
UTC = dt.UTC
VALUES: tuple[tuple[str, object], ...] = (
    ("bool", False),
    ("int2", 32767),
    ("int4", -(2**31)),
    ("int8", 2**63 - 1),
    ("float4", -1.5),
    ("float8", math.inf),
    ("numeric", Decimal("98765432109876543210.000100")),
    ("numeric", Decimal("0")),
    ("text", "Ærø 気仙沼"),
    ("varchar", "x"),
    ("bytea", b"\x00\xff"),
    ("date", dt.date(1066, 10, 14)),
    ("time", dt.time(12, 34, 56, 789)),
    ("timestamp", dt.datetime(2038, 1, 19, 3, 14, 8)),
    ("timestamptz", dt.datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("interval", dt.timedelta(days=40, microseconds=-7)),
    ("uuid", uuid.UUID(int=77)),
    ("oid", 4000000000),
    ("json", '{"b": 1, "a": [2]}'),
    ("jsonb", '{"a": [2, null]}'),
    ('"char"', b"r"),
    ("int4[]", [1, None, 2]),
    ("int8[]", [[1, 2], [3, 4]]),
    ("text[]", ["", "NULL", None, "a,b"]),
    ("numeric[]", [Decimal("1.10")]),
    ("timestamptz[]", [dt.datetime(2020, 1, 1, tzinfo=UTC)]),
    ("uuid[]", []),
    ("bool[]", [True, None]),
    ("date[]", [dt.date(2020, 2, 29)]),
    ("float8[]", [1.5, None]),
    ("bytea[]", [b"a", b""]),
    ("name", "pg_class"),
    ("regclass", None),
)


async def fails(awaitable: Any, code: str) -> Any:
    try:
        await awaitable
    except asyncpg.PostgresError as error:
        equal(error.sqlstate, code)
        return error
    raise AssertionError(f"no error, want {code}")


@check.part("connection: settings, server version, parameters")
async def _() -> None:
    db = await asyncpg.connect(
        server_settings={"application_name": "check", "search_path": "public", "timezone": "Asia/Tokyo"}
    )
    equal(db.get_server_version().major, 15)
    equal((db.get_settings().application_name, db.get_settings().TimeZone), ("check", "Asia/Tokyo"))
    equal(await db.fetchval("SELECT '2020-01-01 09:00'::timestamptz"), dt.datetime(2020, 1, 1, tzinfo=UTC))
    await db.close()


@check.part("types in and out, binary")
async def _() -> None:
    db = await asyncpg.connect()
    for kind, value in VALUES:
        try:
            got = await db.fetchval(f"SELECT $1::{kind}", value)
            assert got == value, f"got {got!r}"  # its UUIDs are of a class of its own
            equal(await db.fetchval(f"SELECT x FROM (SELECT $1::{kind} AS x) s WHERE x IS NULL", None), None)
        except Exception as error:
            raise AssertionError(f"{kind} {value!r}: {type(error).__name__} {error}") from error
    await db.close()


@check.part("records and codecs of one's own")
async def _() -> None:
    db = await asyncpg.connect()
    equal(tuple(await db.fetchval("SELECT ROW(1, 'a'::text, NULL::int8)")), (1, "a", None))
    await db.set_type_codec("jsonb", schema="pg_catalog", encoder=repr, decoder=lambda text: ("own", text))
    equal(await db.fetchval("SELECT $1::jsonb", 5), ("own", "5"))
    await db.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=float, format="text")
    equal(await db.fetchval("SELECT $1::numeric", 1.25), 1.25)
    row = await db.fetchrow("SELECT 1 AS a, 2 AS a, 'x' AS \"B c\"")
    equal((list(row.keys()), list(row.values())), (["a", "a", "B c"], [1, 2, "x"]))
    await db.close()


@check.part("parameters are inferred as PostgreSQL infers them")
async def _() -> None:
    db = await asyncpg.connect()
    await db.execute("CREATE TABLE guess (id int8, name varchar(9), price numeric(9,2), day date, tags text[])")
    statement = await db.prepare("INSERT INTO guess VALUES ($1, $2, $3, $4, $5)")
    equal([p.name for p in statement.get_parameters()], ["int8", "varchar", "numeric", "date", "text[]"])
    await statement.fetch(1, "a", Decimal("2.5"), dt.date(2020, 1, 1), ["x", "y"])
    statement = await db.prepare(
        "SELECT id, $2 || name FROM guess WHERE id = ANY($1) AND day >= $3 AND price BETWEEN $4 AND $5 LIMIT $6"
    )
    equal([p.name for p in statement.get_parameters()], ["int8[]", "text", "date", "numeric", "numeric", "int8"])
    equal(
        [tuple(r) for r in await statement.fetch([1, 2], "b", dt.date(2000, 1, 1), Decimal(1), Decimal(3), 5)], [(1, "ba")]
    )
    equal([(a.name, a.type.name) for a in statement.get_attributes()], [("id", "int8"), ("?column?", "text")])
    await db.close()


@check.part("prepared statements: cache, fetchrow, status, explain")
async def _() -> None:
    db = await asyncpg.connect(statement_cache_size=3)
    for n in range(8):
        equal(await db.fetchval(f"SELECT $1::int + {n}", 1), n + 1)
    statement = await db.prepare("SELECT g, g::text FROM generate_series(1, $1::int) g")
    equal(len(await statement.fetch(1000)), 1000)
    equal(statement.get_statusmsg(), "SELECT 1000")
    equal(tuple(await statement.fetchrow(3)), (1, "1"))
    assert await statement.explain(5)
    await db.executemany("INSERT INTO guess (id, name) VALUES ($1, $2)", [(n, str(n)) for n in range(10, 40)])
    equal(await db.fetchval("SELECT count(*) FROM guess"), 31)
    await db.close()


@check.part("cursors with prefetch, forward, fetch")
async def _() -> None:
    db = await asyncpg.connect()
    async with db.transaction():
        total = 0
        async for row in db.cursor("SELECT g FROM generate_series(1, 1000) g", prefetch=64):
            total += row[0]
        equal(total, 500500)
        cursor = await db.cursor("SELECT g FROM generate_series(1, 100) g")
        equal(await cursor.forward(10), 10)
        equal([r[0] for r in await cursor.fetch(3)], [11, 12, 13])
    await db.close()


@check.part("COPY: records in, table in, query and table out")
async def _() -> None:
    db = await asyncpg.connect()
    await db.execute("CREATE TABLE copied (id int8, name text, price numeric(10,2), at timestamptz, tags text[])")
    rows = [
        (n, f"n{n}" if n % 7 else None, Decimal(n) / 4, dt.datetime(2020, 1, 1, tzinfo=UTC), ["a", None])
        for n in range(3000)
    ]
    equal(await db.copy_records_to_table("copied", records=rows), "COPY 3000")
    equal(
        tuple(await db.fetchrow("SELECT count(*), count(name), sum(price) FROM copied")), (3000, 2571, Decimal("1124625.00"))
    )
    equal([tuple(r) for r in await db.fetch("SELECT * FROM copied WHERE id < 2 ORDER BY id")], rows[:2])
    equal(
        await db.copy_to_table(
            "copied", source=io.BytesIO(b'5001;"a;b"\n'), columns=["id", "name"], format="csv", delimiter=";"
        ),
        "COPY 1",
    )
    out = io.BytesIO()
    equal(
        await db.copy_from_query("SELECT id, name FROM copied WHERE id > $1", 2998, output=out, format="csv", header=True),
        "COPY 2",
    )
    equal(sorted(out.getvalue().splitlines()), [b"2999,n2999", b"5001,a;b", b"id,name"])
    out = io.BytesIO()
    equal(await db.copy_from_table("copied", columns=["id"], output=out, format="binary"), "COPY 3001")
    equal(len(out.getvalue()), 19 + 3001 * 14 + 2)
    await db.close()


@check.part("transactions: nested, isolation, read only, failed state")
async def _() -> None:
    db = await asyncpg.connect()
    await db.execute("CREATE TABLE moves (id int PRIMARY KEY)")
    async with db.transaction():
        await db.execute("INSERT INTO moves VALUES (1)")
        try:
            async with db.transaction():
                await db.execute("INSERT INTO moves VALUES (2)")
                await db.execute("INSERT INTO moves VALUES (1)")
        except asyncpg.UniqueViolationError as error:
            equal((error.table_name, error.constraint_name), ("moves", "moves_pkey"))
    equal([r[0] for r in await db.fetch("SELECT id FROM moves")], [1])
    async with db.transaction(isolation="repeatable_read", readonly=True):
        await fails(db.execute("DELETE FROM moves"), "25006")
        await fails(db.fetch("SELECT 1"), "25P02")
        raised = True
    assert raised and not db.is_in_transaction()
    await db.close()


@check.part("errors keep the connection: syntax, types, changed table")
async def _() -> None:
    db = await asyncpg.connect()
    equal((await fails(db.fetch("SELECT nope FROM pg_class"), "42703")).position, "8")
    await fails(db.fetch("SELECT $1::int / 0", 1), "22012")
    await db.execute("CREATE TABLE shape (a int)")
    equal(await db.fetch("SELECT * FROM shape"), [])
    await db.execute("ALTER TABLE shape ADD COLUMN b text DEFAULT 'x'")
    await db.execute("INSERT INTO shape (a) VALUES (1)")
    equal([tuple(r) for r in await db.fetch("SELECT * FROM shape")], [(1, "x")])
    await db.close()


@check.part("listen, log messages, timeouts and cancel")
async def _() -> None:
    db, other = await asyncpg.connect(), await asyncpg.connect()
    heard: asyncio.Queue[str] = asyncio.Queue()
    await db.add_listener("tides", lambda connection, pid, channel, payload: heard.put_nowait(payload))
    await other.execute("SELECT pg_notify('tides', $1)", "high")
    equal(await asyncio.wait_for(heard.get(), 5), "high")
    logged: asyncio.Queue[str] = asyncio.Queue()
    db.add_log_listener(lambda connection, message: logged.put_nowait(message.message))
    await db.execute("DROP TABLE IF EXISTS nowhere")
    equal(await asyncio.wait_for(logged.get(), 5), 'table "nowhere" does not exist, skipping')
    try:
        await db.fetch("SELECT pg_sleep(20)", timeout=0.3)
    except TimeoutError:
        pass
    equal(await db.fetchval("SELECT 5"), 5)
    await db.close()
    await other.close()


@check.part("pool: reset, setup, many tasks")
async def _() -> None:
    async with asyncpg.create_pool(min_size=1, max_size=4, setup=lambda db: db.execute("SET work_mem = '8MB'")) as pool:

        async def one(n: int) -> int:
            async with pool.acquire() as db:
                await db.execute("SET application_name = 'changed'")
                return await db.fetchval("SELECT $1::int4", n)

        equal(sum(await asyncio.gather(*(one(n) for n in range(40)))), 780)
        equal(await pool.fetchval("SHOW application_name"), "")


check.run()
