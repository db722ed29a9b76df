"""Limits moved towards the scans.

    Limit 10                Project             Limit 10               Limit 10
      Project       ->        Limit 10            Union         ->       Union
        R                       R                   R, S                   Limit 10 R, Limit 10 S

A left join gives every left row at least once, so its left input is limited too. A scan is told how many rows of
each split are wanted. Negative counts stay where they are, to be refused when run.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.catalog.types import INT8
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.rules.make_top_n import limit_numbers
from shoal.exec.plan.expr import Literal, is_volatile
from shoal.exec.plan.nodes import Join, Limit, PlanNode, Project, Scan, TopN, Union, Values, transform_plan


def push_down_limits(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _push(node) if isinstance(node, Limit) else node)


def _push(node: Limit) -> PlanNode:
    numbers = limit_numbers(node)
    if numbers is None:
        return node
    count, offset = numbers
    if count is None or count < 0 or offset < 0:
        return node
    below = node.input
    if count == 0:
        return Values(node.output, ())
    if isinstance(below, Project) and not any(is_volatile(e) for _, e in below.assignments):
        return Project(_push(replace(node, input=below.input)), below.assignments)
    bounded = _bound(below, count + offset)
    return node if bounded is below else replace(node, input=bounded)


def _bound(node: PlanNode, rows: int) -> PlanNode:
    """The node giving no more than about `rows` rows, where that saves work; any `rows` of them will do."""
    match node:
        case Scan():
            return replace(node, limit=rows) if node.limit is None or node.limit > rows else node
        case Union():
            return replace(node, inputs=tuple(_limited(child, rows) for child in node.inputs))
        case Join(kind="left"):
            return replace(node, left=_limited(node.left, rows))
        case Project():
            below = _bound(node.input, rows)
            return node if below is node.input else Project(below, node.assignments)
    return node


def _limited(node: PlanNode, rows: int) -> PlanNode:
    if (isinstance(node, TopN) and node.count <= rows) or (isinstance(node, Values) and len(node.rows) <= rows):
        return node
    return _push(Limit(node, Literal(INT8, rows)))
