"""Expressions that a catalog keeps as text: column defaults and CHECK conditions, bound anew where they are used (hop 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo, Constraint, Index, IndexExpression
from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, InvalidObjectDefinition
from shoal.exec.functions.casts import can_coerce
from shoal.exec.functions.registry import is_immutable
from shoal.exec.index_keys import IndexKeys
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, walk
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, settle
from shoal.exec.sql.context import CHECK, DEFAULT, GENERATED, INDEX, INDEX_PREDICATE, Clause, Context, Level, bare_type, fail
from shoal.exec.sql.deparse import Deparser, shown_or_none
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.names import index_name
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn

_ONE_TEXT = frozenset({"text", "varchar", "bpchar", "int2", "int4", "int8", "numeric", "bool", "uuid"})
"""Types whose values have one text, whatever the settings."""
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
    return _in_domain(context, coerce(context, value, column.type, pos, "assignment"), column)


def _in_domain(context: Context, value: Expr, column: ColumnInfo) -> Expr:
    """A value for a column of a domain, once it has passed the domain's conditions."""
    if column.domain is None:
        return value
    from shoal.exec.sql import user_types
    found = user_types.find(context, column.domain)
    return value if found is None or found.domain is None else user_types.in_domain(context, value, found.domain)


def default_value(context: Context, column: ColumnInfo) -> Expr:
    """The column's default value: its declared expression, else NULL."""
    if not column.default or column.generated:
        return _in_domain(context, Literal(column.type, None), column)
    node = parsed(column.default)
    if isinstance(node, s.Function) and node.name[-1] == "nextval" and isinstance(node.args[0], s.Cast):
        node.args[0] = node.args[0].arg  # the name will do, and is found faster than the OID
    binder = ExpressionBinder(Level(context, None, Scope(), {}), DEFAULT)
    return assigned(context, binder.bind(node), column, -1)


def default_text(context: Context, node: Any, text: str, column: ColumnInfo) -> str:
    """What is kept of a default: as PostgreSQL prints it, `text` where that cannot be; "" for NULL.

    Raises: DatatypeMismatch (42804), FeatureNotSupported (0A000) ...
    """
    binder = ExpressionBinder(Level(context, None, Scope(), {}), DEFAULT)
    bound = binder.bind(node)
    assigned(context, bound, column, s.place(node))
    if isinstance(bound, Literal) and bound.value is None and bound.type.name == "unknown":
        return ""
    shown = shown_or_none(Deparser(binder).default, node, column.type)
    return text if shown is None else shown.text(False)


def generation_text(context: Context, node: Any, text: str, column: ColumnInfo, scope: Scope, generated: set[str]) -> str:
    """What is kept of a generated column's expression. Raises: InvalidObjectDefinition (42P17) for one that is not
    immutable, InvalidColumnReference (42P10) for one over generated columns, DatatypeMismatch (42804) ..."""
    level = Level(context, None, scope, {})
    binder = ExpressionBinder(level, GENERATED, [])
    bound = assigned(context, binder.bind(node), column, s.place(node))
    used = next((name for name in _columns(bound) if name in generated), None)
    if used is not None:
        fail(InvalidObjectDefinition, f'cannot use generated column "{used}" in column generation expression', s.place(node),
             detail="A generated column cannot reference another generated column.")
    if binder.applies:
        fail(FeatureNotSupported, "cannot use subquery in column generation expression", s.place(node))
    if any(isinstance(part, Call) and not is_immutable(part.name, [a.type for a in part.args]) for part in walk(bound)):
        fail(InvalidObjectDefinition, "generation expression is not immutable", -1)
    shown = shown_or_none(Deparser(binder).default, node, column.type)
    return text if shown is None else shown.text(False)


def generated_values(context: Context, name: str, columns: Sequence[ColumnInfo],
                     stored: Sequence[Field]) -> list[tuple[Field, Expr]]:
    """The values of a table's generated columns, made of the other columns that are to be stored."""
    if not any(column.generated for column in columns):
        return []
    binder = ExpressionBinder(Level(context, None, scope_of(name, stored), {}), GENERATED, [])
    return [(field, assigned(context, binder.bind(parsed(column.default)), column, -1))
            for field, column in zip(stored, columns, strict=True) if column.generated]


def columns_read(context: Context, column: ColumnInfo, table: str, stored: Sequence[Field]) -> tuple[str, ...]:
    """The columns that a generated column is made of."""
    binder = ExpressionBinder(Level(context, None, scope_of(table, stored), {}), GENERATED, [])
    return _columns(binder.bind(parsed(column.default)))


def check(context: Context, node: Any, text: str, scope: Scope, made: Constraint) -> Constraint:
    """The CHECK constraint `made` with its condition. Raises: DatatypeMismatch (42804), UndefinedColumn (42703) ..."""
    binder = ExpressionBinder(Level(context, None, scope, {}), CHECK)
    bound = binder.bind_boolean(node, "CHECK")
    made = replace(made, columns=_columns(bound), expression=text)
    shown = shown_or_none(Deparser(binder).boolean, node)
    if shown is None:
        return made
    return replace(made, expression=shown.text(False), definition=f"CHECK ({shown.text(False)})",
                   pretty=f"CHECK ({shown.text(True)})")


def _columns(bound: Expr) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.name for part in walk(bound) if isinstance(part, ColumnRef)))


def index_expression(context: Context, node: Any, text: str, scope: Scope) -> IndexExpression:
    """Raises: UndefinedColumn (42703), InvalidObjectDefinition (42P17) for one that is not immutable ..."""
    binder = ExpressionBinder(Level(context, None, scope, {}), INDEX)
    bound = settle(context, binder.bind(node), s.place(node))
    _require_immutable(bound, "index expression")
    shown = shown_or_none(Deparser(binder).settled, node)
    texts = (text, text) if shown is None else (shown.text(False), shown.text(True))
    return IndexExpression(*texts, bare_type(bound.type), index_name(node), shown is not None and shown.is_call,
                           _columns(bound))


def predicate_texts(context: Context, node: Any, text: str, scope: Scope) -> tuple[Expr, str, str]:
    """An index's condition, and it as PostgreSQL prints it, also prettily. Raises: DatatypeMismatch (42804),
    UndefinedColumn (42703), InvalidObjectDefinition (42P17) ..."""
    binder = ExpressionBinder(Level(context, None, scope, {}), INDEX_PREDICATE)
    bound = binder.bind_boolean(node, "WHERE")
    _require_immutable(bound, "index predicate")
    shown = shown_or_none(Deparser(binder).boolean, node)
    return (bound, *((f"({text})", f"({text})") if shown is None else (shown.text(False), shown.text(True))))


def with_predicate(context: Context, node: Any, text: str, scope: Scope, made: Index) -> Index:
    """The index `made` of the rows that meet a condition. Raises: as `predicate_texts`."""
    _, predicate, pretty = predicate_texts(context, node, text, scope)
    return replace(made, predicate=predicate, pretty_predicate=pretty)


def with_keys(context: Context, fields: Sequence[Field], scope: Scope, made: Index) -> Index:
    """A unique index with what computes its keys, where those are not columns of all rows. `fields`: the table's columns,
    which `scope` has."""
    if not made.unique or not (made.expressions or made.predicate):
        return made
    keys, predicate = index_keys(context, fields, scope, made)
    return replace(made, keys_of=IndexKeys(fields, keys, predicate))


def index_keys(context: Context, fields: Sequence[Field], scope: Scope, made: Index) -> tuple[list[Expr], Expr | None]:
    """The keys of an index, and its condition, over the table's columns."""
    texts = {f"({expression.text})": expression.text for expression in made.expressions}
    columns: dict[str, Expr] = {field.name: field.ref() for field in fields}
    level = Level(context, None, scope, {})
    keys = [columns[name] if name not in texts else
            settle(context, ExpressionBinder(level, INDEX).bind(parsed(texts[name])), -1) for name in made.key_columns]
    predicate = None
    if made.predicate:
        predicate = ExpressionBinder(level, INDEX_PREDICATE).bind_boolean(parsed(made.predicate), "WHERE")
    return keys, predicate


def _require_immutable(bound: Expr, what: str) -> None:
    if any(isinstance(part, Call) and not _is_fixed(part) for part in walk(bound)):
        fail(InvalidObjectDefinition, f"functions in {what} must be marked IMMUTABLE", -1)


def _is_fixed(part: Call) -> bool:
    """Whether a call is immutable once it has been simplified: `text || x` is, where the text of x always is."""
    if part.name == "concat_op" and all(arg.type.name in _ONE_TEXT for arg in part.args):
        return True
    return part.name == "row" or is_immutable(part.name, [arg.type for arg in part.args])


def renamed(node: Any, old: str, new: str) -> Any:
    """A syntax tree with a column under its new name."""
    if isinstance(node, s.Name):
        return replace(node, parts=(*node.parts[:-1], new if node.parts[-1] == old else node.parts[-1]))
    if isinstance(node, (list, tuple)):
        return type(node)(renamed(item, old, new) for item in node)
    if not isinstance(node, s.Node):
        return node
    return replace(node, **{part.name: renamed(getattr(node, part.name), old, new) for part in fields(node)})


def reads_sequences(expr: Expr) -> bool:
    """Whether only the coordinator can compute it."""
    return any(isinstance(part, Call) and part.name in SEQUENCE_FUNCTIONS for part in walk(expr))


def scope_of(name: str, stored: Sequence[Field]) -> Scope:
    """The columns of a table that is being written, as conditions on its rows see them."""
    columns = [ScopeColumn(field.name, field.ref(), name) for field in stored]
    return Scope([Relation(name, columns)], columns)


def condition(context: Context, node: Any, scope: Scope, clause: Clause, what: str) -> Expr:
    """A boolean expression over the columns of `scope`."""
    return ExpressionBinder(Level(context, None, scope, {}), clause).bind_boolean(node, what)


def checks_of(context: Context, found: ResolvedTable, stored: Sequence[Field]) -> tuple[tuple[str, Expr], ...]:
    """The table's CHECK constraints over the columns that are to be stored."""
    checks = [constraint for constraint in found.connector.constraints(found.handle) if constraint.kind == "check"]
    scope = scope_of(found.handle.name, stored)
    return tuple((made.name, condition(context, parsed(made.expression), scope, CHECK, "CHECK")) for made in checks)
