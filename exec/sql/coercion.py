"""Making an expression have a type: constants at once, parameters by deduction, the rest by a Cast (hop 2).

Spec: PostgreSQL 15 documentation, chapter 10 "Type Conversion"; wording of parse_coerce.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal as OneOf

from shoal.catalog import scaled, specials
from shoal.catalog.errors import CannotCoerce, DatatypeMismatch, NumericOutOfRange, SqlError, UndefinedFunction
from shoal.catalog.types import BOOL, BYTEA, INT4, NUMERIC, OID_LIKE, TEXT, SqlType, array_of, computed, numeric
from shoal.exec.functions.casts import can_coerce, cast_result, common_type, literal_type, parse_literal
from shoal.exec.functions.registry import Resolution, find
from shoal.exec.functions.resolution import resolve_function, resolve_operator
from shoal.exec.functions.text_input import INTEGER_LIMITS
from shoal.exec.functions.time_precision import TIMES, adjusted, modifier_of
from shoal.exec.plan.expr import Call, Cast, Expr, Literal, Parameter
from shoal.exec.sql.context import Context, bare_type, fail

CastContext = OneOf["implicit", "assignment", "explicit"]
_REGISTERS = OID_LIKE - {"oid", "xid", "cid"}
_COMPARED = frozenset({"=", "<>", "<", "<=", ">", ">="})
_NUMERICS = array_of(NUMERIC)
VECTORS = {"int2vector": SqlType("_int2"), "oidvector": SqlType("_oid")}
"""What the catalog's vectors are to functions and array casts."""
_COUNT_FROM_ZERO = frozenset({"generate_subscripts", "array_lower", "array_upper", "array_dims"})
"""Functions to which the vectors' first subscript, 0, matters."""


@lru_cache(maxsize=8192)
def operator_for(symbol: str, left: SqlType | None, right: SqlType) -> Resolution:
    """resolve_operator, remembered."""
    return resolve_operator(symbol, left, right)


@lru_cache(maxsize=8192)
def _function_for(name: str, types: tuple[SqlType, ...]) -> Resolution:
    return resolve_function(name, types)


def function_for(name: str, args: Sequence[Expr]) -> Resolution:
    """resolve_function, remembered; constants are told only to functions whose result type they decide."""
    types = tuple(VECTORS[arg.type.name] if arg.type.name in VECTORS and not any(
        arg.type.name in function.arguments for function in find(name)) else arg.type for arg in args)
    found = _function_for(name, types)
    if name in _COUNT_FROM_ZERO and args and args[0].type.name in VECTORS:
        return replace(found, arguments=(args[0].type, *found.arguments[1:]))
    if found.function.typed_by_constants:
        return resolve_function(name, types, [arg.value if isinstance(arg, Literal) else None for arg in args])
    return found


def coerce(context: Context, expr: Expr, target: SqlType, pos: int, how: CastContext = "implicit") -> Expr:
    """`expr` as `target`. Raises: CannotCoerce (42846), and for bad constants what parse_literal raises, at `pos`."""
    made = _coerced(context, expr, target, pos, how)
    if target.user is not None and target.user.domains and made is not expr:
        from shoal.exec.sql.user_types import in_domains
        return in_domains(context, made)
    if target.name in TIMES:
        kept = how == "implicit" or (expr.type == target and expr.type.typmod == target.typmod)
        return made if kept else timed(made, target)
    if how == "assignment" and target.name == "_numeric" and made.type != target:
        return Cast(target, made, False)
    return held(made, target) if how == "assignment" and target.name == "numeric" else made


def timed(expr: Expr, target: SqlType) -> Expr:
    """A time or interval with only the digits and fields that the modifier of `target` allows."""
    modifier = modifier_of(target)
    if modifier < 0:
        return expr
    if type(expr) is Literal:
        return Literal(target, None if expr.value is None else adjusted(expr.value, target.name, modifier))
    return Call(target, "time_scale", (expr, Literal(INT4, modifier)))


def held(expr: Expr, target: SqlType) -> Expr:
    """A numeric as columns and arrays of exactly this type store it."""
    if expr.type == target:
        return expr
    if type(expr) is Literal and target == NUMERIC and not expr.type.varies:
        if expr.value is None or expr.value in specials.TEXTS:
            return Literal(target, specials.TEXTS.get(expr.value))
        return Literal(target, scaled.plain(expr.value, expr.type.scale or 0))
    return Cast(target, expr, False)


def stored(context: Context, expr: Expr, target: SqlType, pos: int, how: CastContext = "implicit") -> Expr:
    """`expr` as one of several that make up a column of `target`: coerced, and of its scale, which a cast to an undeclared
    numeric need not give."""
    made = coerce(context, expr, target, pos, how)
    if target.name == "_numeric" and made.type.element.scale != target.element.scale:
        return Cast(target, made, False)
    return held(made, target) if target.name == "numeric" and made.type.scale != target.scale else made


def elements_held(found: Resolution, args: Sequence[Expr]) -> list[Expr]:
    """Arguments of a function on arrays of numerics: those that are or become elements, in the elements' form."""
    element = next((t.element for t in (*(arg.type for arg in args), found.returns) if t.name == "_numeric"), None)
    if element is None:
        return list(args)
    return [held(arg, element) if arg.type.name == "numeric" else arg for arg in args]


def _coerced(context: Context, expr: Expr, target: SqlType, pos: int, how: CastContext) -> Expr:
    source = expr.type
    if source == target:
        return expr
    if source.name == "unknown":
        return _coerce_unknown(context, expr, target, pos, how)
    if source.name == target.name == "record":
        if target.user is not None:
            from shoal.exec.sql.rows import as_composite
            return as_composite(context, expr, target, pos, how)
        return Cast(target, expr, False)
    if type(expr) is Literal and (expr.value is not None or can_coerce(source, target, how)):
        folded = _coerce_literal(expr, target, how == "explicit")
        if folded is not None:
            return folded
    if (source.name in ("varchar", "text") and target.name in ("text", "varchar") and target.length is None
            and how != "explicit"):
        return expr  # the same values, stored the same way
    if how == "implicit" and source.name == target.name == "numeric" and _holds(target, source):
        return expr
    if source.name in VECTORS and target.is_array and target != VECTORS[source.name]:
        expr = Cast(VECTORS[source.name], expr, False)
        source = expr.type
    if how == "explicit" and source.name == "_numeric" and target == _NUMERICS:
        return Cast(computed(source), expr)  # keeps the elements' digits
    if not can_coerce(source, target, how):
        fail(CannotCoerce, f"cannot cast type {source.sql} to {target.sql}", pos)
    return Cast(cast_result(source, target), expr, how == "explicit")


def _coerce_unknown(context: Context, expr: Expr, target: SqlType, pos: int, how: CastContext) -> Expr:
    if isinstance(expr, Parameter):
        found: Expr = context.parameters.assign(expr.index, target, pos)
        return found if found.type == target or not _modified(target) else Cast(target, found, how == "explicit")
    if not isinstance(expr, Literal):
        return Cast(target, expr, how == "explicit")
    if target.name == "unknown":
        return expr
    if expr.value is None:
        return Literal(target, None)
    if target.name in _REGISTERS or (target.is_array and target.element.name in _REGISTERS):
        if not target.is_array:
            from shoal.exec.sql.register_names import check_register
            check_register(context, expr.value, target.name, pos)
        return Cast(target, Literal(TEXT, expr.value))
    if target.length is not None and how != "explicit":
        if target.name == "varchar" and len(expr.value) <= target.length:
            return Literal(target, expr.value)
        return Cast(target, Literal(TEXT, expr.value), False)
    try:
        target = literal_type(expr.value, target)
        value = parse_literal(expr.value, target, context.settings)
    except SqlError as error:
        # a literal's digits have a place, what its type's modifier makes of them has none
        error.position = error.position or (-1 if isinstance(error, NumericOutOfRange) and error.detail else pos + 1)
        raise
    return Literal(target, tuple(value) if isinstance(value, list) else value)


def _holds(target: SqlType, source: SqlType) -> bool:
    """Whether a numeric is one of `target` as it is stored: the same scale, no fewer digits."""
    if target.scale is None:
        return True
    return target.scale == source.scale and (target.precision or 0) >= (source.precision or 0)


def _modified(target: SqlType) -> bool:
    return target.length is not None or (target.name == "numeric" and target.precision is not None)


def _coerce_literal(expr: Literal, target: SqlType, declared: bool) -> Literal | None:
    """A typed constant converted at once where that is exact and certain; None leaves it to a Cast. Unless `declared`,
    an integer becomes a numeric of its own digits."""
    source, value = expr.type, expr.value
    if value is None:
        return Literal(target, None)
    if source.is_integer:
        limit = INTEGER_LIMITS.get(target.name)
        if limit is not None:
            return Literal(target, value) if -limit <= value < limit else None
        if target.name == "numeric":
            target = cast_result(source, target)
            if target.varies and target.precision is not None:
                return None
            if target.varies or (not declared and target.scale == 0):
                return Literal(numeric(max(len(str(abs(value))), 1), 0), value)
            scaled = value * 10 ** (target.scale or 0)
            return Literal(target, scaled) if abs(scaled) < 10 ** (target.precision or 0) else None
        if target.name in ("float8", "float4"):
            return Literal(target, float(value)) if abs(value) < 1 << 24 else None
        if target.name == "oid":
            return Literal(target, value) if 0 <= value < 1 << 32 else None
        return None
    if source.name == "numeric" and isinstance(value, int):
        if target.name == "float8" and abs(value) < 1 << 53 and (source.scale or 0) <= 22:
            return Literal(target, value / 10 ** (source.scale or 0))
        if target.name == "numeric":
            target = cast_result(source, target)
            if target == source:
                return expr
            if target.varies:
                return None
            shift = (target.scale or 0) - (source.scale or 0)
            if shift >= 0 and abs(value * 10 ** shift) < 10 ** (target.precision or 0):
                return Literal(target, value * 10 ** shift)
        return None
    if source.is_string and source.name in ("text", "varchar") and target.name in ("text",
                                                                                   "varchar") and target.length is None:
        return Literal(target, value)
    return None


def coerce_boolean(context: Context, expr: Expr, what: str, pos: int) -> Expr:
    """`expr` as the condition of `what` ("WHERE", "AND" ...). Raises: DatatypeMismatch (42804)."""
    if expr.type == BOOL:
        return expr
    if expr.type.name != "unknown":
        fail(DatatypeMismatch, f"argument of {what} must be type boolean, not type {bare_type(expr.type).sql}", pos)
    return coerce(context, expr, BOOL, pos)


def settle(context: Context, expr: Expr, pos: int) -> Expr:
    """An untyped literal or parameter that nothing gave a type becomes text."""
    return coerce(context, expr, TEXT, pos) if expr.type.name == "unknown" else expr


def unify(context: Context, exprs: Sequence[Expr], places: Sequence[int], what: str) -> tuple[SqlType, list[Expr]]:
    """All of `exprs` as their common type (`what` is the construct errors name: CASE, VALUES ...)."""
    target = common(exprs, places, what)
    if target.name == "numeric" and any(e.type.name == "unknown" for e in exprs):
        # a quoted number or a parameter brings digits of its own, which the others' scale must not cut off
        exprs = [coerce(context, e, NUMERIC, pos) if e.type.name == "unknown" and getattr(e, "value", e) is not None else e
                 for e, pos in zip(exprs, places, strict=True)]
        target = computed(common(exprs, places, what))
    return target, [stored(context, e, target, pos) for e, pos in zip(exprs, places, strict=True)]


def common(exprs: Sequence[Expr], places: Sequence[int], what: str) -> SqlType:
    """The common type. Raises: DatatypeMismatch (42804) at the first expression that does not go with those before."""
    types = list(dict.fromkeys(e.type for e in exprs))
    try:
        return common_type(types, what)
    except SqlError as error:
        if not error.position:
            seen: list[SqlType] = []
            for expr, pos in zip(exprs, places, strict=True):
                seen.append(expr.type)
                try:
                    common_type(seen, what)
                except SqlError:
                    error.position = pos + 1
                    break
        raise


def operator(context: Context, symbol: str, left: Expr | None, right: Expr, pos: int, left_pos: int = -1,
             right_pos: int = -1) -> Call:
    """`left symbol right` with its implicit casts. Raises: UndefinedFunction (42883) at `pos`."""
    if left is not None and symbol in _COMPARED and not {"enum", "_enum"}.isdisjoint((left.type.name, right.type.name)):
        return enum_comparison(context, symbol, left, right, pos, left_pos, right_pos)
    try:
        found = operator_for(symbol, None if left is None else left.type, right.type)
    except SqlError as error:
        error.position = error.position or pos + 1
        raise
    wanted = found.arguments
    args: tuple[Expr, ...]
    if left is None:
        args = (coerce(context, right, wanted[0], right_pos),)
    else:
        args = (coerce(context, left, wanted[0], left_pos), coerce(context, right, wanted[1], right_pos))
    args = tuple(elements_held(found, args))
    function = found.function
    result = found.returns
    if result.name == "numeric" and callable(function.returns):
        result = computed(function.returns(tuple(a.type for a in args)))
    return Call(result, function.name, args, function.volatility == "volatile")


def enum_comparison(context: Context, symbol: str, left: Expr, right: Expr, pos: int, left_pos: int, right_pos: int) -> Call:
    """Enums, and arrays of them, compare by the places of their labels. Raises: UndefinedFunction (42883)."""
    if left.type.name == "unknown":
        left = coerce(context, left, right.type, left_pos)
    if right.type.name == "unknown":
        right = coerce(context, right, left.type, right_pos)
    if left.type != right.type:
        fail(UndefinedFunction, f"operator does not exist: {left.type.sql} {symbol} {right.type.sql}", pos,
             hint="No operator matches the given name and argument types. You might need to add explicit type casts.")
    if symbol in ("=", "<>"):
        return operator(context, symbol, _label(left), _label(right), pos)
    return operator(context, symbol, ranked(left), ranked(right), pos)


def _label(expr: Expr) -> Expr:
    if expr.type.is_array:
        return Cast(array_of(TEXT), expr)
    return Literal(TEXT, expr.value) if isinstance(expr, Literal) else Cast(TEXT, expr)


def ranked(expr: Expr) -> Expr:
    """What orders a value: the place of an enum's label, the places of an array of them, bytes for rows and arrays of
    them, else the value itself."""
    if expr.type.name in ("record", "_record") and expr.type.fields:
        return Call(BYTEA, "row_order", (expr,))
    if expr.type.name not in ("enum", "_enum") or expr.type.user is None:
        return expr
    if expr.type.is_array:
        return Call(array_of(INT4), "enum_rank", (expr,))
    if isinstance(expr, Literal):
        return Literal(INT4, None if expr.value is None else expr.type.user.labels.index(expr.value))
    return Call(INT4, "enum_rank", (expr,))
