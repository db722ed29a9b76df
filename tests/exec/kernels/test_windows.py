"""Operations over ranges of rows give what a loop over each range gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from shoal.exec.kernels import windows, youngs_cramer


def ranges_of(random: np.random.Generator, rows: int, parts: int) -> windows.Ranges:
    found = []
    for _ in range(parts):
        start = random.integers(0, rows, rows)
        found.append((start, np.minimum(rows, start + random.integers(0, rows, rows))))
    return found


@pytest.mark.parametrize("rows", [1, 2, 63, 200])
@pytest.mark.parametrize(("combine", "identity"), [(np.maximum, -1), (np.bitwise_and, -1), (np.bitwise_or, 0)])
def test_operations_that_may_count_twice(rows: int, combine: Callable[..., np.ndarray], identity: int) -> None:
    random = np.random.default_rng(rows)
    values = random.integers(0, 1 << 20, rows)
    ranges = ranges_of(random, rows, 2)
    found = windows.overlapping(values, combine, identity, ranges)
    for row in range(rows):
        wanted = identity
        for start, end in ranges:
            for value in values[start[row]:end[row]]:
                wanted = combine(wanted, value)
        assert found[row] == wanted


def test_running_extremes_restart_with_partitions() -> None:
    random = np.random.default_rng(3)
    partition = np.sort(random.integers(0, 9, 100))
    values = random.integers(-1, 100, 100)
    layout = windows.layout_of(partition, np.zeros(100, np.int64))
    least, largest = (windows.accumulated(values, big, layout) for big in (False, True))
    for row in range(100):
        before = values[:row + 1][partition[:row + 1] == partition[row]]
        assert (least[row], largest[row]) == (before.min(), before.max())


def test_trees_hold_rows_of_a_matrix() -> None:
    random = np.random.default_rng(4)
    values = random.normal(0, 1, 50)
    states = np.column_stack([np.ones(50), values, np.zeros(50)])
    (start, end), = ranges_of(random, 50, 1)
    found = windows.SegmentTree(states, youngs_cramer.merged, np.zeros(3)).over([(start, end)])
    for row in range(50):
        mine = values[start[row]:end[row]]
        assert found[row, 0] == len(mine)
        if len(mine):
            assert np.isclose(found[row, 2], ((mine - mine.mean()) ** 2).sum())


def test_search_in_one_and_in_many_partitions() -> None:
    keys = np.array([1, 3, 3, 7, 2, 2, 9])
    low, high = np.array([0] * 4 + [4] * 3), np.array([4] * 4 + [7] * 3)
    targets = np.array([3, 0, 8, 7, 2, 9, 10])
    assert windows.search(keys, targets, low, high, False).tolist() == [1, 0, 4, 3, 4, 6, 7]
    assert windows.search(keys, targets, low, high, True).tolist() == [3, 0, 4, 4, 6, 7, 7]
    assert windows.search(keys[:4], targets[:4], low[:4], high[:4], True).tolist() == [3, 0, 4, 4]
