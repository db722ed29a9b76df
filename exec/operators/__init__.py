"""From plan nodes to operators: `build` makes the operator tree of one task. Hop 6 of a query's way.

    build(node, context) -> Operator        # its batches() are counted and timed in context.metrics(node)

Adding an operator is one module and one row of `OPERATORS`.
"""

from __future__ import annotations

from shoal.exec.operators.base import Operator, OperatorMetrics, TaskContext
from shoal.exec.plan.nodes import PlanNode

__all__ = ["Operator", "OperatorMetrics", "TaskContext", "build"]


def build(node: PlanNode, context: TaskContext) -> Operator:
    """The operator for `node` over operators for its inputs. Raises: InternalError for a node without operator."""
    from shoal.exec.operators.registry import build_operator
    return build_operator(node, context)
