"""Validity of whole columns: merging masks, setting them on arrays, spreading constants over rows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import views


def both(left: np.ndarray | None, right: np.ndarray | None) -> np.ndarray | None:
    """Rows valid in both masks; None means all rows."""
    return right if left is None else left if right is None else left & right


def merged_validity(args: Iterable[pa.Array | pa.Scalar]) -> np.ndarray | None:
    """Rows where no array is NULL."""
    valid: np.ndarray | None = None
    for arg in args:
        if isinstance(arg, pa.Array):
            valid = both(valid, validity(arg))
    return valid


def validity(array: pa.Array) -> np.ndarray | None:
    """views.validity, also for dictionary arrays whose dictionary holds a NULL."""
    if pa.types.is_dictionary(array.type) and array.dictionary.null_count:
        inner = np.asarray(array.dictionary.is_valid())
        outer = views.validity(array.indices)
        codes = views.values(array)
        if outer is None:
            return inner[codes]
        return outer & inner[np.where(outer, codes, 0)]
    return views.validity(array)


def with_validity(array: pa.Array, valid: np.ndarray | None) -> pa.Array:
    """The array with NULL also where `valid` is False."""
    if valid is None:
        return array
    own = validity(array)
    if own is not None:
        valid = own & valid
    if pa.types.is_dictionary(array.type):
        return views.dictionary_of(views.values(array), array.dictionary, valid)
    if pa.types.is_null(array.type):
        return array
    if pa.types.is_nested(array.type) or array.offset:
        if views.is_fixed(array.type):
            return views.array_of(views.values(array), array.type, valid)
        codes = np.arange(len(array))
        return array.take(pa.array(codes, mask=~valid))
    return pa.Array.from_buffers(array.type, len(array), [views.bitmap(valid), *array.buffers()[1:]])


def spread(value: pa.Scalar, rows: int) -> pa.Array:
    """An array of `rows` times one constant; strings as a dictionary of one value."""
    if not value.is_valid:
        return pa.nulls(rows, value.type)
    if pa.types.is_string(value.type) and rows > 1:
        return views.dictionary_of(np.zeros(rows, np.int32), pa.array([value.as_py()], pa.string()))
    if pa.types.is_boolean(value.type):
        return views.array_of(np.full(rows, value.as_py()), value.type)
    return pa.repeat(value, rows)


def decoded(array: pa.Array) -> pa.Array:
    """The array without dictionary encoding."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
