"""Parameters becoming constants: a prepared plan plus the values of one execution (hop 2, before optimizing)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.errors import ProtocolViolation
from shoal.catalog.types import SqlType
from shoal.exec.plan.expr import Literal, Parameter
from shoal.exec.plan.nodes import PlanNode
from shoal.exec.plan.rewrite import rebuild


def bind_parameters(plan: PlanNode, values: Sequence[Any], types: Sequence[SqlType]) -> PlanNode:
    """`plan` with each $n replaced by a Literal of `values[n-1]`, a physical value (expr.py) of `types[n-1]`.

    Raises: ProtocolViolation (08P01) for a wrong number of values.
    """
    if len(values) != len(types):
        raise ProtocolViolation(f"bind message supplies {len(values)} parameters, but the prepared statement "
                                f"requires {len(types)}")
    if not types:
        return plan

    def visit(value: Any) -> Any:
        if type(value) is Parameter:
            given = values[value.index - 1]
            return Literal(value.type, tuple(given) if isinstance(given, list) else given)
        return None

    return rebuild(plan, visit)
