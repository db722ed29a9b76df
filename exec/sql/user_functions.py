"""Calls of functions in SQL that users made: the body stands in the place of the call, as a subquery (hop 2).

    f(a, b)                      Apply(scalar)              in FROM: the body as a lateral subquery
      SELECT $1 + x FROM t   ->    Limit 1 (body)           in a select list, SETOF: unnest(ARRAY(body))

Spec: PostgreSQL 15 documentation, 38.5 "Query Language (SQL) Functions", 4.3 "Calling Functions", 38.2.5 "Polymorphic
Types".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.connector import Connector, SupportsRoutines
from shoal.catalog.declarations import FunctionArgument, FunctionDefinition
from shoal.catalog.errors import (
    AmbiguousFunction,
    DatatypeMismatch,
    FeatureNotSupported,
    InvalidFunctionDefinition,
    SqlError,
    SqlSyntaxError,
    StatementTooComplex,
    UndefinedFunction,
)
from shoal.catalog.types import BOOL, INT8, UNKNOWN, SqlType, array_of
from shoal.exec.functions.casts import can_coerce
from shoal.exec.functions.registry import POLYMORPHIC
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, Literal
from shoal.exec.plan.nodes import Field, Filter, Join, Limit, PlanNode, Project, SharedRows, Sort
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import Context, Level, PendingSet, Query, bare_type, fail
from shoal.exec.sql.planning import ONE_ROW
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.type_names import resolve_type

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

DEPTH = 32
"""Functions that call each other may be nested so far."""


@dataclass(frozen=True, slots=True)
class Overload:
    """A function that a call may mean, with its arguments' types as far as they are not polymorphic."""

    connector: Connector
    schema: str
    definition: FunctionDefinition

    @property
    def inputs(self) -> tuple[FunctionArgument, ...]:
        return tuple(a for a in self.definition.arguments if a.mode in ("i", "b", "v"))

    @property
    def outputs(self) -> tuple[FunctionArgument, ...]:
        return tuple(a for a in self.definition.arguments if a.mode in ("o", "b", "t"))


@dataclass(frozen=True, slots=True)
class Meant:
    """What a call means: the arguments in their places, all of their types."""

    overload: Overload
    arguments: tuple[Expr, ...]
    result: SqlType
    """Of one row: a record where there are several columns."""

    @property
    def columns(self) -> tuple[tuple[str, SqlType], ...]:
        """The columns of its rows in FROM."""
        if self.result.name == "record" and self.result.fields is not None:
            return self.result.fields
        outputs = self.overload.outputs
        return ((outputs[0].name if len(outputs) == 1 and outputs[0].name else self.overload.definition.name, self.result),)


def overloads(context: Context, parts: Sequence[str]) -> list[Overload]:
    """The functions of this name, those of the first schemas of the search path first."""
    found = [Overload(connector, schema, definition)
             for connector, schema in context.namespace.places(tuple(parts[:-1])) if isinstance(connector, SupportsRoutines)
             for definition in connector.functions(schema) if definition.name == parts[-1]]
    context.own_definitions = context.own_definitions or bool(found)
    return found


def text_type(context: Context, text: str) -> SqlType:
    """A type kept as text; a polymorphic one has its own name."""
    from shoal.exec.sql.stored_expressions import parsed
    bare = text.strip().lower()
    if bare in POLYMORPHIC or bare in ("record", "void", "trigger", "any", "anyenum", "anyrange"):
        return SqlType(bare)
    return resolve_type(parsed(f"NULL::{text}").type, context)


# Which function, with which arguments

def resolve_call(b: ExpressionBinder, node: s.Function, known: Sequence[Overload]) -> Meant:
    """Raises: UndefinedFunction (42883), AmbiguousFunction (42725)."""
    args = [b.bind(arg) for arg in node.args]
    best: list[tuple[int, Overload, list[Expr | None], list[SqlType]]] = []
    for overload in known:
        placed = _placed(overload, node, args)
        if placed is None:
            continue
        types = [text_type(b.context, a.type) for a in overload.inputs]
        score = _score(placed, types)
        if score is None:
            continue
        if best and score > best[0][0]:
            best = []
        if not best or score == best[0][0]:
            best.append((score, overload, placed, types))
    if not best:
        shown = ", ".join(f"{node.arg_names[i]} => {bare_type(arg.type).sql}" if i in node.arg_names else
                          bare_type(arg.type).sql for i, arg in enumerate(args))
        fail(UndefinedFunction, f"function {'.'.join(node.name)}({shown}) does not exist", node.pos,
             hint="No function matches the given name and argument types. You might need to add explicit type casts.")
    if len(best) > 1 and any(arg is not None and arg.type == UNKNOWN for arg in best[0][2]) and len(
            {tuple(t.name for t in types) for *_, types in best}) > 1:
        fail(AmbiguousFunction, f"function {'.'.join(node.name)}({', '.join(a.type.sql for a in args)}) is not unique",
             node.pos, hint="Could not choose a best candidate function. You might need to add explicit type casts.")
    _, overload, placed, types = best[0]
    return _typed(b, overload, placed, types, node)


def _placed(overload: Overload, node: s.Function, args: Sequence[Expr]) -> list[Expr | None] | None:
    """The arguments in the function's order, None for defaults; None where the call does not fit."""
    inputs = overload.inputs
    variadic = bool(inputs) and inputs[-1].mode == "v" and not node.variadic
    placed: list[Expr | None] = [None] * len(inputs)
    extra: list[Expr] = []
    for i, arg in enumerate(args):
        name = node.arg_names.get(i)
        if name is not None:
            index = next((n for n, a in enumerate(inputs) if a.name == name), -1)
            if index < 0 or placed[index] is not None:
                return None
            placed[index] = arg
        elif variadic and i >= len(inputs) - 1:
            extra.append(arg)
        elif i >= len(inputs):
            return None
        else:
            placed[i] = arg
    if variadic:
        if not extra and placed[-1] is None:
            return None
        if extra:
            placed[-1] = _Spread(UNKNOWN, tuple(extra))
    if any(arg is None and not declared.default for arg, declared in zip(placed, inputs, strict=True)):
        return None
    return placed


@dataclass(frozen=True, slots=True)
class _Spread(Expr):
    """The values that VARIADIC gathers."""

    items: tuple[Expr, ...]


def _score(placed: Sequence[Expr | None], types: Sequence[SqlType]) -> int | None:
    """How well the arguments fit, None where they do not: 4 for the type itself, 2 for a polymorphic one."""
    score = 0
    for arg, wanted in zip(placed, types, strict=True):
        if arg is None:
            continue
        items = arg.items if isinstance(arg, _Spread) else (arg,)
        target = _element(wanted) if isinstance(arg, _Spread) else wanted
        for item in items:
            if target.name in POLYMORPHIC:
                if target.name in ("anyarray", "anycompatiblearray") and not (
                        item.type.is_array or item.type == UNKNOWN):
                    return None
                score += 2
            elif item.type == UNKNOWN:
                score += 3 if target.category == "S" else 1
            elif item.type.name == target.name and (item.type.user is None or item.type.user == target.user
                                                     or target.name == "record"):
                score += 4
            elif can_coerce(item.type, target, "implicit"):
                score += 1
            else:
                return None
    return score


def _element(wanted: SqlType) -> SqlType:
    if wanted.name in POLYMORPHIC:
        return SqlType({"anyarray": "anyelement", "anycompatiblearray": "anycompatible"}.get(wanted.name, "any"))
    return wanted.element if wanted.is_array else wanted


def _typed(b: ExpressionBinder, overload: Overload, placed: Sequence[Expr | None], types: Sequence[SqlType],
           node: s.Function) -> Meant:
    from shoal.exec.functions.casts import common_type
    from shoal.exec.sql.stored_expressions import parsed
    given = [arg if arg is not None else b.bind(parsed(declared.default))
             for arg, declared in zip(placed, overload.inputs, strict=True)]
    elements: list[SqlType] = []
    for arg, wanted in zip(given, types, strict=True):
        if wanted.name in POLYMORPHIC and not isinstance(arg, _Spread) and arg.type != UNKNOWN:
            takes_array = wanted.name in ("anyarray", "anycompatiblearray")
            elements.append(arg.type.element if takes_array and arg.type.is_array else arg.type)
        elif isinstance(arg, _Spread) and wanted.name in POLYMORPHIC:
            elements += [item.type for item in arg.items if item.type != UNKNOWN]
    element = bare_type(common_type(elements, overload.definition.name)) if elements else SqlType("text")

    def concrete(wanted: SqlType) -> SqlType:
        if wanted.name not in POLYMORPHIC:
            return wanted
        return array_of(element) if wanted.name in ("anyarray", "anycompatiblearray") else element

    arguments: list[Expr] = []
    for arg, wanted in zip(given, types, strict=True):
        target = concrete(wanted)
        if isinstance(arg, _Spread):
            items = [coerce(b.context, item, target.element, node.pos) for item in arg.items]
            arguments.append(b.make_array(target.element, items))
        else:
            arguments.append(coerce(b.context, arg, target, node.pos))
    outputs = [(a.name, bare_type(concrete(text_type(b.context, a.type)))) for a in overload.outputs]
    returns = overload.definition.returns
    if len(outputs) > 1:
        named = tuple((name or f"column{i}", t) for i, (name, t) in enumerate(outputs, 1))
        return Meant(overload, tuple(arguments), SqlType("record", fields=named))
    if outputs:
        return Meant(overload, tuple(arguments), outputs[0][1])
    return Meant(overload, tuple(arguments), bare_type(concrete(text_type(b.context, returns))))


# The body

def body_query(b: ExpressionBinder, meant: Meant, pos: int) -> Query:
    """The function's rows for the call's arguments: one column, a record where its result is one. Its `refs` are those of
    the caller's level. Raises: what binding the body raises, without positions."""
    from sqlglot import exp

    from shoal.exec.sql.queries import bind_subquery
    context, definition = b.context, meant.overload.definition
    if len(context.functions) >= DEPTH:
        raise StatementTooComplex("stack depth limit exceeded", hint=(
            f"Functions in SQL can be nested {DEPTH} deep, as their bodies stand in the place of the calls."))
    values = [_once(b, arg) for arg in meant.arguments]
    columns = [ScopeColumn(declared.name, value, definition.name)
               for declared, value in zip(meant.overload.inputs, values, strict=True) if declared.name]
    whole = [Relation(column.name, [ScopeColumn(name, part, column.name) for (name, _), part in
                                    zip(column.expr.type.fields or (), rows.fields(column.expr), strict=True)])
             for column in columns if rows.is_row(column.expr)]  # argument.field
    level = Level(context, None, Scope([Relation(definition.name, columns), *whole], columns), {})
    outer = context.arguments, context.functions, context.unreachable
    context.arguments, context.functions, context.unreachable = (level, values), (*context.functions, definition.name), []
    try:
        tree = body_tree(definition)
        if isinstance(tree, (exp.Query, exp.Values)):
            query = bind_subquery(context, tree, level, {}, keep_unknown=True)
        else:
            query = _written(b, meant, tree, level)
        query = _fitted(context, query, meant)
    except SqlError as error:
        error.position = pos + 1
        raise
    finally:
        context.arguments, context.functions, context.unreachable = outer
    owners = {column: b.level.refs.get(column, b.level) for column in query.refs}
    query = replace(query, refs=owners)
    if definition.strict and values:
        present = e.conjunction([e.call("is_not_null", BOOL, value) for value in values])
        query = replace(query, plan=Filter(query.plan, present))
        for value in values:
            query.refs.update({i: b.level.refs.get(i, b.level) for i in e.columns_of(value)})
    if not definition.returns_set:
        query = replace(query, plan=Limit(query.plan, Literal(INT8, 1)))
    b.level.adopt(query.refs)
    return query


def body_tree(definition: FunctionDefinition) -> Any:
    """The syntax of the body's last statement. Raises: FeatureNotSupported (0A000) for several of which one writes."""
    from sqlglot import exp

    from shoal.exec.sql.parse import parse_several
    trees = parse_several(definition.body)
    if not trees and definition.returns.strip().lower() == "void":
        trees = parse_several("SELECT NULL::void")
    if not trees:
        raise InvalidFunctionDefinition(
            f"return type mismatch in function declared to return {definition.returns}",
            detail="Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
    for tree in trees:
        if not isinstance(tree, (exp.Query, exp.Values)) and (
                len(trees) > 1 or not isinstance(tree, (exp.Insert, exp.Update, exp.Delete))):
            raise FeatureNotSupported("functions in SQL that do not only query, or do not only INSERT, UPDATE or DELETE "
                                      "once, are not supported")
    return trees[-1]


def _written(b: ExpressionBinder, meant: Meant, tree: Any, level: Level) -> Query:
    """What a body that writes returns: it runs once, as a statement of WITH does.

    Raises: FeatureNotSupported (0A000) for a call that might run any other number of times.
    """
    from shoal.exec.sql.dml import bind_modifying
    context, at = b.context, b.level
    if at.parent is not None or context.views or any(e.columns_of(value) for value in meant.arguments) or (
            b.clause.name != "FROM" and at.scope.relations):
        raise FeatureNotSupported("a function that writes can only be called once by a statement, in FROM or in a SELECT "
                                  "without FROM")
    context.body = level
    try:
        query = bind_modifying(context, tree, {})
    finally:
        context.body = None
    number = next(context.ids)
    context.shared.append((number, query.plan))
    context.writes.append(number)
    if not query.fields and meant.result.name != "void":
        raise InvalidFunctionDefinition(
            f"return type mismatch in function declared to return {meant.overload.definition.returns}",
            detail="Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
    if not query.fields:
        return Query(ONE_ROW, (), (), (), {})
    made = tuple(context.field(f.name, f.type) for f in query.fields)
    rows_of_it = SharedRows(number, made, tuple(f.id for f in query.fields))
    return Query(rows_of_it, made, (None,) * len(made), (-1,) * len(made), {})


def _once(b: ExpressionBinder, arg: Expr) -> Expr:
    """An argument that is computed once however often the body names it."""
    if not e.is_volatile(arg):
        return arg
    column = b.context.field("argument", arg.type)
    return b.apply("scalar", Query(Project(ONE_ROW, ((column, arg),)), (column,), (None,), (-1,), {}), arg.type, "argument")


def _fitted(context: Context, query: Query, meant: Meant) -> Query:
    """The body's rows with the declared columns; records are taken apart. Raises: InvalidFunctionDefinition (42P13)."""
    wanted = meant.columns
    declared = meant.result
    if declared.name == "void":
        column = context.field("void", declared)
        return Query(Project(query.plan, ((column, Literal(declared, None)),)), (column,), (None,), (-1,), query.refs)
    values: list[Expr] = [f.ref() for f in query.fields]
    if declared.name == "record" and declared.fields is None:
        return query
    if len(values) == 1 and rows.is_row(values[0]) and (len(wanted) > 1 or declared.name == "record"):
        values = rows.fields(values[0])
    elif len(values) == 1 and len(wanted) > 1 and values[0].type.name == "record":
        values = [values[0]]
    if len(values) != len(wanted):
        _mismatch(meant, "Final statement returns too many columns." if len(values) > len(wanted) else
                  "Final statement returns too few columns.")
    made: list[tuple[Field, Expr]] = []
    for number, (value, (name, target)) in enumerate(zip(values, wanted, strict=True), 1):
        if value.type != UNKNOWN and not can_coerce(value.type, target, "assignment") and value.type.name != target.name:
            have, need = bare_type(value.type).sql, bare_type(target).sql
            _mismatch(meant, f"Final statement returns {have} instead of {need} at column {number}." if len(wanted) > 1 else
                      f"Actual return type is {have}.")
        made.append((context.field(name, target), coerce(context, value, target, -1, "assignment")))
    if all(isinstance(v, e.ColumnRef) and v.type == t for (_, v), (_, t) in zip(made, wanted, strict=True)):
        fields = tuple(Field(v.id, f.name, f.type) for f, v in made)  # type: ignore[attr-defined]
        return Query(query.plan, fields, (None,) * len(fields), (-1,) * len(fields), query.refs)
    unknown = (None,) * len(made), (-1,) * len(made)
    return Query(Project(query.plan, tuple(made)), tuple(f for f, _ in made), *unknown, query.refs)


def _mismatch(meant: Meant, detail: str) -> None:
    shown = "record" if meant.result.name == "record" and meant.result.user is None else bare_type(meant.result).sql
    raise InvalidFunctionDefinition(f"return type mismatch in function declared to return {shown}", detail=detail)


# Where calls stand

def call_value(b: ExpressionBinder, node: s.Function, known: Sequence[Overload], field: str = "") -> Expr:
    """A call in an expression; `field`: the column wanted of its record."""
    meant = resolve_call(b, node, known)
    if meant.overload.definition.returns_set:
        return _set(b, node, meant, field)
    query = body_query(b, meant, node.pos)
    query = _as_one_column(b.context, query, meant)
    value = b.apply("scalar", query, query.fields[0].type, meant.overload.definition.name)
    if meant.result.name == "record" and rows.is_row(value) and field:
        return rows.field_of(value, field, node.pos)
    return value


def _as_one_column(context: Context, query: Query, meant: Meant) -> Query:
    """Rows of several columns, or of a composite type, as records."""
    if meant.result.name != "record":
        return query
    record = rows.row_of([f.ref() for f in query.fields], [f.name for f in query.fields])
    if meant.result.user is not None:
        record = replace(record, type=replace(record.type, user=meant.result.user))
    column = context.field(meant.overload.definition.name, record.type)
    return Query(_with_record(query.plan, column, record), (column,), (None,), (-1,), query.refs)


def _replaced(expr: Expr, values: dict[int, Expr]) -> Expr:
    """The expression with these values in place of columns."""
    return rebuild(expr, lambda part: values.get(part.id) if type(part) is e.ColumnRef else None)


def _with_record(plan: PlanNode, column: Field, record: Expr) -> PlanNode:
    """The rows as records. They are made beneath a Sort, so that what gathers them sees how they are ordered."""
    below, value = plan, record
    while isinstance(below, Project) and isinstance(below.input, (Project, Sort)):
        value = _replaced(value, {f.id: expr for f, expr in below.assignments})
        below = below.input
    if not isinstance(below, Sort):
        return Project(plan, ((column, record),))
    kept = tuple((f, f.ref()) for f in below.input.output)
    return Sort(Project(below.input, (*kept, (column, value))), below.keys)


def _set(b: ExpressionBinder, node: s.Function, meant: Meant, wanted: str) -> Expr:
    """SETOF in a select list: the elements of an array of all its rows."""
    name = meant.overload.definition.name
    if not b.clause.sets:
        fail(FeatureNotSupported, b.clause.set_error or f"set-returning functions are not allowed in {b.clause.name}",
             node.pos)
    query = _as_one_column(b.context, body_query(b, meant, node.pos), meant)
    array = b.array_of_query(query)
    column = b.context.field(name, query.fields[0].type)
    b.level.sets.append(PendingSet((column,), "unnest", (array,)))
    value = column.ref()
    return rows.field_of(value, wanted, node.pos) if wanted and rows.is_row(value) else value


def as_array(b: ExpressionBinder, node: s.Function, known: Sequence[Overload],
             definitions: Sequence[s.ColumnDefinition] | None, alias: str
             ) -> tuple[Expr, Callable[[Field], list[tuple[Field, Expr]]]]:
    """A call beside others in FROM, or numbered: its rows as an array, and what makes columns of an element."""
    query = from_rows(b, node, known, definitions, alias)
    names = [f.name for f in query.fields]
    if len(names) > 1:
        record = rows.row_of([f.ref() for f in query.fields], names)
        column = b.context.field(node.name[-1], record.type)
        query = Query(_with_record(query.plan, column, record), (column,), (None,), (-1,), query.refs)

    def parts(element: Field) -> list[tuple[Field, Expr]]:
        values = [element.ref()] if len(names) == 1 else rows.fields(element.ref())
        return [(b.context.field(name, value.type), value) for name, value in zip(names, values, strict=True)]

    return b.array_of_query(query), parts


def from_rows(b: ExpressionBinder, node: s.Function, known: Sequence[Overload],
              definitions: Sequence[s.ColumnDefinition] | None, alias: str = "") -> Query:
    """A call in FROM: its rows with their columns, a single one called `alias` where there is one. `definitions`: the
    columns that the query says a record has."""
    meant = resolve_call(b, node, known)
    anonymous = meant.result.name == "record" and meant.result.fields is None
    if definitions is not None:
        if not anonymous:
            fail(SqlSyntaxError, "a column definition list is only allowed for functions "
                 'returning "record"' if meant.result.name != "record" else
                 "a column definition list is redundant for a function with OUT parameters", node.pos)
        meant = replace(meant, result=SqlType("record", fields=tuple(
            (column.name, resolve_type(column.type, b.context)) for column in definitions if column.type is not None)))
    elif anonymous:
        fail(SqlSyntaxError, 'a column definition list is required for functions returning "record"', node.pos)
    try:
        query = body_query(b, meant, node.pos)
    except InvalidFunctionDefinition as error:
        if definitions is None:
            raise
        raise DatatypeMismatch("function return row and query-specified return row do not match",
                               detail=error.detail) from None
    if alias and meant.result.name != "record" and not meant.overload.outputs:
        query = replace(query, fields=tuple(Field(f.id, alias, f.type) for f in query.fields))
    if meant.overload.definition.returns_set:
        return query
    return replace(query, plan=Join("left", ONE_ROW, query.plan))  # a row of NULLs where the body gives none

