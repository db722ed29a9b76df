"""Reads and computes only the columns that something above needs.

    Project a                         Project a
      Project a, b = f(c)      ->       Scan t (a)
        Scan t (a, c, d)

Drops unused scan columns, assignments, aggregates, window calls, marks and unneeded left joins; merges projections
and removes those that only pass columns on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from shoal.exec.optimizer.columns import add_columns, output_ids, references
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, is_volatile, replace_columns
from shoal.exec.plan.nodes import (
    Aggregate,
    AssignUniqueId,
    Field,
    Filter,
    Join,
    PlanNode,
    Project,
    Scan,
    SharedRows,
    TableWrite,
    Union,
    Values,
    Window,
    With,
    walk_plan,
)


def prune_columns(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return prune(plan, output_ids(plan))


def prune(node: PlanNode, needed: set[int]) -> PlanNode:
    """The node giving at least the `needed` columns of its output."""
    match node:
        case Scan():
            return _scan(node, needed)
        case Values():
            return _values(node, needed)
        case Project():
            return _project(node, needed)
        case Join():
            return _join(node, needed)
        case Aggregate():
            kept = tuple((f, c) for f, c in node.aggregates if f.id in needed)
            if not kept and not node.groups and node.aggregates:
                kept = node.aggregates[:1]
            if len(kept) < len(node.aggregates):
                node = replace(node, aggregates=kept)
        case Window():
            calls = tuple((f, c) for f, c in node.calls if f.id in needed)
            if not calls:
                return prune(node.input, needed)
            if len(calls) < len(node.calls):
                node = replace(node, calls=calls)
        case AssignUniqueId():
            if node.field.id not in needed:
                return prune(node.input, needed)
        case Union():
            return _union(node, needed)
        case SharedRows():
            kept_columns = [(f, i) for f, i in zip(node.fields, node.columns, strict=True) if f.id in needed]
            return node if len(kept_columns) == len(node.fields) else replace(
                node, fields=tuple(f for f, _ in kept_columns), columns=tuple(i for _, i in kept_columns))
        case With():
            return _with(node, needed)
    children = node.children()
    if not children:
        return node
    wanted = references(node)
    if isinstance(node, (Aggregate, TableWrite)):
        below = wanted
    else:
        below = wanted | needed
    rebuilt = tuple([prune(child, below) for child in children])
    return node.with_children(rebuilt) if any(a is not b for a, b in zip(rebuilt, children, strict=True)) else node


def _scan(node: Scan, needed: set[int]) -> PlanNode:
    own: set[int] = set()
    if node.predicate is not None:
        add_columns(node.predicate, own)
    own.update(use.column.id for use in node.dynamic_filters)
    columns = tuple(c for c in node.columns if c.field.id in needed or c.field.id in own)
    projected = tuple(c.field.id for c in columns if c.field.id in needed)
    given = None if len(projected) == len(columns) else projected
    if len(columns) == len(node.columns) and given == node.projected:
        return node
    return replace(node, columns=columns, projected=given)


def _values(node: Values, needed: set[int]) -> PlanNode:
    keep = [i for i, f in enumerate(node.fields) if f.id in needed]
    if len(keep) == len(node.fields):
        return node
    return Values(tuple(node.fields[i] for i in keep), tuple(tuple(row[i] for i in keep) for row in node.rows))


def _project(node: Project, needed: set[int]) -> PlanNode:
    assignments = tuple((f, e) for f, e in node.assignments if f.id in needed)
    below = node.input
    while isinstance(below, Project):
        merged = _merged(assignments, below)
        if merged is None:
            break
        assignments, below = merged, below.input
    wanted: set[int] = set()
    for _, expr in assignments:
        add_columns(expr, wanted)
    below = prune(below, wanted)
    while isinstance(below, Project):
        merged = _merged(assignments, below)
        if merged is None:
            break
        assignments, below = merged, below.input
    if all(isinstance(e, ColumnRef) and e.id == f.id for f, e in assignments):
        return below
    if below is node.input and len(assignments) == len(node.assignments):
        return node
    return Project(below, assignments)


def _merged(assignments: tuple[tuple[Field, Expr], ...], below: Project) -> tuple[tuple[Field, Expr], ...] | None:
    """The outer of two projections in terms of the inner one's input, unless that repeats work."""
    inner = {f.id: e for f, e in below.assignments}
    uses: Counter[int] = Counter()
    for _, expr in assignments:
        stack = [expr]
        while stack:
            part = stack.pop()
            if isinstance(part, ColumnRef):
                uses[part.id] += 1
            else:
                stack.extend(part.children())
    for id, count in uses.items():
        expr = inner[id]
        if not isinstance(expr, (ColumnRef, Literal)) and (count > 1 or is_volatile(expr)):
            return None
    return tuple((f, replace_columns(e, inner)) for f, e in assignments)


def _join(node: Join, needed: set[int]) -> PlanNode:
    if node.kind == "mark":
        assert node.mark is not None
        if node.mark.id not in needed:
            return prune(node.left, needed)
    right_ids = output_ids(node.right) if node.kind == "left" else set()
    if node.kind == "left" and not needed & right_ids and _unique(node.right, {b.id for _, b in node.keys}):
        return prune(node.left, needed)
    wanted = references(node) | needed
    left, right = prune(node.left, wanted), prune(node.right, wanted)
    return node if left is node.left and right is node.right else replace(node, left=left, right=right)


def _unique(node: PlanNode, ids: set[int]) -> bool:
    """Whether no two rows can agree on these columns."""
    match node:
        case Aggregate():
            return node.step != "partial" and {f.id for f in node.groups} <= ids
        case Filter():
            return _unique(node.input, ids)
        case Project():
            wanted = [e for f, e in node.assignments if f.id in ids]
            sources = {e.id for e in wanted if isinstance(e, ColumnRef)}
            flagged, filled = (
                {e.args[0].id for e in wanted if isinstance(e, Call) and e.name == name and isinstance(e.args[0], ColumnRef)}
                for name in ("is_null", "coalesce"))
            sources |= flagged & filled  # how unnesting.join_null_safe compares one column
            return _unique(node.input, sources)
    return False


def _with(node: With, needed: set[int]) -> PlanNode:
    """Each shared input gives what any of its readers takes."""
    pruned = [prune(node.inputs[-1], needed)]
    wanted: dict[int, set[int]] = {}
    for number, definition in reversed(list(zip(node.numbers, node.inputs[:-1], strict=True))):
        for reader in walk_plan(pruned[0]):
            if isinstance(reader, SharedRows):
                wanted.setdefault(reader.number, set()).update(reader.columns)
        pruned.insert(0, prune(definition, wanted.get(number, set())))
    return node if all(a is b for a, b in zip(pruned, node.inputs, strict=True)) else replace(node, inputs=tuple(pruned))


def _union(node: Union, needed: set[int]) -> PlanNode:
    keep = [i for i, f in enumerate(node.fields) if f.id in needed]
    fields, columns = node.fields, node.columns
    if len(keep) < len(fields):
        fields = tuple(fields[i] for i in keep)
        columns = tuple(tuple(ids[i] for i in keep) for ids in columns)
    inputs = tuple([prune(child, set(ids)) for child, ids in zip(node.inputs, columns, strict=True)])
    if len(keep) == len(node.fields) and all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    return Union(inputs, fields, columns)
