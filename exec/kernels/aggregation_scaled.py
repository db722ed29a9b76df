"""Sums of numerics that bring each its own scale: the result of a group has the largest scale of its values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.kernels import decimals, scaled
from shoal.exec.kernels.aggregation import Accumulator, Presence, SeenBefore
from shoal.exec.kernels.exactsum import ExactSum, moved, resized
from shoal.exec.kernels.nulls import validity
from shoal.exec.kernels.scaled import Scaled


class ScaledSums:
    """One exact sum for each code: of every scale apart while rows come, so that nothing is rescaled before the end."""

    def __init__(self) -> None:
        self._sums: dict[int, ExactSum] = {}
        self._huge: dict[int, tuple[int, int]] = {}
        """Code -> sum of the values beyond 76 digits, and its scale."""
        self._scales, self._odd = np.zeros(0, np.int64), np.zeros(0)
        self._any_odd = False

    def resize(self, size: int) -> None:
        self._scales, self._odd = resized(self._scales, size), resized(self._odd, size)
        for state in self._sums.values():
            state.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._scales, self._odd = moved(self._scales, where, size), moved(self._odd, where, size)
        self._huge = {int(where[code]): kept for code, kept in self._huge.items()}
        for state in self._sums.values():
            state.move(where, size)

    def add(self, codes: np.ndarray, data: Scaled) -> None:
        """Rows without NULLs. Special values add up as floats do."""
        if not len(codes):
            return
        if data.odd is not None:
            self._any_odd = True
            with np.errstate(invalid="ignore"):
                np.add.at(self._odd, codes, data.odd)
        values, scales = data.values, data.scales
        if values.dtype == object and max(-int(values.min()), int(values.max())) >= decimals.POWERS[75]:
            self._add_huge(codes, data)
            return
        self.add_column(codes, decimals.packed(values, 0), scales)

    def add_column(self, codes: np.ndarray, values: pa.Array, scales: np.ndarray) -> None:
        """Rows without NULLs and special values, as integers or decimals of up to 76 digits without a scale."""
        if not len(codes):
            return
        low, high = int(scales.min()), int(scales.max())
        if len(self._scales) == 1:
            self._scales[0] = max(high, int(self._scales[0]))
        else:
            np.maximum.at(self._scales, codes, scales)
        for scale in [low] if low == high else np.unique(scales).tolist():
            state = self._sums.get(scale)
            if state is None:
                state = self._sums[scale] = ExactSum()
                state.resize(len(self._scales))
            if low == high:
                state.add_array(codes, values)
            else:
                rows = np.flatnonzero(scales == scale)
                state.add_array(codes.take(rows), values.take(pa.array(rows)))

    def _add_huge(self, codes: np.ndarray, data: Scaled) -> None:
        for code, value, scale in zip(codes.tolist(), data.values.tolist(), data.scales.tolist(), strict=True):
            total, have = self._huge.get(code, (0, 0))
            most = max(have, scale)
            self._huge[code] = total * 10 ** (most - have) + value * 10 ** (most - scale), most
            self._scales[code] = max(int(self._scales[code]), scale)

    def totals(self, codes: np.ndarray) -> Scaled:
        scales = self._scales.take(codes)
        total = np.zeros(len(codes), np.int64)
        for scale, state in self._sums.items():
            narrow = state.integers(codes)
            if narrow is None:
                narrow = np.empty(len(codes), object)
                narrow[:] = state.objects(codes)
            part = narrow if len(self._sums) == 1 else np.where(narrow == 0, 0, narrow)
            total = decimals.add(total, scaled.upscaled(part, np.maximum(scales - scale, 0)))
        if self._huge:
            total = total.astype(object)
            for place, code in enumerate(codes.tolist()):
                value, scale = self._huge.get(code, (0, 0))
                total[place] += value * 10 ** max(int(scales[place]) - scale, 0)
        return Scaled(total, scales, self._odd.take(codes) if self._any_odd else None)

    @property
    def nbytes(self) -> int:
        return 2 * self._scales.nbytes + sum(state.nbytes for state in self._sums.values())


class SumScaled(Accumulator):
    """sum of such numerics."""

    def __init__(self, argument: SqlType, filtered: bool) -> None:
        self._argument = argument
        self._sums, self._presence, self._size = ScaledSums(), Presence(filtered), 0

    def resize(self, size: int) -> None:
        self._size = size
        self._sums.resize(size)
        self._presence.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._sums.move(where, size)
        self._presence.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        array = columns[0]
        rows = self._presence.keep(codes, validity(array), self._size, before)
        if rows is not None:
            codes, array = codes.take(rows), array.take(pa.array(rows))
        parts = scaled.plain_parts(array)
        if parts is not None:
            self._sums.add_column(codes, *parts)
        else:
            self._sums.add(codes, scaled.read(array, self._argument))

    def finish(self, codes: np.ndarray) -> pa.Array:
        return scaled.written(self._sums.totals(codes), self._presence.mask(codes))

    @property
    def nbytes(self) -> int:
        return self._sums.nbytes


def average(data: Scaled, counts: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """Sums / counts, none of them 0, as avg shows it."""
    divisor = Scaled(counts, np.zeros(len(counts), np.int64))
    column = scaled.quotient_column(data, divisor, len(counts), valid)
    if column is not None:
        return column
    found = scaled.divide(Scaled(data.values, data.scales), divisor, valid)
    return scaled.written(Scaled(found.values, found.scales, data.odd).spread(len(counts)), valid)
