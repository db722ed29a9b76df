"""Arrow list columns as PostgreSQL's one-dimensional arrays: elements, slices, searching, building.

Spec: PostgreSQL 15 documentation, 9.19.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import specials
from shoal.catalog.types import SqlType, item_storage
from shoal.exec.kernels import decimals, nulls, scaled, views


def offsets_of(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(start, length) of each row's elements within `array.values`; length 0 for NULL."""
    raw = np.frombuffer(array.buffers()[1], np.int32, count=len(array) + 1, offset=4 * array.offset) if len(array) else \
        np.zeros(1, np.int32)
    lengths = raw[1:] - raw[:-1]
    valid = views.validity(array)
    return raw[:-1], lengths if valid is None else np.where(valid, lengths, 0)


def element(array: pa.Array, index: np.ndarray, first: int = 1) -> pa.Array:
    """array[index] counting from `first`, NULL outside."""
    starts, lengths = offsets_of(array)
    at = index.astype(np.int64) - first
    inside = (at >= 0) & (at < lengths)
    return array.values.take(pa.array(np.where(inside, starts + at, 0), mask=~inside)) if len(array.values) else \
        pa.nulls(len(array), array.type.value_type)


def list_array(offsets: np.ndarray, values: pa.Array, valid: np.ndarray | None) -> pa.Array:
    """A list column of its parts."""
    return pa.Array.from_buffers(pa.list_(values.type), len(offsets) - 1, [
        views.bitmap(valid), pa.py_buffer(np.ascontiguousarray(offsets, np.int32))], children=[values])


def constructed(columns: Sequence[pa.Array], sql_types: Sequence[SqlType], target: SqlType, rows: int) -> pa.Array:
    """ARRAY[a, b, ...] row by row."""
    item = target.element
    pieces = [as_element(column, sql_type, item) for column, sql_type in zip(columns, sql_types, strict=True)]
    count = len(pieces)
    stacked = pa.concat_arrays(pieces)
    order = (np.arange(rows)[:, None] + np.arange(count)[None, :] * rows).reshape(-1)
    return list_array(np.arange(rows + 1) * count, stacked.take(pa.array(order)), None)


def as_element(array: pa.Array, sql_type: SqlType, element_type: SqlType) -> pa.Array:
    """A column in the exact storage form that lists of `element_type` have."""
    array = nulls.decoded(array)
    want = item_storage(element_type)
    if array.type == want and sql_type.scale == element_type.scale:
        return array
    if element_type.varies or sql_type.varies:
        from shoal.exec.functions.cast_kernels import decimal_array
        numerics, valid = scaled.read(array, sql_type), views.validity(array)
        return decimal_array(scaled.written(numerics, valid) if element_type.varies else
                             scaled.as_fixed(numerics, element_type.scale or 0, valid), element_type)
    if element_type.name == "numeric":
        from shoal.exec.functions.cast_kernels import decimal_array
        found = specials.stand_ins(array)
        if found is not None:
            numbers = as_element(specials.without(array, found), sql_type, element_type)
            return specials.placed(numbers, found, element_type.scale or 0)
        data = decimals.rescaled(decimals.unscaled(array), (element_type.scale or 0) - (sql_type.scale or 0),
                                 views.validity(array))
        return decimal_array(decimals.packed(np.asarray(data), element_type.scale or 0, views.validity(array)), element_type)
    return pc.cast(array, want)


def sliced(array: pa.Array, low: np.ndarray, high: np.ndarray, begin: int = 1) -> pa.Array:
    """array[low:high] counting from `begin`, empty where nothing is inside."""
    starts, lengths = offsets_of(array)
    first = np.maximum(low.astype(np.int64) - begin, 0)
    last = np.minimum(high.astype(np.int64) - begin + 1, lengths)
    count = np.maximum(last - first, 0)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    indices = np.repeat(starts + first - offsets[:-1], count) + np.arange(offsets[-1])
    return list_array(offsets, array.values.take(pa.array(indices)), views.validity(array))


def concatenated(left: pa.Array, right: pa.Array) -> pa.Array:
    """left || right; a NULL side is left out, two NULLs give NULL."""
    (a, n), (b, m) = offsets_of(left), offsets_of(right)
    total = n + m
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(total)])
    values = pa.concat_arrays([left.values, right.values.cast(left.values.type)])
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], total)
    in_left = within < np.repeat(n, total)
    indices = np.where(in_left, np.repeat(a, total) + within, np.repeat(b - n, total) + within + len(left.values))
    known_left, known_right = views.validity(left), views.validity(right)
    valid = None if known_left is None or known_right is None else known_left | known_right
    return list_array(offsets, values.take(pa.array(indices)), valid)


def flattened(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """(elements of each row, all elements): what unnest gives."""
    starts, lengths = offsets_of(array)
    ends = np.cumsum(lengths)
    indices = np.repeat(starts - (ends - lengths), lengths) + np.arange(int(ends[-1]) if len(ends) else 0)
    return lengths.astype(np.int64), array.values.take(pa.array(indices))
