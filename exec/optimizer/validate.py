"""The plan sanity checker: run after each rule in tests and under Switches.validate.

Every column a node reads must come from its inputs (or, inside an Apply, from the outer plan) with the same type;
ids are made once; what a node promises about its shape holds. Raises InternalError (XX000) naming the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shoal.catalog.errors import InternalError
from shoal.catalog.types import SqlType
from shoal.exec.optimizer.columns import made_fields, output_ids
from shoal.exec.plan.expr import ColumnRef, Expr, Parameter, walk
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    Filter,
    Join,
    PlanNode,
    Project,
    Recursion,
    Scan,
    SetOperation,
    Sort,
    TableFunction,
    TableWrite,
    TopN,
    Union,
    Values,
    Window,
    walk_plan,
)


def _held_alike(a: SqlType, b: SqlType) -> bool:
    """Numerics of one scale: how many digits they may have does not change how they are stored."""
    return a.name == b.name == "numeric" and a.scale == b.scale


def validate(plan: PlanNode, after: str, *, logical: bool = True) -> None:
    """Raises: InternalError (XX000) for a broken plan. `logical` plans may still have Apply and SetOperation."""
    _Checker(after, logical).check(plan, {})


class _Checker:
    def __init__(self, after: str, logical: bool) -> None:
        self.after, self.logical = after, logical
        self.made: dict[int, PlanNode] = {}

    def fail(self, node: PlanNode, problem: str) -> None:
        raise InternalError(f"{type(node).__name__} after {self.after}: {problem}")

    def check(self, node: PlanNode, outer: Mapping[int, SqlType]) -> None:
        if not self.logical and isinstance(node, (Apply, SetOperation)):
            self.fail(node, "has no operator")
        for field in made_fields(node):
            if self.made.setdefault(field.id, node) is not node:
                self.fail(node, f"makes column {field.name}#{field.id} that {type(self.made[field.id]).__name__} makes")
        if isinstance(node, Apply):
            self.check(node.left, outer)
            self.check(node.right, {**outer, **{f.id: f.type for f in node.left.output}})
        else:
            for child in node.children():
                self.check(child, outer)
        inputs = dict(outer)
        for child in node.children():
            inputs.update({f.id: f.type for f in child.output})
        if isinstance(node, Scan):
            inputs.update({c.field.id: c.field.type for c in node.columns})
        for expr in _expressions(node):
            for part in walk(expr):
                if isinstance(part, ColumnRef):
                    have = inputs.get(part.id)
                    if have is None:
                        self.fail(node, f"reads {part.name}#{part.id}, which its inputs do not have")
                    elif have != part.type:
                        self.fail(node, f"reads {part.name}#{part.id} as {part.type}, but it is {have}")
                elif isinstance(part, Parameter):
                    self.fail(node, f"has the unbound parameter ${part.index}")
        self.shape(node)
        ids = [f.id for f in node.output]
        if len(set(ids)) < len(ids) and not isinstance(node, (Project, Apply)):
            self.fail(node, "gives a column twice")

    def shape(self, node: PlanNode) -> None:
        match node:
            case Project():
                for field, expr in node.assignments:
                    if field.type != expr.type and not _held_alike(field.type, expr.type):
                        self.fail(node, f"gives {field.name}#{field.id} of type {field.type} the type {expr.type}")
            case Filter():
                if node.predicate.type.name != "bool":
                    self.fail(node, "has a predicate that is not boolean")
            case Values():
                if any(len(row) != len(node.fields) for row in node.rows):
                    self.fail(node, "has a row of the wrong length")
            case Union() | Recursion():
                for child, ids in zip(node.inputs, node.columns, strict=True):
                    types = {f.id: f.type for f in child.output}
                    for field, i in zip(node.fields, ids, strict=True):
                        if i not in types:
                            self.fail(node, f"takes #{i}, which an input does not have")
                        elif types[i].name != field.type.name or types[i].scale != field.type.scale:
                            self.fail(node, f"gives {field.name}#{field.id} of type {field.type} the type {types[i]}")
            case Join():
                left, right = output_ids(node.left), output_ids(node.right)
                if any(a.id not in left or b.id not in right for a, b in node.keys):
                    self.fail(node, "has a key pair that is not (left, right)")
                if node.null_aware and not node.keys:
                    self.fail(node, "is NULL-aware without a key")
                if node.dynamic_filters and any(index >= len(node.keys) for _, index in node.dynamic_filters):
                    self.fail(node, "publishes a filter of a key it does not have")
            case Scan() if node.projected is not None:
                if not set(node.projected) <= {c.field.id for c in node.columns}:
                    self.fail(node, "gives out a column it does not read")


def check_dynamic_filters(plan: PlanNode) -> None:
    """Raises: InternalError (XX000) where a scan waits for a filter that no join publishes."""
    published = {number for node in walk_plan(plan) if isinstance(node, Join) for number, _ in node.dynamic_filters}
    for node in walk_plan(plan):
        if isinstance(node, Scan) and any(use.filter_id not in published for use in node.dynamic_filters):
            raise InternalError("a scan uses a dynamic filter that no join publishes")


def _expressions(node: PlanNode) -> Iterator[Expr]:
    match node:
        case Scan():
            if node.predicate is not None:
                yield node.predicate
            yield from (use.column for use in node.dynamic_filters)
        case Values():
            yield from (expr for row in node.rows for expr in row)
        case TableFunction():
            yield from (arg for _, args in node.functions for arg in args)
        case Filter():
            yield node.predicate
        case Project():
            yield from (expr for _, expr in node.assignments)
        case Join() | Apply():
            if node.condition is not None:
                yield node.condition
            if isinstance(node, Join):
                yield from (ref for pair in node.keys for ref in pair)
            else:
                yield from node.comparand
        case Aggregate():
            yield from (f.ref() for f in node.groups)
            for _, call in node.aggregates:
                yield from call.args
                yield from (key.column for key in call.order_by)
                if call.filter is not None:
                    yield call.filter
        case Sort() | TopN():
            yield from (key.column for key in node.keys)
        case Window():
            yield from node.partition
            yield from (key.column for key in node.order)
            for _, window_call in node.calls:
                yield from window_call.args
        case TableWrite():
            made = {field.id for field, _ in node.computed}
            yield from (ref for ref in (*node.columns, *(ref for _, ref in node.returning)) if ref.id not in made)
            yield from (expr for _, expr in node.computed)
