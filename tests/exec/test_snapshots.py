"""One statement sees one state of a PostgreSQL source, however many workers and splits read it, and whoever changes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.exec.cluster import Cluster
from tests.exec.test_engine import eventually
from tests.postgres_server import PostgresServer

ACCOUNTS = 6000
TOTAL = ACCOUNTS * 100
SUM = "select sum(balance), count(*) from accounts"


@pytest.fixture
def cluster(postgres_server: PostgresServer, postgres_database: str) -> Iterator[Cluster]:
    """About 10 MB, which is read in several splits."""
    postgres_server.run(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, filler text) WITH (fillfactor = 80);"
        "ALTER TABLE accounts ALTER filler SET STORAGE PLAIN;"
        f"INSERT INTO accounts SELECT n, 100, repeat('x', 1500) FROM generate_series(1, {ACCOUNTS}) n; ANALYZE accounts;"
        "CREATE TABLE small AS SELECT 1 AS n", postgres_database)
    with Cluster([("pg", postgres_server.url(postgres_database))], workers=2, database="pg") as running:
        yield running


def test_a_sum_over_splits_is_right_while_amounts_move(cluster: Cluster, postgres_server: PostgresServer,
                                                       postgres_database: str) -> None:
    stop = threading.Event()
    moved = 0

    def move() -> None:
        nonlocal moved
        with psycopg.connect(postgres_server.url(postgres_database)) as connection:
            while not stop.is_set():
                one = moved % 49
                connection.execute(f"UPDATE accounts SET balance = balance + CASE WHEN id % 100 = {one} THEN 7 ELSE -7 END "
                                   f"WHERE id % 100 IN ({one}, {99 - one})")
                connection.commit()
                moved += 1

    mover = threading.Thread(target=move)
    mover.start()
    try:
        eventually(lambda: moved > 2)
        deadline = time.monotonic() + 1.5
        sums = []
        while time.monotonic() < deadline:
            sums.append(cluster.rows(SUM)[0])
            both = "select sum(a.balance - b.balance), count(*) from accounts a join accounts b on a.id = b.id"
            assert cluster.rows(both) == [(0, ACCOUNTS)]
    finally:
        stop.set()
        mover.join()
    assert moved > 5 and len(sums) > 2 and set(sums) == {(TOTAL, ACCOUNTS)}
    cluster.rows(SUM)
    newest = max(cluster.engine.history.tasks(), key=lambda task: task["started"])["query_id"]
    splits = {task["node_id"]: task["splits"] for task in cluster.engine.history.tasks()
              if task["query_id"] == newest and task["splits"]}
    assert len(splits) == 2 and sum(splits.values()) > 1


def test_statements_that_hang_in_a_source_hold_up_no_others(cluster: Cluster, postgres_server: PostgresServer,
                                                           postgres_database: str) -> None:
    """More of them than planning threads: a locked table makes even the question for its size wait."""
    done: list[object] = []

    def ask() -> None:
        done.append(cluster.rows(SUM))

    with psycopg.connect(postgres_server.url(postgres_database)) as connection:
        connection.execute("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
        waiting = [threading.Thread(target=ask) for _ in range(12)]
        for thread in waiting:
            thread.start()
        time.sleep(0.5)
        started = time.monotonic()
        assert cluster.rows("select count(*) from small") == [(1,)]
        assert cluster.rows("select 1") == [(1,)]
        assert time.monotonic() - started < 3 and not done
    for thread in waiting:
        thread.join(20)
    assert done == [[(TOTAL, ACCOUNTS)]] * 12
