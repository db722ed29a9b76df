"""Calls: plain functions, aggregates, window functions and set-returning functions (hop 2).

A plain call becomes a Call. Aggregates, window functions and set-returning functions become columns that the level
computes later (selects.py): the expression reads the column, and the level remembers what to compute.

Spec: PostgreSQL 15 documentation, 4.2.6 to 4.2.8 and 10.3; wording of parse_func.c and parse_agg.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import (
    FeatureNotSupported,
    GroupingError,
    InvalidColumnReference,
    InvalidRecursion,
    InvalidSchemaName,
    SqlError,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedFunction,
    WindowingError,
    WrongObjectType,
)
from shoal.catalog.types import INT4, INT8, OIDS, SqlType
from shoal.exec.functions.registry import Function, Resolution, find, named_type
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal, Parameter
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, elements_held, function_for, operator, unify
from shoal.exec.sql.context import (
    AGGREGATE,
    FILTER,
    GROUP_BY,
    WINDOW,
    Level,
    PendingAggregate,
    PendingSet,
    PendingSort,
    PendingWindow,
    fail,
)
from shoal.exec.sql.rows import JSON_MAKERS, as_json, bind_row_to_json, row_of

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_SCHEMAS = ("pg_catalog", "information_schema", "public")
_ARGUMENT_NAMES = {"make_interval": ("years", "months", "weeks", "days", "hours", "mins", "secs"),
                   "make_date": ("year", "month", "day"), "make_time": ("hour", "min", "sec"),
                   "make_timestamp": ("year", "month", "mday", "hour", "min", "sec"),
                   "jsonb_set": ("jsonb_in", "path", "replacement", "create_if_missing")}
_ORDERED_SET = frozenset({"mode", "percentile_cont", "percentile_disc"})
_PRECISE = frozenset({"current_timestamp", "localtimestamp", "current_time", "localtime"})
_MEANT = {"current_catalog": "current_database", "div": "div_truncated"}
"""SQL's names for functions that the registry has under another; its "div" is the operator /."""
_UNIFYING = {"coalesce": "COALESCE", "greatest": "GREATEST", "least": "LEAST"}


def bind_function(b: ExpressionBinder, node: s.Function, field: str = "") -> Expr:
    """Any call. `field`: the column wanted of a set-returning function that gives several."""
    name = node.name[-1]
    if len(node.name) > 1 and node.name[-2] not in _SCHEMAS:
        if len(node.name) == 2:
            fail(InvalidSchemaName, f'schema "{node.name[0]}" does not exist', node.pos)
        spelled = f"{'.'.join(node.name)}({', '.join(a.type.sql for a in (b.bind_settled(x) for x in node.args))})"
        fail(UndefinedFunction, f"function {spelled} does not exist", node.pos)
    special = _SPECIAL.get(name)
    if special is not None and not (node.over or node.filter or node.distinct or node.star):
        return special(b, node)
    kinds = {f.kind for f in find(name)}
    if "aggregate" in kinds and "scalar" not in kinds:
        return _window_call(b, node, aggregate=True) if node.over is not None else _aggregate(b, node)
    if "window" in kinds:
        if node.over is None:
            fail(WrongObjectType, f"window function {name} requires an OVER clause", node.pos)
        return _window_call(b, node, aggregate=False)
    _check_plain(node)
    if "set" in kinds:
        return _set_call(b, node, field)
    return scalar_call(b, node, [b.bind(arg) for arg in node.args])


def _check_plain(node: s.Function) -> None:
    """Raises: WrongObjectType (42809) for what only aggregates may have."""
    name = node.name[-1]
    if node.over is not None:
        fail(WrongObjectType, f"OVER specified, but {name} is not a window function nor an aggregate function", node.pos)
    if node.star:
        fail(UndefinedFunction, f"function {name}() does not exist", node.pos,
             hint="No function matches the given name and argument types. You might need to add explicit type casts.")
    for given, what in ((node.distinct, "DISTINCT"), (node.within is not None, "WITHIN GROUP"),
                        (bool(node.order), "ORDER BY"), (node.filter is not None, "FILTER")):
        if given and find(name):
            fail(WrongObjectType, f"{what} specified, but {name} is not an aggregate function", node.pos)


def resolve(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> tuple[Resolution, list[Expr]]:
    """The overload meant and the arguments cast to what it takes."""
    if node.arg_names:
        args = _named_arguments(node, args)
    if node.variadic:
        args = _variadic(b, node, args)
    try:
        found = function_for(node.name[-1], args)
    except SqlError as error:
        error.position = error.position or node.pos + 1
        raise
    places = [arg.pos for arg in node.args]
    places += [node.pos] * (len(args) - len(places))
    declared = found.function.declared(len(args)) or found.function.arguments
    typed: list[Expr] = []
    for arg, want, takes, pos in zip(args, found.arguments, declared, places, strict=False):
        if takes == "any" and isinstance(arg, Parameter):
            b.context.parameters.leave_untyped(arg, pos)
            typed.append(arg)
        else:
            typed.append(coerce(b.context, arg, want, pos))
    return found, elements_held(found, typed)


def scalar_call(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> Expr:
    """A plain function of bound arguments; type_name(x) is a cast."""
    if len(args) == 1 and not find(node.name[-1]):
        target = _type_function(node)
        if target is not None:
            return b.cast(args[0], target, node.pos, node.args[0].pos)
    if node.name[-1] in JSON_MAKERS:
        args = [as_json(arg) for arg in args]
    found, typed = resolve(b, node, args)
    function = found.function
    if function.name == "cast_value":
        return b.cast(args[0], found.returns, node.pos, node.args[0].pos)
    return Call(found.returns, _MEANT.get(function.name, function.name), tuple(typed), function.volatility == "volatile")


def _type_function(node: s.Function) -> SqlType | None:
    """The type that a call of a type's name casts to."""
    name = node.name[-1]
    if name not in OIDS or name in ("unknown", "record", "void") or name.startswith("_"):
        return None
    return named_type(name)


def _named_arguments(node: s.Function, args: list[Expr]) -> list[Expr]:
    """Arguments given by name put in their places, with zeros where make_interval was given none."""
    name = node.name[-1]
    names = _ARGUMENT_NAMES.get(name)
    if names is None:
        fail(FeatureNotSupported, f"named arguments of {name} are not supported", node.pos)
    placed: dict[int, Expr] = {}
    for i, arg in enumerate(args):
        given = node.arg_names.get(i)
        if given is not None and given not in names:
            fail(UndefinedFunction, f"function {name} has no argument named {given}", node.pos)
        placed[names.index(given) if given is not None else i] = arg
    last = max(placed)
    missing = [i for i in range(last) if i not in placed]
    if missing and name != "make_interval":
        fail(UndefinedFunction, f"function {name} lacks its argument {names[missing[0]]}", node.pos)
    return [placed.get(i, Literal(INT4, 0)) for i in range(last + 1)]


def _variadic(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> list[Expr]:
    """f(VARIADIC ARRAY[a, b]) is f(a, b); other arrays cannot be spread while binding."""
    last = node.args[-1]
    if isinstance(last, s.Array):
        return [*args[:-1], *(b.bind(item) for item in last.items)]
    if isinstance(args[-1], Literal) and args[-1].type.is_array and isinstance(args[-1].value, (tuple, list)):
        return [*args[:-1], *(Literal(args[-1].type.element, v) for v in args[-1].value)]
    fail(FeatureNotSupported, "VARIADIC with an array that is not a constant is not supported", node.pos)


# Forms with rules of their own

def _unifying(b: ExpressionBinder, node: s.Function) -> Expr:
    """COALESCE, GREATEST, LEAST."""
    name = node.name[-1]
    args = [b.bind(arg) for arg in node.args]
    target, typed = unify(b.context, args, [s.place(arg) for arg in node.args], _UNIFYING[name])
    return typed[0] if len(typed) == 1 else Call(target, name, tuple(typed))


def _nullif(b: ExpressionBinder, node: s.Function) -> Expr:
    if len(node.args) != 2:
        fail(SqlSyntaxError, 'syntax error at or near ")"', node.pos)
    left, right = b.bind(node.args[0]), b.bind(node.args[1])
    equal = operator(b.context, "=", left, right, node.pos, node.args[0].pos, node.args[1].pos)
    first = equal.args[0] if left.type.name == "unknown" else left
    if equal.args[0].type == first.type or isinstance(left, Literal):
        return Call(equal.args[0].type, "nullif", equal.args)
    return e.Case(first.type, (equal,), (Literal(first.type, None),), first)


def _precise(b: ExpressionBinder, node: s.Function) -> Expr:
    """CURRENT_TIMESTAMP and its kin, with (n) rounded to n digits."""
    name = node.name[-1]
    function = find(name)[0]
    assert isinstance(function.returns, SqlType)
    now = Call(function.returns, name, ())
    if not node.args:
        return now
    digits = b.bind(node.args[0])
    if not isinstance(digits, Literal) or not isinstance(digits.value, int):
        fail(SqlSyntaxError, f"{name.upper()} takes a constant precision", node.pos)
    return b.cast(now, now.type, node.pos, node.pos, digits.value if digits.value < 6 else None)


def _grouping(b: ExpressionBinder, node: s.Function) -> Expr:
    """GROUPING(...): settled once the grouping sets are known (grouping.py)."""
    from shoal.exec.sql.grouping import PendingGrouping
    level = b.level
    if not b.clause.aggregates:
        fail(GroupingError, f"grouping operations are not allowed in {b.clause.name}", node.pos)
    inner = type(b)(level, AGGREGATE)
    inner.in_aggregate = True
    args = tuple(inner.bind(arg) for arg in node.args)
    field = b.context.field("grouping", INT4)
    level.groupings.append(PendingGrouping(field, args, tuple(s.place(arg) for arg in node.args)))
    return field.ref()


_SPECIAL: dict[str, Any] = {**dict.fromkeys(_UNIFYING, _unifying), "nullif": _nullif, "grouping": _grouping,
                            "row_to_json": bind_row_to_json,
                            **dict.fromkeys(_PRECISE, _precise)}


# Aggregates

def _aggregate(b: ExpressionBinder, node: s.Function) -> Expr:
    name = node.name[-1]
    if node.within is not None and name not in _ORDERED_SET:
        fail(WrongObjectType, f"{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP", node.pos)
    inner = type(b)(b.level, AGGREGATE)
    inner.in_aggregate = True
    if b.in_aggregate and b.clause is AGGREGATE:
        fail(GroupingError, AGGREGATE.aggregate_error, node.pos)
    refs_before = set(b.level.refs)
    function, returns, args, order = _aggregate_arguments(inner, node)
    where = None
    if node.filter is not None:
        filtered = type(b)(b.level, FILTER)
        filtered.in_aggregate = True
        where = filtered.bind_boolean(node.filter, "FILTER")
    level = _owner(b.level, [*args, *([where] if where is not None else []), *(item.expr for item in order)],
                   refs_before, node.pos)
    clause = b.clause if level is b.level else level.clause
    if clause is not None and not clause.aggregates:
        fail(GroupingError, clause.aggregate_error or f"aggregate functions are not allowed in {clause.name}", node.pos)
    if level.recursive:
        fail(InvalidRecursion, "aggregate functions are not allowed in a recursive query's recursive term", node.pos)
    for known in level.aggregates:
        if (known.name, known.args, known.distinct, known.filter, known.order) == (
                function.name, tuple(args), node.distinct, where, order):
            field = known.field
            break
    else:
        field = b.context.field(name, returns)
        level.aggregates.append(PendingAggregate(field, function.name, tuple(args), node.distinct, where, order,
                                                 function.strict or (name == "count" and bool(args))))
    if level is not b.level:
        at: Level | None = b.level
        while at is not None and at is not level:
            at.refs[field.id] = level
            at = at.parent
    return field.ref()


def _aggregate_arguments(inner: ExpressionBinder, node: s.Function) -> tuple[Function, SqlType, list[Expr],
                                                                             tuple[PendingSort, ...]]:
    name = node.name[-1]
    if node.star:
        if name != "count":
            fail(UndefinedFunction, f"function {name}() does not exist", node.pos,
                 hint="No function matches the given name and argument types. You might need to add explicit type casts.")
        function = next(f for f in find("count") if not f.arguments)
        return function, INT8, [], ()
    if name == "count" and not node.args:
        fail(WrongObjectType, "count(*) must be used to call a parameterless aggregate function", node.pos)
    args = [_counted(inner, arg) if name == "count" else inner.bind(arg) for arg in node.args]
    if name in JSON_MAKERS and name != "json_agg":  # which puts rows on lines of their own
        args = [as_json(arg, name.startswith("jsonb")) for arg in args]
    order = bind_sort(inner, node.order)
    if node.within is not None:
        if node.distinct:
            fail(SqlSyntaxError, "cannot use DISTINCT with WITHIN GROUP", node.pos)
        order = bind_sort(inner, node.within)
        args += [item.expr for item in order]
    elif name in _ORDERED_SET:
        fail(WrongObjectType, f"WITHIN GROUP is required for ordered-set aggregate {name}", node.pos)
    found, typed = resolve(inner, node, args)
    if node.within is not None and typed:
        order = tuple(PendingSort(typed[-1], item.descending, item.nulls_first) for item in order)
    if node.distinct:
        known = set(typed)
        order = tuple(PendingSort(_matching(item.expr, args, typed), item.descending, item.nulls_first) for item in order)
        for item, sort in zip(order, node.order, strict=True):
            if item.expr not in known:
                fail(InvalidColumnReference,
                     "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                     s.place(sort.arg))
    return found.function, found.returns, typed, order


def _matching(wanted: Expr, args: list[Expr], typed: list[Expr]) -> Expr:
    """An ORDER BY expression as the argument it equals, cast like it."""
    for arg, cast in zip(args, typed, strict=False):
        if arg == wanted or cast == wanted:
            return cast
    return wanted


def _counted(inner: ExpressionBinder, node: Any) -> Expr:
    """count(t), count(t.*): a whole row counts as a constant, being never NULL here."""
    if (isinstance(node, s.Star) and node.qualifier) or (isinstance(node, s.Name) and _is_relation(inner, node)):
        return Literal(INT4, 1)
    return inner.bind(node)


def _is_relation(inner: ExpressionBinder, node: s.Name) -> bool:
    scope = inner.level.scope
    return len(node.parts) == 1 and not scope.find(node.parts[0]) and scope.relation(node.parts) is not None


def _owner(level: Level, exprs: list[Expr], refs_before: set[int], pos: int) -> Level:
    """The level an aggregate belongs to: its own, unless it reads only columns of one enclosing level."""
    ids: set[int] = set()
    for expr in exprs:
        ids |= e.columns_of(expr)
    if not ids or not all(i in level.refs for i in ids):
        return level
    owners = {id(level.refs[i]): level.refs[i] for i in ids}
    at = level.parent
    while at is not None:
        if id(at) in owners:
            for column in ids:
                if column not in refs_before and level.refs.get(column) is at:
                    _forget(level, column, at)
            return at
        at = at.parent
    return level


def _forget(level: Level, column: int, owner: Level) -> None:
    """An outer column read only inside an outer aggregate is no correlation of the levels between."""
    at: Level | None = level
    while at is not None and at is not owner:
        at.refs.pop(column, None)
        at = at.parent


def bind_sort(b: ExpressionBinder, items: list[s.SortItem]) -> tuple[PendingSort, ...]:
    """ORDER BY inside a call or window: expressions only."""
    return tuple(PendingSort(b.bind_settled(item.arg), item.descending, item.nulls_first) for item in items)


# Window functions

def _window_call(b: ExpressionBinder, node: s.Function, aggregate: bool) -> Expr:
    from shoal.exec.sql.windows import bind_window
    name = node.name[-1]
    clause = b.clause
    if not clause.windows:
        fail(GroupingError if clause is AGGREGATE else WindowingError,
             clause.window_error or f"window functions are not allowed in {clause.name}", node.pos)
    if node.distinct:
        fail(FeatureNotSupported, "DISTINCT is not implemented for window functions", node.pos)
    if node.order:
        fail(FeatureNotSupported, "aggregate ORDER BY is not implemented for window functions", node.pos)
    if node.within is not None:
        fail(FeatureNotSupported, f"OVER is not supported for ordered-set aggregate {name}", node.pos)
    inner = type(b)(b.level, WINDOW, b.applies)
    if aggregate:
        function, returns, args, _ = _aggregate_arguments(inner, node)
    else:
        if node.star:
            fail(WrongObjectType, f"{name}(*) specified, but {name} is not an aggregate function", node.pos)
        if node.filter is not None:
            fail(FeatureNotSupported, "FILTER is not implemented for non-aggregate window functions", node.pos)
        found, args = resolve(inner, node, [inner.bind(arg) for arg in node.args])
        function, returns = found.function, found.returns
    where = None if node.filter is None else inner.bind_boolean(node.filter, "FILTER")
    assert node.over is not None
    partition, order, frame = bind_window(inner, node.over)
    field = b.context.field(name, returns)
    b.level.windows.append(PendingWindow(field, function.name, tuple(args), where, partition, order, frame))
    return field.ref()


# Set-returning functions

def set_fields(b: ExpressionBinder, function: Function, returns: SqlType, name: str,
               args: list[Expr]) -> tuple[Field, ...]:
    """The columns a set-returning function gives for these arguments."""
    if not function.columns:
        return (b.context.field(name, returns),)
    return tuple(b.context.field(column, _element_of(args[0].type) if kind == "anyelement" else named_type(kind))
                 for column, kind in function.columns)


def _element_of(array: SqlType) -> SqlType:
    return SqlType({"int2vector": "int2", "oidvector": "oid"}[array.name]) if not array.is_array else array.element


def _set_call(b: ExpressionBinder, node: s.Function, wanted: str) -> Expr:
    name = node.name[-1]
    if not b.clause.sets:
        if b.clause.set_error:
            fail(FeatureNotSupported, b.clause.set_error, node.pos,
                 hint="You might be able to move the set-returning function into a LATERAL FROM item.")
        fail(FeatureNotSupported, f"set-returning functions are not allowed in {b.clause.name}", node.pos)
    args = [b.bind(arg) for arg in node.args]
    found, typed = resolve(b, node, args)
    earlier = {f.id for pending in b.level.sets for f in pending.fields}
    if any(e.columns_of(arg) & earlier for arg in typed):
        fail(FeatureNotSupported, "nested set-returning functions are not supported", node.pos)
    shared = bool(wanted) or b.clause is GROUP_BY
    for pending in (*b.level.sets, *b.level.input_sets):
        if shared and (pending.name, pending.args) == (found.function.name, tuple(typed)):
            fields = pending.fields
            break
    else:
        fields = set_fields(b, found.function, found.returns, name, typed)
        b.level.sets.append(PendingSet(fields, found.function.name, tuple(typed)))
    if wanted:
        for field in fields:
            if field.name == wanted:
                return field.ref()
        fail(UndefinedColumn, f'column "{wanted}" not found in data type record', node.pos)
    if len(fields) > 1:
        return row_of([field.ref() for field in fields], [field.name for field in fields])
    return fields[0].ref()

