"""WHERE CURRENT OF a cursor: the query of a cursor with the ids of the rows it is on, and the condition that asks for one.

    DECLARE c CURSOR FOR SELECT a FROM t     ->   SELECT a, t.$row_id FROM t
    UPDATE t ... WHERE CURRENT OF c          ->   Filter($row_id = current_row('c', 't', 'catalog.schema.t'))

The session keeps the ids from the client and tells current_row of them. Spec: PostgreSQL 15 documentation, DECLARE, UPDATE;
which queries can be updated through: execCurrent.c.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import SupportsTransactions, SupportsWrite
from shoal.catalog.errors import SqlError
from shoal.catalog.types import BOOL, INT8, TEXT
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, call
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import Context

CURRENT_ROW = "current_row"
_PLAIN = frozenset({"expressions", "from_", "where", "locks", "order", "limit", "offset"})


def add_row_ids(context: Context, tree: Any) -> tuple[tuple[str, ...], ...]:
    """Lets a cursor's query give its rows' ids too, last; (catalog, schema, name) of the tables whose they are."""
    if not isinstance(tree, exp.Select):
        return ()
    clauses = {name for name, value in tree.args.items() if value}
    locks = tree.args.get("locks")
    source = tree.args.get("from_")
    if source is None or clauses - _PLAIN:
        return ()
    items = source.this if isinstance(source.this, list) else [source.this]
    if any(not isinstance(item, s.TableRef) for item in items) or (len(items) > 1 and not locks):
        return ()
    named = {parts[-1] for lock in locks or () for _, parts in lock.tables}
    found: list[tuple[str, ...]] = []
    for item in items:
        name = item.alias or item.parts[-1]
        try:
            table = context.namespace.resolve(item.parts)
        except SqlError:
            return ()
        connector = table.connector
        if table.handle.kind != "table" or not isinstance(connector, SupportsWrite) or not isinstance(
                connector, SupportsTransactions) or (named and name not in named):
            continue
        tree.append("expressions", s.Target(-1, s.Name(-1, (name, SupportsWrite.ROW_ID))))
        connector.follow(context.session.token)
        found.append((table.handle.catalog, table.handle.schema, table.handle.name))
    return tuple(found)


def current_row(found: ResolvedTable, row_id: ColumnRef, node: s.CurrentOf) -> Expr:
    """The condition that a row of the table is the one that the cursor is on."""
    handle = found.handle
    table = f"{handle.catalog}.{handle.schema}.{handle.name}"
    texts = tuple(Literal(TEXT, text) for text in (node.cursor, handle.name, table))
    return call("eq", BOOL, row_id, Call(INT8, CURRENT_ROW, texts))
