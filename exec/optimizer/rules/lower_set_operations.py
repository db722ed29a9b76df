"""INTERSECT and EXCEPT as counts over a union of both sides.

    Intersect (x)                Filter (lefts >= 1 AND rights >= 1)
      L                   ->       Aggregate by x: lefts = count(l), rights = count(r)
      R                              Union (x, l, r)
                                       L with l = true, r = NULL
                                       R with l = NULL, r = true

The ALL forms keep the first min(lefts, rights) or lefts - rights of equal rows, numbered by a window over x.
"""

from __future__ import annotations

from shoal.catalog.types import BOOL, INT8
from shoal.exec.optimizer.columns import passed_on
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import (
    TRUE,
    AggregateCall,
    Expr,
    FrameBound,
    Literal,
    WindowCall,
    WindowFrame,
    call,
    conjunction,
)
from shoal.exec.plan.nodes import Aggregate, Field, Filter, PlanNode, Project, SetOperation, Union, Window, transform_plan

_WHOLE = WindowFrame("rows", FrameBound("unbounded_preceding"), FrameBound("unbounded_following"))
_NULL = Literal(BOOL, None)


def lower_set_operations(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _lower(node, context) if isinstance(node, SetOperation) else node)


def _lower(node: SetOperation, context: OptimizerContext) -> PlanNode:
    from_left, from_right = context.new_field("from_left", BOOL), context.new_field("from_right", BOOL)
    inputs, ids = [], []
    for child, marks in ((node.left, (TRUE, _NULL)), (node.right, (_NULL, TRUE))):
        made = [context.new_field("from_left", BOOL), context.new_field("from_right", BOOL)]
        inputs.append(Project(child, (*passed_on(child.output), *zip(made, marks, strict=True))))
        ids.append(tuple(f.id for f in (*child.output, *made)))
    union = Union(tuple(inputs), (*node.fields, from_left, from_right), tuple(ids))
    lefts, rights = context.new_field("lefts", INT8), context.new_field("rights", INT8)
    if node.all:
        return Project(_numbered(node, union, (from_left, lefts), (from_right, rights), context), passed_on(node.fields))
    counted = Aggregate(union, node.fields, ((lefts, AggregateCall("count", (from_left.ref(),), INT8)),
                                             (rights, AggregateCall("count", (from_right.ref(),), INT8))))
    one = Literal(INT8, 1)
    test = call("ge" if node.kind == "intersect" else "lt", BOOL, rights.ref(), one)
    return Project(Filter(counted, conjunction([call("ge", BOOL, lefts.ref(), one), test])), passed_on(node.fields))


def _numbered(node: SetOperation, union: Union, left: tuple[Field, Field], right: tuple[Field, Field],
              context: OptimizerContext) -> PlanNode:
    number = context.new_field("row_number", INT8)
    window = Window(union, tuple(f.ref() for f in node.fields), (), (
        (left[1], WindowCall("count", (left[0].ref(),), INT8, _WHOLE)),
        (right[1], WindowCall("count", (right[0].ref(),), INT8, _WHOLE)),
        (number, WindowCall("row_number", (), INT8))))
    parts: list[Expr]
    if node.kind == "intersect":
        parts = [call("le", BOOL, number.ref(), left[1].ref()), call("le", BOOL, number.ref(), right[1].ref())]
    else:
        parts = [call("le", BOOL, number.ref(), call("sub", INT8, left[1].ref(), right[1].ref()))]
    return Filter(window, conjunction(parts))
