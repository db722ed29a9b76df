"""Connections to one remote PostgreSQL: a small pool, read-only transactions, and its errors as Shoal's.

Everything runs inside REPEATABLE READ READ ONLY transactions. A pooled connection that went stale is noticed at BEGIN,
where it is safe to take a fresh one. No error text ever holds the connection string.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import (
    ConfigurationError,
    ConnectionFailure,
    ConnectionRefused,
    ExternalError,
    InsufficientPrivilege,
    QueryCanceled,
    SqlError,
)

_SETTINGS = ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET datestyle = 'ISO, YMD'; "
             "SET intervalstyle = 'postgres'; SET bytea_output = 'hex'; SET timezone = 'UTC'; "
             "SET extra_float_digits = 1; SET standard_conforming_strings = on; "
             "SET idle_in_transaction_session_timeout = 0")
_IDLE_CONNECTIONS = 2
_IDLE_S = 60.0
_CONNECT_S = 10

Connection = psycopg.Connection[Any]


class Connections:
    """Thread-safe; connections are made when needed."""

    def __init__(self, definition: CatalogDefinition) -> None:
        self.catalog = definition.name
        options: Mapping[str, str] = definition.options
        try:
            given = conninfo_to_dict(definition.url, **options)
        except psycopg.Error:  # its text may show the password
            raise ConfigurationError(f'catalog "{self.catalog}": not a PostgreSQL connection URL, or an unknown option',
                                     hint="Write postgresql://USER@HOST:PORT/DATABASE?OPTION=VALUE.") from None
        self._parameters: dict[str, Any] = {"connect_timeout": _CONNECT_S, **given, "application_name": "shoal",
                                            "client_encoding": "UTF8"}
        self.database = str(given.get("dbname", ""))
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Connection]] = []
        self._closed = False

    def _connect(self) -> Connection:
        try:
            connection = psycopg.connect(make_conninfo("", **self._parameters), autocommit=True)
        except psycopg.Error as error:
            message = " ".join(str(error).split())
            raise ConnectionRefused(f'catalog "{self.catalog}": cannot connect: {message}') from None
        try:
            connection.prepare_threshold = None
            connection.execute(_SETTINGS)
        except psycopg.Error as error:
            connection.close()
            raise self.error(error) from None
        return connection

    def _take(self) -> Connection | None:
        stale: list[Connection] = []
        with self._lock:
            now = time.monotonic()
            stale = [c for since, c in self._idle if now - since > _IDLE_S]
            self._idle = [(since, c) for since, c in self._idle if now - since <= _IDLE_S]
            found = self._idle.pop()[1] if self._idle else None
        for connection in stale:
            connection.close()
        return found

    def begin(self, snapshot: str | None = None) -> Connection:
        """A connection in a fresh read-only transaction, in the exported `snapshot` if given; give it to `release`.

        Raises: ConnectionRefused (08001), ConnectionFailure (08006), ExternalError (HV000).
        """
        statement = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        if snapshot is not None:
            statement += f"; SET TRANSACTION SNAPSHOT {sql.Literal(snapshot).as_string(None)}"
        while True:
            pooled = self._take()
            connection = pooled or self._connect()
            try:
                connection.execute(statement)  # both in one round trip
                return connection
            except psycopg.Error as error:
                connection.close()
                if pooled is None or not isinstance(error, psycopg.OperationalError):
                    raise self.error(error) from None

    def release(self, connection: Connection) -> None:
        """Ends the transaction and keeps the connection for later, or closes it."""
        try:
            if not connection.closed:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
        with self._lock:
            if not connection.closed and not self._closed and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A short read-only transaction; psycopg's errors leave it as SqlErrors."""
        connection = self.begin()
        try:
            yield connection
        except psycopg.Error as error:
            raise self.error(error) from None
        finally:
            self.release(connection)

    def error(self, error: psycopg.Error) -> SqlError:
        """The remote error as one of Shoal's, naming the catalog."""
        message = error.diag.message_primary or " ".join(str(error).split())
        code = error.sqlstate or ""
        if isinstance(error, psycopg.errors.QueryCanceled):
            return QueryCanceled(f'catalog "{self.catalog}": {message}')
        lost = isinstance(error, psycopg.OperationalError) and not code
        if lost or code.startswith("08") or code in ("57P01", "57P02", "57P03", "57P05"):
            return ConnectionFailure(f'catalog "{self.catalog}": the connection was lost: {message}')
        detail = f"SQLSTATE of the source: {code}" + (f"; {error.diag.message_detail}" if error.diag.message_detail else "")
        kind = InsufficientPrivilege if code == "42501" else ExternalError
        return kind(f'catalog "{self.catalog}": {message}', detail=detail, hint=error.diag.message_hint or "")

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for _, connection in idle:
            connection.close()
