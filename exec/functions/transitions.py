"""Transition functions of aggregates that SQL may call by name: one step of a float's moments, of AND and of OR.

Spec: PostgreSQL's pg_proc: float8_accum and its kin, booland_statefunc, boolor_statefunc.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import arrays, nulls, shapes, views, youngs_cramer
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

Args = list[Any]


def _states(name: str, arg: Any, width: int, rows: int, valid: np.ndarray | None) -> np.ndarray:
    """The states as rows of a matrix; zeros under NULL. Raises: InvalidParameterValue (22023) for another length."""
    counts, flat = arrays.flattened(shapes.items_of(column(arg, rows)))
    known = np.ones(rows, np.bool_) if valid is None else valid
    if (counts[known] != width).any() or flat.null_count:
        raise InvalidParameterValue(f"{name}: expected {width}-element float8 array")
    found = np.zeros((rows, width))
    ends = np.cumsum(counts)
    data = views.values(flat)
    for place in range(width):
        found[known, place] = data[(ends - counts)[known] + place]
    return found


def _lists(states: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    rows, width = states.shape
    return arrays.list_array(np.arange(rows + 1) * width, views.array_of(states.reshape(-1), pa.float64()), valid)


def accumulate_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """float8_accum(state, x), float8_regr_accum(state, y, x)."""
    width = 3 if len(args) == 2 else 6
    valid = nulls.merged_validity([column(arg, rows) for arg in args])
    before = _states(call.name, args[0], width, rows, valid)
    number = before[:, 0] + 1
    values = [np.asarray(views.values(column(arg, rows)), np.float64) for arg in args[:0:-1]]
    sums = [before[:, 1 + 2 * place] + each for place, each in enumerate(values)]
    with np.errstate(invalid="ignore", over="ignore"):
        if width == 3:
            moments = [before[:, 2] + youngs_cramer.squares(number, values[0], sums[0])]
            found = [number, sums[0], *moments]
        else:
            added = youngs_cramer.products(number, values[0], sums[0], values[1], sums[1])
            found = [number, sums[0], before[:, 2] + added[0], sums[1], before[:, 4] + added[1], before[:, 5] + added[2]]
    return _lists(np.column_stack(found), valid)


def combine_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """float8_combine, float8_regr_combine: the state of two sets of rows together."""
    width = 6 if "regr" in call.name else 3
    valid = nulls.merged_validity([column(arg, rows) for arg in args])
    left, right = (_states(call.name, arg, width, rows, valid) for arg in args)
    return _lists(youngs_cramer.merged(left, right), valid)


def boolean_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    left, right = (views.values(column(arg, rows)) for arg in args)
    return left & right if call.name == "booland_statefunc" else left | right


declare("float8_accum", "_float8 float8 -> _float8", kernel=accumulate_kernel, family="aggregate",
        doc="One more value in the state (N, sum, sum of squared deviations).", example="float8_accum('{4,140,2900}', 100)")
declare("float8_regr_accum", "_float8 float8 float8 -> _float8", kernel=accumulate_kernel, family="aggregate",
        doc="One more pair (y, x) in the state (N, Sx, Sxx, Sy, Syy, Sxy).")
for _name in ("float8_combine", "float8_regr_combine"):
    declare(_name, "_float8 _float8 -> _float8", kernel=combine_kernel, family="aggregate",
            doc="The state of two sets of rows together.")
for _name, _word in (("booland_statefunc", "AND"), ("boolor_statefunc", "OR")):
    declare(_name, "bool bool -> bool", kernel=boolean_kernel, raises=False, family="aggregate",
            doc=f"One step of an aggregate {_word}; NULL where one is.")
