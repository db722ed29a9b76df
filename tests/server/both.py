"""The same messages to a PostgreSQL and to Shoal, and what of the answers must be equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shoal.server.protocol import messages as m
from tests.postgres_server import PostgresServer
from tests.server.conftest import Address
from tests.server.wire import WireClient

Answer = list[Any] | tuple[str, ...]
"""Rows and descriptions, or an error's SQLSTATE, message, detail, hint and position."""


def answer(messages: Sequence[m.Message]) -> Answer:
    found: list[Any] = []
    for message in messages:
        match message:
            case m.ErrorResponse(fields):
                return tuple(fields.get(code, "") for code in "CMDHP")
            case m.DataRow(values):
                found.append(values)
            case m.ParameterDescription(oids):
                found.append(("parameters", *oids))
            case m.RowDescription(columns):
                found.append(tuple((c.name, c.type_oid, c.type_size, c.type_modifier) for c in columns))
            case m.ParameterStatus(name, value):
                found.append((name, value))
    return found


def run(client: WireClient, sql: str, values: Sequence[bytes | None] = (), formats: Sequence[int] = (),
        results: Sequence[int] = (), types: Sequence[int] = ()) -> Answer:
    """What a statement of the extended protocol gives."""
    return answer(client.ask(m.Parse("", sql, tuple(types)), m.Bind("", "", tuple(formats), tuple(values), tuple(results)),
                             m.Describe("P", ""), m.Execute("", 0), m.Sync()))


@dataclass(frozen=True)
class Both:
    """A connection to each server."""

    postgres: WireClient
    shoal: WireClient

    def run(self, sql: str, *arguments: Any, **more: Any) -> tuple[Answer, Answer]:
        return run(self.postgres, sql, *arguments, **more), run(self.shoal, sql, *arguments, **more)

    def query(self, sql: str) -> tuple[Answer, Answer]:
        return answer(self.postgres.query(sql)), answer(self.shoal.query(sql))


@contextmanager
def both_servers(postgres: PostgresServer, shoal: Address, database: str = "sample",
                 own: str = "postgres") -> Iterator[Both]:
    """`database` of Shoal and `own` of PostgreSQL, by users of the same name."""
    pair = Both(WireClient(postgres.host, postgres.port, user="postgres", database=own),
                WireClient(shoal.host, shoal.port, user="postgres", database=database))
    try:
        yield pair
    finally:
        pair.postgres.close()
        pair.shoal.close()
