"""Stable sorting by several keys in numpy: keys become integers, as many as fit are packed into one, one sort does it.

The row number is packed below the keys where 63 bits suffice: then a plain value sort (several times faster than
any argsort) gives a stable order. Wider keys are first replaced by their dense ranks.

Spec: PostgreSQL's order: NaN above all numbers, intervals by length, text by bytes (collation "C"), NULLs last in
ascending and first in descending order unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import ORDERED_BY_KEY, SqlType
from shoal.exec.kernels import arrays, canonical, scaled, shapes, text_order, views
from shoal.exec.kernels.nulls import validity

_SIGN = np.int64(-(1 << 63))
_BITS = 63


@dataclass(slots=True)
class Ordering:
    """One sort key: a column and its direction."""

    array: pa.Array
    sql_type: SqlType
    descending: bool = False
    nulls_first: bool = False


def order_codes(array: pa.Array, sql_type: SqlType) -> list[np.ndarray]:
    """int64 columns, most significant first, whose order is the values' (under NULL: anything)."""
    if pa.types.is_null(array.type):
        return [np.zeros(len(array), np.int64)]
    if pa.types.is_floating(array.type):
        return [float_codes(views.values(array))]
    if sql_type.name == "interval":
        return list(canonical.interval_order(array))
    if pa.types.is_list(array.type) or shapes.is_shaped(array):
        return [_list_ranks(array, sql_type)]
    if sql_type.varies and (found := scaled.order_codes(array)) is not None:
        return found
    if canonical.is_integers(sql_type) and not pa.types.is_dictionary(array.type):
        values = canonical.int64_of(array)
        if values is not None:
            return [values]
        words = canonical.limbs_of(array)
        top = words.shape[1] - 1
        return [np.ascontiguousarray(words[:, top])] + [words[:, word] ^ _SIGN for word in range(top - 1, -1, -1)]
    form = canonical.texts(array, sql_type)
    if len(form.dictionary) == 0:
        return [np.zeros(len(array), np.int64)]
    if sql_type.name in ORDERED_BY_KEY:
        return [text_order.ranks(sql_type.name, form.dictionary).take(form.codes, mode="clip")]
    ranks = pc.rank(form.dictionary, tiebreaker="dense").to_numpy().astype(np.int64)
    return [ranks.take(form.codes, mode="clip")]


def float_codes(values: np.ndarray) -> np.ndarray:
    """int64 that order floats as PostgreSQL does."""
    bits = canonical.float_bits(values)
    return np.where(bits < 0, bits ^ ~_SIGN, bits)


def _list_ranks(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """Arrays compare element by element, NULL elements last; a prefix comes first, then fewer dimensions."""
    counts, flat = arrays.flattened(shapes.items_of(array))
    element = sql_type.element if sql_type.is_array else SqlType("int8")
    values = dense_ranks(ranks(flat, element))[0] if len(flat) else np.zeros(0, np.int64)
    valid = validity(flat)
    items = (values if valid is None else np.where(valid, values, len(values))).tolist()
    dims = shapes.dims_of(array) if shapes.is_shaped(array) else None
    ends = np.cumsum(counts).tolist()
    keys = [(tuple(items[end - count:end]), shapes.order_key(dims[row]) if dims is not None else ())
            for row, (count, end) in enumerate(zip(counts.tolist(), ends, strict=True))]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.fromiter((places[key] for key in keys), np.int64, count=len(keys))


def key_codes(keys: Sequence[Ordering]) -> list[np.ndarray]:
    """int64 columns, most significant first, whose ascending order is the keys' order with direction and NULLs."""
    columns: list[np.ndarray] = []
    for key in keys:
        codes = order_codes(key.array, key.sql_type)
        if key.descending:
            codes = [~code for code in codes]
        valid = validity(key.array)
        if valid is not None:
            columns.append((valid if key.nulls_first else ~valid).astype(np.int64))
            codes = [np.where(valid, code, 0) for code in codes]
        columns.extend(codes)
    return columns


def packed_codes(columns: Sequence[np.ndarray], spare_bits: int = 0) -> list[tuple[np.ndarray, int]]:
    """Neighbouring columns put together in int64s that leave `spare_bits` of 63 free; with the bits each one has.

    Values are from 0 up; a column that is too wide alone is replaced by its dense ranks.
    """
    result: list[tuple[np.ndarray, int]] = []
    for column in columns:
        if len(column) == 0:
            continue
        low, high = int(column.min()), int(column.max())
        bits = (high - low).bit_length()
        if bits == 0:
            continue
        if bits + spare_bits > _BITS:
            column, bits = dense_ranks(column)
        elif low:
            column = column - low
        if result and result[-1][1] + bits + spare_bits <= _BITS:
            major, have = result.pop()
            column, bits = (major << bits) | column, have + bits
        result.append((column, bits))
    return result


def dense_ranks(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Ranks 0, 1 ... of int64 values, equal for equal values; and the bits the highest needs."""
    order = np.argsort(values)
    ordered = values.take(order)
    steps = np.zeros(len(values), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=steps[1:])
    ranks = np.empty(len(values), np.int64)
    ranks[order] = steps
    return ranks, max(1, int(steps[-1]).bit_length()) if len(steps) else 1


def combined_ranks(columns: Sequence[np.ndarray], rows: int) -> tuple[np.ndarray, int]:
    """One int64 column that orders rows as all the columns do, and its bits (at most 63)."""
    packed = packed_codes(columns)
    if not packed:
        return np.zeros(rows, np.int64), 0
    codes, bits = packed[0]
    for minor, minor_bits in packed[1:]:
        if bits + minor_bits > _BITS:
            codes, bits = dense_ranks(codes)
        if bits + minor_bits > _BITS:
            minor, minor_bits = dense_ranks(minor)
        codes, bits = (codes << minor_bits) | minor, bits + minor_bits
    return codes, bits


def stable_order(codes: np.ndarray, bits: int) -> np.ndarray:
    """Row numbers (int64) in ascending order of `codes` (0 <= code < 2**bits), equal ones in row order."""
    rows = len(codes)
    if rows < 2 or bits == 0:
        return np.arange(rows)
    if (codes[1:] >= codes[:-1]).all():
        return np.arange(rows)
    row_bits = (rows - 1).bit_length()
    if bits + row_bits > _BITS:
        codes, bits = dense_ranks(codes)
    keyed = (codes << row_bits) | np.arange(rows)
    keyed.sort()
    return keyed & ((1 << row_bits) - 1)


def sort_indices(keys: Sequence[Ordering], rows: int) -> np.ndarray:
    """Row numbers (int64) in the keys' order; rows with equal keys keep their order."""
    codes, bits = combined_ranks(key_codes(keys), rows)
    return stable_order(codes, bits)


def run_starts(codes: np.ndarray) -> np.ndarray:
    """Where each run of equal neighbours in `codes` begins: ascending row numbers, the first 0."""
    if len(codes) == 0:
        return np.zeros(0, np.int64)
    return np.concatenate([np.zeros(1, np.int64), np.flatnonzero(codes[1:] != codes[:-1]) + 1])


def ranks(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """One int64 a row that orders the values (under NULL: anything)."""
    codes = order_codes(array, sql_type)
    return codes[0] if len(codes) == 1 else combined_ranks(codes, len(array))[0]
