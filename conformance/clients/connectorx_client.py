"""connectorx: every protocol it has (binary, csv, cursor, simple), partitions, types, metadata."""

from __future__ import annotations

import os
from importlib.metadata import version
from urllib.parse import quote

import connectorx as cx
import pyarrow as pa
from checking import Check, equal

check = Check(version("connectorx"))
env = os.environ
URI = f"postgresql://{env['PGUSER']}:{quote(env['PGPASSWORD'])}@{env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']}"
QUERY = """SELECT g AS id, g::int4 AS small, (g % 7)::int2 AS tiny, g / 4.0::float8 AS ratio, (g / 4.0)::float4 AS single,
 g % 2 = 0 AS flag,
 'name ' || g AS name, CASE WHEN g % 3 = 0 THEN NULL ELSE g::numeric / 4 END AS price, date '2000-01-01' + g::int4 AS day,
 timestamp '2000-01-01' + g * interval '1 minute' AS at,
 timestamptz '2000-01-01 00:00:00+00' + g * interval '1 minute' AS zoned,
 '{"a": 1}'::jsonb AS doc, '\\x00ff'::bytea AS raw, ARRAY[g, g + 1] AS pair FROM generate_series(1::int8, 2000) g"""


for protocol in ("binary", "csv", "cursor"):

    def read(protocol: str = protocol) -> None:
        query = QUERY if protocol in ("binary", "cursor") else QUERY.replace(", ARRAY[g, g + 1] AS pair", "")
        table = pa.table(cx.read_sql(URI, query, return_type="arrow", protocol=protocol))
        equal(table.num_rows, 2000)
        got = table.sort_by("id").slice(3, 1).to_pylist()[0]
        equal([got[name] for name in ("id", "small", "tiny", "ratio", "flag", "name")], [4, 4, 4, 1.0, True, "name 4"])
        equal((float(got["price"]), str(got["day"]), str(got["at"])), (1.0, "2000-01-05", "2000-01-01 00:04:00"))
        equal(table["price"].null_count, 666)
        if "pair" in got:
            equal(got["pair"], [4, 5])

    check.part(f"protocol {protocol}: every type")(read)


@check.part("protocol simple: text of every type it knows")
def _() -> None:
    query = (
        "SELECT g AS id, g % 2 = 0 AS flag, g::text AS name, g / 4.0::float8 AS ratio FROM generate_series(1::int8, 2000) g"
    )
    table = pa.table(cx.read_sql(URI, query, return_type="arrow", protocol="simple"))
    equal(table.sort_by("id").slice(3, 1).to_pylist(), [{"id": 4, "flag": True, "name": "4", "ratio": 1.0}])


@check.part("partitions by a column, and several queries")
def _() -> None:
    table = pa.table(
        cx.read_sql(
            URI,
            "SELECT g AS id, g * 2 AS twice FROM generate_series(1, 1000) g",
            partition_on="id",
            partition_num=4,
            return_type="arrow",
        )
    )
    equal((table.num_rows, sum(table["id"].to_pylist())), (1000, 500500))
    table = pa.table(cx.read_sql(URI, [f"SELECT {n}::int8 AS n" for n in range(3)], return_type="arrow"))
    equal(sorted(table["n"].to_pylist()), [0, 1, 2])


@check.part("empty results and errors")
def _() -> None:
    equal(pa.table(cx.read_sql(URI, "SELECT 1::int8 AS a, 'x'::text AS b WHERE false", return_type="arrow")).num_rows, 0)
    try:
        cx.read_sql(URI, "SELECT * FROM missing", return_type="arrow")
    except RuntimeError as error:
        assert 'relation "missing" does not exist' in str(error) or "db error" in str(error), error
    else:
        raise AssertionError("no error")


@check.part("metadata")
def _() -> None:
    equal(list(cx.get_meta(URI, "SELECT 1::int8 AS a, 'x'::text AS b", protocol="binary").columns), ["a", "b"])


check.run()
