"""Row values: ROW(...), whole-row references, their fields, comparisons and JSON forms (hop 2).

A row is a call of `row` whose type knows its fields; it is taken apart here wherever its parts are at hand, so that the
record itself (functions/rows.py) is only made where a client or a text wants it.

Spec: PostgreSQL 15 documentation, 4.2.13, 8.16.5, 9.24.5 "Row Constructor Comparison", 9.24.6 "Composite Type Comparison".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import CannotCoerce, DatatypeMismatch, FeatureNotSupported, SqlSyntaxError, UndefinedColumn
from shoal.catalog.types import BOOL, INT4, JSON, JSONB, RECORD, TEXT, UNKNOWN, SqlType
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Cast, Expr, Literal, call, conjunction, disjunction
from shoal.exec.plan.nodes import Project
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, operator, settle
from shoal.exec.sql.context import Context, Level, Query, bare_type, fail

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_ORDERS = ("<", "<=", ">", ">=")
RECORD_VALUE = Literal(RECORD, None)


def row_of(exprs: Sequence[Expr], names: Sequence[str] = (), untyped: Sequence[int] = ()) -> Expr:
    """The row of these values, all typed; its fields are f1, f2 ... without `names`. Values number `untyped` are texts
    that nothing has given a type: clients see them as of type unknown."""
    fields = tuple((names[i] if names else f"f{i + 1}", UNKNOWN if i in untyped else expr.type)
                   for i, expr in enumerate(exprs))
    return Call(replace(RECORD, fields=fields), "row", tuple(exprs))


def is_row(expr: Expr) -> bool:
    """Whether the value is a row with known fields."""
    return expr.type.name == "record" and expr.type.fields is not None


def fields(expr: Expr) -> list[Expr]:
    """The fields of a row."""
    if isinstance(expr, Call) and expr.name == "row":
        return list(expr.args)
    if isinstance(expr, e.Case) and isinstance(expr.default, Call) and expr.default.name == "row":
        return list(expr.default.args)  # of a whole row that is NULL, all are
    return [Call(TEXT if t == UNKNOWN else t, "record_field", (expr, Literal(INT4, i)))
            for i, (_, t) in enumerate(expr.type.fields or ())]


def bind_row(b: ExpressionBinder, node: s.Row) -> Expr:
    """ROW(a, b) and (a, b)."""
    items: list[Expr] = []
    untyped: list[int] = []
    for item in node.items:
        star = _star_of(item)
        if star is not None:
            whole = whole_row(b, star)
            items += fields(whole) if is_row(whole) else [whole]
            continue
        value = b.bind(item)
        if isinstance(value, Literal) and value.type == UNKNOWN:
            untyped.append(len(items))
        items.append(settle(b.context, value, item.pos))
    return row_of(items, untyped=untyped)


def as_composite(context: Context, row: Expr, target: SqlType, pos: int, how: Any) -> Expr:
    """A row as a value of a composite type. Raises: CannotCoerce (42846)."""
    wanted = target.fields or ()
    if not is_row(row):
        return Literal(target, None) if isinstance(row, Literal) and row.value is None else Cast(target, Cast(TEXT, row))
    values = fields(row)
    if len(values) != len(wanted):
        fail(CannotCoerce, f"cannot cast type {row.type.sql} to {target.sql}", pos,
             detail="Input has too few columns." if len(values) < len(wanted) else "Input has too many columns.")
    known = [given for _, given in row.type.fields or ()]
    made = Call(target, "row", tuple(
        coerce(context, Literal(UNKNOWN, value.value) if given == UNKNOWN and isinstance(value, Literal) else value,
               kind, pos, how)
        for value, given, (_, kind) in zip(values, known, wanted, strict=True)))
    if isinstance(row, Call) and row.name == "row":
        return made
    return e.Case(target, (call("is_null", BOOL, row),), (Literal(target, None),), made)


def row_items(b: ExpressionBinder, node: s.Row) -> list[Expr]:
    """The values of a row; t.* stands for all columns of t."""
    row = bind_row(b, node)
    assert isinstance(row, Call)
    return list(row.args)


def plain_items(b: ExpressionBinder, node: s.Row) -> list[Expr]:
    """The values of a row, untyped literals as they are; t.* stands for all columns of t."""
    return row_items(b, node) if any(_star_of(item) is not None for item in node.items) else [
        b.bind(item) for item in node.items]


def _star_of(node: Any) -> s.Name | None:
    if isinstance(node, s.Star) and node.qualifier:
        return s.Name(node.pos, node.qualifier)
    if isinstance(node, s.FieldOf) and node.name == "*" and isinstance(node.arg, s.Name):
        return node.arg
    return None


def whole_row(b: ExpressionBinder, node: s.Name) -> Expr:
    """A table's name as the row of its columns. Raises: UndefinedTable (42P01)."""
    from shoal.exec.sql.scope import missing_table
    at: Level | None = b.level
    while at is not None:
        relation = at.scope.relation(node.parts)
        if relation is not None:
            shown = [column for column in relation.columns if not column.hidden]
            values = [b._used(c.expr, at, node.pos, f"{c.table}.{c.name}") for c in shown]
            if relation.scalar:
                return values[0]
            row = row_of(values, [c.name for c in shown])
            if relation.handle is not None and relation.handle.kind != "system":
                from shoal.exec.sql.user_types import row_type
                row = replace(row, type=row_type(b.context.namespace, relation.handle, row.type))
            if not relation.nullable or not values:
                return row
            return e.Case(row.type, (row_is_null(row, False),), (Literal(row.type, None),), row)
        at = at.parent
    missing_table(b.level, node.parts, node.pos)


def field_of(row: Expr, name: str, pos: int) -> Expr:
    """(row).name. Raises: UndefinedColumn (42703)."""
    for (known, _), value in zip(row.type.fields or (), fields(row), strict=True):
        if known == name:
            return value
    fail(UndefinedColumn, f'could not identify column "{name}" in record data type' if row.type.user is None else
         f'column "{name}" not found in data type {row.type.user.name}', pos)


# Comparisons

def compare_rows(b: ExpressionBinder, symbol: str, pairs: Sequence[tuple[Expr, Expr, int, int]], pos: int) -> Expr:
    """Row constructors: = and <> field by field with SQL's NULL, < <= > >= in lexical order."""
    def compare(symbol: str, pair: tuple[Expr, Expr, int, int]) -> Expr:
        return operator(b.context, symbol, pair[0], pair[1], pos, pair[2], pair[3])

    if symbol == "=":
        return conjunction([compare("=", pair) for pair in pairs])
    if symbol == "<>":
        return disjunction([compare("<>", pair) for pair in pairs])
    if symbol not in _ORDERS:
        compare(symbol, pairs[0])
        fail(FeatureNotSupported, f"could not determine interpretation of row comparison operator {symbol}", pos,
             hint="Row comparison operators must be associated with btree operator families.")
    result = compare(symbol, pairs[-1])
    strict = symbol.rstrip("=")
    for pair in reversed(pairs[:-1]):
        result = disjunction([compare(strict, pair), conjunction([compare("=", pair), result])])
    return result


def compare_records(b: ExpressionBinder, symbol: str, left: Expr, right: Expr, pos: int) -> Expr:
    """Composite values: NULL fields are equal, and larger than all others; NULL only where a whole row is."""
    mine, theirs = fields(left), fields(right)
    if len(mine) != len(theirs):
        fail(DatatypeMismatch, "cannot compare record types with different numbers of columns", pos)
    if symbol in ("*=", "*<>"):
        return _same_images(symbol, mine, theirs)
    if symbol not in ("=", "<>", *_ORDERS):
        operator(b.context, symbol, RECORD_VALUE, RECORD_VALUE, pos)
    typed = [operator(b.context, "=", x, y, pos).args for x, y in zip(mine, theirs, strict=True)]
    same = [call("is_not_distinct", BOOL, x, y) for x, y in typed]
    if symbol in ("=", "<>"):
        result: Expr = conjunction(list(same))
        result = result if symbol == "=" else call("not", BOOL, result)
    else:
        result = e.TRUE if symbol.endswith("=") else e.FALSE
        for (x, y), equal in zip(reversed(typed), reversed(same), strict=True):
            small, large = (x, y) if symbol[0] == "<" else (y, x)
            before = disjunction([call("coalesce", BOOL, operator(b.context, "<", small, large, pos), e.FALSE),
                                   conjunction([call("is_not_null", BOOL, small), call("is_null", BOOL, large)])])
            result = disjunction([before, conjunction([equal, result])])
    missing: list[Expr] = [call("is_null", BOOL, one) for one in (left, right) if not isinstance(one, Call)]
    return e.Case(BOOL, (disjunction(missing),), (Literal(BOOL, None),), result) if missing else result


def row_is_null(row: Expr, negated: bool) -> Expr:
    """IS [NOT] NULL of a row: of all its fields."""
    name = "is_not_null" if negated else "is_null"
    parts: list[Expr] = [call(name, BOOL, field) for field in fields(row)]
    return conjunction(parts) if parts else Literal(BOOL, True)


def row_query(b: ExpressionBinder, node: s.Subquery) -> Expr:
    """(SELECT a, b ...) beside a row: the row that it gives, NULL for none."""
    query = b.bind_query(node.query)
    made = row_of([f.ref() for f in query.fields])
    column = b.context.field("row", made.type)
    nested = Query(Project(query.plan, ((column, made),)), (column,), (None,), query.places, query.refs)
    return b.apply("scalar", nested, made.type, "row")


def _same_images(symbol: str, mine: Sequence[Expr], theirs: Sequence[Expr]) -> Expr:
    """Whether rows are stored alike: fields of the same types that print alike, 1.0 and 1.00 being two values."""
    for place, (x, y) in enumerate(zip(mine, theirs, strict=True), 1):
        if x.type.name != y.type.name:
            raise DatatypeMismatch(f"cannot compare dissimilar column types {bare_type(x.type).sql} and "
                                   f"{bare_type(y.type).sql} at record column {place}")
    same = conjunction([call("is_not_distinct", BOOL, Cast(TEXT, x), Cast(TEXT, y))
                        for x, y in zip(mine, theirs, strict=True)])
    return same if symbol == "*=" else call("not", BOOL, same)


# JSON

JSON_MAKERS = frozenset({"to_json", "to_jsonb", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg",
                         *(f"{t}_build_{kind}" for t in ("json", "jsonb") for kind in ("object", "array"))})
"""Functions that turn their arguments into JSON: a row becomes an object."""


def as_json(value: Expr, binary: bool = False) -> Expr:
    """A row as a JSON object; any other value as it is."""
    if not is_row(value):
        return value
    members: list[Expr] = []
    for (name, _), field in zip(value.type.fields or (), fields(value), strict=True):
        members += (Literal(TEXT, name), as_json(field))
    made: Expr = Call(JSONB if binary else JSON, "json_of_row", tuple(members))
    if isinstance(value, Call) and value.name == "row":
        return made
    return e.Case(made.type, (call("is_null", BOOL, value),), (Literal(made.type, None),), made)


def bind_row_to_json(b: ExpressionBinder, node: s.Function) -> Expr:
    """row_to_json(row), and with true a field to a line."""
    row = b.bind(node.args[0]) if node.args else None
    if row is None or len(node.args) > 2 or not is_row(row):
        from shoal.catalog.errors import UndefinedFunction
        given = ", ".join(settle(b.context, b.bind(arg), node.pos).type.sql for arg in node.args)
        fail(UndefinedFunction, f"function row_to_json({given}) does not exist", node.pos,
             hint="No function matches the given name and argument types. You might need to add explicit type casts.")
    made = as_json(row)
    return made if len(node.args) == 1 else call("json_lines", JSON, made, b.bind_as(node.args[1], BOOL))


def expanded(b: ExpressionBinder, node: s.FieldOf) -> list[tuple[str, Expr]]:
    """(row).* in a select list: all fields with their names."""
    row = b.bind(node.arg)
    if not is_row(row):
        fail(SqlSyntaxError, 'row expansion via "*" is not supported here', node.pos)
    return [(name, value) for (name, _), value in zip(row.type.fields or (), fields(row), strict=True)]

