"""pandas over SQLAlchemy, DB-API and ADBC: read_sql and to_sql, types, chunks, COPY as the insert method."""

from __future__ import annotations

import csv
import io
import os
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import adbc_driver_postgresql.dbapi
import numpy as np
import pandas as pd
import sqlalchemy as sa
from checking import Check, equal

check = Check(pd.__version__)
env = os.environ
WHERE = sa.URL.create(
    "postgresql+psycopg2", env["PGUSER"], env["PGPASSWORD"], env["PGHOST"], int(env["PGPORT"]), env["PGDATABASE"]
)
URI = WHERE.render_as_string(hide_password=False)
LIBPQ_URI = f"postgresql://{env['PGUSER']}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
FRAME = pd.DataFrame(
    {
        "id": np.arange(500, dtype="int64"),
        "small": np.arange(500, dtype="int32"),
        "name": [f"n{i}" if i % 9 else None for i in range(500)],
        "price": np.arange(500) / 8,
        "flag": np.arange(500) % 2 == 0,
        "at": pd.date_range("2020-01-01", periods=500, freq="h"),
        "zoned": pd.date_range("2020-01-01", periods=500, freq="h", tz="UTC"),
    }
)


def by_copy(table: Any, db: Any, names: list[str], rows: Any) -> None:
    """The `method` of pandas' own documentation."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    with db.connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {table.name} ({', '.join(names)}) FROM STDIN WITH CSV", buffer)


@check.part("to_sql: create, append, replace; read_sql over a URI")
def _() -> None:
    engine = sa.create_engine(WHERE)
    equal(FRAME.to_sql("frame", URI, index=False), 500)
    equal(FRAME[:10].to_sql("frame", engine, index=False, if_exists="append", method="multi", chunksize=4), 10)
    got = pd.read_sql("SELECT * FROM frame ORDER BY id LIMIT 3 OFFSET 20", URI)
    equal(list(got["id"]), [10, 11, 12])
    FRAME.to_sql("frame", engine, index=False, if_exists="replace")
    got = pd.read_sql_table("frame", engine).sort_values("id").reset_index(drop=True)
    equal(
        {name: str(kind) for name, kind in got.dtypes.items() if name not in ("name", "at", "zoned")},
        {"id": "int64", "small": "int64" if got["small"].dtype == "int64" else "int32", "price": "float64", "flag": "bool"},
    )
    equal((got["price"].sum(), int(got["name"].isna().sum())), (FRAME["price"].sum(), 56))
    equal((got["at"] == FRAME["at"]).all().item(), True)
    equal((got["zoned"].dt.tz_convert("UTC") == FRAME["zoned"]).all().item(), True)


@check.part("read_sql_query: parameters, chunks, dates, index")
def _() -> None:
    engine = sa.create_engine(WHERE)
    with engine.connect().execution_options(stream_results=True) as db:
        chunks = list(
            pd.read_sql_query(sa.text("SELECT id, price FROM frame WHERE id < :n"), db, params={"n": 300}, chunksize=120)
        )
        equal([len(chunk) for chunk in chunks], [120, 120, 60])
    got = pd.read_sql_query(
        "SELECT date_trunc('day', at) AS day, count(*) AS n, sum(price::numeric) AS total FROM frame GROUP BY 1 ORDER BY 1",
        engine,
        index_col="day",
        parse_dates=["day"],
    )
    equal((got.index[0], int(got["n"].iloc[0])), (pd.Timestamp("2020-01-01"), 24))
    exact = pd.read_sql_query("SELECT 1.50::numeric AS d", engine, coerce_float=False)
    equal(exact["d"].iloc[0], Decimal("1.50"))


@check.part("to_sql by COPY")
def _() -> None:
    engine = sa.create_engine(WHERE)
    FRAME.to_sql("copied", engine, index=False, method=by_copy)
    got = pd.read_sql("SELECT count(*) AS n, count(name) AS named, sum(price) AS total, max(at) AS last FROM copied", engine)
    equal(got.iloc[0].to_dict(), {"n": 500, "named": 444, "total": FRAME["price"].sum(), "last": FRAME["at"].max()})


@check.part("through ADBC: to_sql and read_sql with Arrow types")
def _() -> None:
    with adbc_driver_postgresql.dbapi.connect(LIBPQ_URI) as db:
        FRAME.to_sql("arrow", db, index=False)
        got = pd.read_sql("SELECT * FROM arrow ORDER BY id", db)
        equal((len(got), float(got["price"].sum()), int(got["name"].isna().sum())), (500, FRAME["price"].sum(), 56))
        assert pd.read_sql_table("arrow", db).shape == (500, 7)


check.run()
