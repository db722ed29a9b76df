"""Array functions and operators. `array(...)` is the constructor, `subscript` and `slice` are a[i] and a[i:j].

Spec: PostgreSQL 15 documentation, 9.19 "Array Functions and Operators" and 9.24.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError, FeatureNotSupported, NullNotAllowed
from shoal.catalog.types import BOOL, INT4, SqlType, array_of, item_storage, storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import array_assignment, arrays, concat, multidimensional, nulls, shapes, sorting, views, windows
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


def array_type(types: Sequence[SqlType]) -> SqlType:
    """Of ARRAY[...] and array_agg: an array of arrays has one dimension more, and the same type."""
    return types[0] if types[0].is_array else array_of(types[0])


def lists_of(arg: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """An array argument as a list column of its storage type: the elements of arrays of any shape."""
    return shapes.items_of(_column(arg, sql_type, rows))


def _column(arg: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """An array argument as a column of its storage type, in either form."""
    want = storage_type(sql_type)
    array = pa.nulls(rows, want) if isinstance(arg, pa.Scalar) and not arg.is_valid else column(arg, rows)
    return array if array.type == want or shapes.is_shaped(array) else array.cast(want)


def item_column(arg: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """A value that is no array as a column."""
    missing = isinstance(arg, pa.Scalar) and not arg.is_valid
    return pa.nulls(rows, storage_type(sql_type)) if missing else column(arg, rows)


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
    return found if found.type == want or pa.types.is_decimal(found.type) or call.type.varies else found.cast(want)


def slice_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """a[i:j][k:l]...; a bound is open as the least or the greatest int4."""
    sql_type = call.args[0].type
    array = _column(args[0], sql_type, rows)
    bounds = [views.values(column(arg, rows)) for arg in args[1:]]
    if len(bounds) > 2 or shapes.is_shaped(array):
        return multidimensional.sliced(array, bounds[::2], bounds[1::2])
    found = arrays.sliced(array, bounds[0], bounds[1], 0 if sql_type.name in _VECTORS else 1)
    return found.cast(storage_type(call.type)) if sql_type.name in _VECTORS else found


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
    """@>, <@ and &&: elements as numbers that are equal for equal ones, beside their rows' numbers."""
    left, right = (arrays.flattened(lists_of(arg, expr.type, rows)) for arg, expr in zip(args, call.args, strict=True))
    if call.name in ("array_contained", "arraycontained"):
        left, right = right, left
    element = call.args[0].type.element if call.args[0].type.is_array else SqlType("int8")
    both = concat.together([left[1], right[1]])
    codes = sorting.dense_ranks(sorting.ranks(both, element))[0] if len(both) else np.zeros(0, np.int64)
    width, border = len(both) + 1, len(left[1])
    have, wanted = (np.repeat(np.arange(rows), counts) * width + part
                    for (counts, _), part in ((left, codes[:border]), (right, codes[border:])))
    known = nulls.validity(left[1])
    hits = np.isin(wanted, have if known is None else have[known])
    known = nulls.validity(right[1])
    hits = hits if known is None else hits & known
    overlap = call.name in ("array_overlaps", "arrayoverlap")
    found = np.full(rows, not overlap)
    found[wanted[hits if overlap else ~hits] // width] = overlap
    return found


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
    """array_position, array_positions, array_remove, array_replace: NULL elements equal NULL."""
    sql_type, name = call.args[0].type, call.name
    array = _column(args[0], sql_type, rows)
    dims = shapes.dims_of(array) if shapes.is_shaped(array) else None
    if dims is not None and name != "array_replace" and any(one is not None and len(one) > 2 for one in dims):
        what = "removing elements from" if name == "array_remove" else "searching for elements in"
        raise FeatureNotSupported(f"{what} multidimensional arrays is not supported")
    lists = shapes.items_of(array)
    counts, flat = arrays.flattened(lists)
    owner, valid = np.repeat(np.arange(rows), counts), nulls.validity(lists)
    item = _element_column(args[1], call.args[1].type, sql_type.element, rows)
    hits = _same(flat, item.take(pa.array(owner)), sql_type.element, context)
    if name == "array_replace":
        new = _element_column(args[2], call.args[2].type, sql_type.element, rows)
        places = np.where(hits, len(flat) + owner, np.arange(len(flat)))
        taken = concat.concatenated([flat, new], sql_type.element).take(pa.array(places))
        return shapes.with_items(array, arrays.list_array(_offsets(counts), arrays.as_element(
            taken, sql_type.element, sql_type.element), valid))
    if name == "array_remove":
        kept = np.flatnonzero(~hits)
        found = arrays.list_array(_offsets(np.bincount(owner[kept], minlength=rows)), flat.take(pa.array(kept)), valid)
        return multidimensional.reshaped(found, array) if dims is not None else found
    lows = np.ones(rows, np.int64) if dims is None else np.array([one[1] if one else 1 for one in dims], np.int64)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts) + lows[owner]
    if name == "array_positions":
        numbers = views.array_of(place[hits].astype(np.int32), pa.int32())
        return arrays.list_array(_offsets(np.bincount(owner[hits], minlength=rows)), numbers, valid)
    if len(args) > 2:
        start = item_column(args[2], INT4, rows)
        known, sought = views.validity(start), nulls.validity(item)
        asked = np.ones(rows, np.bool_) if valid is None else valid
        if sought is not None:  # NULL is not looked for where there is none
            asked = asked & (sought | (np.bincount(owner[hits], minlength=rows) > 0))
        if known is not None and (~known & asked).any():
            raise NullNotAllowed("initial position must not be null")
        hits &= place >= views.values(start)[owner]
    where, first = np.unique(owner[hits], return_index=True)
    result = np.zeros(rows, np.int32)
    result[where] = place[hits][first]
    there = np.zeros(rows, np.bool_)
    there[where] = True
    return views.array_of(result, pa.int32(), there)


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _element_column(arg: Any, sql_type: SqlType, element: SqlType, rows: int) -> pa.Array:
    """A value to be compared with elements, or to stand among them, in their storage form."""
    if isinstance(arg, pa.Scalar) and not arg.is_valid:
        return pa.nulls(rows, item_storage(element))
    return arrays.as_element(column(arg, rows), sql_type, element)


def _same(left: pa.Array, right: pa.Array, sql_type: SqlType, context: Any) -> np.ndarray:
    """left IS NOT DISTINCT FROM right."""
    absent = [~valid if (valid := nulls.validity(array)) is not None else np.zeros(len(array), np.bool_)
              for array in (left, right)]
    known = np.flatnonzero(~(absent[0] | absent[1]))
    found = absent[0] & absent[1]
    if len(known):
        picked = pa.array(known)
        found[known] = compare("eq", left.take(picked), right.take(picked), sql_type, sql_type, context.time_zone)
    return found


def bucket_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """width_bucket(x, thresholds): how many of the ascending thresholds are not above x."""
    sql_type = call.args[1].type
    array = _column(args[1], sql_type, rows)
    if any(dims and len(dims) > 2 for dims in shapes.dims_of(array)):
        raise ArraySubscriptError("thresholds must be one-dimensional array")
    counts, flat = arrays.flattened(shapes.items_of(array))
    if flat.null_count:
        raise NullNotAllowed("thresholds array must not contain NULLs")
    item = _element_column(args[0], call.args[0].type, sql_type.element, rows)
    codes = sorting.ranks(concat.together([flat, item]), sql_type.element)
    ends = np.cumsum(counts)
    found = windows.search(codes[:len(flat)], codes[len(flat):], ends - counts, ends, True)
    return views.array_of(found - (ends - counts), pa.int32())


def compared_kernel(operator: str, call: Call, args: Args, rows: int, context: Any) -> np.ndarray:
    """array_eq and its like: the operators' functions."""
    left, right = (_column(arg, expr.type, rows) for arg, expr in zip(args, call.args, strict=True))
    return compare(operator, left, right, call.args[0].type, call.args[1].type, context.time_zone)


def chosen_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """array_larger and array_smaller; btarraycmp gives -1, 0 or 1."""
    left, right = (_column(arg, expr.type, rows) for arg, expr in zip(args, call.args, strict=True))
    both = concat.together([left, right])
    codes = sorting.ranks(both, call.args[0].type)
    difference = np.sign(codes[:rows] - codes[rows:])
    if call.name == "btarraycmp":
        return views.array_of(difference.astype(np.int32), pa.int32())
    first = difference > 0 if call.name == "array_larger" else difference < 0
    return both.take(pa.array(np.where(first, np.arange(rows), np.arange(rows, 2 * rows))))


def to_string_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    sql_type = call.args[0].type
    lists = lists_of(args[0], sql_type, rows)
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


def assign_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """(array, values, first subscripts, last subscripts, whether it is a slice)"""
    array, source, lows, highs = (_column(arg, expr.type, rows) for arg, expr in zip(args[:4], call.args[:4], strict=True))
    sliced = args[4]
    assert isinstance(sliced, pa.Scalar)
    return array_assignment.assigned(array, source, shapes.items_of(lows).to_pylist(), shapes.items_of(highs).to_pylist(),
                                     sliced.as_py())


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


declare("array", "anycompatible", returns=array_type, variadic=True, strict=False, hidden=True, raises=False,
        kernel=array_kernel,
        shapes=True, family="array", doc="ARRAY[a, b, ...]")
declare("subscript", "anyarray int4", returns=_element, variadic=True, hidden=True, raises=False, kernel=subscript_kernel,
        shapes=True, family="array",
        doc="a[i] and a[i][j], NULL outside.")
declare("slice", "anyarray int4 int4", returns=_first, variadic=True, hidden=True, raises=False, kernel=slice_kernel,
        shapes=True, family="array",
        doc="a[i:j] and a[i:j][k:l]; the least and the greatest int4 are open bounds.")
declare("concat_op", "anycompatiblearray anycompatiblearray", "anycompatiblearray anycompatible", returns=_first,
        symbol="||",
        strict=False, hidden=True, raises=False, kernel=concat_kernel, shapes=True, family="array")
declare("concat_op", "anycompatible anycompatiblearray", returns=_second, symbol="||", strict=False, hidden=True,
        raises=False,
        kernel=concat_kernel, shapes=True, family="array")
declare("array_assign", "anyarray anyarray _int4 _int4 bool", returns=_first, strict=False, hidden=True,
        kernel=assign_kernel, shapes=True, family="array",
        doc="SET a[i] = value, SET a[i:j] = values.")
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
declare("array_to_string", "anyarray text -> text", volatility="stable", raises=False, kernel=to_string_kernel, shapes=True,
        family="array")
declare("array_to_string", "anyarray text text -> text", volatility="stable", strict=False, raises=False,
        kernel=to_string_kernel, shapes=True, family="array", example="array_to_string(ARRAY[1, 2, 3, NULL, 5], ',', '*')")
declare("string_to_array", "text text -> _text", "text text text -> _text", strict=False, raises=False,
        kernel=from_string_kernel,
        family="array", example="string_to_array('xx~~yy~~zz', '~~')")
declare("array_fill", "anyelement _int4", "anyelement _int4 _int4", returns=_of_first, strict=False, kernel=fill_kernel,
        shapes=True, family="array",
        example="array_fill(11, ARRAY[2])")
declare("trim_array", "anyarray int4", returns=_first, kernel=trim_kernel, shapes=True, family="array",
        example="trim_array(ARRAY[1,2,3,4,5,6], 2)")
declare("width_bucket", "anycompatible anycompatiblearray", returns=INT4, kernel=bucket_kernel, shapes=True, family="array",
        doc="The bucket of a value among ascending thresholds, 0 below the first.",
        example="width_bucket(5, ARRAY[1, 3, 9])")
for _name, _symbol in (("array_larger", "larger"), ("array_smaller", "smaller")):
    declare(_name, "anyarray anyarray", returns=_first, raises=False, kernel=chosen_kernel, shapes=True, family="array",
            doc=f"The {_symbol} of two arrays.")
declare("btarraycmp", "anyarray anyarray", returns=INT4, raises=False, kernel=chosen_kernel, shapes=True, family="array",
        doc="-1, 0 or 1: how two arrays compare.")
for _name, _operator in (("array_eq", "eq"), ("array_ne", "ne"), ("array_lt", "lt"), ("array_le", "le"), ("array_gt", "gt"),
                         ("array_ge", "ge")):
    declare(_name, "anyarray anyarray", returns=BOOL, raises=False, shapes=True, family="array",
            doc=f"The operator {_operator} of two arrays.", kernel=partial(compared_kernel, _operator))
for _name, _operator in (("arraycontains", "array_contains"), ("arraycontained", "array_contained"),
                         ("arrayoverlap", "array_overlaps")):
    declare(_name, "anyarray anyarray", returns=BOOL, raises=False, shapes=True, family="array",
            doc=f"The operator {_operator.removeprefix('array_')} of two arrays.", kernel=contains_kernel)
