"""ctid, tableoid and the other columns that every table of PostgreSQL has and `*` does not show (hop 2).

They are looked for where a name means no other column, so statements that name none pay nothing. `ctid` is made of the
hidden row number that tables of catalogs have which can be written; `tableoid` is a constant, or NULL where an outer join
found no row.

Spec: PostgreSQL 15 documentation, 5.5 "System Columns".
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.connector import SupportsWrite, TableHandle
from shoal.catalog.declarations import SYSTEM_COLUMNS
from shoal.catalog.errors import AmbiguousColumn, FeatureNotSupported
from shoal.catalog.pg_catalog.snapshot import stable_oid
from shoal.catalog.types import BOOL, OID, TID
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, Literal
from shoal.exec.sql.context import Level, fail
from shoal.exec.sql.rows import row_is_null, row_of
from shoal.exec.sql.scope import Relation, ScopeColumn

_TABLES = frozenset({"table", "materialized_view", "foreign_table", "partitioned_table", "system"})


def system_column(level: Level, relations: Sequence[Relation], name: str, pos: int) -> ScopeColumn | None:
    """What a system column's name means beside these relations; None where none of them is a table.

    Raises: AmbiguousColumn (42702), FeatureNotSupported (0A000) for what tables of Shoal do not have.
    """
    tables = [(relation, relation.handle) for relation in relations
              if relation.handle is not None and relation.handle.kind in _TABLES]
    if not tables or name not in SYSTEM_COLUMNS:
        return None
    if len(tables) > 1:
        fail(AmbiguousColumn, f'column reference "{name}" is ambiguous', pos)
    relation, handle = tables[0]
    if name not in ("ctid", "tableoid"):
        fail(FeatureNotSupported, f'system column "{name}" is not supported', pos,
             hint="Rows carry no numbers of the transactions that made them.")
    number = next((c.expr for c in relation.columns if c.hidden and c.name == SupportsWrite.ROW_ID), None)
    value = _place(level, number, handle, pos) if name == "ctid" else _table(relation, number, handle)
    return ScopeColumn(name, value, relation.name, hidden=True)


def _place(level: Level, number: Expr | None, handle: TableHandle, pos: int) -> Expr:
    if number is not None:
        return e.call("row_place", TID, number)
    if isinstance(level.context.namespace.catalogs.connector(handle.catalog), SupportsWrite):
        fail(FeatureNotSupported, 'system column "ctid" of rows as they are written is not supported', pos,
             hint="Return a key of the table, and read the place of the row with it.")
    fail(FeatureNotSupported, f'system column "ctid" is not supported for tables of catalog "{handle.catalog}"', pos,
         hint="Rows have places in catalogs that can be written, such as memory. Use a key of the table.")


def _table(relation: Relation, number: Expr | None, handle: TableHandle) -> Expr:
    oid = Literal(OID, stable_oid("relation", handle.catalog, handle.schema, handle.name))
    if not relation.nullable:
        return oid
    shown = [column.expr for column in relation.columns if not column.hidden]
    missing = e.call("is_null", BOOL, number) if number is not None else row_is_null(row_of(shown), False)
    return e.Case(OID, (missing,), (Literal(OID, None),), oid)
