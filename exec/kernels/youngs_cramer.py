"""Float sums and sums of squared deviations, value by value as PostgreSQL adds them, for many groups at once.

Rows come in groups: `starts` are the first rows of ascending runs. Every result is the same to the last digit as that of
a loop over the run's rows: what is added one after another here is added in that order.

Spec: PostgreSQL's float8_accum and float8_regr_accum (Youngs and Cramer 1971).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoal.catalog.errors import NumericOutOfRange
from shoal.exec.kernels import sorting

_LONG = 48
"""Runs from this many rows on are summed each by a call of its own, shorter ones row by row together."""


def running_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The sum of each run up to each of its rows (float64, or float32 kept so)."""
    if len(starts) == 1:
        return np.add.accumulate(values)
    sums = values.copy()
    lengths = np.diff(starts, append=len(values))
    for first in np.flatnonzero(lengths >= _LONG).tolist():
        run = slice(int(starts[first]), int(starts[first] + lengths[first]))
        np.add.accumulate(values[run], out=sums[run])
    short = lengths < _LONG
    at, left = starts[short] + 1, lengths[short] - 1
    while len(at):
        more = left > 0
        at, left = at[more], left[more] - 1
        sums[at] += sums[at - 1]
        at = at + 1
    return sums


@dataclass(slots=True)
class Grouped:
    """A batch's rows in order of groups, as runs."""

    order: np.ndarray | None
    """Row numbers; None where the rows are in order already."""
    starts: np.ndarray
    ends: np.ndarray
    """The last row of each run."""
    groups: np.ndarray
    """The code of each run."""
    number: np.ndarray
    """Each row's number within its run, from 1 (float64)."""

    def taken(self, values: np.ndarray) -> np.ndarray:
        return values if self.order is None else values.take(self.order)


def grouped(codes: np.ndarray) -> Grouped:
    order = None
    if len(codes) and (codes[1:] < codes[:-1]).any():
        order = sorting.stable_order(codes, int(codes.max()).bit_length())
        codes = codes.take(order)
    starts = sorting.run_starts(codes)
    lengths = np.diff(starts, append=len(codes))
    number = np.arange(1, len(codes) + 1) - np.repeat(starts, lengths)
    return Grouped(order, starts, starts + lengths - 1, codes[starts], number.astype(np.float64))


def accumulated(rows: Grouped, values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """running_sums of values in the order of `rows` that go on from a sum for each run."""
    first = values.copy()
    first[rows.starts] = before + values[rows.starts]
    return running_sums(first, rows.starts)


def squares(number: np.ndarray, values: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """What each row adds to the sum of squared deviations: `number` counts the rows so far, `sums` have the row's value.
    A group's first row adds NaN where it is not finite."""
    first = number == 1
    with np.errstate(invalid="ignore", over="ignore"):
        apart = values * number - sums
        found = apart * apart / np.where(first, 1.0, number * (number - 1))
    return np.where(first, np.where(np.isfinite(values), 0.0, np.nan), found)


def products(number: np.ndarray, x: np.ndarray, sum_x: np.ndarray, y: np.ndarray,
             sum_y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each row adds to Sxx, Syy and Sxy, likewise (which PostgreSQL rounds in another order than `squares`)."""
    first = number == 1
    with np.errstate(invalid="ignore", over="ignore"):
        scale = 1.0 / np.where(first, 1.0, number * (number - 1))
        apart_x, apart_y = x * number - sum_x, y * number - sum_y
        found = (apart_x * apart_x * scale, apart_y * apart_y * scale, apart_x * apart_y * scale)
    lost_x, lost_y = (np.where(np.isfinite(values), 0.0, np.nan) for values in (x, y))
    starts = (lost_x, lost_y, lost_x + lost_y)
    return (np.where(first, starts[0], found[0]), np.where(first, starts[1], found[1]), np.where(first, starts[2], found[2]))


def merged(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """States of two sets of rows as those of all of them: rows of (N, Sx, Sxx) or (N, Sx, Sxx, Sy, Syy, Sxy)."""
    total = left + right
    n, m = left[:, 0], right[:, 0]
    both = (n > 0) & (m > 0)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        weight = np.where(both, n * m / np.maximum(n + m, 1.0), 0.0)
        n, m = np.maximum(n, 1.0), np.maximum(m, 1.0)
        apart = np.where(both, left[:, 1] / n - right[:, 1] / m, 0.0)
        total[:, 2] += weight * apart * apart
        if left.shape[1] > 3:
            other = np.where(both, left[:, 3] / n - right[:, 3] / m, 0.0)
            total[:, 4] += weight * other * other
            total[:, 5] += weight * apart * other
    return total


def settled(moment: np.ndarray, sums: tuple[np.ndarray, ...], finite: np.ndarray) -> np.ndarray:
    """Sums of products with NaN for what left the numbers. `finite`: where all that was put in was finite.

    Raises: NumericOutOfRange (22003) where finite values overflowed.
    """
    lost = np.isinf(moment)
    for each in sums:
        lost |= ~np.isfinite(each)
    if not lost.any():
        return moment
    if (lost & finite).any():
        raise NumericOutOfRange("value out of range: overflow")
    return np.where(lost, np.nan, moment)
