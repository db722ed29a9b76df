"""The sqlite connector over real database files."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shoal.catalog.connector import CatalogDefinition, Predicate, TableHandle
from shoal.catalog.connectors.sqlite import SqliteConnector
from shoal.catalog.errors import ConfigurationError, DataCorrupted, DatatypeMismatch, ExternalError, UndefinedFile
from shoal.catalog.types import FLOAT8, INT8, TEXT, numeric
from tests.catalog.connector_contract import ConnectorContract, KnownTable

SCHEMA = """
CREATE TABLE fish (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL COLLATE NOCASE, weight DECIMAL(8,2), caught DATE,
    at TIMESTAMP, fresh BOOLEAN, share REAL, picture BLOB, any_thing, "Mixed Case" INT);
INSERT INTO fish VALUES (1, 'Cod', 4.85, '2024-02-29', '2024-02-29 10:11:12.5', 1, 0.5, x'00ff', 'x', 1);
INSERT INTO fish VALUES (2, 'cod', 4, NULL, '2024-03-01T00:00:00', 0, 2, NULL, 7, NULL);
INSERT INTO fish VALUES (3, 'Å*[?]%_', NULL, '2023-01-01', NULL, NULL, NULL, x'', NULL, 3);
CREATE TABLE dirty (i INTEGER, d DATE, f REAL, n NUMERIC(5,1), b BLOB);
INSERT INTO dirty VALUES (1, '2024-01-01', 1.5, 1.5, 'text'), ('two', 'soon', 'much', 1.25, x'01'),
    (NULL, 5, NULL, NULL, NULL);
CREATE TABLE boats (name TEXT PRIMARY KEY, port TEXT, fish INTEGER REFERENCES fish, UNIQUE (port)) WITHOUT ROWID;
INSERT INTO boats VALUES ('Grace', 'Peniche', 1);
CREATE TABLE empty (a, b INT, c TEXT);
CREATE VIEW heavy AS SELECT name, weight FROM fish WHERE weight > 4;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a b.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.fixture
def lite(path: Path) -> Iterator[SqliteConnector]:
    connector = SqliteConnector(CatalogDefinition("lite", f"sqlite:{path}"))
    yield connector
    connector.close()


def handle_of(connector: SqliteConnector, name: str) -> TableHandle:
    handle = connector.table("public", name)
    assert handle is not None
    return handle


def rows(connector: SqliteConnector, handle: TableHandle, columns: list[str] | None = None, target: int = 1) -> list[tuple]:
    columns = [c.name for c in connector.columns(handle)] if columns is None else columns
    return [tuple(row.values()) for split in connector.splits(handle, columns, target)
            for batch in connector.read(handle, split, columns, 1000, lambda: ()) for row in batch.to_pylist()]


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_names(lite: SqliteConnector) -> None:
    assert [(t.name, t.kind) for t in lite.tables("public")] == [
        ("boats", "table"), ("dirty", "table"), ("empty", "table"), ("fish", "table"), ("heavy", "view")]


def test_types_and_values(lite: SqliteConnector) -> None:
    handle = handle_of(lite, "fish")
    types = {c.name: c.type.sql for c in lite.columns(handle)}
    assert types == {"id": "bigint", "name": "text", "weight": "numeric(8,2)", "caught": "date",
                     "at": "timestamp without time zone", "fresh": "boolean", "share": "double precision",
                     "picture": "bytea", "any_thing": "text", "Mixed Case": "bigint"}
    assert rows(lite, handle) == [
        (1, "Cod", 485, datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 10, 11, 12, 500000), True, 0.5,
         b"\x00\xff", "x", 1),
        (2, "cod", 400, None, datetime.datetime(2024, 3, 1), False, 2.0, None, "7", None),
        (3, "Å*[?]%_", None, datetime.date(2023, 1, 1), None, None, None, b"", None, 3)]


def test_values_that_break_their_declared_type(lite: SqliteConnector) -> None:
    handle = handle_of(lite, "dirty")
    columns = {c.name: c for c in lite.columns(handle)}
    assert {name: c.type for name, c in columns.items()} == {"i": TEXT, "d": TEXT, "f": TEXT, "n": FLOAT8, "b": TEXT}
    assert columns["i"].native_type == "INTEGER" and columns["n"].native_type == ""
    assert rows(lite, handle) == [("1", "2024-01-01", "1.5", 1.5, "text"), ("two", "soon", "much", 1.25, "\\x01"),
                                  (None, "5", None, None, None)]


def test_a_late_surprise_is_an_error_then_known(lite: SqliteConnector, path: Path) -> None:
    execute(path, "CREATE TABLE late (i INTEGER); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE "
                  "x < 30000) INSERT INTO late SELECT CASE x WHEN 15000 THEN 'surprise' ELSE x END FROM n")
    handle = handle_of(lite, "late")
    assert lite.columns(handle)[0].type == INT8
    before = lite.version()
    with pytest.raises(DatatypeMismatch, match='column "i" of "late"') as caught:
        rows(lite, handle)
    assert "surprise" in caught.value.detail
    assert lite.replan_after(handle, caught.value) and lite.version() != before
    assert lite.columns(handle)[0].type == TEXT
    assert ("surprise",) in rows(lite, handle)
    assert not lite.replan_after(handle, caught.value)


def test_constraints(lite: SqliteConnector) -> None:
    primary, = lite.constraints(handle_of(lite, "fish"))
    assert (primary.kind, primary.columns) == ("primary", ("id",))
    found = {c.kind: c for c in lite.constraints(handle_of(lite, "boats"))}
    assert found["unique"].columns == ("port",)
    assert (found["foreign"].references, found["foreign"].referenced_columns) == (("public", "fish"), ("id",))


@pytest.mark.parametrize(("predicate", "expected"), [
    (Predicate("name", "eq", ("cod",)), [2]),  # not NOCASE
    (Predicate("name", "gt", ("cod",)), [3]),
    (Predicate("name", "in", ("Cod", None, "x")), [1]),
    (Predicate("name", "like", ("C%",)), [1]),
    (Predicate("name", "like", ("_*[?]\\%\\_",)), [3]),
    (Predicate("name", "not_like", ("%o%",)), [3]),
    (Predicate("weight", "eq", (Decimal("4.85"),)), [1]),
    (Predicate("weight", "lt", (Decimal("4.85"),)), [2]),
    (Predicate("caught", "le", (datetime.date(2023, 12, 31),)), [3]),
    (Predicate("fresh", "eq", (False,)), [2]),
    (Predicate("share", "ge", (0.5,)), [1, 2]),
    (Predicate("Mixed Case", "is_null"), [2]),
    (Predicate("id", "ne", (2,)), [1, 3]),
    (Predicate("id", "in", ()), []),
])
def test_filters(lite: SqliteConnector, predicate: Predicate, expected: list[int]) -> None:
    result = lite.apply_filter(handle_of(lite, "fish"), (predicate,))
    assert result is not None and result.remaining == ()
    assert "WHERE" in lite.explain(result.handle, ["id"])
    assert sorted(i for i, in rows(lite, result.handle, ["id"])) == expected


@pytest.mark.parametrize("predicate", [
    Predicate("at", "gt", (datetime.datetime(2024, 1, 1),)), Predicate("any_thing", "eq", ("7",)),
    Predicate("id", "eq", (1.5,)), Predicate("name", "like", ("x\\",)), Predicate("weight", "eq", (Decimal("1e20"),)),
])
def test_filters_left_to_shoal(lite: SqliteConnector, predicate: Predicate) -> None:
    assert lite.apply_filter(handle_of(lite, "fish"), (predicate,)) is None


def test_limit(lite: SqliteConnector) -> None:
    limited = lite.apply_limit(handle_of(lite, "fish"), 2)
    assert limited is not None and limited.exact and len(rows(lite, limited.handle, ["id"])) == 2
    assert lite.apply_filter(limited.handle, (Predicate("id", "eq", (3,)),)) is None


def test_large_tables_divide_by_rowid(lite: SqliteConnector, path: Path) -> None:
    execute(path, "CREATE TABLE big (rowid TEXT, i INTEGER); WITH RECURSIVE n(x) AS (SELECT -5 UNION ALL SELECT x + 1 "
                  "FROM n WHERE x < 649994) INSERT INTO big SELECT 'r', x FROM n; ANALYZE")
    handle = lite.begin("q", handle_of(lite, "big"))
    splits = lite.splits(handle, ["i"], 3)
    assert len(splits) == 3
    assert sorted(rows(lite, handle, ["i"], 3)) == [(i,) for i in range(-5, 649995)]
    with closing(sqlite3.connect(path, timeout=0)) as writer, pytest.raises(sqlite3.OperationalError, match="locked"):
        writer.executescript("DELETE FROM big")
    lite.end("q")
    execute(path, "DELETE FROM big WHERE i > 0")
    assert len(rows(lite, handle_of(lite, "big"), ["i"])) == 6
    assert lite.statistics(handle_of(lite, "big")).rows is not None


def test_rows_come_in_one_order_whatever_the_columns(lite: SqliteConnector, path: Path) -> None:
    execute(path, "CREATE TABLE o (a TEXT, b INT); CREATE INDEX oa ON o (a); "
                  "INSERT INTO o VALUES ('z', 1), ('a', 2), ('m', 3)")
    handle = handle_of(lite, "o")
    assert rows(lite, handle, ["a"]) == [("z",), ("a",), ("m",)]
    assert rows(lite, handle, ["b", "a"]) == [(1, "z"), (2, "a"), (3, "m")]


def test_wal_tables_are_one_split(lite: SqliteConnector, path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = wal")
        handle = lite.begin("q", handle_of(lite, "fish"))
        writer.executescript("DELETE FROM boats")
        assert len(lite.splits(handle, ["id"], 9)) == 1 and len(rows(lite, handle, ["id"])) == 3
        lite.end("q")


def test_statistics(lite: SqliteConnector) -> None:
    found = lite.statistics(handle_of(lite, "fish"))
    assert found.rows == 3 and (found.columns["id"].minimum, found.columns["id"].maximum) == (1, 3)
    assert lite.statistics(handle_of(lite, "heavy")).rows is None
    assert lite.statistics(handle_of(lite, "boats")).rows == 1


def test_changes_are_noticed(lite: SqliteConnector, path: Path) -> None:
    before = lite.version()
    assert lite.table("public", "new") is None
    execute(path, "CREATE TABLE new (x INT); DROP VIEW heavy")
    assert lite.version() != before
    assert lite.table("public", "new") is not None and lite.table("public", "heavy") is None


def test_bad_files(tmp_path: Path) -> None:
    missing = SqliteConnector(CatalogDefinition("lite", f"sqlite:{tmp_path}/none.db"))
    with pytest.raises(UndefinedFile, match=r"none\.db"):
        missing.schemas()
    (tmp_path / "none.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(DataCorrupted, match=r"none\.db"):
        missing.schemas()
    for url in ("sqlite:", "sqlite://host/x", "sqlite:x?mode=rw"):
        with pytest.raises(ConfigurationError):
            SqliteConnector(CatalogDefinition("lite", url))


def test_a_view_that_fails_names_the_file(lite: SqliteConnector, path: Path) -> None:
    execute(path, "CREATE VIEW broken AS SELECT * FROM gone")
    with pytest.raises(ExternalError, match=r"a b\.db.*gone"):
        lite.columns(handle_of(lite, "broken"))


def test_numeric_precision(lite: SqliteConnector, path: Path) -> None:
    execute(path, "CREATE TABLE m (a DECIMAL(10,2), b DECIMAL(18,4), c DECIMAL(30,2)); "
                  "INSERT INTO m VALUES (-0.07, 123456789.1234, '12345678901234567890.12'), (99999999.99, 5, 1)")
    handle = handle_of(lite, "m")
    assert [c.type for c in lite.columns(handle)] == [numeric(10, 2), numeric(18, 4), numeric(30, 2)]
    assert rows(lite, handle, ["a", "b"]) == [(-7, 1234567891234), (9999999999, 50000)]
    [(rounded,), (one,)] = rows(lite, handle, ["c"])  # SQLite made doubles of them
    assert one == 1 and rounded == Decimal("12345678901234567000")


CONTRACT_ROWS: list[tuple[Any, ...]] = [
    (i, None if i % 7 == 0 else f"wörd {i % 13:02}", Decimal(i * 37 % 1000).scaleb(-2) if i % 5 else None, i * 0.25,
     datetime.date(2020, 1, 1) + datetime.timedelta(days=i % 29), i % 3 == 0) for i in range(1, 61)]


class TestSqliteContract(ConnectorContract):
    @pytest.fixture
    def connector(self, tmp_path: Path) -> Iterator[SqliteConnector]:
        with closing(sqlite3.connect(tmp_path / "k.db")) as connection, connection:
            connection.execute("CREATE TABLE known (id INTEGER PRIMARY KEY, word TEXT, amount DECIMAL(8,2), share REAL, "
                               "day DATE, flag BOOLEAN)")
            connection.executemany("INSERT INTO known VALUES (?, ?, ?, ?, ?, ?)", [
                (i, word, None if amount is None else float(amount), share, day.isoformat(), flag)
                for i, word, amount, share, day, flag in CONTRACT_ROWS])
        connector = SqliteConnector(CatalogDefinition("lite", f"sqlite:{tmp_path}/k.db"))
        yield connector
        connector.close()

    @pytest.fixture
    def known(self) -> KnownTable:
        return KnownTable("public", "known", CONTRACT_ROWS)
