"""The second storage form of arrays: for batches where a value has several dimensions or does not begin at 1.

An array type's column is list<element> while each of its values has at most one dimension, counted from 1. A batch that
holds any other value has the shaped form instead:

    struct<items: list<element>, dims: list<int32>>

`items` are the elements in storage order (the last subscript runs fastest), `dims` the size and the lower bound of each
dimension in turn, nothing for an empty array; a NULL array is a NULL struct. As with numerics, any batch may have either
form, and readers take both (exec/kernels/shapes.py).

Spec: PostgreSQL 15 documentation, 8.15 "Arrays".
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def shaped_type(plain: pa.DataType) -> pa.DataType:
    """The shaped form of list<element>."""
    return pa.struct([("items", plain), ("dims", pa.list_(pa.int32()))])


def is_shaped(arg: pa.Array | pa.Scalar) -> bool:
    return pa.types.is_struct(arg.type) and arg.type.field(0).name == "items"


def struct_of(items: pa.Array, shapes: pa.Array) -> pa.Array:
    """The shaped form of its parts; NULL where `items` is."""
    valid = None
    if items.null_count:
        valid = pa.py_buffer(np.packbits(items.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
    return pa.Array.from_buffers(shaped_type(items.type), len(items), [valid], children=[items, shapes])


def widened(array: pa.Array) -> pa.Array:
    """A column of either form in the shaped one."""
    if is_shaped(array):
        return array
    sizes = np.diff(array.offsets.to_numpy()) if len(array) else np.zeros(0, np.int32)
    if array.null_count:
        sizes = np.where(array.is_valid().to_numpy(zero_copy_only=False), sizes, 0)
    some = sizes > 0
    data = np.ones((int(np.count_nonzero(some)), 2), np.int32)
    data[:, 0] = sizes[some]
    ends = np.zeros(len(array) + 1, np.int32)
    np.cumsum(2 * some, out=ends[1:])
    return struct_of(array, pa.ListArray.from_arrays(pa.array(ends), pa.array(data.reshape(-1))))


def alike(arrays: list[pa.Array]) -> list[pa.Array]:
    """Array columns that may be put together: all in the shaped form where any is."""
    return [widened(array) for array in arrays] if any(is_shaped(array) for array in arrays) else arrays
