"""Frames of window functions as row ranges, and functions over such ranges, for all rows of all partitions at once.

Rows are numbered in sorted order (by partition, then by the window's order). A frame is for every row one or more
ranges [start, end) of row numbers. Sums of integers come from exact prefix sums; floats, extremes and bit operations
from a segment tree: log2(rows) gathers, without the cancellation that differences of float prefix sums suffer.

Spec: PostgreSQL 15 documentation, 4.2.8 "Window Function Calls" and 9.22.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shoal.exec.kernels import sorting

Ranges = list[tuple[np.ndarray, np.ndarray]]


@dataclass(slots=True)
class Layout:
    """Sorted rows: of each row's partition and peer group, the first row and the row after the last (int64)."""

    rows: int
    partition_start: np.ndarray
    partition_end: np.ndarray
    peer_start: np.ndarray
    peer_end: np.ndarray
    partition_number: np.ndarray
    """Partitions counted from 0."""
    peer_number: np.ndarray
    """Peer groups counted from 0 over all partitions."""
    peer_starts: np.ndarray
    """First row of each peer group."""


def layout_of(partition_codes: np.ndarray, peer_codes: np.ndarray) -> Layout:
    """From codes in sorted order: equal neighbours belong together. Peers are told apart within partitions only."""
    rows = len(partition_codes)
    starts = sorting.run_starts(partition_codes)
    changes = np.zeros(rows, np.bool_)
    changes[starts] = True
    changes[sorting.run_starts(peer_codes)] = True
    peers = np.flatnonzero(changes)
    lengths, peer_lengths = np.diff(starts, append=rows), np.diff(peers, append=rows)
    number, peer_number = np.repeat(np.arange(len(starts)), lengths), np.repeat(np.arange(len(peers)), peer_lengths)
    return Layout(rows, np.repeat(starts, lengths), np.repeat(starts + lengths, lengths), np.repeat(peers, peer_lengths),
                  np.repeat(peers + peer_lengths, peer_lengths), number, peer_number, peers)


def row_number(layout: Layout) -> np.ndarray:
    return np.arange(layout.rows) - layout.partition_start + 1


def rank(layout: Layout) -> np.ndarray:
    return layout.peer_start - layout.partition_start + 1


def dense_rank(layout: Layout) -> np.ndarray:
    return layout.peer_number - layout.peer_number[layout.partition_start] + 1 if layout.rows else np.zeros(0, np.int64)


def percent_rank(layout: Layout) -> np.ndarray:
    others = layout.partition_end - layout.partition_start - 1
    return np.where(others > 0, (rank(layout) - 1) / np.maximum(others, 1), 0.0)


def cume_dist(layout: Layout) -> np.ndarray:
    return (layout.peer_end - layout.partition_start) / (layout.partition_end - layout.partition_start)


def ntile(layout: Layout, buckets: np.ndarray) -> np.ndarray:
    """`buckets` (positive) for each row; the larger buckets come first."""
    count = layout.partition_end - layout.partition_start
    place = np.arange(layout.rows) - layout.partition_start
    small, larger = count // buckets, count % buckets
    border = larger * (small + 1)
    return np.where(place < border, place // (small + 1), larger + (place - border) // np.maximum(small, 1)) + 1


def search(keys: np.ndarray, targets: np.ndarray, low: np.ndarray, high: np.ndarray, right: bool) -> np.ndarray:
    """For each row, where targets[row] goes into the ascending keys[low[row]:high[row]] (like np.searchsorted)."""
    if len(low) and low[0] == low[-1] and (low == low[0]).all() and (high == high[0]).all():
        first, last = int(low[0]), int(high[0])
        return first + np.searchsorted(keys[first:last], targets, "right" if right else "left")
    low, high = low.copy(), high.copy()
    while True:
        open_rows = np.flatnonzero(low < high)
        if not len(open_rows):
            return low
        middle = (low[open_rows] + high[open_rows]) >> 1
        found, wanted = keys[middle], targets[open_rows]
        below = found <= wanted if right else found < wanted
        low[open_rows[below]] = middle[below] + 1
        high[open_rows[~below]] = middle[~below]


def without(frame: tuple[np.ndarray, np.ndarray], layout: Layout, exclude: str) -> Ranges:
    """The frame less its EXCLUDE clause, as ranges in order."""
    start, end = frame
    end = np.maximum(start, end)
    if not exclude:
        return [(start, end)]
    rows = np.arange(layout.rows)
    if exclude == "current_row":
        first, last = rows, rows + 1
    else:
        first, last = layout.peer_start, layout.peer_end
    ranges = [(start, np.maximum(start, np.minimum(end, first)))]
    if exclude == "ties":
        inside = (rows >= start) & (rows < end)
        ranges.append((rows, np.where(inside, rows + 1, rows)))
    ranges.append((np.minimum(end, np.maximum(start, last)), end))
    return ranges


def counted(ranges: Ranges) -> np.ndarray:
    """How many rows each frame has."""
    total = np.zeros(len(ranges[0][0]), np.int64)
    for start, end in ranges:
        total += end - start
    return total


def nth_row(ranges: Ranges, place: np.ndarray) -> np.ndarray:
    """The row at `place` (from 0) of each frame, -1 where the frame is shorter (or place is negative)."""
    found = np.full(len(place), -1, np.int64)
    left = place.copy()
    for start, end in ranges:
        size = end - start
        here = (left >= 0) & (left < size) & (found < 0)
        found[here] = (start + left)[here]
        left = np.where(found < 0, left - size, left)
    return found


def prefix_sums(values: np.ndarray) -> np.ndarray:
    """rows + 1 exact running sums of int64 or object values: int64 where they surely fit, else Python integers."""
    if values.dtype != object and len(values) and len(values) * max(-int(values.min()), int(values.max())) >= 1 << 63:
        values = values.astype(object)
    sums = np.zeros(len(values) + 1, values.dtype)
    np.cumsum(values, out=sums[1:])
    return sums


def range_sums(prefix: np.ndarray, ranges: Ranges) -> np.ndarray:
    total = prefix[ranges[0][1]] - prefix[ranges[0][0]]
    for start, end in ranges[1:]:
        total = total + (prefix[end] - prefix[start])
    return total


def overlapping(values: np.ndarray, combine: Callable[..., np.ndarray], identity: object, ranges: Ranges) -> np.ndarray:
    """An operation that may count rows twice (extremes, AND, OR) over each row's ranges.

    The operation over all windows of 1, 2, 4 ... rows is made in turn; a range is two of the longest that fit in it.
    """
    found = np.full(len(ranges[0][0]), identity, values.dtype)
    sizes = [end - start for start, end in ranges]
    longest = max((int(size.max(initial=0)) for size in sizes), default=0)
    made, width = values, 1
    while width <= longest:
        for (start, end), size in zip(ranges, sizes, strict=True):
            rows = np.flatnonzero((size >= width) & (size < 2 * width))
            if len(rows):
                both = combine(made[start[rows]], made[end[rows] - width])
                found[rows] = combine(found[rows], both)
        if 2 * width <= longest:
            made = combine(made[:-width], made[width:])
        width *= 2
    return found


def accumulated(values: np.ndarray, largest: bool, layout: Layout) -> np.ndarray:
    """The extreme of each row's partition up to the row. Values are ranks from -1 to the number of rows."""
    base = layout.partition_number * (layout.rows + 2)
    if largest:
        return np.maximum.accumulate(values + base) - base
    return np.minimum.accumulate(values - base) + base


class SegmentTree:
    """Answers an associative operation over any ranges of rows. Values may be rows of a matrix: `identity` is one then."""

    def __init__(self, values: np.ndarray, combine: Callable[..., np.ndarray], identity: object) -> None:
        self._size = 1 << max(0, (len(values) - 1).bit_length()) if len(values) else 1
        self._combine, self._identity = combine, identity
        self._tree = np.full((2 * self._size, *values.shape[1:]), identity, values.dtype)
        self._tree[self._size:self._size + len(values)] = values
        level = self._size
        while level > 1:
            half = level >> 1
            self._tree[half:level] = combine(self._tree[level:2 * level:2], self._tree[level + 1:2 * level:2])
            level = half

    def over(self, ranges: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """The operation over each row's ranges."""
        found = np.full((len(ranges[0][0]), *self._tree.shape[1:]), self._identity, self._tree.dtype)
        for start, end in ranges:
            rows = np.flatnonzero(start < end)
            left, right = start[rows] + self._size, end[rows] + self._size
            while len(rows):
                odd = np.flatnonzero(left & 1)
                found[rows[odd]] = self._combine(found[rows[odd]], self._tree[left[odd]])
                left[odd] += 1
                odd = np.flatnonzero(right & 1)
                right[odd] -= 1
                found[rows[odd]] = self._combine(found[rows[odd]], self._tree[right[odd]])
                left, right = left >> 1, right >> 1
                go_on = np.flatnonzero(left < right)
                if len(go_on) < len(rows):
                    rows, left, right = rows[go_on], left[go_on], right[go_on]
        return found
