"""Array functions and operators. `array(...)` is the constructor, `subscript` and `slice` are a[i] and a[i:j],
`eq_any`/`eq_all` and the like compare a value with every element.

Spec: PostgreSQL 15 documentation, 9.19 "Array Functions and Operators" and 9.24.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError, FeatureNotSupported, NullNotAllowed
from shoal.catalog.types import BOOL, INT4, SqlType, array_of, storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import arrays, matching, multidimensional, nulls, regex, shapes, views
from shoal.exec.kernels.comparing import compare
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

Args = list[Any]
_VECTORS = ("int2vector", "oidvector")


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def _second(types: Sequence[SqlType]) -> SqlType:
    return types[1]


def _element(types: Sequence[SqlType]) -> SqlType:
    return types[0].element


def _of_first(types: Sequence[SqlType]) -> SqlType:
    return array_of(types[0])


def _array_type(types: Sequence[SqlType]) -> SqlType:
    """ARRAY[...] of arrays has one dimension more, and the same type."""
    return types[0] if types[0].is_array else array_of(types[0])


def _lists(arg: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """An array argument as a list column of its storage type: the elements of arrays of any shape."""
    return shapes.items_of(_column(arg, sql_type, rows))


def _column(arg: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """An array argument as a column of its storage type, in either form."""
    want = storage_type(sql_type)
    array = pa.nulls(rows, want) if isinstance(arg, pa.Scalar) and not arg.is_valid else column(arg, rows)
    return array if array.type == want or shapes.is_shaped(array) else array.cast(want)


def array_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    if call.args and call.args[0].type.is_array:
        return multidimensional.stacked([_column(arg, call.type, rows) for arg in args], rows)
    return arrays.constructed([column(arg, rows) for arg in args], [arg.type for arg in call.args], call.type, rows)


def subscript_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    sql_type = call.args[0].type
    array = _column(args[0], sql_type, rows)
    indices = [np.asarray(views.values(column(arg, rows))) for arg in args[1:]]
    if len(indices) > 1 or shapes.is_shaped(array):
        found = multidimensional.element(array, indices)
    else:
        found = arrays.element(array, indices[0], 0 if sql_type.name in _VECTORS else 1)
    want = storage_type(call.type)
    return found if found.type == want or pa.types.is_decimal(found.type) else found.cast(want)


def slice_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """a[i:j][k:l]...; a bound is open as the least or the greatest int4."""
    sql_type = call.args[0].type
    array = _column(args[0], sql_type, rows)
    bounds = [views.values(column(arg, rows)) for arg in args[1:]]
    if len(bounds) > 2 or shapes.is_shaped(array):
        return multidimensional.sliced(array, bounds[::2], bounds[1::2])
    found = arrays.sliced(array, bounds[0], bounds[1], 0 if sql_type.name in _VECTORS else 1)
    return found.cast(storage_type(call.type)) if sql_type.name in _VECTORS else found


def quantified_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """x op ANY/ALL (array): each element against its row's value, three-valued."""
    operator, _, quantifier = call.name.rpartition("_")
    subject, lists = column(args[0], rows), _lists(args[1], call.args[1].type, rows)
    counts, flat = arrays.flattened(lists)
    element_type = SqlType({"int2vector": "int8", "oidvector": "int8"}.get(call.args[1].type.name, "")) \
        if call.args[1].type.name in _VECTORS else call.args[1].type.element
    owner = np.repeat(np.arange(rows), counts)
    left = subject.take(pa.array(owner))
    if len(flat) == 0:
        hits = np.zeros(0, np.bool_)
    elif operator in ("like", "not_like", "ilike", "regex_match"):
        hits = _matches(operator, left, flat)
    else:
        left_type = call.args[0].type
        hits = compare(operator, left, flat, left_type, element_type, context.time_zone)
    known = nulls.merged_validity([left, flat])
    wanted = hits if quantifier == "any" else ~hits
    if known is not None:
        wanted = wanted & known
    decided = np.zeros(rows, np.bool_)
    decided[owner[wanted]] = True
    unknown = np.zeros(rows, np.bool_)
    if known is not None:
        unknown[owner[~known]] = True
    for array in (lists, subject):
        valid = views.validity(array)
        if valid is not None:
            unknown |= ~valid if array is lists else ~valid & (counts > 0)
    valid = decided | ~unknown
    return views.array_of(decided if quantifier == "any" else ~decided, pa.bool_(), valid)


def _matches(operator: str, left: pa.Array, patterns: pa.Array) -> np.ndarray:
    hits = np.zeros(len(left), np.bool_)
    encoded = patterns.dictionary_encode()
    codes = views.values(encoded)
    if patterns.null_count:
        codes = np.where(np.asarray(encoded.indices.is_valid()), codes, -1)
    for code, pattern in enumerate(encoded.dictionary.to_pylist()):
        chosen = np.flatnonzero(codes == code)
        subset = left.take(pa.array(chosen))
        hits[chosen] = (regex.matches(subset, regex.compiled(pattern)) if operator == "regex_match"
                        else matching.like(subset, pattern, ignore_case=operator == "ilike"))
    return ~hits if operator == "not_like" else hits


def concat_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """array || array, array || element, element || array, array_cat, array_append, array_prepend."""
    sides = []
    for arg, expr in zip(args, call.args, strict=True):
        if expr.type.is_array or expr.type.name in _VECTORS:
            sides.append(_column(arg, call.type, rows))
        else:
            missing = isinstance(arg, pa.Scalar) and not arg.is_valid
            item = pa.nulls(rows, storage_type(expr.type)) if missing else column(arg, rows)
            sides.append(arrays.constructed([item], [expr.type], call.type, rows))
    if not any(map(shapes.is_shaped, sides)):
        return arrays.concatenated(sides[0], sides[1])
    item = next((i for i, expr in enumerate(call.args) if not expr.type.is_array and expr.type.name not in _VECTORS), None)
    return multidimensional.concatenated(sides[0], sides[1], item)


def contains_kernel(call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    left, right = (_lists(arg, expr.type, rows).to_pylist() for arg, expr in zip(args, call.args, strict=True))
    if call.name == "array_contained":
        left, right = right, left

    def one(a: list[Any] | None, b: list[Any] | None) -> bool:
        if a is None or b is None:
            return False
        have = {item for item in a if item is not None}
        if call.name == "array_overlaps":
            return any(item in have for item in b if item is not None)
        return all(item is not None and item in have for item in b)
    return np.fromiter((one(a, b) for a, b in zip(left, right, strict=True)), np.bool_, count=rows)


def length_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array = _column(args[0], call.args[0].type, rows)
    if shapes.is_shaped(array) and call.name != "cardinality":
        dimensions = np.zeros(rows, np.int32) if call.name == "array_ndims" else views.values(column(args[1], rows))
        return multidimensional.measured(call.name, array, dimensions)
    lists = shapes.items_of(array)
    _, lengths = arrays.offsets_of(lists)
    empty = lengths == 0
    if call.name == "cardinality":
        return views.array_of(lengths, pa.int32())
    if call.name == "array_ndims":
        return views.array_of(np.ones(rows), pa.int32(), ~empty)
    dimension = views.values(column(args[1], rows))
    first = 0 if call.args[0].type.name in _VECTORS else 1
    data = {"array_lower": np.full(rows, first), "array_length": lengths}.get(call.name, lengths + first - 1)
    return views.array_of(data, pa.int32(), ~empty & (dimension == 1))


def dims_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    sql_type = call.args[0].type
    array = _column(args[0], sql_type, rows)
    if sql_type.name in _VECTORS:
        return pa.array([None if not size else f"[0:{size - 1}]" for size in np.diff(array.offsets)], pa.string())
    return pa.array([shapes.bounds_text(dims) if dims else None for dims in shapes.dims_of(array)], pa.string())


def _item(arg: Any, rows: int) -> list[Any]:
    if isinstance(arg, pa.Scalar):
        return [arg.as_py()] * rows
    return nulls.decoded(arg).to_pylist()


def search_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """array_position, array_positions, array_remove, array_replace."""
    sql_type = call.args[0].type
    array = _column(args[0], sql_type, rows)
    lists = shapes.items_of(array)
    items = []
    for arg, expr in zip(args[1:3], call.args[1:3], strict=True):
        if expr.type.name == sql_type.element.name:
            known = not isinstance(arg, pa.Scalar) or arg.is_valid
            items.append(_item(arrays.as_element(column(arg, rows), expr.type, sql_type.element) if known else arg, rows))
    name = call.name
    lows = [1] * rows
    if shapes.is_shaped(array):
        dims = shapes.dims_of(array)
        lows = [one[1] if one else 1 for one in dims]
        if name != "array_replace" and any(one is not None and len(one) > 2 for one in dims):
            what = "removing elements from" if name == "array_remove" else "searching for elements in"
            raise FeatureNotSupported(f"{what} multidimensional arrays is not supported")

    def one(values: list[Any] | None, wanted: Any, extra: Any, low: int) -> Any:
        if values is None:
            return None
        if name == "array_position":
            start = max((low if extra is None else extra) - low, 0)
            return next((i + low for i in range(start, len(values)) if values[i] == wanted), None)
        if name == "array_positions":
            return [i + low for i, value in enumerate(values) if value == wanted]
        if name == "array_remove":
            return [value for value in values if value != wanted]
        return [extra if value == wanted else value for value in values]
    extras: Any = items[1] if name == "array_replace" else _item(args[2], rows) if len(args) > 2 else [None] * rows
    if name == "array_position" and len(args) > 2 and any(e is None for e in extras):
        raise NullNotAllowed("initial position must not be null")
    found = pa.array([one(*row) for row in zip(lists.to_pylist(), items[0], extras, lows, strict=True)],
                     storage_type(call.type))
    if shapes.is_shaped(array) and name in ("array_remove", "array_replace"):
        return multidimensional.reshaped(found, array)
    return found


def to_string_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    sql_type = call.args[0].type
    lists = _lists(args[0], sql_type, rows)
    counts, flat = arrays.flattened(lists)
    texts = nulls.decoded(to_text(flat, sql_type.element, context.settings, context.names)).to_pylist()
    separators, fillers = _item(args[1], rows), _item(args[2], rows) if len(args) > 2 else [None] * rows
    valid = views.validity(lists)
    out: list[str | None] = []
    at = 0
    for row, count in enumerate(counts.tolist()):
        items, at = texts[at:at + count], at + count
        if (valid is not None and not valid[row]) or separators[row] is None:
            out.append(None)
            continue
        filler = fillers[row]
        out.append(separators[row].join(filler if item is None else item for item in items if item is not None
                                        or filler is not None))
    return pa.array(out, pa.string())


def split_text(text: str | None, delimiter: str | None, null_text: str | None) -> list[str | None] | None:
    """string_to_array of one value: a NULL delimiter splits into characters, '' into one piece."""
    if text is None:
        return None
    if delimiter:
        pieces: list[Any] = text.split(delimiter) if text else []
    else:
        pieces = list(text) if delimiter is None else [text] if text else []
    return [None if null_text is not None and piece == null_text else piece for piece in pieces]


def from_string_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    columns = [_item(arg, rows) for arg in args] + [[None] * rows] * (3 - len(args))
    return pa.array([split_text(*row) for row in zip(*columns, strict=True)], pa.list_(pa.string()))


def fill_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """array_fill(value, sizes[, lower bounds])."""
    lists = [_column(arg, expr.type, rows) for arg, expr in zip(args[1:], call.args[1:], strict=True)]
    dims = multidimensional.filled_dims(*lists)
    values = pa.nulls(rows, storage_type(call.type).value_type) if isinstance(args[0],
                                                                              pa.Scalar) and not args[0].is_valid else \
        arrays.as_element(column(args[0], rows), call.args[0].type, call.type.element)
    counts = np.array([math.prod(shapes.sizes(one)) if one else 0 for one in dims], np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    filled = arrays.list_array(offsets, values.take(pa.array(np.repeat(np.arange(rows), counts))), None)
    return shapes.made(filled, dims)


def trim_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    lists = _column(args[0], call.args[0].type, rows)
    count = views.values(column(args[1], rows)).astype(np.int64)
    shaped = shapes.is_shaped(lists)
    lengths = np.array([one[0] if one else 0 for one in shapes.dims_of(lists)], np.int64) if shaped else \
        arrays.offsets_of(lists)[1]
    valid = nulls.merged_validity([lists, column(args[1], rows)])
    bad = (count < 0) | (count > lengths)
    if (bad if valid is None else bad & valid).any():
        raise ArraySubscriptError(f"number of elements to trim must be between 0 and {int(lengths[np.flatnonzero(bad)[0]])}")
    if shaped:
        lows = np.array([one[1] if one else 1 for one in shapes.dims_of(lists)], np.int64)
        return multidimensional.sliced(lists, [lows], [lows + lengths - count - 1])
    return arrays.sliced(lists, np.ones(len(lists), np.int64), lengths - count)


declare("array", "anycompatible", returns=_array_type, variadic=True, strict=False, hidden=True, raises=False,
        kernel=array_kernel,
        shapes=True, family="array", doc="ARRAY[a, b, ...]")
declare("subscript", "anyarray int4", returns=_element, variadic=True, hidden=True, raises=False, kernel=subscript_kernel,
        shapes=True, family="array",
        doc="a[i] and a[i][j], NULL outside.")
declare("slice", "anyarray int4 int4", returns=_first, variadic=True, hidden=True, raises=False, kernel=slice_kernel,
        shapes=True, family="array",
        doc="a[i:j] and a[i:j][k:l]; the least and the greatest int4 are open bounds.")
for _operator in ("eq", "ne", "lt", "le", "gt", "ge", "like", "not_like", "ilike", "regex_match"):
    for _quantifier in ("any", "all"):
        declare(f"{_operator}_{_quantifier}", "any anyarray", returns=BOOL, strict=False, hidden=True,
                kernel=quantified_kernel,
                raises=_operator == "regex_match",
                shapes=True, family="array", doc=f"x {_operator} {_quantifier.upper()} (array)")
declare("concat_op", "anycompatiblearray anycompatiblearray", "anycompatiblearray anycompatible", returns=_first,
        symbol="||",
        strict=False, hidden=True, raises=False, kernel=concat_kernel, shapes=True, family="array")
declare("concat_op", "anycompatible anycompatiblearray", returns=_second, symbol="||", strict=False, hidden=True,
        raises=False,
        kernel=concat_kernel, shapes=True, family="array")
declare("array_contains", "anyarray anyarray", returns=BOOL, symbol="@>", hidden=True, raises=False, kernel=contains_kernel,
        shapes=True, family="array")
declare("array_contained", "anyarray anyarray", returns=BOOL, symbol="<@", hidden=True, raises=False, kernel=contains_kernel,
        shapes=True, family="array")
declare("array_overlaps", "anyarray anyarray", returns=BOOL, symbol="&&", hidden=True, raises=False, kernel=contains_kernel,
        shapes=True, family="array")
declare("array_append", "anycompatiblearray anycompatible", returns=_first, strict=False, raises=False, kernel=concat_kernel,
        shapes=True, family="array", example="array_append(ARRAY[1,2], 3)")
declare("array_prepend", "anycompatible anycompatiblearray", returns=_second, strict=False, raises=False,
        kernel=concat_kernel,
        shapes=True, family="array", example="array_prepend(1, ARRAY[2,3])")
declare("array_cat", "anycompatiblearray anycompatiblearray", returns=_first, strict=False, raises=False,
        kernel=concat_kernel,
        shapes=True, family="array", example="array_cat(ARRAY[1,2,3], ARRAY[4,5])")
declare("array_length", "anyarray int4", returns=INT4, raises=False, kernel=length_kernel, shapes=True, family="array",
        example="array_length(ARRAY[1,2,3], 1)")
for _name in ("array_lower", "array_upper"):
    declare(_name, "anyarray int4", returns=INT4, raises=False, kernel=length_kernel, shapes=True, family="array")
declare("array_ndims", "anyarray", returns=INT4, raises=False, kernel=length_kernel, shapes=True, family="array")
declare("cardinality", "anyarray", returns=INT4, raises=False, kernel=length_kernel, shapes=True, family="array",
        example="cardinality(ARRAY[1,2])")
declare("array_dims", "anyarray -> text", raises=False, kernel=dims_kernel, shapes=True, family="array")
declare("array_position", "anycompatiblearray anycompatible", "anycompatiblearray anycompatible int4", returns=INT4,
        strict=False,
        raises=False, kernel=search_kernel,
        shapes=True, family="array", example="array_position(ARRAY['sun','mon','tue'], 'mon')")
declare("array_positions", "anycompatiblearray anycompatible", returns=array_of(INT4), strict=False, raises=False,
        kernel=search_kernel,
        shapes=True, family="array")
declare("array_remove", "anycompatiblearray anycompatible", returns=_first, strict=False, raises=False, kernel=search_kernel,
        shapes=True, family="array", example="array_remove(ARRAY[1,2,3,2], 2)")
declare("array_replace", "anycompatiblearray anycompatible anycompatible", returns=_first, strict=False, raises=False,
        kernel=search_kernel, shapes=True, family="array", example="array_replace(ARRAY[1,2,5,4], 5, 3)")
declare("array_to_string", "anyarray text -> text", "anyarray text text -> text", volatility="stable", strict=False,
        raises=False,
        kernel=to_string_kernel, shapes=True, family="array", example="array_to_string(ARRAY[1, 2, 3, NULL, 5], ',', '*')")
declare("string_to_array", "text text -> _text", "text text text -> _text", strict=False, raises=False,
        kernel=from_string_kernel,
        family="array", example="string_to_array('xx~~yy~~zz', '~~')")
declare("array_fill", "anyelement _int4", "anyelement _int4 _int4", returns=_of_first, strict=False, kernel=fill_kernel,
        shapes=True, family="array",
        example="array_fill(11, ARRAY[2])")
declare("trim_array", "anyarray int4", returns=_first, kernel=trim_kernel, shapes=True, family="array",
        example="trim_array(ARRAY[1,2,3,4,5,6], 2)")
