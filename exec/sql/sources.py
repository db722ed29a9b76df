"""What a bound FROM item is: a plan, the names it brings, and what it reads of its neighbours (hop 2)."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.exec.plan.nodes import PlanNode, TableFunction
from shoal.exec.sql.scope import Scope


@dataclass(slots=True)
class Source:
    """A bound FROM item. `lateral`: columns of its left neighbours that it reads. `functions` are still to be put over
    them (or over one row) as a TableFunction."""

    plan: PlanNode
    scope: Scope
    lateral: frozenset[int] = frozenset()
    function: TableFunction | None = None


def with_input(function: TableFunction, plan: PlanNode, outer: bool = False) -> TableFunction:
    return TableFunction(plan, function.functions, function.fields, function.ordinality, outer)


def over_one_row(source: Source) -> Source:
    return source if source.function is None else Source(source.function, source.scope, source.lateral)
