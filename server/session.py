"""Session: what one client's messages mean. Hop 2 of a query's way, and the end of hop 7.

Messages come one at a time from the client's connection (`handle`); simple queries, prepared statements and portals
(server/extended.py) become calls of the engine, or of server/utility.py for the statements the session answers
itself. What can be answered at once is; the rest runs in a task of the connection's. Errors end the message they
belong to: after one in the extended protocol everything up to Sync is skipped.

Spec: PostgreSQL documentation, 55.2 "Message Flow".
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from shoal.catalog.connector import SupportsTransactions
from shoal.catalog.errors import (
    InvalidCursorName,
    InvalidStatementName,
    ObjectNotInPrerequisiteState,
    SqlError,
    UndefinedParameter,
)
from shoal.catalog.types import OID_LIKE, SqlType
from shoal.exec.encoding.datarow import RowEncoder
from shoal.exec.engine import Engine, ResultField
from shoal.exec.evaluator import Names
from shoal.exec.notices import Notice
from shoal.exec.plan.result import ResultEncoding
from shoal.exec.session_context import SessionContext
from shoal.exec.session_names import session_names
from shoal.server import effects, extended, function_call, lexer, preparing, replies
from shoal.server.advisory import AdvisoryLocks
from shoal.server.cursors import Cursor, ExecutionRows, LocalRows, Rows, RowSource
from shoal.server.interrupts import Interrupts
from shoal.server.notifications import Notifications
from shoal.server.output import Client, Output
from shoal.server.portals import Portal, PreparedStatement
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection
from shoal.server.responses import SynchronizationLost, as_sql_error, error_response, notice_response, row_description, wants
from shoal.server.setting_values import identifiers, zone_name
from shoal.server.settings import SessionSettings
from shoal.server.splitting import LONGEST_TEXT, Part, split
from shoal.server.statements import NO_TRANSACTION_NEEDED, Utility
from shoal.server.transactions import Transaction


class IdleTimeout(SqlError, code="25P03"): ...


class Shared(Protocol):
    """What all sessions of a server share (server/listener.py)."""

    engine: Engine
    notifications: Notifications
    advisory_locks: AdvisoryLocks
    schema_version: int
    """Goes up with every statement that may change what names mean."""


_NAMED = {name for oid_like in OID_LIKE - {"oid", "xid", "cid"} for name in (oid_like, "_" + oid_like)}
_READS = ("SELECT", "EXPLAIN", "SHOW")
_READY = {status: Connection.send(m.ReadyForQuery(status)) for status in "ITE"}


class Session:
    """One client's session, from the end of authentication to its end."""

    def __init__(self, shared: Shared, client: Client, *, user: str, database: str, process_id: int,
                 secret: bytes = b"", password_checked: bool = False, defaults: dict[str, str] | None = None) -> None:
        self.shared, self.client, self.output = shared, client, Output(client)
        self.user, self.database, self.process_id = user, database, process_id
        self.token = str(process_id)
        """What the engine calls this session's transactions."""
        self.password_checked, self._secret = password_checked, secret
        self.settings = SessionSettings({"session_authorization": user, **(defaults or {})})
        self.transaction = Transaction(self.settings)
        self.interrupts = Interrupts()
        self.statements: dict[str, PreparedStatement] = {}
        self.portals: dict[str, Portal] = {}
        self.pending_notifications: list[tuple[str, str]] = []
        self.pending_listens: list[tuple[str, bool]] = []
        self.started_us, self.query, self.query_started_us = time.time_ns() // 1000, "", 0
        self.idle = True
        self.stopping = False
        self._inbox: list[tuple[int, str, str]] = []
        self._skipping = False
        self.seeds: random.Random | None = None
        """Where the seeds of random() come from after setseed."""
        self._context: tuple[int, SessionContext] | None = None
        self._key: tuple[int, Hashable] = (-1, None)
        self._handlers: dict[type, Callable[[Any], Awaitable[None] | None]] = {
            m.Query: self._query, m.Sync: self._sync, m.Flush: self._flush, m.FunctionCall: self._function_call,
            m.Undecodable: self._undecodable, **extended.handlers(self)}

    # --- messages --------------------------------------------------------------------------------------------------

    def greet(self) -> None:
        """What follows authentication."""
        self.report_settings()
        self.send(m.BackendKeyData(self.process_id, self._secret))
        self.ready()

    def handle(self, message: m.Message) -> Awaitable[None] | None:
        """Does what a message asks. What has to wait for something comes back, to be awaited before the next message."""
        if self._skipping and type(message) is not m.Sync:
            return None  # everything between an error and Sync
        handler = self._handlers.get(type(message))
        if handler is None:
            return None  # COPY data outside of a COPY
        try:
            rest = handler(message)
        except Exception as error:
            rest = self._failed(message, error)
        return None if rest is None else self._await(message, rest)

    async def _await(self, message: m.Message, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception as error:
            await self._failed(message, error)

    async def _failed(self, message: m.Message, error: Exception) -> None:
        await self.fail(error)
        if type(message) is not m.Sync:
            self._skipping = True

    def idle_timeout(self) -> tuple[float, str]:
        """Seconds after which an idle session is ended (0: never), and what is then said."""
        name = "idle_in_transaction_session_timeout" if self.transaction.block else "idle_session_timeout"
        seconds = self.settings.number(name) / 1000
        what = name.replace("_session", "").replace("_", "-", 2) if seconds else ""
        return seconds, f"terminating connection due to {what}"

    async def close(self) -> None:
        """The client has left."""
        self.shared.notifications.unlisten(None, self)
        self.shared.advisory_locks.release(self)
        for portal in list(self.portals.values()):
            await portal.close()
        self.portals.clear()
        self.shared.engine.transactions.end_session(self.token)

    async def fail(self, error: Exception, shift: int = 0) -> None:
        """Tells the client, and puts the transaction where an error leaves it. Raises: SynchronizationLost."""
        if isinstance(error, SynchronizationLost):
            if error.cause is not None:
                self.send(error_response(error.cause))
                error.cause = None
            raise error
        known = as_sql_error(error)
        self.send(error_response(known, shift=shift))
        self.transaction.fail()
        if not self.transaction.block:
            await self.end_transaction(committed=False)
        else:
            self.shared.engine.transactions.rollback_to(self.token, self.transaction.last_mark)

    def send(self, message: m.Message) -> None:
        self.output.send(message)

    def flush(self) -> None:
        self.output.flush()

    @property
    def lock_timeout_s(self) -> float:
        return self.settings.number("lock_timeout") / 1000

    def notice(self, message: str, severity: str = "NOTICE", sqlstate: str = "00000", hint: str = "") -> None:
        if wants(severity, self.settings.get("client_min_messages")):
            detail, sqlstate = (message.detail, message.sqlstate) if isinstance(message, Notice) else ("", sqlstate)
            self.send(notice_response(message, severity, sqlstate, hint, detail))

    def report_settings(self) -> None:
        """ParameterStatus for what has changed since the client was last told."""
        for name, value in self.settings.report():
            self.send(m.ParameterStatus(name, value))

    def ready(self) -> None:
        """ReadyForQuery, after whatever the client is to be told before it."""
        self.report_settings()
        if self._inbox and not self.transaction.block:
            for notification in self._inbox:
                self.send(m.NotificationResponse(*notification))
            self._inbox.clear()
        self.output.send_encoded(_READY[self.transaction.status])
        self.flush()

    def notify(self, channel: str, payload: str) -> None:
        """NOTIFY, as of the transaction's end. Raises: InvalidParameterValue (22023)."""
        effects.check_notification(channel, payload)
        self.pending_notifications.append((channel, payload))

    def deliver(self, process_id: int, channel: str, payload: str) -> None:
        """A notification for this session: at once when it is idle, else before its next ReadyForQuery."""
        if self.idle and not self.transaction.block:
            self.send(m.NotificationResponse(process_id, channel, payload))
            self.flush()
        else:
            self._inbox.append((process_id, channel, payload))

    # --- simple query ----------------------------------------------------------------------------------------------

    def note_query(self, sql: str) -> None:
        """For pg_stat_activity: what the client has asked for last."""
        self.query, self.query_started_us = sql, time.time_ns() // 1000

    def _query(self, message: m.Query) -> Awaitable[None] | None:
        self.note_query(message.sql)
        return None if self._answered_at_once(message.sql) else self._run_query(message)

    def _answered_at_once(self, sql: str) -> bool:
        """Answers a query string of one statement that reads nothing and was prepared before."""
        if self.portals or self.transaction.failed or len(sql) > LONGEST_TEXT:
            return False
        try:
            parts = self.split(sql)
        except SqlError:
            return False  # to be told where errors are
        prepared = self.shared.engine.recall(parts[0][0].text, self.key) if len(parts) == 1 else None
        if prepared is None or prepared.parameters or parts[0][0].notices:
            return False
        self.statements.pop("", None)
        formats = (0,) * len(prepared.fields)
        try:
            row = replies.immediate_row(self, prepared, formats, ())
        except Exception as error:
            self.send(error_response(as_sql_error(error)))
            self.transaction.fail()
        else:
            self.output.send_encoded(replies.description(prepared, formats))
            self.output.send_encoded(row)
        self.ready()
        return True

    def split(self, sql: str) -> tuple[Part, ...]:
        """The statements of a query string as the session's settings have it read. Raises: SqlSyntaxError (42601)."""
        return split(sql, not self.settings.flag("standard_conforming_strings"))

    async def _run_query(self, message: m.Query) -> None:
        await self.drop_portal("")
        self.statements.pop("", None)
        offset = 0
        try:
            parts = self.split(message.sql)
            if not parts:
                self.send(m.EmptyQueryResponse())
            self.tell_shortened(parts)
            if len(parts) > 1:
                preparing.check_syntax(parts)
            self.transaction.implicit_block = len(parts) > 1
            for part, utility in parts:
                offset = part.offset
                await self._run_simple(part, utility)
            offset = 0
            if self.transaction.active and not self.transaction.block:
                await self.end_transaction(committed=True)
        except Exception as error:
            await self.fail(error, offset)
        finally:
            self.transaction.implicit_block = False
        self.ready()

    def tell_shortened(self, parts: Sequence[Part]) -> None:
        """Notices of names that were too long."""
        for part, _ in parts:
            for notice in part.notices:
                self.notice(notice, sqlstate="42622")

    async def _run_simple(self, part: lexer.StatementText, utility: Utility | None) -> None:
        async with self.interrupts.statement(self.settings.number("statement_timeout") / 1000):
            statement = await preparing.prepare(self, "", part, utility, ())
            if statement.parameters:
                first = next(token for token in lexer.tokens(part.text) if token.kind == "parameter")
                raise UndefinedParameter(f"there is no parameter {first.value}", position=first.start + 1)
            portal = Portal("", statement, fields=preparing.fields_of(self, statement))
            acts = statement.prepared is not None and effects.may_have_effects(statement.prepared.sql)
            try:
                if acts and portal.fields is not None:  # described before anything is done
                    self.send(row_description(portal.fields, self.default_formats(portal)))
                try:
                    tag = await self.open(portal, whole=True)
                except SqlError as error:
                    if utility is not None:  # it reads its own part of the text only now
                        part.located(error)
                    raise
                if portal.fields is not None:
                    assert portal.cursor is not None
                    portal.formats = self.default_formats(portal)
                    if not acts:
                        self.send(row_description(portal.fields, portal.formats))
                    count = await self.send_rows(portal.cursor.forward(), portal.fields, portal.formats)
                    tag = portal.cursor.source.tag or f"{portal.cursor.source.verb} {count}"
            finally:
                await portal.close()
        if self.transaction.active and not self.transaction.block and not self.transaction.implicit_block:
            await self.end_transaction(committed=True)
        if tag:
            self.send(m.CommandComplete(tag))

    # --- messages between statements -----------------------------------------------------------------------------------

    def _sync(self, message: m.Sync) -> Awaitable[None] | None:
        self._skipping = False
        if not self.transaction.active or self.transaction.block:
            self.ready()
        elif self._ends_at_once():
            self.transaction.finish(True)
            self.portals.clear()
            self.ready()
        else:
            return self._end_and_ready()
        return None

    def _ends_at_once(self) -> bool:
        """Whether the end of the transaction has nothing to wait for and nobody to tell."""
        return not (self.transaction.acted or self.pending_listens or self.pending_notifications
                    or any(portal.cursor is not None or portal.hold for portal in self.portals.values()))

    async def _end_and_ready(self) -> None:
        try:
            await self.end_transaction(committed=True)
        finally:
            self.ready()

    def _flush(self, message: m.Flush) -> None:
        self.flush()

    async def _function_call(self, message: m.FunctionCall) -> None:
        try:
            async with self.interrupts.statement(self.settings.number("statement_timeout") / 1000):
                self.send(await function_call.run(self, message))
            if not self.transaction.block:
                await self.end_transaction(committed=True)
        except Exception as error:
            await self.fail(error)
        self.ready()

    async def _undecodable(self, message: m.Undecodable) -> None:
        if message.type != "Q":
            raise message.error
        await self.fail(message.error)
        self.ready()

    # --- statements and portals --------------------------------------------------------------------------------------

    def statement(self, name: str) -> PreparedStatement:
        statement = self.statements.get(name)
        if statement is None:
            raise InvalidStatementName(f'prepared statement "{name}" does not exist' if name else
                                       "unnamed prepared statement does not exist")
        return statement

    def portal(self, name: str) -> Portal:
        """Raises: InvalidCursorName (34000)."""
        portal = self.portals.get(name)
        if portal is None:
            raise InvalidCursorName(f'portal "{name}" does not exist')
        return portal

    async def drop_portal(self, name: str) -> None:
        portal = self.portals.pop(name, None)
        if portal is not None:
            await portal.close()

    def check_transaction(self, statement: PreparedStatement) -> None:
        if statement.utility is None and statement.prepared is None:
            return
        if not isinstance(statement.utility, NO_TRANSACTION_NEEDED):
            self.transaction.check()

    def start_transaction(self) -> None:
        """Opens the statement's own transaction unless one is open."""
        self.transaction.start(time.time_ns() // 1000)

    def default_formats(self, portal: Portal) -> tuple[int, ...]:
        """Formats of a simple query's result: text, but FETCH from a binary cursor."""
        from shoal.server import utility
        wire = utility.cursor_format(self, portal.statement.utility)
        return (wire,) * len(portal.fields or ())

    async def open(self, portal: Portal, whole: bool = False) -> str:
        """Starts the portal: afterwards it has a cursor over its rows, or has run and its tag is the result.

        `whole`: the client takes all rows at once, in the portal's formats.
        """
        self.start_transaction()
        self.transaction.acted = True
        statement = portal.statement
        if portal.answered:
            portal.cursor = await self.cursor_of(portal)
            return ""
        if statement.utility is not None:
            from shoal.server import utility
            result = await utility.run(self, statement, portal.values)
            if isinstance(result, str):
                return result
            portal.cursor = Cursor(result)
            return ""
        encoding = None
        if whole and portal.fields is not None:
            formats = portal.formats or (0,) * len(portal.fields)
            encoding = ResultEncoding(tuple(field.type for field in portal.fields), formats)
        source = await self.start_execution(statement, portal.values, encoding)
        if portal.fields is not None:
            portal.cursor = Cursor(source)
            return ""
        try:
            while await source.read() is not None:
                pass
        finally:
            await source.close()
        self._note_effects(statement)
        return source.tag

    async def cursor_of(self, portal: Portal) -> Cursor:
        """The declared portal's cursor, started if need be. Raises: InvalidCursorName (34000), no rows to have."""
        if portal.cursor is None:
            if portal.statement.prepared is None or portal.fields is None:
                raise ObjectNotInPrerequisiteState(f'portal "{portal.name}" cannot be run')
            portal.cursor = Cursor(LocalRows(portal.fields, ()) if portal.answered else
                                   await self.start_execution(portal.statement, portal.values), portal.scroll,
                                   len(portal.tables))
        return portal.cursor

    async def start_execution(self, statement: PreparedStatement, values: Sequence[Any],
                              encoding: ResultEncoding | None = None) -> RowSource:
        """The engine runs the statement; its rows are read from the result. They may come in `encoding` if it is given."""
        assert statement.prepared is not None
        self.transaction.queried = True
        if statement.prepared.immediate is not None:
            row = statement.prepared.immediate.row(self.context().task_settings(), values)
            return LocalRows(statement.prepared.fields, [(row, 1)])
        if not statement.prepared.tag.startswith(_READS):
            self.transaction.wrote = True
        context = self.context()  # as it was before: current_setting beside set_config gives the old value
        prepared = statement.prepared
        if effects.may_have_effects(prepared.sql):
            prepared = await effects.carry_out(self, prepared, values, context.task_settings())
            values = values if prepared.parameters else ()
            encoding = None  # rows are printed by the settings as they are afterwards
        if self.seeds is not None:
            context = replace(context, seed=self.seeds.getrandbits(48))
        execution = await self.shared.engine.execute(prepared, context, values, encoding=encoding)
        told = set(prepared.notices)  # when it was prepared

        def notice(message: str) -> None:
            if message not in told:
                self.notice(message)

        return ExecutionRows(execution, statement.prepared.fields if statement.prepared.returns_rows else (),
                             statement.prepared.tag, notice)

    def _note_effects(self, statement: PreparedStatement) -> None:
        assert statement.prepared is not None
        tag = statement.prepared.tag
        if not tag.startswith(_READS):
            self.transaction.wrote = True
            if not tag.startswith(("INSERT", "UPDATE", "DELETE")):
                self.transaction.defined = True
                self.shared.schema_version += 1

    async def send_rows(self, rows: AsyncIterator[Rows], fields: Sequence[ResultField], formats: Sequence[int]) -> int:
        """Sends DataRows for all of `rows`; gives how many there were."""
        encoder = RowEncoder([field.type for field in fields], formats, self.context().task_settings(),
                             self.object_names([field.type for field in fields]))
        return await self.output.send_rows(rows, encoder)

    def object_names(self, types: Sequence[SqlType]) -> Names | None:
        """What prints and reads reg* types as names, where there are any."""
        if not any(sql_type.name in _NAMED for sql_type in types):
            return None
        return session_names(self.shared.engine.catalogs, self.context().task_settings())

    # --- transactions and context ------------------------------------------------------------------------------------

    async def end_transaction(self, committed: bool) -> bool:
        """Commits or rolls back: portals end, held cursors are read to their end, notifications go out."""
        committed = committed and not self.transaction.failed
        try:
            if committed:
                for portal in self.portals.values():
                    if portal.hold and not portal.held:
                        await (await self.cursor_of(portal)).hold()
                await self.shared.engine.transactions.commit(self.token)
        except BaseException:
            self.shared.engine.transactions.rollback(self.token)
            self.transaction.finish(False)
            raise
        if not committed:
            self.shared.engine.transactions.rollback(self.token)
        self.shared.schema_version += self.transaction.defined  # from now on for everybody
        self.transaction.finish(committed)
        self.shared.advisory_locks.release(self, transaction=True)
        for name, portal in list(self.portals.items()):
            portal.held = portal.held or (portal.hold and committed)
            if not portal.held:
                await self.drop_portal(name)
        listens, self.pending_listens = self.pending_listens, []
        notifications, self.pending_notifications = self.pending_notifications, []
        if committed:
            for channel, add in listens:
                if add:
                    self.shared.notifications.listen(channel, self)
                else:
                    self.shared.notifications.unlisten(channel or None, self)
            for channel, payload in dict.fromkeys(notifications):
                self.shared.notifications.publish(self.process_id, channel, payload)
        return committed

    @property
    def key(self) -> Hashable:
        """Equal for sessions in which a statement means, and prints, the same."""
        if self._key[0] != self.settings.version:
            self._key = self.settings.version, (self.database, self.user, self.settings.changed())
        return self._key[1]

    def context(self) -> SessionContext:
        """What the engine is to know of this session for the statement at hand."""
        now_us = self.transaction.started_us if self.transaction.active else time.time_ns() // 1000
        if self._context is None or self._context[0] != self.settings.version:
            path = tuple(self.user if name == "$user" else name
                         for name in identifiers(self.settings.get("search_path")))
            self._context = self.settings.version, SessionContext(
                database=self.database, user=self.user, search_path=path, now_us=now_us,
                time_zone=zone_name(self.settings.get("TimeZone")), backend_pid=self.process_id, token=self.token,
                lock_timeout_s=self.lock_timeout_s,
                read_only=self.settings.flag("transaction_read_only"),
                settings={setting.name.lower(): value for setting, value in self.settings.items()}, key=self.key)
        elif self._context[1].now_us != now_us:
            self._context = self.settings.version, replace(self._context[1], now_us=now_us)
        cursors = {portal.name: self._known_of(portal) for portal in self.portals.values() if portal.declared}
        return replace(self._context[1], cursors=cursors) if cursors else self._context[1]

    def _known_of(self, portal: Portal) -> dict[str, Any]:
        """What WHERE CURRENT OF is to know of a cursor."""
        rows: dict[str, list[int | None]] = {}
        for table, row_id in zip(portal.tables, portal.cursor.row_ids() if portal.cursor is not None else (), strict=False):
            connector = self.shared.engine.catalogs.connector(table[0])
            assert isinstance(connector, SupportsTransactions)
            rows.setdefault(".".join(table), []).append(
                None if row_id is None else connector.latest(self.token, row_id))
        return {"held": portal.held, "locks": portal.locks, "rows": rows}
