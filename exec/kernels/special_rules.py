"""Kernels of numerics made to know NaN and the infinities, which are set apart before and put back after.

`aware` wraps a kernel of numbers: it sees NULL where an argument is special, and a rule, computing with floats in
which ordinary numbers have only their signs, says what the result is there. Spec: PostgreSQL 15 documentation, 8.1.2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.errors import DivisionByZero
from shoal.exec.kernels import decimals, nulls, views
from shoal.exec.kernels.exactsum import moved, resized
from shoal.exec.plan.expr import Call

Kernel = Callable[[Call, list[Any], int, Any], Any]
Rule = Callable[..., np.ndarray]
"""(name of the function, one float array an argument) -> floats: nan, inf or -inf, or the whole number that it is."""


def aware(rule: Rule) -> Callable[[Kernel], Kernel]:
    """The kernel, with `rule` deciding for the rows where a numeric argument is special and none is NULL."""
    def wrapped(kernel: Kernel) -> Kernel:
        @functools.wraps(kernel)
        def run(call: Call, args: list[Any], rows: int, context: Any) -> Any:
            if not any(map(held, args)):
                return kernel(call, args, rows, context)
            arrays = [nulls.spread(arg, rows) if isinstance(arg, pa.Scalar) and held(arg) else arg for arg in args]
            found = [stand_ins(arg) for arg in arrays]
            special = np.zeros(rows, np.bool_)
            for one in found:
                special |= False if one is None else one != 0
            known = nulls.merged_validity(arrays)
            where = np.flatnonzero(special if known is None else special & known)
            plain = [arg if one is None else specials.without(arg, one) for arg, one in zip(arrays, found, strict=True)]
            with np.errstate(invalid="ignore", divide="ignore"):
                values = rule(call.name, *(_signs(arg, one, where) for arg, one in zip(plain, found, strict=True)))
            result = kernel(call, plain, rows, context)
            return overlaid(result, where, values, call.type.scale or 0) if call.type.name == "numeric" else \
                _replaced(result, where, values)
        return run
    return wrapped


def held(arg: Any) -> bool:
    """Whether an argument, column or constant, is a numeric that holds a special value."""
    if isinstance(arg, pa.Scalar):
        return pa.types.is_decimal256(arg.type) and decimals.unscaled(arg, specials_too=True) in specials.TEXTS
    return isinstance(arg, pa.Array) and specials.present(arg)


def stand_ins(arg: Any) -> np.ndarray | None:
    return specials.stand_ins(arg) if isinstance(arg, pa.Array) else None


def _signs(arg: Any, found: np.ndarray | None, where: np.ndarray) -> np.ndarray:
    arrow = getattr(arg, "type", None)
    data = decimals.unscaled(arg) if arrow is not None and (pa.types.is_decimal(arrow) or pa.types.is_integer(arrow)) else 0
    signs = np.full(len(where), float((data > 0) - (data < 0))) if isinstance(data, int) else \
        np.sign(data.take(where)).astype(np.float64)
    if found is None:
        return signs
    own = found.take(where)
    return np.where(own == 0, signs, own)


def overlaid(result: pa.Array, where: np.ndarray, values: np.ndarray, scale: int) -> pa.Array:
    """The numeric column with `values` (whole numbers, nan, infinities) in the rows `where`."""
    finite = np.isfinite(values)
    data = decimals.unscaled(result)
    assert not isinstance(data, int)
    valid = views.validity(result)
    if finite.any():
        data = data.astype(object)
        data[where[finite]] = [int(value) * decimals.POWERS[scale] for value in values[finite].tolist()]
        if valid is not None:
            valid = valid.copy()
            valid[where[finite]] = True
    placed = np.zeros(len(result))
    placed[where] = values
    return specials.placed(decimals.packed(data, scale, valid), placed, scale)


def _replaced(result: pa.Array, where: np.ndarray, values: np.ndarray) -> pa.Array:
    """Of an integer result: NULL where the value is nan."""
    data, valid = views.values(result).copy(), views.validity(result)
    valid = np.ones(len(result), np.bool_) if valid is None else valid.copy()
    known = ~np.isnan(values)
    valid[where] = known
    data[where] = np.where(known, values, 0).astype(data.dtype)
    return views.array_of(data, result.type, valid)


# --- rules

def itself(name: str, x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    """abs and neg included."""
    return np.abs(x) if name == "abs" else -x if name == "neg" else np.sign(x) if name == "sign" else x


def nan(name: str, *args: np.ndarray) -> np.ndarray:
    """NaN; as an integer NULL."""
    return np.full(len(args[0]), np.nan)


def total(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a + b and a - b: infinities of different signs give NaN."""
    return a + b if name == "add" else a - b


def product(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """0 * Infinity is NaN."""
    return a * b


def quotient(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Numbers divided by infinities give 0. Raises: DivisionByZero (22012) for an infinity by 0, not for NaN."""
    if (np.isinf(a) & (b == 0)).any():
        raise DivisionByZero("division by zero")
    return a / b + 0.0


def remainder(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of infinities NaN; that of a number by an infinity, the number, is not for here."""
    quotient(name, a, b)
    return nan(name, a)


class SpecialSums:
    """The special part of sums, one for each code: 0 until a special value was added; no state before the first."""

    __slots__ = ("_size", "_state")

    def __init__(self) -> None:
        self._state: np.ndarray | None = None
        self._size = 0

    def resize(self, size: int) -> None:
        self._size = size
        if self._state is not None:
            self._state = resized(self._state, size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._size = size
        if self._state is not None:
            self._state = moved(self._state, where, size)

    def apart(self, codes: np.ndarray, array: pa.Array) -> pa.Array:
        """Adds the special values of a column without NULLs; gives the column with 0 in their place."""
        found = specials.stand_ins(array)
        if found is None:
            return array
        if self._state is None:
            self._state = np.zeros(self._size)
        with np.errstate(invalid="ignore"):
            np.add.at(self._state, codes, found)
        return specials.as_zero(array, found)

    def mask(self, codes: np.ndarray) -> np.ndarray | None:
        """Which of the codes met one; None where none did."""
        return None if self._state is None else self._state.take(codes) != 0

    def placed(self, result: pa.Array, codes: np.ndarray, scale: int) -> pa.Array:
        """The sums with those that are special."""
        return result if self._state is None else specials.placed(result, self._state.take(codes), scale)
