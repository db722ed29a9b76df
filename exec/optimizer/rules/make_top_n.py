"""Sort under Limit as TopN, which holds only the rows it will give.

    Limit 10 offset 5          Limit 10 offset 5
      Sort (a)           ->      TopN 15 by a
        R                          R
"""

from __future__ import annotations

from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import Literal
from shoal.exec.plan.nodes import Limit, PlanNode, Project, Sort, TopN, transform_plan

MAX_ROWS = 1_000_000
"""Beyond this a full (spilling) sort is the better operator."""


def make_top_n(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _rewrite(node) if isinstance(node, Limit) else node)


def limit_numbers(node: Limit) -> tuple[int | None, int] | None:
    """The constant count (None: all) and offset of a limit; None where they are not constants."""
    numbers: list[int | None] = []
    for expr in (node.count, node.offset):
        if expr is None:
            numbers.append(None)
        elif isinstance(expr, Literal):
            numbers.append(None if expr.value is None else int(expr.value))
        else:
            return None
    return numbers[0], numbers[1] or 0


def _rewrite(node: Limit) -> PlanNode:
    numbers = limit_numbers(node)
    if numbers is None:
        return node
    count, offset = numbers
    if count is None or count < 0 or offset < 0 or count + offset > MAX_ROWS:
        return node
    if isinstance(node.input, Project) and isinstance(node.input.input, Sort):
        return Project(_rewrite(Limit(node.input.input, node.count, node.offset)), node.input.assignments)
    if not isinstance(node.input, Sort):
        return node
    top = TopN(node.input.input, node.input.keys, count + offset)
    return top if offset == 0 else Limit(top, node.count, node.offset)
