"""Arrays with several dimensions, or that do not begin at 1: reading and making their columns (catalog/shaped.py).

`items_of` gives the elements of either form where only they matter, `dims_of` the rest. Shapes are handled one value at a
time; columns of ordinary arrays never come here but for a look at their type.

Spec: PostgreSQL 15 documentation, 8.15 "Arrays", and its array_in and array_out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.scaled import EXACT, decimal_of
from shoal.catalog.shaped import is_shaped, struct_of
from shoal.catalog.types import ShapedArray, SqlType
from shoal.exec.kernels import views

Dims = tuple[int, ...]
"""Size and lower bound of each dimension in turn: (2, 1, 3, 0) is [1:2][0:2]."""
MOST_DIMENSIONS = 6


def items_of(array: pa.Array) -> pa.Array:
    """The elements of each array as a list column, whatever their shapes."""
    return array.flatten()[0] if is_shaped(array) else array


def dims_of(array: pa.Array) -> list[Dims | None]:
    """The shape of each array, () of an empty one, None for NULL."""
    if is_shaped(array):
        return [None if dims is None else tuple(dims) for dims in array.flatten()[1].to_pylist()]
    offsets = np.diff(array.offsets.to_numpy()) if len(array) else np.zeros(0, np.int32)
    valid = views.validity(array)
    found: list[Dims | None] = [(size, 1) if size else () for size in offsets.tolist()]
    return found if valid is None else [dims if known else None for dims, known in zip(found, valid.tolist(), strict=True)]


def is_plain(dims: Dims | None) -> bool:
    """Whether a list alone says as much."""
    return not dims or (len(dims) == 2 and dims[1] == 1)


def made(items: pa.Array, dims: Sequence[Dims | None]) -> pa.Array:
    """Arrays of these elements (a list column, NULL for NULL) and shapes, as plain lists where all may be."""
    if all(is_plain(one) for one in dims):
        return items
    shapes = pa.array([one or () for one in dims], pa.list_(pa.int32()))
    return struct_of(items, shapes)


def with_items(array: pa.Array, items: pa.Array) -> pa.Array:
    """Arrays of `array`'s shapes over other elements: `items` has a list of as many for each row."""
    return struct_of(items, array.flatten()[1]) if is_shaped(array) else items


def values_of(array: pa.Array, element: SqlType | None = None) -> list[Any]:
    """Python lists of elements, in either form; those of `element` types whose items are texts of numbers as pairs that
    are equal and ordered as the numbers are."""
    found = items_of(array).to_pylist()
    if element is None or not element.varies:
        return found
    return [None if items is None else [None if item is None else number_key(item) for item in items] for items in found]


def number_key(text: str) -> tuple[int, Decimal]:
    """What orders numbers: NaN above all."""
    value = decimal_of(text)
    return (1, Decimal()) if value.is_nan() else (0, EXACT.normalize(value))


def sizes(dims: Dims) -> Dims:
    return dims[::2]


def bounds(dims: Dims) -> Dims:
    return dims[1::2]


def order_key(dims: Dims | None) -> tuple[Any, ...]:
    """What orders arrays of the same elements: the number of dimensions, their sizes, their lower bounds."""
    return (0, (), ()) if dims is None else (len(dims) // 2, sizes(dims), bounds(dims))


def nested(items: Sequence[Any], dims: Dims) -> list[Any]:
    """The elements as lists in lists, one level for each dimension."""
    found = list(items)
    for size in reversed(sizes(dims)[1:]):
        found = [found[i:i + size] for i in range(0, len(found), size)]
    return found


def nested_texts(array: pa.Array, items: Sequence[str], brackets: str) -> Iterator[tuple[Dims | None, str]]:
    """Shape and text of each array: its share of `items` between `brackets` ("{}"), nested by dimension."""
    opening, closing = brackets[0], brackets[1]
    at = 0
    for dims in dims_of(array):
        if dims is None:
            yield None, ""
            continue
        count = math.prod(sizes(dims)) if dims else 0
        texts = items[at:at + count]
        at += count
        for size in reversed(sizes(dims)[1:]):
            texts = [opening + ",".join(texts[i:i + size]) + closing for i in range(0, len(texts), size)]
        yield dims, opening + ",".join(texts) + closing


def prefix(dims: Dims) -> str:
    """The bounds as array_out writes them before an array that does not begin at 1: [0:1][1:2]=, or nothing."""
    return "" if all(low == 1 for low in bounds(dims)) else bounds_text(dims) + "="


def bounds_text(dims: Dims) -> str:
    """[1:2][0:4] of a shape, as array_dims gives it."""
    return "".join(f"[{low}:{low + size - 1}]" for size, low in zip(sizes(dims), bounds(dims), strict=True))


def physical_shape(items: Sequence[Any], dims: Dims) -> Any:
    """A physical value (exec/plan/expr.py): a list where that says all, else a ShapedArray."""
    if is_plain(dims):
        return list(items)
    return ShapedArray(tuple(_hashable(item) for item in items), dims)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
