"""Binding: a parsed statement and the names of a session, to a typed plan or a command (hop 2).

    parse.py -> bind -> dml.py | ddl.py | queries.py -> selects.py -> from_clause.py, expressions.py, grouping.py, windows.py

Columns get plan-wide ids, every implicit cast is made explicit, every literal and parameter has a type, and every
subquery of an expression is an Apply. Nothing after this looks at syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from shoal.catalog.errors import FeatureNotSupported, SqlError, SqlSyntaxError
from shoal.catalog.types import SqlType
from shoal.exec.plan.nodes import Completion, Project, SharedRows, With
from shoal.exec.session_context import SessionContext
from shoal.exec.sql import syntax_ddl
from shoal.exec.sql.alter import bind_alter
from shoal.exec.sql.bound import Bound, Command
from shoal.exec.sql.context import Context
from shoal.exec.sql.ddl import (
    bind_comment,
    bind_create_index,
    bind_create_schema,
    bind_create_sequence,
    bind_create_view,
    bind_drop,
    bind_explain,
    bind_ignored,
    bind_refresh,
    bind_truncate,
)
from shoal.exec.sql.definitions import bind_create_table
from shoal.exec.sql.dml import bind_delete, bind_insert, bind_update
from shoal.exec.sql.lexer import too_complex
from shoal.exec.sql.merge import bind_merge
from shoal.exec.sql.parse import Statement
from shoal.exec.sql.privileges import bind_drop_other, bind_privileges
from shoal.exec.sql.queries import bind_subquery
from shoal.exec.sql.syntax import TableRef

if TYPE_CHECKING:
    from shoal.catalog.access import Namespace

__all__ = ["Bound", "Command", "bind"]


def bind(statement: Statement, namespace: Namespace, session: SessionContext,
         parameter_types: Sequence[SqlType | None] = ()) -> Bound:
    """The statement's meaning. `parameter_types`: what the client declared for $1 ..., None for "infer".

    Raises: PostgreSQL's errors with its SQLSTATE, wording and 1-based character position.
    """
    if statement.tree is None:
        raise SqlSyntaxError("empty statement")
    try:
        context = Context(namespace, session, parameter_types)
        bound = _bind(context, statement.tree, statement.text)
        return replace(bound, own_definitions=True) if context.own_definitions else bound
    except RecursionError:
        raise too_complex() from None
    except SqlError as error:
        error.position = max(error.position, 0)  # below 0: nothing in the statement is to blame
        raise


def _bind(context: Context, tree: Any, text: str) -> Bound:
    context.statement = tree
    bound = _bound(context, tree, text)
    if not context.shared or bound.plan is None:
        return bound
    shared, context.shared = context.shared, []
    main = bound.plan
    if context.writes:
        main = Completion((main, *(SharedRows(number, (), ()) for number in context.writes)))
    return replace(bound, plan=With(tuple(number for number, _ in shared), (*(plan for _, plan in shared), main)))


def _bound(context: Context, tree: Any, text: str) -> Bound:
    if isinstance(tree, (exp.Query, exp.Values)):
        into = _into(tree)
        if into is not None:
            made = syntax_ddl.CreateTable(TableRef(into.pos, into.parts), temporary=into.temporary, query=tree)
            return bind_create_table(context, made)
        return _select(context, tree)
    if isinstance(tree, exp.Describe):
        return bind_explain(context, tree, _bind(context, tree.this, text))
    binder = _STATEMENTS.get(type(tree))
    if binder is None:
        raise FeatureNotSupported(f"{type(tree).__name__.upper()} is not supported")
    return binder(context, tree)


def _into(tree: Any) -> Any:
    """Takes INTO out of the first SELECT of a query."""
    while isinstance(tree, (exp.SetOperation, exp.Subquery)):
        tree = tree.this
    return tree.args.pop("into", None) if isinstance(tree, exp.Select) else None


def _select(context: Context, tree: Any) -> Bound:
    if context.session.row_ids:
        from shoal.exec.sql.positioned import add_row_ids
        add_row_ids(context, tree)
    query = bind_subquery(context, tree, None, {})
    plan = query.plan
    if tuple(f.id for f in plan.output) != tuple(f.id for f in query.fields):
        plan = Project(plan, tuple((f, f.ref()) for f in query.fields))
    return Bound("select", plan, query.fields, query.origins, context.parameters.finish(), None, "SELECT",
                 tuple(context.notices), context.locks, row_locks=bool(tree.args.get("locks")))


def _later(name: str) -> Any:
    """A binder of routines.py, which is imported when such a statement comes."""
    def run(context: Context, tree: Any) -> Bound:
        from shoal.exec.sql import routines
        made: Bound = getattr(routines, name)(context, tree)
        return made
    return run


_STATEMENTS: dict[type, Any] = {
    exp.Insert: bind_insert, exp.Update: bind_update, exp.Delete: bind_delete, exp.Merge: bind_merge,
    exp.TruncateTable: bind_truncate,
    syntax_ddl.CreateTable: bind_create_table, syntax_ddl.CreateView: bind_create_view,
    syntax_ddl.CreateSchema: bind_create_schema, syntax_ddl.CreateSequence: bind_create_sequence,
    syntax_ddl.CreateIndex: bind_create_index, syntax_ddl.Drop: bind_drop, syntax_ddl.Alter: bind_alter,
    syntax_ddl.Comment: bind_comment, syntax_ddl.Refresh: bind_refresh, syntax_ddl.Ignored: bind_ignored,
    syntax_ddl.CreateFunction: _later("bind_create_function"), syntax_ddl.CreateType: _later("bind_create_type"),
    syntax_ddl.AlterType: _later("bind_alter_type"), syntax_ddl.Privileges: bind_privileges,
    syntax_ddl.DropOther: bind_drop_other}
