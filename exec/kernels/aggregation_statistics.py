"""Accumulators made of several sums: avg, exact variances of integers and numerics.

Spec: PostgreSQL 15 documentation, 9.21, table 9.60 "Aggregate Functions for Statistics".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import NUMERIC, SqlType
from shoal.exec.kernels import decimals, scaled, views
from shoal.exec.kernels.aggregation import Accumulator, CountRows, SeenBefore, SumIntegers
from shoal.exec.kernels.aggregation_floats import SumFloats
from shoal.exec.kernels.aggregation_scaled import ScaledSums, SumScaled, average
from shoal.exec.kernels.nulls import validity

_EXACT_ROOTS = 2.0 ** 50
"""Below, floats are near enough to square roots to tell them exactly."""


class Average(Accumulator):
    """avg of numbers: exact sum over count."""

    def __init__(self, argument: SqlType, result: SqlType) -> None:
        self._floats = result.name == "float8"
        self._total = NUMERIC if argument.varies else SqlType("numeric", 76, argument.scale or 0)
        self._sum: Accumulator = SumFloats(result, True) if self._floats else SumScaled(argument, True) if (
            argument.varies) else SumIntegers(self._total, True)
        self._count = CountRows(True)

    def resize(self, size: int) -> None:
        self._sum.resize(size)
        self._count.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._sum.move(where, size)
        self._count.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        self._sum.update(codes, columns, before)
        self._count.update(codes, columns, before)

    def finish(self, codes: np.ndarray) -> pa.Array:
        sums, counts = self._sum.finish(codes), views.values(self._count.finish(codes))
        valid = None if counts.all() else counts > 0
        divisor = np.maximum(counts, 1)
        if self._floats:
            return views.array_of(views.values(sums) / divisor, pa.float64(), valid)
        return average(scaled.read(sums, self._total), divisor, valid)

    @property
    def nbytes(self) -> int:
        return self._sum.nbytes + self._count.nbytes


class ExactMoments(Accumulator):
    """Variance family of integers and numerics: exact sums of values and squares, one division at the end.

    That of a group with a NaN or an infinity is NaN. Result scales are PostgreSQL's: those of the division.
    """

    def __init__(self, name: str, argument: SqlType) -> None:
        self._name, self._argument = name, argument
        self._sum, self._squares, self._count = ScaledSums(), ScaledSums(), CountRows(True)

    def resize(self, size: int) -> None:
        for state in (self._sum, self._squares, self._count):
            state.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        for state in (self._sum, self._squares, self._count):
            state.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        valid = validity(columns[0])
        self._count.update(codes, columns, before)
        data = scaled.read(columns[0], self._argument)
        if valid is not None:
            rows = np.flatnonzero(valid)
            codes, data = codes.take(rows), data.take(rows)
        self._sum.add(codes, data)
        plain = scaled.Scaled(data.values, data.scales)
        self._squares.add(codes, scaled.exact_product(plain, plain))

    def finish(self, codes: np.ndarray) -> pa.Array:
        counts = views.values(self._count.finish(codes))
        return exact_variances(self._name, counts, self._sum.totals(codes), self._squares.totals(codes))

    @property
    def nbytes(self) -> int:
        return self._sum.nbytes + self._squares.nbytes + self._count.nbytes


def exact_variances(name: str, counts: np.ndarray, sums: scaled.Scaled, squares: scaled.Scaled) -> pa.Array:
    """The result of a member of the variance family from counts, sums of values, and sums of their squares."""
    sample = name in ("stddev", "stddev_samp", "variance", "var_samp")
    valid = counts >= (2 if sample else 1)
    numbers = scaled.Scaled(counts, np.zeros(len(counts), np.int64))
    total = scaled.Scaled(sums.values, sums.scales)
    spread = scaled.subtract(scaled.exact_product(numbers, squares), scaled.exact_product(total, total))
    divisor = scaled.Scaled(np.maximum(counts * (counts - 1 if sample else counts), 1), numbers.scales)
    found = scaled.divide(spread, divisor, None)
    if name.startswith("stddev"):
        found = scaled.Scaled(_roots(found), found.scales)
    nothing = np.asarray(spread.values <= 0, np.bool_)  # a 0 without digits after the point
    odd = None if sums.odd is None else np.where(sums.odd != 0, np.nan, 0.0)
    result = scaled.Scaled(np.where(nothing, 0, found.values), np.where(nothing, 0, found.scales), odd)
    return scaled.written(result, None if valid.all() else valid)


def _roots(data: scaled.Scaled) -> np.ndarray:
    """Square roots at the same scales, to the nearest last digit; 0 of what is below 0."""
    values, scales = np.maximum(data.values, 0), data.scales
    with np.errstate(over="ignore"):
        try:
            near = np.sqrt(values.astype(np.float64)) * 10.0 ** (scales / 2.0)
        except OverflowError:
            return _wide_roots(values, scales)
    narrow = (near < _EXACT_ROOTS) & np.asarray(values <= decimals.INT64_MAX, np.bool_)
    if narrow.all():
        return _narrow_roots(values.astype(np.int64), scales, near)
    found, rest = np.zeros(len(data), object), ~narrow
    found[narrow] = _narrow_roots(values[narrow].astype(np.int64), scales[narrow], near[narrow])
    found[rest] = _wide_roots(values[rest], scales[rest])
    return found


def _narrow_roots(values: np.ndarray, scales: np.ndarray, near: np.ndarray) -> np.ndarray:
    """`near` is off by a few at most, and so the remainder is small: exact though its parts are taken modulo 2**64."""
    if not len(values):
        return values
    roots = np.rint(near).astype(np.int64)
    powers = np.array([10 ** scale % (1 << 64) for scale in range(int(scales.max()) + 1)], np.uint64)
    wide = values.view(np.uint64) * powers.take(scales)
    rest = (wide - roots.view(np.uint64) * roots.view(np.uint64)).view(np.int64)
    while (low := rest > roots).any():
        rest -= np.where(low, 2 * roots + 1, 0)
        roots += low
    while (high := (rest <= -roots) & (roots > 0)).any():
        roots -= high
        rest += np.where(high, 2 * roots + 1, 0)
    return roots


def _wide_roots(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    found = np.zeros(len(values), object)
    for row, (value, scale) in enumerate(zip(values.tolist(), scales.tolist(), strict=True)):
        wide = max(value, 0) * 10 ** scale
        root = math.isqrt(wide)
        found[row] = root + (wide - root * root > root)
    return found
