"""What the sessions of this server are doing, as rows of pg_catalog and as functions: pg_stat_activity, pg_cursors,
pg_prepared_statements, advisory locks in pg_locks, pg_listening_channels, pg_cancel_backend, pg_terminate_backend.

The system catalog asks from the coordinator's threads: rows are made from copies, and what changes a session is handed to
the event loop. Spec: PostgreSQL 15 documentation, 28.2.3 "pg_stat_activity", 54.5, 54.12, 54.16 and 9.27.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.pg_catalog.snapshot import OWNER, SUPERUSER_OID, stable_oid

if TYPE_CHECKING:
    from shoal.server.listener import ClientConnection, Server
    from shoal.server.session import Session

Asker = Mapping[str, Any]
"""What TaskSettings.session says of the session that asks."""
Row = dict[str, Any]
TERMINATED = "terminating connection due to administrator command"
_UINT4 = 0xFFFFFFFF
_STATES = {"I": "idle", "T": "idle in transaction", "E": "idle in transaction (aborted)"}


class Monitoring:
    """Answers for one server. `loop`: the one its sessions live in."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop

    def publish(self, catalog: PgCatalog) -> None:
        """Lets the system catalog show all of it."""
        catalog.feeds.update({"pg_stat_activity": self.activity, "pg_prepared_statements": self.prepared_statements,
                              "pg_cursors": self.cursors, "pg_locks": self.locks})
        catalog.users = lambda: self._server.options.users
        catalog.functions.update({"pg_listening_channels": self.channels, "pg_cancel_backend": self.cancel,
                                  "pg_terminate_backend": self.terminate, "current_query": self.query,
                                  "pg_postmaster_start_time": self.started, "pg_conf_load_time": self.started})
        for place in ("inet_server_addr", "inet_server_port", "inet_client_addr", "inet_client_port"):
            catalog.functions[place] = partial(self.address, place)

    def _connections(self) -> list[tuple[ClientConnection, Session]]:
        return [(connection, connection.session) for connection in list(self._server.sessions.values())
                if connection.session is not None]

    def _own(self, asker: Asker) -> Session | None:
        connection = self._server.sessions.get(int(asker.get("backend_pid", 0)))
        return None if connection is None else connection.session

    # --- relations ---------------------------------------------------------------------------------------------------

    def activity(self, asker: Asker) -> Iterator[Row]:
        for connection, session in self._connections():
            transaction = session.transaction
            resting = session.idle
            address, port = connection.peer
            yield {
                "datid": stable_oid("database", session.database), "datname": session.database, "pid": session.process_id,
                "usesysid": SUPERUSER_OID if session.user == OWNER else stable_oid("role", session.user),
                "usename": session.user, "application_name": session.settings.get("application_name"),
                "client_addr": address, "client_port": port,
                "backend_start": session.started_us, "xact_start": transaction.started_us if transaction.active else None,
                "query_start": session.query_started_us or None,
                "state_change": session.query_started_us or session.started_us,
                "wait_event_type": "Client" if resting else None, "wait_event": "ClientRead" if resting else None,
                "state": _STATES[transaction.status] if resting else "active", "query": session.query,
                "backend_type": "client backend"}

    def prepared_statements(self, asker: Asker) -> Iterator[Row]:
        session = self._own(asker)
        if session is None:
            return
        for name, statement in list(session.statements.items()):
            if name:
                yield {"name": name, "statement": statement.prepare_sql or statement.sql,
                       "prepare_time": statement.prepared_us, "parameter_types": [kind.oid for kind in statement.parameters],
                       "from_sql": bool(statement.prepare_sql)}

    def cursors(self, asker: Asker) -> Iterator[Row]:
        session = self._own(asker)
        if session is None:
            return
        for name, portal in list(session.portals.items()):
            yield {"name": name, "statement": portal.declare_sql or portal.statement.sql, "is_holdable": portal.hold,
                   "is_binary": portal.declared and 1 in portal.formats,
                   "is_scrollable": portal.declared and portal.scroll is not False,
                   "creation_time": portal.declared_us or session.transaction.started_us}

    def locks(self, asker: Asker) -> Iterator[Row]:
        database = stable_oid("database", str(asker.get("database", "")))
        for owner, key, shared, granted in self._server.advisory_locks.held_and_awaited():
            first, second = key if len(key) == 2 else (key[0] >> 32, key[0])
            yield {"locktype": "advisory", "database": database, "classid": first & _UINT4, "objid": second & _UINT4,
                   "objsubid": 2 if len(key) == 2 else 1, "pid": getattr(owner, "process_id", None),
                   "mode": "ShareLock" if shared else "ExclusiveLock", "granted": granted, "fastpath": False}

    # --- functions ---------------------------------------------------------------------------------------------------

    def channels(self, asker: Asker) -> list[str]:
        session = self._own(asker)
        return [] if session is None else self._server.notifications.channels(session)

    def query(self, asker: Asker) -> str | None:
        """current_query: the text that the client sent."""
        session = self._own(asker)
        return None if session is None else session.query

    def started(self, asker: Asker) -> int:
        return self._server.started_us

    def address(self, function: str, asker: Asker) -> str | int | None:
        """inet_server_addr and its kin: where the connection comes from and goes to; None for a Unix socket."""
        connection = self._server.sessions.get(int(asker.get("backend_pid", 0)))
        if connection is None:
            return None
        host, port = connection.own if "_server_" in function else connection.peer
        return host if host is None or not function.endswith("_port") else port

    def cancel(self, asker: Asker, process_id: int) -> bool:
        """pg_cancel_backend: False for a process that is not there."""
        return self._tell(process_id, lambda connection, session: session.interrupts.request())

    def terminate(self, asker: Asker, process_id: int, timeout_ms: int = 0) -> bool:
        """pg_terminate_backend: what the session runs is stopped, and the session ends."""
        def end(connection: ClientConnection, session: Session) -> None:
            session.interrupts.request(TERMINATED)
            connection.stop()
        return self._tell(process_id, end)

    def _tell(self, process_id: int, action: Callable[[ClientConnection, Session], None]) -> bool:
        connection = self._server.sessions.get(process_id)
        if connection is None or connection.session is None:
            return False
        self._loop.call_soon_threadsafe(action, connection, connection.session)
        return True
