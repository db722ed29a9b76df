"""Trigonometric functions of degrees, exact where the result is: each reduces its argument to the first quadrant and
divides by the value that the mathematical library itself gives for 30, 45 or 60 degrees.

Spec: PostgreSQL 15 documentation, 9.3, table 9.7 "Trigonometric Functions".
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_RADIANS = 0.0174532925199432957692
_SIN_30 = math.sin(30.0 * _RADIANS)
_COMPLEMENT_60 = 1.0 - math.cos(60.0 * _RADIANS)
_ASIN_HALF, _ACOS_HALF, _ATAN_ONE = math.asin(0.5), math.acos(0.5), math.atan(1.0)


def _sin_to_30(degrees: float) -> float:
    return math.sin(degrees * _RADIANS) / _SIN_30 / 2.0


def _cos_to_60(degrees: float) -> float:
    return 1.0 - (1.0 - math.cos(degrees * _RADIANS)) / _COMPLEMENT_60 / 2.0


def _sin_to_90(degrees: float) -> float:
    return _sin_to_30(degrees) if degrees <= 30.0 else _cos_to_60(90.0 - degrees)


def _cos_to_90(degrees: float) -> float:
    return _cos_to_60(degrees) if degrees <= 60.0 else _sin_to_30(90.0 - degrees)


_TAN_45 = _sin_to_90(45.0) / _cos_to_90(45.0)
_COT_45 = _cos_to_90(45.0) / _sin_to_90(45.0)


def _ratio(over: float, under: float) -> float:
    return over / under if under else math.copysign(math.inf, over) * math.copysign(1.0, under)


def sind(degrees: float) -> float:
    sign, angle = (1.0, math.fmod(degrees, 360.0))
    if angle < 0.0:
        sign, angle = -sign, -angle
    if angle > 180.0:
        sign, angle = -sign, 360.0 - angle
    return sign * _sin_to_90(180.0 - angle if angle > 90.0 else angle)


def cosd(degrees: float) -> float:
    sign, angle = (1.0, abs(math.fmod(degrees, 360.0)))
    if angle > 180.0:
        angle = 360.0 - angle
    if angle > 90.0:
        sign, angle = -sign, 180.0 - angle
    return sign * _cos_to_90(angle)


def _quadrant(degrees: float) -> tuple[float, float]:
    """The sign of the tangent, and the angle of the first quadrant with the same one but for it."""
    sign, angle = (1.0, math.fmod(degrees, 360.0))
    if angle < 0.0:
        sign, angle = -sign, -angle
    if angle > 180.0:
        sign, angle = -sign, 360.0 - angle
    if angle > 90.0:
        sign, angle = -sign, 180.0 - angle
    return sign, angle


def tand(degrees: float) -> float:
    sign, angle = _quadrant(degrees)
    return sign * (_ratio(_sin_to_90(angle), _cos_to_90(angle)) / _TAN_45) + 0.0


def cotd(degrees: float) -> float:
    sign, angle = _quadrant(degrees)
    return sign * (_ratio(_cos_to_90(angle), _sin_to_90(angle)) / _COT_45) + 0.0


def _asin_positive(x: float) -> float:
    return math.asin(x) / _ASIN_HALF * 30.0 if x <= 0.5 else 90.0 - math.acos(x) / _ACOS_HALF * 60.0


def asind(x: float) -> float:
    return _asin_positive(x) if x >= 0.0 else -_asin_positive(-x)


def acosd(x: float) -> float:
    if x < 0.0:
        return 90.0 + _asin_positive(-x)
    return 90.0 - math.asin(x) / _ASIN_HALF * 30.0 if x <= 0.5 else math.acos(x) / _ACOS_HALF * 60.0


def atand(x: float) -> float:
    return math.atan(x) / _ATAN_ONE * 45.0


def atan2d(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.arctan2(y, x) / _ATAN_ONE * 45.0
    return found


def each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """`function` for the elements of an array; NaN where they are NaN."""
    def of_array(data: np.ndarray) -> np.ndarray:
        return np.array([value if value != value else function(value) for value in data.tolist()], np.float64)
    return of_array


FUNCTIONS = {one.__name__: each(one) for one in (sind, cosd, tand, cotd, asind, acosd, atand)}
