"""polars: read_database_uri through connectorx and ADBC, read_database over connections, write_database."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from urllib.parse import quote

import adbc_driver_postgresql.dbapi
import polars as pl
import psycopg
from checking import Check, equal

check = Check(pl.__version__)
env = os.environ
URI = f"postgresql://{env['PGUSER']}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
TYPES = """SELECT g AS i8, g::int4 AS i4, g::int2 AS i2, g / 8.0::float8 AS f8, g % 2 = 0 AS b, 'n' || g AS t,
 date '2020-01-01' + g::int4 AS d,
 timestamp '2020-01-01 00:00:00' + g * interval '1 second' AS ts,
 CASE WHEN g % 5 > 0 THEN g END AS maybe FROM generate_series(1::int8, 3000) g"""


def sound(frame: pl.DataFrame) -> None:
    frame = frame.sort("i8")
    equal(frame.height, 3000)
    equal(frame.row(6), (7, 7, 7, 0.875, False, "n7", dt.date(2020, 1, 8), dt.datetime(2020, 1, 1, 0, 0, 7), 7))
    equal(int(frame["maybe"].null_count()), 600)
    equal([str(kind) for kind in frame.dtypes[:6]], ["Int64", "Int32", "Int16", "Float64", "Boolean", "String"])


@check.part("read_database_uri through connectorx")
def _() -> None:
    sound(pl.read_database_uri(TYPES, URI, engine="connectorx"))


@check.part("read_database_uri through connectorx, in partitions")
def _() -> None:
    frame = pl.read_database_uri(f"SELECT * FROM ({TYPES}) q", URI, engine="connectorx", partition_on="i8", partition_num=3)
    sound(frame)


@check.part("read_database_uri through ADBC")
def _() -> None:
    sound(pl.read_database_uri(TYPES, URI, engine="adbc"))


@check.part("read_database over a cursor, in batches")
def _() -> None:
    with psycopg.connect(URI) as db:
        frame = pl.read_database("SELECT g, g::text AS t, 1.50::numeric(10,2) AS n FROM generate_series(1, 100) g", db)
        equal(frame.row(99), (100, "100", Decimal("1.50")))
        parts = list(pl.read_database("SELECT g FROM generate_series(1, 1000) g", db, iter_batches=True, batch_size=300))
        equal([part.height for part in parts], [300, 300, 300, 100])
        equal(pl.read_database("SELECT %(a)s::int + 1 AS x", db, execute_options={"params": {"a": 4}}).item(), 5)


@check.part("write_database through ADBC and SQLAlchemy")
def _() -> None:
    frame = pl.DataFrame(
        {"id": [1, 2, 3], "name": ["a", None, "c"], "at": [dt.datetime(2020, 1, 1), None, dt.datetime(1999, 1, 1, 0, 0, 1)]}
    )
    equal(frame.write_database("written", URI, engine="adbc"), 3)
    equal(frame.write_database("written", URI, engine="adbc", if_table_exists="append"), 3)
    with adbc_driver_postgresql.dbapi.connect(URI) as db:
        got = pl.read_database("SELECT * FROM written ORDER BY id", db)
        equal(got.rows()[::2], frame.rows())
    frame.write_database("by_sqlalchemy", URI.replace("postgresql:", "postgresql+psycopg:"), engine="sqlalchemy")
    equal(pl.read_database_uri("SELECT sum(id)::int8 AS s FROM by_sqlalchemy", URI, engine="connectorx").item(), 6)


check.run()
