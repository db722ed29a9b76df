"""Lets what is known to be empty empty what is above it.

    Join inner              Union            Join left                Project x, y = NULL
      R              ->  Values, no rows       R               ->       R
      Values, no rows                          Values (y), no rows

A grouping of nothing has no rows either; a scalar aggregate of nothing has one and stays.
"""

from __future__ import annotations

from shoal.exec.optimizer.columns import empty, is_empty, passed_on
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import FALSE, ColumnRef, Expr, Literal
from shoal.exec.plan.nodes import (
    Aggregate,
    Field,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Recursion,
    Sort,
    TableFunction,
    TopN,
    Union,
    Window,
    transform_plan,
    walk_plan,
)


def propagate_empty(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    if not any(is_empty(node) for node in walk_plan(plan)):
        return plan
    return transform_plan(plan, _collapse)


def _collapse(node: PlanNode) -> PlanNode:
    match node:
        case Filter() | Project() | Sort() | TopN() | Limit() | Window() | TableFunction():
            return empty(node.output) if is_empty(node.input) else node
        case Aggregate():
            return empty(node.output) if node.groups and is_empty(node.input) else node
        case Join():
            return _collapse_join(node)
        case Union():
            return _collapse_union(node)
        case Recursion():
            return empty(node.output) if is_empty(node.inputs[0]) else node
    return node


def _collapse_join(node: Join) -> PlanNode:
    left, right = is_empty(node.left), is_empty(node.right)
    if not left and not right:
        return node
    match node.kind:
        case "inner":
            return empty(node.output)
        case "semi":
            return empty(node.output)
        case "anti":
            return empty(node.output) if left else node.left
        case "mark":
            assert node.mark is not None
            return empty(node.output) if left else Project(node.left, (*passed_on(node.left.output), (node.mark, FALSE)))
    if (left and right) or (left and node.kind == "left") or (right and node.kind == "right"):
        return empty(node.output)
    kept, gone = (node.right, node.left) if left else (node.left, node.right)
    return Project(kept, (*passed_on(kept.output), *((f, Literal(f.type, None)) for f in gone.output)))


def _collapse_union(node: Union) -> PlanNode:
    kept = [(child, ids) for child, ids in zip(node.inputs, node.columns, strict=True) if not is_empty(child)]
    if not kept:
        return empty(node.output)
    if len(kept) == 1:
        (child, ids), = kept
        return Project(child, renamed(node.fields, ids, child))
    if len(kept) == len(node.inputs):
        return node
    return Union(tuple(child for child, _ in kept), node.fields, tuple(ids for _, ids in kept))


def renamed(fields: tuple[Field, ...], ids: tuple[int, ...], child: PlanNode) -> tuple[tuple[Field, Expr], ...]:
    """Assignments that give the child's columns `ids` as `fields`."""
    by_id: dict[int, ColumnRef] = {f.id: f.ref() for f in child.output}
    return tuple((f, by_id[i]) for f, i in zip(fields, ids, strict=True))
