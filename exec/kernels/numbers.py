"""Integer and float arithmetic with SQL's errors: what wraps around or loses itself in numpy raises here.

Operands are numpy arrays or Python numbers (constants), at least one an array. `valid` marks the rows whose result
matters; the others may hold anything and raise nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.catalog.errors import DivisionByZero, NumericOutOfRange

_WORDS = {"int2": "smallint", "int4": "integer", "int8": "bigint"}
_DTYPES = {"int2": np.int16, "int4": np.int32, "int8": np.int64, "float4": np.float32, "float8": np.float64}
_RANGES = {"int2": (-(1 << 15), (1 << 15) - 1), "int4": (-(1 << 31), (1 << 31) - 1), "int8": (-(1 << 63), (1 << 63) - 1)}


def dtype_of(kind: str) -> Any:
    return _DTYPES[kind]


def out_of_range(kind: str) -> NumericOutOfRange:
    return NumericOutOfRange(f"{_WORDS[kind]} out of range")


def checked(data: np.ndarray, kind: str, valid: np.ndarray | None) -> np.ndarray:
    """Wider integers as `kind`. Raises: NumericOutOfRange (22003)."""
    low, high = _RANGES[kind]
    if len(data) and (int(data.min()) < low or int(data.max()) > high):
        seen = data if valid is None else data[valid]
        if len(seen) and (int(seen.min()) < low or int(seen.max()) > high):
            raise out_of_range(kind)
        if data.dtype == object and valid is not None:
            data = np.where(valid, data, 0)
    return data.astype(_DTYPES[kind], copy=False)


def integer_operation(name: str, left: Any, right: Any, kind: str, valid: np.ndarray | None) -> np.ndarray:
    """left + - * right for integers, the result of type `kind`. Raises: NumericOutOfRange (22003)."""
    if kind == "int8":
        return _int8_operation(name, left, right, valid)
    a, b = _widened(left), _widened(right)
    data = a + b if name == "add" else a - b if name == "sub" else a * b
    return checked(data, kind, valid)


def _widened(data: Any) -> Any:
    return data.astype(np.int64, copy=False) if isinstance(data, np.ndarray) else data


def _bounds(data: Any) -> tuple[int, int]:
    if isinstance(data, np.ndarray):
        return (int(data.min()), int(data.max())) if len(data) else (0, 0)
    return data, data


def _int8_operation(name: str, left: Any, right: Any, valid: np.ndarray | None) -> np.ndarray:
    (a, b), (c, d) = _bounds(left), _bounds(right)
    if name == "add":
        reach = (a + c, b + d)
    elif name == "sub":
        reach = (a - d, b - c)
    else:
        products = (a * c, a * d, b * c, b * d)
        reach = (min(products), max(products))
    low, high = _RANGES["int8"]
    if reach[0] < low or reach[1] > high:
        left = left.astype(object) if isinstance(left, np.ndarray) else left
        right = right.astype(object) if isinstance(right, np.ndarray) else right
        data = left + right if name == "add" else left - right if name == "sub" else left * right
        return checked(data, "int8", valid)
    left, right = _widened(left), _widened(right)
    return left + right if name == "add" else left - right if name == "sub" else left * right


def nonzero(divisor: Any, valid: np.ndarray | None) -> Any:
    """The divisor with ones for the zeros that do not matter. Raises: DivisionByZero (22012)."""
    if not isinstance(divisor, np.ndarray):
        if divisor == 0:
            raise DivisionByZero("division by zero")
        return divisor
    zero = divisor == 0
    if not zero.any():
        return divisor
    if valid is None or (zero & valid).any():
        raise DivisionByZero("division by zero")
    return np.where(zero, np.ones(1, divisor.dtype), divisor)


def integer_division(left: Any, right: Any, kind: str, valid: np.ndarray | None) -> np.ndarray:
    """The quotient, towards zero. Raises: DivisionByZero (22012), NumericOutOfRange (22003) for the one overflow."""
    b = nonzero(right, valid)
    low, _ = _RANGES[kind]
    if kind == "int8" and _bounds(left)[0] == low and _bounds(b)[0] <= -1:
        overflow = (np.asarray(left) == low) & (np.asarray(b) == -1)
        if (overflow if valid is None else overflow & valid).any():
            raise out_of_range(kind)
        b = np.where(overflow, 1, b)
    a, b = _widened(left), _widened(b)
    data = a // b
    inexact = data * b != a
    data = data + (inexact & (np.asarray(a < 0) ^ np.asarray(b < 0)))
    return checked(data, kind, valid)


def integer_remainder(left: Any, right: Any, kind: str, valid: np.ndarray | None) -> np.ndarray:
    """The remainder with the dividend's sign. Raises: DivisionByZero (22012)."""
    b = nonzero(right, valid)
    a, b = _widened(left), _widened(b)
    if _bounds(b)[0] <= -1 <= _bounds(b)[1]:  # the smallest integer % -1 traps in C
        b = np.where(np.asarray(b) == -1, 1, b)
    return np.fmod(a, b).astype(_DTYPES[kind], copy=False)


def float_operation(name: str, left: Any, right: Any, kind: str, valid: np.ndarray | None) -> np.ndarray:
    """+ - * / on floats. Raises: NumericOutOfRange (22003) where finite operands overflow, or a product or quotient of
    values other than zero underflows to it; DivisionByZero (22012)."""
    dtype = _DTYPES[kind]
    a: Any = left.astype(dtype, copy=False) if isinstance(left, np.ndarray) else dtype(left)
    b: Any = right.astype(dtype, copy=False) if isinstance(right, np.ndarray) else dtype(right)
    if name == "div":
        if isinstance(b, np.ndarray):
            zero = b == 0
            if zero.any():  # NaN by zero is NaN
                b = nonzero(np.where(zero & np.isnan(a), np.ones(1, dtype), b), valid)
        elif b == 0:
            if isinstance(a, np.ndarray) and np.isnan(a).all():
                return a
            if not isinstance(a, np.ndarray) or (valid is not None and not valid.any()):
                return np.zeros(len(a) if isinstance(a, np.ndarray) else 1, dtype)
            raise DivisionByZero("division by zero")
    with np.errstate(all="ignore"):
        data = a + b if name == "add" else a - b if name == "sub" else a * b if name == "mul" else a / b
        check_float_result(data, (a, b), valid, underflow=name in ("mul", "div"), divide=name == "div")
    return data


def check_float_result(data: np.ndarray, operands: tuple[Any, ...], valid: np.ndarray | None, *, underflow: bool = False,
                       divide: bool = False) -> None:
    """Raises: NumericOutOfRange (22003) as PostgreSQL's float functions do."""
    if not len(data):
        return
    total = float(np.abs(data).max())
    if not np.isfinite(total):
        bad = np.isinf(data)
        for operand in operands:
            bad = bad & ~np.isinf(operand)
        if (bad if valid is None else bad & valid).any():
            raise NumericOutOfRange("value out of range: overflow")
    if underflow and float(np.abs(data).min()) == 0.0:
        bad = data == 0
        a, b = operands
        bad = bad & (np.asarray(a) != 0)
        bad = bad & ~np.isinf(b) if divide else bad & (np.asarray(b) != 0)
        if (bad if valid is None else bad & valid).any():
            raise NumericOutOfRange("value out of range: underflow")
