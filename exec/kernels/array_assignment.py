"""a[i] = value and a[i:j] = values: arrays with some of their elements set, one value at a time.

Spec: PostgreSQL 15 documentation, 8.15.4 "Modifying Arrays"; array_set_element and array_set_slice of arrayfuncs.c.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError, NullNotAllowed
from shoal.exec.kernels import concat, shapes
from shoal.exec.kernels.multidimensional import check_bounds
from shoal.exec.kernels.shapes import Dims

OPEN_LOW, OPEN_HIGH = -(1 << 31), (1 << 31) - 1
"""Bounds of a slice that were not written."""
_EMPTY_DETAIL = "When assigning to a slice of an empty array value, slice boundaries must be fully specified."


def assigned(array: pa.Array, source: pa.Array, lows: Sequence[Sequence[int | None]], highs: Sequence[Sequence[int | None]],
             sliced: bool) -> pa.Array:
    """`array` with the elements from subscripts `lows` to `highs` (for each row, one of each dimension) taken from `source`
    in storage order; a NULL array is an empty one, and a NULL source for a slice changes nothing.

    Raises: ArraySubscriptError (2202E), NullNotAllowed (22004), ProgramLimitExceeded (54000)."""
    rows = len(array)
    lists = concat.together([array, source])
    items, dims = shapes.items_of(lists), shapes.dims_of(lists)
    starts = items.offsets.to_numpy()[:-1].tolist() if len(items) else []
    places: list[int] = []
    ends = np.zeros(rows + 1, np.int32)
    shape: list[Dims | None] = []
    for row in range(rows):
        old, given = dims[row] or (), dims[rows + row]
        if any(bound is None for bound in (*lows[row], *highs[row])):
            raise NullNotAllowed("array subscript in assignment must not be null")
        known = np.arange(math.prod(shapes.sizes(old)) if old else 0) + starts[row]
        if given is None and sliced:
            made, new = known, old
        else:
            count = math.prod(shapes.sizes(given)) if given else 0
            made, new = _one(known, old, starts[rows + row], count, lows[row], highs[row], sliced)  # type: ignore[arg-type]
        places += made.tolist()
        ends[row + 1] = len(places)
        shape.append(new)
    taken = np.array(places, np.int64)
    values = items.values.take(pa.array(np.maximum(taken, 0), mask=taken < 0))
    return shapes.made(pa.ListArray.from_arrays(pa.array(ends), values), shape)


def _one(known: np.ndarray, old: Dims, start: int, count: int, lows: Sequence[int], highs: Sequence[int],
         sliced: bool) -> tuple[np.ndarray, Dims]:
    """The places of one array's elements, -1 for NULL, and its shape."""
    if not old:
        if sliced and (OPEN_LOW in lows or OPEN_HIGH in highs):
            raise ArraySubscriptError("array slice subscript must provide both boundaries", detail=_EMPTY_DETAIL)
        sizes = [high - low + 1 for low, high in zip(lows, highs, strict=True)]
        _require(min(sizes) > 0, "upper bound cannot be less than lower bound")
        check_bounds(sizes, lows)
        _require(count >= math.prod(sizes), "source array too small")
        return start + np.arange(math.prod(sizes)), tuple(n for pair in zip(sizes, lows, strict=True) for n in pair)
    sizes, bounds = list(shapes.sizes(old)), list(shapes.bounds(old))
    _require(len(lows) <= len(sizes) if sliced else len(lows) == len(sizes), "wrong number of array subscripts")
    ranges = []
    for place, (size, bound) in enumerate(zip(sizes, bounds, strict=True)):
        low, high = (lows[place], highs[place]) if place < len(lows) else (OPEN_LOW, OPEN_HIGH)
        last = bound + size - 1
        ranges.append((bound if low == OPEN_LOW and sliced else low, last if high == OPEN_HIGH and sliced else high))
    _require(all(low <= high for low, high in ranges), "upper bound cannot be less than lower bound")
    whole = known.reshape(sizes)
    if len(sizes) == 1:
        (low, high), bound, size = ranges[0], bounds[0], sizes[0]
        before, after = max(bound - low, 0), max(high - (bound + size - 1), 0)
        whole = np.concatenate([np.full(before, -1), whole, np.full(after, -1)])
        sizes, bounds = [size + before + after], [min(bound, low)]
        check_bounds(sizes, bounds)
    else:
        _require(all(bound <= low and high < bound + size for (low, high), bound, size in zip(
            ranges, bounds, sizes, strict=True)), "array subscript out of range")
    spans = [high - low + 1 for low, high in ranges]
    _require(count >= math.prod(spans), "source array too small")
    whole = whole.copy()
    whole[tuple(slice(low - bound, high - bound + 1) for (low, high), bound in zip(ranges, bounds, strict=True))] = (
        start + np.arange(math.prod(spans))).reshape(spans)
    return whole.reshape(-1), tuple(n for pair in zip(sizes, bounds, strict=True) for n in pair)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ArraySubscriptError(message)
