"""Running the statements a session answers itself: settings, transactions, cursors, prepared statements, LISTEN.

`run` gives a command tag, or a RowSource for those with rows. One function per statement class, found in `_RUN`.

Spec: PostgreSQL 15 documentation, part VI, the reference page of each statement.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shoal.catalog.access import quoted
from shoal.catalog.errors import (
    ActiveTransaction,
    DuplicateCursor,
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InsufficientPrivilege,
    InvalidCursorName,
    InvalidParameterValue,
    InvalidStatementName,
    SqlError,
    SqlSyntaxError,
    UndefinedObject,
    WrongObjectType,
)
from shoal.catalog.types import JSON, TEXT, SqlType
from shoal.exec.engine import Prepared, ResultField
from shoal.exec.plan.styles import DEFAULT_STYLES
from shoal.server import grammar, preparing, settings, statements
from shoal.server.cursors import Cursor, LocalRows, Rows, RowSource
from shoal.server.lexer import StatementText, split
from shoal.server.portals import Portal, PreparedStatement
from shoal.server.statements import TransactionModes, Utility

if TYPE_CHECKING:
    from shoal.server.session import Session


async def run(session: Session, statement: PreparedStatement, values: Sequence[Any]) -> str | RowSource:
    """Runs the utility statement: its tag, or its rows."""
    assert statement.utility is not None
    return await _RUN[type(statement.utility)](session, statement.utility, statement, values)


def fields_of(session: Session, utility: Utility) -> tuple[ResultField, ...] | None:
    """The result columns of a utility statement, None where it has no rows."""
    match utility:
        case statements.Show(name="all"):
            return tuple(ResultField(name, TEXT) for name in ("name", "setting", "description"))
        case statements.Show(name=name):
            return (ResultField(settings.lookup(name).name, TEXT),)
        case statements.Fetch(cursor=name, move=False):
            portal = session.portals.get(name)
            return None if portal is None else portal.fields
        case statements.ExecutePrepared(name=name):
            statement = session.statements.get(name)
            return None if statement is None else preparing.fields_of(session, statement)
        case statements.ExplainExecute(json=json):
            return (ResultField("QUERY PLAN", JSON if json else TEXT),)
    return None


def cursor_format(session: Session, utility: Utility | None) -> int:
    """1 for FETCH from a cursor declared BINARY, else 0."""
    if isinstance(utility, statements.Fetch):
        portal = session.portals.get(utility.cursor)
        return portal.formats[0] if portal is not None and portal.declared and portal.formats else 0
    return 0


# --- transactions ----------------------------------------------------------------------------------------------------


def _apply_modes(session: Session, modes: TransactionModes, prefix: str = "transaction", local: bool = True) -> None:
    for name, value in (("isolation", modes.isolation), ("read_only", modes.read_only), ("deferrable", modes.deferrable)):
        if value is not None:
            text = value if isinstance(value, str) else "on" if value else "off"
            session.settings.set(f"{prefix}_{name}", text, local=local)


async def _begin(session: Session, utility: statements.Begin, *_: Any) -> str:
    if not session.transaction.begin():
        session.notice("there is already a transaction in progress", "WARNING", "25001")
    _apply_modes(session, utility.modes)
    return utility.tag


async def _commit(session: Session, utility: statements.Commit, *_: Any) -> str:
    if not session.transaction.block:
        if utility.chain:
            session.transaction.require_block("COMMIT AND CHAIN", implicit=False)
        session.notice("there is no transaction in progress", "WARNING", "25P01")
    committed = await _end(session, True, utility.chain)
    return "COMMIT" if committed else "ROLLBACK"


async def _rollback(session: Session, utility: statements.Rollback, *_: Any) -> str:
    if not session.transaction.block:
        if utility.chain:
            session.transaction.require_block("ROLLBACK AND CHAIN", implicit=False)
        session.notice("there is no transaction in progress", "WARNING", "25P01")
    await _end(session, False, utility.chain)
    return "ROLLBACK"


async def _end(session: Session, committed: bool, chain: bool) -> bool:
    kept = {name: session.settings.get(name) for name in ("transaction_isolation", "transaction_read_only",
                                                          "transaction_deferrable")}
    committed = await session.end_transaction(committed)
    if chain:
        session.start_transaction()
        session.transaction.begin()
        for name, value in kept.items():
            session.settings.set(name, value, local=True)
    return committed


async def _savepoint(session: Session, utility: statements.Savepoint, *_: Any) -> str:
    mark = tuple(session.portals.values()), len(session.pending_listens), len(session.pending_notifications)
    session.transaction.savepoint(utility.name, mark, session.shared.engine.transactions.savepoint(session.token))
    return "SAVEPOINT"


async def _release(session: Session, utility: statements.Release, *_: Any) -> str:
    session.transaction.release(utility.name)
    return "RELEASE"


async def _rollback_to(session: Session, utility: statements.RollbackTo, *_: Any) -> str:
    portals, listens, notifications = session.transaction.rollback_to(utility.name)
    session.shared.engine.transactions.rollback_to(session.token, session.transaction.last_mark)
    for name in [name for name, portal in session.portals.items() if name and all(portal is not old for old in portals)]:
        await session.drop_portal(name)
    del session.pending_listens[listens:], session.pending_notifications[notifications:]
    return "ROLLBACK"


async def _set_transaction(session: Session, utility: statements.SetTransaction, *_: Any) -> str:
    modes = utility.modes
    if utility.session:
        _apply_modes(session, modes, "default_transaction", local=False)
        return "SET"
    if not session.transaction.block and not session.transaction.implicit_block:
        session.notice("SET TRANSACTION can only be used in transaction blocks", "WARNING", "25P01")
        return "SET"
    if session.transaction.queried:
        if modes.isolation not in (None, session.settings.get("transaction_isolation")):
            raise ActiveTransaction("SET TRANSACTION ISOLATION LEVEL must be called before any query")
        if modes.read_only is False and session.settings.flag("transaction_read_only"):
            raise ActiveTransaction("transaction read-write mode must be set before any query")
        if modes.deferrable is not None:
            raise ActiveTransaction("SET TRANSACTION [NOT] DEFERRABLE must be called before any query")
    _apply_modes(session, modes)
    return "SET"


async def _ignored(session: Session, utility: statements.Ignored, *_: Any) -> str:
    if utility.tag == "SET CONSTRAINTS" and not session.transaction.block and not session.transaction.implicit_block:
        session.notice("SET CONSTRAINTS can only be used in transaction blocks", "WARNING", "25P01")
    return utility.tag


async def _lock(session: Session, utility: statements.LockTable, *_: Any) -> str:
    """Nothing here is changed in place, so there is nothing to wait for; the tables must exist."""
    session.transaction.require_block("LOCK TABLE")
    for table in utility.tables:
        await _require_table(session, table)
    return "LOCK TABLE"


async def _maintain(session: Session, utility: statements.Maintenance, *_: Any) -> str:
    """Nothing is changed in place, so nothing needs to be vacuumed, and statistics are their sources' own; the tables
    must exist."""
    if utility.tag == "VACUUM":
        _forbid_block(session, "VACUUM")
    for table, columns in utility.tables:
        await _require_table(session, table, columns)
    return utility.tag


async def _require_table(session: Session, table: str, columns: Sequence[str] = ()) -> None:
    """Raises: UndefinedTable, UndefinedColumn, without a position."""
    try:
        text = StatementText(f"SELECT {', '.join(map(quoted, columns))} FROM {table}", 0)
        await preparing.prepare(session, "", text, None, ())
    except SqlError as error:
        error.position = 0
        raise


def _forbid_block(session: Session, what: str) -> None:
    """Raises: ActiveTransaction where others' work could be undone with this statement's."""
    if session.transaction.block or session.transaction.implicit_block:
        raise ActiveTransaction(f"{what} cannot run inside a transaction block")
    if session.transaction.pipelined:
        raise ActiveTransaction(f"{what} cannot be executed within a pipeline")


# --- settings --------------------------------------------------------------------------------------------------------


async def _set(session: Session, utility: statements.SetSetting, *_: Any) -> str:
    if utility.local and not session.transaction.block and not session.transaction.implicit_block:
        session.notice("SET LOCAL can only be used in transaction blocks", "WARNING", "25P01")
        settings.lookup(utility.name)
        return "SET"
    values = utility.values
    if values is None:
        text = None
    elif utility.name.lower() == "search_path":
        text = ", ".join(map(quoted, values))
    elif len(values) > 1 and utility.name.lower() != "datestyle" and settings.lookup(utility.name).kind != "string":
        raise InvalidParameterValue(f"SET {utility.name} takes only one argument")
    else:
        text = ", ".join(values)
    if utility.name.lower() == "session_authorization" and text not in (None, session.user) and session.password_checked:
        raise InsufficientPrivilege("permission denied to set session authorization")
    session.settings.set(utility.name, text, local=utility.local)
    return "SET"


async def _reset(session: Session, utility: statements.Reset, *_: Any) -> str:
    if utility.name is None:
        session.settings.reset_all()
    else:
        session.settings.set(utility.name, None)
    return "RESET"


async def _show(session: Session, utility: statements.Show, *_: Any) -> RowSource:
    fields = fields_of(session, utility)
    assert fields is not None
    if utility.name == "all":
        rows = [(setting.name, value, setting.doc) for setting, value in session.settings.items()]
        columns = [pa.array(column, pa.string()) for column in zip(*rows)]
        return LocalRows(fields, [(columns, len(rows))], "SHOW")
    return LocalRows(fields, [([pa.array([session.settings.get(utility.name)], pa.string())], 1)], "SHOW")


async def _discard(session: Session, utility: statements.Discard, *_: Any) -> str:
    if utility.what == "all":
        _forbid_block(session, "DISCARD ALL")
        for name in [name for name in session.portals if name]:
            await session.drop_portal(name)
        session.settings.set("session_authorization", None)
        session.settings.reset_all()
        session.statements.clear()
        session.pending_listens.append(("", False))
        session.shared.advisory_locks.release(session, transaction=False)
        session.shared.engine.transactions.drop_temporary(session.token)
        session.transaction.wrote = True
    elif utility.what == "temp":
        session.shared.engine.transactions.drop_temporary(session.token)
        session.transaction.wrote = True
    elif utility.what == "plans":
        for statement in session.statements.values():
            statement.fingerprint = None
    return f"DISCARD {utility.what.upper()}"


# --- prepared statements ---------------------------------------------------------------------------------------------


async def _prepare(session: Session, utility: statements.Prepare, whole: PreparedStatement, *_: Any) -> str:
    from shoal.exec.functions.casts import parse_type
    if utility.name in session.statements:
        raise DuplicatePreparedStatement(f'prepared statement "{utility.name}" already exists')
    declared = []
    for name, position in utility.types:
        try:
            declared.append(None if name.lower() == "unknown" else parse_type(name))
        except UndefinedObject as error:
            own = await session.shared.engine.user_type(name, session.context())
            if own is None:
                error.position = position
                raise
            declared.append(own)
        except SqlError as error:
            error.position = position
            raise
    if grammar.parse(utility.sql) is not None:
        raise SqlSyntaxError(f'syntax error at or near "{utility.sql.split()[0]}"', position=utility.offset + 1)
    try:
        statement = await preparing.prepare(session, utility.name, StatementText(utility.sql, utility.offset), None,
                                          [SqlType(t.name) if t is not None and t.name in _SPELLED else t for t in declared])
    except SqlError as error:
        error.position += utility.offset if error.position else 0
        raise
    statement.prepare_sql, statement.prepared_us = whole.sql, time.time_ns() // 1000
    session.statements[utility.name] = statement
    return "PREPARE"


async def _executed(session: Session, utility: statements.ExecutePrepared) -> tuple[PreparedStatement, list[Any]]:
    """The prepared statement EXECUTE names, and its arguments' values."""
    statement = session.statements.get(utility.name)
    if statement is None:
        raise InvalidStatementName(f'prepared statement "{utility.name}" does not exist')
    wanted = len(statement.parameters)
    if len(utility.arguments) != wanted:
        raise SqlSyntaxError(f'wrong number of parameters for prepared statement "{utility.name}"',
                             detail=f"Expected {wanted} parameters but got {len(utility.arguments)}.")
    values = await _evaluate(session, utility.arguments, statement.parameters)
    return await preparing.refresh(session, statement), values


async def _explain_execute(session: Session, utility: statements.ExplainExecute, *_: Any) -> RowSource:
    statement, values = await _executed(session, utility.executed)
    if statement.prepared is None:
        raise FeatureNotSupported("EXPLAIN of a prepared utility statement is not supported")
    explained = StatementText(utility.before + statement.prepared.sql + utility.after, 0)
    return await session.start_execution(
        await preparing.prepare(session, "", explained, None, statement.parameters), values)


async def _create_execute(session: Session, utility: statements.CreateTableExecute, *_: Any) -> str | RowSource:
    statement, values = await _executed(session, utility.executed)
    if statement.prepared is None or statement.prepared.tag != "SELECT":
        raise WrongObjectType("prepared statement is not a SELECT")
    made = StatementText(utility.before + statement.prepared.sql + utility.after, 0)
    tag = await session.open(Portal("", await preparing.prepare(session, "", made, None, statement.parameters), values))
    return "SELECT 0" if tag == "CREATE TABLE AS" and utility.after else tag


async def _execute(session: Session, utility: statements.ExecutePrepared, *_: Any) -> str | RowSource:
    statement, values = await _executed(session, utility)
    if statement.utility is not None:
        return await run(session, statement, values)
    if preparing.fields_of(session, statement) is not None:
        return await session.start_execution(statement, values)
    portal = Portal("", statement, values)
    return await session.open(portal)


_SPELLED = {"numeric": "numeric", "bpchar": "bpchar", "bit": "varbit", "varchar": "varchar"}
"""Parameters have no length; "character" and "bit" would mean one of 1."""


async def _evaluate(session: Session, arguments: Sequence[tuple[str, int]], types: Sequence[SqlType]) -> list[Any]:
    """EXECUTE's argument expressions as physical values: one row of a query of them, read back as literals."""
    if not arguments:
        return []
    from shoal.exec.functions.casts import parse_literal
    from shoal.exec.functions.text_output import to_text
    sql, starts = "SELECT ", list[tuple[int, int]]()
    for (argument, position), sql_type in zip(arguments, types):
        if len(split(argument)) != 1:
            raise SqlSyntaxError(f'syntax error at or near "{argument}"', position=position)
        sql += ", (" if starts else "("
        starts.append((len(sql) + 1, position))
        sql += f"{argument})::{_SPELLED.get(sql_type.name, sql_type.sql)}"
    try:
        statement = await preparing.prepare(session, "", StatementText(sql, 0), None, ())
    except SqlError as error:
        if error.position:
            start, position = max((pair for pair in starts if pair[0] <= error.position), default=starts[0])
            error.position += position - start
        raise
    source = await session.start_execution(statement, ())
    rows = await source.read()
    await source.close()
    assert rows is not None
    task_settings = replace(session.context().task_settings(), styles=DEFAULT_STYLES)
    found = []
    for array, field, wanted in zip(rows[0], source.fields, types):
        text = to_text(array.slice(0, 1), field.type, task_settings)[0].as_py()
        found.append(None if text is None else parse_literal(text, wanted, task_settings))
    return found


async def _deallocate(session: Session, utility: statements.Deallocate, *_: Any) -> str:
    if utility.name is None:
        session.statements.clear()
        return "DEALLOCATE ALL"
    if session.statements.pop(utility.name, None) is None:
        raise InvalidStatementName(f'prepared statement "{utility.name}" does not exist')
    return "DEALLOCATE"


# --- cursors ---------------------------------------------------------------------------------------------------------


class _FetchRows(RowSource):
    """What FETCH passes over in another portal's rows."""

    def __init__(self, fields: Sequence[ResultField], cursor: Cursor, utility: statements.Fetch) -> None:
        super().__init__(fields)
        self._rows = cursor.fetch(utility.direction, utility.count)

    @property
    def verb(self) -> str:
        return "FETCH"

    async def _next(self) -> Rows | None:
        async for rows in self._rows:
            return rows
        return None


async def _declare(session: Session, utility: statements.DeclareCursor, statement: PreparedStatement,
                   values: Sequence[Any]) -> str:
    if not utility.hold:
        session.transaction.require_block("DECLARE CURSOR")
    if utility.name in session.portals:
        raise DuplicateCursor(f'cursor "{utility.name}" already exists')
    assert statement.prepared is not None
    if not statement.prepared.returns_rows or statement.prepared.tag != "SELECT":
        raise SqlSyntaxError("DECLARE CURSOR must be used with SELECT or VALUES")
    prepared, tables = await _with_row_ids(session, utility, statement)
    inner = PreparedStatement("", utility.sql, statement.parameters, prepared)
    fields = tuple(statement.prepared.fields)
    formats = (1 if utility.binary else 0,) * len(fields)
    session.portals[utility.name] = Portal(utility.name, inner, values, formats, fields, hold=utility.hold,
                                           scroll=utility.scroll, declared=True, declare_sql=statement.sql,
                                           declared_us=time.time_ns() // 1000, tables=tables,
                                           locks=statement.prepared.bound.row_locks)
    await session.cursor_of(session.portals[utility.name])  # its rows are those of this moment
    return "DECLARE CURSOR"


async def _with_row_ids(session: Session, utility: statements.DeclareCursor, statement: PreparedStatement
                        ) -> tuple[Prepared, tuple[tuple[str, str, str], ...]]:
    """The cursor's query, with the ids of its rows at the end where WHERE CURRENT OF can find them, and the tables whose
    they are."""
    plain = statement.prepared
    assert plain is not None
    if utility.hold or plain.immediate is not None:
        return plain, ()
    try:
        found = await session.shared.engine.prepare(utility.sql, replace(session.context(), row_ids=True, key=None),
                                                    plain.parameters)
    except SqlError:  # an aggregate, say, beside which no row can stand
        return plain, ()
    origins = [field.origin[:3] for field in found.fields[len(plain.fields):] if field.origin is not None]
    if len(found.fields) != len(plain.fields) + len(origins):
        return plain, ()
    return found, tuple(origins)


async def _fetch(session: Session, utility: statements.Fetch, *_: Any) -> str | RowSource:
    portal = session.portals.get(utility.cursor)
    if portal is None:
        raise InvalidCursorName(f'cursor "{utility.cursor}" does not exist')
    if portal.fields is None:
        raise WrongObjectType(f'cursor "{utility.cursor}" has no rows')
    cursor = await session.cursor_of(portal)
    if not utility.move:
        rows = _FetchRows(portal.fields, cursor, utility)
        await rows.prime()
        return rows
    moved = 0
    async for _columns, passed in cursor.fetch(utility.direction, utility.count):
        moved += passed
    return f"MOVE {moved}"


async def _close(session: Session, utility: statements.CloseCursor, *_: Any) -> str:
    if utility.name is None:
        for name in [name for name in session.portals if name]:
            await session.drop_portal(name)
        return "CLOSE CURSOR ALL"
    if utility.name not in session.portals:
        raise InvalidCursorName(f'cursor "{utility.name}" does not exist')
    await session.drop_portal(utility.name)
    return "CLOSE CURSOR"


# --- notifications and COPY ------------------------------------------------------------------------------------------


async def _listen(session: Session, utility: statements.Listen, *_: Any) -> str:
    session.pending_listens.append((utility.channel, True))
    return "LISTEN"


async def _unlisten(session: Session, utility: statements.Unlisten, *_: Any) -> str:
    session.pending_listens.append((utility.channel or "", False))
    return "UNLISTEN"


async def _notify(session: Session, utility: statements.Notify, *_: Any) -> str:
    session.notify(utility.channel, utility.payload)
    return "NOTIFY"


async def _copy(session: Session, utility: statements.Copy, *_: Any) -> str:
    if not utility.outward:
        from shoal.server.copy_in import copy_in
        tag = await copy_in(session, utility)
        session.transaction.wrote = True
        return tag
    if utility.target is not None:
        raise FeatureNotSupported("COPY to a file or program on the server is not supported", hint="Use COPY TO STDOUT.")
    from shoal.server.copy import copy_out
    return await copy_out(session, utility)


_RUN: dict[type, Callable[..., Awaitable[str | RowSource]]] = {
    statements.Begin: _begin, statements.Commit: _commit, statements.Rollback: _rollback,
    statements.Savepoint: _savepoint, statements.Release: _release, statements.RollbackTo: _rollback_to,
    statements.SetTransaction: _set_transaction, statements.Ignored: _ignored, statements.LockTable: _lock,
    statements.Maintenance: _maintain,
    statements.SetSetting: _set,
    statements.Reset: _reset, statements.Show: _show, statements.Discard: _discard, statements.Prepare: _prepare,
    statements.ExecutePrepared: _execute, statements.ExplainExecute: _explain_execute,
    statements.CreateTableExecute: _create_execute,
    statements.Deallocate: _deallocate, statements.DeclareCursor: _declare,
    statements.Fetch: _fetch, statements.CloseCursor: _close, statements.Listen: _listen,
    statements.Unlisten: _unlisten, statements.Notify: _notify, statements.Copy: _copy,
}
