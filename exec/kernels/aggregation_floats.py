"""Accumulators over float4 and float8: sums, the variance family, two-column regression, digit by digit as PostgreSQL's.

Spec: PostgreSQL 15 documentation, 9.21, table 9.60 "Aggregate Functions for Statistics"; float8_accum, float8_regr_accum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.kernels import views, youngs_cramer
from shoal.exec.kernels.aggregation import Accumulator, Presence, SeenBefore
from shoal.exec.kernels.exactsum import moved, resized
from shoal.exec.kernels.nulls import merged_validity, validity

_SAMPLES = frozenset({"stddev", "stddev_samp", "variance", "var_samp"})


class SumFloats(Accumulator):
    """sum of float4, kept in float4, and of float8."""

    def __init__(self, sql_type: SqlType, filtered: bool) -> None:
        self._type = sql_type
        self._sums = np.zeros(0, np.float32 if sql_type.name == "float4" else np.float64)
        self._presence = Presence(filtered)

    def resize(self, size: int) -> None:
        self._sums = resized(self._sums, size, -0.0)  # which changes nothing it is added to, not even -0
        self._presence.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._sums = moved(self._sums, where, size, -0.0)
        self._presence.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        array = columns[0]
        rows = self._presence.keep(codes, validity(array), len(self._sums), before)
        values = views.values(array).astype(self._sums.dtype, copy=False)
        if rows is not None:
            codes, values = codes.take(rows), values.take(rows)
        had_infinity = not np.isfinite(self._sums).all()
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(self._sums, codes, values)
        if not had_infinity and not np.isfinite(self._sums).all() and np.isfinite(values).all():
            raise NumericOutOfRange("value out of range: overflow")

    def finish(self, codes: np.ndarray) -> pa.Array:
        return views.array_of(self._sums.take(codes), storage_type(self._type), self._presence.mask(codes))

    @property
    def nbytes(self) -> int:
        return self._sums.nbytes


class _Sums(Accumulator):
    """States of several floats for each group: the count first, then `width` sums."""

    def __init__(self, width: int) -> None:
        self._state = [np.zeros(0) for _ in range(1 + width)]

    def resize(self, size: int) -> None:
        self._state = [resized(state, size) for state in self._state]

    def move(self, where: np.ndarray, size: int) -> None:
        self._state = [moved(state, where, size) for state in self._state]

    @property
    def nbytes(self) -> int:
        return len(self._state) * self._state[0].nbytes

    def _known(self, codes: np.ndarray, columns: Sequence[pa.Array]) -> tuple[np.ndarray, list[np.ndarray]]:
        """The rows without NULL."""
        valid = merged_validity(columns)
        values = [views.values(column).astype(np.float64, copy=False) for column in columns]
        if valid is not None:
            rows = np.flatnonzero(valid)
            codes, values = codes.take(rows), [value.take(rows) for value in values]
        return codes, values


class Moments(_Sums):
    """Variance family: count, sum and sum of squared deviations."""

    def __init__(self, name: str, sql_type: SqlType) -> None:
        super().__init__(2)
        self._name, self._type = name, sql_type

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        codes, (values,) = self._known(codes, columns[:1])
        if len(values) == 0:
            return
        rows = youngs_cramer.grouped(codes)
        count, total, square = (state[rows.groups] for state in self._state)
        values = rows.taken(values)
        number = rows.number + np.repeat(count, np.diff(rows.starts, append=len(values)))
        with np.errstate(invalid="ignore", over="ignore"):
            sums = youngs_cramer.accumulated(rows, values, total)
            moments = youngs_cramer.accumulated(rows, youngs_cramer.squares(number, values, sums), square)
        finite = np.logical_and.reduceat(np.isfinite(values), rows.starts) & np.isfinite(total) & np.isfinite(square)
        sum_end = sums[rows.ends]
        self._state[0][rows.groups] = number[rows.ends]
        self._state[1][rows.groups] = sum_end
        self._state[2][rows.groups] = youngs_cramer.settled(moments[rows.ends], (sum_end,), finite)

    def finish(self, codes: np.ndarray) -> pa.Array:
        count, _, square = (state.take(codes) for state in self._state)
        return variances(self._name, count, square, self._type)


def variances(name: str, count: np.ndarray, squares: np.ndarray, sql_type: SqlType) -> pa.Array:
    """The result of a member of the variance family from counts and sums of squared deviations."""
    divisor = count - 1 if name in _SAMPLES else count
    valid = divisor > 0
    found = squares / np.where(valid, divisor, 1)
    if name.startswith("stddev"):
        found = np.sqrt(found)
    return views.array_of(found, storage_type(sql_type), None if valid.all() else valid)


class Regression(_Sums):
    """corr, covar_*, regr_* of (Y, X) in float8; rows where either is NULL do not count."""

    def __init__(self, name: str, result: SqlType) -> None:
        super().__init__(5)  # Sx, Sxx, Sy, Syy, Sxy
        self._name, self._type = name, result

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        codes, (y, x) = self._known(codes, columns[:2])
        if len(x) == 0:
            return
        rows = youngs_cramer.grouped(codes)
        count, *sums = (state[rows.groups] for state in self._state)
        x, y = rows.taken(x), rows.taken(y)
        number = rows.number + np.repeat(count, np.diff(rows.starts, append=len(x)))
        with np.errstate(invalid="ignore", over="ignore"):
            sum_x = youngs_cramer.accumulated(rows, x, sums[0])
            sum_y = youngs_cramer.accumulated(rows, y, sums[2])
            xx, yy, xy = youngs_cramer.products(number, x, sum_x, y, sum_y)
            moments = [youngs_cramer.accumulated(rows, added, had)[rows.ends]
                       for added, had in ((xx, sums[1]), (yy, sums[3]), (xy, sums[4]))]
        finite = [np.logical_and.reduceat(np.isfinite(values), rows.starts) & np.isfinite(had)
                  for values, had in ((x, sums[0]), (y, sums[2]))]
        end_x, end_y = sum_x[rows.ends], sum_y[rows.ends]
        self._state[0][rows.groups] = number[rows.ends]
        self._state[1][rows.groups] = end_x
        self._state[2][rows.groups] = youngs_cramer.settled(moments[0], (end_x,), finite[0] & np.isfinite(sums[1]))
        self._state[3][rows.groups] = end_y
        self._state[4][rows.groups] = youngs_cramer.settled(moments[1], (end_y,), finite[1] & np.isfinite(sums[3]))
        self._state[5][rows.groups] = youngs_cramer.settled(
            moments[2], (end_x, end_y), finite[0] & finite[1] & np.isfinite(sums[4]))

    def finish(self, codes: np.ndarray) -> pa.Array:
        return regressions(self._name, [state.take(codes) for state in self._state], self._type)


def regressions(name: str, state: Sequence[np.ndarray], sql_type: SqlType) -> pa.Array:
    """The result of one of the two-column aggregates from N, Sx, Sxx, Sy, Syy, Sxy."""
    n, sx, sxx, sy, syy, sxy = state
    if name == "regr_count":
        return views.array_of(n.astype(np.int64), pa.int64())
    results: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "corr": lambda: (sxy / np.sqrt(sxx * syy), (n > 0) & (sxx != 0) & (syy != 0)),
        "covar_pop": lambda: (sxy / n, n > 0),
        "covar_samp": lambda: (sxy / (n - 1), n > 1),
        "regr_avgx": lambda: (sx / n, n > 0),
        "regr_avgy": lambda: (sy / n, n > 0),
        "regr_intercept": lambda: ((sy - sx * sxy / sxx) / n, (n > 0) & (sxx != 0)),
        "regr_r2": lambda: (np.where(syy == 0, 1.0, (sxy * sxy) / (sxx * syy)), (n > 0) & (sxx != 0)),
        "regr_slope": lambda: (sxy / sxx, (n > 0) & (sxx != 0)),
        "regr_sxx": lambda: (sxx, n > 0),
        "regr_sxy": lambda: (sxy, n > 0),
        "regr_syy": lambda: (syy, n > 0),
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        found, valid = results[name]()
    return views.array_of(np.where(valid, found, 0.0), storage_type(sql_type), None if valid.all() else valid)
