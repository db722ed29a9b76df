"""Columns of one SQL type put together, although batches hold them in different Arrow forms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog import scaled, shaped
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.batch import Batch
from shoal.exec.kernels import canonical, views


def widened(array: pa.Array, arrow: pa.DataType) -> pa.Array:
    """A numeric column in the wider decimal type `arrow`, int64 being unscaled values."""
    if array.type == arrow:
        return array
    wanted = arrow.byte_width // 8
    if pa.types.is_decimal(array.type):
        have = canonical.limbs_of(array)
    else:
        have = views.values(array).astype(np.int64, copy=False).reshape(-1, 1)
    words = np.empty((len(array), wanted), np.int64)
    words[:, :have.shape[1]] = have
    words[:, have.shape[1]:] = (have[:, -1] >> 63)[:, None]
    return pa.Array.from_buffers(arrow, len(array), [views.bitmap(views.validity(array)), pa.py_buffer(words)])


def concatenated(arrays: list[pa.Array], sql_type: SqlType) -> pa.Array:
    """The arrays one after the other, in one form that all of them have or can be brought to without loss."""
    if len(arrays) == 1:
        return arrays[0]
    if not arrays:
        return pa.array([], storage_type(sql_type))
    types = {array.type for array in arrays}
    if len(types) > 1:
        arrays = _same_form(arrays, sql_type, types)
    if pa.types.is_dictionary(arrays[0].type):
        return _joined_dictionaries(arrays)
    return pa.concat_arrays(arrays)


def together(arrays: Sequence[pa.Array]) -> pa.Array:
    """Array columns of one element type, in either form, one after the other."""
    return pa.concat_arrays(shaped.alike(list(arrays)))


def _same_form(arrays: list[pa.Array], sql_type: SqlType, types: set[pa.DataType]) -> list[pa.Array]:
    if any(pa.types.is_dictionary(t) for t in types):
        arrays = [a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in arrays]
    if sql_type.varies:
        return scaled.alike(arrays)
    if sql_type.name == "numeric":
        widest = max((t for t in types if pa.types.is_decimal(t)), key=lambda t: t.byte_width)
        arrow = pa.decimal128(38, sql_type.scale) if widest.byte_width == 16 else pa.decimal256(76, sql_type.scale)
        return [widened(pa.nulls(len(a), pa.int64()) if pa.types.is_null(a.type) else a, arrow) for a in arrays]
    wanted = storage_type(sql_type)
    if any(pa.types.is_struct(t) for t in types):
        return [shaped.widened(a if a.type == wanted or shaped.is_shaped(a) else a.cast(wanted)) for a in arrays]
    return [a if a.type == wanted else a.cast(wanted) for a in arrays]


def _joined_dictionaries(arrays: list[pa.Array]) -> pa.Array:
    first = arrays[0].dictionary
    addresses = [b.address if b is not None else 0 for b in first.buffers()]
    if all(len(a.dictionary) == len(first) and a.dictionary.offset == first.offset
           and [b.address if b is not None else 0 for b in a.dictionary.buffers()] == addresses for a in arrays[1:]):
        indices = pa.concat_arrays([a.indices for a in arrays])
        return pa.DictionaryArray.from_arrays(indices, first, safe=False)
    if sum(len(a.dictionary) for a in arrays) > sum(len(a) for a in arrays):
        return pa.concat_arrays([a.dictionary_decode() for a in arrays])
    return pa.concat_arrays(arrays)


def concatenated_batches(batches: Sequence[Batch], types: Sequence[SqlType]) -> Batch:
    """One batch of all rows, in order."""
    if len(batches) == 1:
        return batches[0]
    rows = sum(batch.rows for batch in batches)
    return Batch.of([concatenated([batch.array(i) for batch in batches], t) for i, t in enumerate(types)], rows)


def chunked(array: pa.ChunkedArray) -> pa.Array:
    """A chunked array as one array."""
    if array.num_chunks == 1:
        return array.chunk(0)
    return pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)


def ranges(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """All row numbers starts[i], starts[i] + 1 ... ends[i] - 1 for every i in turn (int64)."""
    counts = np.maximum(ends - starts, 0)
    total = int(counts.sum())
    before = np.cumsum(counts) - counts
    return np.arange(total) + np.repeat(starts - before, counts)
