"""Predicates: IS, BETWEEN, LIKE, IN, ANY/ALL and row comparisons, over lists and over subqueries (hop 2).

A subquery never stays in an expression: it becomes an Apply (nodes.py) whose mark column the expression reads. x IN
(query) is an Apply of kind "any"; NOT IN its negation; = ALL the negation of "<> ANY".

Spec: PostgreSQL 15 documentation, 9.2, 9.7, 9.23 and 9.24.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import (
    FeatureNotSupported,
    SqlError,
    SqlSyntaxError,
    UndefinedFunction,
    UndefinedObject,
    WrongObjectType,
)
from shoal.catalog.types import BOOL, BYTEA, INT4, OIDS, TEXT, SqlType, array_of
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal, Parameter, call, conjunction, disjunction
from shoal.exec.plan.nodes import Aggregate, Field, Project
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, coerce_boolean, common, operator, operator_for, ranked, settle, unify
from shoal.exec.sql.constant_columns import alike, bound, can_be_listed, constant_values, converted
from shoal.exec.sql.constants import ConstantList
from shoal.exec.sql.context import Query, bare_type, fail

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_NEGATED = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}


def negate(predicate: Expr) -> Expr:
    return call("not", BOOL, predicate)


def bind_is(b: ExpressionBinder, node: s.Is) -> Expr:
    """IS [NOT] NULL, TRUE, FALSE, UNKNOWN; of a row: of all its fields."""
    if node.test == "null":
        name = "is_not_null" if node.negated else "is_null"
        if isinstance(node.arg, s.Row):
            return conjunction([call(name, BOOL, _nullable(b, item)) for item in node.arg.items])
        value = _nullable(b, node.arg)
        return rows.row_is_null(value, node.negated) if rows.is_row(value) else call(name, BOOL, value)
    what = f"IS {'NOT ' if node.negated else ''}{node.test.upper()}"
    arg = coerce_boolean(b.context, b.bind(node.arg), what, s.place(node.arg))
    name = f"is_{'not_' if node.negated else ''}{node.test}"
    return call(name, BOOL, arg)


def _nullable(b: ExpressionBinder, node: Any) -> Expr:
    """An operand of IS NULL, which gives a parameter no type but takes a literal as text."""
    arg = b.bind(node)
    b.context.parameters.leave_untyped(arg, node.pos)
    return Literal(TEXT, arg.value) if isinstance(arg, Literal) and arg.type.name == "unknown" else arg


def bind_is_distinct(b: ExpressionBinder, node: s.IsDistinct) -> Expr:
    """a IS [NOT] DISTINCT FROM b, with the operand types of a = b."""
    if isinstance(node.left, s.Row) and isinstance(node.right, s.Row):
        parts = [bind_is_distinct(b, s.IsDistinct(node.pos, left, right, node.negated))
                 for left, right in _pairs(node.left, node.right, node.pos)]
        return conjunction(parts) if node.negated else disjunction(parts)
    left, right = b.bind(node.left), b.bind(node.right)
    if rows.is_row(left) and rows.is_row(right):
        neither = conjunction([call("is_null", BOOL, one) for one in (left, right)])
        same = call("coalesce", BOOL, rows.compare_records(b, "=", left, right, node.pos), neither)
        return same if node.negated else call("not", BOOL, same)
    equal = operator(b.context, "=", left, right, node.pos, node.left.pos, node.right.pos)
    return call("is_not_distinct" if node.negated else "is_distinct", BOOL, *equal.args)


def bind_between(b: ExpressionBinder, node: s.Between) -> Expr:
    """x BETWEEN low AND high: two comparisons, four when SYMMETRIC."""
    arg, low, high = b.bind(node.arg), b.bind(node.low), b.bind(node.high)
    where, low_pos, high_pos = node.arg.pos, node.low.pos, node.high.pos
    at = node.pos

    def inside(lower: Expr, upper: Expr, lower_pos: int, upper_pos: int) -> Expr:
        return Call(BOOL, "and", (operator(b.context, ">=", arg, lower, at, where, lower_pos),
                                  operator(b.context, "<=", arg, upper, at, where, upper_pos)))

    def outside(lower: Expr, upper: Expr, lower_pos: int, upper_pos: int) -> Expr:
        return Call(BOOL, "or", (operator(b.context, "<", arg, lower, at, where, lower_pos),
                                 operator(b.context, ">", arg, upper, at, where, upper_pos)))

    if not node.symmetric:
        return (outside if node.negated else inside)(low, high, low_pos, high_pos)
    if node.negated:
        return conjunction([outside(low, high, low_pos, high_pos), outside(high, low, high_pos, low_pos)])
    return disjunction([inside(low, high, low_pos, high_pos), inside(high, low, high_pos, low_pos)])


def bind_match(b: ExpressionBinder, node: s.Match) -> Expr:
    """LIKE, ILIKE, SIMILAR TO, with ESCAPE."""
    left, pattern = b.bind(node.left), b.bind(node.pattern)
    if node.kind == "similar":
        if left.type.name != "unknown" and not can_coerce(left.type, TEXT, "implicit"):
            return operator(b.context, "!~" if node.negated else "~", left, Literal(TEXT, None), node.pos)
        text = coerce(b.context, left, TEXT, node.left.pos)
        wanted = coerce(b.context, pattern, TEXT, node.pattern.pos)
        if node.escape is None:
            matched: Expr = call("similar", BOOL, text, wanted)
        else:
            translated = call("similar_to_escape", TEXT, wanted, b.bind_as(node.escape, TEXT))
            matched = operator(b.context, "~", text, translated, node.pos)
    else:
        if node.escape is not None:
            kind = BYTEA if left.type == BYTEA else TEXT
            escape = b.bind_as(node.escape, kind)
            pattern = coerce(b.context, pattern, kind, node.pattern.pos)
            if kind == TEXT and isinstance(escape, Literal) and isinstance(pattern, Literal) and None not in (
                    escape.value, pattern.value):
                pattern = Literal(TEXT, escaped_pattern(pattern.value, escape.value, node.escape.pos))
            else:
                pattern = call("like_escape", kind, pattern, escape)
        symbol = "~~" if node.kind == "like" else "~~*"
        matched = operator(b.context, symbol, left, pattern, node.pos, node.left.pos, node.pattern.pos)
    return negate(matched) if node.negated else matched


def escaped_pattern(pattern: str, escape: str, pos: int = -1) -> str:
    """A LIKE pattern with its own escape character, as one with backslash. Raises: InvalidEscape (22025)."""
    from shoal.catalog.errors import InvalidEscape
    if len(escape) > 1:
        fail(InvalidEscape, "invalid escape string", pos, hint="Escape string must be empty or one character.")
    if escape == "\\":
        return pattern
    out: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char == escape:
            out.append("\\" + next(chars, ""))  # an end is noticed where a text is compared with it
        else:
            out.append("\\\\" if char == "\\" else char)
    return "".join(out)


# Lists

def bind_in_list(b: ExpressionBinder, node: s.InList) -> Expr:
    """x IN (a, b ...): one `in` call where the items have a common type with x, else a disjunction of comparisons."""
    if isinstance(node.arg, s.Row):
        parts = [_row_equal(b, node.arg, item, node.pos) for item in node.items]
        found = disjunction(parts)
        return negate(found) if node.negated else found
    arg = b.bind(node.arg)
    if isinstance(node.items, ConstantList) and (listed := _in_constants(b, node, arg, node.items)) is not None:
        return negate(listed) if node.negated else listed
    items = [b.bind(item) for item in node.items]
    if rows.is_row(arg) and all(rows.is_row(item) for item in items):
        found = disjunction([rows.compare_records(b, "=", arg, item, node.pos) for item in items])
        return negate(found) if node.negated else found
    places = [s.place(item) for item in node.items]
    try:
        target = common([arg, *items], [node.arg.pos, *places], "IN")
    except SqlError:
        target = None
    symbol = "<>" if node.negated else "="
    if target is None or len(items) == 1 or target.name == "enum":
        parts = [operator(b.context, symbol, arg, item, node.pos, node.arg.pos, pos)
                 for item, pos in zip(items, places, strict=True)]
        return conjunction(parts) if node.negated else disjunction(parts)
    try:
        wanted = operator_for(symbol, arg.type if arg.type.name != "unknown" else target, target).arguments
    except SqlError as error:
        error.position = error.position or node.pos + 1
        raise
    left = coerce(b.context, arg, wanted[0], node.arg.pos)
    found = Call(BOOL, "in", (left, *_elements(b, items, places, target, wanted[1])))
    return negate(found) if node.negated else found


def _in_constants(b: ExpressionBinder, node: s.InList, arg: Expr, items: ConstantList) -> Expr | None:
    """x IN (many constants) as x = ANY (their array); None where that is left to the constants one by one."""
    texts = items.columns()[0]
    same = alike(texts)
    try:
        exprs: Sequence[Expr] = [Literal(same[0], same[1][0])] if same is not None else bound(b, items, 0, texts)
        target = common([arg, *exprs], [-1] * (len(exprs) + 1), "IN")
        wanted = operator_for("=", arg.type if arg.type.name != "unknown" else target, target).arguments
        values = None if same is None else converted(same, wanted[1])
        if values is None:
            exprs = exprs if same is None else bound(b, items, 0, texts)
            typed = [coerce(b.context, expr, wanted[1], -1) for expr in exprs]
            values = constant_values(typed, typed[0].type)
            wanted = (wanted[0], typed[0].type)
    except SqlError:
        return None
    if values is None or not can_be_listed(wanted[1]):
        return None
    left = coerce(b.context, arg, wanted[0], node.arg.pos)
    return Call(BOOL, "eq_any", (left, Literal(array_of(wanted[1]), tuple(values))))


def _elements(b: ExpressionBinder, items: list[Expr], places: list[int], target: SqlType, wanted: SqlType) -> list[Expr]:
    """List items as an operator takes them: parameters have the items' common type, as elements of an array would."""
    typed = [coerce(b.context, item, target, pos) if isinstance(item, Parameter) else item
             for item, pos in zip(items, places, strict=True)]
    return [coerce(b.context, item, wanted, pos) for item, pos in zip(typed, places, strict=True)]


def bind_in_query(b: ExpressionBinder, node: s.InQuery) -> Expr:
    """x IN (SELECT ...), also with rows on the left."""
    query = b.bind_query(node.query)
    found = _any(b, _row_items(b, node.arg), query, "=", node.pos, node.arg)
    return negate(found) if node.negated else found


def bind_quantified(b: ExpressionBinder, node: s.Quantified) -> Expr:
    """x op ANY|ALL (SELECT ...) and (array)."""
    if not node.is_query:
        return _array_quantified(b, node)
    query = b.bind_query(node.right)
    found = _any(b, _row_items(b, node.left), query, node.symbol, node.pos, node.left, every=node.every)
    return negate(found) if node.every else found


def _row_items(b: ExpressionBinder, node: Any) -> list[Expr]:
    return [b.bind(item) for item in node.items] if isinstance(node, s.Row) else [b.bind(node)]


def _any(b: ExpressionBinder, left: list[Expr], query: Query, symbol: str, pos: int, left_node: Any,
         every: bool = False) -> Expr:
    """left symbol ANY (query); for ALL the operator is negated and the caller negates the result."""
    if len(left) < len(query.fields):
        fail(SqlSyntaxError, "subquery has too many columns", pos)
    if len(left) > len(query.fields):
        fail(SqlSyntaxError, "subquery has too few columns", pos)
    comparand: list[Expr] = []
    columns: list[Expr] = []
    name = ""
    if len(left) > 1 and symbol != ("<>" if every else "="):
        return _general(b, left, query, symbol, pos, every)
    for value, column in zip(left, query.fields, strict=True):
        compared = operator(b.context, symbol, value, column.ref(), pos, left_node.pos,
                            query.places[0] if query.places else -1)
        if compared.type != BOOL:
            fail(SqlSyntaxError, "row comparison operator must yield type boolean", pos)
        comparand.append(compared.args[0])
        columns.append(compared.args[1])
        name = compared.name
    if name not in _NEGATED or compared.type != BOOL or len(compared.args) != 2:
        return _general(b, left, query, symbol, pos, every)
    if every:
        name = _NEGATED[name]
    return b.apply("any", _projected(b, query, columns), BOOL, "any", tuple(comparand), name)


def _general(b: ExpressionBinder, left: list[Expr], query: Query, symbol: str, pos: int, every: bool) -> Expr:
    """left symbol ANY (query) of any operator, or with `every` NOT (left symbol ALL (query)), by counting:

        (SELECT CASE WHEN bool_or(c) THEN true WHEN bool_or(c IS NULL) THEN NULL ELSE false END
         FROM (SELECT left symbol columns AS c FROM query))
    """
    outer = [b.context.field("given", settle(b.context, value, pos).type) for value in left]
    values = [settle(b.context, value, pos) for value in left]
    pairs = [(given.ref() if not isinstance(value, Literal) else value, column.ref(), pos, pos)
             for given, value, column in zip(outer, left, query.fields, strict=True)]
    test = rows.compare_rows(b, symbol, pairs, pos) if len(pairs) > 1 else operator(
        b.context, symbol, pairs[0][0], pairs[0][1], pos)
    if test.type != BOOL:
        fail(SqlSyntaxError, "row comparison operator must yield type boolean", pos)
    new = b.context.field
    found, missing = new("found", BOOL), new("missing", BOOL)
    any_found, any_missing, result = new("any_found", BOOL), new("any_missing", BOOL), new("any", BOOL)
    tested = Project(query.plan, ((found, negate(test) if every else test), (missing, call("is_null", BOOL, test))))
    summary = Aggregate(tested, (), ((any_found, e.AggregateCall("bool_or", (found.ref(),), BOOL)),
                                     (any_missing, e.AggregateCall("bool_or", (missing.ref(),), BOOL))))
    value = e.Case(BOOL, (any_found.ref(), any_missing.ref()), (e.TRUE, Literal(BOOL, None)), e.FALSE)
    nested = Query(Project(summary, ((result, value),)), (result,), (None,), query.places, query.refs)
    mark = b.apply("scalar", nested, BOOL, "any")
    b.applies[-1].given = [(f, v) for f, v in zip(outer, values, strict=True)]
    return mark


def _projected(b: ExpressionBinder, query: Query, columns: list[Expr]) -> Query:
    """The query with its columns cast as the comparison needs them."""
    if all(isinstance(c, e.ColumnRef) for c in columns):
        return query
    made: list[tuple[Field, Expr]] = [
        (field, column) if isinstance(column, e.ColumnRef) else (b.context.field(field.name, column.type), column)
        for field, column in zip(query.fields, columns, strict=True)]
    fields = tuple(field for field, _ in made)
    return Query(Project(query.plan, tuple(made)), fields, query.origins, query.places, query.refs)


def _listed(b: ExpressionBinder, node: s.Quantified) -> Expr:
    """x = ANY (ARRAY[...]) and x <> ALL (ARRAY[...]): an `in` call, the items with their own common type."""
    left = b.bind(node.left)
    if isinstance(node.right.items, ConstantList) and (same := alike(node.right.items.columns()[0])) is not None:
        array = Literal(array_of(INT4 if same[0] == INT4 else TEXT), tuple(same[1]))
        compared = operator_for("=", left.type, array.type.element).arguments
        if compared[1] == array.type.element:
            made = Call(BOOL, "eq_any", (coerce(b.context, left, compared[0], node.left.pos), array))
            return negate(made) if node.every else made
    items = [b.bind(item) for item in node.right.items]
    places = [s.place(item) for item in node.right.items]
    target, typed = unify(b.context, items, places, "ARRAY")
    try:
        wanted = operator_for("=", left.type, target).arguments
    except SqlError as error:
        error.position = error.position or node.pos + 1
        raise
    left = coerce(b.context, left, wanted[0], node.left.pos)
    found = Call(BOOL, "in", (left, *_elements(b, typed, places, target, wanted[1])))
    return negate(found) if node.every else found


def _array_quantified(b: ExpressionBinder, node: s.Quantified) -> Expr:
    if isinstance(node.right, s.Array) and node.right.items and not isinstance(node.right.items[0], s.Array) and (
            not isinstance(node.left, s.Row)) and (
            (node.symbol == "=" and not node.every) or (node.symbol == "<>" and node.every)):
        return _listed(b, node)
    left, right = b.bind(node.left), b.bind(node.right)
    if right.type.name == "unknown":
        element = settle(b.context, left, node.left.pos).type
        left = coerce(b.context, left, element, node.left.pos)
        if element.is_array or "_" + element.name not in OIDS:
            fail(UndefinedObject, f"could not find array type for data type {bare_type(element).sql}", node.pos)
        wanted = element if element.name == "enum" else operator_for(node.symbol, element, element).arguments[1]
        right = coerce(b.context, right, array_of(wanted), node.right.pos)
    if not right.type.is_array and right.type.name not in ("int2vector", "oidvector"):
        fail(WrongObjectType, "op ANY/ALL (array) requires array on right side", node.pos)
    element = SqlType({"int2vector": "int2", "oidvector": "oid"}[right.type.name]) if not right.type.is_array else (
        right.type.element)
    if element.name == "enum":
        left = coerce(b.context, left, element, node.left.pos)
        if left.type != element:
            fail(UndefinedFunction, f"operator does not exist: {left.type.sql} {node.symbol} {element.sql}", node.pos,
                 hint="No operator matches the given name and argument types. You might need to add explicit type casts.")
        left, right = ranked(left), ranked(right)
        element = INT4
    try:
        found = operator_for(node.symbol, left.type, element)
    except UndefinedFunction as error:
        error.position = node.pos + 1
        raise
    if found.returns != BOOL:
        fail(WrongObjectType, "op ANY/ALL (array) requires operator to yield boolean", node.pos)
    left = coerce(b.context, left, found.arguments[0], node.left.pos)
    if element != found.arguments[1] and found.arguments[1].name != element.name:
        right = coerce(b.context, right, array_of(found.arguments[1]), node.right.pos, "explicit")
    return call(f"{found.function.name}_{'all' if node.every else 'any'}", BOOL, left, right)


# Rows

def _pairs(left: s.Row, right: s.Row, pos: int) -> list[tuple[Any, Any]]:
    if len(left.items) != len(right.items):
        fail(SqlSyntaxError, "unequal number of entries in row expressions", pos)
    if not left.items:
        fail(FeatureNotSupported, "cannot compare rows of zero length", pos)
    return list(zip(left.items, right.items, strict=True))


def _row_equal(b: ExpressionBinder, left: s.Row, right: Any, pos: int) -> Expr:
    return bind_row_comparison(b, s.Operation(pos, "=", left, right))


def bind_row_comparison(b: ExpressionBinder, node: s.Operation) -> Expr:
    """(a, b) op (c, d): = and <> field by field, < <= > >= in lexical order."""
    left, right = node.left, node.right
    if isinstance(left, s.Row) and isinstance(right, s.Row) and not any(
            isinstance(item, s.Star) or (isinstance(item, s.FieldOf) and item.name == "*")
            for item in (*left.items, *right.items)):
        pairs = [(b.bind(x), b.bind(y), x.pos, y.pos) for x, y in _pairs(left, right, node.pos)]
        return rows.compare_rows(b, node.symbol, pairs, node.pos)
    if isinstance(left, s.Row) and isinstance(right, s.Subquery) and right.kind == "scalar":
        items, columns = rows.plain_items(b, left), rows.fields(rows.row_query(b, right))
        if len(items) != len(columns):
            fail(SqlSyntaxError, f"subquery has too {'many' if len(columns) > len(items) else 'few'} columns", node.pos)
        return rows.compare_rows(b, node.symbol,
                                 [(x, y, left.pos, right.pos) for x, y in zip(items, columns, strict=True)], node.pos)
    mine, theirs = b.bind(left), b.bind(right)
    if not rows.is_row(mine) or not rows.is_row(theirs):
        return operator(b.context, node.symbol, mine, theirs, node.pos, left.pos, right.pos)
    return rows.compare_records(b, node.symbol, mine, theirs, node.pos)
