"""What the kernels of the JSON functions share: rows computed one by one, equal ones once (hop 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError
from shoal.catalog.shaped import is_shaped
from shoal.exec.kernels import nulls
from shoal.exec.kernels.parameters import column
from shoal.exec.kernels.shapes import dims_of, items_of

Args = list[Any]
_ENOUGH = 4096
"""Distinct rows after which a table of what was computed is not worth its memory."""


def rows_of(args: Args, rows: int) -> list[list[Any]]:
    """Each argument's values, constants repeated."""
    return [[arg.as_py()] * rows if isinstance(arg, pa.Scalar) else nulls.decoded(arg).to_pylist() for arg in args]


def flat(args: Args, rows: int) -> Args:
    """Arguments that are arrays of any shape as lists of their elements."""
    return [items_of(column(arg, rows)) if is_shaped(arg) else arg for arg in args]


def one_dimensional(args: Args, rows: int) -> Args:
    """Likewise. Raises: ArraySubscriptError (2202E) for arrays of several dimensions in rows without NULL."""
    found = flat(args, rows)
    valid = nulls.merged_validity(found)
    for arg in args:
        if is_shaped(arg):
            for row, dims in enumerate(dims_of(column(arg, rows))):
                if dims is not None and len(dims) > 2 and (valid is None or valid[row]):
                    raise ArraySubscriptError("wrong number of array subscripts")
    return found


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Equal arguments are computed once (lists as tuples)."""
    known: dict[Any, Any] = {}

    def run(*values: Any) -> Any:
        key = tuple([tuple(v) if isinstance(v, list) else v for v in values])
        try:
            return known[key]
        except KeyError:
            if len(known) > _ENOUGH:
                known.clear()
            found = known[key] = function(*values)
            return found
    return run


def by_row(args: Args, rows: int, arrow: pa.DataType, function: Callable[..., Any]) -> pa.Array:
    """function(values) of each row; NULL where an argument is."""
    once = remembered(function)
    return pa.array([None if any(v is None for v in values) else once(*values)
                     for values in zip(*rows_of(args, rows), strict=True)], arrow)
