"""Functions on sequences. They run where the sequences are, in the coordinator. PostgreSQL 15 documentation, 9.17."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported
from shoal.exec.functions.registry import declare
from shoal.exec.plan.expr import Call


def _names(call: Call, context: Any) -> Any:
    if context.names is None:
        raise FeatureNotSupported(f"{call.name} over rows that are read by workers is not supported")
    return context.names


def nextval_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """As many values at once as there are rows of the same sequence."""
    names = _names(call, context)
    given = args[0].as_py() if isinstance(args[0], pa.Scalar) else None
    if given is not None:
        return pa.array(np.array(names.answer("nextval", (given, rows)), np.int64))
    which = [None] * rows if isinstance(args[0], pa.Scalar) else args[0].to_pylist()
    return pa.array([None if one is None else names.answer("nextval", (one, 1))[0] for one in which], pa.int64())


def sequence_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """currval, lastval and setval, row by row: each is a change or a look of its own."""
    names = _names(call, context)
    columns = [[arg.as_py()] * rows if isinstance(arg, pa.Scalar) else arg.to_pylist() for arg in args]
    found = [None if None in values else names.answer(call.name, values or (0,))
             for values in (zip(*columns, strict=True) if columns else [()] * rows)]
    return pa.array(found, pa.int64())


_ATTRIBUTES: dict[str, Any] = {"volatility": "volatile", "family": "sequence"}
declare("nextval", "regclass -> int8", "text -> int8", kernel=nextval_kernel, doc="takes the sequence's next value",
        **_ATTRIBUTES)
declare("currval", "regclass -> int8", "text -> int8", kernel=sequence_kernel,
        doc="the value that this session took last from the sequence", **_ATTRIBUTES)
declare("lastval", "-> int8", kernel=sequence_kernel, doc="the value that this session took last from any sequence",
        **_ATTRIBUTES)
declare("setval", "regclass int8 -> int8", "text int8 -> int8", "regclass int8 bool -> int8", "text int8 bool -> int8",
        kernel=sequence_kernel, doc="sets where the sequence goes on", **_ATTRIBUTES)
