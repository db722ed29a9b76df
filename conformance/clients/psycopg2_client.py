"""psycopg2 as its users use it: named cursors, copy_expert, execute_values, registered types, transactions."""

from __future__ import annotations

import datetime as dt
import io
import select
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import psycopg2
import psycopg2.extensions as ext
import psycopg2.extras as extras
from checking import Check, equal, raises
from psycopg2 import sql
from psycopg2.pool import ThreadedConnectionPool

check = Check(psycopg2.__version__.split()[0])
UTC = dt.timezone.utc  # noqa: UP017 - what psycopg2 itself answers with
VALUES: tuple[tuple[str, object], ...] = (
    ("bool", True),
    ("int4", -5),
    ("int8", 2**62),
    ("float8", 1e300),
    ("numeric", Decimal("-0.00010")),
    ("text", "O'Brien \\ 気仙沼"),
    ("date", dt.date(2024, 2, 29)),
    ("time", dt.time(1, 2, 3, 40)),
    ("timestamp", dt.datetime(1970, 1, 1, 0, 0, 0, 1)),
    ("timestamptz", dt.datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ("interval", dt.timedelta(days=400, seconds=-1)),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a", 'b"', None, "c,d", ""]),
    ("numeric[]", [Decimal("1.5")]),
    ("int4[]", []),
)


def code(error: psycopg2.Error) -> str | None:
    return error.pgcode


@contextmanager
def connect(**options: object) -> Iterator[ext.connection]:
    """In autocommit; the connection's own `with` block would open a transaction."""
    db = psycopg2.connect("", **options)
    db.autocommit = True
    try:
        yield db
    finally:
        db.close()


@check.part("connection: server version, encoding, parameters")
def _() -> None:
    db = psycopg2.connect("", application_name="check", options="-c search_path=public")
    equal(db.server_version // 10000, 15)
    equal((db.encoding, db.get_parameter_status("standard_conforming_strings")), ("UTF8", "on"))
    db.set_client_encoding("UTF8")
    with db.cursor() as cursor:
        cursor.execute("SELECT 'å', %s", ("é",))
        equal(cursor.fetchone(), ("å", "é"))
    db.close()


@check.part("types in and out")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        for kind, value in VALUES:
            cursor.execute(f"SELECT %s::{kind}, NULL::{kind}", (value,))
            equal(cursor.fetchone(), (value, None))
        cursor.execute("SELECT %s::bytea", (psycopg2.Binary(bytes(range(256))),))
        equal(bytes(cursor.fetchone()[0]), bytes(range(256)))
        cursor.execute("SELECT 5 WHERE 3 IN %s AND 'a' = ANY(%s)", ((1, 2, 3), ["a", "b"]))
        equal(cursor.fetchone(), (5,))


@check.part("registered types: uuid, json, a caster of one's own")
def _() -> None:
    extras.register_uuid()
    with connect() as db, db.cursor() as cursor:
        cursor.execute("SELECT %s::uuid, %s::jsonb, '[1, {\"a\": null}]'::json", (uuid.UUID(int=9), extras.Json({"k": [1]})))
        equal(cursor.fetchone(), (uuid.UUID(int=9), {"k": [1]}, [1, {"a": None}]))
        cursor.execute("SELECT NULL::numeric, '{}'::text[], oid FROM pg_type WHERE typname = 'date'")
        number, texts, oid = (cursor.description[n][1] for n in range(3))
        equal((number, texts, oid), (1700, 1009, 26))
        extras.register_default_jsonb(db, loads=lambda text: ("own", text))
        ext.register_type(
            ext.new_type((1700,), "FLOAT_NUMERIC", lambda value, _: None if value is None else float(value)), db
        )
        cursor.execute("SELECT 1.25::numeric, '{\"b\": 1}'::jsonb")
        equal(cursor.fetchone(), (1.25, ("own", '{"b": 1}')))


@check.part("cursors: description, rows as dicts and named tuples, scroll, execute twice")
def _() -> None:
    with connect() as db:
        with db.cursor(cursor_factory=extras.RealDictCursor) as cursor:
            cursor.execute("SELECT 1 AS one, 'x' AS two")
            equal(dict(cursor.fetchone()), {"one": 1, "two": "x"})
        with db.cursor(cursor_factory=extras.NamedTupleCursor) as cursor:
            cursor.execute(sql.SQL("SELECT {v} AS {n}").format(v=sql.Literal(Decimal("1.0")), n=sql.Identifier("weird")))
            equal(cursor.fetchone().weird, Decimal("1.0"))
        with db.cursor() as cursor:
            cursor.execute("SELECT g FROM generate_series(1, 10) g; SELECT g FROM generate_series(1, 20) g")
            equal((cursor.rowcount, cursor.statusmessage), (20, "SELECT 20"))
            cursor.scroll(15)
            equal(cursor.fetchmany(3), [(16,), (17,), (18,)])


@check.part("named cursors: itersize, with hold, scroll, iteration")
def _() -> None:
    db = psycopg2.connect("")
    with db.cursor("n1") as cursor:
        cursor.itersize = 333
        cursor.execute("SELECT g FROM generate_series(1, %s) g", (2000,))
        equal(sum(row[0] for row in cursor), 2001000)
    with db.cursor("n2", scrollable=True) as cursor:
        cursor.execute("SELECT g FROM generate_series(1, 100) g")
        cursor.scroll(9, mode="absolute")
        equal(cursor.fetchone(), (10,))
        cursor.scroll(-2)
        equal(cursor.fetchmany(2), [(9,), (10,)])
    held = db.cursor("n3", withhold=True)
    held.execute("SELECT g FROM generate_series(1, 10) g")
    db.commit()
    equal(len(held.fetchall()), 10)
    held.close()
    raises(lambda: db.cursor().execute("FETCH 1 FROM n3"), "34000", code)
    db.close()


@check.part("execute_values, execute_batch, mogrify, RETURNING")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE many (id int, name varchar(20), price numeric(8,2))")
        rows = [(n, f"name {n}", Decimal(n) / 4) for n in range(1000)]
        extras.execute_values(cursor, "INSERT INTO many VALUES %s", rows, page_size=400)
        extras.execute_batch(cursor, "UPDATE many SET name = %s WHERE id = %s", [(f"new {n}", n) for n in range(20)])
        got = extras.execute_values(cursor, "INSERT INTO many (id) VALUES %s RETURNING id", [(2000,), (2001,)], fetch=True)
        equal(got, [(2000,), (2001,)])
        cursor.execute("SELECT count(*), sum(price), min(name) FROM many WHERE id < 1000")
        equal(cursor.fetchone(), (1000, Decimal("124875.00"), "name 100"))
        equal(cursor.mogrify("%s %s", ("a'b", None)), b"'a''b' NULL")


@check.part("copy_expert, copy_from, copy_to")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE copied (id int, note text)")
        cursor.copy_from(io.StringIO("1\tone\n2\t\\N\n"), "copied", columns=("id", "note"))
        cursor.copy_expert("COPY copied FROM STDIN WITH CSV HEADER", io.StringIO('id,note\n3,"a ""b"", c"\n4,\n'))
        equal(cursor.rowcount, 2)
        out = io.StringIO()
        cursor.copy_to(out, "copied", null="-")
        equal(out.getvalue(), '1\tone\n2\t-\n3\ta "b", c\n4\t-\n')
        out = io.StringIO()
        cursor.copy_expert(
            "COPY (SELECT * FROM copied ORDER BY id DESC) TO STDOUT WITH (FORMAT csv, DELIMITER ';', NULL 'nil')", out
        )
        equal(out.getvalue(), '4;nil\n3;"a ""b"", c"\n2;nil\n1;one\n')
        raises(lambda: cursor.copy_from(io.StringIO("x\ty\n"), "copied"), "22P02", code)


@check.part("transactions: with blocks, savepoints, failed state, isolation levels")
def _() -> None:
    db = psycopg2.connect("")
    with db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE moves (id int)")
        cursor.execute("INSERT INTO moves VALUES (1)")
    try:
        with db, db.cursor() as cursor:
            cursor.execute("INSERT INTO moves VALUES (2)")
            raise KeyError
    except KeyError:
        pass
    with db.cursor() as cursor:
        cursor.execute("SAVEPOINT s")
        raises(lambda: cursor.execute("SELECT nope"), "42703", code)
        raises(lambda: cursor.execute("SELECT 1"), "25P02", code)
        cursor.execute("ROLLBACK TO s")
        cursor.execute("SELECT id FROM moves")
        equal(cursor.fetchall(), [(1,)])
    db.rollback()
    db.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
    with db.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        equal(cursor.fetchone(), ("serializable",))
        raises(lambda: cursor.execute("INSERT INTO moves VALUES (3)"), "25006", code)
    db.close()


@check.part("errors: classes, diagnostics")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        error = raises(lambda: cursor.execute("SELECT * FROM missing"), "42P01", code)
        assert isinstance(error, psycopg2.errors.UndefinedTable)
        equal((error.diag.severity, error.diag.statement_position), ("ERROR", "15"))
        raises(lambda: cursor.execute("SELECT %s::date", ("2024-02-30",)), "22008", code)


@check.part("notifications and notices")
def _() -> None:
    with connect() as db, connect() as other, db.cursor() as cursor, other.cursor() as speaker:
        cursor.execute("LISTEN news")
        speaker.execute("NOTIFY news, 'hello'")
        select.select([db], [], [], 5)
        db.poll()
        equal([(note.channel, note.payload) for note in db.notifies], [("news", "hello")])
        cursor.execute("DROP TABLE IF EXISTS nowhere")
        equal(db.notices, ['NOTICE:  table "nowhere" does not exist, skipping\n'])


@check.part("cancel from another thread, pool, asynchronous mode")
def _() -> None:
    with connect() as db, db.cursor() as cursor:
        threading.Timer(0.3, db.cancel).start()
        raises(lambda: cursor.execute("SELECT pg_sleep(20)"), "57014", code)
    pool = ThreadedConnectionPool(1, 3, "")
    taken = [pool.getconn() for _ in range(3)]
    for each in taken:
        pool.putconn(each)
    pool.closeall()
    waiting = psycopg2.connect("", async_=1)
    extras.wait_select(waiting)
    cursor = waiting.cursor()
    cursor.execute("SELECT 42")
    extras.wait_select(waiting)
    equal(cursor.fetchone(), (42,))
    waiting.close()


check.run()
