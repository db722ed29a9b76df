"""Arrays of any shape and records, in text and in binary, are PostgreSQL's own bytes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer
from tests.server.array_statements import STATEMENTS
from tests.server.both import Both, both_servers
from tests.server.conftest import Address


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal) as pair:
        for client in (pair.postgres, pair.shoal):
            client.query("SET TimeZone = 'UTC'")
        yield pair


@pytest.mark.parametrize("sql", STATEMENTS)
def test_statements(both: Both, sql: str) -> None:
    for results in ((0,), (1,)):
        postgres, shoal = both.run(sql, results=results)
        assert shoal == postgres
