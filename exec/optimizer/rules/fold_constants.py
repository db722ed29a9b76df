"""Folds constants and simplifies predicates everywhere in the plan.

    Filter (a = 1 + 1 AND true)         Filter (a = 2)
      Scan t                      ->      Scan t

    Filter (a = 1 AND a = 2)      ->    Values, no rows

Also pulls common factors out of OR (TPC-H Q19), turns NOT (a < b) into a >= b, and reads `column::wider = constant`
as a comparison in the column's own type, which connectors and statistics understand.
"""

from __future__ import annotations

from dataclasses import replace

from shoal.exec.optimizer.columns import empty, filtered
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.expressions import Simplifier
from shoal.exec.plan.expr import FALSE, Expr, conjunction
from shoal.exec.plan.nodes import Apply, Filter, Join, Limit, PlanNode, Project, TableFunction, Values, transform_plan


def fold_constants(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    simplify = Simplifier(context)

    def condition(expr: Expr | None) -> Expr | None:
        if expr is None:
            return None
        parts = simplify.predicate(expr)
        return conjunction(parts) if parts else None

    def visit(node: PlanNode) -> PlanNode:
        match node:
            case Filter():
                parts = simplify.predicate(node.predicate)
                if parts == [FALSE]:
                    return empty(node.output)
                made = conjunction(parts)
                return node if made == node.predicate else filtered(node.input, parts)
            case Project():
                exprs = [simplify(expr) for _, expr in node.assignments]
                if all(new is old for new, (_, old) in zip(exprs, node.assignments, strict=True)):
                    return node
                return Project(node.input, tuple((f, new) for (f, _), new in zip(node.assignments, exprs, strict=True)))
            case Join() | Apply():
                new = condition(node.condition)
                return node if new == node.condition else replace(node, condition=new)
            case Values():
                rows = tuple(tuple(map(simplify, row)) for row in node.rows)
                return node if rows == node.rows else Values(node.fields, rows)
            case Limit():
                count = None if node.count is None else simplify(node.count)
                offset = None if node.offset is None else simplify(node.offset)
                return node if count is node.count and offset is node.offset else Limit(node.input, count, offset)
            case TableFunction():
                return replace(node, functions=tuple((n, tuple(map(simplify, args))) for n, args in node.functions))
        return node

    return transform_plan(plan, visit)
