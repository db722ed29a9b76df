"""x op ANY (array), x op ALL (array): for every operator that compares, `eq_any`, `eq_all` and the like.

Spec: PostgreSQL 15 documentation, 9.24.3 to 9.24.5 "ANY/SOME (array)", "ALL (array)".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import BOOL, SqlType
from shoal.exec.functions import registry
from shoal.exec.functions.arrays import item_column, lists_of
from shoal.exec.kernels import arrays, nulls, views
from shoal.exec.kernels.comparing import OPERATORS, compare
from shoal.exec.plan.expr import Call, ColumnRef

Args = list[Any]


def quantified_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Each element against its row's value, three-valued."""
    operator, _, quantifier = call.name.rpartition("_")
    subject_type, array_type = (arg.type for arg in call.args)
    subject, lists = item_column(args[0], subject_type, rows), lists_of(args[1], array_type, rows)
    counts, flat = arrays.flattened(lists)
    element_type = array_type.element if array_type.is_array else SqlType("int8")
    owner = np.repeat(np.arange(rows), counts)
    left = subject.take(pa.array(owner))
    known = nulls.merged_validity([left, flat])
    hits = np.zeros(len(flat), np.bool_)
    if known is not None:
        shown = np.flatnonzero(known)
        picked = pa.array(shown)
        if len(shown):
            hits[shown] = _hits(operator, left.take(picked), flat.take(picked), subject_type, element_type, context)
    elif len(flat):
        hits = _hits(operator, left, flat, subject_type, element_type, context)
    wanted = hits if quantifier == "any" else ~hits
    if known is not None:
        wanted = wanted & known
    decided = np.zeros(rows, np.bool_)
    decided[owner[wanted]] = True
    unknown = np.zeros(rows, np.bool_)
    if known is not None:
        unknown[owner[~known]] = True
    for array in (lists, subject):
        valid = nulls.validity(array)
        if valid is not None:
            unknown |= ~valid if array is lists else ~valid & (counts > 0)
    valid = decided | ~unknown
    return views.array_of(decided if quantifier == "any" else ~decided, pa.bool_(), valid)


def _hits(operator: str, left: pa.Array, right: pa.Array, left_type: SqlType, right_type: SqlType,
          context: Any) -> np.ndarray:
    """left op right, none of them NULL."""
    if operator in OPERATORS:
        return compare(operator, left, right, left_type, right_type, context.time_zone)
    function = registry.exact(operator, (left_type, right_type))
    assert function is not None and function.kernel is not None
    found = function.kernel(Call(BOOL, operator, (ColumnRef(left_type, 0), ColumnRef(right_type, 1))), [left, right],
                            len(right), context)
    return views.values(found) if isinstance(found, pa.Array) else found


def _declare_all() -> None:
    """Both forms of every operator of two operands that gives a boolean; this module is loaded after all operators."""
    raising: dict[str, bool] = {}
    for function in registry.loaded():
        if function.symbol and function.returns == BOOL and len(function.arguments) == 2:
            raising[function.name] = raising.get(function.name, False) or function.raises
    for name, raises in raising.items():
        for quantifier in ("any", "all"):
            registry.declare(f"{name}_{quantifier}", "any anyarray", returns=BOOL, strict=False, hidden=True, raises=raises,
                             kernel=quantified_kernel, shapes=True, family="array",
                             doc=f"x {name} {quantifier.upper()} (array)")


_declare_all()
