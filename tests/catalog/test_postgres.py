"""The postgres connector against a real PostgreSQL."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from shoal.catalog import scaled, specials
from shoal.catalog.connector import CatalogDefinition, Predicate, TableHandle
from shoal.catalog.connectors.postgres import PostgresConnector, block_bounds
from shoal.catalog.errors import (
    ConfigurationError,
    ConnectionFailure,
    ConnectionRefused,
    DatetimeOverflow,
    ExternalError,
    QueryCanceled,
    SqlError,
)
from shoal.catalog.types import NUMERIC, SqlType, numeric
from tests.catalog.connector_contract import ConnectorContract, KnownTable
from tests.postgres_server import PostgresServer, find_binaries, running

SCHEMA = """
CREATE SCHEMA "Odd Schema";
CREATE SCHEMA empty;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE >= 0);
CREATE TABLE people (id int PRIMARY KEY, name varchar(20) NOT NULL, born date, mood mood, spend price, note text UNIQUE);
COMMENT ON TABLE people IS 'who there is';
COMMENT ON COLUMN people.note IS 'anything';
INSERT INTO people SELECT i, 'name ' || i, date '2000-01-01' + i, (ARRAY['sad','ok','happy'])[1 + i % 3]::mood, i * 1.25,
    CASE WHEN i % 4 = 0 THEN NULL WHEN i % 4 = 1 AND i < 2 THEN '' ELSE 'note ' || i END FROM generate_series(1, 100) i;
CREATE TABLE visits (person int REFERENCES people(id), at timestamptz, PRIMARY KEY (person, at));
CREATE VIEW adults AS SELECT id, upper(name) AS name FROM people WHERE id > 50;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE TABLE "Odd Schema"."Mixed ""Case" ("Select" int, "a b" text, "%s" int);
INSERT INTO "Odd Schema"."Mixed ""Case" VALUES (1, E'tab\\there, "quoted"\\nline\\\\', 7);
CREATE TABLE big (id int8, payload text);
INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 60000) i;
CREATE TABLE parted (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES FROM (0) TO (40000);
CREATE TABLE parted_b PARTITION OF parted FOR VALUES FROM (40000) TO (50000);
INSERT INTO parted SELECT i, repeat('x', 300) FROM generate_series(0, 49999) i;
ANALYZE;
"""


def no_filter() -> tuple[Predicate, ...]:
    return ()


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    postgres_server.run("CREATE DATABASE connector_test")
    postgres_server.run(SCHEMA, "connector_test")
    yield "connector_test"
    postgres_server.run("DROP DATABASE connector_test WITH (FORCE)")


@pytest.fixture(scope="module")
def pg(postgres_server: PostgresServer, database: str) -> Iterator[PostgresConnector]:
    connector = PostgresConnector(CatalogDefinition("pg", postgres_server.url(database)))
    yield connector
    connector.close()


def handle_of(connector: PostgresConnector, name: str, schema: str = "public") -> TableHandle:
    handle = connector.table(schema, name)
    assert handle is not None
    return handle


def rows(connector: PostgresConnector, handle: TableHandle, columns: list[str] | None = None, *, target: int = 1,
         batch_rows: int = 1000) -> list[tuple[Any, ...]]:
    columns = [c.name for c in connector.columns(handle)] if columns is None else columns
    batches = [batch for split in connector.splits(handle, columns, target)
               for batch in connector.read(handle, split, columns, batch_rows, no_filter)]
    assert all(batch.schema.names == columns and 0 < batch.num_rows <= batch_rows for batch in batches)
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def one_column(pg: PostgresConnector, server: PostgresServer, database: str, declared: str, *values: str) -> pa.Array:
    """The column as read of a fresh table that holds these SQL expressions."""
    name = f"c{abs(hash((declared, values)))}"
    server.run(f"CREATE TABLE {name} (c {declared})", database)
    server.run(f"INSERT INTO {name} VALUES {', '.join(f'({value})' for value in values)}", database)
    handle = TableHandle("pg", "public", name)
    pg._metadata.forget()
    [batch] = [b for s in pg.splits(handle, ["c"], 1) for b in pg.read(handle, s, ["c"], 1000, no_filter)]
    return batch.column(0)


def test_names(pg: PostgresConnector) -> None:
    assert pg.schemas() == ["Odd Schema", "empty", "public"]
    assert pg.tables("empty") == [] and pg.tables("none") == []
    kinds = {table.name: (table.kind, table.comment) for table in pg.tables("public")}
    assert kinds["people"] == ("table", "who there is")
    assert kinds["adults"][0] == "view" and kinds["counted"][0] == "materialized_view"
    assert {"parted", "parted_a", "big", "visits"} <= set(kinds)
    assert pg.table("public", "People") is None


def test_columns(pg: PostgresConnector) -> None:
    columns = {column.name: column for column in pg.columns(handle_of(pg, "people"))}
    assert columns["id"].type.name == "int4" and not columns["id"].nullable
    assert columns["name"].type == SqlType("varchar", length=20)
    assert columns["mood"].type.name == "text" and columns["mood"].native_type == "mood"
    assert columns["spend"].type == numeric(8, 2) and columns["spend"].native_type == ""
    assert columns["note"].comment == "anything"


def test_constraints(pg: PostgresConnector) -> None:
    primary, unique = pg.constraints(handle_of(pg, "people"))
    assert (primary.kind, primary.columns, unique.kind, unique.columns) == ("primary", ("id",), "unique", ("note",))
    foreign = pg.constraints(handle_of(pg, "visits"))[1]
    assert (foreign.references, foreign.columns, foreign.referenced_columns) == (("public", "people"), ("person",), ("id",))


def test_statistics(pg: PostgresConnector) -> None:
    found = pg.statistics(handle_of(pg, "people"))
    assert found.rows == 100
    assert (found.columns["id"].minimum, found.columns["id"].maximum, found.columns["id"].distinct) == (1, 100, 100)
    assert found.columns["born"].minimum == datetime.date(2000, 1, 2)
    assert found.columns["mood"].distinct == 3
    assert found.columns["note"].null_fraction == pytest.approx(0.25)
    assert pg.statistics(handle_of(pg, "adults")).rows == pytest.approx(50, abs=5)  # the remote planner's guess
    assert pg.statistics(handle_of(pg, "parted")).rows == 50_000


def test_null_and_empty_text_differ(pg: PostgresConnector) -> None:
    found = dict(rows(pg, handle_of(pg, "people"), ["id", "note"]))
    assert found[1] == "" and found[2] == "note 2" and found[4] is None
    assert [note for note, in rows(pg, handle_of(pg, "people"), ["note"])].count(None) == 25


def test_odd_names_and_characters(pg: PostgresConnector) -> None:
    handle = handle_of(pg, 'Mixed "Case', "Odd Schema")
    assert rows(pg, handle) == [(1, 'tab\there, "quoted"\nline\\', 7)]


def test_no_columns_counts(pg: PostgresConnector) -> None:
    handle = handle_of(pg, "people")
    assert sum(b.num_rows for s in pg.splits(handle, [], 1) for b in pg.read(handle, s, [], 30, no_filter)) == 100


VALUES = [
    ("bool", ["true", "false", "NULL"], [True, False, None]),
    ("int2", ["-32768", "NULL"], [-32768, None]),
    ("int8", ["-9223372036854775808", "9223372036854775807"], [-(1 << 63), (1 << 63) - 1]),
    ("float8", ["'NaN'", "'-Infinity'", "0.1", "1e-300", "NULL"], None),
    ("float4", ["0.1", "3.4e38"], [pa.scalar(value, pa.float32()).as_py() for value in (0.1, 3.4e38)]),
    ("numeric(15,2)", ["-0.05", "12345.6", "NULL", "0"], [-5, 1234560, None, 0]),
    ("numeric(5,-2)", ["12345", "NULL"], ["12300", None]),
    ("numeric(3,5)", ["0.00123"], ["0.00123"]),
    ("numeric(18,0)", ["999999999999999999"], [999999999999999999]),
    ("numeric(30,4)", ["12345678901234567890.1234"], [Decimal("12345678901234567890.1234")]),
    ("numeric(60,2)", ["1e55", "NULL"], [Decimal("1e55"), None]),
    ("numeric", ["1.5", "-7", "0.0000000000000001", "2.50000000000000000000000", "NULL", "'NaN'", "'-Infinity'"],
     ["1.5", "-7", "0.0000000000000001", "2.50000000000000000000000", None, "NaN", "-Infinity"]),
    ("numeric", ["1e200", "0.00000000000000001"], ["1" + "0" * 200, "0.00000000000000001"]),
    ("numeric[]", ["'{1.50,NULL,NaN,1e100}'", "NULL"], [["1.50", None, "NaN", "1" + "0" * 100], None]),
    ("text", ["''", "NULL", "'é \\ \"q\" ,'", "E'\\n'", "'\\.'", "'\\N'"], ["", None, 'é \\ "q" ,', "\n", "\\.", "\\N"]),
    ("char(4)", ["'ab'"], ["ab  "]),
    ("uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("jsonb", ["'{\"a\": [1, null]}'", "NULL"], ['{"a": [1, null]}', None]),
    ("bytea", ["'\\x00ff10'", "''", "NULL"], [b"\x00\xff\x10", b"", None]),
    ("bytea", ["'\\x00'", "'\\x01'"], [b"\x00", b"\x01"]),
    ("date", ["'2024-02-29'", "'0001-01-01'", "NULL"], [datetime.date(2024, 2, 29), datetime.date(1, 1, 1), None]),
    ("time", ["'12:34:56.000001'", "NULL"], [datetime.time(12, 34, 56, 1), None]),
    ("timestamp", ["'2024-02-29 12:00:00.5'", "NULL"], [datetime.datetime(2024, 2, 29, 12, 0, 0, 500000), None]),
    ("timestamptz", ["'2024-02-29 12:00:00+02'"], [datetime.datetime(2024, 2, 29, 10, tzinfo=datetime.UTC)]),
    ("inet", ["'10.0.0.1/8'"], ["10.0.0.1/8"]),
    ("money", ["'12.30'"], ["$12.30"]),
    ("int4[]", ["'{1,NULL,-3}'", "'{}'", "NULL"], [[1, None, -3], [], None]),
    ("text[]", ["'{a,\"b,\\\"c\",NULL,\"NULL\",\"\"}'", "NULL"], [["a", 'b,"c', None, "NULL", ""], None]),
    ("bool[]", ["'{t,f}'"], [[True, False]]),
    ("date[]", ["'{2024-01-01}'"], [[datetime.date(2024, 1, 1)]]),
]


@pytest.mark.parametrize(("declared", "values", "expected"), VALUES, ids=[declared for declared, _, _ in VALUES])
def test_values(pg: PostgresConnector, postgres_server: PostgresServer, database: str, declared: str, values: list[str],
                expected: list[Any] | None) -> None:
    array = one_column(pg, postgres_server, database, declared, *values)
    if scaled.is_scaled(array.type):
        array = scaled.texts(array)
    if expected is None:
        nan, low, *rest = array.to_pylist()
        assert nan != nan and low == float("-inf") and rest == [0.1, 1e-300, None]
    else:
        assert array.to_pylist() == expected


def test_unusual_dates(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    days = one_column(pg, postgres_server, database, "date", "'infinity'", "'-infinity'", "'0044-03-15 BC'",
                      "'5874897-12-31'", "'2000-01-01'", "NULL")
    answers = postgres_server.query("SELECT date '0044-03-15 BC' - date '1970-01-01', "
                                    "date '5874897-12-31' - date '1970-01-01'")
    assert days.view(pa.int32()).to_pylist() == [(1 << 31) - 1, -(1 << 31), *answers[0], 10957, None]
    stamps = one_column(pg, postgres_server, database, "timestamptz", "'infinity'", "'-infinity'",
                        "'0044-03-15 12:00:00+00 BC'", "'12345-06-07 08:09:10.123456+00'")
    [[early, late]] = postgres_server.query(
        "SELECT (extract(epoch from timestamptz '0044-03-15 12:00:00+00 BC') * 1000000)::int8, "
        "(extract(epoch from timestamptz '12345-06-07 08:09:10.123456+00') * 1000000)::int8")
    assert stamps.view(pa.int64()).to_pylist() == [(1 << 63) - 1, -(1 << 63), early, late]
    assert stamps.type == pa.timestamp("us", "UTC")
    assert one_column(pg, postgres_server, database, "time", "'24:00:00'", "'01:00'").view(pa.int64()).to_pylist() == \
        [86_400_000_000, 3_600_000_000]


def test_arrays_of_any_shape(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    found = one_column(pg, postgres_server, database, "text[]", "'{a}'",
                       "'{{a,NULL,\"NULL\"},{\"{}\",\"\",\"x,\\\"y\"}}'", "NULL",
                       "'[-1:0]={a,b}'", "'{}'", "'[2:2][0:1]={{c,d}}'")
    items, dims = found.flatten()
    assert items.to_pylist() == [["a"], ["a", None, "NULL", "{}", "", 'x,"y'], None, ["a", "b"], [], ["c", "d"]]
    assert dims.to_pylist() == [[1, 1], [2, 1, 3, 1], None, [2, -1], [], [1, 2, 2, 0]]


def test_intervals(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    found = one_column(pg, postgres_server, database, "interval", "'1 year 2 mons -3 days +04:05:06.789'", "'-1 mon'",
                       "'-00:00:00.5'", "'0'", "NULL", "'1000:00:00'")
    assert found.to_pylist() == [pa.MonthDayNano([14, -3, 14706789000]), pa.MonthDayNano([-1, 0, 0]),
                                 pa.MonthDayNano([0, 0, -500000]), pa.MonthDayNano([0, 0, 0]), None,
                                 pa.MonthDayNano([0, 0, 3600000000000])]


@pytest.mark.parametrize(("declared", "values", "found"), [
    ("numeric(10,2)", ["'NaN'", "-0.05", "NULL"], [np.nan, 0, 0]), ("numeric(10)", ["'NaN'", "3"], [np.nan, 0]),
    ("numeric(50,10)", ["'NaN'", "1e39"], [np.nan, 0]), ("numeric(20,2)", ["2.50"], None)])
def test_specials(pg: PostgresConnector, postgres_server: PostgresServer, database: str, declared: str, values: list[str],
                  found: list[float] | None) -> None:
    array = one_column(pg, postgres_server, database, declared, *values)
    stand_ins = specials.stand_ins(array)
    np.testing.assert_array_equal(stand_ins, found)
    numbers = array if stand_ins is None else specials.without(array, stand_ins)
    assert numbers.to_pylist() == [None if v == "NULL" or v.startswith("'") else Decimal(v) for v in values]


REFUSED = [("timestamp", "'294276-01-01'", DatetimeOverflow)]


@pytest.mark.parametrize(("declared", "value", "error"), REFUSED, ids=[f"{d} {v}" for d, v, _ in REFUSED])
def test_values_that_cannot_be_held(pg: PostgresConnector, postgres_server: PostgresServer, database: str, declared: str,
                                    value: str, error: type[SqlError]) -> None:
    with pytest.raises(error, match=r'catalog "pg": public\..*c: '):
        one_column(pg, postgres_server, database, declared, value)


@pytest.mark.parametrize(("predicate", "where", "count"), [
    (Predicate("id", "gt", (90,)), "\"id\" > '90'::int4", 10),
    (Predicate("id", "in", (1, 2, 1 << 40, None)), "\"id\" IN ('1'::int8, '2'::int8, '1099511627776'::int8)", 2),
    (Predicate("id", "in", ()), "FALSE", 0),
    (Predicate("spend", "le", (Decimal("2.5"),)), "\"spend\" <= '2.5'::numeric", 2),
    (Predicate("born", "eq", (datetime.date(2000, 1, 11),)), "\"born\" = '2000-01-11'::date", 1),
    (Predicate("name", "eq", ("name 7",)), "\"name\" = 'name 7'::text", 1),
    (Predicate("name", "ne", ("it's \\ % a trap",)), "E'it''s \\\\ % a trap'", 100),
    (Predicate("name", "ge", ("name 9",)), "\"name\" >= 'name 9'::text", 11),
    (Predicate("name", "like", ("name _",)), "\"name\" LIKE 'name _'::text", 9),
    (Predicate("name", "not_like", ("%0%",)), "NOT LIKE", 90),
    (Predicate("note", "is_null"), '"note" IS NULL', 25),
    (Predicate("note", "is_not_null"), '"note" IS NOT NULL', 75),
    (Predicate("mood", "eq", ("ok",)), "\"mood\"::text = 'ok'::text", 34),
])
def test_filters(pg: PostgresConnector, predicate: Predicate, where: str, count: int) -> None:
    result = pg.apply_filter(handle_of(pg, "people"), (predicate,))
    assert result is not None and result.remaining == ()
    assert where in pg.explain(result.handle, ["id"])
    assert len(rows(pg, result.handle, ["id"])) == count
    counted = [b for s in pg.splits(result.handle, [], 1) for b in pg.read(result.handle, s, [], 1000, no_filter)]
    assert sum(batch.num_rows for batch in counted) == count


@pytest.mark.parametrize("predicate", [
    Predicate("mood", "gt", ("ok",)), Predicate("name", "eq", ("nul \0",)), Predicate("name", "like", ("bad\\",)),
    Predicate("id", "eq", (1.5,)), Predicate("born", "lt", (datetime.datetime(2001, 1, 1),)), Predicate("id", "eq", (None,)),
])
def test_filters_left_to_shoal(pg: PostgresConnector, predicate: Predicate) -> None:
    assert pg.apply_filter(handle_of(pg, "people"), (predicate,)) is None
    kept = pg.apply_filter(handle_of(pg, "people"), (predicate, Predicate("id", "lt", (3,))))
    assert kept is not None and kept.remaining == (0,)


def test_text_is_ordered_by_code_point(postgres_server: PostgresServer, database: str, pg: PostgresConnector) -> None:
    [[collation]] = postgres_server.query("SELECT collname FROM pg_collation WHERE collprovider IN ('i', 'b') "
                                          "ORDER BY collname <> 'en-x-icu', collname LIMIT 1")
    postgres_server.run(f'CREATE TABLE words (w text COLLATE "{collation}")', database)
    postgres_server.run("INSERT INTO words VALUES ('a'), ('B'), ('c'), ('é')", database)
    pg._metadata.forget()
    result = pg.apply_filter(handle_of(pg, "words"), (Predicate("w", "gt", ("B",)),))
    assert result is not None and 'COLLATE "C"' in pg.explain(result.handle, ["id"])
    assert sorted(w for w, in rows(pg, result.handle)) == ["a", "c", "é"]


def test_limits(pg: PostgresConnector) -> None:
    limited = pg.apply_limit(handle_of(pg, "big"), 5)
    assert limited is not None and limited.exact
    assert len(rows(pg, limited.handle, ["id"], target=8)) == 5
    assert pg.apply_limit(limited.handle, 9) is None
    assert pg.apply_filter(limited.handle, (Predicate("id", "eq", (1,)),)) is None
    assert pg.statistics(limited.handle).rows == 5


def test_dynamic_filters_reach_the_source(pg: PostgresConnector) -> None:
    handle = handle_of(pg, "people")
    [split] = pg.splits(handle, ["id", "name"], 1)
    known = (Predicate("id", "in", (3, 4)), Predicate("born", "is_null"))  # born is not read: left out
    batches = pg.read(handle, split, ["id", "name"], 100, lambda: known)
    assert [batch.column(0).to_pylist() for batch in batches] == [[3, 4]]


def test_splits_under_one_snapshot(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    handle = pg.begin("q1", handle_of(pg, "big"))
    assert pg.begin("q1", handle_of(pg, "people")).state["snapshot"] == handle.state["snapshot"]
    splits = pg.splits(handle, ["id"], 4)
    assert len(splits) == 4
    postgres_server.run("UPDATE big SET id = -id WHERE id % 2 = 0; INSERT INTO big VALUES (0, '')", database)
    found = [i for split in splits for b in pg.read(handle, split, ["id"], 5000, no_filter) for i in b.column(0).to_pylist()]
    assert sorted(found) == list(range(1, 60001))
    pg.end("q1")
    pg.end("q1")
    fresh = handle_of(pg, "big")
    assert len(rows(pg, fresh, ["id"], target=3, batch_rows=70000)) == 60001
    with pytest.raises(ExternalError):
        next(pg.read(handle, splits[0], ["id"], 5000, no_filter))  # the snapshot is gone


def test_partitioned_tables_divide(pg: PostgresConnector) -> None:
    handle = handle_of(pg, "parted")
    splits = pg.splits(handle, ["id"], 3)
    assert len(splits) == 3
    counts = [sum(b.num_rows for b in pg.read(handle, split, ["id"], 50_000, no_filter)) for split in splits]
    assert sum(counts) == 50_000 and min(counts) > 10_000


def test_block_bounds() -> None:
    assert block_bounds([100], 4) == [25, 50, 75]
    assert block_bounds([100, 20], 2) == [40]  # 2 x 20 + 20 of 120
    assert block_bounds([3], 1) == []


def test_leaving_early_cancels(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    postgres_server.run("CREATE VIEW endless AS SELECT i, pg_sleep(0.0005)::text AS s FROM generate_series(1, 1000000) i",
                        database)
    pg._metadata.forget()
    handle = handle_of(pg, "endless")
    [split] = pg.splits(handle, ["i", "s"], 1)
    reader = pg.read(handle, split, ["i", "s"], 64, no_filter)
    next(reader)
    started = time.monotonic()
    reader.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 5
    active = postgres_server.query("SELECT count(*) FROM pg_stat_activity "
                                   "WHERE application_name = 'shoal' AND state = 'active'")
    assert active == [(0,)]


def test_a_waiting_read_is_interrupted_from_outside(pg: PostgresConnector, postgres_server: PostgresServer,
                                                    database: str) -> None:
    postgres_server.run("CREATE VIEW slow AS SELECT 1 AS i FROM pg_sleep(60)", database)
    pg._metadata.forget()
    handle = handle_of(pg, "slow")
    [split] = pg.splits(handle, ["i"], 1)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            list(pg.read(handle, split, ["i"], 64, no_filter))
        except SqlError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < deadline:
        assert thread.ident is not None
        pg.interrupt(thread.ident)
        thread.join(0.1)
    assert [type(error) for error in caught] == [QueryCanceled]
    pg.interrupt(threading.get_ident())  # nothing to interrupt


def test_reads_are_read_only(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    postgres_server.run("CREATE SEQUENCE s; CREATE VIEW sneaky AS SELECT nextval('s') AS n", database)
    pg._metadata.forget()
    with pytest.raises(ExternalError, match=r'catalog "pg": .*read-only'):
        rows(pg, handle_of(pg, "sneaky"))


def test_remote_errors_name_the_catalog(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    postgres_server.run("CREATE VIEW broken AS SELECT 1 / (id - 1) AS x FROM people", database)
    pg._metadata.forget()
    with pytest.raises(ExternalError, match='catalog "pg": division by zero') as caught:
        rows(pg, handle_of(pg, "broken"))
    assert "22012" in caught.value.detail
    assert len(rows(pg, handle_of(pg, "people"))) == 100  # the pool survives


def test_a_source_that_is_down_names_itself_without_its_password() -> None:
    connector = PostgresConnector(CatalogDefinition("pg", "postgresql://u:s3cr3t@127.0.0.1:1/x"))
    with pytest.raises(ConnectionRefused, match='catalog "pg": cannot connect') as caught:
        connector.schemas()
    assert "s3cr3t" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"
    with pytest.raises(ConfigurationError) as refused:
        PostgresConnector(CatalogDefinition("pg", "postgresql://u:s3cr3t@h/x?no_such_option=1"))
    assert "s3cr3t" not in str(refused.value)


def test_a_lost_connection_is_noticed_and_replaced(postgres_server: PostgresServer, database: str) -> None:
    connector = PostgresConnector(CatalogDefinition("pg", postgres_server.url(database)))
    assert connector.table("public", "people") is not None
    postgres_server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shoal' "
                        f"AND datname = '{database}'")
    handle = handle_of(connector, "big")  # the pooled connections are dead; reading takes a fresh one
    [split, *_] = connector.splits(handle, ["payload"], 1)
    reader = connector.read(handle, split, ["payload"], 10, no_filter)
    next(reader)
    postgres_server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shoal' "
                        f"AND datname = '{database}'")
    with pytest.raises(ConnectionFailure, match='catalog "pg": the connection was lost'):
        for _ in reader:
            pass
    connector.close()


def test_other_settings_of_the_remote_role_do_not_matter(postgres_server: PostgresServer, database: str) -> None:
    postgres_server.run("CREATE ROLE odd LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO odd; "
                        "ALTER ROLE odd SET datestyle = 'German'; ALTER ROLE odd SET intervalstyle = 'iso_8601'; "
                        "ALTER ROLE odd SET extra_float_digits = -5; ALTER ROLE odd SET standard_conforming_strings = off; "
                        "ALTER ROLE odd SET bytea_output = 'escape'; ALTER ROLE odd SET timezone = 'Asia/Tokyo'", database)
    connector = PostgresConnector(CatalogDefinition("pg", postgres_server.url(database), {"user": "odd"}))
    assert (7, datetime.date(2000, 1, 8)) in rows(connector, handle_of(connector, "people"), ["id", "born"])
    connector.close()
    postgres_server.run("DROP OWNED BY odd; DROP ROLE odd", database)


def test_several_threads_read_at_once(pg: PostgresConnector) -> None:
    handle = pg.begin("q2", handle_of(pg, "parted"))
    splits = pg.splits(handle, ["id"], 3)
    counts: list[int] = []

    def work(index: int) -> None:
        counts.append(sum(b.num_rows for b in pg.read(handle, splits[index], ["id"], 10_000, no_filter)))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(splits))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    pg.end("q2")
    assert sum(counts) == 50_000


def test_unconstrained_numeric_type(pg: PostgresConnector, postgres_server: PostgresServer, database: str) -> None:
    one_column(pg, postgres_server, database, "numeric", "1")
    postgres_server.run("CREATE TABLE loose (n numeric)", database)
    pg._metadata.forget()
    assert replace(pg.columns(handle_of(pg, "loose"))[0]).type == NUMERIC


def test_the_whole_server_goes_away() -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries")
    with running(binaries) as server:
        connector = PostgresConnector(CatalogDefinition("pg", server.url()))
        assert connector.schemas() == ["public"]
    connector._metadata.forget()
    with pytest.raises(ConnectionRefused, match='catalog "pg"'):
        connector.schemas()
    connector.close()


CONTRACT_ROWS = [
    (i, None if i % 7 == 0 else f"wörd {i % 13:02}", Decimal(i * 37 % 1000).scaleb(-2) if i % 5 else None, i * 0.25,
     datetime.date(2020, 1, 1) + datetime.timedelta(days=i % 29), i % 3 == 0,
     datetime.datetime(2021, 5, 6, 7, 8, 9, tzinfo=datetime.UTC) + datetime.timedelta(seconds=i * 1.5))
    for i in range(1, 61)]


@pytest.fixture(scope="module")
def contract_url(postgres_server: PostgresServer) -> Iterator[str]:
    postgres_server.run("CREATE DATABASE contract")
    with psycopg.connect(postgres_server.url("contract")) as connection:
        connection.execute("CREATE TABLE known (id int PRIMARY KEY, word text, amount numeric(8,2), share float8, day date, "
                           "flag bool, at timestamptz)")
        connection.cursor().executemany("INSERT INTO known VALUES (%s, %s, %s, %s, %s, %s, %s)", CONTRACT_ROWS)
    postgres_server.run("ANALYZE", "contract")
    yield postgres_server.url("contract")
    postgres_server.run("DROP DATABASE contract WITH (FORCE)")


class TestPostgresContract(ConnectorContract):
    @pytest.fixture
    def connector(self, contract_url: str) -> Iterator[PostgresConnector]:
        connector = PostgresConnector(CatalogDefinition("pg", contract_url))
        yield connector
        connector.close()

    @pytest.fixture
    def known(self) -> KnownTable:
        return KnownTable("public", "known", CONTRACT_ROWS)
