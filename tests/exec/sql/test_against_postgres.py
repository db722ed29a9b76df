"""Statements that PostgreSQL and the binder must understand alike: result names and types, parameter types, or the error.

same_as_postgres.sql holds one statement a line. Each is prepared on a real PostgreSQL and bound here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import DiagnosticField, ExecStatus

from shoal.catalog.errors import SqlError
from shoal.catalog.types import NAMES_BY_OID
from tests.exec.sql.tables import PLAIN, TPCH, bound
from tests.postgres_server import PostgresServer

STATEMENTS = (Path(__file__).parent / "same_as_postgres.sql").read_text().splitlines()


@pytest.fixture(scope="module")
def connection(postgres_server: PostgresServer) -> Iterator[psycopg.pq.PGconn]:
    postgres_server.run("CREATE DATABASE binder_test")
    with psycopg.connect(postgres_server.url("binder_test"), autocommit=True) as connected:
        for name, columns in {**PLAIN, **TPCH}.items():
            connected.pgconn.exec_(f"CREATE TABLE {name} ({columns.replace(';', ',')})".encode())
        connected.pgconn.exec_(b"ALTER TABLE keyed ADD PRIMARY KEY (id)")
        yield connected.pgconn
    postgres_server.run("DROP DATABASE binder_test WITH (FORCE)")


def _postgres(connection: psycopg.pq.PGconn, sql: str) -> tuple:
    prepared = connection.prepare(b"", sql.encode())
    if prepared.status != ExecStatus.COMMAND_OK:
        state, message, position = ((prepared.error_field(field) or b"").decode() for field in (
            DiagnosticField.SQLSTATE, DiagnosticField.MESSAGE_PRIMARY, DiagnosticField.STATEMENT_POSITION))
        return "error", state, message, int(position or 0)
    described = connection.describe_prepared(b"")
    columns = [(described.fname(i).decode(), NAMES_BY_OID.get(described.ftype(i))) for i in range(described.nfields)]
    return "ok", columns, [NAMES_BY_OID.get(described.param_type(i)) for i in range(described.nparams)]


def _shoal(sql: str) -> tuple:
    try:
        found = bound(sql)
    except SqlError as error:
        return "error", error.sqlstate, error.message, error.position
    return "ok", [(f.name, f.type.name) for f in found.fields], [t.name for t in found.parameters]


def test_same_as_postgres(connection: psycopg.pq.PGconn) -> None:
    different = []
    for sql in STATEMENTS:
        theirs, ours = _postgres(connection, sql), _shoal(sql)
        if theirs != ours:
            different.append(f"{sql}\n  PostgreSQL {theirs}\n  Shoal      {ours}")
    assert not different, "\n".join(different)
