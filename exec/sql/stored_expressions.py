"""Expressions that a catalog keeps as text: column defaults and CHECK conditions, bound anew where they are used (hop 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import ColumnInfo
from shoal.catalog.errors import DatatypeMismatch
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan.expr import Call, Expr, Literal, walk
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import CHECK, DEFAULT, Clause, Context, Level, bare_type, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn

SEQUENCE_FUNCTIONS = frozenset({"nextval", "currval", "lastval", "setval"})


def parsed(text: str) -> Any:
    """The syntax tree of an expression's text."""
    from shoal.exec.sql.parse import parse
    return parse(f"SELECT {text}").tree.expressions[0].arg


def assigned(context: Context, value: Expr, column: ColumnInfo, pos: int) -> Expr:
    """`value` cast for storing in `column`. Raises: DatatypeMismatch (42804)."""
    if value.type.name != "unknown" and not can_coerce(value.type, column.type, "assignment"):
        fail(DatatypeMismatch, f'column "{column.name}" is of type {bare_type(column.type).sql} but expression is of type '
             f"{bare_type(value.type).sql}", pos, hint="You will need to rewrite or cast the expression.")
    return coerce(context, value, column.type, pos, "assignment")


def default_value(context: Context, column: ColumnInfo) -> Expr:
    """The column's default value: its declared expression, else NULL."""
    if not column.default or column.generated:
        return Literal(column.type, None)
    node = parsed(column.default)
    if isinstance(node, s.Function) and node.name[-1] == "nextval" and isinstance(node.args[0], s.Cast):
        node.args[0] = node.args[0].arg  # the name will do, and is found faster than the OID
    binder = ExpressionBinder(Level(context, None, Scope(), {}), DEFAULT)
    return assigned(context, binder.bind(node), column, -1)


def reads_sequences(expr: Expr) -> bool:
    """Whether only the coordinator can compute it."""
    return any(isinstance(part, Call) and part.name in SEQUENCE_FUNCTIONS for part in walk(expr))


def scope_of(name: str, fields: Sequence[Field]) -> Scope:
    """The columns of a table that is being written, as conditions on its rows see them."""
    columns = [ScopeColumn(field.name, field.ref(), name) for field in fields]
    return Scope([Relation(name, columns)], columns)


def condition(context: Context, node: Any, scope: Scope, clause: Clause, what: str) -> Expr:
    """A boolean expression over the columns of `scope`."""
    return ExpressionBinder(Level(context, None, scope, {}), clause).bind_boolean(node, what)


def checks_of(context: Context, found: ResolvedTable, fields: Sequence[Field]) -> tuple[tuple[str, Expr], ...]:
    """The table's CHECK constraints over the columns `fields` that are to be stored."""
    checks = [constraint for constraint in found.connector.constraints(found.handle) if constraint.kind == "check"]
    scope = scope_of(found.handle.name, fields)
    return tuple((check.name, condition(context, parsed(check.expression), scope, CHECK, "CHECK")) for check in checks)
