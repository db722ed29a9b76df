"""All 22 TPC-H queries equal the published answers at scale 0.01, through the wire, whatever the number of workers
and the size of batches."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from conformance.corpora import CORPORA, TPCH, difference
from conformance.server import Server

SCALE = "0.01"
pytestmark = pytest.mark.skipif(not CORPORA.exists(), reason="the corpora are not there (SHOAL_CORPORA)")


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda workers: f"{workers}-workers")
def connection(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    with Server([str(TPCH.data(SCALE)), "--workers", str(request.param)]) as server, server.connect() as connected:
        yield connected


@pytest.fixture(scope="module")
def tiny_batches() -> Iterator[psycopg.Connection]:
    with Server([str(TPCH.data(SCALE)), "--workers", "2"]) as server, server.connect() as connected:
        connected.execute("SET shoal.batch_rows = 7")
        yield connected


def check(connection: psycopg.Connection, name: str) -> None:
    expected = TPCH.answer(name, SCALE)
    assert expected is not None
    rows = connection.execute(TPCH.query(name).encode()).fetchall()
    assert difference(rows, expected) == ""


@pytest.mark.parametrize("name", TPCH.queries)
def test_answers(connection: psycopg.Connection, name: str) -> None:
    check(connection, name)


@pytest.mark.parametrize("name", TPCH.queries)
def test_answers_in_batches_of_seven_rows(tiny_batches: psycopg.Connection, name: str) -> None:
    check(tiny_batches, name)
