"""Kernels whose minor arguments are usually constants: written for constants, run once per distinct combination.

substring(s, 1, 2) needs one Arrow call when 1 and 2 are constants. Where they are columns, rows are grouped by the
parameters' values, each group runs the constant form, and the results are put together again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.assembling import assemble
from shoal.exec.kernels.constants import physical, physical_of
from shoal.exec.plan.expr import Call

Kernel = Callable[[Call, list[Any], int, Any], Any]


def parameters(*positions: int) -> Callable[[Kernel], Kernel]:
    """The wrapped kernel is given physical Python values (exec/plan/expr.py) at these argument positions, never None."""

    def decorate(kernel: Kernel) -> Kernel:
        @wraps(kernel)
        def run(call: Call, args: list[Any], rows: int, context: Any) -> Any:
            given = [i for i in positions if i < len(args)]
            columns = [i for i in given if isinstance(args[i], pa.Array)]
            fixed = {i: physical_of(args[i], call.args[i].type) for i in given if i not in columns}
            if not columns:
                return kernel(call, [fixed.get(i, arg) for i, arg in enumerate(args)], rows, context)
            return _by_group(kernel, call, args, rows, context, columns, fixed)
        return run
    return decorate


def _by_group(kernel: Kernel, call: Call, args: list[Any], rows: int, context: Any, columns: list[int],
              fixed: dict[int, Any]) -> Any:
    valid = nulls.merged_validity(args[i] for i in columns)
    codes = np.zeros(rows, np.int64)
    encodings = []
    for i in columns:
        encoded = args[i].dictionary_encode() if not pa.types.is_dictionary(args[i].type) else args[i]
        encodings.append(encoded)
        local = views.values(encoded).astype(np.int64)
        codes = codes * max(len(encoded.dictionary), 1) + np.where(valid, local, 0) if valid is not None else \
            codes * max(len(encoded.dictionary), 1) + local
    distinct, inverse = np.unique(codes if valid is None else np.where(valid, codes, -1), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(distinct) + 1))
    parts: list[tuple[np.ndarray | None, Any]] = []
    for group, code in enumerate(distinct.tolist()):
        if code < 0:
            continue
        indices = order[starts[group]:starts[group + 1]]
        values = dict(fixed)
        for i, encoded in zip(reversed(columns), reversed(encodings), strict=True):
            code, place = divmod(code, max(len(encoded.dictionary), 1))
            values[i] = physical(encoded.dictionary, place, call.args[i].type)
        chosen = pa.array(indices)
        subset = [values[i] if i in values else arg.take(chosen) if isinstance(arg, pa.Array) else arg for i,
                  arg in enumerate(args)]
        part = kernel(call, subset, len(indices), context)
        if isinstance(part, np.ndarray):
            part = views.array_of(part, pa.bool_())
        parts.append((indices, part))
    return assemble(parts, rows, call.type)


def column(arg: Any, rows: int) -> pa.Array:
    """A main argument as a plain array, also where it is the constant and the parameters vary."""
    return nulls.decoded(nulls.spread(arg, rows)) if isinstance(arg, pa.Scalar) else nulls.decoded(arg)
