"""Simplification and analysis of expressions: what rules need to know about predicates.

`Simplifier` folds constants and tidies boolean logic without changing three-valued results; `filter=True` may
also treat NULL as FALSE, as a WHERE clause does. An expression whose evaluation raises (1/0) is left as it is: the
error belongs to the rows that reach it, if any do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import SqlError
from shoal.catalog.types import BOOL, INT4, TEXT, SqlType
from shoal.exec.plan.expr import (
    COMPARISONS,
    FALSE,
    TRUE,
    Call,
    Case,
    Cast,
    ColumnRef,
    Expr,
    Literal,
    conjunction,
    disjunction,
)

if TYPE_CHECKING:
    from shoal.exec.optimizer.context import OptimizerContext

NEGATED = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "is_null": "is_not_null",
           "is_not_null": "is_null", "is_distinct": "is_not_distinct", "is_not_distinct": "is_distinct",
           "is_true": "is_not_true", "is_not_true": "is_true", "is_false": "is_not_false", "is_not_false": "is_false",
           "is_unknown": "is_not_unknown", "is_not_unknown": "is_unknown"}
MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
STRICT = COMPARISONS | {
    "add", "sub", "mul", "div", "mod", "neg", "abs", "not", "like", "not_like", "ilike", "not_ilike", "similar",
    "regex_match", "regex_imatch", "regex_not_match", "regex_not_imatch", "concat_op", "lower", "upper", "substring",
    "substr", "trim", "btrim", "ltrim", "rtrim", "extract", "date_part", "date_trunc", "length", "char_length", "left",
    "right", "round", "floor", "ceil", "position", "strpos", "replace"}
"""Calls that give NULL for any NULL argument; only used to learn more, so the list need not be complete."""

_WIDENING = {"int2": ("int4", "int8", "numeric"), "int4": ("int8", "numeric"), "int8": ("numeric",), "numeric": ("numeric",),
             "date": ("timestamp",)}
_COMPARED = {"eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt,
             "ge": operator.ge}
_INTEGER_BOUNDS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_DAY_US = 86_400_000_000


def is_literal_null(expr: Expr) -> bool:
    return isinstance(expr, Literal) and expr.value is None


def same_text(a: SqlType, b: SqlType) -> bool:
    """A cast from `a` to `b` changes neither the characters nor how they compare: enums as such are compared by
    `enum_rank`, so what compares an enum's own values compares their texts."""
    plain = ("text", "varchar", "name", "unknown")
    return (a.name in plain or a.name == "enum") and b.name in plain and (
        b.length is None or (a.length is not None and a.length <= b.length))


def bare(expr: Expr) -> Expr:
    """The expression without casts that keep the characters of a string."""
    while isinstance(expr, Cast) and same_text(expr.arg.type, expr.type):
        expr = expr.arg
    return expr


class Simplifier:
    """Simplifies expressions of one statement under its settings."""

    def __init__(self, context: OptimizerContext) -> None:
        self.context = context
        self._seen: dict[int, tuple[Expr, Expr]] = {}

    def __call__(self, expr: Expr) -> Expr:
        """An expression with the same value for every row."""
        if isinstance(expr, (ColumnRef, Literal)):
            return expr
        found = self._seen.get(id(expr))
        if found is not None:
            return found[1]
        result = self._simplify(expr)
        self._seen[id(expr)] = (expr, result)
        return result

    def predicate(self, expr: Expr) -> list[Expr]:
        """The conjuncts of an expression that keeps a row only when TRUE: [] keeps all, [FALSE] none."""
        parts: list[Expr] = []
        for part in dict.fromkeys(_flatten("and", [self(expr)])):
            if not isinstance(part, Literal):
                parts.append(part)
            elif part.value is not True:
                return [FALSE]
        return [FALSE] if contradicts(parts) else parts

    def _simplify(self, expr: Expr) -> Expr:
        children = expr.children()
        rebuilt = tuple([self(child) for child in children])
        if any(a is not b for a, b in zip(rebuilt, children, strict=True)):
            expr = expr.with_children(rebuilt)
        if isinstance(expr, Call):
            rule = _CALL_RULES.get(expr.name)
            if rule is not None:
                better = rule(expr)
                if better is not expr:
                    return self(better)
            if not expr.volatile and all(isinstance(arg, Literal) for arg in expr.args):
                return self.evaluate(expr)
        elif isinstance(expr, Cast):
            if expr.type == expr.arg.type:
                return expr.arg
            if isinstance(expr.arg, Literal):
                return self.evaluate(expr)
        elif isinstance(expr, Case):
            return self(better) if (better := _simplify_case(expr)) is not expr else expr
        return expr

    def evaluate(self, expr: Expr) -> Expr:
        from shoal.exec.evaluator import evaluate_constant
        try:
            value = evaluate_constant(expr, self.context.evaluation)
        except SqlError:
            return expr
        return Literal(expr.type, _as_tuples(value))


def _as_tuples(value: Any) -> Any:
    """Lists as tuples, those in them too: intervals in an array."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _flatten(name: str, parts: Iterable[Expr]) -> list[Expr]:
    flat: list[Expr] = []
    for part in parts:
        if isinstance(part, Call) and part.name == name:
            flat.extend(_flatten(name, part.args))
        else:
            flat.append(part)
    return flat


def _and(call: Call) -> Expr:
    unique = dict.fromkeys(_flatten("and", call.args))
    if FALSE in unique:
        return FALSE
    parts = [part for part in unique if part != TRUE]
    return call if tuple(parts) == call.args and len(parts) > 1 else conjunction(parts)


def _or(call: Call) -> Expr:
    unique = dict.fromkeys(_flatten("or", call.args))
    if TRUE in unique:
        return TRUE
    parts = _merge_equalities([part for part in unique if part != FALSE])
    if len(parts) > 1:
        branches = [_flatten("and", [part]) for part in parts]
        common = [c for c in branches[0] if all(c in other for other in branches[1:])] if len(parts) <= 1000 else []
        if common:
            rest = [conjunction([c for c in branch if c not in common]) for branch in branches]
            return conjunction([*common, disjunction(rest)]) if TRUE not in rest else conjunction(common)
    return call if tuple(parts) == call.args and len(parts) > 1 else disjunction(parts)


def _merge_equalities(parts: list[Expr]) -> list[Expr]:
    """x = 1 OR x IN (2, 3) as x IN (1, 2, 3), in the place of the first of them."""
    found = [_equal_to_constants(part) for part in parts]
    values: dict[Expr, dict[Expr, None]] = {}
    for one in found:
        if one is not None:
            values.setdefault(one[0], {}).update(dict.fromkeys(one[1]))
    if len(values) == sum(one is not None for one in found):
        return parts
    merged: list[Expr] = []
    for part, one in zip(parts, found, strict=True):
        if one is None:
            merged.append(part)
        elif one[0] in values:
            merged.append(_in(Call(BOOL, "in", (one[0], *values.pop(one[0])))))
    return merged


def _equal_to_constants(expr: Expr) -> tuple[Expr, tuple[Expr, ...]] | None:
    if (isinstance(expr, Call) and expr.name in ("eq", "in") and not isinstance(expr.args[0], Literal)
            and all(isinstance(arg, Literal) and arg.type == expr.args[1].type for arg in expr.args[1:])):
        return expr.args[0], expr.args[1:]
    return None


def _not(call: Call) -> Expr:
    arg = call.args[0]
    if isinstance(arg, Call) and not arg.volatile:
        if arg.name == "not":
            return arg.args[0]
        if arg.name in NEGATED:
            return Call(BOOL, NEGATED[arg.name], arg.args)
        if arg.name in ("and", "or"):
            return Call(BOOL, "or" if arg.name == "and" else "and", tuple(Call(BOOL, "not", (a,)) for a in arg.args))
    return call


def _compare(call: Call) -> Expr:
    left, right = call.args
    if is_literal_null(left) or is_literal_null(right):
        return Literal(BOOL, None)
    if isinstance(left, Literal) and not isinstance(right, Literal):
        return Call(BOOL, MIRRORED[call.name], (right, left))
    if isinstance(left, Cast) and isinstance(right, Literal):
        return _unwrap_cast(call, left, right)
    if isinstance(left, Call) and left.name == "enum_rank" and left.type == INT4 and isinstance(right, Literal):
        return _labels(call, left.args[0], right.value)
    return call


def _labels(call: Call, arg: Expr, place: int) -> Expr:
    """A comparison of an enum with one of its values as the labels that pass it, which sources know."""
    assert arg.type.user is not None
    passing = [label for at, label in enumerate(arg.type.user.labels) if _COMPARED[call.name](at, place)]
    return _in(Call(BOOL, "in", (arg, *(Literal(TEXT, label) for label in passing)))) if passing else call


def _unwrap_cast(call: Call, cast: Cast, literal: Literal) -> Expr:
    """column::wider = constant as column = constant of the column's own type, where the constant fits it."""
    inner = cast.arg.type
    if same_text(inner, cast.type):
        return Call(BOOL, call.name, (
            cast.arg, Literal(inner if inner.length is None and inner.name != "enum" else cast.type, literal.value)))
    if cast.type.name not in _WIDENING.get(inner.name, ()) or literal.type.name != cast.type.name:
        return call
    value = narrowed(literal.value, literal.type, inner) if cast_keeps_values(inner, cast.type) else None
    return call if value is None else Call(BOOL, call.name, (cast.arg, Literal(inner, value)))


def cast_keeps_values(source: SqlType, target: SqlType) -> bool:
    """Different values stay different and in order (for pairs of _WIDENING)."""
    return target.name != "numeric" or target.varies or (
        not source.varies and (target.scale or 0) >= (source.scale or 0))


def narrowed(value: Any, source: SqlType, target: SqlType) -> Any:
    """A physical value of `source` as one of `target`, None where it does not fit exactly."""
    if target.name == "date":
        return value // _DAY_US if value % _DAY_US == 0 else None
    if target.varies:
        return None
    if source.name == "numeric":
        if not isinstance(value, int):
            return None
        digits = (source.scale or 0) - (target.scale or 0)
        if digits < 0:
            value *= 10 ** -digits
        elif value % 10**digits:
            return None
        else:
            value //= 10**digits
    if target.name == "numeric":
        return value if abs(value) < 10 ** (target.precision or 38) else None
    bound = _INTEGER_BOUNDS[target.name]
    return value if -bound <= value < bound else None


def _in(call: Call) -> Expr:
    items = list(dict.fromkeys(call.args[1:]))
    if is_literal_null(call.args[0]):
        return Literal(BOOL, None)
    if len(items) == 1:
        return Call(BOOL, "eq", (call.args[0], items[0]))
    subject = bare(call.args[0])
    if len(items) == len(call.args) - 1 and subject is call.args[0]:
        return call
    return Call(BOOL, "in", (subject, *items))


def _type_of(call: Call) -> Expr:
    return Literal(call.type, call.args[0].type.oid) if isinstance(call.args[0], ColumnRef) else call


def _coalesce(call: Call) -> Expr:
    kept: list[Expr] = []
    for arg in call.args:
        if is_literal_null(arg):
            continue
        kept.append(arg)
        if isinstance(arg, Literal):
            break
    if not kept:
        return Literal(call.type, None)
    if len(kept) == 1 and kept[0].type == call.type:
        return kept[0]
    return call if len(kept) == len(call.args) else Call(call.type, "coalesce", tuple(kept))


def _like(call: Call) -> Expr:
    """A pattern without wildcards is an equality."""
    subject, pattern = call.args[0], call.args[1]
    if (len(call.args) == 2 and isinstance(pattern, Literal) and isinstance(pattern.value, str)
            and not any(c in pattern.value for c in "%_\\") and subject.type.name not in ("bpchar", "bytea")):
        return Call(BOOL, "eq", (subject, pattern))
    if isinstance(subject, Cast) and bare(subject) is not subject:
        return Call(BOOL, call.name, (bare(subject), *call.args[1:]))
    return call


_CALL_RULES: dict[str, Callable[[Call], Expr]] = {
    "and": _and, "or": _or, "not": _not, "in": _in, "coalesce": _coalesce, "pg_typeof": _type_of, "like": _like,
    **dict.fromkeys(COMPARISONS, _compare)}


def _simplify_case(case: Case) -> Expr:
    conditions: list[Expr] = []
    results: list[Expr] = []
    default = case.default
    for condition, result in zip(case.conditions, case.results, strict=True):
        if isinstance(condition, Literal):
            if condition.value is True:
                default = result
                break
            continue
        conditions.append(condition)
        results.append(result)
    if not conditions:
        return Literal(case.type, None) if isinstance(default, Literal) and default.value is None else default
    if len(conditions) == len(case.conditions):
        return case
    return Case(case.type, tuple(conditions), tuple(results), default)


def column_and_constant(expr: Expr) -> tuple[str, ColumnRef, Literal] | None:
    """`column operator constant` of a comparison, string casts looked through."""
    if isinstance(expr, Call) and expr.name in COMPARISONS:
        left, right = bare(expr.args[0]), expr.args[1]
        if isinstance(left, ColumnRef) and isinstance(right, Literal):
            return expr.name, left, right
    return None


def contradicts(parts: list[Expr]) -> bool:
    """Whether comparisons of one column with constants cannot all be TRUE."""
    if len(parts) < 2:
        return False
    bounds: dict[int, list[tuple[str, Any]]] = {}
    for part in parts:
        found = column_and_constant(part)
        if found is not None and _orderable(found[2], found[1].type):
            bounds.setdefault(found[1].id, []).append((found[0], found[2].value))
    return any(len(tests) > 1 and _disjoint(tests) for tests in bounds.values())


def _orderable(literal: Literal, column: SqlType) -> bool:
    """Physical values of both compare as the SQL values do."""
    if literal.type.is_string:
        return False
    return literal.type == column or (literal.type.is_integer and column.is_integer)


def _disjoint(tests: list[tuple[str, Any]]) -> bool:
    low: Any = None
    high: Any = None
    low_open = high_open = False
    try:
        for operator, value in tests:
            if value is None or value != value:
                return False
            if operator in ("eq", "ge", "gt") and (low is None or value > low or (value == low and operator == "gt")):
                low, low_open = value, operator == "gt"
            if operator in ("eq", "le", "lt") and (high is None or value < high or (value == high and operator == "lt")):
                high, high_open = value, operator == "lt"
        if low is None or high is None:
            return False
        if low == high and any(operator == "ne" and value == low for operator, value in tests):
            return True
        return bool(low > high or (low == high and (low_open or high_open)))
    except TypeError:
        return False


def rejects_null(expr: Expr, nulls: set[int]) -> bool:
    """Whether the predicate cannot be TRUE for rows in which all these columns are NULL (False when unsure)."""
    return _value_of_nulls(expr, nulls) in ("null", "false")


def _value_of_nulls(expr: Expr, nulls: set[int]) -> str:
    """null, false (FALSE or NULL), true, not_null or "" (unknown): the value where these columns are NULL."""
    if isinstance(expr, ColumnRef):
        return "null" if expr.id in nulls else ""
    if isinstance(expr, Literal):
        return {None: "null", True: "true", False: "false"}.get(expr.value, "not_null") if expr.type == BOOL else (
            "null" if expr.value is None else "not_null")
    if isinstance(expr, Cast):
        return "null" if _value_of_nulls(expr.arg, nulls) == "null" else ""
    if not isinstance(expr, Call):
        return ""
    name, args = expr.name, expr.args
    if name == "and":
        values = [_value_of_nulls(arg, nulls) for arg in args]
        return "false" if any(v in ("null", "false") for v in values) else ""
    if name == "or":
        values = [_value_of_nulls(arg, nulls) for arg in args]
        return "false" if all(v in ("null", "false") for v in values) else "true" if "true" in values else ""
    if name in STRICT:
        return "null" if any(_value_of_nulls(arg, nulls) == "null" for arg in args) else ""
    if name == "in":
        return "null" if _value_of_nulls(args[0], nulls) == "null" else ""
    if name == "is_not_null":
        return "false" if _value_of_nulls(args[0], nulls) == "null" else ""
    if name == "is_null":
        return "true" if _value_of_nulls(args[0], nulls) == "null" else ""
    if name == "is_true":
        return "false" if _value_of_nulls(args[0], nulls) in ("null", "false") else ""
    if name == "coalesce":
        values = [_value_of_nulls(arg, nulls) for arg in args]
        while values and values[0] == "null":
            values.pop(0)
        return values[0] if values and values[0] != "" else "" if values else "null"
    return ""
