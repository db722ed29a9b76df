"""current_row: the id of the row that a cursor is on, for WHERE CURRENT OF. Wording: execCurrent.c of PostgreSQL 15."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from shoal.catalog.errors import InvalidCursorName, InvalidCursorState
from shoal.exec.functions.registry import declare
from shoal.exec.plan.expr import Call, Literal


def current_row_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Scalar:
    """(cursor, table as messages name it, catalog.schema.table). Raises: InvalidCursorName (34000), InvalidCursorState
    (24000)."""
    cursor, shown, table = (arg.value for arg in call.args if isinstance(arg, Literal))
    known = context.settings.session.get("cursors", {}).get(cursor)
    if known is None:
        raise InvalidCursorName(f'cursor "{cursor}" does not exist')
    if known["held"]:
        raise InvalidCursorState(f'cursor "{cursor}" is held from a previous transaction')
    ids = known["rows"].get(table, [])
    if not ids:
        raise InvalidCursorState(f'cursor "{cursor}" does not have a FOR UPDATE/SHARE reference to table "{shown}"'
                                 if known["locks"] else
                                 f'cursor "{cursor}" is not a simply updatable scan of table "{shown}"')
    if len(ids) > 1:
        raise InvalidCursorState(f'cursor "{cursor}" has multiple FOR UPDATE/SHARE references to table "{shown}"')
    if ids[0] is None:
        raise InvalidCursorState(f'cursor "{cursor}" is not positioned on a row')
    return pa.scalar(ids[0], pa.int64())


declare("current_row", "text text text -> int8", volatility="stable", hidden=True, kernel=current_row_kernel,
        family="system", doc="The id of the row that a cursor is on.")
