"""One query over a Parquet file, a table of a real PostgreSQL and a SQLite table equals PostgreSQL's own answer."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conformance.server import Server
from tests.postgres_server import PostgresServer

QUERY = """
    SELECT c.city, r.label, count(*) AS orders, sum(o.amount) AS total, min(o.day) AS first, max(c.name) AS last_name
    FROM {orders} o JOIN {customers} c ON c.id = o.customer_id JOIN {regions} r ON r.id = c.region_id
    WHERE o.day >= DATE '2024-03-01' AND c.active AND c.credit > 100.5 AND r.label <> 'nowhere'
      AND c.city IN ('Oslo', 'Bern')
    GROUP BY c.city, r.label HAVING count(*) > 1 ORDER BY total DESC, c.city, r.label"""
CUSTOMERS, ORDERS = 500, 20_000


@pytest.fixture(scope="module")
def sources(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("federation")
    draw = random.Random(7)
    customers = [(i, f"name {i}", draw.choice(["Oslo", "Bern", "Rome", None]), draw.random() < 0.7,
                  Decimal(draw.randrange(30000)) / 100, draw.randrange(6)) for i in range(CUSTOMERS)]
    regions = [(0, "north"), (1, "south"), (2, "nowhere"), (3, "Ω east"), (4, None)]
    orders = [(draw.randrange(CUSTOMERS + 20), Decimal(draw.randrange(10**6)) / 100,
               date(2024, 1, 1) + timedelta(days=draw.randrange(180))) for _ in range(ORDERS)]
    postgres_server.run("CREATE DATABASE federation")
    with psycopg.connect(postgres_server.url("federation")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE customers (id int PRIMARY KEY, name text, city varchar(20), active bool, "
                       "credit numeric(10,2), region_id int)")
        cursor.executemany("INSERT INTO customers VALUES (%s, %s, %s, %s, %s, %s)", customers)
        cursor.execute("CREATE SCHEMA judge; CREATE TABLE judge.regions (id int, label text); "
                       "CREATE TABLE judge.orders (customer_id int, amount numeric(12,2), day date)")
        cursor.executemany("INSERT INTO judge.regions VALUES (%s, %s)", regions)
        with cursor.copy("COPY judge.orders FROM STDIN") as copy:
            for row in orders:
                copy.write_row(row)
    with sqlite3.connect(folder / "regions.db") as lite:
        lite.execute("CREATE TABLE regions (id INTEGER PRIMARY KEY, label TEXT)")
        lite.executemany("INSERT INTO regions VALUES (?, ?)", regions)
    lite.close()
    table = pa.table({"customer_id": pa.array([o[0] for o in orders], pa.int32()),
                      "amount": pa.array([o[1] for o in orders], pa.decimal128(12, 2)),
                      "day": pa.array([o[2] for o in orders], pa.date32())})
    (folder / "lake").mkdir()
    pq.write_table(table, folder / "lake" / "orders.parquet", row_group_size=3000)
    yield {"lake": str(folder / "lake"), "postgres": postgres_server.url("federation"),
           "sqlite": f"sqlite:{folder / 'regions.db'}"}
    postgres_server.run("DROP DATABASE federation WITH (FORCE)")


def test_three_sources_join_like_one(sources: dict[str, str]) -> None:
    with psycopg.connect(sources["postgres"]) as judge:
        names = {"orders": "judge.orders", "customers": "customers", "regions": "judge.regions"}
        expected = judge.execute(QUERY.format(**names).encode()).fetchall()
    assert len(expected) >= 4
    arguments = [sources["lake"], "--catalog", f"pg={sources['postgres']}", "--catalog", f"lite={sources['sqlite']}",
                 "--workers", "2"]
    query = QUERY.format(orders="files.public.orders", customers="pg.public.customers", regions="lite.regions")
    with Server(arguments) as server, server.connect("shoal") as connection:
        assert connection.execute(query.encode()).fetchall() == expected
        plan = "\n".join(row[0] for row in connection.execute(("EXPLAIN " + query).encode()))
        remote = next(line for line in plan.splitlines() if "customers" in line and "SELECT" in line)
        for part in ("active", "credit", "100.5", "Oslo"):
            assert part in remote, plan
        assert any("regions" in line and "nowhere" in line for line in plan.splitlines()), plan
