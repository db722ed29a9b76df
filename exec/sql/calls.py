"""Calls: plain functions, aggregates, window functions and set-returning functions (hop 2).

A plain call becomes a Call. Aggregates, window functions and set-returning functions become columns that the level
computes later (selects.py): the expression reads the column, and the level remembers what to compute.

Spec: PostgreSQL 15 documentation, 4.2.6 to 4.2.8 and 10.3; wording of parse_func.c and parse_agg.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.access import quoted
from shoal.catalog.errors import (
    DatatypeMismatch,
    FeatureNotSupported,
    GroupingError,
    InvalidColumnReference,
    InvalidRecursion,
    InvalidSchemaName,
    SqlError,
    SqlSyntaxError,
    TooManyArguments,
    UndefinedColumn,
    UndefinedFunction,
    WindowingError,
    WrongObjectType,
)
from shoal.catalog.types import BOOL, INT4, INT8, OIDS, REGTYPE, TEXT, UNKNOWN, SqlType, array_of
from shoal.exec.functions.registry import Function, Resolution, find, named_type
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal, Parameter
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import notation
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, elements_held, function_for, operator, ranked, unify
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
    from shoal.exec.sql.user_functions import Overload

MOST_ARGUMENTS = 100
"""PostgreSQL's limit, of functions; COALESCE and the like have none."""
_SCHEMAS = ("pg_catalog", "information_schema", "public")
_SYSTEM = (("pg_catalog",), ("information_schema",))
_HYPOTHETICAL = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})
_ORDERED_SET = _HYPOTHETICAL | {"mode", "percentile_cont", "percentile_disc"}
_PRECISE = frozenset({"current_timestamp", "localtimestamp", "current_time", "localtime"})
_MEANT = {"current_catalog": "current_database", "div": "div_truncated"}
"""SQL's names for functions that the registry has under another; its "div" is the operator /."""
_UNIFYING = {"coalesce": "COALESCE", "greatest": "GREATEST", "least": "LEAST"}


def bind_function(b: ExpressionBinder, node: s.Function, field: str = "") -> Expr:
    """Any call. `field`: the column wanted of a set-returning function that gives several."""
    name = node.name[-1]
    if own := own_functions(b, node):
        return call_value(b, node, own, field)
    if len(node.name) > 1 and node.name[-2] not in _SCHEMAS:
        if len(node.name) == 2:
            fail(InvalidSchemaName, f'schema "{node.name[0]}" does not exist', node.pos)
        spelled = f"{'.'.join(node.name)}({', '.join(a.type.sql for a in (b.bind_settled(x) for x in node.args))})"
        fail(UndefinedFunction, f"function {spelled} does not exist", node.pos)
    special = _SPECIAL.get(name)
    if special is not None and not (node.over or node.filter or node.distinct or node.star):
        return special(b, node)
    if len(node.args) > MOST_ARGUMENTS:
        fail(TooManyArguments, f"cannot pass more than {MOST_ARGUMENTS} arguments to a function", node.pos)
    kinds = {f.kind for f in find(name)}
    if name in _HYPOTHETICAL and not node.args and node.within is None:
        kinds.discard("aggregate")
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


def own_functions(b: ExpressionBinder, node: s.Function) -> Sequence[Overload]:
    """The functions made by users that a call may mean: PostgreSQL's own of the name come first."""
    if find(node.name[-1]) or node.name[-1] in _SPECIAL or node.name[:-1] in _SYSTEM or node.name[-1] in OIDS:
        return ()
    from shoal.exec.sql.user_functions import overloads
    return overloads(b.context, node.name)


def call_value(b: ExpressionBinder, node: s.Function, known: Sequence[Overload], field: str) -> Expr:
    from shoal.exec.sql import user_functions
    _check_plain(node)
    return user_functions.call_value(b, node, known, field)


def _check_plain(node: s.Function) -> None:
    """Raises: WrongObjectType (42809) for what only aggregates may have."""
    name = node.name[-1]
    if node.over is not None and find(name):
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
        args = notation.by_name(b, node, args)
    found = None
    if node.variadic:
        found, args = notation.spread(b, node, args)
    try:
        found = found or function_for(node.name[-1], args)
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
    if found.function.family == "sequence" and typed:
        name = args[0]
        if isinstance(name, Literal) and name.type == UNKNOWN and name.value is not None:  # PostgreSQL takes a regclass
            from shoal.exec.sql.register_names import check_register
            check_register(b.context, name.value, "regclass", places[0])
    return found, elements_held(found, typed)


def scalar_call(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> Expr:
    """A plain function of bound arguments; type_name(x) is a cast."""
    if len(args) == 1 and not find(node.name[-1]):
        target = _type_function(node)
        if target is not None:
            return b.cast(args[0], target, node.pos, node.args[0].pos)
    if node.name[-1] in JSON_MAKERS:
        args = [as_json(arg) for arg in args]
    if node.name[-1] == "pg_typeof" and len(args) == 1:
        from shoal.exec.sql.user_types import domain_of_value
        oid = domain_of_value(b, node.args[0])
        if oid is not None:
            return Literal(REGTYPE, oid)
    found, typed = resolve(b, node, args)
    function = found.function
    if function.name == "cast_value":
        return b.cast(args[0], found.returns, node.pos, node.args[0].pos)
    made = Call(found.returns, _MEANT.get(function.name, function.name), tuple(typed), function.volatility == "volatile")
    if found.returns.user is not None and found.returns.user.domains and function.name.endswith("_populate_record"):
        from shoal.exec.sql.user_types import in_domains
        return in_domains(b.context, made)
    return made


def _type_function(node: s.Function) -> SqlType | None:
    """The type that a call of a type's name casts to."""
    name = node.name[-1]
    if name not in OIDS or name in ("unknown", "record", "void") or name.startswith("_"):
        return None
    return named_type(name)


# Forms with rules of their own

def _unifying(b: ExpressionBinder, node: s.Function) -> Expr:
    """COALESCE, GREATEST, LEAST."""
    name = node.name[-1]
    outer, b.setless = b.setless, "COALESCE" if name == "coalesce" else b.setless
    args: list[Expr] = []
    for arg in node.args:
        known = len(b.applies)
        args.append(b.bind(arg))
        if name == "coalesce" and len(b.applies) > known:
            b.guard(known, [Call(BOOL, "is_null", (one,)) for one in args[:-1] if one.type != UNKNOWN])
    b.setless = outer
    target, typed = unify(b.context, args, [s.place(arg) for arg in node.args], _UNIFYING[name])
    if target.name in ("enum", "_enum") and name != "coalesce" and len(typed) > 1:
        places = tuple(ranked(arg) for arg in typed)
        return Call(target, "enum_label", (Call(places[0].type, name, places),))
    return typed[0] if len(typed) == 1 else Call(target, name, tuple(typed))


def _nullif(b: ExpressionBinder, node: s.Function) -> Expr:
    if len(node.args) != 2:
        fail(SqlSyntaxError, 'syntax error at or near ")"', node.pos)
    left, right = b.bind(node.args[0]), b.bind(node.args[1])
    equal = operator(b.context, "=", left, right, node.pos, node.args[0].pos, node.args[1].pos)
    if "enum" in (left.type.name, right.type.name):
        kind, both = unify(b.context, [left, right], [s.place(arg) for arg in node.args], "NULLIF")
        return Call(kind, "nullif", tuple(both))
    compared = equal.args[0].type  # which is also what comes out
    return Call(TEXT if compared.name == "varchar" else compared, "nullif", equal.args)


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
    return b.cast(now, replace(now.type, modifier=min(digits.value, 6)), node.pos, node.pos)


def _grouping(b: ExpressionBinder, node: s.Function) -> Expr:
    """GROUPING(...): settled once the grouping sets are known (grouping.py)."""
    from shoal.exec.sql.grouping import PendingGrouping
    level = b.level
    inner = type(b)(level, AGGREGATE)
    inner.in_aggregate = True
    args = tuple(inner.bind(arg) for arg in node.args)
    field = b.context.field("grouping", INT4)
    owners = [level.refs.get(i) for arg in args for i in e.columns_of(arg)]
    at: Level | None = level
    if owners and owners[0] is not None and all(owner is owners[0] for owner in owners):
        while at is not None and at is not owners[0]:  # the columns are those of an enclosing query, so is the call
            at.refs[field.id] = owners[0]
            at = at.parent
        level = owners[0]
    clause = b.clause if level is b.level else level.clause
    if clause is not None and not clause.aggregates:
        fail(GroupingError, f"grouping operations are not allowed in {clause.name}", node.pos)
    level.groupings.append(PendingGrouping(field, args, tuple(s.place(arg) for arg in node.args)))
    return field.ref()


def _collation_for(b: ExpressionBinder, node: s.Function) -> Expr:
    """pg_collation_for: what is known of its argument without a value of it."""
    if len(node.args) != 1:
        return scalar_call(b, node, [b.bind(arg) for arg in node.args])
    arg = b.bind(node.args[0])
    if arg.type.name == "unknown":
        return Literal(TEXT, None)
    if not (arg.type.element if arg.type.is_array else arg.type).is_string or arg.type.name == "char":
        raise DatatypeMismatch(f"collations are not supported by type {arg.type.sql}", position=-1)
    written = (one.collation[-1] for one in s.walk(node.args[0]) if isinstance(one, s.Collate))
    name = next(written, "C" if arg.type.name == "name" else "default")
    return Call(TEXT, "pg_collation_for", (Literal(TEXT, quoted(name)),))


def _of_enum(b: ExpressionBinder, node: s.Function) -> Expr:
    """enum_first, enum_last, enum_range."""
    from shoal.exec.sql.user_types import bind_enum_function
    return bind_enum_function(b, node)


_SPECIAL: dict[str, Any] = {**dict.fromkeys(_UNIFYING, _unifying), "nullif": _nullif, "grouping": _grouping,
                            "row_to_json": bind_row_to_json, "pg_collation_for": _collation_for,
                            **dict.fromkeys(("enum_first", "enum_last", "enum_range"), _of_enum),
                            **dict.fromkeys(_PRECISE, _precise)}


# Aggregates

def _aggregate(b: ExpressionBinder, node: s.Function) -> Expr:
    name = node.name[-1]
    inner = type(b)(b.level, AGGREGATE)
    inner.in_aggregate = True
    if b.in_aggregate and b.clause is AGGREGATE:
        fail(GroupingError, AGGREGATE.aggregate_error, node.pos)
    refs_before, applies_before = set(b.level.refs), len(b.level.input_applies)
    direct = 0
    if node.within is not None:
        direct = len(node.args)
        function, returns, args, order = _ordered_set_arguments(b, inner, node)
    else:
        function, returns, args, order = _aggregate_arguments(inner, node)
    where = None
    if node.filter is not None:
        filtered = type(b)(b.level, FILTER)
        filtered.in_aggregate = True
        where = filtered.bind_boolean(node.filter, "FILTER")
    level = _owner(b.level, [*args, *([where] if where is not None else []), *(item.expr for item in order)],
                   refs_before, applies_before, node.pos)
    if where is not None and e.columns_of(where) & {known.field.id for known in level.aggregates}:
        fail(GroupingError, AGGREGATE.aggregate_error, s.place(node.filter))
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
                                                 function.strict or (name == "count" and bool(args)), direct))
    if level is not b.level:
        at: Level | None = b.level
        while at is not None and at is not level:
            at.refs[field.id] = level
            at = at.parent
    return _of_enum_again(inner, field.ref())


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
    if len(args) == 1 and args[0].type.name in ("enum", "_enum") and (name in ("min", "max") or (
            name == "array_agg" and node.distinct and not args[0].type.is_array)):  # which sorts them
        inner.enum, args = args[0].type if name != "array_agg" else array_of(args[0].type), [ranked(args[0])]
    found, typed = resolve(inner, node, args)
    if name in _ORDERED_SET:
        fail(WrongObjectType, f"WITHIN GROUP is required for ordered-set aggregate {name}", node.pos)
    if node.distinct:
        known = set(typed)
        order = tuple(PendingSort(_matching(item.expr, args, typed), item.descending, item.nulls_first) for item in order)
        for item, sort in zip(order, node.order, strict=True):
            if item.expr not in known:
                fail(InvalidColumnReference,
                     "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                     s.place(sort.arg))
    return found.function, found.returns, typed, order


def _ordered_set_arguments(b: ExpressionBinder, inner: ExpressionBinder, node: s.Function) -> tuple[
        Function, SqlType, list[Expr], tuple[PendingSort, ...]]:
    """The direct arguments, then what is ordered by. The direct ones stand outside the aggregate: `b` binds them."""
    name = node.name[-1]
    assert node.within is not None
    if node.distinct:
        fail(SqlSyntaxError, "cannot use DISTINCT with WITHIN GROUP", node.pos)
    if node.order:
        fail(SqlSyntaxError, "cannot use multiple ORDER BY clauses with WITHIN GROUP", node.pos)
    direct = [b.bind(arg) for arg in node.args]
    computed = {pending.field.id for pending in b.level.aggregates}
    for arg, expr in zip(node.args, direct, strict=True):
        if e.columns_of(expr) & computed:
            fail(GroupingError, AGGREGATE.aggregate_error, s.place(arg))
    ordered = [inner.bind_settled(item.arg) for item in node.within]
    if name in _HYPOTHETICAL:
        if len(direct) != len(ordered):
            spelled = ", ".join(expr.type.sql for expr in (*direct, *ordered))
            fail(UndefinedFunction, f"function {name}({spelled}) does not exist", node.pos, hint=(
                f"To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments "
                f"(here {len(direct)}) must match the number of ordering columns (here {len(ordered)})."))
        for place, arg in enumerate(node.args):
            places = [s.place(node.within[place].arg), s.place(arg)]
            _, (ordered[place], direct[place]) = unify(
                b.context, [ordered[place], direct[place]], places, "WITHIN GROUP")
    if name in _HYPOTHETICAL:
        direct, ordered = [ranked(value) for value in direct], [ranked(value) for value in ordered]
    elif ordered and ordered[0].type.name == "enum" and name in ("mode", "percentile_disc"):
        several = any(value.type.is_array for value in direct)
        inner.enum, ordered = array_of(ordered[0].type) if several else ordered[0].type, [ranked(ordered[0])]
    found, typed = resolve(inner, node, [*direct, *ordered])
    if name not in _ORDERED_SET:
        fail(WrongObjectType, f"{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP", node.pos)
    order = tuple(PendingSort(expr, item.descending, item.nulls_first)
                  for expr, item in zip(typed[len(direct):], node.within, strict=True))
    return found.function, found.returns, typed, order


def _matching(wanted: Expr, args: list[Expr], typed: list[Expr]) -> Expr:
    """An ORDER BY expression as the argument it equals, cast like it."""
    if isinstance(wanted, Call) and wanted.name == "row_order":
        wanted = wanted.args[0]
    for arg, cast in zip(args, typed, strict=False):
        if arg == wanted or cast == wanted:
            return cast
    return wanted


def _counted(inner: ExpressionBinder, node: Any) -> Expr:
    """count(t), count(t.*): a whole row counts as a constant, where no outer join can leave it out."""
    if (isinstance(node, s.Star) and node.qualifier) or (isinstance(node, s.Name) and _is_relation(inner, node)):
        row = inner.bind(node)
        if isinstance(row, e.ColumnRef):  # a function's value
            return row
        if not isinstance(row, e.Case):
            return Literal(INT4, 1)
        return e.Case(INT4, row.conditions, (Literal(INT4, None),), Literal(INT4, 1))
    return inner.bind(node)


def _is_relation(inner: ExpressionBinder, node: s.Name) -> bool:
    scope = inner.level.scope
    return len(node.parts) == 1 and not scope.find(node.parts[0]) and scope.relation(node.parts) is not None


def _owner(level: Level, exprs: list[Expr], refs_before: set[int], applies_before: int, pos: int) -> Level:
    """The level an aggregate belongs to: its own, unless it reads only columns of enclosing levels; then the nearest of
    them, which takes the subqueries in its arguments too."""
    ids: set[int] = set()
    for expr in exprs:
        ids |= e.columns_of(expr)
    own = level.input_applies[applies_before:]
    used = [pending for pending in own if pending.mark.id in ids]
    for pending in used:
        ids = (ids - {pending.mark.id}) | pending.reads()
    if not ids or not all(i in level.refs for i in ids):
        return level
    owners = {id(level.refs[i]): level.refs[i] for i in ids}
    at = level.parent
    while at is not None:
        if id(at) in owners:
            if used and ids & {known.field.id for known in at.aggregates}:
                fail(GroupingError, AGGREGATE.aggregate_error, pos)
            if used:
                level.input_applies[:] = [p for p in level.input_applies if not any(p is one for one in used)]
                at.input_applies += used
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
    return tuple(PendingSort(ranked(b.bind_settled(item.arg)), item.descending, item.nulls_first) for item in items)


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
    return _of_enum_again(inner, field.ref())


def _of_enum_again(inner: ExpressionBinder, value: Expr) -> Expr:
    """The label in the place that min or max found."""
    return value if inner.enum is None else Call(inner.enum, "enum_label", (value,))


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
    if b.setless:
        fail(FeatureNotSupported, f"set-returning functions are not allowed in {b.setless}", node.pos,
             hint="You might be able to move the set-returning function into a LATERAL FROM item.")
    args = [b.bind(arg) for arg in node.args]
    found, typed = resolve(b, node, args)
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

