"""Segments: the immutable pieces that a memory table is made of, and the pure functions that derive new ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled, shaped, specials
from shoal.catalog.connector import ColumnStatistics, TableStatistics
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.types import SqlType, to_python

_FULL_ROWS = 128 * 1024
_SAMPLE_ROWS = 64 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """`rows` rows: their ids (int64, in no order) and one array for each column of the table."""

    ids: np.ndarray
    columns: tuple[pa.Array, ...]
    size_bytes: int
    keys: dict[object, list[pa.Array]] = field(default_factory=dict)
    """Keys of unique indexes on expressions or with a predicate, once they have been computed."""

    @property
    def rows(self) -> int:
        return len(self.ids)

    @property
    def id_array(self) -> pa.Array:
        return pa.array(self.ids)


def segment_of(ids: np.ndarray, arrays: Sequence[pa.Array], columns: Sequence[ColumnInfo]) -> Segment:
    """A segment that owns its data: slices of larger buffers and oversized dictionaries are copied out of."""
    owned = tuple(_owned(array) for array in arrays)
    assert len(owned) == len(columns)
    return Segment(ids, owned, sum(array.nbytes for array in owned) + ids.nbytes)


def _owned(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type) and len(array.dictionary) > len(array):
        return array.dictionary_decode()
    if array.get_total_buffer_size() > 2 * array.nbytes + 1024:
        return pa.concat_arrays([array, array.slice(0, 0)])
    return array


def concatenated(arrays: Sequence[pa.Array], sql_type: SqlType) -> pa.Array:
    """The arrays as one, where some may be dictionary-encoded or hold another storage form of a numeric or array."""
    if len(arrays) == 1:
        return arrays[0]
    if any(array.type != arrays[0].type for array in arrays):
        arrays = [array.dictionary_decode() if pa.types.is_dictionary(array.type) else array for array in arrays]
        if sql_type.varies:
            arrays = scaled.alike(arrays)
        elif sql_type.name == "numeric" and any(array.type != arrays[0].type for array in arrays):
            arrays = [_as_decimal(array, sql_type) for array in arrays]
            widest = max((array.type for array in arrays), key=lambda t: t.bit_width)
            arrays = [pc.cast(array, widest) for array in arrays]
        if sql_type.is_array:
            arrays = shaped.alike(list(arrays))
    return pa.concat_arrays(arrays)


def _as_decimal(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """The decimal form of a numeric column held as unscaled int64."""
    if not pa.types.is_int64(array.type):
        return array
    low = np.frombuffer(array.buffers()[1], "<i8", count=len(array), offset=8 * array.offset)
    words = np.stack([low, low >> 63], axis=1)
    valid = None
    if array.null_count:
        valid = pa.py_buffer(np.packbits(np.asarray(array.is_valid()), bitorder="little"))
    return pa.Array.from_buffers(pa.decimal128(38, sql_type.scale or 0), len(array), [valid, pa.py_buffer(words)])


def compacted(segments: Sequence[Segment], columns: Sequence[ColumnInfo]) -> tuple[Segment, ...]:
    """Neighbours at the end merged while the earlier is not much larger, so that many small inserts stay cheap to
    read and cost a logarithmic number of copies each."""
    kept = list(segments)
    while len(kept) > 1 and kept[-2].rows <= 2 * kept[-1].rows and kept[-2].rows + kept[-1].rows <= _FULL_ROWS:
        last, before = kept.pop(), kept.pop()
        arrays = [concatenated([old, new], column.type)
                  for old, new, column in zip(before.columns, last.columns, columns, strict=True)]
        kept.append(segment_of(np.concatenate([before.ids, last.ids]), arrays, columns))
    return tuple(kept)


def _hits(segment: Segment, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(mask of the segment's rows among the sorted `ids`, each row's place in `ids`), None where none is."""
    if not len(ids) or segment.ids.max() < ids[0] or segment.ids.min() > ids[-1]:
        return None
    places = np.minimum(np.searchsorted(ids, segment.ids), len(ids) - 1)
    mask = ids[places] == segment.ids
    return (mask, places) if mask.any() else None


def without(segments: Sequence[Segment], ids: np.ndarray) -> tuple[tuple[Segment, ...], int]:
    """The segments less the rows of the sorted `ids`, and how many of them were there."""
    kept: list[Segment] = []
    found = 0
    for segment in segments:
        hit = _hits(segment, ids)
        if hit is None:
            kept.append(segment)
            continue
        found += int(hit[0].sum())
        rest = np.flatnonzero(~hit[0])
        if len(rest):
            arrays = tuple(array.take(pa.array(rest)) for array in segment.columns)
            kept.append(Segment(segment.ids[rest], arrays, sum(a.nbytes for a in arrays) + 8 * len(rest)))
    return tuple(kept), found


def with_updates(segments: Sequence[Segment], ids: np.ndarray, rows: np.ndarray, values: Sequence[Sequence[pa.Array]],
                 columns: Sequence[ColumnInfo], new_ids: Callable[[int], np.ndarray]) -> tuple[tuple[Segment, ...], int]:
    """The segments with the rows of the sorted `ids` replaced in place, under new ids, and how many were there.

    `values` holds each column's new values in pieces; `rows[i]` is the row of the pieces together for `ids[i]`.
    """
    fresh = [concatenated(pieces, column.type) for pieces, column in zip(values, columns, strict=True)]
    changed: list[Segment] = []
    found = 0
    for segment in segments:
        hit = _hits(segment, ids)
        if hit is None:
            changed.append(segment)
            continue
        mask, places = hit
        count = int(mask.sum())
        found += count
        chosen = np.where(mask, segment.rows + rows[places], np.arange(segment.rows))
        arrays = tuple(concatenated([old, new], column.type).take(pa.array(chosen))
                       for old, new, column in zip(segment.columns, fresh, columns, strict=True))
        row_ids = segment.ids.copy()
        row_ids[mask] = new_ids(count)
        changed.append(segment_of(row_ids, arrays, columns))
    return tuple(changed), found


def statistics_of(columns: Sequence[ColumnInfo], segments: Sequence[Segment]) -> TableStatistics:
    """Exact row and null counts and bounds; distinct counts from a sample."""
    rows = sum(segment.rows for segment in segments)
    found: dict[str, ColumnStatistics] = {}
    for position, column in enumerate(columns):
        arrays = [segment.columns[position] for segment in segments]
        nulls = sum(array.null_count for array in arrays)
        low, high = _bounds(arrays, column.type)
        found[column.name] = ColumnStatistics(
            distinct=_distinct(arrays, rows), null_fraction=nulls / rows if rows else 0.0, minimum=low, maximum=high,
            average_bytes=sum(array.nbytes for array in arrays) / rows if rows else None)
    return TableStatistics(float(rows), found)


def _bounds(arrays: Sequence[pa.Array], sql_type: SqlType) -> tuple[Any, Any]:
    """The least and greatest value as Python objects; (None, None) where the type has no order worth knowing."""
    name = sql_type.name
    if sql_type.varies or not (
            sql_type.is_number or name in ("date", "time", "timestamp", "timestamptz", "text", "varchar")):
        return None, None
    lows, highs = [], []
    if name == "numeric" and any(array.type != arrays[0].type for array in arrays):
        arrays = [_as_decimal(array, sql_type) for array in arrays]
    for array in arrays:
        if array.null_count == len(array):
            continue
        if pa.types.is_dictionary(array.type):
            array = array.dictionary.take(array.indices.unique().drop_null())
        elif pa.types.is_temporal(array.type):
            array = array.view(pa.int32() if array.type.bit_width == 32 else pa.int64())
        if specials.present(array):
            return None, None
        bounds = pc.min_max(array)
        lows.append(bounds["min"].as_py())
        highs.append(bounds["max"].as_py())
    if not lows:
        return None, None
    low, high = min(lows), max(highs)
    if name == "numeric" and any(not isinstance(value, int) for value in (low, high)):
        return low, high  # decimals already
    return to_python(low, sql_type), to_python(high, sql_type)


def _distinct(arrays: Sequence[pa.Array], rows: int) -> float | None:
    """Extrapolated from the first rows of the table: few values repeated are all values, else they grow with it."""
    sample: list[pa.Array] = []
    wanted = _SAMPLE_ROWS
    for array in arrays:
        sample.append(array.slice(0, wanted))
        wanted -= len(sample[-1])
    taken = sum(map(len, sample))
    if not taken or pa.types.is_nested(sample[0].type) or pa.types.is_interval(sample[0].type):
        return None
    values = pa.chunked_array([a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in sample]) \
        if len({str(a.type) for a in sample}) == 1 else pa.chunked_array([sample[0]])
    seen = pc.count_distinct(values).as_py()
    return float(seen if seen < taken / 10 else seen * rows / taken)
