"""GROUPING SETS over many rows: all keys are grouped by first, and those groups, not the rows, are repeated for each set.

    Aggregate by a', b', set: s = sum(x)                    Aggregate by a', b', set: s = sum(p)
      Union                                                   Union
        Project a' = CASE WHEN set IN .. THEN a END, x          Project a' = CASE WHEN set IN .. THEN a END, p
          Join inner                                   ->         Join inner
            R                                                       Aggregate by a, b: p = sum(x)
            Values (set)                                              R
        Values: a row for each empty set                            Values (set)
                                                                Values: a row for each empty set

The Union is there only where a set is empty. Every aggregate must be mergeable (see distribution.MERGED_BY), and there must
be clearly fewer groups than rows, or many sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.distribution import MERGED_BY
from shoal.exec.optimizer.stats import group_count
from shoal.exec.plan.expr import (
    FALSE,
    TRUE,
    AggregateCall,
    Case,
    ColumnRef,
    Expr,
    Literal,
    Parameter,
    columns_of,
    is_volatile,
)
from shoal.exec.plan.nodes import Aggregate, Field, Join, PlanNode, Project, Union, Values, transform_plan

MIN_ROWS = 2_000.0
"""Fewer are not worth a step more."""
MAX_GROUPS_SHARE = 0.5
MANY_SETS = 8
"""From so many sets on it is done whatever the estimate of groups, which takes keys for independent and they seldom are:
where it is right nonetheless, one pass is added to those over each set."""


def split_grouping_sets(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _split(node, context) if isinstance(node, Aggregate) else node)


def _split(node: Aggregate, context: OptimizerContext) -> PlanNode:
    source, union = node.input, None
    if isinstance(source, Union) and len(source.inputs) == 2 and isinstance(source.inputs[1], Values):
        union, source = source, source.inputs[0]
    if not isinstance(source, Project) or not isinstance(source.input, Join) or node.step != "single":
        return node
    join = source.input
    if (join.kind != "inner" or join.keys or join.condition is not None or not isinstance(join.right, Values)
            or len(join.right.fields) != 1 or len(join.right.rows) < 2
            or any(c.name not in MERGED_BY or c.distinct or c.order_by for _, c in node.aggregates)
            or (union is not None and not all(_passes_over(c, union) for _, c in node.aggregates))):
        return node
    number = join.right.fields[0].id
    computed = {field.id: expr for field, expr in source.assignments}
    if union is not None:
        computed = {field.id: computed[id] for field, id in zip(union.fields, union.columns[0], strict=True)}
    below: dict[Expr, Field] = {}

    def column(expr: Expr) -> ColumnRef:
        """The input's column for what the first step groups by or computes with."""
        found = below.get(expr)
        if found is None:
            found = below[expr] = context.new_field(expr.name if isinstance(expr, ColumnRef) else "argument", expr.type)
        return found.ref()

    repeated: list[Expr] = []
    for field in node.groups:
        expr = _over_groups(computed[field.id], number, column)
        if expr is None:
            return node
        repeated.append(expr)
    keys = tuple(below.values())
    parts = [(context.new_field(f.name, c.type), _over_rows(c, computed, column)) for f, c in node.aggregates]
    if not keys or any(number in columns_of(expr) for expr in below):
        return node
    rows = Project(join.left, tuple((field, expr) for expr, field in below.items()))
    estimate = context.estimate(rows)
    if not estimate.known or estimate.rows < MIN_ROWS:
        return node
    if len(join.right.rows) < MANY_SETS and group_count(
            estimate, [key.id for key in keys]) > MAX_GROUPS_SHARE * estimate.rows:
        return node
    found = Aggregate(rows, keys, tuple(parts))
    partial = [field for field, _ in parts]
    groups = [context.new_field(f.name, f.type) for f in node.groups] if union is not None else list(node.groups)
    plan: PlanNode = Project(Join("inner", found, join.right), (
        *zip(groups, repeated, strict=True), *((field, field.ref()) for field in partial)))
    if union is not None:
        plan, partial = _with_empty_sets(plan, union, node.groups, partial, context)
    return Aggregate(plan, node.groups, tuple(
        (field, AggregateCall(MERGED_BY[call.name], (part.ref(),), call.type))
        for (field, call), part in zip(node.aggregates, partial, strict=True)))


def _passes_over(call: AggregateCall, union: Union) -> bool:
    """Whether the rows of the union's second input, which stand for empty sets, are nothing to the call: it leaves them out,
    or has NULL for an argument there, which no mergeable aggregate counts."""
    lone = union.inputs[1]
    assert isinstance(lone, Values)
    places = {field.id: place for place, field in enumerate(lone.fields)}
    index = {field.id: places[id] for field, id in zip(union.fields, union.columns[1], strict=True)}

    def holds(expr: Expr | None, *values: Expr) -> bool:
        return isinstance(expr, ColumnRef) and all(row[index[expr.id]] in values for row in lone.rows)

    return (holds(call.filter, FALSE, Literal(FALSE.type, None))
            or any(holds(arg, Literal(arg.type, None)) for arg in call.args))


def _over_groups(expr: Expr, number: int, column: Callable[[Expr], ColumnRef]) -> Expr | None:
    """A grouped column as computed from the set's number and the columns that `column` gives; None for other forms."""
    if columns_of(expr) <= {number}:
        return None if is_volatile(expr) else expr
    if number not in columns_of(expr):
        return column(expr)
    if (isinstance(expr, Case) and len(expr.results) == 1 and isinstance(expr.default, Literal)
            and columns_of(expr.conditions[0]) == {number}):
        return Case(expr.type, expr.conditions, (column(expr.results[0]),), expr.default)
    return None


def _over_rows(call: AggregateCall, computed: Mapping[int, Expr], column: Callable[[Expr], ColumnRef]) -> AggregateCall:
    """The call over single rows, without what keeps it from the rows of empty sets."""
    args = tuple(computed[arg.id] if isinstance(arg, ColumnRef) else arg for arg in call.args)
    if call.name == "count" and all(isinstance(arg, Literal) and arg.value is not None for arg in args):
        args = ()
    where = None if call.filter is None else computed[call.filter.id]
    return AggregateCall(call.name, tuple(arg if isinstance(arg, (Literal, Parameter)) else column(arg) for arg in args),
                         call.type, filter=None if where is None or where == TRUE else column(where))


def _with_empty_sets(plan: PlanNode, union: Union, groups: Sequence[Field], partial: Sequence[Field],
                     context: OptimizerContext) -> tuple[Union, list[Field]]:
    """The union of `plan` with the rows of the empty sets, cut to the grouped columns; and the partial results in it."""
    lone = union.inputs[1]
    assert isinstance(lone, Values)
    places = {field.id: place for place, field in enumerate(lone.fields)}
    index = {field.id: places[id] for field, id in zip(union.fields, union.columns[1], strict=True)}
    kept = [index[field.id] for field in groups]
    fields = tuple(context.new_field(f.name, f.type) for f in (*groups, *partial))
    rows = tuple((*(row[place] for place in kept), *(Literal(f.type, None) for f in partial)) for row in lone.rows)
    made = [context.new_field(f.name, f.type) for f in partial]
    return Union((plan, Values(fields, rows)), (*groups, *made),
                 (tuple(f.id for f in plan.output), tuple(f.id for f in fields))), made
