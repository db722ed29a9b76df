"""What array functions do with arrays of several dimensions and other lower bounds than 1, one value at a time.

Columns that hold no such value never come here (arrays.py has their kernels), except where several dimensions are made:
ARRAY[[a, b], [c, d]], array_agg of arrays, a[i][j].

Spec: PostgreSQL 15 documentation, 8.15 and 9.19.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError, DataException, NullNotAllowed, ProgramLimitExceeded
from shoal.exec.kernels import concat, shapes
from shoal.exec.kernels.shapes import Dims

_MOST_ITEMS = 134_217_727


def check_dimensions(count: int, position: int = 0) -> None:
    """Raises: ProgramLimitExceeded (54000) for more than six."""
    if count > shapes.MOST_DIMENSIONS:
        raise ProgramLimitExceeded(f"number of array dimensions ({count}) exceeds the maximum allowed "
                                   f"({shapes.MOST_DIMENSIONS})", position=position)


def check_bounds(sizes: Sequence[int], lows: Sequence[int]) -> None:
    """Raises: ProgramLimitExceeded (54000) where subscripts would leave 32 bits."""
    for size, low in zip(sizes, lows, strict=True):
        if size + low >= 1 << 31:
            raise ProgramLimitExceeded(f"array lower bound is too large: {low}")


def _starts(lists: pa.Array) -> list[int]:
    """Where each list's elements begin within `lists.values`."""
    return lists.offsets.to_numpy()[:-1].tolist() if len(lists) else []


def _gathered(lists: pa.Array, rows: Sequence[Sequence[int] | None], dims: Sequence[Dims | None]) -> pa.Array:
    """Arrays of the elements at these places of `lists.values`, NULL for None."""
    places = np.array([place for row in rows if row is not None for place in row], np.int64)
    ends = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([0 if row is None else len(row) for row in rows], out=ends[1:])
    mask = pa.array([row is None for row in rows]) if any(row is None for row in rows) else None
    values = lists.values.take(pa.array(places))
    return shapes.made(pa.ListArray.from_arrays(pa.array(ends), values, mask=mask), dims)


def element(array: pa.Array, indices: Sequence[np.ndarray]) -> pa.Array:
    """array[i][j]...: NULL outside, and where there are not as many subscripts as dimensions."""
    lists = shapes.items_of(array)
    starts = _starts(lists)
    found: list[int | None] = []
    for row, dims in enumerate(shapes.dims_of(array)):
        place: int | None = None
        if dims and len(dims) == 2 * len(indices):
            place = 0
            for index, size, low in zip(indices, shapes.sizes(dims), shapes.bounds(dims), strict=True):
                at = int(index[row]) - low
                place = place * size + at if place is not None and 0 <= at < size else None
        found.append(None if place is None else starts[row] + place)
    return lists.values.take(pa.array(found, pa.int64()))


def sliced(array: pa.Array, lows: Sequence[np.ndarray], highs: Sequence[np.ndarray]) -> pa.Array:
    """array[a:b][c:d]..., the result's bounds beginning at 1; dimensions without a slice are taken whole."""
    lists = shapes.items_of(array)
    starts = _starts(lists)
    rows: list[Sequence[int] | None] = []
    shape: list[Dims | None] = []
    for row, dims in enumerate(shapes.dims_of(array)):
        if dims is None:
            rows.append(None)
            shape.append(None)
            continue
        chosen = _chosen(dims, [(int(low[row]), int(high[row])) for low, high in zip(lows, highs, strict=True)])
        if chosen is None:
            rows.append(())
            shape.append(())
            continue
        places = np.zeros(1, np.int64)
        for size, (first, last) in zip(shapes.sizes(dims), chosen, strict=True):
            places = (places[:, None] * size + np.arange(first, last + 1)).reshape(-1)
        rows.append((places + starts[row]).tolist())
        shape.append(tuple(n for first, last in chosen for n in (last - first + 1, 1)))
    return _gathered(lists, rows, shape)


def _chosen(dims: Dims, wanted: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """First and last place in each dimension, from 0; None for an empty slice."""
    if not dims or len(wanted) > len(dims) // 2:
        return None
    found: list[tuple[int, int]] = []
    for number, (size, low) in enumerate(zip(shapes.sizes(dims), shapes.bounds(dims), strict=True)):
        first, last = 0, size - 1
        if number < len(wanted):
            first, last = max(wanted[number][0] - low, 0), min(wanted[number][1] - low, size - 1)
        if first > last:
            return None
        found.append((first, last))
    return found


def measured(name: str, array: pa.Array, dimensions: np.ndarray) -> pa.Array:
    """array_ndims, and array_length, array_lower, array_upper of a dimension: NULL for one that is not there."""
    measures: dict[str, Callable[[int, int], int]] = {
        "array_length": lambda size, low: size, "array_lower": lambda size, low: low,
        "array_upper": lambda size, low: low + size - 1}
    found: list[int | None] = []
    for dims, wanted in zip(shapes.dims_of(array), dimensions.tolist(), strict=True):
        if not dims:
            found.append(None)
        elif name == "array_ndims":
            found.append(len(dims) // 2)
        else:
            inside = 1 <= wanted <= len(dims) // 2
            found.append(measures[name](*dims[2 * wanted - 2:2 * wanted]) if inside else None)
    return pa.array(found, pa.int32())


def _outer(parts: Sequence[Dims | None], mismatch: str) -> Dims:
    """The shape of an array whose elements are arrays of these shapes. Raises: ArraySubscriptError (2202E)."""
    some = [dims for dims in parts if dims]
    if not some:
        return ()
    if len(some) < len(parts) or any(dims != some[0] for dims in some):
        raise ArraySubscriptError(mismatch)
    check_dimensions(len(some[0]) // 2 + 1)
    return (len(parts), 1, *some[0])


def stacked(columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """ARRAY[a, b, ...] of arrays, row by row: one dimension more. Raises: ArraySubscriptError (2202E)."""
    whole = concat.together(columns)
    lists, dims = shapes.items_of(whole), shapes.dims_of(whole)
    ends = lists.offsets.to_numpy()
    known = lists.is_valid().to_pylist()
    places: list[Sequence[int] | None] = []
    shape: list[Dims | None] = []
    for row in range(rows):
        of_row = range(row, len(whole), rows)
        places.append([p for i in of_row if known[i] for p in range(ends[i], ends[i + 1])])
        shape.append(_outer([dims[i] for i in of_row],
                            "multidimensional arrays must have array expressions with matching dimensions"))
    return _gathered(lists, places, shape)


def gathered_groups(values: pa.Array, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """array_agg of arrays: one dimension more. Raises: NullNotAllowed (22004), ArraySubscriptError (2202E)."""
    lists, dims = shapes.items_of(values), shapes.dims_of(values)
    offsets = lists.offsets.to_numpy() if len(lists) else np.zeros(1, np.int32)
    places: list[Sequence[int] | None] = []
    shape: list[Dims | None] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if start >= end:
            places.append(None)
            shape.append(None)
            continue
        parts = dims[start:end]
        if any(one is None for one in parts):
            raise NullNotAllowed("cannot accumulate null arrays")
        if parts[0] == ():
            raise ArraySubscriptError("cannot accumulate empty arrays")
        places.append([p for i in range(start, end) for p in range(offsets[i], offsets[i + 1])])
        shape.append(_outer(parts, "cannot accumulate arrays of different dimensionality"))
    return _gathered(lists, places, shape)


def concatenated(left: pa.Array, right: pa.Array, item: int | None) -> pa.Array:
    """left || right of any shapes; side number `item` is an array made of one element. Raises: ArraySubscriptError
    (2202E), DataException (22000)."""
    rows = len(left)
    whole = concat.together([left, right])
    lists, dims = shapes.items_of(whole), shapes.dims_of(whole)
    ends = lists.offsets.to_numpy() if len(lists) else np.zeros(1, np.int32)
    places: list[Sequence[int] | None] = []
    shape: list[Dims | None] = []
    for row in range(rows):
        a, b = dims[row], dims[row + rows]
        sides = [i for i, one in ((row, a), (row + rows, b)) if one]
        places.append(None if a is None and b is None else [p for i in sides for p in range(ends[i], ends[i + 1])])
        if item is not None:
            shape.append(_extended(b if item == 0 else a))
        else:
            shape.append(_joined(a, b) if a and b else a or b)
    return _gathered(lists, places, shape)


def _extended(dims: Dims | None) -> Dims:
    if not dims:
        return (1, 1)
    if len(dims) > 2:
        raise DataException("argument must be empty or one-dimensional array")
    return (dims[0] + 1, dims[1])


def _joined(left: Dims, right: Dims) -> Dims:
    """Along the first dimension; one side may be an element of the other."""
    difference = len(left) - len(right)
    if abs(difference) > 2:
        raise ArraySubscriptError("cannot concatenate incompatible arrays", detail=(
            f"Arrays of {len(left) // 2} and {len(right) // 2} dimensions are not compatible for concatenation."))
    if difference == 0:
        if left[2:] != right[2:]:
            raise ArraySubscriptError("cannot concatenate incompatible arrays", detail=(
                "Arrays with differing element dimensions are not compatible for concatenation."))
        return (left[0] + right[0], *left[1:])
    outer, inner = (left, right) if difference > 0 else (right, left)
    if outer[2:] != inner:
        raise ArraySubscriptError("cannot concatenate incompatible arrays", detail=(
            "Arrays with differing dimensions are not compatible for concatenation."))
    return (outer[0] + 1, *outer[1:])


def reshaped(items: pa.Array, like: pa.Array) -> pa.Array:
    """Arrays in the shapes of `like`, some with fewer elements in their only dimension."""
    dims: list[Dims | None] = []
    for size, one in zip(np.diff(items.offsets.to_numpy()).tolist(), shapes.dims_of(like), strict=True):
        dims.append(one if one is None or len(one) > 2 else (size, one[1]) if size else ())
    return shapes.made(items, dims)


def filled_dims(sizes: pa.Array, lows: pa.Array | None = None) -> list[Dims]:
    """The shapes that array_fill makes. Raises: NullNotAllowed (22004), ArraySubscriptError (2202E),
    ProgramLimitExceeded (54000)."""
    given = [sizes] if lows is None else [sizes, lows]
    if any(array.null_count for array in given):
        raise NullNotAllowed("dimension array or low bound array cannot be null")
    for array in given:
        if any(dims and len(dims) > 2 for dims in shapes.dims_of(array)):
            raise ArraySubscriptError("wrong number of array subscripts", detail="Dimension array must be one dimensional.")
    values = [shapes.values_of(array) for array in given]
    if any(value is None for rows in values for row in rows for value in row):
        raise NullNotAllowed("dimension values cannot be null")
    found: list[Dims] = []
    for row, counts in enumerate(values[0]):
        bounds: Sequence[Any] = values[1][row] if lows is not None else [1] * len(counts)
        if len(bounds) != len(counts):
            raise ArraySubscriptError("wrong number of array subscripts",
                                      detail="Low bound array has different size than dimensions array.")
        check_dimensions(len(counts))
        if any(count < 0 for count in counts) or math.prod(counts) > _MOST_ITEMS:
            raise ProgramLimitExceeded(f"array size exceeds the maximum allowed ({_MOST_ITEMS})")
        check_bounds(counts, bounds)
        some = counts and math.prod(counts)
        found.append(tuple(n for pair in zip(counts, bounds, strict=True) for n in pair) if some else ())
    return found
