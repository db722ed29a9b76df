"""sqrt, exp, ln, log and power of numerics, value by value in decimal arithmetic, at PostgreSQL's result scales.

Each result has about 16 significant digits, or its arguments' digits after the point where these are more: the estimates
of its weight below decide, and are PostgreSQL's own, since the scale that is shown depends on them. Results are computed
with digits to spare and rounded once.

Spec: PostgreSQL 15 documentation, table 9.5 "Mathematical Functions".
"""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

import numpy as np

from shoal.catalog import scaled as form
from shoal.catalog.errors import (
    DivisionByZero,
    InvalidArgumentForLogarithm,
    InvalidArgumentForPower,
    NumericOutOfRange,
)
from shoal.exec.kernels.scaled import MIN_SIGNIFICANT, MOST_DISPLAYED, Scaled

_MOST_RESULT = 2000
_LOG10_E, _LN_10 = 0.434294481903252, 2.302585092994046
_NAN, _ZERO, _ONE = Decimal("NaN"), Decimal(0), Decimal(1)


def computed(name: str, args: list[Scaled], rows: int, valid: np.ndarray | None) -> Scaled:
    """The function of every row that is `valid`.

    Raises: InvalidArgumentForLogarithm (2201E), InvalidArgumentForPower (2201F), DivisionByZero (22012),
    NumericOutOfRange (22003).
    """
    values = np.zeros(rows, object)
    scales, odd = np.zeros(rows, np.int64), np.zeros(rows)
    columns = [_pairs(arg.spread(rows)) for arg in args]
    known: dict[tuple[tuple[Decimal, int], ...], tuple[Decimal, int]] = {}
    for row in range(rows) if valid is None else np.flatnonzero(valid).tolist():
        operands = tuple(column[row] for column in columns)
        found = known.get(operands)
        if found is None:
            found = known[operands] = _function(name, operands)
        value, scale = found
        if not value.is_finite():
            odd[row] = float(value)
            continue
        values[row], scales[row] = _unscaled(value, scale), scale
    return Scaled(values, scales, odd if odd.any() else None)


def _pairs(data: Scaled) -> list[tuple[Decimal, int]]:
    """Each value, and its scale."""
    found = [(Decimal(value).scaleb(-scale, form.EXACT), scale)
             for value, scale in zip(data.values.tolist(), data.scales.tolist(), strict=True)]
    if data.odd is not None:
        for row in np.flatnonzero(data.odd).tolist():
            found[row] = (Decimal(data.odd[row]), 0)
    return found


def _context(digits: int) -> decimal.Context:
    return decimal.Context(prec=max(digits, 20), Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[],
                           rounding=decimal.ROUND_HALF_UP)


def _unscaled(value: Decimal, scale: int) -> int:
    if value.adjusted() >= form.MOST_WHOLE_DIGITS:
        raise _overflow()
    exact = _context(max(value.adjusted(), 0) + scale + 10)
    whole = value.scaleb(scale, form.EXACT).to_integral_value(rounding=decimal.ROUND_HALF_UP, context=exact)
    found = form.integer(f"{whole.copy_abs():f}")
    return -found if whole < 0 else found


def _overflow() -> NumericOutOfRange:
    return NumericOutOfRange("value overflows numeric format")


def _shown(scale: int, *least: int) -> int:
    return min(max(scale, 0, *least), MOST_DISPLAYED)


def _weight(x: Decimal) -> int:
    """Of the first digit to base 10000."""
    return x.adjusted() // 4 if x else 0


def _function(name: str, operands: tuple[tuple[Decimal, int], ...]) -> tuple[Decimal, int]:
    (x, scale), *rest = operands
    if name in ("power", "pow"):
        return _power(x, scale, *rest[0])
    if any(value.is_nan() for value, _ in operands):
        return _NAN, 0
    if name == "sqrt":
        if x < 0:
            raise InvalidArgumentForPower("cannot take square root of a negative number")
        if x.is_infinite():
            return x, 0
        shown = _shown(MIN_SIGNIFICANT - (int((_weight(x) + 1) * 4 / 2) - 1), scale)
        wide = _unscaled(x, 2 * shown)
        root = math.isqrt(wide)
        return Decimal(root + (wide - root * root > root)).scaleb(-shown, form.EXACT), shown
    if name == "exp":
        if x.is_infinite():
            return (x, 0) if x > 0 else (_ZERO, 0)
        reach = max(-_MOST_RESULT, min(_MOST_RESULT, _float(x) * _LOG10_E))
        return _exp(x, _shown(MIN_SIGNIFICANT - int(reach), scale))
    _check_logarithms([value for value, _ in operands])
    if name == "ln":
        if x.is_infinite():
            return x, 0
        shown = _shown(MIN_SIGNIFICANT - _ln_weight(x), scale)
        return _ln(x, shown + 30), shown
    return _log(Decimal(10), 0, x, scale) if not rest else _log(x, scale, *rest[0])


def _check_logarithms(values: list[Decimal]) -> None:
    # of two errors PostgreSQL reports that of the base, but where one is infinite the negative one
    for value in sorted(values) if any(value.is_infinite() for value in values) else values:
        if value == 0:
            raise InvalidArgumentForLogarithm("cannot take logarithm of zero")
        if value < 0:
            raise InvalidArgumentForLogarithm("cannot take logarithm of a negative number")


def _float(x: Decimal) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.copysign(math.inf, x)


def _exp(x: Decimal, shown: int) -> tuple[Decimal, int]:
    if abs(x) >= 3 * _MOST_RESULT:
        if x > 0:
            raise _overflow()
        return _ZERO, shown
    whole = max(int(_float(x) * _LOG10_E), 0)
    return x.exp(_context(whole + shown + 30)), shown


def _ln_weight(x: Decimal) -> int:
    """About the decimal weight of ln(x), for choosing scales only."""
    if x <= 0:
        return 0
    if Decimal("0.9") <= x <= Decimal("1.1"):
        rest = abs(form.EXACT.subtract(x, _ONE))
        if not rest:
            return 0
        weight = _weight(rest)
        first = int(rest.scaleb(-4 * weight, form.EXACT))
        return weight * 4 + int(math.log10(first))
    weight = _weight(x) * 4
    digits = x.scaleb(-weight, form.EXACT)
    if digits != int(digits):  # two digits to base 10000
        digits, weight = digits.scaleb(4, form.EXACT), weight - 4
    return int(math.log10(abs(math.log(int(digits)) + weight * _LN_10)))


def _ln(x: Decimal, scale: int) -> Decimal:
    """With `scale` digits after the point."""
    whole = len(str(abs(x.adjusted()) + 1)) + 2
    return x.ln(_context(scale + whole))


def _log(base: Decimal, base_scale: int, x: Decimal, scale: int) -> tuple[Decimal, int]:
    if x.is_infinite():
        return (_NAN if base.is_infinite() else x), 0
    if base.is_infinite():
        return _ZERO, 0
    base_weight, weight = _ln_weight(base), _ln_weight(x)
    shown = _shown(MIN_SIGNIFICANT - (weight - base_weight), base_scale, scale)
    digits = shown + abs(weight) + 2 * abs(base_weight) + 30
    bottom = _ln(base, digits)
    if not bottom:
        raise DivisionByZero("division by zero")
    if base == 10:
        return x.log10(_context(digits)), shown
    return _context(digits).divide(_ln(x, digits), bottom), shown


def _power(x: Decimal, x_scale: int, y: Decimal, y_scale: int) -> tuple[Decimal, int]:
    if x.is_nan() or y.is_nan():
        return (_ONE, 0) if y == 0 or x == 1 else (_NAN, 0)
    whole = y.is_infinite() or y == y.to_integral_value()
    if x == 0 and y < 0:
        raise InvalidArgumentForPower("zero raised to a negative power is undefined")
    if x < 0 and not whole:
        raise InvalidArgumentForPower("a negative number raised to a non-integer power yields a complex result")
    if x.is_infinite() or y.is_infinite():
        return _infinite_power(x, y), 0
    if whole and -(1 << 31) <= y < 1 << 31:
        return _whole_power(x, int(y), _shown(MIN_SIGNIFICANT, x_scale))
    if not x:
        return _ZERO, MIN_SIGNIFICANT
    size = x.copy_abs()  # abs() would round
    first = max(0, 8 - _ln_weight(size))
    reach = _float(form.EXACT.multiply(_ln(size, first + 4), y))
    if abs(reach) > _MOST_RESULT * 3.01:
        if reach > 0:
            raise _overflow()
        return _ZERO, MOST_DISPLAYED
    reach *= _LOG10_E
    shown = _shown(MIN_SIGNIFICANT - int(reach), x_scale, y_scale)
    digits = max(int(reach), 0) + shown + max(y.adjusted(), 0) + 20
    context = _context(digits)
    found = context.multiply(_ln(size, digits), y).exp(context)
    return (found.copy_negate() if x < 0 and form.EXACT.remainder(y, Decimal(2)) else found), shown


def _infinite_power(x: Decimal, y: Decimal) -> Decimal:
    if y == 0 or x == 1:
        return _ONE
    if y.is_infinite():
        if x == -1:
            return _ONE
        return Decimal("Infinity") if (abs(x) > 1) == (y > 0) else _ZERO
    if y < 0:
        return _ZERO
    odd = y == y.to_integral_value() and form.EXACT.remainder(y, Decimal(2)) != 0
    return x if x > 0 or odd else Decimal("Infinity")


def _whole_power(x: Decimal, y: int, shown: int) -> tuple[Decimal, int]:
    if y == 0 or not x:
        return (_ONE if y == 0 else _ZERO), shown
    reach = y * (x.adjusted() + math.log10(float(abs(x.scaleb(-x.adjusted(), form.EXACT)))))
    if reach > form.MOST_WHOLE_DIGITS + 1:
        raise _overflow()
    if reach < -shown - 10:
        return _ZERO, shown
    context = _context(max(int(reach), 0) + shown + 30)
    return context.power(x, y), shown
