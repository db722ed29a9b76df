"""Binding: a parsed statement and the names of a session, to a typed plan or a command (hop 2).

    parse.py -> bind -> dml.py | ddl.py | queries.py -> selects.py -> from_clause.py, expressions.py, grouping.py, windows.py

Columns get plan-wide ids, every implicit cast is made explicit, every literal and parameter has a type, and every
subquery of an expression is an Apply. Nothing after this looks at syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError
from shoal.catalog.types import SqlType
from shoal.exec.plan.nodes import Project
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bound import (
    Bound,
    Command,
    CreateSchema,
    CreateTable,
    CreateView,
    DropSchema,
    DropTable,
    DropView,
    Explain,
    Truncate,
)
from shoal.exec.sql.context import Context
from shoal.exec.sql.ddl import bind_create, bind_drop, bind_explain, bind_truncate
from shoal.exec.sql.dml import bind_delete, bind_insert, bind_update
from shoal.exec.sql.lexer import too_complex
from shoal.exec.sql.parse import Statement
from shoal.exec.sql.queries import bind_subquery

if TYPE_CHECKING:
    from shoal.catalog.access import Namespace

__all__ = ["Bound", "Command", "CreateSchema", "CreateTable", "CreateView", "DropSchema", "DropTable", "DropView", "Explain",
           "Truncate", "bind"]


def bind(statement: Statement, namespace: Namespace, session: SessionContext,
         parameter_types: Sequence[SqlType | None] = ()) -> Bound:
    """The statement's meaning. `parameter_types`: what the client declared for $1 ..., None for "infer".

    Raises: PostgreSQL's errors with its SQLSTATE, wording and 1-based character position.
    """
    if statement.tree is None:
        raise SqlSyntaxError("empty statement")
    try:
        return _bind(Context(namespace, session, parameter_types), statement.tree, statement.text)
    except RecursionError:
        raise too_complex() from None


def _bind(context: Context, tree: Any, text: str) -> Bound:
    if isinstance(tree, (exp.Query, exp.Values)):
        return _select(context, tree)
    if isinstance(tree, exp.Describe):
        return bind_explain(context, tree, _bind(context, tree.this, text))
    binder = _STATEMENTS.get(type(tree))
    if binder is None:
        raise FeatureNotSupported(f"{type(tree).__name__.upper()} is not supported")
    return binder(context, tree, text)


def _select(context: Context, tree: Any) -> Bound:
    query = bind_subquery(context, tree, None, {})
    plan = query.plan
    if tuple(f.id for f in plan.output) != tuple(f.id for f in query.fields):
        plan = Project(plan, tuple((f, f.ref()) for f in query.fields))
    return Bound("select", plan, query.fields, query.origins, context.parameters.finish(), None, "SELECT",
                 tuple(context.notices))


_STATEMENTS: dict[type, Any] = {
    exp.Insert: lambda c, tree, text: bind_insert(c, tree), exp.Update: lambda c, tree, text: bind_update(c, tree),
    exp.Delete: lambda c, tree, text: bind_delete(c, tree), exp.Create: bind_create,
    exp.Drop: lambda c, tree, text: bind_drop(c, tree), exp.TruncateTable: lambda c, tree, text: bind_truncate(c, tree)}
