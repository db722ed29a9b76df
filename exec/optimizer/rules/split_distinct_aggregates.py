"""DISTINCT aggregates over one set of arguments as two groupings, each of which can be computed in parts.

    Aggregate by g: n = count(DISTINCT x), t = sum(y)

    ->  Aggregate by g: n = count(x), t = sum(t')
          Aggregate by g, x: t' = sum(y)
            R

The other aggregates must be mergeable (see distribution.MERGED_BY). min, max, and the boolean and bit aggregates lose a
DISTINCT that means nothing. Several different DISTINCT arguments stay: the operator computes them in one step.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.distribution import MERGED_BY
from shoal.exec.plan.expr import AggregateCall, ColumnRef
from shoal.exec.plan.nodes import Aggregate, Field, PlanNode, transform_plan

_SAME_WITHOUT = frozenset({"min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "any_value"})


def split_distinct_aggregates(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _split(node, context) if isinstance(node, Aggregate) else node)


def _split(node: Aggregate, context: OptimizerContext) -> PlanNode:
    if not any(call.distinct for _, call in node.aggregates):
        return node
    aggregates = tuple((f, replace(c, distinct=False) if c.name in _SAME_WITHOUT else c) for f, c in node.aggregates)
    node = replace(node, aggregates=aggregates)
    distinct = [call for _, call in aggregates if call.distinct]
    arguments = {call.args for call in distinct}
    if (len(arguments) != 1 or any(call.filter or call.order_by or call.name not in ("count", "sum") for call in distinct)
            or any(call.name not in MERGED_BY for _, call in aggregates if not call.distinct)):
        return node
    columns = [arg for arg in next(iter(arguments)) if isinstance(arg, ColumnRef)]
    if len(columns) != 1:
        return node
    below: list[tuple[Field, AggregateCall]] = []
    above: list[tuple[Field, AggregateCall]] = []
    for field, call in aggregates:
        if call.distinct:
            above.append((field, replace(call, distinct=False)))
        else:
            part = context.new_field(field.name, call.type)
            below.append((part, call))
            above.append((field, AggregateCall(MERGED_BY[call.name], (part.ref(),), call.type)))
    have = {f.id for f in node.groups}
    added = tuple(Field(c.id, c.name, c.type) for c in columns if c.id not in have)
    return Aggregate(Aggregate(node.input, node.groups + added, tuple(below)), node.groups, tuple(above))
