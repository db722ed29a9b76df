"""Runs of constants (constants.py) bound by the column: typed values without a node or an expression for each (hop 2).

    VALUES rows -> TableFunction(unnest of one array constant for each column)
    IN list     -> = ANY (array constant)

Whatever is not plain here is left to the binder of single nodes, which also words every error: these functions then give
None. So a run means exactly what its nodes mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from shoal.catalog.errors import SqlError
from shoal.catalog.types import INT4, OIDS, TEXT, UNKNOWN, SqlType, array_of
from shoal.exec.plan.expr import Expr, Literal
from shoal.exec.plan.nodes import Field, PlanNode, TableFunction
from shoal.exec.sql.coercion import unify
from shoal.exec.sql.constants import ConstantList, ConstantRows, constant_node, unquoted
from shoal.exec.sql.planning import ONE_ROW

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_DIGITS: Final = frozenset("-0123456789")
_INTEGERS: Final = {"int2": 15, "int4": 31, "int8": 63}
"""Bits of their values without the sign."""

Column = tuple[SqlType, Sequence[Any]]
"""A type and values of it, in physical form."""


def alike(texts: Sequence[str]) -> Column | None:
    """The constants as int4 or unknown (strings) if all of them are, else None."""
    marks = {text[0] for text in texts}
    if marks == {"'"}:
        return UNKNOWN, [unquoted(text) for text in texts]
    if marks <= _DIGITS:
        try:
            values = list(map(int, texts))
        except ValueError:  # one has a point
            return None
        if min(values) >= -(1 << 31) and max(values) < 1 << 31:
            return INT4, values
    return None


def converted(column: Column, target: SqlType) -> Sequence[Any] | None:
    """The values of `alike` as values of `target`, where they are the same; None where they need more than that."""
    source, values = column
    if source == INT4:
        bits = _INTEGERS.get(target.name)
        return values if bits is not None and (bits >= 31 or max(map(abs, values)) < 1 << bits) else None
    return values if target == TEXT or (target.name == "varchar" and target.length is None) else None


def bound(b: ExpressionBinder, constants: ConstantList | ConstantRows, index: int, texts: Sequence[str]) -> list[Expr]:
    """The constants of column `index`, one by one; equal ones are one."""
    places = dict(zip(texts, constants.places(index), strict=True))
    made = {text: b.bind(constant_node(text, pos)) for text, pos in places.items()}
    return [made[text] for text in texts]


def in_one_type(b: ExpressionBinder, rows: ConstantRows, keep_unknown: bool) -> list[Column] | None:
    """The columns of a VALUES, each in its common type."""
    columns: list[Column] = []
    for index, texts in enumerate(rows.columns()):
        same = alike(texts)
        if same is not None and (same[0] == INT4 or not keep_unknown):
            columns.append((INT4 if same[0] == INT4 else TEXT, same[1]))
            continue
        try:
            exprs = bound(b, rows, index, texts)
            if keep_unknown and all(expr.type.name == "unknown" for expr in exprs):
                return None
            target, typed = unify(b.context, exprs, rows.places(index), "VALUES")
        except SqlError:
            return None
        values = constant_values(typed, target)
        if values is None:
            return None
        columns.append((target, values))
    return columns


def assigned_columns(b: ExpressionBinder, rows: ConstantRows, targets: Sequence[SqlType],
                     assign: Callable[[Expr, int, int], Expr]) -> list[Column] | None:
    """The columns of an INSERT's VALUES as they are stored. `assign(constant, index, place)` casts one to a target."""
    columns: list[Column] = []
    for index, (texts, target) in enumerate(zip(rows.columns(), targets, strict=True)):
        same = alike(texts)
        values = None if same is None else converted(same, target)
        if values is None:
            try:
                made = {text: assign(b.bind(constant_node(text, pos)), index, pos)
                        for text, pos in dict(zip(texts, rows.places(index), strict=True)).items()}
            except SqlError:
                return None
            values = constant_values([made[text] for text in texts], target)
        if values is None:
            return None
        columns.append((target, values))
    return columns


def constant_values(exprs: Sequence[Expr], target: SqlType) -> list[Any] | None:
    """The values of constants that all are of this type."""
    values = [expr.value for expr in exprs if isinstance(expr, Literal) and (expr.type is target or expr.type == target)]
    return values if len(values) == len(exprs) else None


def can_be_listed(target: SqlType) -> bool:
    """Whether there are arrays of it."""
    return not target.is_array and "_" + target.name in OIDS


def rows_of(fields: Sequence[Field], columns: Sequence[Column]) -> PlanNode | None:
    """The relation of these columns.

        TableFunction(unnest for each column)
          Values(one row)
    """
    if not all(can_be_listed(target) for target, _ in columns):
        return None
    calls = tuple(("unnest", (Literal(array_of(target), tuple(values)),)) for target, values in columns)
    return TableFunction(ONE_ROW, calls, tuple(fields))
