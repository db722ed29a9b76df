"""The types that parameters get, and a result's columns: as PostgreSQL describes the same statements, errors included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.both import Both, answer, both_servers
from tests.server.conftest import Address
from tests.server.inference_statements import DIFFERENT, STATEMENTS, TABLES


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal, database="memory") as pair:
        for client in (pair.postgres, pair.shoal):
            client.query("DROP TABLE IF EXISTS inferred")
            assert not isinstance(answer(client.query(TABLES)), tuple)
        yield pair
        for client in (pair.postgres, pair.shoal):
            client.query("DROP TABLE inferred")


def test_descriptions(both: Both) -> None:
    wrong = []
    for statement in STATEMENTS:
        sql, *types = (statement,) if isinstance(statement, str) else statement
        postgres, shoal = (answer(client.ask(m.Parse("", str(sql), tuple(map(int, types))), m.Describe("S", ""), m.Sync()))
                           for client in (both.postgres, both.shoal))
        if (postgres == shoal) == (statement in DIFFERENT):
            wrong.append((statement, postgres, shoal))
    assert wrong == []
