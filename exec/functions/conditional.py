"""COALESCE, NULLIF, GREATEST, LEAST and NULL counting.

Spec: PostgreSQL 15 documentation, 9.18 "Conditional Expressions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import INT4, SqlType
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, alike, everywhere, spelled
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.arrays import flattened
from shoal.exec.kernels.assembling import assemble
from shoal.exec.kernels.comparing import compare
from shoal.exec.kernels.shapes import items_of
from shoal.exec.plan.expr import Call


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def nullif_kernel(call: Call, args: list[Any], rows: int, context: Any) -> Any:
    left, right = args
    if (isinstance(right, pa.Scalar) and not right.is_valid) or (isinstance(left, pa.Scalar) and not left.is_valid):
        return left
    equal = compare("eq", left, right, call.args[0].type, call.args[1].type, context.time_zone)
    valid = nulls.merged_validity(args)
    if valid is not None:
        equal = equal & valid
    return nulls.with_validity(nulls.spread(left, rows) if isinstance(left, pa.Scalar) else left, ~equal)


def extreme_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """GREATEST and LEAST: NULLs left out."""
    operator = "gt" if call.name == "greatest" else "lt"
    best: Any = None
    for arg in args:
        array = nulls.decoded(nulls.spread(arg, rows)) if isinstance(arg, pa.Scalar) else nulls.decoded(arg)
        if best is None:
            best = array
            continue
        valid, known = (np.ones(rows, np.bool_) if v is None else v for v in (nulls.validity(array), nulls.validity(best)))
        better = valid & (~known | compare(operator, array, best, call.type, call.type, context.time_zone))
        if better.any():
            chosen, kept = np.flatnonzero(better), np.flatnonzero(~better)
            best = assemble([(chosen, array.take(pa.array(chosen))), (kept, best.take(pa.array(kept)))], rows, call.type)
    return best


def count_nulls_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    missing = np.zeros(rows, np.int32)
    for arg in args:
        if isinstance(arg, pa.Scalar):
            missing += not arg.is_valid
        else:
            valid = nulls.validity(arg)
            if valid is not None:
                missing += ~valid
    return views.array_of(missing if call.name == "num_nulls" else len(args) - missing, pa.int32())


def count_nulls_variadic_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """num_nulls(VARIADIC array), num_nonnulls(VARIADIC array): NULL of a NULL array."""
    array = items_of(args[0])
    counts, items = flattened(array)
    valid = nulls.validity(items)
    missing = np.zeros(len(items), np.bool_) if valid is None else ~valid
    before = np.concatenate(([0], np.cumsum(missing if call.name.startswith("num_nulls") else ~missing)))
    ends = np.cumsum(counts)
    return views.array_of((before[ends] - before[ends - counts]).astype(np.int32), pa.int32(), views.validity(array))


declare("coalesce", "anycompatible", returns=_first, variadic=True, strict=False, raises=False,
        shapes=True, family="conditional", spelled=everywhere("coalesce({0*, })", when=alike),
        doc="The first argument that is not NULL; later ones are only evaluated where needed.",
        example="coalesce(NULL, 2) = 2")
declare("nullif", "any any", returns=_first, strict=False, raises=False, kernel=nullif_kernel,
        shapes=True, family="conditional", spelled=everywhere("nullif({0}, {1})", when=alike),
        doc="NULL where the arguments are equal, else the first.", example="nullif(1, 1) IS NULL")
for _name in ("greatest", "least"):
    declare(_name, "anycompatible", returns=_first, variadic=True, strict=False, raises=False, kernel=extreme_kernel,
            shapes=True, family="conditional",
            spelled=spelled(Spelling(f"{_name}({{0*, }})", when=alike)),
            doc=f"The {'largest' if _name == 'greatest' else 'smallest'} argument, NULLs left out.",
            example=f"{_name}(1, 2)")
for _name in ("num_nulls", "num_nonnulls"):
    declare(_name, "any", returns=INT4, variadic=True, strict=False, raises=False,
            kernel=count_nulls_kernel, shapes=True, family="conditional",
            doc=f"How many arguments are {'' if _name == 'num_nulls' else 'not '}NULL.", example=f"{_name}(1, NULL)")
    declare(f"{_name}_variadic", "anyarray", returns=INT4, hidden=True, raises=False, shapes=True,
            kernel=count_nulls_variadic_kernel, family="conditional")
