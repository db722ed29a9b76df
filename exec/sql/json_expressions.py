"""SQL/JSON expressions: constructors, tests and query functions, bound to calls of functions of ours (hop 2).

    JSON_OBJECT('a' VALUE x)                json_object_of(flags, 'a', x)
    JSON_ARRAYAGG(x)                        json_agg_strict(x)
    JSON_VALUE(j, '$.a' RETURNING int)      json_query_of(spec, j, '$.a')::the call's type is int

Spec: PostgreSQL 17 documentation, 9.16.1 and 9.16.3; wording of parse_expr.c.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, SqlSyntaxError
from shoal.catalog.types import BOOL, BYTEA, JSON, JSONB, TEXT, SqlType
from shoal.exec.functions.casts import STRING_CATEGORY, bare_sql
from shoal.exec.functions.jsonpath_syntax import parse
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal, call
from shoal.exec.plan.nodes import Aggregate, Limit, Project, Sort
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_json as sj
from shoal.exec.sql.calls import bind_function
from shoal.exec.sql.coercion import coerce, settle
from shoal.exec.sql.context import Query, fail
from shoal.exec.sql.rows import as_json
from shoal.exec.sql.type_names import resolve_type

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

JSONPATH = SqlType("jsonpath")


def bind_formatted(b: ExpressionBinder, node: sj.JsonFormatted) -> Expr:
    """expression FORMAT JSON."""
    arg = b.bind(node.arg)
    if arg.type.name in ("json", "jsonb"):
        return arg
    if arg.type.name not in (*STRING_CATEGORY, "unknown", "bytea"):
        fail(DatatypeMismatch, "cannot use non-string types with explicit FORMAT JSON clause", s.place(node.arg))
    return coerce(b.context, _text_of(b, arg, node.pos), JSON, node.pos, "explicit")


def _text_of(b: ExpressionBinder, arg: Expr, pos: int) -> Expr:
    if arg.type.name == "bytea":
        return call("convert_from", TEXT, arg, Literal(SqlType("name"), "UTF8"))
    return coerce(b.context, arg, TEXT, pos, "explicit") if arg.type.name == "unknown" else arg


def _value(b: ExpressionBinder, node: Any, binary: bool) -> Expr:
    return as_json(settle(b.context, b.bind(node), node.pos), binary)


def returned(b: ExpressionBinder, value: Expr, output: sj.JsonOutput | None, pos: int) -> Expr:
    """What a constructor made, as the RETURNING clause wants it."""
    if output is None:
        return value
    target = resolve_type(output.type, b.context)
    if target == value.type:
        return value
    if target == BYTEA:
        return call("convert_to", BYTEA, coerce(b.context, value, TEXT, pos, "explicit"), Literal(SqlType("name"), "UTF8"))
    if target.name not in (*STRING_CATEGORY, "json", "jsonb"):
        fail(FeatureNotSupported, f"cannot use type {bare_sql(target)} in RETURNING clause of a JSON constructor", pos)
    return coerce(b.context, value, target, pos, "explicit")


def bind_constructor(b: ExpressionBinder, node: sj.JsonConstructor) -> Expr:
    """JSON_OBJECT, JSON_ARRAY and their aggregates."""
    binary = node.returning is not None and resolve_type(node.returning.type, b.context) == JSONB
    kind, made_type = ("jsonb", JSONB) if binary else ("json", JSON)
    if node.kind in ("objectagg", "arrayagg"):
        return returned(b, _aggregate(b, node, kind), node.returning, node.pos)
    if node.query is not None:
        return returned(b, _array_query(b, node, made_type, kind), node.returning, node.pos)
    flags = " ".join(name for name, given in (("absent", node.absent), ("unique", node.unique)) if given)
    items = [_value(b, item, binary) for item in node.items]
    made = Call(made_type, f"{kind}_{node.kind}_of", (Literal(TEXT, flags), *items))
    return returned(b, made, node.returning, node.pos)


def _aggregate(b: ExpressionBinder, node: sj.JsonConstructor, kind: str) -> Expr:
    name = f"{kind}_agg" if node.kind == "arrayagg" else f"{kind}_object_agg"
    name += ("_unique" if node.unique else "") + ("_strict" if node.absent else "")
    written = s.Function(node.pos, (name,), node.items, order=node.order, filter=node.filter, over=node.over)
    return bind_function(b, written)


def _array_query(b: ExpressionBinder, node: sj.JsonConstructor, made_type: SqlType, kind: str) -> Expr:
    """JSON_ARRAY(query): its rows that are not NULL, in its order."""
    query = b.bind_query(node.query)
    if len(query.fields) != 1:
        fail(SqlSyntaxError, "subquery must return only one column", node.pos)
    gathered = b.context.field("json_array", made_type)
    source, value = query.plan, query.fields[0].ref()
    if isinstance(source, Project) and isinstance(source.input, (Sort, Limit)):
        value = next(expr for field, expr in source.assignments if field.id == value.id)  # type: ignore[assignment]
        if isinstance(value, e.ColumnRef):
            source = source.input
        else:
            value = query.fields[0].ref()
    sort = source.input if isinstance(source, Limit) else source
    order = sort.keys if isinstance(sort, Sort) else ()
    aggregate = e.AggregateCall(f"{kind}_agg_strict", (value,), made_type, order_by=order)
    nested = Query(Aggregate(source, (), ((gathered, aggregate),)), (gathered,), (None,), query.places, query.refs)
    return b.apply("scalar", nested, made_type, "json_array")


def bind_conversion(b: ExpressionBinder, node: sj.JsonConversion) -> Expr:
    """JSON(), JSON_SCALAR(), JSON_SERIALIZE()."""
    arg = b.bind(node.arg)
    if node.kind == "json_scalar":
        value = settle(b.context, arg, node.pos)
        if value.type.name in ("json", "jsonb"):
            return coerce(b.context, value, JSON, node.pos, "explicit")
        if value.type.is_array or value.type.name == "record":
            value = e.Cast(TEXT, value)
        return Call(JSON, "to_json", (value,))
    if arg.type.name not in (*STRING_CATEGORY, "unknown", "bytea", "json", "jsonb"):
        fail(DatatypeMismatch, f"cannot cast type {bare_sql(arg.type)} to json", s.place(node.arg))
    made = coerce(b.context, _text_of(b, arg, node.pos), JSON, node.pos, "explicit")
    if node.kind == "json_serialize":
        output = node.returning
        if output is None:
            return coerce(b.context, made, TEXT, node.pos, "explicit")
        return returned(b, made, output, node.pos)
    return call("json_unique", JSON, made) if node.unique else made


def bind_is_json(b: ExpressionBinder, node: sj.IsJson) -> Expr:
    """IS [NOT] JSON."""
    arg = b.bind(node.arg)
    if arg.type.name not in (*STRING_CATEGORY, "unknown", "bytea", "json", "jsonb"):
        fail(DatatypeMismatch, f"cannot use type {bare_sql(arg.type)} in IS JSON predicate", node.pos)
    text = coerce(b.context, _text_of(b, arg, node.pos), TEXT, node.pos, "explicit")
    test = call("is_json", BOOL, text, Literal(TEXT, node.kind + (" unique" if node.unique else "")))
    return call("not", BOOL, test) if node.negated else test


# Query functions

def document_of(b: ExpressionBinder, node: Any) -> Expr:
    """What a path is applied to, as jsonb."""
    arg = b.bind(node)
    if arg.type.name not in (*STRING_CATEGORY, "unknown", "bytea", "json", "jsonb"):
        fail(DatatypeMismatch, f"cannot use type {bare_sql(arg.type)} as the input of a JSON query function", s.place(node))
    return coerce(b.context, _text_of(b, arg, node.pos), JSONB, node.pos, "explicit")


def checked_path(text: str) -> str:
    """A path written in a column definition. Raises: SqlSyntaxError (42601)."""
    parse(text)
    return text


def passed(b: ExpressionBinder, passing: list[tuple[Any, str]]) -> list[Expr]:
    return [b.bind_settled(node) for node, _ in passing]


class Defaults:
    """The DEFAULT expressions met, which become the call's last arguments from number `first` on."""

    def __init__(self, b: ExpressionBinder, first: int) -> None:
        self.exprs: list[Expr] = []
        self._b, self._first = b, first

    def behavior(self, given: sj.JsonBehavior | None, otherwise: str, target: SqlType) -> list[Any]:
        """A behavior as functions/json_query.py reads it."""
        if given is None:
            return [otherwise]
        if given.kind != "default":
            return ["null" if given.kind == "unknown" else given.kind]
        value = coerce(self._b.context, self._b.bind(given.value), target, s.place(given.value), "assignment")
        self.exprs.append(value)
        return ["default", self._first + len(self.exprs) - 1]


def spec_of(kind: str, options: sj.JsonOptions, target: SqlType, defaults: Defaults, pos: int) -> dict[str, Any]:
    """A query function or column as functions/json_query.py reads it."""
    if options.wrapper not in ("", "none") and options.quotes:
        fail(SqlSyntaxError, "SQL/JSON QUOTES behavior must not be specified when WITH WRAPPER is used", pos)
    if kind == "value" and (options.wrapper or options.quotes):
        fail(SqlSyntaxError, "syntax error: JSON_VALUE takes neither a WRAPPER nor a QUOTES clause", pos)
    allowed = {"exists": ("error", "true", "false", "unknown"), "value": ("error", "null", "default"),
               "query": ("error", "null", "array", "object", "default")}[kind]
    for given in (options.empty, options.error):
        if given is not None and given.kind not in allowed:
            fail(SqlSyntaxError, f"invalid ON {'ERROR' if given is options.error else 'EMPTY'} behavior", pos)
    return {"kind": kind, "wrapper": options.wrapper, "quotes": options.quotes,
            "empty": defaults.behavior(options.empty, "null", target),
            "error": defaults.behavior(options.error, "false" if kind == "exists" else "null", target)}


def bind_query(b: ExpressionBinder, node: sj.JsonQuery) -> Expr:
    """JSON_EXISTS, JSON_VALUE, JSON_QUERY."""
    document = document_of(b, node.arg)
    path = coerce(b.context, b.bind(node.path), JSONPATH, s.place(node.path), "assignment")
    passing = passed(b, node.passing)
    target = {"exists": BOOL, "value": TEXT, "query": JSONB}[node.kind]
    if node.returning is not None:
        target = resolve_type(node.returning.type, b.context)
    defaults = Defaults(b, 3 + len(passing))
    spec = spec_of(node.kind, node.options, target, defaults, node.pos)
    spec["names"] = [name for _, name in node.passing]
    return Call(target, "json_query_of", (Literal(TEXT, json.dumps(spec)), document, path, *passing, *defaults.exprs))


METHODS: dict[type, Any] = {
    sj.JsonFormatted: bind_formatted, sj.JsonConstructor: bind_constructor, sj.JsonConversion: bind_conversion,
    sj.IsJson: bind_is_json, sj.JsonQuery: bind_query}
