"""Drops sorts whose order nobody sees.

    Aggregate                    Aggregate
      Sort (a)          ->         R
        R

A sort keeps its meaning under Limit, at the root, and under an aggregate that depends on the order of its input
(array_agg, string_agg ...), also through projections and filters. Joins, groupings, windows, unions and other sorts
forget it.
"""

from __future__ import annotations

from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    SetOperation,
    Sort,
    TableWrite,
    Union,
    Window,
    walk_plan,
)

_UNORDERED = frozenset({"count", "sum", "sum0", "min", "max", "avg", "bool_and", "bool_or", "every", "bit_and", "bit_or"})


def remove_sorts(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    if not any(isinstance(node, Sort) for node in walk_plan(plan)):
        return plan
    return _visit(plan, True)


def _visit(node: PlanNode, ordered: bool) -> PlanNode:
    match node:
        case Sort():
            if not ordered:
                return _visit(node.input, False)
            below = False
        case Limit():
            below = True
        case Project() | Filter():
            below = ordered
        case Aggregate():
            below = any(call.name not in _UNORDERED and not call.order_by for _, call in node.aggregates)
        case Join() | Apply() | Union() | SetOperation() | Window() | TableWrite():
            below = False
        case _:
            below = True
    children = node.children()
    if not children:
        return node
    rebuilt = tuple([_visit(child, below) for child in children])
    return node.with_children(rebuilt) if any(a is not b for a, b in zip(rebuilt, children, strict=True)) else node
