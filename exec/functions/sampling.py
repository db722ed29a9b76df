"""row_sample(seed, columns ...): what TABLESAMPLE ... REPEATABLE compares with its percentage.

A row is chosen by the values of its columns, so that the same seed gives the same rows of an unchanged table whatever
the tasks that read it; equal rows are chosen together.

Spec: PostgreSQL 15 documentation, SELECT, "TABLESAMPLE".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.functions.registry import declare
from shoal.exec.kernels.hashing import hash_columns, mix
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call


def sample_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """A number from 0 up to 100 for each row."""
    seeds = np.asarray(column(args[0], rows).cast(pa.float64()))
    hashes = hash_columns([column(arg, rows) for arg in args[1:]], [arg.type for arg in call.args[1:]])
    mixed = mix(hashes.view(np.uint64) ^ mix(seeds.view(np.uint64)))
    return pa.array((mixed >> np.uint64(11)) * (100.0 / (1 << 53)))


declare("row_sample", "float8 any -> float8", variadic=True, strict=False, hidden=True, raises=False, kernel=sample_kernel,
        shapes=True, family="system")
