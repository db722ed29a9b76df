"""ADBC's PostgreSQL driver: binary COPY both ways, ingestion modes, metadata, parameters, transactions, cancel."""

from __future__ import annotations

import datetime as dt
import os
import threading
from decimal import Decimal
from importlib.metadata import version
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from adbc_driver_postgresql import StatementOptions
from checking import Check, equal, raises

check = Check(version("adbc-driver-postgresql"))
env = os.environ
URI = f"postgresql://{env['PGUSER']}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
TABLE = pa.table(
    {
        "i8": pa.array(range(1000)),
        "i4": pa.array(range(1000), pa.int32()),
        "i2": pa.array([n % 7 for n in range(1000)], pa.int16()),
        "f8": pa.array([n / 8 for n in range(1000)]),
        "f4": pa.array([n / 8 for n in range(1000)], pa.float32()),
        "t": pa.array([f"n{n} 海" if n % 10 else None for n in range(1000)]),
        "b": pa.array([n % 2 == 0 for n in range(1000)]),
        "raw": pa.array([bytes([n % 256]) for n in range(1000)]),
        "d": pa.array([dt.date(2000, 1, 1) + dt.timedelta(n) for n in range(1000)]),
        "ts": pa.array([dt.datetime(2000, 1, 1) + dt.timedelta(seconds=n) for n in range(1000)], pa.timestamp("us")),
        "tz": pa.array([dt.datetime(2000, 1, 1, tzinfo=dt.UTC)] * 1000, pa.timestamp("us", "UTC")),
        "tags": pa.array([[f"a{n}", None] for n in range(1000)], pa.list_(pa.string())),
    }
)


def code(error: adbc_driver_manager.Error) -> str | None:
    return error.sqlstate


@check.part("ingest: create, append, replace, create_append, by binary COPY")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        equal(cursor.adbc_ingest("ingested", TABLE, mode="create"), 1000)
        equal(cursor.adbc_ingest("ingested", TABLE.slice(0, 10).to_reader(), mode="append"), 10)
        db.commit()
        cursor.execute("SELECT count(*), count(t), sum(f8) FROM ingested")
        equal(cursor.fetchone(), (1010, 909, sum(n / 8 for n in (*range(1000), *range(10)))))
        cursor.adbc_ingest("ingested", TABLE, mode="replace")
        cursor.adbc_ingest("other", TABLE.select(["i8"]), mode="create_append")
        db.commit()


@check.part("fetch_arrow_table through COPY: what went in comes out")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        cursor.execute("SELECT * FROM ingested ORDER BY i8")
        got = cursor.fetch_arrow_table()
        equal(got.schema.names, TABLE.schema.names)
        for name in TABLE.schema.names:
            equal(got[name].to_pylist(), TABLE[name].to_pylist())


@check.part("without COPY: rows by the extended protocol")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor(adbc_stmt_kwargs={StatementOptions.USE_COPY.value: False}) as cursor:
        cursor.execute("SELECT i8, t, ts FROM ingested WHERE i8 < 3 ORDER BY 1")
        equal(cursor.fetch_arrow_table()["i8"].to_pylist(), [0, 1, 2])
        cursor.execute("SHOW server_version_num")
        assert cursor.fetchone()[0].startswith("15")


@check.part("types that Arrow lacks, numerics, intervals, records")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        cursor.execute(
            "SELECT 1.50::numeric AS n, 'NaN'::numeric AS nan, interval '1 month 2 days 00:00:03' AS i, NULL::text AS x, "
            "'a'::\"char\" AS c, 7::oid AS o, '{\"a\": 1}'::jsonb AS j, '00000000-0000-0000-0000-000000000001'::uuid AS u"
        )
        row = cursor.fetch_arrow_table().to_pylist()[0]
        equal([row[name] for name in ("n", "nan", "x", "o")], ["1.50", "nan" if row["nan"] == "nan" else "NaN", None, 7])
        equal((row["i"].months, row["i"].days, row["i"].nanoseconds), (1, 2, 3_000_000_000))


@check.part("parameters: one, many at once, prepared with their types")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        cursor.execute("SELECT $1 + 1 AS a, $2 || 'x' AS b", (41, "y"))
        equal(cursor.fetchone(), (42, "yx"))
        cursor.execute("CREATE TABLE many (id int8, name text, price numeric(9,2), day date)")
        rows = [(n, f"n{n}", Decimal("1.25"), dt.date(2000, 1, 1)) for n in range(50)]
        cursor.executemany(
            "INSERT INTO many VALUES ($1, $2, $3::text::numeric, $4)", [(i, n, str(p), d) for i, n, p, d in rows]
        )
        cursor.execute("SELECT count(*), sum(price)::text FROM many")
        equal(cursor.fetchone(), (50, "62.50"))
        schema = cursor.adbc_prepare("SELECT * FROM many WHERE id = $1 AND name = $2")
        equal([str(field.type) for field in schema], ["int64", "string"])
        equal(cursor.adbc_execute_schema("SELECT id, name FROM many").names, ["id", "name"])
        db.commit()


@check.part("metadata: objects at every depth, table schema, table types, statistics, info")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE keyed (id int8 PRIMARY KEY, other int8 CONSTRAINT other_fk REFERENCES keyed (id))")
        db.commit()
        found = (
            db.adbc_get_objects(
                depth="all", catalog_filter=env["PGDATABASE"], db_schema_filter="public", table_name_filter="keyed"
            )
            .read_all()
            .to_pylist()
        )
        table = found[0]["catalog_db_schemas"][0]["db_schema_tables"][0]
        equal([column["column_name"] for column in table["table_columns"]], ["id", "other"])
        equal(
            sorted((c["constraint_type"], tuple(c["constraint_column_names"])) for c in table["table_constraints"]),
            [("FOREIGN KEY", ("other",)), ("PRIMARY KEY", ("id",))],
        )
        assert len(db.adbc_get_objects(depth="db_schemas").read_all())
        equal(db.adbc_get_table_schema("ingested").names, TABLE.schema.names)
        assert "table" in db.adbc_get_table_types()
        equal(db.adbc_get_info()["vendor_name"], "PostgreSQL")
        equal((db.adbc_current_catalog, db.adbc_current_db_schema), (env["PGDATABASE"], "public"))


@check.part("transactions, autocommit, errors, cancel")
def _() -> None:
    with adbc.connect(URI) as db, db.cursor() as cursor:
        cursor.execute("DELETE FROM many")
        db.rollback()
        cursor.execute("SELECT count(*) FROM many")
        equal(cursor.fetchone(), (50,))
        raises(lambda: cursor.execute("SELECT * FROM missing"), "42P01", code)
        db.rollback()
        threading.Timer(0.4, cursor.adbc_cancel).start()

        def slow() -> None:
            cursor.execute("SELECT pg_sleep(20)::text")
            cursor.fetchall()

        raises(slow, "57014", code)
    with adbc.connect(URI, autocommit=True) as db, db.cursor() as cursor:
        cursor.execute("VACUUM")


check.run()
