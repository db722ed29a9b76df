"""Session: what one client's messages mean. Hop 2 of a query's way, and the end of hop 7.

Messages come one at a time from the client's connection; simple queries, prepared statements and portals become calls
of the engine, or of server/utility.py for the statements the session answers itself. Errors end the message they
belong to: after one in the extended protocol everything up to Sync is skipped.

Spec: PostgreSQL documentation, 55.2 "Message Flow".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

from shoal.catalog.errors import (
    AdminShutdown,
    DuplicateCursor,
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidCursorName,
    InvalidStatementName,
    ObjectNotInPrerequisiteState,
    ProtocolViolation,
    SqlError,
    SqlSyntaxError,
    UndefinedObject,
    UndefinedParameter,
)
from shoal.catalog.types import NAMES_BY_OID, NUMERIC, OID_LIKE, SqlType
from shoal.exec.engine import Engine, ResultField
from shoal.exec.evaluator import Names
from shoal.exec.session_context import SessionContext
from shoal.exec.session_names import session_names
from shoal.server import effects, grammar, lexer, parameters, settings
from shoal.server.cursors import Cursor, ExecutionRows, Rows
from shoal.server.datarow import RowEncoder
from shoal.server.interrupts import Interrupts
from shoal.server.notifications import Notifications
from shoal.server.output import Client, Output
from shoal.server.portals import Portal, PreparedStatement
from shoal.server.protocol import messages as m
from shoal.server.responses import as_sql_error, error_response, notice_response, row_description, wants
from shoal.server.settings import SessionSettings
from shoal.server.statements import Commit, DeclareCursor, Rollback, RollbackTo, Utility
from shoal.server.transactions import Transaction


class IdleTimeout(SqlError, code="25P03"): ...


class Shared(Protocol):
    """What all sessions of a server share (server/listener.py)."""

    engine: Engine
    notifications: Notifications
    schema_version: int
    """Goes up with every statement that may change what names mean."""


_NO_TRANSACTION_NEEDED = (Commit, Rollback, RollbackTo)
_NAMED = {name for oid_like in OID_LIKE - {"oid", "xid", "cid"} for name in (oid_like, "_" + oid_like)}
_READS = ("SELECT", "EXPLAIN", "SHOW")


_CACHED_CHARACTERS = 16_384
"""Longer query strings are cut anew each time rather than remembered."""


def _split(sql: str) -> tuple[tuple[lexer.StatementText, Utility | None], ...]:
    """The statements of a query string, those of the session's own already parsed."""
    return _split_cached(sql) if len(sql) <= _CACHED_CHARACTERS else _split_now(sql)


def _split_now(sql: str) -> tuple[tuple[lexer.StatementText, Utility | None], ...]:
    found = []
    for statement in lexer.split(sql):
        try:
            found.append((statement, grammar.parse(statement.text)))
        except SqlError as error:
            error.position += statement.offset if error.position else 0
            raise
    return tuple(found)


_split_cached = lru_cache(maxsize=512)(_split_now)


class Session:
    """One client's session, from the end of authentication to its end. `run` serves it."""

    def __init__(self, shared: Shared, client: Client, *, user: str, database: str, process_id: int,
                 secret: bytes = b"", password_checked: bool = False, defaults: dict[str, str] | None = None) -> None:
        self.shared, self.client, self.output = shared, client, Output(client)
        self.user, self.database, self.process_id = user, database, process_id
        self.password_checked, self._secret = password_checked, secret
        self.settings = SessionSettings({"session_authorization": user, **(defaults or {})})
        self.transaction = Transaction(self.settings)
        self.interrupts = Interrupts()
        self.statements: dict[str, PreparedStatement] = {}
        self.portals: dict[str, Portal] = {}
        self.pending_notifications: list[tuple[str, str]] = []
        self.pending_listens: list[tuple[str, bool]] = []
        self.idle = True
        self.stopping = False
        self._inbox: list[tuple[int, str, str]] = []
        self._skipping = False
        self._context: tuple[object, SessionContext] | None = None
        self._handlers: dict[type, Callable[[Any], Awaitable[None]]] = {
            m.Query: self._query, m.Parse: self._parse, m.Bind: self._bind, m.Describe: self._describe,
            m.Execute: self._execute, m.Close: self._close_message, m.Sync: self._sync, m.Flush: self._flush_message,
            m.FunctionCall: self._function_call, m.Undecodable: self._undecodable,
        }

    # --- serving ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serves messages until the client leaves. Raises: ProtocolViolation from the connection."""
        try:
            self.report_settings()
            self.send(m.BackendKeyData(self.process_id, self._secret))
            self._ready()
            while True:
                self.flush()
                if self.stopping:
                    raise AdminShutdown("terminating connection due to administrator command")
                self.idle = True
                message = await self._next_message()
                self.idle = False
                if message is None or isinstance(message, m.Terminate):
                    if self.stopping and message is None:
                        continue
                    return
                await self._handle(message)
        finally:
            self.idle = False
            self.shared.notifications.unlisten(None, self)
            for portal in list(self.portals.values()):
                await portal.close()
            self.portals.clear()

    async def _next_message(self) -> m.Message | None:
        name = "idle_in_transaction_session_timeout" if self.transaction.block else "idle_session_timeout"
        timeout = self.settings.number(name) / 1000
        if not timeout:
            return await self.client.read()
        try:
            async with asyncio.timeout(timeout):
                return await self.client.read()
        except TimeoutError:
            raise IdleTimeout(f"terminating connection due to {name.replace('_session', '').replace('_', '-', 2)}") from None

    async def _handle(self, message: m.Message) -> None:
        handler = self._handlers.get(type(message))
        if handler is None or (self._skipping and not isinstance(message, m.Sync)):
            return  # COPY data outside of a COPY is ignored, and so is everything between an error and Sync
        try:
            await handler(message)
        except Exception as error:
            await self.fail(error)
            if not isinstance(message, m.Sync):
                self._skipping = True

    async def fail(self, error: Exception, shift: int = 0) -> None:
        """Tells the client, and puts the transaction where an error leaves it."""
        known = as_sql_error(error)
        self.send(error_response(known, shift=shift))
        self.transaction.fail()
        if not self.transaction.block:
            await self.end_transaction(committed=False)

    def send(self, message: m.Message) -> None:
        self.output.send(message)

    def flush(self) -> None:
        self.output.flush()

    def notice(self, message: str, severity: str = "NOTICE", sqlstate: str = "00000", hint: str = "") -> None:
        if wants(severity, self.settings.get("client_min_messages")):
            self.send(notice_response(message, severity, sqlstate, hint))

    def report_settings(self) -> None:
        """ParameterStatus for what has changed since the client was last told."""
        for name, value in self.settings.report():
            self.send(m.ParameterStatus(name, value))

    def _ready(self) -> None:
        self.report_settings()
        if self._inbox and not self.transaction.block:
            for notification in self._inbox:
                self.send(m.NotificationResponse(*notification))
            self._inbox.clear()
        self.send(m.ReadyForQuery(self.transaction.status))
        self.flush()

    def deliver(self, process_id: int, channel: str, payload: str) -> None:
        """A notification for this session: at once when it is idle, else before its next ReadyForQuery."""
        if self.idle and not self.transaction.block:
            self.send(m.NotificationResponse(process_id, channel, payload))
            self.flush()
        else:
            self._inbox.append((process_id, channel, payload))

    # --- simple query ----------------------------------------------------------------------------------------------

    async def _query(self, message: m.Query) -> None:
        await self.drop_portal("")
        self.statements.pop("", None)
        offset = 0
        try:
            parts = _split(message.sql)
            if not parts:
                self.send(m.EmptyQueryResponse())
            if len(parts) > 1:
                self._check_syntax(parts)
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
        self._ready()

    @staticmethod
    def _check_syntax(parts: Sequence[tuple[lexer.StatementText, Utility | None]]) -> None:
        """A mistake anywhere in the string keeps all of it from running, as in PostgreSQL."""
        from shoal.exec.sql.parse import parse
        for part, utility in parts:
            if utility is None:
                try:
                    parse(part.text)
                except SqlError as error:
                    error.position += part.offset if error.position else 0
                    raise

    async def _run_simple(self, part: lexer.StatementText, utility: Utility | None) -> None:
        async with self.interrupts.statement(self.settings.number("statement_timeout") / 1000):
            statement = await self.prepare("", part, utility, ())
            if statement.parameters:
                raise UndefinedParameter("there is no parameter $1")
            portal = Portal("", statement, fields=self.fields_of(statement))
            try:
                tag = await self.open(portal)
                if portal.fields is not None:
                    assert portal.cursor is not None
                    portal.formats = self.default_formats(portal)
                    self.send(row_description(portal.fields, portal.formats))
                    count = await self.send_rows(portal.cursor.forward(), portal.fields, portal.formats)
                    tag = portal.cursor.source.tag or f"SELECT {count}"
            finally:
                await portal.close()
            if tag:
                self.send(m.CommandComplete(tag))
        if self.transaction.active and not self.transaction.block and not self.transaction.implicit_block:
            await self.end_transaction(committed=True)

    # --- extended query --------------------------------------------------------------------------------------------

    async def _parse(self, message: m.Parse) -> None:
        if message.statement and message.statement in self.statements:
            raise DuplicatePreparedStatement(f'prepared statement "{message.statement}" already exists')
        parts = _split(message.sql)
        if len(parts) > 1:
            raise SqlSyntaxError("cannot insert multiple commands into a prepared statement")
        declared = tuple(self._parameter_type(oid) for oid in message.parameter_oids)
        part, utility = parts[0] if parts else (lexer.StatementText("", 0), None)
        async with self.interrupts.statement(self.settings.number("statement_timeout") / 1000):
            try:
                statement = await self.prepare(message.statement, part, utility, declared)
            except SqlError as error:
                error.position += part.offset if error.position else 0
                raise
        self.statements[message.statement] = statement
        self.send(m.ParseComplete())

    @staticmethod
    def _parameter_type(oid: int) -> SqlType | None:
        if oid in (0, 705):
            return None
        name = NAMES_BY_OID.get(oid)
        if name is None:
            raise UndefinedObject(f"type with OID {oid} does not exist")
        return NUMERIC if name == "numeric" else SqlType(name)

    async def _bind(self, message: m.Bind) -> None:
        statement = self._statement(message.statement)
        if len(message.values) != len(statement.parameters):
            raise ProtocolViolation(f"bind message supplies {len(message.values)} parameters, but prepared statement "
                                    f'"{message.statement}" requires {len(statement.parameters)}')
        self._check_transaction(statement)
        if message.portal and message.portal in self.portals:
            raise DuplicateCursor(f'cursor "{message.portal}" already exists')
        self.start_transaction()
        statement = await self.refresh(statement)
        arguments = (message.values, message.parameter_formats, statement.parameters, self.context().task_settings())
        if (names := self.object_names(statement.parameters)) is None:
            values = parameters.decode(*arguments)
        else:
            values = await asyncio.to_thread(parameters.decode, *arguments, names)
        fields = self.fields_of(statement)
        formats = self._formats(message.result_formats, 0 if fields is None else len(fields))
        await self.drop_portal(message.portal)
        self.portals[message.portal] = Portal(message.portal, statement, values, formats, fields)
        self.send(m.BindComplete())

    @staticmethod
    def _formats(given: tuple[int, ...], columns: int) -> tuple[int, ...]:
        if len(given) > 1 and len(given) != columns:
            raise ProtocolViolation(f"bind message has {len(given)} result formats but query has {columns} columns")
        if any(code not in (0, 1) for code in given):
            raise ProtocolViolation(f"unsupported format code: {next(code for code in given if code not in (0, 1))}")
        return given if len(given) == columns and len(given) > 1 else (given or (0,))[:1] * columns

    async def _describe(self, message: m.Describe) -> None:
        if message.kind == "S":
            statement = self._statement(message.name)
            self._check_transaction(statement)
            statement = await self.refresh(statement)
            self.send(m.ParameterDescription(tuple(item.oid for item in statement.parameters)))
            fields = self.fields_of(statement)
            formats: tuple[int, ...] = (0,) * len(fields or ())
        elif message.kind == "P":
            portal = self.portal(message.name)
            self._check_transaction(portal.statement)
            fields, formats = portal.fields, portal.formats or (0,) * len(portal.fields or ())
        else:
            raise ProtocolViolation(f"invalid DESCRIBE message subtype {ord(message.kind)}")
        self.send(m.NoData() if fields is None else row_description(fields, formats))

    async def _execute(self, message: m.Execute) -> None:
        portal = self.portal(message.portal)
        statement = portal.statement
        self._check_transaction(statement)
        if statement.prepared is None and statement.utility is None:
            self.send(m.EmptyQueryResponse())
            return
        if portal.finished:
            raise ObjectNotInPrerequisiteState(f'portal "{portal.name}" cannot be run')
        async with self.interrupts.statement(self.settings.number("statement_timeout") / 1000):
            if portal.cursor is None:
                tag = await self.open(portal)
                if portal.fields is None:
                    portal.finished = True
                    if tag:
                        self.send(m.CommandComplete(tag))
                    return
            assert portal.cursor is not None and portal.fields is not None
            limit = message.max_rows if message.max_rows > 0 else None
            count = await self.send_rows(portal.cursor.forward(limit), portal.fields, portal.formats)
            if limit is not None and count == limit:
                self.send(m.PortalSuspended())
            else:
                self.send(m.CommandComplete(portal.cursor.source.tag or f"SELECT {count}"))

    async def _close_message(self, message: m.Close) -> None:
        if message.kind == "S":
            self.statements.pop(message.name, None)
        elif message.kind == "P":
            await self.drop_portal(message.name)
        else:
            raise ProtocolViolation(f"invalid CLOSE message subtype {ord(message.kind)}")
        self.send(m.CloseComplete())

    async def _sync(self, message: m.Sync) -> None:
        self._skipping = False
        try:
            if self.transaction.active and not self.transaction.block:
                await self.end_transaction(committed=True)
        finally:
            self._ready()

    async def _flush_message(self, message: m.Flush) -> None:
        self.flush()

    async def _function_call(self, message: m.FunctionCall) -> None:
        await self.fail(FeatureNotSupported("the function call message is not supported", hint="Use SELECT."))
        self._ready()

    async def _undecodable(self, message: m.Undecodable) -> None:
        if message.type != "Q":
            raise message.error
        await self.fail(message.error)
        self._ready()

    # --- statements and portals --------------------------------------------------------------------------------------

    def _statement(self, name: str) -> PreparedStatement:
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

    def _check_transaction(self, statement: PreparedStatement) -> None:
        if statement.utility is None and statement.prepared is None:
            return
        if not isinstance(statement.utility, _NO_TRANSACTION_NEEDED):
            self.transaction.check()

    def start_transaction(self) -> None:
        """Opens the statement's own transaction unless one is open."""
        self.transaction.start(time.time_ns() // 1000)

    async def prepare(self, name: str, part: lexer.StatementText, utility: Utility | None,
                      declared: Sequence[SqlType | None]) -> PreparedStatement:
        """Parses and binds one statement. Raises: what the engine raises; InFailedTransaction (25P02)."""
        if not isinstance(utility, _NO_TRANSACTION_NEEDED) and (utility is not None or part.text):
            self.transaction.check()
        self.start_transaction()
        statement = PreparedStatement(name, part.text, utility=utility, declared=tuple(declared), offset=part.offset)
        if isinstance(utility, DeclareCursor):
            await self._plan(statement, utility.sql, utility.offset)
        elif utility is None and part.text:
            await self._plan(statement, part.text, 0)
        elif declared:
            statement.parameters = tuple(item or SqlType("text") for item in declared)
        return statement

    async def _plan(self, statement: PreparedStatement, sql: str, offset: int) -> None:
        statement.fingerprint = self._fingerprint()
        try:
            prepared = await self.shared.engine.prepare(sql, self.context(), statement.declared)
        except SqlError as error:
            error.position += offset if error.position else 0
            raise
        for notice in prepared.notices:
            self.notice(notice)
        statement.prepared, statement.parameters = prepared, tuple(prepared.parameters)

    def _fingerprint(self) -> object:
        context = self.context()
        return self.shared.schema_version, context.search_path, context.database

    async def refresh(self, statement: PreparedStatement) -> PreparedStatement:
        """Plans the statement again where names may mean something else by now. Raises: 0A000, a changed result."""
        if statement.prepared is None or statement.fingerprint == self._fingerprint():
            return statement
        before = statement.prepared
        declared, statement.declared = statement.declared, statement.parameters
        try:
            await self._plan(statement, before.sql, 0)
        finally:
            statement.declared = declared
        if [(f.name, f.type) for f in before.fields] != [(f.name, f.type) for f in statement.prepared.fields]:
            statement.prepared, statement.fingerprint = before, None
            raise FeatureNotSupported("cached plan must not change result type")
        return statement

    def fields_of(self, statement: PreparedStatement) -> tuple[ResultField, ...] | None:
        """The result columns, None where the statement gives no rows."""
        if statement.utility is not None:
            from shoal.server import utility
            return utility.fields_of(self, statement.utility)
        if statement.prepared is None or not statement.prepared.returns_rows:
            return None
        return tuple(statement.prepared.fields)

    def default_formats(self, portal: Portal) -> tuple[int, ...]:
        """Formats of a simple query's result: text, but FETCH from a binary cursor."""
        from shoal.server import utility
        wire = utility.cursor_format(self, portal.statement.utility)
        return (wire,) * len(portal.fields or ())

    async def open(self, portal: Portal) -> str:
        """Starts the portal: afterwards it has a cursor over its rows, or has run and its tag is the result."""
        self.start_transaction()
        statement = portal.statement
        if statement.utility is not None:
            from shoal.server import utility
            result = await utility.run(self, statement, portal.values)
            if isinstance(result, str):
                return result
            portal.cursor = Cursor(result)
            return ""
        source = await self.start_execution(statement, portal.values)
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
            portal.cursor = Cursor(await self.start_execution(portal.statement, portal.values), portal.scroll)
        return portal.cursor

    async def start_execution(self, statement: PreparedStatement, values: Sequence[Any]) -> ExecutionRows:
        """The engine runs the statement; its rows are read from the result."""
        assert statement.prepared is not None
        context = self.context()  # as it was before: current_setting beside set_config gives the old value
        if effects.may_have_effects(statement.prepared.sql):
            effects.carry_out(self, statement.prepared, values, context.task_settings())
        execution = await self.shared.engine.execute(statement.prepared, context, values)
        prepared = set(statement.prepared.notices)  # told when it was prepared

        def notice(message: str) -> None:
            if message not in prepared:
                self.notice(message)

        return ExecutionRows(execution, statement.prepared.fields if statement.prepared.returns_rows else (),
                             statement.prepared.tag, notice)

    def _note_effects(self, statement: PreparedStatement) -> None:
        assert statement.prepared is not None
        tag = statement.prepared.tag
        if not tag.startswith(_READS):
            self.transaction.wrote = True
            if not tag.startswith(("INSERT", "UPDATE", "DELETE")):
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
        if not committed and self.transaction.wrote and self.transaction.block:
            self.notice("changes made in this transaction have already been applied and cannot be rolled back", "WARNING",
                        "01000")
        try:
            if committed:
                for portal in self.portals.values():
                    if portal.hold and not portal.held:
                        await (await self.cursor_of(portal)).hold()
        except BaseException:
            self.transaction.finish(False)
            raise
        self.transaction.finish(committed)
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

    def context(self) -> SessionContext:
        """What the engine is to know of this session for the statement at hand."""
        if self._context is None or self._context[0] != self.settings.version:
            path = tuple(self.user if name == "$user" else name
                         for name in settings.identifiers(self.settings.get("search_path")))
            self._context = self.settings.version, SessionContext(
                database=self.database, user=self.user, search_path=path,
                time_zone=settings.zone_name(self.settings.get("TimeZone")), backend_pid=self.process_id,
                read_only=self.settings.flag("transaction_read_only"),
                settings={setting.name.lower(): value for setting, value in self.settings.items()})
        now_us = self.transaction.started_us if self.transaction.active else time.time_ns() // 1000
        if self._context[1].now_us != now_us:
            self._context = self.settings.version, replace(self._context[1], now_us=now_us)
        return self._context[1]
