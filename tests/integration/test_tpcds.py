"""The TPC-DS queries that have published answers, at scale 1 through the wire."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from conformance.corpora import CORPORA, TPCDS, difference
from conformance.server import Server

SCALE = "1"
QUERIES = [name for name in TPCDS.queries if (CORPORA / "tpcds" / f"answers-sf{SCALE}" / f"{name}.csv").exists()]
pytestmark = pytest.mark.skipif(not QUERIES, reason=f"no TPC-DS answers in {CORPORA}")


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection]:
    with Server([str(TPCDS.data(SCALE)), "--workers", "2"]) as server, server.connect() as connected:
        yield connected


@pytest.mark.parametrize("name", QUERIES)
def test_published_answer(connection: psycopg.Connection, name: str) -> None:
    expected = TPCDS.answer(name, SCALE)
    assert expected is not None
    assert difference(connection.execute(TPCDS.query(name).encode()).fetchall(), expected) == ""
