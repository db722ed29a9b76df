"""Rebuilding whole plans: every expression, field and id in any node, whatever its class.

`rebuild` walks dataclasses and tuples, shares what did not change, and asks `visit` about each dataclass object
first. Rules that look at one kind of node use nodes.transform_plan instead; this is for changes that reach everywhere:
parameters becoming constants, and a second copy of a plan with columns of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from shoal.catalog.connector import TableHandle
from shoal.catalog.types import SqlType
from shoal.exec.plan.expr import Call, ColumnRef
from shoal.exec.plan.nodes import Apply, Field, PlanNode, Recursion, Scan, ScanColumn, TableWrite, Union, walk_plan

T = TypeVar("T")
Visit = Callable[[Any], Any]

_FIELDS: dict[type, tuple[str, ...] | None] = {}


def _field_names(cls: type) -> tuple[str, ...] | None:
    """Names of the fields `rebuild` looks into; None for anything that is not a dataclass."""
    try:
        return _FIELDS[cls]
    except KeyError:
        names = tuple(f.name for f in fields(cls)) if is_dataclass(cls) else None
        return _FIELDS.setdefault(cls, names)


def rebuild(value: T, visit: Visit) -> T:
    """`value` with every dataclass inside it for which `visit` gives something else than None replaced by that.

    `visit` sees parents before children; the children of a replaced object are not visited.
    """
    cls: Any = type(value)
    if cls is tuple:
        items: Any = value
        rebuilt = tuple(rebuild(item, visit) for item in items)
        return rebuilt if any(new is not old for new, old in zip(rebuilt, items, strict=True)) else value  # type: ignore[return-value]
    names = _field_names(cls)
    if names is None:
        return value
    found = visit(value)
    if found is not None:
        return found
    values = []
    changed = False
    for name in names:
        old = getattr(value, name)
        kind = type(old)
        if kind is tuple or _field_names(kind) is not None:
            new = rebuild(old, visit)
            changed = changed or new is not old
            old = new
        values.append(old)
    return cls(*values) if changed else value


def holds_volatile(plan: PlanNode) -> bool:
    """Whether the plan gives something else each time, by an expression or because it writes: copies would not be equal."""
    found = any(isinstance(node, TableWrite) for node in walk_plan(plan))

    def visit(value: Any) -> Any:
        nonlocal found
        found = found or (type(value) is Call and value.volatile)
        return value if found else None

    if not found:
        rebuild(plan, visit)
    return found


def renumber(plan: PlanNode, ids: Iterator[int], keep: frozenset[int] = frozenset()) -> tuple[PlanNode, dict[int, int]]:
    """A copy of `plan` whose columns have ids of their own, with the mapping from old to new.

    Columns in `keep` (those of an enclosing query that the plan refers to) stay as they are.
    """
    mapping: dict[int, int] = {}

    def new_id(old: int) -> int:
        if old in keep:
            return old
        found = mapping.get(old)
        if found is None:
            found = mapping[old] = next(ids)
        return found

    refs: dict[int, ColumnRef] = {}
    columns: dict[int, Field] = {}

    def visit(value: Any) -> Any:
        kind = type(value)
        if kind is ColumnRef:
            ref = refs.get(value.id)
            if ref is None or ref.name != value.name or ref.type != value.type:
                ref = refs[value.id] = ColumnRef(value.type, new_id(value.id), value.name)
            return ref
        if kind is Field:
            column = columns.get(value.id)
            if column is None or column.name != value.name or column.type != value.type:
                column = columns[value.id] = Field(new_id(value.id), value.name, value.type)
            return column
        if kind is ScanColumn:
            return ScanColumn(visit(value.field), value.source)
        if kind is SqlType or kind is TableHandle:
            return value
        if isinstance(value, Apply) and value.correlation:
            bare = replace(value, correlation=())
            return replace(rebuild(bare, visit), correlation=tuple(new_id(i) for i in value.correlation))
        if isinstance(value, (Union, Recursion)) and any(value.columns):
            bare_union = replace(value, columns=tuple(() for _ in value.columns))
            return replace(rebuild(bare_union, visit), columns=tuple(tuple(new_id(i) for i in row) for row in value.columns))
        if isinstance(value, Scan) and value.projected:
            bare_scan = replace(value, projected=None)
            return replace(rebuild(bare_scan, visit), projected=tuple(new_id(i) for i in value.projected))
        return None

    return rebuild(plan, visit), mapping
