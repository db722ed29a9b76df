"""Decides which input of each join is held in memory.

    Join inner               Join inner                 Join semi            Join semi build=left
      small         ->         large                      small       ->       small
      large                    small                      large                large

An inner join holds its right input, so inputs are swapped where the right one is larger. Semi, anti, mark and left
joins cannot be swapped, but may hold the left input: then the right one is only looked up in it, and can be
filtered by its keys where it is scanned. NULL-aware joins hold the right.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.exec.optimizer import cost
from shoal.exec.optimizer.columns import output_ids, references
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.stats import key_domain, match_share
from shoal.exec.plan.nodes import Join, PlanNode, transform_plan


def choose_build_sides(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _choose(node, context) if isinstance(node, Join) else node)


def _choose(node: Join, context: OptimizerContext) -> PlanNode:
    left, right = context.estimate(node.left), context.estimate(node.right)
    if node.kind == "inner":
        if left.rows >= right.rows:
            return node
        return replace(node, left=node.right, right=node.left, keys=tuple((b, a) for a, b in node.keys))
    if not node.keys or node.null_aware:
        return node
    if node.kind in ("full", "right"):
        return replace(node, build="left") if left.rows < right.rows else node
    needed = references(node)
    left_width = left.width(output_ids(node.left))
    right_width = right.width(output_ids(node.right) if node.kind == "left" else needed & output_ids(node.right))
    keys = [(a.id, b.id) for a, b in node.keys]
    share = match_share(right, left, [(b, a) for a, b in keys], key_domain(left, right, keys))
    workers = context.workers
    hold_right = min(
        cost.broadcast_ns(right.rows, right_width),
        cost.repartition_ns(right.rows, right_width, left.rows, left_width, workers)) + left.rows * cost.PROBE_NS / workers
    hold_left = (cost.repartition_ns(left.rows, left_width, right.rows * share, right_width, workers)
                 + right.rows * share * cost.PROBE_NS / workers + right.rows * cost.FILTER_NS / workers)
    return replace(node, build="left") if hold_left < hold_right else node
