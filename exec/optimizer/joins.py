"""Building joins: equality conjuncts become keys, expressions among them are projected beneath."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.catalog.types import FLOAT8, SqlType
from shoal.exec.functions.numeric_types import aligned
from shoal.exec.optimizer.columns import columns, passed_on
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import Call, Cast, ColumnRef, Expr, conjunction, is_volatile
from shoal.exec.plan.nodes import Field, Join, JoinKind, PlanNode, Project

_TEXTS = frozenset({"text", "varchar", "name"})


def key_type(a: SqlType, b: SqlType) -> SqlType | None:
    """The type both sides of an equality are cast to for a join key (`a` itself where none is needed); None where
    the equality cannot be a key."""
    if a == b or (a.is_integer and b.is_integer) or (a.name in _TEXTS and b.name in _TEXTS):
        return a
    if a.name == b.name == "numeric":
        return a if a.scale == b.scale else aligned([a, b])
    if a.name == b.name:
        return a
    if {a.name, b.name} == {"float4", "float8"}:
        return FLOAT8
    if {a.name, b.name} == {"date", "timestamp"}:
        return a if a.name == "timestamp" else b
    return None


def equality_sides(part: Expr, left: set[int], right: set[int]) -> tuple[Expr, Expr] | None:
    """(expression of left, expression of right) of an equality between the two sides that can be a join key."""
    if not isinstance(part, Call) or part.name != "eq":
        return None
    a, b = part.args
    if isinstance(a, ColumnRef) and isinstance(b, ColumnRef):
        if a.id in left and b.id in right:
            pass
        elif b.id in left and a.id in right:
            a, b = b, a
        else:
            return None
        return None if key_type(a.type, b.type) is None else (a, b)
    of_a, of_b = columns(a), columns(b)
    if not of_a or not of_b or is_volatile(part) or key_type(a.type, b.type) is None:
        return None
    if of_a <= left and of_b <= right:
        return a, b
    if of_b <= left and of_a <= right:
        return b, a
    return None


class _Side:
    """One input of a join and the key expressions to project on it."""

    def __init__(self, node: PlanNode, context: OptimizerContext) -> None:
        self.node, self.context = node, context
        self.made: dict[Expr, Field] = {}

    def column(self, expr: Expr, wanted: SqlType) -> ColumnRef:
        comparable = expr.type == wanted or (key_type(expr.type, wanted) == expr.type and expr.type.name != "date")
        if isinstance(expr, ColumnRef) and comparable:
            return expr
        expr = expr if comparable else Cast(wanted, expr, explicit=False)
        field = self.made.get(expr)
        if field is None:
            field = self.made[expr] = self.context.new_field("key", expr.type)
        return field.ref()

    def built(self) -> PlanNode:
        if not self.made:
            return self.node
        return Project(self.node, (*passed_on(self.node.output), *((f, e) for e, f in self.made.items())))


def make_join(kind: JoinKind, left: PlanNode, right: PlanNode, parts: Iterable[Expr], context: OptimizerContext, *,
              left_ids: set[int], right_ids: set[int], keys: tuple[tuple[ColumnRef, ColumnRef], ...] = (),
              null_aware: bool = False, mark: Field | None = None) -> Join:
    """A join on the conjuncts `parts`; given `keys` stay last. Keys of different types are cast to one on both sides."""
    a, b = _Side(left, context), _Side(right, context)

    def same_type(x: Expr, y: Expr) -> tuple[ColumnRef, ColumnRef]:
        wanted = key_type(x.type, y.type)
        assert wanted is not None
        return a.column(x, wanted), b.column(y, wanted)

    last = tuple([same_type(*pair) for pair in keys])
    made: list[tuple[ColumnRef, ColumnRef]] = []
    rest: list[Expr] = []
    for part in parts:
        sides = equality_sides(part, left_ids, right_ids)
        if sides is None:
            rest.append(part)
            continue
        pair = same_type(*sides)
        if pair not in made and (null_aware or pair not in last):  # IN compares beside what correlates
            made.append(pair)
    return Join(kind, a.built(), b.built(), (*made, *last), conjunction(rest) if rest else None, null_aware, mark)
