"""What sessions are doing, as each other sees it: the same answers as a real PostgreSQL's."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

from tests.postgres_server import PostgresServer
from tests.server.conftest import Address

LONG = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b"


@pytest.fixture(params=["shoal", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.url()
    address: Address = request.getfixturevalue("shoal")
    return f"postgresql://postgres@{address.host}:{address.port}/sample"


def connect(url: str, **options: Any) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, **options)


def test_activity(url: str) -> None:
    ask = ("SELECT state, query, datname = current_database(), usename = current_user, application_name, wait_event, "
           "backend_start <= query_start, xact_start IS NULL, client_addr = '127.0.0.1', backend_type FROM pg_stat_activity "
           "WHERE pid = %s")
    with connect(url) as watcher, connect(url, application_name="watched") as watched:
        rest = (True, True, "watched", "ClientRead", True)
        for sql, state, no_transaction in (("SELECT 1 AS a", "idle", True), ("BEGIN", "idle in transaction", False),
                                           ("SELECT 2", "idle in transaction", False)):
            watched.execute(sql)
            for _ in range(100):  # PostgreSQL notes that it waits a moment after it has answered
                row = watcher.execute(ask, (watched.info.backend_pid,)).fetchone()
                if row is not None and row[5] is not None:
                    break
            assert row == (state, sql, *rest, no_transaction, True, "client backend")
        with pytest.raises(psycopg.Error):
            watched.execute("SELECT nothing")
        row = watcher.execute(ask, (watched.info.backend_pid,)).fetchone()
        assert row is not None and row[0] == "idle in transaction (aborted)"
        own = watcher.execute("SELECT state, wait_event FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchall()
        assert own == [("active", None)]


def test_statements_and_cursors(url: str) -> None:
    with connect(url) as db:
        db.execute("PREPARE mine (int) AS SELECT $1 + 1")
        db.execute("SELECT %s::int8", (1,), prepare=True)
        assert db.execute("SELECT statement, parameter_types::text, from_sql FROM pg_prepared_statements "
                          "WHERE prepare_time <= now() ORDER BY name DESC").fetchall() == [
            ("PREPARE mine (int) AS SELECT $1 + 1", "{integer}", True), ("SELECT $1::int8", "{smallint}", False)]
        db.execute("DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT 1")
        assert db.execute("SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors "
                          "WHERE name <> ''").fetchall() == [
            ("held", "DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT 1", True, False, True)]


def test_channels_and_advisory_locks(url: str) -> None:
    with connect(url) as db, connect(url) as other:
        assert db.execute("SELECT pg_listening_channels()").fetchall() == []
        db.execute("LISTEN b")
        db.execute("LISTEN a")
        assert sorted(db.execute("SELECT * FROM pg_listening_channels()").fetchall()) == [("a",), ("b",)]
        assert other.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        db.execute("SELECT pg_advisory_lock(-5), pg_advisory_lock_shared(6, 7)")
        db.execute("SELECT pg_advisory_lock(-5)")
        assert other.execute("SELECT classid, objid, objsubid, mode, granted, pid = %s FROM pg_locks "
                             "WHERE locktype = 'advisory' ORDER BY objid", (db.info.backend_pid,)).fetchall() == [
            (6, 7, 2, "ShareLock", True, True), (4294967295, 4294967291, 1, "ExclusiveLock", True, True)]


def test_cancel_and_terminate(url: str) -> None:
    with connect(url) as db, connect(url) as victim:
        caught: list[psycopg.Error] = []

        def run() -> None:
            try:
                victim.execute(LONG)
            except psycopg.Error as error:
                caught.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 10
        cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query = %s"
        while not db.execute(cancel, (LONG,)).fetchall():
            assert time.monotonic() < deadline
        thread.join(10)
        assert [error.sqlstate for error in caught] == ["57014"]
        assert db.execute("SELECT pg_terminate_backend(%s)", (victim.info.backend_pid,)).fetchone() == (True,)
        with pytest.raises(psycopg.errors.AdminShutdown):
            victim.execute("SELECT 1")
        assert db.execute("SELECT pg_cancel_backend(1)").fetchone() == (False,)
