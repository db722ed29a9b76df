"""Statements before they run: parsed and bound by the engine, planned again where names have come to mean something else.

Hop 2 of a query's way, as the simple protocol, the extended one (extended.py), PREPARE and COPY need it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.catalog.errors import FeatureNotSupported, SqlError
from shoal.catalog.types import SqlType
from shoal.exec.engine import ResultField
from shoal.server import lexer
from shoal.server.portals import PreparedStatement
from shoal.server.settings import lookup
from shoal.server.splitting import Part
from shoal.server.statements import NO_TRANSACTION_NEEDED, DeclareCursor, Show, Utility

if TYPE_CHECKING:
    from shoal.server.session import Session

_MOST_EXACT = 16


def check_syntax(parts: Sequence[Part]) -> None:
    """A mistake anywhere in the string keeps all of it from running, as in PostgreSQL."""
    from shoal.exec.sql.parse import parse
    for part, utility in parts:
        if utility is None:
            try:
                parse(part.text)
            except SqlError as error:
                part.located(error)
                error.position += part.offset if error.position else 0
                raise


def recall(session: Session, name: str, part: lexer.StatementText,
           declared: Sequence[SqlType | None]) -> PreparedStatement | None:
    """As `prepare`, at once, for a statement that was prepared before and reads nothing; None for others."""
    prepared = session.shared.engine.recall(part.text, session.key, tuple(declared))
    if prepared is None:
        return None
    return PreparedStatement(name, part.text, tuple(prepared.parameters), prepared, declared=tuple(declared),
                             fingerprint=_fingerprint(session), planned_for=session.key, offset=part.offset)


async def prepare(session: Session, name: str, part: lexer.StatementText, utility: Utility | None,
                  declared: Sequence[SqlType | None]) -> PreparedStatement:
    """Parses and binds one statement. Raises: what the engine raises; InFailedTransaction (25P02)."""
    if not isinstance(utility, NO_TRANSACTION_NEEDED) and (utility is not None or part.text):
        if session.transaction.failed:
            check_syntax([(part, utility)])  # which comes first
        session.transaction.check()
    session.start_transaction()
    if isinstance(utility, Show):
        lookup(utility.name if utility.name != "all" else "server_version")
    statement = PreparedStatement(name, part.text, utility=utility, declared=tuple(declared), offset=part.offset)
    if isinstance(utility, DeclareCursor) or (utility is None and part.text):
        sql, offset = (part.text, 0) if utility is None else (utility.sql, utility.offset)
        try:
            await _plan(session, statement, sql, offset)
        except SqlError as error:
            part.located(error)
            raise
    elif declared:
        statement.parameters = tuple(item or SqlType("text") for item in declared)
    return statement


async def _plan(session: Session, statement: PreparedStatement, sql: str, offset: int) -> None:
    fingerprint = _fingerprint(session)
    try:
        prepared = await session.shared.engine.prepare(sql, session.context(), statement.declared)
    except SqlError as error:
        error.position += offset if error.position else 0
        raise
    for notice in prepared.notices:
        session.notice(notice)
    statement.prepared, statement.parameters = prepared, tuple(prepared.parameters)
    statement.fingerprint, statement.planned_for = fingerprint, session.key


def _fingerprint(session: Session) -> object:
    return session.shared.schema_version, session.key, session.shared.engine.touched(session.token)


def is_fresh(session: Session, statement: PreparedStatement) -> bool:
    """Whether names still mean what they did when the statement was planned."""
    prepared = statement.prepared
    if prepared is None:
        return True
    if prepared.immediate is not None:  # it holds no names
        return statement.planned_for is session.key or statement.planned_for == session.key
    return statement.fingerprint == _fingerprint(session)


async def refresh(session: Session, statement: PreparedStatement) -> PreparedStatement:
    """Plans the statement again where names may mean something else by now. Raises: 0A000, a changed result."""
    if statement.prepared is None or is_fresh(session, statement):
        return statement
    before = statement.prepared
    declared, statement.declared = statement.declared, statement.parameters
    try:
        await _plan(session, statement, before.sql, 0)
    finally:
        statement.declared = declared
    if [(f.name, f.type) for f in before.fields] != [(f.name, f.type) for f in statement.prepared.fields]:
        statement.prepared, statement.fingerprint = before, None
        changed = FeatureNotSupported("cached plan must not change result type")
        changed.routine = "RevalidateCachedQuery"  # by which asyncpg and pgjdbc know that preparing anew will do
        raise changed
    return statement


async def exactly(session: Session, statement: PreparedStatement, types: tuple[SqlType, ...]) -> PreparedStatement:
    """The statement planned for these parameter types, and kept with it."""
    if statement.prepared is None or types == statement.parameters:
        return statement
    made = statement.exact.get(types)
    if made is None or not is_fresh(session, made):
        made = replace(statement, declared=types, exact={})
        await _plan(session, made, statement.prepared.sql, 0)
        if len(statement.exact) >= _MOST_EXACT:
            statement.exact.clear()
        statement.exact[types] = made
    return made


def fields_of(session: Session, statement: PreparedStatement) -> tuple[ResultField, ...] | None:
    """The result columns, None where the statement gives no rows."""
    if statement.utility is not None:
        from shoal.server import utility
        return utility.fields_of(session, statement.utility)
    if statement.prepared is None or not statement.prepared.returns_rows:
        return None
    return tuple(statement.prepared.fields)
