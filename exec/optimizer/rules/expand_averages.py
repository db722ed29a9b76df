"""avg as sum and count, so that it can be computed in parts; the same aggregates are then computed once.

    Aggregate: a = avg(x), s = sum(x)        Project a = avg_finish(s, c), s
      R                                ->      Aggregate: s = sum(x), c = count(x)
                                                 R

Exact for integers and numerics; floats are summed in double precision either way. avg of intervals stays.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.catalog.types import FLOAT8, INT8, SqlType, numeric
from shoal.exec.functions.numeric_types import total
from shoal.exec.optimizer.columns import passed_on
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import AggregateCall, Call, Expr
from shoal.exec.plan.nodes import Aggregate, Field, PlanNode, Project, transform_plan


def expand_averages(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return transform_plan(plan, lambda node: _expand(node, context) if isinstance(node, Aggregate) else node)


def sum_type(argument: SqlType) -> SqlType | None:
    """The type to sum values of this type in for their average; None where avg is not expanded."""
    if argument.name in ("int2", "int4"):
        return INT8
    if argument.name == "int8":
        return numeric(38, 0)
    if argument.name == "numeric":
        return total([argument])
    return FLOAT8 if argument.name in ("float4", "float8") else None


def _expand(node: Aggregate, context: OptimizerContext) -> PlanNode:
    if node.step != "single":
        return node
    averages = any(c.name == "avg" and sum_type(c.args[0].type) is not None for _, c in node.aggregates)
    calls = [c for _, c in node.aggregates]
    if not averages and len(set(calls)) == len(calls):
        return node
    kept: dict[AggregateCall, Field] = {}
    for field, call in node.aggregates:
        if not (call.name == "avg" and sum_type(call.args[0].type) is not None):
            kept.setdefault(call, field)
    results: list[tuple[Field, Expr]] = []

    def field_of(call: AggregateCall, name: str) -> Field:
        found = kept.get(call)
        if found is None:
            found = kept[call] = context.new_field(name, call.type)
        return found

    for field, call in node.aggregates:
        total_type = sum_type(call.args[0].type) if call.name == "avg" else None
        if total_type is None:
            results.append((field, kept[call].ref()))
            continue
        total = field_of(replace(call, name="sum", type=total_type), "sum")
        count = field_of(replace(call, name="count", type=INT8), "count")
        results.append((field, Call(call.type, "avg_finish", (total.ref(), count.ref()))))
    grouped = Aggregate(node.input, node.groups, tuple((f, c) for c, f in kept.items()))
    return Project(grouped, (*passed_on(node.groups), *results))
