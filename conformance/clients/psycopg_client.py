"""psycopg 3 as its users use it: sync, async, pipeline, named cursors, binary, COPY, prepared statements, pool, types."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import threading
import time
import uuid
from decimal import Decimal
from ipaddress import ip_address

import psycopg
from checking import Check, equal, raises
from psycopg import sql
from psycopg.rows import class_row, dict_row, namedtuple_row, scalar_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, ConnectionPool

check = Check(psycopg.__version__)
UTC = dt.UTC
VALUES: tuple[tuple[str, object], ...] = (
    ("bool", True),
    ("int2", -32768),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("float4", 0.5),
    ("float8", 1e-7),
    ("float8", math.inf),
    ("numeric", Decimal("-12345678901234567890.1230")),
    ("numeric", Decimal("1E-10")),
    ("text", "Göteborg 気仙沼"),
    ("varchar", ""),
    ("bytea", bytes(range(256))),
    ("date", dt.date(1999, 12, 31)),
    ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(1901, 1, 2, 3, 4, 5, 6)),
    ("timestamptz", dt.datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ("interval", dt.timedelta(days=-3, hours=5, microseconds=1)),
    ("uuid", uuid.UUID(int=2**127 + 5)),
    ("oid", 4294967295),
    ("int4[]", [1, None, -3]),
    ("text[]", ["a", 'b "q"', "", "NULL", None, "{x,y}"]),
    ("int8[]", [[1, 2], [3, 4]]),
    ("float8[]", []),
    ("numeric[]", [Decimal("1.50"), None]),
    ("date[]", [dt.date(2000, 1, 1)]),
    ("timestamptz[]", [dt.datetime(2000, 1, 1, tzinfo=UTC)]),
    ("uuid[]", [uuid.UUID(int=7)]),
    ("bytea[]", [b"\x00\\", b""]),
    ("bool[]", [True, False, None]),
    ("inet", ip_address("10.1.2.3")),
)


def code(error: psycopg.Error) -> str | None:
    return error.sqlstate


def connect(**options: object) -> psycopg.Connection:
    return psycopg.connect("", autocommit=True, **options)


@check.part("connection: info, parameters, encodings")
def _() -> None:
    with connect(options="-c statement_timeout=60000", application_name="check") as db:
        equal(db.info.server_version // 10000, 15)
        equal(db.info.parameter_status("integer_datetimes"), "on")
        equal(db.info.parameter_status("application_name"), "check")
        equal(db.execute("SHOW statement_timeout").fetchone(), ("1min",))
        equal(db.execute("SELECT current_user, current_database()").fetchone(), (db.info.user, db.info.dbname))


@check.part("a wrong password is 28P01")
def _() -> None:
    if connect().pgconn.used_password:  # PostgreSQL may be set to trust
        error = raises(lambda: connect(password="wrong"), "None", lambda e: str(e.sqlstate))
        assert "password authentication failed" in str(error), error


for binary in (False, True):
    for kind, value in VALUES:

        def exchange(kind: str = kind, value: object = value, binary: bool = binary) -> None:
            form = "%b" if binary else "%t"
            with connect() as db:
                db.execute("SET TimeZone = 'Europe/Stockholm'")
                cursor = db.cursor(binary=binary)
                row = cursor.execute(
                    f"SELECT {form}::{kind} AS v, pg_typeof({form}::{kind})::text", (value, value)
                ).fetchone()
                assert row is not None
                equal(row[0].astimezone(UTC) if isinstance(row[0], dt.datetime) and row[0].tzinfo else row[0], value)
                equal(db.execute(f"SELECT NULL::{kind}").fetchone(), (None,))

        check.part(f"{kind} {'binary' if binary else 'text'} {str(value)[:24]}")(exchange)


@check.part("json, records, infinite dates, ranges of numbers")
def _() -> None:
    with connect() as db:
        for binary in (False, True):
            cursor = db.cursor(binary=binary)
            document = {"a": [1, 2.5, None, True], "b": {"c": "d"}}
            equal(cursor.execute("SELECT %s::jsonb", (Jsonb(document),)).fetchone(), (document,))
            equal(cursor.execute("SELECT %s::json", ('{"z": 1, "a": 2}',)).fetchone(), ({"z": 1, "a": 2},))
            equal(
                cursor.execute("SELECT ROW(1::int4, 'x'::text, NULL::int4)").fetchone(),
                ((1, "x", None) if binary else ("1", "x", None),),
            )
            equal(cursor.execute("SELECT 'NaN'::numeric::text, 'Infinity'::date::text").fetchone(), ("NaN", "infinity"))
        raises(lambda: db.execute("SELECT 2147483647::int4 + 1::int4"), "22003", code)


@check.part("parameters: inferred types, lists, composition, row factories")
def _() -> None:
    with connect() as db:
        equal(db.execute("SELECT %s, %s::int + 1, %s > 5", ("x", 4, 7)).fetchone(), ("x", 5, True))
        equal(
            db.execute("SELECT g FROM generate_series(1, 9) g WHERE g = ANY(%s) ORDER BY g", ([3, 5, 99],)).fetchall(),
            [(3,), (5,)],
        )
        query = sql.SQL("SELECT {} AS {} WHERE {} IS NOT NULL").format(
            sql.Literal("it's"), sql.Identifier('A "b"'), sql.Placeholder("v")
        )
        equal(db.cursor(row_factory=dict_row).execute(query, {"v": dt.date(2000, 1, 1)}).fetchone(), {'A "b"': "it's"})
        row = db.cursor(row_factory=namedtuple_row).execute("SELECT 1 AS one, 'b' AS two").fetchone()
        assert row is not None and row.two == "b"
        equal(db.cursor(row_factory=class_row(dict)).execute("SELECT 1 AS a").fetchone(), {"a": 1})
        equal(db.cursor(row_factory=scalar_row).execute("SELECT 7").fetchone(), 7)
        described = db.execute("SELECT 1.50::numeric(10,2) AS n, 'x'::varchar(20) AS v, now() AS t").description
        assert described is not None
        equal(
            [(c.name, c.type_code, c.precision, c.scale, c.display_size) for c in described],
            [("n", 1700, 10, 2, None), ("v", 1043, None, None, 20), ("t", 1184, None, None, None)],
        )


@check.part("transactions: commit, rollback, savepoints, failed state, read only, isolation")
def _() -> None:
    with psycopg.connect() as db:
        db.execute("CREATE TABLE moves (id int PRIMARY KEY, note text)")
        db.commit()
        with db.transaction():
            db.execute("INSERT INTO moves VALUES (1, 'kept')")
            with db.transaction(force_rollback=True):
                db.execute("INSERT INTO moves VALUES (2, 'undone')")
            try:
                with db.transaction():
                    db.execute("INSERT INTO moves VALUES (3, 'undone too')")
                    db.execute("SELECT 1/0")
            except psycopg.errors.DivisionByZero:
                pass
        equal(db.execute("SELECT id FROM moves").fetchall(), [(1,)])
        db.execute("DELETE FROM moves")
        db.rollback()
        equal(db.execute("SELECT count(*) FROM moves").fetchone(), (1,))
        db.rollback()
        raises(lambda: db.execute("SELECT * FROM nowhere"), "42P01", code)
        raises(lambda: db.execute("SELECT 1"), "25P02", code)
        equal(db.info.transaction_status.name, "INERROR")
        db.rollback()
        db.read_only, db.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
        equal(db.execute("SHOW transaction_isolation").fetchone(), ("repeatable read",))
        raises(lambda: db.execute("DELETE FROM moves"), "25006", code)
        db.rollback()


@check.part("errors: code, position, hint, constraint and table of a violation")
def _() -> None:
    with connect() as db:
        error = raises(lambda: db.execute("SELECT nope FROM pg_class"), "42703", code)
        equal(error.diag.statement_position, "8")
        raises(lambda: db.execute("SELEC 1"), "42601", code)
        raises(lambda: db.execute("SELECT %s::int", ("x",)), "22P02", code)
        db.execute("CREATE TABLE kept (id int CONSTRAINT kept_key PRIMARY KEY, v int NOT NULL CHECK (v > 0))")
        db.execute("INSERT INTO kept VALUES (1, 1)")
        error = raises(lambda: db.execute("INSERT INTO kept VALUES (1, 2)"), "23505", code)
        equal((error.diag.constraint_name, error.diag.table_name, error.diag.schema_name), ("kept_key", "kept", "public"))
        error = raises(lambda: db.execute("INSERT INTO kept VALUES (2, NULL)"), "23502", code)
        equal(error.diag.column_name, "v")
        raises(lambda: db.execute("INSERT INTO kept VALUES (2, -1)"), "23514", code)


@check.part("executemany, RETURNING, row counts")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        db.execute("CREATE TABLE many (id int, name text, at timestamptz DEFAULT now())")
        cursor.executemany("INSERT INTO many (id, name) VALUES (%s, %s)", [(n, f"n{n}") for n in range(50)])
        equal(cursor.rowcount, 50)
        cursor.executemany(
            "INSERT INTO many (id, name) VALUES (%s, %s) RETURNING id", [(100, "a"), (101, "b")], returning=True
        )
        equal([result.fetchone() for result in cursor.results()], [(100,), (101,)])
        equal(cursor.execute("UPDATE many SET name = upper(name) WHERE id < 10").rowcount, 10)
        equal(db.execute("DELETE FROM many WHERE id >= 100 RETURNING id, name").fetchall(), [(100, "a"), (101, "b")])


@check.part("server-side cursors: fetch sizes, scroll, with hold, stream")
def _() -> None:
    with psycopg.connect() as db:
        with db.cursor("c1") as cursor:
            cursor.itersize = 700
            equal(sum(row[0] for row in cursor.execute("SELECT g FROM generate_series(1, 5000) g")), 12502500)
        with db.cursor("c2", scrollable=True, binary=True) as cursor:
            cursor.execute("SELECT g FROM generate_series(1, %s) g", (100,))
            equal(cursor.fetchone(), (1,))
            cursor.scroll(50, mode="absolute")
            equal(cursor.fetchmany(2), [(51,), (52,)])
            cursor.scroll(-10)
            equal(cursor.fetchone(), (43,))
        held = db.cursor("c3", withhold=True)
        held.execute("SELECT g FROM generate_series(1, 10) g")
        db.commit()
        equal(len(held.fetchall()), 10)
        held.close()
        equal(sum(1 for _ in db.cursor().stream("SELECT g, g::text FROM generate_series(1, 3000) g")), 3000)


@check.part("COPY out and in: text, csv, binary, rows and blocks")
def _() -> None:
    rows = [
        (1, "a\tb\\n\n", Decimal("1.50"), dt.datetime(2020, 1, 2, 3, 4, 5)),
        (2, None, None, None),
        (3, "", Decimal(0), None),
    ]
    with connect() as db, db.cursor() as cursor:
        db.execute("CREATE TABLE copied (id int, note text, price numeric(10,2), at timestamp)")
        with cursor.copy("COPY copied FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        equal(cursor.rowcount, 3)
        equal(db.execute("SELECT * FROM copied ORDER BY id").fetchall(), [*rows[:2], (3, "", Decimal("0.00"), None)])
        with cursor.copy("COPY copied (id, note) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for n in range(10, 2010):
                copy.write_row((n, f"note {n}"))
        with cursor.copy("COPY copied (id, note) FROM STDIN (FORMAT csv, HEADER)") as copy:
            copy.write('id,note\n3000,"with ""quotes"", commas"\n')
        for options in ("", " (FORMAT binary)"):
            with cursor.copy(
                f"COPY (SELECT id, note FROM copied WHERE id <= 10 OR id = 3000 ORDER BY id) TO STDOUT{options}"
            ) as copy:
                copy.set_types(["int4", "text"])
                equal(
                    list(copy.rows()),
                    [(1, "a\tb\\n\n"), (2, None), (3, ""), (10, "note 10"), (3000, 'with "quotes", commas')],
                )
        with cursor.copy("COPY copied TO STDOUT (FORMAT csv, HEADER)") as copy:
            equal(b"".join(map(bytes, copy)).count(b"\n"), 2006)

        def broken() -> None:
            with cursor.copy("COPY copied (id) FROM STDIN") as copy:
                copy.write("1\nx\n")

        raises(broken, "22P02", code)
        equal(db.execute("SELECT count(*) FROM copied").fetchone(), (2004,))


@check.part("pipeline mode, with an error in the middle")
def _() -> None:
    with connect() as db:
        with db.pipeline() as pipeline:
            cursors = [db.execute("SELECT %s::int * 2", (n,)) for n in range(100)]
            pipeline.sync()
            equal([cursor.fetchone() for cursor in cursors], [(n * 2,) for n in range(100)])

        def broken() -> None:
            with db.pipeline():
                db.execute("SELECT 1")
                db.execute("SELECT 1/0")
                db.execute("SELECT 2")

        raises(broken, "22012", code)
        equal(db.execute("SELECT 3").fetchone(), (3,))


@check.part("prepared statements: threshold, explicit, deallocated")
def _() -> None:
    with connect() as db:
        db.prepare_threshold = 2
        for n in range(6):
            equal(db.execute("SELECT %s + 1, %s::text", (n, "x")).fetchone(), (n + 1, "x"))
        equal(db.execute("SELECT 5::int2 + %s", (1,), prepare=True).fetchone(), (6,))
        found = db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
        assert found is not None and found[0] >= 2, found
        db.execute("DEALLOCATE ALL")
        equal(db.execute("SELECT 5::int2 + %s", (1,), prepare=True).fetchone(), (6,))


@check.part("LISTEN and NOTIFY between connections, notices")
def _() -> None:
    with connect() as listener, connect() as speaker:
        listener.execute("LISTEN tides")
        speaker.execute("SELECT pg_notify('tides', 'high')")
        speaker.execute("NOTIFY tides, 'low'")
        equal([note.payload for note in listener.notifies(timeout=5, stop_after=2)], ["high", "low"])
        notices: list[str | None] = []
        speaker.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
        speaker.execute("DROP TABLE IF EXISTS nowhere")
        equal(notices, ['table "nowhere" does not exist, skipping'])


@check.part("cancel a running statement")
def _() -> None:
    with connect() as db:
        threading.Timer(0.3, db.cancel_safe).start()
        started = time.monotonic()
        raises(lambda: db.execute("SELECT pg_sleep(20)"), "57014", code)
        assert time.monotonic() - started < 10
        equal(db.execute("SELECT 1").fetchone(), (1,))
        db.execute("SET statement_timeout = 100")
        raises(lambda: db.execute("SELECT pg_sleep(20)"), "57014", code)


@check.part("pool: check, reset, many threads")
def _() -> None:
    with ConnectionPool("", min_size=2, max_size=4, check=ConnectionPool.check_connection, open=True) as pool:
        seen: list[int] = []

        def work() -> None:
            for n in range(10):
                with pool.connection() as db:
                    row = db.execute("SELECT %s::int", (n,)).fetchone()
                    assert row is not None
                    seen.append(row[0])

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(sum(seen), 8 * 45)


@check.part("async: queries, cursors, pool, concurrent cancel")
async def _() -> None:
    async with await psycopg.AsyncConnection.connect() as db:
        async with db.cursor("a", binary=True) as cursor:
            await cursor.execute("SELECT g, g::text FROM generate_series(1, 2500) g")
            equal(len([row async for row in cursor]), 2500)
        await db.commit()
        task = asyncio.create_task(db.execute("SELECT pg_sleep(20)"))
        await asyncio.sleep(0.3)
        await db.cancel_safe()
        try:
            await task
        except psycopg.errors.QueryCanceled:
            pass
        else:
            raise AssertionError("not cancelled")
    async with AsyncConnectionPool("", min_size=1, max_size=3, open=False) as pool:

        async def one(n: int) -> int:
            async with pool.connection() as db:
                return (await (await db.execute("SELECT %s::int8", (n,))).fetchone() or (0,))[0]

        equal(sum(await asyncio.gather(*(one(n) for n in range(20)))), 190)


check.run()
