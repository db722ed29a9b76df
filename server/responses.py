"""What goes back to the client besides rows: error and notice fields, row descriptions, and what any exception becomes.

Spec: PostgreSQL documentation, 55.8 "Error and Notice Message Fields".
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from shoal.catalog.errors import InternalError, OutOfMemory, ProtocolViolation, SqlError, StatementTooComplex
from shoal.catalog.pg_catalog.snapshot import stable_oid, system_relations
from shoal.catalog.registry import SYSTEM
from shoal.exec.engine import ResultField
from shoal.server.protocol.messages import ColumnDescription, ErrorResponse, NoticeResponse, RowDescription

log = logging.getLogger("shoal.server")
_ORDER = ("debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "info", "notice", "warning", "error")


class SynchronizationLost(ProtocolViolation, code="08P01"):
    """The client sends what cannot be meant: after its `cause`, an error like others, the connection ends."""

    def __init__(self, cause: SqlError) -> None:
        super().__init__("terminating connection because protocol synchronization was lost")
        self.cause: SqlError | None = cause


def error_response(error: SqlError, severity: str = "ERROR", *, shift: int = 0) -> ErrorResponse:
    """`shift` is added to the position: the characters before the statement in its query string."""
    fields = {"S": severity, "V": severity, "C": error.sqlstate, "M": error.message}
    if error.detail:
        fields["D"] = error.detail
    if error.hint:
        fields["H"] = error.hint
    if error.position:
        fields["P"] = str(error.position + shift)
    if error.where:
        fields["W"] = error.where
    for code, name in (("s", error.schema), ("t", error.table), ("c", error.column), ("d", error.data_type),
                       ("n", error.constraint), ("R", error.routine)):
        if name:
            fields[code] = name
    return ErrorResponse(fields)


def notice_response(message: str, severity: str = "NOTICE", sqlstate: str = "00000", hint: str = "",
                    detail: str = "") -> NoticeResponse:
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message}
    if detail:
        fields["D"] = detail
    if hint:
        fields["H"] = hint
    return NoticeResponse(fields)


def wants(severity: str, threshold: str) -> bool:
    """Whether a notice of this severity passes client_min_messages."""
    level = severity.lower()
    return level == "info" or _ORDER.index(level) >= (_ORDER.index(threshold) if threshold in _ORDER else len(_ORDER))


def as_sql_error(error: BaseException) -> SqlError:
    """The error a client sees for any exception; one that is nobody's fault but ours is logged with its traceback."""
    if isinstance(error, SqlError):
        if error.kind == "internal":
            log.error("internal error: %s", error.message, exc_info=error)
        return error
    if isinstance(error, BaseExceptionGroup):
        known = [inner for inner in error.exceptions if isinstance(inner, SqlError | BaseExceptionGroup)]
        return as_sql_error((known or list(error.exceptions))[0])
    if isinstance(error, MemoryError):
        return OutOfMemory("out of memory")
    if isinstance(error, RecursionError):
        return StatementTooComplex("stack depth limit exceeded", hint="The statement is nested too deeply.")
    log.error("unexpected %s while serving a statement", type(error).__name__, exc_info=error)
    return InternalError(f"internal error ({type(error).__name__})", hint="The server's log has the details.")


def _origin(field: ResultField) -> tuple[int, int]:
    """The column's table and attribute number as pg_attribute has them; zeros for an expression."""
    if field.origin is None:
        return 0, 0
    catalog, schema, table, index = field.origin
    if catalog == SYSTEM:
        relation = system_relations().get((schema, table))
        return (relation.oid, index + 1) if relation is not None else (0, 0)
    return stable_oid("relation", catalog, schema, table), index + 1


def row_description(fields: Sequence[ResultField], formats: Sequence[int]) -> RowDescription:
    return RowDescription(tuple(
        ColumnDescription(field.name, *_origin(field), field.type.oid, field.type.size, field.type.typmod, wire)
        for field, wire in zip(fields, formats, strict=True)))
