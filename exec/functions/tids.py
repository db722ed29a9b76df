"""row_place(number): the ctid of the row of this number (see kernels/tids.py).

Spec: PostgreSQL 15 documentation, 5.5 "System Columns".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls, tids, views
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call


def place_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    numbers = column(args[0], rows)
    valid: np.ndarray | None = nulls.validity(numbers)
    return views.array_of(tids.of_rows(views.values(numbers)), pa.int64(), valid)


declare("row_place", "int8 -> tid", hidden=True, raises=False, kernel=place_kernel, family="system")
