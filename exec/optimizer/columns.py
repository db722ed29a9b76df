"""Which columns a plan node makes, reads, or takes from outside; fresh copies of plans; small node builders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shoal.exec.plan.expr import AggregateCall, ColumnRef, Expr, WindowCall
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    AssignUniqueId,
    Exchange,
    Field,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Recursion,
    RemoteSource,
    Scan,
    SetOperation,
    SharedRows,
    Sort,
    TableFunction,
    TableWrite,
    TopN,
    Union,
    Values,
    Window,
    WorkingTable,
    walk_plan,
)
from shoal.exec.plan.rewrite import renumber


def add_columns(expr: Expr, into: set[int]) -> None:
    """Adds the ids of all columns the expression reads."""
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, ColumnRef):
            into.add(node.id)
        else:
            stack.extend(node.children())


def columns(*exprs: Expr | None) -> set[int]:
    """Ids of all columns the expressions read."""
    found: set[int] = set()
    for expr in exprs:
        if expr is not None:
            add_columns(expr, found)
    return found


def output_ids(node: PlanNode) -> set[int]:
    return {field.id for field in node.output}


def references(node: PlanNode) -> set[int]:
    """Ids of the columns that the node itself reads (not its inputs)."""
    found: set[int] = set()
    collect = _REFERENCES.get(type(node))
    if collect is not None:
        collect(node, found)
    return found


def _of_join(node: Any, found: set[int]) -> None:
    for left, right in node.keys:
        found.add(left.id)
        found.add(right.id)
    if node.condition is not None:
        add_columns(node.condition, found)


def _of_apply(node: Any, found: set[int]) -> None:
    found.update(ref.id for ref in node.comparand)
    if node.guard is not None:
        found.add(node.guard.id)
    if node.condition is not None:
        add_columns(node.condition, found)


def _of_call(call: AggregateCall | WindowCall, found: set[int]) -> None:
    for arg in call.args:
        add_columns(arg, found)
    if call.filter is not None:
        found.add(call.filter.id)
    if isinstance(call, AggregateCall):
        found.update(key.column.id for key in call.order_by)
    else:
        found.update(bound.offset.id for bound in (call.frame.start, call.frame.end) if isinstance(bound.offset, ColumnRef))


def _of_aggregate(node: Any, found: set[int]) -> None:
    found.update(field.id for field in node.groups)
    for _, call in node.aggregates:
        _of_call(call, found)


def _of_window(node: Any, found: set[int]) -> None:
    found.update(ref.id for ref in node.partition)
    found.update(key.column.id for key in node.order)
    for _, call in node.calls:
        _of_call(call, found)


def _of_keys(node: Any, found: set[int]) -> None:
    found.update(key.column.id for key in node.keys)


def _of_limit(node: Any, found: set[int]) -> None:
    for expr in (node.count, node.offset):
        if expr is not None:
            add_columns(expr, found)


def _of_exchange(node: Any, found: set[int]) -> None:
    found.update(ref.id for ref in node.keys)
    found.update(key.column.id for key in node.ordering)


def _of_scan(node: Any, found: set[int]) -> None:
    if node.predicate is not None:
        add_columns(node.predicate, found)
    found.update(use.column.id for use in node.dynamic_filters)


def _of_project(node: Any, found: set[int]) -> None:
    for _, expr in node.assignments:
        add_columns(expr, found)


def _of_values(node: Any, found: set[int]) -> None:
    for row in node.rows:
        for expr in row:
            add_columns(expr, found)


def _of_functions(node: Any, found: set[int]) -> None:
    for _, args in node.functions:
        for expr in args:
            add_columns(expr, found)


def _of_union(node: Any, found: set[int]) -> None:
    for ids in node.columns:
        found.update(ids)


def _of_set_operation(node: Any, found: set[int]) -> None:
    found.update(field.id for field in node.left.output)
    found.update(field.id for field in node.right.output)


def _of_write(node: Any, found: set[int]) -> None:
    found.update(ref.id for ref in node.columns)
    found.update(ref.id for _, ref in node.returning)
    for _, expr in node.computed:
        add_columns(expr, found)
    if node.conflict is not None:
        for expr in (*node.conflict.assignments, node.conflict.predicate):
            if expr is not None:
                add_columns(expr, found)
        found.difference_update(field.id for field in node.conflict.existing)
    found.difference_update(field.id for field, _ in node.computed)


_REFERENCES: dict[type, Callable[[Any, set[int]], None]] = {
    Join: _of_join, Apply: _of_apply, Aggregate: _of_aggregate, Window: _of_window, Sort: _of_keys, TopN: _of_keys,
    Exchange: _of_exchange, Scan: _of_scan, Project: _of_project, Values: _of_values, TableFunction: _of_functions,
    Union: _of_union, Recursion: _of_union, SetOperation: _of_set_operation, TableWrite: _of_write,
    Filter: lambda node, found: add_columns(node.predicate, found), Limit: _of_limit,
}


def made_fields(node: PlanNode) -> tuple[Field, ...]:
    """The output fields whose columns the node itself makes (a Project's passed-on columns are not among them)."""
    match node:
        case Scan():
            return tuple(c.field for c in node.columns)
        case Values() | Union() | Recursion() | WorkingTable() | SharedRows() | SetOperation() | RemoteSource():
            return node.output
        case Project():
            return tuple(f for f, e in node.assignments if not (isinstance(e, ColumnRef) and e.id == f.id))
        case TableFunction():
            return node.fields + ((node.ordinality,) if node.ordinality else ())
        case Aggregate():
            return tuple(field for field, _ in node.aggregates)
        case Window():
            return tuple(field for field, _ in node.calls)
        case Join() | Apply():
            return (node.mark,) if node.mark is not None else ()
        case AssignUniqueId():
            return (node.field,)
        case TableWrite():
            return (node.field, *(field for field, _ in node.computed), *(node.conflict.existing if node.conflict else ()))
    return ()


def largest_id(plan: PlanNode) -> int:
    """The largest column id that the plan's nodes make; 0 for none."""
    largest = 0
    stack = [plan]
    while stack:
        node = stack.pop()
        for field in made_fields(node):
            if field.id > largest:
                largest = field.id
        if isinstance(node, TableWrite):
            for field, _ in node.returning:
                largest = max(largest, field.id)
        stack.extend(node.children())
    return largest


def free_columns(node: PlanNode) -> set[int]:
    """Ids that the subtree reads but does not make: a subquery's outer columns."""
    children = node.children()
    found = references(node)
    if not children:
        if isinstance(node, Scan):
            found -= {c.field.id for c in node.columns}
        return found
    for child in children:
        found -= output_ids(child)
    for child in children:
        found |= free_columns(child)
    return found


def refresh(node: PlanNode, new_id: Callable[[], int]) -> tuple[PlanNode, dict[int, ColumnRef]]:
    """A copy of the subtree whose own columns have fresh ids, and the new column for each old id."""
    made = {field.id: field for part in walk_plan(node) for field in made_fields(part)}
    copy, ids = renumber(node, iter(new_id, None), frozenset(free_columns(node) - made.keys()))
    return copy, {old: ColumnRef(made[old].type, new, made[old].name) for old, new in ids.items() if old in made}


def passed_on(fields: Iterable[Field]) -> tuple[tuple[Field, Expr], ...]:
    """Project assignments that pass these columns on."""
    return tuple((field, field.ref()) for field in fields)


def filtered(node: PlanNode, parts: list[Expr]) -> PlanNode:
    """A Filter on the conjunction of the parts; the node itself for none."""
    from shoal.exec.plan.expr import conjunction
    return Filter(node, conjunction(parts)) if parts else node


def empty(fields: Iterable[Field]) -> Values:
    return Values(tuple(fields), ())


def is_empty(node: PlanNode) -> bool:
    return isinstance(node, Values) and not node.rows
