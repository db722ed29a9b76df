"""Accumulators made of several sums: avg, exact variances of integers and numerics, two-column regression.

Spec: PostgreSQL 15 documentation, 9.21, table 9.60 "Aggregate Functions for Statistics".
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.kernels import canonical, decimals, views
from shoal.exec.kernels.aggregation import Accumulator, CountRows, SeenBefore, SumFloats, SumIntegers
from shoal.exec.kernels.exactsum import ExactSum, moved, resized
from shoal.exec.kernels.nulls import validity
from shoal.exec.kernels.special_rules import SpecialSums

_SMALL = 3_037_000_499  # its square fits int64


class Average(Accumulator):
    """avg of numbers: exact sum over count, rounded half away from zero at the result's scale."""

    def __init__(self, argument: SqlType, result: SqlType) -> None:
        self._result, self._digits = result, (result.scale or 0) - (argument.scale or 0)
        self._floats = result.name == "float8"
        total = SqlType("numeric", 76, argument.scale or 0)
        self._sum: Accumulator = SumFloats(result, True) if self._floats else SumIntegers(total, True)
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
        found = specials.stand_ins(sums)
        total = decimals.unscaled(sums if found is None else specials.as_zero(sums, found))
        if valid is not None:
            total = np.where(valid, total, 0)
        result = decimals.packed(decimals.divide(total, divisor, self._digits, len(codes)), self._result.scale or 0, valid)
        return result if found is None else specials.placed(result, found, self._result.scale or 0)

    @property
    def nbytes(self) -> int:
        return self._sum.nbytes + self._count.nbytes


class ExactMoments(Accumulator):
    """Variance family of integers and numerics: exact sums of values and squares, one division at the end.

    That of a group with a NaN or an infinity is NaN.
    """

    def __init__(self, name: str, argument: SqlType, result: SqlType) -> None:
        self._name, self._scale, self._result = name, argument.scale or 0, result
        self._sum, self._squares, self._count, self._specials = ExactSum(), ExactSum(), CountRows(True), SpecialSums()

    def resize(self, size: int) -> None:
        for state in (self._sum, self._squares, self._count, self._specials):
            state.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        for state in (self._sum, self._squares, self._count, self._specials):
            state.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        array, valid = columns[0], validity(columns[0])
        self._count.update(codes, columns, before)
        if valid is not None:
            rows = np.flatnonzero(valid)
            codes, array = codes.take(rows), array.take(pa.array(rows))
        if len(array) == 0:
            return
        array = self._specials.apart(codes, array)
        self._sum.add_array(codes, array)
        values = canonical.int64_of(array)
        if values is not None and max(-int(values.min()), int(values.max())) <= _SMALL:
            self._squares.add(codes, values * values)
        else:
            exact = decimals.unscaled(array)
            squares = b"".join((int(v) ** 2).to_bytes(64, "little") for v in exact)  # type: ignore[union-attr]
            self._squares.add_words(codes, np.frombuffer(squares, np.int64).reshape(-1, 8))

    def finish(self, codes: np.ndarray) -> pa.Array:
        counts = views.values(self._count.finish(codes)).tolist()
        sample = self._name in ("stddev", "stddev_samp", "variance", "var_samp")
        root = self._name.startswith("stddev")
        scale = self._result.scale or 0
        context = decimal.Context(prec=160)
        step = decimal.Decimal(1).scaleb(-scale)
        found: list[int | None] = []
        for count, total, squares in zip(counts, self._sum.objects(codes), self._squares.objects(codes), strict=True):
            if count < (2 if sample else 1):
                found.append(None)
                continue
            numerator = decimal.Decimal(count * squares - total * total).scaleb(-2 * self._scale, context)
            value = context.divide(numerator, decimal.Decimal(count * (count - 1 if sample else count)))
            if root:
                value = context.sqrt(value)
            value = value.quantize(step, rounding=decimal.ROUND_HALF_UP, context=context)
            found.append(int(value.scaleb(scale, context)))
        valid = np.array([v is not None for v in found], np.bool_)
        data = np.array([v or 0 for v in found], object)
        result, special = decimals.packed(data, scale, None if valid.all() else valid), self._specials.mask(codes)
        return result if special is None else specials.placed(result, np.where(special & valid, np.nan, 0.0), scale)

    @property
    def nbytes(self) -> int:
        return self._sum.nbytes + self._squares.nbytes + self._count.nbytes


class Regression(Accumulator):
    """corr, covar_*, regr_* of (Y, X) in float8; rows where either is NULL do not count. Merged batch by batch."""

    def __init__(self, name: str, result: SqlType) -> None:
        self._name, self._type = name, result
        self._state = [np.zeros(0) for _ in range(6)]  # n, mean x, mean y, Sxx, Syy, Sxy

    def resize(self, size: int) -> None:
        self._state = [resized(state, size) for state in self._state]

    def move(self, where: np.ndarray, size: int) -> None:
        self._state = [moved(state, where, size) for state in self._state]

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        keep = np.ones(len(codes), np.bool_)
        for column in columns[:2]:
            valid = validity(column)
            keep = keep if valid is None else keep & valid
        rows = np.flatnonzero(keep)
        if len(rows) == 0:
            return
        y, x = (views.values(column).astype(np.float64).take(rows) for column in columns[:2])
        groups, local = np.unique(codes.take(rows), return_inverse=True)
        count = np.bincount(local).astype(np.float64)
        mean_x, mean_y = np.bincount(local, x) / count, np.bincount(local, y) / count
        dx, dy = x - mean_x[local], y - mean_y[local]
        had, old_x, old_y, *_ = (state[groups] for state in self._state)
        total = had + count
        shift_x, shift_y = mean_x - old_x, mean_y - old_y
        weight = had * count / total
        self._state[1][groups] += shift_x * count / total
        self._state[2][groups] += shift_y * count / total
        self._state[3][groups] += np.bincount(local, dx * dx) + shift_x * shift_x * weight
        self._state[4][groups] += np.bincount(local, dy * dy) + shift_y * shift_y * weight
        self._state[5][groups] += np.bincount(local, dx * dy) + shift_x * shift_y * weight
        self._state[0][groups] = total

    def finish(self, codes: np.ndarray) -> pa.Array:
        n, mean_x, mean_y, sxx, syy, sxy = (state.take(codes) for state in self._state)
        if self._name == "regr_count":
            return views.array_of(n.astype(np.int64), pa.int64())
        with np.errstate(divide="ignore", invalid="ignore"):
            found, valid = {
                "corr": lambda: (sxy / np.sqrt(sxx * syy), (n > 0) & (sxx != 0) & (syy != 0)),
                "covar_pop": lambda: (sxy / n, n > 0),
                "covar_samp": lambda: (sxy / (n - 1), n > 1),
                "regr_avgx": lambda: (mean_x, n > 0),
                "regr_avgy": lambda: (mean_y, n > 0),
                "regr_intercept": lambda: (mean_y - mean_x * sxy / sxx, (n > 0) & (sxx != 0)),
                "regr_r2": lambda: (np.where(syy == 0, 1.0, sxy * sxy / (sxx * syy)), (n > 0) & (sxx != 0)),
                "regr_slope": lambda: (sxy / sxx, (n > 0) & (sxx != 0)),
                "regr_sxx": lambda: (sxx, n > 0),
                "regr_sxy": lambda: (sxy, n > 0),
                "regr_syy": lambda: (syy, n > 0),
            }[self._name]()
        return views.array_of(np.where(valid, found, 0.0), storage_type(self._type), None if valid.all() else valid)

    @property
    def nbytes(self) -> int:
        return 6 * self._state[0].nbytes
