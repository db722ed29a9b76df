"""Array functions and operators. `array(...)` is the constructor, `subscript` and `slice` are a[i] and a[i:j],
`eq_any`/`eq_all` and the like compare a value with every element.

Spec: PostgreSQL 15 documentation, 9.19 "Array Functions and Operators" and 9.24.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.types import BOOL, INT4, SqlType, array_of
from shoal.exec.functions.registry import declare


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def _second(types: Sequence[SqlType]) -> SqlType:
    return types[1]


def _element(types: Sequence[SqlType]) -> SqlType:
    return types[0].element


def _of_first(types: Sequence[SqlType]) -> SqlType:
    return array_of(types[0])


declare("array", "anycompatible", returns=_of_first, variadic=True, strict=False, hidden=True, raises=False, family="array",
        doc="ARRAY[a, b, ...]")
declare("subscript", "anyarray int4", returns=_element, hidden=True, raises=False, family="array")
declare("slice", "anyarray int4 int4", returns=_first, strict=False, hidden=True, raises=False, family="array",
        doc="a[i:j]; a NULL bound is an open one.")
for _operator in ("eq", "ne", "lt", "le", "gt", "ge", "like", "not_like", "ilike", "regex_match"):
    for _quantifier in ("any", "all"):
        declare(f"{_operator}_{_quantifier}", "any anyarray", returns=BOOL, strict=False, hidden=True, raises=False, family="array",
                doc=f"x {_operator} {_quantifier.upper()} (array)")
declare("concat_op", "anycompatiblearray anycompatiblearray", "anycompatiblearray anycompatible", returns=_first, symbol="||",
        strict=False, hidden=True, raises=False, family="array")
declare("concat_op", "anycompatible anycompatiblearray", returns=_second, symbol="||", strict=False, hidden=True, raises=False,
        family="array")
declare("array_contains", "anyarray anyarray", returns=BOOL, symbol="@>", hidden=True, raises=False, family="array")
declare("array_contained", "anyarray anyarray", returns=BOOL, symbol="<@", hidden=True, raises=False, family="array")
declare("array_overlaps", "anyarray anyarray", returns=BOOL, symbol="&&", hidden=True, raises=False, family="array")
declare("array_append", "anycompatiblearray anycompatible", returns=_first, strict=False, raises=False, family="array")
declare("array_prepend", "anycompatible anycompatiblearray", returns=_second, strict=False, raises=False, family="array")
declare("array_cat", "anycompatiblearray anycompatiblearray", returns=_first, strict=False, raises=False, family="array")
declare("array_length", "anyarray int4", returns=INT4, raises=False, family="array", example="array_length(ARRAY[1,2,3], 1)")
declare("array_lower", "anyarray int4", returns=INT4, raises=False, family="array")
declare("array_upper", "anyarray int4", returns=INT4, raises=False, family="array")
declare("array_ndims", "anyarray", returns=INT4, raises=False, family="array")
declare("array_dims", "anyarray -> text", raises=False, family="array")
declare("cardinality", "anyarray", returns=INT4, raises=False, family="array")
declare("array_position", "anycompatiblearray anycompatible", "anycompatiblearray anycompatible int4", returns=INT4, strict=False,
        raises=False, family="array")
declare("array_positions", "anycompatiblearray anycompatible", returns=array_of(INT4), strict=False, raises=False, family="array")
declare("array_remove", "anycompatiblearray anycompatible", returns=_first, strict=False, raises=False, family="array")
declare("array_replace", "anycompatiblearray anycompatible anycompatible", returns=_first, strict=False, raises=False, family="array")
declare("array_to_string", "anyarray text -> text", "anyarray text text -> text", volatility="stable", strict=False, raises=False,
        family="array")
declare("string_to_array", "text text -> _text", "text text text -> _text", strict=False, raises=False, family="array",
        example="string_to_array('xx~~yy~~zz', '~~')")
declare("array_fill", "anyelement _int4", returns=_of_first, strict=False, family="array")
declare("trim_array", "anyarray int4", returns=_first, family="array")
