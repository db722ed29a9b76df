"""pg8000: the DB-API and native interfaces, types, COPY, prepared statements, notifications."""

from __future__ import annotations

import datetime as dt
import io
import os
import uuid
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pg8000.dbapi
import pg8000.native
from checking import Check, equal, raises

check = Check(version("pg8000"))
WHERE: dict[str, Any] = {
    "user": os.environ["PGUSER"],
    "host": os.environ["PGHOST"],
    "port": int(os.environ["PGPORT"]),
    "database": os.environ["PGDATABASE"],
    "password": os.environ["PGPASSWORD"],
}
VALUES: tuple[tuple[str, object], ...] = (
    ("bool", True),
    ("int4", 7),
    ("int8", 2**60),
    ("float8", 2.5),
    ("numeric", Decimal("1.20")),
    ("text", "å"),
    ("bytea", b"\x00\x01"),
    ("date", dt.date(2000, 1, 2)),
    ("time", dt.time(1, 2, 3)),
    ("timestamp", dt.datetime(2001, 2, 3, 4, 5, 6, 7)),
    ("timestamptz", dt.datetime(2001, 2, 3, 4, 5, 6, tzinfo=dt.UTC)),
    ("interval", dt.timedelta(days=1, seconds=2)),
    ("uuid", uuid.UUID(int=3)),
    ("jsonb", {"a": [1, None]}),
    ("int4[]", [1, 2]),
    ("text[]", ["a", None, "b c"]),
)


def code(error: Any) -> str | None:
    return error.args[0].get("C") if error.args and isinstance(error.args[0], dict) else None


@check.part("native: named parameters, columns, types")
def _() -> None:
    with pg8000.native.Connection(**WHERE, application_name="check") as db:
        for kind, value in VALUES:
            equal(db.run(f"SELECT CAST(:v AS {kind})", v=value), [[value]])
            equal(db.run(f"SELECT CAST(:v AS {kind})", v=None), [[None]])
        equal(db.run("SELECT :a || :b AS joined", a="x", b="y"), [["xy"]])
        assert db.columns is not None
        equal((db.columns[0]["name"], db.columns[0]["type_oid"]), ("joined", 25))
        equal(db.parameter_statuses["application_name"], "check")


@check.part("native: prepared statements, row counts, notices, notifications")
def _() -> None:
    with pg8000.native.Connection(**WHERE) as db:
        statement = db.prepare("SELECT CAST(:v AS int) + 1")
        equal([statement.run(v=n) for n in range(3)], [[[1]], [[2]], [[3]]])
        statement.close()
        db.run("CREATE TABLE counted (id int)")
        db.run("INSERT INTO counted SELECT g FROM generate_series(1, 5) g")
        equal(db.row_count, 5)
        db.run("DROP TABLE IF EXISTS nowhere")
        equal(db.notices[-1][b"M"], b'table "nowhere" does not exist, skipping')
        db.run("LISTEN own")
        db.run("NOTIFY own, 'self'")
        db.run("SELECT 1")
        equal([(channel, payload) for _, channel, payload in db.notifications], [("own", "self")])


@check.part("native: COPY in and out")
def _() -> None:
    with pg8000.native.Connection(**WHERE) as db:
        db.run("CREATE TABLE copied (id int, note text)")
        db.run("COPY copied FROM STDIN WITH (FORMAT CSV)", stream=io.BytesIO(b'1,"a,b"\n2,\n'))
        equal(db.row_count, 2)
        db.run("COPY copied FROM STDIN", stream=["3\tc\n", "4\t\\N\n"])
        out = io.BytesIO()
        db.run("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT", stream=out)
        equal(out.getvalue(), b"1\ta,b\n2\t\\N\n3\tc\n4\t\\N\n")


@check.part("DB-API: cursors, executemany, fetches, description")
def _() -> None:
    db = pg8000.dbapi.connect(**WHERE)
    cursor = db.cursor()
    cursor.execute("CREATE TABLE many (id int, name text)")
    cursor.executemany("INSERT INTO many VALUES (%s, %s)", [(n, f"n{n}") for n in range(30)])
    db.commit()
    cursor.execute("SELECT id, name FROM many WHERE id >= %s ORDER BY id", (20,))
    equal([d[0] for d in cursor.description], ["id", "name"])
    equal([cursor.fetchone(), len(cursor.fetchmany(4)), len(cursor.fetchall())], [[20, "n20"], 4, 5])
    db.close()


@check.part("DB-API: transactions and errors")
def _() -> None:
    db = pg8000.dbapi.connect(**WHERE)
    cursor = db.cursor()
    cursor.execute("DELETE FROM many")
    db.rollback()
    raises(lambda: cursor.execute("SELECT * FROM missing"), "42P01", code)
    raises(lambda: cursor.execute("SELECT 1"), "25P02", code)
    db.rollback()
    cursor.execute("SELECT count(*) FROM many")
    equal(cursor.fetchone(), [30])
    raises(lambda: cursor.execute("SELECT CAST(%s AS int)", ("x",)), "22P02", code)
    db.close()


check.run()
