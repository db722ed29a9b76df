"""The extended query protocol: Parse, Bind, Describe, Execute, Close as functions of a session.

Each does its work and gives None, or gives an awaitable for the rest where something has to be waited for: a
connector's names, rows, a source that is closed. Queries that read nothing and were prepared before never wait.

Hop 2 of a query's way, and the end of hop 7. Spec: PostgreSQL documentation, 55.2.3 "Extended Query".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import (
    DuplicateCursor,
    DuplicatePreparedStatement,
    InvalidParameterValue,
    ObjectNotInPrerequisiteState,
    ProtocolViolation,
    SqlError,
    SqlSyntaxError,
    UndefinedObject,
)
from shoal.catalog.types import NAMES_BY_OID, NUMERIC, SqlType
from shoal.server import lexer, parameters, preparing, replies
from shoal.server.portals import Portal, PreparedStatement
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection
from shoal.server.responses import row_description

if TYPE_CHECKING:
    from shoal.server.session import Session

Rest = Awaitable[None] | None
_UNKNOWN_OID = SqlType("unknown")
"""Of a parameter that is of a type which is not PostgreSQL's."""
_BIND_COMPLETE = Connection.send(m.BindComplete())


def handlers(session: Session) -> dict[type, Callable[[Any], Rest]]:
    """By message class."""
    return {m.Parse: partial(parse, session), m.Bind: partial(bind, session), m.Describe: partial(describe, session),
            m.Execute: partial(execute, session), m.Close: partial(close, session)}


def parse(session: Session, message: m.Parse) -> Rest:
    if message.statement and message.statement in session.statements:
        raise DuplicatePreparedStatement(f'prepared statement "{message.statement}" already exists')
    if not message.statement:
        session.statements.pop("", None)
    parts = session.split(message.sql)
    if len(parts) > 1:
        raise SqlSyntaxError("cannot insert multiple commands into a prepared statement")
    known = tuple(map(_parameter_type, message.parameter_oids))
    declared = None if any(item == _UNKNOWN_OID for item in known) else known
    part, utility = parts[0] if parts else (lexer.StatementText("", 0), None)
    session.tell_shortened(parts)
    if utility is None and part.text and declared is not None:
        session.transaction.check()
        statement = preparing.recall(session, message.statement, part, declared)
        if statement is not None:
            session.start_transaction()
            statement.prepared_us = session.transaction.started_us
            session.statements[message.statement] = statement
            session.send(m.ParseComplete())
            return None

    async def rest() -> None:
        async with session.interrupts.statement(session.settings.number("statement_timeout") / 1000):
            try:
                types = declared or await _user_types(session, message.parameter_oids, known)
                statement = await preparing.prepare(session, message.statement, part, utility, types)
            except SqlError as error:
                error.position += part.offset if error.position else 0
                raise
        statement.prepared_us = time.time_ns() // 1000
        session.statements[message.statement] = statement
        session.send(m.ParseComplete())

    return rest()


def _parameter_type(oid: int) -> SqlType | None:
    if oid in (0, 705):
        return None
    name = NAMES_BY_OID.get(oid)
    if name is None:
        return _UNKNOWN_OID
    return NUMERIC if name == "numeric" else SqlType(name)


async def _user_types(session: Session, oids: Sequence[int], known: Sequence[SqlType | None]) -> list[SqlType | None]:
    """The types of parameters, those among them that somebody made too. Raises: UndefinedObject (42704)."""
    found: list[SqlType | None] = []
    for oid, sql_type in zip(oids, known, strict=True):
        if sql_type == _UNKNOWN_OID:
            sql_type = await session.shared.engine.user_type(oid, session.context())
            if sql_type is None:
                raise UndefinedObject(f"type with OID {oid} does not exist")
        found.append(sql_type)
    return found


def bind(session: Session, message: m.Bind) -> Rest:
    statement = session.statement(message.statement)
    if len(message.values) != len(statement.parameters):
        raise ProtocolViolation(f"bind message supplies {len(message.values)} parameters, but prepared statement "
                                f'"{message.statement}" requires {len(statement.parameters)}')
    session.check_transaction(statement)
    if message.portal and message.portal in session.portals:
        raise DuplicateCursor(f'cursor "{message.portal}" already exists')
    session.start_transaction()
    before = session.portals.get(message.portal)
    types = None
    if statement.utility is None and not parameters.UNDECLARED.isdisjoint(statement.parameters):
        types = parameters.exact_types(message.values, message.parameter_formats, statement.parameters)
    if types is not None and preparing.is_fresh(session, statement) and types in statement.exact:
        statement, types = statement.exact[types], None
    if types is None and preparing.is_fresh(session, statement) and (before is None or before.cursor is None) and (
            not statement.parameters or session.object_names(statement.parameters) is None):
        _bound(session, message, statement, _decoded(session, message, statement))
        return None

    async def rest() -> None:
        fresh = await preparing.refresh(session, statement)
        if types is not None:
            fresh = await preparing.exactly(session, fresh, types)
        if (names := session.object_names(fresh.parameters)) is None:
            values = _decoded(session, message, fresh)
        else:
            values = await asyncio.to_thread(parameters.decode, message.values, message.parameter_formats,
                                             fresh.parameters, session.context().task_settings(), names, message.portal)
        await session.drop_portal(message.portal)
        _bound(session, message, fresh, values)

    return rest()


def _decoded(session: Session, message: m.Bind, statement: PreparedStatement) -> Any:
    if not statement.parameters and not message.parameter_formats:
        return ()
    return parameters.decode(message.values, message.parameter_formats, statement.parameters,
                             session.context().task_settings(), portal=message.portal)


def _bound(session: Session, message: m.Bind, statement: PreparedStatement, values: Any) -> None:
    fields = preparing.fields_of(session, statement)
    formats = _formats(message.result_formats, None if fields is None else len(fields))
    session.portals[message.portal] = Portal(message.portal, statement, values, formats, fields)
    session.output.send_encoded(_BIND_COMPLETE)


def _formats(given: tuple[int, ...], columns: int | None) -> tuple[int, ...]:
    """One format for each column; whether there is such a format matters only when rows are sent."""
    if columns is None:
        return ()
    if len(given) > 1 and len(given) != columns:
        raise ProtocolViolation(f"bind message has {len(given)} result formats but query has {columns} columns")
    return given if len(given) == columns and len(given) > 1 else (given or (0,))[:1] * columns


def describe(session: Session, message: m.Describe) -> Rest:
    if message.kind == "S":
        statement = session.statement(message.name)
        session.check_transaction(statement)
        session.send(m.ParameterDescription(tuple(item.oid for item in statement.parameters)))
        if preparing.is_fresh(session, statement):
            _describe_statement(session, statement)
            return None

        async def rest() -> None:
            _describe_statement(session, await preparing.refresh(session, statement))

        return rest()
    if message.kind != "P":
        raise ProtocolViolation(f"invalid DESCRIBE message subtype {ord(message.kind)}")
    portal = session.portal(message.name)
    session.check_transaction(portal.statement)
    formats = portal.formats or (0,) * len(portal.fields or ())
    if portal.tables and portal.fields is not None:  # its statement gives ids of rows too
        session.send(row_description(portal.fields, formats))
    else:
        _describe_fields(session, portal.statement, portal.fields, formats)
    return None


def _describe_statement(session: Session, statement: PreparedStatement) -> None:
    fields = preparing.fields_of(session, statement)
    _describe_fields(session, statement, fields, (0,) * len(fields or ()))


def _describe_fields(session: Session, statement: PreparedStatement, fields: Any, formats: tuple[int, ...]) -> None:
    if fields is None:
        session.send(m.NoData())
    elif statement.prepared is not None and statement.utility is None:
        session.output.send_encoded(replies.description(statement.prepared, formats))
    else:
        session.send(row_description(fields, formats))


def execute(session: Session, message: m.Execute) -> Rest:
    portal = session.portal(message.portal)
    statement = portal.statement
    session.note_query(statement.sql)
    session.check_transaction(statement)
    prepared = statement.prepared
    if prepared is None and statement.utility is None:
        session.send(m.EmptyQueryResponse())
        return None
    for code in portal.formats:
        if code not in (0, 1):
            raise InvalidParameterValue(f"unsupported format code: {code}")
    if portal.finished:
        raise ObjectNotInPrerequisiteState(f'portal "{portal.name}" cannot be run')
    if (prepared is not None and prepared.immediate is not None and statement.utility is None
            and portal.cursor is None and message.max_rows <= 0 and not portal.answered):
        session.output.send_encoded(replies.immediate_row(session, prepared, portal.formats, portal.values))
        portal.answered = True
        session.transaction.pipelined = not session.transaction.block
        return None
    return _run(session, portal, message.max_rows)


async def _run(session: Session, portal: Portal, max_rows: int) -> None:
    async with session.interrupts.statement(session.settings.number("statement_timeout") / 1000):
        if portal.cursor is None:
            tag = await session.open(portal, whole=max_rows <= 0)
            if portal.fields is None:
                portal.finished = True
                if tag:
                    session.send(m.CommandComplete(tag))
                session.transaction.pipelined = session.transaction.active and not session.transaction.block
                return
        assert portal.cursor is not None and portal.fields is not None
        limit = max_rows if max_rows > 0 else None
        count = await session.send_rows(portal.cursor.forward(limit), portal.fields, portal.formats)
        if limit is not None and count == limit:
            session.send(m.PortalSuspended())
        else:
            session.send(m.CommandComplete(portal.cursor.source.tag or f"{portal.cursor.source.verb} {count}"))
    session.transaction.pipelined = not session.transaction.block


def close(session: Session, message: m.Close) -> Rest:
    if message.kind == "S":
        session.statements.pop(message.name, None)
    elif message.kind != "P":
        raise ProtocolViolation(f"invalid CLOSE message subtype {ord(message.kind)}")
    elif (portal := session.portals.get(message.name)) is not None:
        if portal.cursor is not None:
            return _close_portal(session, message.name)
        del session.portals[message.name]
    session.send(m.CloseComplete())
    return None


async def _close_portal(session: Session, name: str) -> None:
    await session.drop_portal(name)
    session.send(m.CloseComplete())
