"""Every script of conformance/sql on Shoal with two workers; those named pg_* also on PostgreSQL, which proves them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from conformance import slt
from conformance.server import Server
from tests.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def shoal() -> Iterator[psycopg.Connection]:
    with Server(["--workers", "2"]) as server, server.connect("memory") as connection:
        yield connection


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        yield connection


def check(path: Path, connection: psycopg.Connection, engine: str) -> None:
    try:
        wrong = list(slt.differences(path, connection, engine))
    finally:
        slt.clear(connection)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("path", slt.scripts(), ids=lambda path: path.stem)
def test_on_shoal(path: Path, shoal: psycopg.Connection) -> None:
    check(path, shoal, "shoal")


@pytest.mark.parametrize("path", slt.scripts("pg_*.slt"), ids=lambda path: path.stem)
def test_on_postgres(path: Path, postgres: psycopg.Connection) -> None:
    check(path, postgres, "postgres")


def test_records_survive_rewriting() -> None:
    text = ("# a comment\nstatement ok\nCREATE TABLE t (a int)\n\nskipif postgres\nquery int4,text rowsort\nbind 1 | NULL\n"
            "SELECT $1::int, $2::text\n----\n1 | NULL\n\nstatement error 42P01\nSELECT * FROM u\n----\nposition: 15\n")
    records = slt.parse(text)
    assert "\n".join(record.text() for record in records) + "\n" == text
    assert [record.kind for record in records if record.kind != "text"] == ["statement", "query", "statement"]
    assert records[3].bind == ("1", None) and not records[3].is_for("postgres") and records[3].is_for("shoal")


@pytest.mark.parametrize("value", [None, "", "NULL", "(empty)", "a | b", "a\\n|\nb", "----", " x"])
def test_values_survive_writing(value: str | None) -> None:
    assert slt.read(slt.shown(value)) == value


def test_differences_are_seen() -> None:
    record = slt.Record(1, "query", "SELECT 1", types=("int4",), expected=("1",))
    assert slt.difference(record, slt.Answer("", ("int4",), ("1",))) == ""
    assert "types" in slt.difference(record, slt.Answer("", ("int8",), ("1",)))
    assert "got" in slt.difference(record, slt.Answer("", ("int4",), ("2",)))
    assert "22012" in slt.difference(record, slt.Answer("22012"))
    failing = slt.Record(1, "statement", "SELECT 1/0", expect_error="22012", expected=("position: 3",))
    assert slt.difference(failing, slt.Answer("22012", fields={"position": "3"})) == ""
    assert "position" in slt.difference(failing, slt.Answer("22012", fields={"position": "4"}))
    assert "success" in slt.difference(failing, slt.Answer())
