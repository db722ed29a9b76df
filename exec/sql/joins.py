"""The plan of a join of two bound FROM items, and the columns that USING and NATURAL make one (hop 2).

Spec: PostgreSQL 15 documentation, 7.2.1.1 "Joined Tables"; wording of parse_clause.c.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace

from shoal.catalog.errors import AmbiguousColumn, DuplicateColumn, FeatureNotSupported, UndefinedColumn
from shoal.catalog.types import BOOL
from shoal.exec.optimizer.columns import free_columns, refresh
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Cast, ColumnRef, Expr
from shoal.exec.plan.nodes import Apply, Field, Filter, Join, PlanNode, Project, Union
from shoal.exec.plan.rewrite import holds_volatile
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import common, operator
from shoal.exec.sql.context import Level, PendingApply, fail
from shoal.exec.sql.planning import attach, filtered
from shoal.exec.sql.scope import Scope, ScopeColumn
from shoal.exec.sql.sources import Source, over_one_row, with_input


@dataclass(slots=True)
class Merged:
    """Columns that USING or NATURAL make one."""

    columns: list[ScopeColumn] = field(default_factory=list)
    conditions: list[Expr] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    """id() of the ScopeColumns that the merged ones replace."""
    computed: list[tuple[Field, Expr]] = field(default_factory=list)


def joined(level: Level, item: s.JoinRef, left: Source, right: Source, condition: Expr | None,
            applies: list[PendingApply], reads: frozenset[int]) -> PlanNode:
    kind = "inner" if item.kind == "cross" else item.kind
    context = level.context
    if condition == e.TRUE:
        condition = None
    if reads and right.function is not None and condition is None:
        return with_input(right.function, left.plan, outer=kind == "left")
    right = over_one_row(right)
    if applies and kind == "inner":
        return filtered(attach(context, _pair(kind, left.plan, right.plan, None, reads), applies), condition)
    sides = [left.plan, right.plan]
    ids = [{f.id for f in side.output} for side in sides]
    for pending in applies:
        needs = pending.reads() & (ids[0] | ids[1])
        side = 1 if needs <= ids[1] else 0
        if not needs <= ids[side]:
            return _with_condition_inside(level, item, left.plan, right.plan, condition, applies, reads)
        sides[side] = attach(context, sides[side], [pending])
        ids[side].add(pending.mark.id)
    return _pair(kind, sides[0], sides[1], condition, reads)


def _pair(kind: str, left: PlanNode, right: PlanNode, condition: Expr | None, reads: Set[int]) -> PlanNode:
    """A join, lateral where the right side reads columns of the left."""
    if not reads:
        return Join(kind, left, right, condition=condition)  # type: ignore[arg-type]
    return Apply(kind, left, right, correlation=tuple(sorted(reads)), condition=condition)  # type: ignore[arg-type]


def _with_condition_inside(level: Level, item: s.JoinRef, left: PlanNode, right: PlanNode, condition: Expr | None,
                           applies: list[PendingApply], reads: frozenset[int]) -> PlanNode:
    """An outer join whose condition has subqueries that read both sides: each row of the kept side with the rows of the
    other that meet the condition.

        Apply(left)
          kept side
          Filter(condition)
            Apply(subqueries)
              other side
    """
    if item.kind == "full":
        return _full_with_condition_inside(level, item, left, right, condition, applies)
    kept, other = (left, right) if item.kind == "left" else (right, left)
    used = set(e.columns_of(condition)) if condition is not None else set()
    for pending in applies:
        used |= pending.reads()
    inside = filtered(attach(level.context, other, applies), condition)
    return _pair("left", kept, inside, None, reads | (used & {f.id for f in kept.output}))


def _full_with_condition_inside(level: Level, item: s.JoinRef, left: PlanNode, right: PlanNode, condition: Expr | None,
                                applies: list[PendingApply]) -> PlanNode:
    """A full join whose condition has subqueries that read both sides: a left join, and what it lacks of the right side.

        Union
          Apply(left) ... as for a left join
          Project(NULL for left's columns, right's columns)
            Filter(NOT matched)
              Apply exists matched
                right
                Filter(condition)
                  Apply(subqueries)
                    left
    """
    context = level.context
    if holds_volatile(left) or holds_volatile(right):
        fail(FeatureNotSupported, "a full join of rows made by a volatile function with a subquery in its condition that "
             "reads both sides is not supported", item.pos)
    joined = _with_condition_inside(level, replace(item, kind="left"), left, right, condition, applies, frozenset())
    matched = context.field("matched", BOOL)
    inside = filtered(attach(context, left, applies), condition)
    lacking = Filter(Apply("exists", right, inside, matched,
                           correlation=tuple(sorted(free_columns(inside) & {f.id for f in right.output}))),
                     Call(BOOL, "not", (matched.ref(),)))
    first, in_first = refresh(joined, context.ids.__next__)
    second, in_second = refresh(lacking, context.ids.__next__)
    nulls = tuple((context.field(f.name, f.type), e.Literal(f.type, None)) for f in left.output)
    second = Project(second, (*nulls, *((Field(in_second[f.id].id, f.name, f.type), in_second[f.id]) for f in right.output)))
    fields = left.output + right.output
    return Union((first, second), fields, (tuple(in_first[f.id].id for f in fields),
                                           (*(f.id for f, _ in nulls), *(in_second[f.id].id for f in right.output))))


def mention(item: s.FromItem, name: str) -> int:
    """Where in the item's expressions a table's name stands."""
    return next((node.pos for node in s.walk(item) if isinstance(node, s.Name) and node.parts[0] == name), item.pos)


def merge_columns(level: Level, item: s.JoinRef, left: Scope, right: Scope, using: list[str]) -> Merged:
    merged = Merged()
    context = level.context
    if len(set(using)) < len(using):
        twice = next(name for name in using if using.count(name) > 1)
        fail(DuplicateColumn, f'column name "{twice}" appears more than once in USING clause', -1)
    for name in using:
        mine, theirs = _using_column(left, name, "left"), _using_column(right, name, "right")
        places = [item.pos, item.pos]
        target = common([mine.expr, theirs.expr], places, "JOIN/USING")
        merged.conditions.append(operator(context, "=", mine.expr, theirs.expr, item.pos))
        merged.hidden |= {id(mine), id(theirs)}
        sides = [c.expr if c.expr.type == target else Cast(target, c.expr, False) for c in (mine, theirs)]
        chosen = mine
        if item.kind == "full":
            value: Expr = Call(target, "coalesce", tuple(sides))
            made = context.field(name, target)
            merged.computed.append((made, value))
            value = made.ref()
        elif item.kind == "right" or (item.kind not in ("left", "right") and not isinstance(sides[0], ColumnRef)
                                      and isinstance(sides[1], ColumnRef)):
            value, chosen = sides[1], theirs
        else:
            value = sides[0]
        merged.columns.append(ScopeColumn(name, value, "", chosen.origin if item.kind != "full" else None))
    return merged


def _using_column(scope: Scope, name: str, side: str) -> ScopeColumn:
    found = [c for c in scope.find(name) if not c.hidden]
    if not found:
        fail(UndefinedColumn, f'column "{name}" specified in USING clause does not exist in {side} table', -1)
    if len(found) > 1:
        fail(AmbiguousColumn, f'common column name "{name}" appears more than once in {side} table', -1)
    return found[0]


