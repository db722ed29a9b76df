"""psqlODBC through pyodbc: types, parameters, cursors declared and not, catalog functions, transactions, bulk inserts.

The driver is Debian's psqlodbcw.so, found below SHOAL_CLIENT_ROOT. Every part runs with UseDeclareFetch off and on, with
parameters bound by the server and by the driver.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyodbc
from checking import Check, equal, raises

pyodbc.pooling = False
DRIVER = next(Path(os.environ["SHOAL_CLIENT_ROOT"], "usr", "lib").glob("*/odbc/psqlodbcw.so"))
VALUES: tuple[tuple[str, object], ...] = (
    ("int2", -32768),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("float8", 1e-7),
    ("float4", 0.5),
    ("numeric(30,4)", Decimal("-1234567890123.1230")),
    ("text", "Göteborg 気仙沼"),
    ("varchar(20)", "it's"),
    ("bytea", b"\x00\x01\\\xff"),
    ("date", dt.date(2024, 2, 29)),
    ("timestamp", dt.datetime(2026, 3, 29, 1, 30, 5, 123456)),
    ("time", dt.time(23, 59, 59)),
    ("bool", True),
    ("text", ""),
    ("int4", None),
)


def code(error: pyodbc.Error) -> str | None:
    return error.args[0] if error.args else None


def connect(options: str, autocommit: bool = True) -> pyodbc.Connection:
    names = {"PORT": "PGPORT", "UID": "PGUSER", "DATABASE": "PGDATABASE", "SERVER": "PGHOST"}
    text = ";".join(f"{key}={os.environ[value]}" for key, value in names.items())
    return pyodbc.connect(f"DRIVER={DRIVER};{text};PWD={{{os.environ['PGPASSWORD']}}};{options}", autocommit=autocommit)


def version() -> str:
    with connect("") as db:
        return str(db.getinfo(pyodbc.SQL_DRIVER_VER))


check = Check(version())


def types(options: str) -> None:
    db = connect(options)
    for kind, value in VALUES:
        got = db.execute(f"SELECT CAST(? AS {kind})", value).fetchval()
        if kind == "bool":
            got = got in (True, "1", "t")
        equal(got, value)
    row = db.execute(
        "SELECT 1::int2, 2::int8, 1.5::numeric(6,2), 'x'::varchar(7), now(), NULL::date, gen_random_uuid(), ARRAY[1, 2],"
        " '{}'::jsonb"
    ).fetchone()
    equal([str(value) for value in (*row[:4], row[5], row[7], row[8])], ["1", "2", "1.50", "x", "None", "{1,2}", "{}"])
    equal([len(str(uuid.UUID(str(row[6])))), type(row[4])], [36, dt.datetime])
    db.close()


def described(options: str) -> None:
    db = connect(options)
    cursor = db.execute("SELECT id, name, depth, opened FROM odbc_ports WHERE id < ?", 0)
    equal(
        [(column[0], column[1], column[6]) for column in cursor.description],
        [("id", int, False), ("name", str, False), ("depth", Decimal, True), ("opened", dt.date, True)],
    )
    equal([column[3] for column in cursor.description[1:3]], [40, 6])
    db.close()


def cursors(options: str) -> None:
    db = connect(options)
    cursor = db.execute("SELECT g, 'row ' || g FROM generate_series(1, 1000) AS g ORDER BY g")
    equal([tuple(row) for row in cursor.fetchmany(3)], [(1, "row 1"), (2, "row 2"), (3, "row 3")])
    equal(len(cursor.fetchall()), 997)
    first, second = db.cursor(), db.cursor()
    first.execute("SELECT g FROM generate_series(1, 500) AS g ORDER BY g")
    second.execute("SELECT g * 2 FROM generate_series(1, 500) AS g ORDER BY g")
    equal([(first.fetchone()[0], second.fetchone()[0]) for _ in range(300)][-1], (300, 600))
    first.close()
    equal(second.fetchval(), 602)
    db.close()


def writing(options: str) -> None:
    db = connect(options, autocommit=False)
    cursor = db.cursor()
    cursor.executemany(
        "INSERT INTO odbc_boats (id, port, label) VALUES (?, ?, ?)", [(n, 1 + n % 2, f"boat {n}") for n in range(40)]
    )
    equal(cursor.execute("UPDATE odbc_boats SET label = upper(label) WHERE id < ?", 10).rowcount, 10)
    equal(cursor.execute("SELECT count(*) FROM odbc_boats WHERE label LIKE 'BOAT%'").fetchval(), 10)
    db.rollback()
    equal(cursor.execute("SELECT count(*) FROM odbc_boats").fetchval(), 0)
    cursor.execute("INSERT INTO odbc_boats VALUES (1, 1, 'kept')")
    db.commit()
    db.autocommit = True
    equal(cursor.execute("INSERT INTO odbc_boats VALUES (2, 2, 'two') RETURNING id, label").fetchall()[0][1], "two")
    equal(cursor.execute("DELETE FROM odbc_boats").rowcount, 2)
    db.close()


def failing(options: str) -> None:
    db = connect(options)
    raises(lambda: db.execute("SELECT nothing FROM odbc_ports"), "42703", code)
    raises(lambda: db.execute("SELECT * FROM odbc_none"), "42P01", code)
    raises(lambda: db.execute("INSERT INTO odbc_ports VALUES (1, 'again')"), "23505", code)
    raises(lambda: db.execute("SELECT 1 / CAST(? AS int)", 0).fetchall(), "22012", code)
    equal(db.execute("SELECT 7").fetchval(), 7)
    db.autocommit = False
    raises(lambda: db.execute("SELECT 1 / 0").fetchall(), "22012", code)
    db.rollback()
    equal(db.execute("SELECT 8").fetchval(), 8)
    db.close()


def catalog(options: str) -> None:
    db = connect(options)
    cursor = db.cursor()
    equal(
        [row.table_name for row in cursor.tables(schema="public", table="odbc_%", tableType="TABLE")],
        ["odbc_boats", "odbc_ports"],
    )
    equal(
        [
            (row.column_name, row.type_name, row.column_size, row.nullable)
            for row in cursor.columns(schema="public", table="odbc_ports")
        ],
        [("id", "int4", 10, 0), ("name", "varchar", 40, 0), ("depth", "numeric", 6, 1), ("opened", "date", 10, 1)],
    )
    equal(
        [(row.column_name, row.pk_name) for row in cursor.primaryKeys("odbc_ports", schema="public")],
        [("id", "odbc_ports_pkey")],
    )
    equal(
        [
            (row.pktable_name, row.fkcolumn_name)
            for row in cursor.foreignKeys(foreignTable="odbc_boats", foreignSchema="public")
        ],
        [("odbc_ports", "port")],
    )
    equal(
        sorted({row.index_name for row in cursor.statistics("odbc_boats", schema="public") if row.index_name}),
        ["odbc_boats_label_key", "odbc_boats_pkey"],
    )
    equal([row.column_name for row in cursor.rowVerColumns("odbc_ports", schema="public")], ["xmin"])
    names = {row.type_name for row in cursor.getTypeInfo()}
    assert {"int4", "varchar", "numeric", "timestamptz"} <= names, names
    assert any(row.procedure_name == "upper" for row in cursor.procedures(schema="pg_catalog", procedure="upper"))
    cursor.procedureColumns(schema="pg_catalog", procedure="lower").fetchall()
    assert "public" in {row.table_schem for row in cursor.tables(catalog="", schema="%", table="")}
    equal(db.getinfo(pyodbc.SQL_DBMS_NAME), "PostgreSQL")
    assert db.getinfo(pyodbc.SQL_DBMS_VER).startswith("15."), db.getinfo(pyodbc.SQL_DBMS_VER)
    db.close()


def cancelling(options: str) -> None:
    db = connect(options)
    cursor = db.cursor()
    timer = threading.Timer(0.4, cursor.cancel)
    timer.start()
    raises(
        lambda: cursor.execute(
            "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"
        ).fetchall(),
        "57014",
        code,
    )
    timer.join()
    equal(db.execute("SELECT 1").fetchval(), 1)
    db.close()


@check.part("set up")
def set_up() -> None:
    db = connect("")
    db.execute("CREATE TABLE odbc_ports (id int PRIMARY KEY, name varchar(40) NOT NULL, depth numeric(6,2), opened date)")
    db.execute("CREATE TABLE odbc_boats (id int PRIMARY KEY, port int REFERENCES odbc_ports (id), label varchar(20) UNIQUE)")
    db.execute("INSERT INTO odbc_ports (id, name) VALUES (1, 'Killybegs'), (2, 'Peniche')")
    db.close()


def add(function: Callable[[str], None], options: str) -> None:
    check.part(f"{function.__name__} with {options}")(lambda: function(options))


for setting in (
    "UseDeclareFetch=0",
    "UseDeclareFetch=1;Fetch=64",
    "UseServerSidePrepare=0",
    "UseDeclareFetch=1;UseServerSidePrepare=0",
):
    for part in (types, described, cursors, writing, failing, catalog, cancelling):
        add(part, setting)


@check.part("clean up")
def clean_up() -> None:
    db = connect("")
    db.execute("DROP TABLE odbc_boats")
    db.execute("DROP TABLE odbc_ports")
    db.close()


check.run()
