"""The first digits of floats against Python's own formatting, which rounds correctly."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from shoal.exec.kernels.decimals import from_float
from shoal.exec.kernels.float_digits import leading_digits


def floats() -> np.ndarray:
    draw = np.random.default_rng(11)
    sizes = 10.0 ** draw.uniform(-9, 17, 20_000)
    halves = draw.integers(1, 2**52, 20_000) / 2.0 ** draw.integers(0, 60, 20_000)
    near = np.array([10.0 ** power for power in range(-7, 16)])
    ties = (draw.integers(10**14, 10**15, 20_000) // 8 * 8 + draw.integers(0, 8, 20_000)).astype(np.float64) / 8
    short = np.round(draw.normal(0, 1000, 20_000), 2)
    found = np.concatenate([sizes, halves, near, np.nextafter(near, 0), np.nextafter(near, np.inf), ties, short,
                            [0.0, -0.0, 0.5, 2.5, 1e15, 999999999999999.5, 5e-324, 1.7e308]])
    return np.concatenate([found, -found])


@pytest.mark.parametrize("digits", [15, 6])
def test_digits_are_those_of_printf(digits: int) -> None:
    data = floats()
    if digits == 6:
        data = data[np.abs(data) < 1e30].astype(np.float32).astype(np.float64)
    values, scales, known = leading_digits(data, digits)
    assert known.mean() > 0.4
    for number, value, scale in zip(data[known].tolist(), values[known].tolist(), scales[known].tolist(), strict=True):
        text = f"{number:.{digits}g}"
        assert Decimal(value).scaleb(-scale) == Decimal(text), text
        assert scale == max(0, -int(Decimal(text).as_tuple().exponent)), text


def test_what_is_left_to_others() -> None:
    _, _, known = leading_digits(np.array([1e15, -1e15, 9e-8, 1e300, 1e-7, 0.0, 999999999999999.0]), 15)
    assert known.tolist() == [False, False, False, False, True, True, True]


@pytest.mark.parametrize("scale", [0, 2, 6])
def test_at_a_scale_halves_go_away_from_zero(scale: int) -> None:
    data = floats()
    data = data[np.abs(data) < 1e12]
    expected = [int(Decimal(f"{number:.14e}").quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP).scaleb(scale))
                for number in data[(np.abs(data) >= 1e-7) | (data == 0)].tolist()]
    assert from_float(data[(np.abs(data) >= 1e-7) | (data == 0)], scale, 15, None).tolist() == expected
