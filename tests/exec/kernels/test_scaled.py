"""Quotients of integers of any width, and their first digits, are those of exact arithmetic."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from shoal.exec.kernels import decimals, scaled


def _column(source: random.Random, rows: int, bits: int, lowest: int) -> np.ndarray:
    found = np.empty(rows, object)
    found[:] = [source.choice((-1, 1)) * source.randint(lowest, 1 << source.randint(1, bits)) for _ in range(rows)]
    return found.astype(np.int64) if bits < 63 else found


@pytest.mark.parametrize("bits", [3, 40, 62, 90, 200])
def test_quotients_round_half_away_from_zero(bits: int) -> None:
    source = random.Random(bits)
    for digits in (-3, 0, 1, 16, 24):
        top, bottom = _column(source, 60, bits, 0), _column(source, 60, source.choice((3, 30, 90)), 1)
        found = decimals.divide(top, bottom, digits, len(top))
        for a, b, one in zip(top.tolist(), bottom.tolist(), found.tolist(), strict=True):
            exact = Fraction(a, b) * Fraction(10) ** digits
            rounded = (2 * abs(exact) + 1) // 2
            assert one == (rounded if exact >= 0 else -rounded)


def test_first_digits_next_to_whole_numbers_are_exact() -> None:
    numbers = [sign * (first * 10 ** places + off) for first in (1, 7, 10, 999, 9999) for places in (16, 20, 32, 60)
               for off in (-1, 0, 1) for sign in (1, -1)]
    values = np.empty(len(numbers), object)
    values[:] = numbers
    for scale in (0, 3, 16, 80):
        weights, firsts = scaled.leading(scaled.Scaled(values, np.full(len(values), scale)))
        for value, weight, first in zip(numbers, weights.tolist(), firsts.tolist(), strict=True):
            exact = Fraction(abs(value), 10 ** scale) / Fraction(10000) ** weight
            assert 1 <= exact < 10000 and first == exact // 1
