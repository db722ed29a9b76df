"""A sample of the mistakes that conformance/mistakes.py makes, on PostgreSQL and on Shoal."""

from __future__ import annotations

import random

import psycopg

from conformance.mistakes import LEAST_ALIKE, mistaken, run
from conformance.server import Server
from conformance.slt import scripts
from tests.postgres_server import PostgresServer

SAMPLE = ("pg_joins", "pg_logic", "pg_subqueries", "pg_with_and_sets")


def test_mistakes_are_reported_alike(postgres_server: PostgresServer) -> None:
    paths = [path for path in scripts("pg_*.slt") if path.stem in SAMPLE]
    with (psycopg.connect(postgres_server.url(), autocommit=True) as postgres, Server(["--workers", "1"]) as server,
          server.connect("memory") as shoal):
        total = run(paths, postgres, shoal, 1, 1)
    assert total.alike > 150
    assert total.share >= LEAST_ALIKE, "\n".join(total.different)


def test_mistakes_change_a_statement() -> None:
    sql = "SELECT a, 'x' FROM t WHERE b = 1"
    made = {mistaken(sql, random.Random(seed)) for seed in range(50)}
    assert len(made) > 30
    assert mistaken(sql, random.Random(7)) == mistaken(sql, random.Random(7))
