"""Small plan-building steps that every clause uses: computed columns, subqueries, conditions (hop 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoal.exec.plan.expr import ColumnRef, Expr, Literal, Parameter, SortKey, columns_of, conjunction, conjuncts
from shoal.exec.plan.nodes import Apply, Field, Filter, PlanNode, Project, Sort, TableFunction, Values
from shoal.exec.sql.coercion import ranked
from shoal.exec.sql.context import Context, PendingApply, PendingSet

ONE_ROW = Values((), ((),))
"""The relation of a SELECT without FROM."""


def computed(context: Context, plan: PlanNode, exprs: Sequence[Expr], keep_constants: bool = False) -> tuple[PlanNode,
                                                                                                             list[Expr]]:
    """`plan` with a column for each of `exprs` that is not one yet, and the column of each.

        Project(plan's columns, new columns)
          plan

    With `keep_constants` literals and parameters stay as they are.
    """
    known = {field.id for field in plan.output}
    made: dict[Expr, Field] = {}
    columns: list[Expr] = []
    for expr in exprs:
        if (isinstance(expr, ColumnRef) and expr.id in known) or (keep_constants and isinstance(expr, (Literal, Parameter))):
            columns.append(expr)
            continue
        field = made.get(expr)
        if field is None:
            field = made[expr] = context.field(getattr(expr, "name", "") or "expr", expr.type)
        columns.append(field.ref())
    if not made:
        return plan, columns
    kept = tuple((field, field.ref()) for field in plan.output)
    return Project(plan, (*kept, *((field, expr) for expr, field in made.items()))), columns


def attach(context: Context, plan: PlanNode, applies: Iterable[PendingApply]) -> PlanNode:
    """`plan` with the subqueries its next expressions read, in order.

        Apply(kind, mark)
          plan (with the comparand computed)
          subquery
    """
    for pending in applies:
        comparand: list[Expr] = []
        if pending.comparand:
            plan, comparand = computed(context, plan, pending.comparand)
        guard: ColumnRef | None = None
        if pending.guard is not None:
            plan, made = computed(context, plan, [pending.guard])
            guard = made[0] if isinstance(made[0], ColumnRef) else None
        if pending.given:
            plan = Project(plan, (*((field, field.ref()) for field in plan.output), *pending.given))
        own = {field.id for field in plan.output}
        plan = Apply(pending.kind, plan, pending.right, pending.mark, tuple(c for c in comparand if isinstance(c,
                                                                                                               ColumnRef)),
                     pending.operator, tuple(sorted((pending.refs | {f.id for f, _ in pending.given}) & own)), guard=guard)
    return plan


def with_sets(context: Context, plan: PlanNode, sets: Sequence[PendingSet]) -> PlanNode:
    """`plan` with the rows of set-returning functions, side by side; above them those that take what they give.

        TableFunction(sets)
          Project(plan's columns, computed arguments)
            plan
    """
    if not sets:
        return plan
    made = {f.id for pending in sets for f in pending.fields}
    nested = [p for p in sets if any(columns_of(arg) & made for arg in p.args)]
    if nested:
        return with_sets(context, with_sets(context, plan, [p for p in sets if p not in nested]), nested)
    plan, columns = computed(context, plan, [arg for pending in sets for arg in pending.args], keep_constants=True)
    rest = iter(columns)
    calls = tuple((p.name, tuple(next(rest) for _ in p.args)) for p in sets)
    return TableFunction(plan, calls, tuple(f for p in sets for f in p.fields))


def sorted_by(context: Context, plan: PlanNode, keys: Sequence[SortKey]) -> PlanNode:
    """`plan` in this order; what orders enums and rows is computed beneath and left out above."""
    if not keys:
        return plan
    below, order = with_order(context, plan, keys)
    made = Sort(below, order)
    return made if below is plan else Project(made, tuple((f, f.ref()) for f in plan.output))


def with_order(context: Context, plan: PlanNode, keys: Sequence[SortKey]) -> tuple[PlanNode, tuple[SortKey, ...]]:
    """`plan` with what orders the keys' columns (see `ranked`), and the keys over that."""
    if all(ranked(key.column) is key.column for key in keys):
        return plan, tuple(keys)
    below, columns = computed(context, plan, [ranked(key.column) for key in keys])
    return below, tuple(SortKey(column, key.descending, key.nulls_first)
                        for column, key in zip(columns, keys, strict=True) if isinstance(column, ColumnRef))


def filtered(plan: PlanNode, predicate: Expr | None) -> PlanNode:
    """Filter with one flat conjunction; nothing for TRUE."""
    parts = conjuncts(predicate)
    return Filter(plan, conjunction(parts)) if parts else plan
