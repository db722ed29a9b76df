"""Lets the keys of a join's held side filter the scans of its other side.

    Join on a = b                    Join on a = b                 publishes filter 1 = values of b
      Scan R (a)             ->        Scan R (a)                  drops rows whose a is not in filter 1
      Filter (few rows)                Filter (few rows)
        Scan S (b)                       Scan S (b)

The probing column is traced down through filters, projections, joins, groupings by it, unions and exchanges.
Only for kinds of join that give nothing for an unmatched probing row, and where the estimate says that it drops some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from shoal.exec.optimizer.columns import output_ids
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.stats import key_domain, match_share
from shoal.exec.plan.expr import ColumnRef
from shoal.exec.plan.nodes import (
    Aggregate,
    AssignUniqueId,
    DynamicFilterUse,
    Exchange,
    Filter,
    Join,
    PlanNode,
    Project,
    Scan,
    Sort,
    TableFunction,
    Union,
    Window,
)

MAX_KEPT_SHARE = 0.75
"""No filter where more than this share of the probing rows is expected to pass it."""
MAX_BUILD_ROWS = 20_000_000.0


def add_dynamic_filters(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return _visit(plan, context, count(1)) if context.switches.dynamic_filtering else plan


def _visit(node: PlanNode, context: OptimizerContext, numbers: Iterator[int]) -> PlanNode:
    if isinstance(node, Join) and node.keys:
        node = _filtered(node, context, numbers)
    children = node.children()
    if not children:
        return node
    rebuilt = tuple([_visit(child, context, numbers) for child in children])
    if all(a is b for a, b in zip(rebuilt, children, strict=True)):
        return node
    made = node.with_children(rebuilt)
    context.statistics.remember(made, context.estimate(node))
    return made


def _filtered(node: Join, context: OptimizerContext, numbers: Iterator[int]) -> PlanNode:
    """The join with filters published and its probing side using them."""
    if node.build == "right" and node.kind in ("inner", "semi"):
        build, probe, held = node.right, node.left, 1
    elif node.build == "left" and not node.null_aware and node.kind in ("inner", "semi", "anti", "left"):
        build, probe, held = node.left, node.right, 0
    else:
        return node
    of_build, of_probe = context.estimate(build), context.estimate(probe)
    if of_build.rows > MAX_BUILD_ROWS:
        return node
    published: list[tuple[int, int]] = []
    for index, pair in enumerate(node.keys):
        own, other = pair[held], pair[1 - held]
        keys = [(other.id, own.id)]
        kept = match_share(of_probe, of_build, keys, key_domain(of_probe, of_build, keys))
        if kept > MAX_KEPT_SHARE and of_build.known and of_probe.known:
            continue
        number = next(numbers)
        used = _used(probe, other, number)
        if used is not probe:
            context.statistics.remember(used, of_probe)
            probe = used
            published.append((number, index))
    if not published:
        return node
    left, right = (probe, node.right) if held == 1 else (node.left, probe)
    made = replace(node, left=left, right=right, dynamic_filters=tuple(published))
    context.statistics.remember(made, context.estimate(node))
    return made


def _used(node: PlanNode, column: ColumnRef, number: int) -> PlanNode:
    """The node with the scans that the column comes from using the filter; the same node where there is none."""
    match node:
        case Scan():
            for c in node.columns:
                if c.field.id == column.id:
                    return replace(node, dynamic_filters=(*node.dynamic_filters, DynamicFilterUse(number, c.field.ref())))
            return node
        case Project():
            source = next((e for f, e in node.assignments if f.id == column.id), None)
            return _over(node, _used(node.input, source, number)) if isinstance(source, ColumnRef) else node
        case Aggregate():
            return _over(node, _used(node.input, column, number)) if any(f.id == column.id for f in node.groups) else node
        case Window():
            return _over(node, _used(node.input, column, number)) if column.id in {r.id for r in node.partition} else node
        case Filter() | Sort() | Exchange() | TableFunction() | AssignUniqueId():
            return _over(node, _used(node.input, column, number)) if column.id in output_ids(node.input) else node
        case Join():
            return _used_in_join(node, column, number)
        case Union():
            index = next((i for i, f in enumerate(node.fields) if f.id == column.id), None)
            if index is None:
                return node
            inputs = []
            for child, ids in zip(node.inputs, node.columns, strict=True):
                field = next(f for f in child.output if f.id == ids[index])
                inputs.append(_used(child, field.ref(), number))
            changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
            return replace(node, inputs=tuple(inputs)) if changed else node
    return node


def _used_in_join(node: Join, column: ColumnRef, number: int) -> PlanNode:
    """On the side that has the column; on both where a key makes them equal."""
    wanted = {0: column} if column.id in output_ids(node.left) else {1: column}
    if node.kind == "full" or (1 in wanted and node.kind != "inner"):
        return node
    for a, b in node.keys:
        if node.kind in ("inner", "semi", "anti", "left") and not node.null_aware:
            if wanted.get(0) is not None and a.id == column.id:
                wanted[1] = b
            elif wanted.get(1) is not None and b.id == column.id:
                wanted[0] = a
    left = _used(node.left, wanted[0], number) if 0 in wanted else node.left
    right = _used(node.right, wanted[1], number) if 1 in wanted else node.right
    return node if left is node.left and right is node.right else replace(node, left=left, right=right)


def _over(node: Project | Aggregate | Window | Filter | Sort | Exchange | TableFunction | AssignUniqueId,
          child: PlanNode) -> PlanNode:
    return node if child is node.input else replace(node, input=child)
