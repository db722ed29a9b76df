"""What decorrelated subqueries check when run (exec/optimizer/unnesting.py calls this, SQL cannot).

Spec: PostgreSQL 15 documentation, 4.2.11 "Scalar Subqueries".
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import CardinalityViolation
from shoal.exec.functions.registry import declare
from shoal.exec.plan.expr import Call


def enforce_single_row_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    """TRUE for counts up to 1. Raises: CardinalityViolation (21000) for a larger one."""
    counts = args[0]
    largest = counts.as_py() if isinstance(counts, pa.Scalar) else pc.max(counts).as_py()
    if largest is not None and largest > 1:
        raise CardinalityViolation("more than one row returned by a subquery used as an expression")
    return pa.scalar(True)


declare("enforce_single_row", "int8 -> bool", kernel=enforce_single_row_kernel, hidden=True, family="subquery")
