"""The decimal digits of floats, correctly rounded as printf("%.15g") rounds them, a column at a time.

A float times a power of ten up to 10**22 is known exactly as the sum of two floats (Dekker's product), and so is whether it
lies above, on or below the middle between two integers. Other magnitudes are left to the caller.
"""

from __future__ import annotations

from typing import Final

import numpy as np

_POWERS: Final = np.array([10.0 ** places for places in range(23)])
_WHOLE_POWERS: Final = np.array([10 ** places for places in range(17)])
_SMALLEST: Final = 1e-7
_SPLITTER: Final = 134217729.0
"""2**27 + 1: halves the 53 bits of a float (Veltkamp)."""


def leading_digits(data: np.ndarray, digits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(unscaled int64, scale int64, whether they are known) of the first `digits` (at most 15) significant digits of finite
    float64, without zeros at the end of the fraction. Unknown: at least 10**digits, or nearer to 0 than 1e-7."""
    size = np.abs(data)
    known = (size >= _SMALLEST) & (size < 10.0 ** digits)
    work = np.where(known, size, 1.0)
    scales = np.maximum(digits - 1 - np.floor(np.log10(work)).astype(np.int64), 0)
    values = _rounded_product(work, scales)
    many, few = (values >= _WHOLE_POWERS[digits]) & (scales > 0), values < _WHOLE_POWERS[digits - 1]
    for wrong, step in ((many, -1), (few, 1)):
        if wrong.any():  # the logarithm was on the other side of a power of ten
            scales[wrong] += step
            values[wrong] = _rounded_product(work[wrong], scales[wrong])
    for step in (8, 4, 2, 1):
        short = np.flatnonzero((scales >= step) & (values % _WHOLE_POWERS[step] == 0))
        values[short] //= _WHOLE_POWERS[step]
        scales[short] -= step
    zero = data == 0
    values = np.where(zero, 0, np.where(data < 0, -values, values))
    return values, np.where(zero, 0, scales), known | zero


def _rounded_product(factor: np.ndarray, places: np.ndarray) -> np.ndarray:
    """factor * 10**places (0 to 22) as the nearest int64, of two the even one."""
    power = _POWERS[places]
    high = factor * power
    (a, b), (c, d) = _split(factor), _split(power)
    low = ((a * c - high) + a * d + b * c) + b * d
    whole = np.rint(high)
    part = high - whole
    rest = part + low
    back = rest - part
    lost = (part - (rest - back)) + (low - back)  # rest + lost is part + low exactly
    odd = whole % 2 == 1
    up = (rest > 0.5) | ((rest == 0.5) & ((lost > 0) | (odd & (lost == 0))))
    down = (rest < -0.5) | ((rest == -0.5) & ((lost < 0) | (odd & (lost == 0))))
    return whole.astype(np.int64) + up - down


def _split(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scaled = _SPLITTER * value
    high = scaled - (scaled - value)
    return high, value - high
