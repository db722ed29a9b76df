"""Drops columns before rows are sent, sorted, or held in memory.

    Exchange hash (a)              Exchange hash (a)
      Join                   ->      Project a, x
        R (a, k), S (k, x)             Join
                                         R (a, k), S (k, x)

The last rule: by now filters are inside scans, so columns that only a filter read are not given out by the scan.
"""

from __future__ import annotations

from shoal.exec.optimizer.columns import output_ids, passed_on, references
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.rules.prune_columns import prune
from shoal.exec.plan.nodes import (
    Aggregate,
    Exchange,
    Join,
    PlanNode,
    Project,
    Sort,
    TableWrite,
    TopN,
    Union,
    Window,
    With,
)


def narrow_columns(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    needed = output_ids(plan)
    return _narrow(prune(plan, needed), needed, False)


def _narrow(node: PlanNode, needed: set[int], exactly: bool) -> PlanNode:
    """The node with narrow inputs; `exactly`: it gives out the needed columns and no others."""
    if isinstance(node, With):
        *shared, main = node.inputs
        return With(node.numbers, (*(_narrow(child, output_ids(child), False) for child in shared),
                                   _narrow(main, needed, False)))
    children = node.children()
    if children:
        below = references(node)
        if not isinstance(node, (Project, Aggregate, Union, TableWrite)):
            below |= needed
        held: tuple[bool, ...]
        if isinstance(node, Join):
            held = (node.build == "left", node.build == "right")
        else:
            held = (isinstance(node, (Exchange, Sort, TopN, Window)),) * len(children)
        rebuilt = []
        for child, exact in zip(children, held, strict=True):
            wanted = below & output_ids(child)
            rebuilt.append(_narrow(child, wanted, exact))
        if any(a is not b for a, b in zip(rebuilt, children, strict=True)):
            node = node.with_children(tuple(rebuilt))
    if exactly and not isinstance(node, (Exchange, Sort, TopN)):
        fields = node.output
        if len(fields) > len(needed):
            kept = passed_on(f for f in fields if f.id in needed)
            return Project(node.input, tuple((f, e) for f, e in node.assignments if f.id in needed)) \
                if isinstance(node, Project) else Project(node, kept)
    return node
