"""Statements that define things, and EXPLAIN: they become commands (bound.py), with or without a plan (hop 2).

Tables with their columns and constraints are in definitions.py, ALTER in alter.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shoal.catalog.connector import SupportsDefinitions
from shoal.catalog.declarations import ColumnInfo, Index, IndexExpression, NumberSequence
from shoal.catalog.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    InvalidTableDefinition,
    ReadOnlyTransaction,
    SqlError,
    SqlSyntaxError,
    TooManyColumns,
    UndefinedColumn,
    UndefinedTable,
    WrongObjectType,
)
from shoal.catalog.types import INT8, JSON, TEXT
from shoal.exec.plan.nodes import Field, PlanNode, Project
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.bound import (
    Bound,
    Comment,
    CreateIndex,
    CreateSchema,
    CreateSequence,
    CreateTable,
    CreateView,
    Drop,
    DropSchema,
    Explain,
    NoEffect,
    Refresh,
    Truncate,
)
from shoal.exec.sql.context import Context, Query, bare_type, fail
from shoal.exec.sql.definitions import column_collation, number_sequence, operator_class
from shoal.exec.sql.queries import bind_subquery
from shoal.exec.sql.stored_expressions import index_expression, scope_of, with_keys, with_predicate
from shoal.exec.sql.views import definition_of

MOST_COLUMNS = 1_600
"""Of a table: PostgreSQL's limit."""
_EXPLAIN_FLAGS = frozenset({"analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary",
                            "generic_plan"})
_TRUE, _FALSE = ("on", "true", "1"), ("off", "false", "0")


def command(context: Context, made: Any, tag: str, notices: Sequence[str] = ()) -> Bound:
    return Bound("command", None, (), (), context.parameters.finish(), made, tag, (*context.notices, *notices))


def require_writable(context: Context, what: str) -> None:
    """Raises: ReadOnlyTransaction (25006)."""
    if context.session.read_only:
        raise ReadOnlyTransaction(f"cannot execute {what} in a read-only transaction")


# Tables and views from queries

def bind_table_as(context: Context, tree: d.CreateTable) -> Bound:
    """CREATE TABLE AS and CREATE MATERIALIZED VIEW."""
    what = "CREATE MATERIALIZED VIEW" if tree.materialized else "CREATE TABLE AS"
    context.statement = tree.query
    query = bind_subquery(context, tree.query, None, {})
    columns = query_columns(query, tree.columns, what)
    plan = _exact(query)
    view = definition_of(context, tree.text, plan) if tree.materialized else None
    made = CreateTable(tree.target.parts, columns, tree.exists, tree.temporary, tree.with_data, on_commit=tree.on_commit,
                       view=view)
    return Bound("create_table_as", plan, (), (), context.parameters.finish(), made, "SELECT" if tree.with_data else what,
                 tuple(context.notices))


def _exact(query: Query) -> PlanNode:
    plan = query.plan
    if tuple(f.id for f in plan.output) != tuple(f.id for f in query.fields):
        plan = Project(plan, tuple((f, f.ref()) for f in query.fields))
    return plan


def query_columns(query: Query, names: Sequence[d.ColumnNode] | None, what: str) -> tuple[ColumnInfo, ...]:
    """The columns of a table or view made from a query."""
    if names is not None and len(names) > len(query.fields):
        fail(SqlSyntaxError, f"{what} specifies more column names than columns" if what == "CREATE VIEW" else
             "too many column names were specified", -1)
    columns = tuple(ColumnInfo(names[i].name if names is not None and i < len(names) else f.name, f.type)
                    for i, f in enumerate(query.fields))
    check_names(columns)
    for column in columns:
        if column.type.name == "void" or (column.type.name in ("record", "_record") and column.type.user is None):
            fail(InvalidTableDefinition, f'column "{column.name}" has pseudo-type {bare_type(column.type).sql}', -1)
    return columns


def check_names(columns: Sequence[ColumnInfo]) -> None:
    """Raises: DuplicateColumn (42701), TooManyColumns (54011)."""
    if len(columns) > MOST_COLUMNS:
        fail(TooManyColumns, f"tables can have at most {MOST_COLUMNS} columns", -1)
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            fail(DuplicateColumn, f'column "{column.name}" specified more than once', -1)
        seen.add(column.name)


def bind_create_view(context: Context, tree: d.CreateView) -> Bound:
    require_writable(context, "CREATE VIEW")
    context.parameters.refuse()
    query = bind_subquery(context, tree.query, None, {})
    columns = query_columns(query, tree.columns, "CREATE VIEW")
    view = replace(definition_of(context, tree.text, _exact(query)), check=tree.check)
    if tree.check:
        from shoal.exec.sql.updatable import reason
        if why := reason(tree.query):
            fail(FeatureNotSupported, "WITH CHECK OPTION is supported only on automatically updatable views", -1, hint=why)
    temporary = tree.temporary or any(read.schema == context.namespace.temporary for read in view.reads)
    notices = [f'view "{tree.target.parts[-1]}" will be a temporary view'] if temporary and not tree.temporary else []
    return command(context, CreateView(tree.target.parts, columns, view, tree.replace, temporary), "CREATE VIEW", notices)


def bind_refresh(context: Context, tree: d.Refresh) -> Bound:
    from shoal.exec.sql.views import view_query
    require_writable(context, "REFRESH MATERIALIZED VIEW")
    try:
        found = context.namespace.resolve(tree.target.parts)
    except SqlError as error:
        error.position = 0
        raise
    name = tree.target.parts[-1]
    if found.handle.kind != "materialized_view":
        raise WrongObjectType(f'"{name}" is not a table or materialized view' if found.handle.kind == "view" else
                              f'"{name}" is not a materialized view')
    from shoal.catalog.connector import SupportsDefinitions
    if not isinstance(found.connector, SupportsDefinitions):
        raise FeatureNotSupported(f'catalog "{found.connector.name}" cannot refresh its materialized views from here')
    view = found.connector.definition_of(found.handle).view
    assert view is not None
    query = view_query(context, found, view)
    return Bound("create_table_as", _exact(query), (), (), (), Refresh(found.handle, tree.with_data),
                 "REFRESH MATERIALIZED VIEW", tuple(context.notices))


# Everything else that needs no plan

def bind_create_schema(context: Context, tree: d.CreateSchema) -> Bound:
    require_writable(context, "CREATE SCHEMA")
    return command(context, CreateSchema(tree.target.parts, tree.exists, tuple(tree.elements)), "CREATE SCHEMA")


def bind_create_sequence(context: Context, tree: d.CreateSequence) -> Bound:
    require_writable(context, "CREATE SEQUENCE")
    options = dict(tree.options)
    owner = options.pop("owner", None)
    made = number_sequence(options, NumberSequence("", INT8))
    return command(context, CreateSequence(tree.target.parts, made, tree.exists, tree.temporary,
                                           None if owner in (None, ("none",)) else owner), "CREATE SEQUENCE")


def bind_create_index(context: Context, tree: d.CreateIndex) -> Bound:
    require_writable(context, "CREATE INDEX")
    try:
        found = context.namespace.resolve(tree.table.parts)
    except SqlError as error:
        error.position = 0
        raise
    if tree.unique and tree.method != "btree":
        fail(FeatureNotSupported, f'access method "{tree.method}" does not support unique indexes', -1)
    infos = {info.name: info.type for info in found.columns if not info.hidden}
    fields = [Field(i, *info) for i, info in enumerate(infos.items(), 1)]
    scope = scope_of(found.handle.name, fields)
    columns: list[str] = []
    collations: list[str] = []
    classes: list[int] = []
    expressions: list[IndexExpression] = []
    for column in tree.columns:
        node = column.expression
        name = node.parts[0] if isinstance(node, s.Name) and len(node.parts) == 1 else column.name
        if name and name not in infos:
            fail(UndefinedColumn, f'column "{name}" does not exist', -1 if node is None else node.pos)
        if not name:
            expressions.append(index_expression(context, node, column.text, scope))
        sql_type = infos[name] if name else expressions[-1].type
        columns.append(name or f"({expressions[-1].text})")
        classes.append(operator_class(column.operator_class, tree.method, sql_type))
        collations.append("" if column.collation is None else column_collation(column.collation, sql_type, False))
    for name in tree.included:
        if name not in infos:
            fail(UndefinedColumn, f'column "{name}" does not exist', -1)
    index = Index(tree.name, (*columns, *tree.included), tree.unique, method=tree.method,
                  options=tuple(column.descending + 2 * column.nulls_first for column in tree.columns),
                  keys=len(columns) if tree.included else None,
                  classes=tuple(classes) if any(column.operator_class for column in tree.columns) else (),
                  collations=tuple(collations) if any(collations) else (),
                  expressions=tuple(expressions))
    if tree.predicate is not None:
        index = with_predicate(context, tree.predicate, tree.predicate_text, scope, index)
    index = with_keys(context, fields, scope, index)
    return command(context, CreateIndex(tree.table.parts, index, tree.exists), "CREATE INDEX")


def bind_drop(context: Context, tree: d.Drop) -> Bound:
    require_writable(context, f"DROP {tree.kind}")
    parts = tuple(target.parts for target in tree.targets)
    made: Any = (DropSchema(parts, tree.exists, tree.cascade) if tree.kind == "SCHEMA" else
                 Drop(tree.kind, parts, tree.exists, tree.cascade))
    return command(context, made, f"DROP {tree.kind}")


def bind_comment(context: Context, tree: d.Comment) -> Bound:
    require_writable(context, "COMMENT")
    if tree.kind == "FUNCTION":
        from shoal.exec.sql.routines import bind_comment_on_function
        return bind_comment_on_function(context, tree)
    return command(context, Comment(tree.kind, tree.target.parts, tree.text or "", tree.column), "COMMENT")


def bind_ignored(context: Context, tree: d.Ignored) -> Bound:
    for target in tree.tables:
        try:
            context.namespace.resolve(target.parts)
        except SqlError as error:
            error.position = 0
            raise
    for target in tree.indexes:
        name = target.parts[-1]
        if not any(isinstance(connector, SupportsDefinitions) and connector.index_owner(schema, name) is not None
                   for connector, schema in context.namespace.places(target.parts[:-1])):
            raise UndefinedTable(f'relation "{name}" does not exist')
    return command(context, NoEffect(), tree.tag, tree.notices)


def bind_truncate(context: Context, tree: Any) -> Bound:
    require_writable(context, "TRUNCATE TABLE")
    tables = tuple(target.parts for target in tree.expressions)
    for target in tree.expressions:
        try:
            context.namespace.resolve(target.parts)
        except SqlError as error:
            error.position = 0
            raise
    return command(context, Truncate(tables, bool(tree.meta.get("restart")), bool(tree.meta.get("cascade"))),
                   "TRUNCATE TABLE")


def bind_explain(context: Context, tree: Any, inner: Bound) -> Bound:
    options: list[tuple[str, str | None, int]] = tree.meta["options"]
    flags: dict[str, bool] = {}
    form = "text"
    for name, value, pos in options:
        if name == "format":
            if value is None:
                raise SqlSyntaxError("format requires a parameter")
            if value not in ("text", "json"):
                if value in ("xml", "yaml"):
                    raise FeatureNotSupported(f"EXPLAIN (FORMAT {value.upper()}) is not supported")
                fail(InvalidParameterValue, f'unrecognized value for EXPLAIN option "format": "{value}"', pos)
            form = value
        elif name not in _EXPLAIN_FLAGS:
            fail(SqlSyntaxError, f'unrecognized EXPLAIN option "{name}"', pos)
        elif value is not None and value not in _TRUE + _FALSE:
            raise SqlSyntaxError(f"{name} requires a Boolean value")
        else:
            flags[name] = value is None or value in _TRUE
    if inner.kind not in ("select", "insert", "update", "delete", "merge", "create_table_as"):
        raise FeatureNotSupported(f"EXPLAIN of {inner.tag} is not supported")
    for name in ("wal", "timing"):
        if flags.get(name) and not flags.get("analyze"):
            raise InvalidParameterValue(f"EXPLAIN option {name.upper()} requires ANALYZE")
    analyze = flags.get("analyze", False)
    command = Explain(inner, analyze, flags.get("verbose", False), form, flags.get("costs", True),  # type: ignore[arg-type]
                      flags.get("timing", analyze), flags.get("summary", analyze))
    column: Field = context.field("QUERY PLAN", JSON if form == "json" else TEXT)
    return Bound("explain", None, (column,), (None,), inner.parameters, command, "EXPLAIN", tuple(context.notices))
