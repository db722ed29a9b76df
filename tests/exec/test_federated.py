"""Statements that wait for a real PostgreSQL: what happens there when they are stopped here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from shoal.catalog.errors import QueryCanceled, SqlError
from tests.exec.cluster import Cluster
from tests.exec.test_engine import eventually, tasks_running
from tests.postgres_server import PostgresServer


@pytest.fixture
def cluster(postgres_server: PostgresServer, postgres_database: str) -> Iterator[Cluster]:
    postgres_server.run("CREATE TABLE numbers AS SELECT n FROM generate_series(1, 100000) AS n;"
                        "CREATE VIEW slow AS SELECT n, pg_sleep(60)::text AS slept FROM numbers", postgres_database)
    with Cluster([("pg", postgres_server.url(postgres_database))], workers=2, database="pg") as running:
        yield running


def reading(server: PostgresServer) -> int:
    return server.query("SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() "
                        "AND query LIKE '%slow%'")[0][0]


def test_cancel_reaches_the_remote_statement_within_a_second(cluster: Cluster, postgres_server: PostgresServer) -> None:
    execution = cluster.start("select count(*), max(slept) from slow")
    failed: list[SqlError] = []

    def read() -> None:
        try:
            cluster.read(execution)
        except SqlError as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    eventually(lambda: reading(postgres_server) > 0)
    started = time.monotonic()
    cluster.call(execution.cancel())
    reader.join(5)
    eventually(lambda: tasks_running(cluster) == 0 and reading(postgres_server) == 0)
    assert time.monotonic() - started < 1
    assert isinstance(failed[0], QueryCanceled)
    assert cluster.rows("select count(*) from numbers") == [(100_000,)]


def test_a_limit_stops_reading_early(cluster: Cluster, postgres_server: PostgresServer) -> None:
    assert len(cluster.rows("select a.n from numbers a join numbers b on a.n = b.n limit 5")) == 5
    eventually(lambda: tasks_running(cluster) == 0)
    eventually(lambda: postgres_server.query("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                                             "AND pid <> pg_backend_pid() AND backend_type = 'client backend'") == [(0,)])
