"""Exact integer sums per group, in as few bits as they need.

A sum runs in int64 while its magnitude provably stays below 2**63; beyond, it is carried in 32-bit limbs held in
int64 arrays (value = sum of limb[i] * 2**(32 * i)), which any number of rows below 2**31 cannot overflow.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import SqlType
from shoal.exec.kernels import canonical, views

_LOW = np.int64(0xFFFFFFFF)
_INT64 = 1 << 63
_TOP_38 = 10 ** 38 >> 64
_TOP_76 = 10 ** 76 >> 192


def resized(state: np.ndarray, size: int, fill: object = 0) -> np.ndarray:
    """`state` grown to at least `size` entries (with room to spare), new ones set to `fill`."""
    if len(state) >= size:
        return state
    grown = np.full(max(size, min(2 * len(state), len(state) + (1 << 22))), fill, state.dtype)
    grown[:len(state)] = state
    return grown


def moved(state: np.ndarray, where: np.ndarray, size: int, fill: object = 0) -> np.ndarray:
    """A new state of `size` entries where the old entry i is at where[i] (dropped for -1)."""
    made = np.full(size, fill, state.dtype)
    old = np.flatnonzero(where >= 0)
    old = old[:np.searchsorted(old, len(state))]
    made[where[old]] = state[old]
    return made


class ExactSum:
    """Sums of integers of any width, one for each code."""

    __slots__ = ("_bound", "_limbs", "_state")

    def __init__(self) -> None:
        self._state = np.zeros(0, np.int64)
        self._bound = 0
        self._limbs: list[np.ndarray] = []

    @property
    def nbytes(self) -> int:
        return self._state.nbytes * (1 + len(self._limbs))

    def resize(self, size: int) -> None:
        if size > len(self._state):
            self._state = resized(self._state, size)
            self._limbs = [resized(limb, len(self._state)) for limb in self._limbs]

    def move(self, where: np.ndarray, size: int) -> None:
        self._state = moved(self._state, where, size)
        self._limbs = [moved(limb, where, size) for limb in self._limbs]

    def add(self, codes: np.ndarray, values: np.ndarray) -> None:
        """Adds int64 `values` to the sums of their codes."""
        if len(values) == 0:
            return
        reach = len(values) * max(-int(values.min()), int(values.max()), 0)
        if self._bound + reach >= _INT64:
            self._fold()
            if reach >= _INT64:
                self._add_limb(0, codes, values & _LOW)
                self._add_limb(1, codes, values >> 32)
                return
        self._bound += reach
        if len(self._state) == 1:
            self._state[0] += values.sum()
        else:
            np.add.at(self._state, codes, values)

    def add_words(self, codes: np.ndarray, words: np.ndarray) -> None:
        """Adds values of several 64-bit words (see canonical.limbs_of)."""
        last = words.shape[1] - 1
        for position in range(words.shape[1]):
            word = words[:, position]
            self._add_limb(2 * position, codes, word & _LOW)
            self._add_limb(2 * position + 1, codes, word >> 32 if position == last else (word >> 32) & _LOW)

    def add_array(self, codes: np.ndarray, array: pa.Array) -> None:
        """Adds an integer or decimal array without NULLs."""
        values = canonical.int64_of(array)
        if values is not None:
            self.add(codes, values)
        else:
            self.add_words(codes, canonical.limbs_of(array))

    def _add_limb(self, position: int, codes: np.ndarray, values: np.ndarray) -> None:
        while len(self._limbs) <= position:
            self._limbs.append(np.zeros(len(self._state), np.int64))
        np.add.at(self._limbs[position], codes, values)

    def _fold(self) -> None:
        """Moves the int64 sums into the limbs."""
        while len(self._limbs) < 2:
            self._limbs.append(np.zeros(len(self._state), np.int64))
        self._limbs[0] += self._state & _LOW
        self._limbs[1] += self._state >> 32
        self._state[:] = 0
        self._bound = 0

    def integers(self, codes: np.ndarray) -> np.ndarray | None:
        """The sums of these codes as int64; None when one does not fit."""
        if not self._limbs:
            return self._state.take(codes)
        words = self._words(codes)
        return np.ascontiguousarray(words[:, 0]) if canonical.fits_int64(words).all() else None

    def objects(self, codes: np.ndarray) -> list[int]:
        """The sums of these codes as Python integers."""
        narrow = self.integers(codes)
        if narrow is not None:
            return narrow.tolist()
        words = self._words(codes, max(4, len(self._limbs) // 2 + 1))
        return [int.from_bytes(row.tobytes(), "little", signed=True) for row in words]

    def _words(self, codes: np.ndarray, count: int = 4) -> np.ndarray:
        """`count` 64-bit words for each code, two's complement."""
        carry = np.zeros(len(codes), np.int64)
        halves = []
        for position in range(2 * count):
            total = carry
            if position < len(self._limbs):
                total = total + self._limbs[position].take(codes)
            if position < 2:
                state = self._state.take(codes)
                total = total + (state & _LOW if position == 0 else state >> 32)
            halves.append(total & _LOW)
            carry = total >> 32
        words = np.empty((len(codes), count), np.int64)
        for place in range(count):
            words[:, place] = halves[2 * place] | (halves[2 * place + 1] << 32)
        if (carry != words[:, -1] >> 63).any():
            raise NumericOutOfRange("value overflows numeric format")
        return words

    def finish(self, codes: np.ndarray, sql_type: SqlType, valid: np.ndarray | None) -> pa.Array:
        """The sums as a column of int8 or numeric. Raises: NumericOutOfRange (22003)."""
        narrow = self.integers(codes)
        if narrow is not None:
            return views.array_of(narrow, pa.int64(), valid)
        if sql_type.name != "numeric":
            raise NumericOutOfRange("bigint out of range")
        return array_of_words(self._words(codes), sql_type.scale or 0, valid)


def array_of_words(words: np.ndarray, scale: int, valid: np.ndarray | None) -> pa.Array:
    """A numeric column of four 64-bit words a row: decimal128 where 38 digits surely hold all, else decimal256.

    Raises: NumericOutOfRange (22003) beyond 76 digits.
    """
    shown = words if valid is None else words[valid]
    sign = shown[:, 1] >> 63
    if ((shown[:, 2] == sign) & (shown[:, 3] == sign) & (np.abs(shown[:, 1]) < _TOP_38)).all():
        data = np.ascontiguousarray(words[:, :2])
        return pa.Array.from_buffers(pa.decimal128(38, scale), len(words), [views.bitmap(valid), pa.py_buffer(data)])
    if ((shown[:, 3] >= _TOP_76) | (shown[:, 3] <= -_TOP_76)).any():
        raise NumericOutOfRange("value overflows numeric format")
    data = np.ascontiguousarray(words)
    return pa.Array.from_buffers(pa.decimal256(76, scale), len(words), [views.bitmap(valid), pa.py_buffer(data)])
