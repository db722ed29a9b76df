"""CREATE, DROP, TRUNCATE and EXPLAIN: statements that become commands (bound.py) instead of plans (hop 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.connector import ColumnInfo
from shoal.catalog.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    InvalidParameterValue,
    InvalidTableDefinition,
    ReadOnlyTransaction,
    SqlError,
    SqlSyntaxError,
)
from shoal.catalog.types import JSON, TEXT
from shoal.exec.plan.nodes import Field, Project
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import (
    Bound,
    CreateSchema,
    CreateTable,
    CreateView,
    DropSchema,
    DropTable,
    DropView,
    Explain,
    Parts,
    Truncate,
)
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import DEFAULT, Context, Level, Query, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.queries import bind_subquery
from shoal.exec.sql.scope import Scope
from shoal.exec.sql.type_names import resolve_type

_EXPLAIN_FLAGS = frozenset({"analyze", "verbose", "costs", "settings", "buffers", "wal", "timing", "summary",
                            "generic_plan"})
_TRUE, _FALSE = ("on", "true", "1"), ("off", "false", "0")


def _bound(context: Context, kind: Any, command: Any, tag: str) -> Bound:
    return Bound(kind, None, (), (), context.parameters.finish(), command, tag, tuple(context.notices))


def _writable(context: Context, what: str) -> None:
    if context.session.read_only:
        raise ReadOnlyTransaction(f"cannot execute {what} in a read-only transaction")


def bind_create(context: Context, tree: Any, text: str) -> Bound:
    kind = tree.args["kind"]
    _writable(context, f"CREATE {kind}")
    parts: Parts = tree.this.parts
    exists = bool(tree.args.get("exists"))
    if kind == "SCHEMA":
        return _bound(context, "create_schema", CreateSchema(parts, exists), "CREATE SCHEMA")
    query_tree = tree.args.get("expression")
    if kind == "VIEW":
        query = bind_subquery(context, query_tree, None, {})
        columns = _query_columns(query, tree.meta["columns"], "CREATE VIEW", tree.this.pos)
        view = CreateView(parts, columns, tree.meta["text"], bool(tree.args.get("replace")))
        return _bound(context, "create_view", view, "CREATE VIEW")
    temporary = tree.meta["temporary"]
    if query_tree is None:
        columns = tuple(_column(context, c) for c in tree.meta["columns"] or ())
        _check_names(columns, tree.this.pos)
        return _bound(context, "create_table", CreateTable(parts, columns, exists, temporary), "CREATE TABLE")
    query = bind_subquery(context, query_tree, None, {})
    columns = _query_columns(query, tree.meta["columns"], "CREATE TABLE AS", tree.this.pos)
    plan = query.plan
    if tuple(f.id for f in plan.output) != tuple(f.id for f in query.fields):
        plan = Project(plan, tuple((f, f.ref()) for f in query.fields))
    command = CreateTable(parts, columns, exists, temporary, tree.meta["with_data"])
    return Bound("create_table_as", plan, (), (), context.parameters.finish(), command,
                 "SELECT" if command.with_data else "CREATE TABLE AS", tuple(context.notices))


def _query_columns(query: Query, names: Sequence[s.ColumnDefinition] | None, what: str, pos: int) -> tuple[ColumnInfo, ...]:
    """The columns of a table or view made from a query."""
    if names is not None and len(names) > len(query.fields):
        fail(SqlSyntaxError, f"{what} specifies more column names than columns" if "VIEW" in what else
             "too many column names were specified", pos)
    columns = tuple(ColumnInfo(names[i].name if names is not None and i < len(names) else f.name, f.type)
                    for i, f in enumerate(query.fields))
    _check_names(columns, pos)
    for column in columns:
        if column.type.name in ("record", "void"):
            fail(InvalidTableDefinition, f'column "{column.name}" has pseudo-type {column.type.name}', pos)
    return columns


def _check_names(columns: Sequence[ColumnInfo], pos: int) -> None:
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            fail(DuplicateColumn, f'column "{column.name}" specified more than once', pos)
        seen.add(column.name)


def _column(context: Context, definition: s.ColumnDefinition) -> ColumnInfo:
    assert definition.type is not None
    if definition.type.name in ("serial", "bigserial", "smallserial"):
        fail(FeatureNotSupported, f"{definition.type.name} columns are not supported", definition.type.pos)
    sql_type = resolve_type(definition.type)
    if sql_type.name in ("record", "void", "unknown"):
        fail(InvalidTableDefinition, f'column "{definition.name}" has pseudo-type {sql_type.name}', definition.type.pos)
    if definition.default is not None:
        binder = ExpressionBinder(Level(context, None, Scope(), {}), DEFAULT)
        value = coerce(context, binder.bind(definition.default), sql_type, definition.default.pos, "assignment")
        default = str(value) if value.type == sql_type else ""
    else:
        default = ""
    return ColumnInfo(definition.name, sql_type, not definition.not_null, default=default)


def bind_drop(context: Context, tree: Any) -> Bound:
    kind = tree.args["kind"]
    _writable(context, f"DROP {kind}")
    parts = tuple(target.parts for target in tree.expressions)
    exists, cascade = bool(tree.args.get("exists")), bool(tree.args.get("cascade"))
    make: Any = {"TABLE": DropTable, "SCHEMA": DropSchema, "VIEW": DropView}[kind]
    return _bound(context, f"drop_{kind.lower()}", make(parts, exists, cascade), f"DROP {kind}")


def bind_truncate(context: Context, tree: Any) -> Bound:
    _writable(context, "TRUNCATE TABLE")
    tables = tuple(target.parts for target in tree.expressions)
    for target in tree.expressions:
        try:
            context.namespace.resolve(target.parts)
        except SqlError as error:
            error.position = error.position or target.pos + 1
            raise
    return _bound(context, "truncate", Truncate(tables), "TRUNCATE TABLE")


def bind_explain(context: Context, tree: Any, inner: Bound) -> Bound:
    options: dict[str, str] = tree.meta["options"]
    flags: dict[str, bool] = {}
    form = "text"
    for name, value in options.items():
        if name == "format":
            if value not in ("text", "json"):
                if value in ("xml", "yaml"):
                    raise FeatureNotSupported(f"EXPLAIN (FORMAT {value.upper()}) is not supported")
                raise InvalidParameterValue(f'unrecognized value for EXPLAIN option "format": "{value}"')
            form = value
        elif name not in _EXPLAIN_FLAGS:
            raise SqlSyntaxError(f'unrecognized EXPLAIN option "{name}"')
        elif value not in _TRUE + _FALSE:
            raise SqlSyntaxError(f"{name} requires a Boolean value")
        else:
            flags[name] = value in _TRUE
    if inner.kind not in ("select", "insert", "update", "delete", "create_table_as"):
        raise FeatureNotSupported(f"EXPLAIN of {inner.tag} is not supported")
    if flags.get("timing") and not flags.get("analyze"):
        raise InvalidParameterValue("EXPLAIN option TIMING requires ANALYZE")
    analyze = flags.get("analyze", False)
    command = Explain(inner, analyze, flags.get("verbose", False), form, flags.get("costs", True),  # type: ignore[arg-type]
                      flags.get("timing", analyze), flags.get("summary", analyze))
    column: Field = context.field("QUERY PLAN", JSON if form == "json" else TEXT)
    return Bound("explain", None, (column,), (None,), inner.parameters, command, "EXPLAIN", tuple(context.notices))
