"""Mathematical functions on floats and numerics.

Numerics are computed in decimal arithmetic: exactly where the result is exact, else to the result's scale.
Spec: PostgreSQL 15 documentation, 9.3 "Mathematical Functions and Operators".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import scaled as form
from shoal.catalog.errors import (
    InvalidArgumentForLogarithm,
    InvalidArgumentForPower,
    InvalidArgumentForWidthBucket,
    NumericOutOfRange,
)
from shoal.catalog.types import NUMERIC, storage_type
from shoal.exec.functions import numeric_types
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, bounded, constant, least_integer, spelled
from shoal.exec.kernels import decimals, degrees, numbers, scaled, special_rules, views
from shoal.exec.kernels.comparing import raw
from shoal.exec.kernels.nulls import merged_validity
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]


def _numeric_abs(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    if call.type.varies:
        data = scaled.read(args[0], call.type)
        odd = None if data.odd is None else np.abs(data.odd)
        return scaled.written(scaled.Scaled(np.abs(data.values), data.scales, odd), views.validity(args[0]))
    return _fixed_abs(call, args, rows, context)


@special_rules.aware(special_rules.itself)
def _fixed_abs(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return decimals.packed(np.abs(decimals.unscaled(args[0])), call.type.scale or 0)


def abs_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    if call.type.name == "numeric":
        return _numeric_abs(call, args, rows, context)
    data = views.values(args[0])
    if call.type.is_integer:
        low = -(1 << (8 * data.dtype.itemsize - 1))
        bad, valid = data == low, views.validity(args[0])
        if (bad if valid is None else bad & valid).any():
            raise numbers.out_of_range(call.type.name)
    return views.array_of(np.abs(data), storage_type(call.type))


def float_rounding_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    functions: dict[str, Any] = {"ceil": np.ceil, "ceiling": np.ceil, "floor": np.floor, "round": np.rint, "trunc": np.trunc,
                                 "sign": np.sign}
    data = views.values(args[0])
    found = functions[call.name](data)
    return views.array_of(np.where(np.isnan(data), 0.0, found) if call.name == "sign" else found, pa.float64())


@special_rules.aware(special_rules.itself)
def numeric_rounding_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """ceil, floor, round, trunc, sign of numerics, to whole numbers."""
    if call.type.varies:
        return _scaled_rounding(call.name, scaled.read(args[0], call.type), np.zeros(1, np.int64), views.validity(args[0]))
    data, scale = decimals.unscaled(args[0]), call.args[0].type.scale or 0
    assert not isinstance(data, int)
    match call.name:
        case "floor":
            result: Any = decimals.floored(data, scale)
        case "ceil" | "ceiling":
            result = -decimals.floored(-data, scale)
        case "trunc":
            result = decimals.truncated(data, scale)
        case "sign":
            result = np.sign(data)
        case _:
            result = decimals.rescaled(data, -scale)
    return decimals.packed(np.asarray(result), 0, views.validity(args[0]) if result.dtype == object else None)


_HOW = {"ceiling": "ceil"}


def _scaled_rounding(name: str, data: scaled.Scaled, digits: np.ndarray, valid: np.ndarray | None) -> pa.Array:
    """ceil, floor, round, trunc at so many digits after the point, which may be below 0; and sign."""
    if name == "sign":
        values, odd = np.sign(data.values), None
        if data.odd is not None:
            values = np.where(np.isinf(data.odd), np.sign(data.odd), values).astype(np.int64)
            odd = np.where(np.isnan(data.odd), np.nan, 0.0)
        return scaled.written(scaled.Scaled(values, np.zeros(len(values), np.int64), odd), valid)
    digits = np.clip(digits, -form.MOST_WHOLE_DIGITS, form.MOST_SCALE)
    values, shown = scaled.rescaled(data, digits, _HOW.get(name, name)), np.maximum(digits, 0)
    if len(digits) and int(digits.min()) < 0:
        values = scaled.upscaled(values, np.maximum(-digits, 0))
    return scaled.written(scaled.Scaled(values, np.broadcast_to(shown, len(values)), data.odd), valid)


def _each_rounded(call: Call, args: Args, rows: int) -> pa.Array:
    """round(x, n) and trunc(x, n) where n varies or no static scale holds the results."""
    data, valid = scaled.read(args[0], call.args[0].type).spread(rows), merged_validity(args)
    digits = np.broadcast_to(np.asarray(raw(args[1]), np.int64), rows)
    return _scaled_rounding(call.name, data, np.clip(digits, -2000, 2000), valid)


def round_digits_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """round(x, n) and trunc(x, n); n below zero works before the point."""
    return _each_rounded(call, args, rows) if call.type.varies else _all_rounded(call, args, rows, context)


@parameters(1)
@special_rules.aware(special_rules.itself)
def _all_rounded(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array = column(args[0], rows)
    scale, target = call.args[0].type.scale or 0, call.type.scale or 0
    digits = max(min(int(args[1]), 1000), -1000)
    data, valid = decimals.unscaled(array), views.validity(array)
    dropped = min(scale - digits, 150)
    if dropped > 0:
        cut = decimals.rescaled(data, -dropped) if call.name == "round" else decimals.truncated(data, dropped)
        data, scale = cut, scale - dropped
    return decimals.packed(np.asarray(decimals.rescaled(data, target - scale, valid)), target, valid)


_MATH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sqrt": np.sqrt, "cbrt": np.cbrt, "exp": np.exp, "ln": np.log, "log": np.log10, "log10": np.log10, "degrees": np.degrees,
    "radians": np.radians, "sin": np.sin, "cos": np.cos, "tan": np.tan, "cot": lambda x: 1.0 / np.tan(x), "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh}
_BOUNDED = {"asin": (-1.0, 1.0), "acos": (-1.0, 1.0), "asind": (-1.0, 1.0), "acosd": (-1.0, 1.0), "atanh": (-1.0, 1.0),
            "acosh": (1.0, math.inf)}
_MATH.update(degrees.FUNCTIONS)


def float_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Functions of one float8. Raises as PostgreSQL does outside their domain."""
    data, valid = views.values(args[0]), views.validity(args[0])
    name = call.name
    if valid is not None:
        data = np.where(valid, data, 0.0 if name == "atanh" else 1.0)
    if name == "sqrt" and (data < 0).any():
        raise InvalidArgumentForPower("cannot take square root of a negative number")
    if name in ("ln", "log", "log10"):
        _check_logarithm(data)
    if name in ("sin", "cos", "tan", "cot", "sind", "cosd", "tand", "cotd") and np.isinf(data).any():
        raise NumericOutOfRange("input is out of range")
    if name in _BOUNDED:
        low, high = _BOUNDED[name]
        if ((data < low) | (data > high)).any():
            raise NumericOutOfRange("input is out of range")
    result = _libm(name, data)
    if name in ("exp", "degrees"):
        numbers.check_float_result(result, (data,), None)
    if name == "exp" and ((result == 0) & ~np.isinf(data)).any():
        raise NumericOutOfRange("value out of range: underflow")
    return views.array_of(result, pa.float64())


def _libm(name: str, data: np.ndarray) -> np.ndarray:
    """The C library's function, as PostgreSQL calls it: numpy's vector units round some results differently, and not the
    same on every machine."""
    function = _LIBM.get(name)
    if function is not None:
        try:
            return np.fromiter(map(function, data.tolist()), np.float64, count=len(data))
        except (OverflowError, ValueError):
            pass  # numpy gives infinity or NaN where Python raises
    with np.errstate(all="ignore"):
        return _MATH[name](data)


_LIBM: dict[str, Callable[[float], float]] = {
    "cbrt": math.cbrt, "exp": math.exp, "ln": math.log, "log": math.log10, "log10": math.log10, "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan, "sinh": math.sinh, "cosh": math.cosh,
    "tanh": math.tanh, "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh}


def _check_logarithm(data: Any) -> None:
    if (data == 0).any():
        raise InvalidArgumentForLogarithm("cannot take logarithm of zero")
    if (data < 0).any():
        raise InvalidArgumentForLogarithm("cannot take logarithm of a negative number")


def float_pair_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    valid = merged_validity(args)
    a, b = (np.broadcast_to(np.asarray(raw(arg), np.float64), rows) for arg in args)
    if valid is not None:
        a, b = np.where(valid, a, 1.0), np.where(valid, b, 1.0)
    with np.errstate(all="ignore"):
        if call.name in ("power", "pow"):
            if ((a == 0) & (b < 0)).any():
                raise InvalidArgumentForPower("zero raised to a negative power is undefined")
            if ((a < 0) & (np.floor(b) != b) & ~np.isinf(b) & ~np.isnan(b)).any():
                raise InvalidArgumentForPower("a negative number raised to a non-integer power yields a complex result")
            result = np.power(a, b)
            numbers.check_float_result(result, (a, b), None)
            if ((result == 0) & (a != 0) & ~np.isinf(a) & ~np.isinf(b)).any():
                raise NumericOutOfRange("value out of range: underflow")
        else:
            result = np.arctan2(a, b)
            if call.name == "atan2d":
                result = degrees.atan2d(a, b)
    return views.array_of(result, pa.float64())


def pi_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar(math.pi)


def numeric_function_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """sqrt, exp, ln, log, power of numerics."""
    from shoal.exec.kernels.scaled_functions import computed
    valid = merged_validity(args)
    operands = [scaled.read(arg, expr.type) for arg, expr in zip(args, call.args, strict=True)]
    return scaled.written(computed(call.name, operands, rows, valid), valid)


def div_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """div(x, y): the quotient, towards zero."""
    if not scaled.involved(call):
        return _aligned_div(call, args, rows, context)
    valid = merged_validity(args)
    operands = [scaled.read(arg, expr.type) for arg, expr in zip(args, call.args, strict=True)]
    found = scaled.with_specials(special_rules.quotient, "div", operands, valid, rows, scaled.truncated_quotient)
    return scaled.written(found.spread(rows), valid)


@special_rules.aware(special_rules.quotient)
def _aligned_div(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    valid = merged_validity(args)
    scale = max(arg.type.scale or 0 for arg in call.args)
    a, b = (_spread(decimals.rescaled(decimals.unscaled(arg), scale - (expr.type.scale or 0), valid), rows)
            for arg, expr in zip(args, call.args, strict=True))
    b = numbers.nonzero(b, valid)
    quotient = np.abs(a) // np.abs(b)
    return decimals.packed(np.where((a < 0) ^ (b < 0), -quotient, quotient), 0, valid)


def _spread(data: Any, rows: int) -> np.ndarray:
    return np.full(rows, data, np.int64 if decimals.fits(data, data) else object) if isinstance(data, int) else data


def gcd_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """gcd and lcm."""
    if not scaled.involved(call):
        return _aligned_gcd(call, args, rows, context)
    valid, function = merged_validity(args), math.gcd if call.name == "gcd" else math.lcm
    operands = [scaled.read(arg, expr.type) for arg, expr in zip(args, call.args, strict=True)]

    def compute(a: scaled.Scaled, b: scaled.Scaled, known: np.ndarray | None) -> scaled.Scaled:
        x, y, scales = scaled.aligned(a.spread(rows), b.spread(rows))
        values = np.empty(rows, object)
        values[:] = [function(int(u), int(v)) for u, v in zip(x.tolist(), y.tolist(), strict=True)]
        return scaled.Scaled(values, scales)
    return scaled.written(scaled.with_specials(special_rules.nan, call.name, operands, valid, rows, compute), valid)


@special_rules.aware(special_rules.nan)
def _aligned_gcd(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    valid = merged_validity(args)
    function = math.gcd if call.name == "gcd" else math.lcm
    if call.type.name == "numeric":
        scale = call.type.scale or 0
        a, b = (_spread(decimals.rescaled(decimals.unscaled(arg), scale - (expr.type.scale or 0), valid), rows)
                for arg, expr in zip(args, call.args, strict=True))
    else:
        a, b = (np.broadcast_to(np.asarray(raw(arg)), rows) for arg in args)
    data = np.array([function(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)], object)
    if call.type.name == "numeric":
        return decimals.packed(data, call.type.scale or 0, valid)
    return views.array_of(numbers.checked(data, call.type.name, valid) if rows else np.zeros(0), storage_type(call.type))


def factorial_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    data, valid = views.values(args[0]), views.validity(args[0])
    seen = data if valid is None else data[valid]
    if len(seen) and int(seen.min()) < 0:
        raise NumericOutOfRange("factorial of a negative number is undefined")
    if len(seen) and int(seen.max()) > 32_177:
        raise NumericOutOfRange("value overflows numeric format")
    clean = data if valid is None else np.where(valid, data, 0)
    values = np.empty(rows, object)
    values[:] = [math.factorial(value) for value in clean.tolist()]
    return scaled.written(scaled.Scaled(values, np.zeros(rows, np.int64)), valid)


def scale_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """scale() and min_scale(); NULL of NaN and the infinities."""
    data = scaled.read(args[0], call.args[0].type)
    scales = data.scales if call.name == "scale" else scaled.least_scales(data)
    return views.array_of(scales, pa.int32(), None if data.odd is None else data.odd == 0)


def trim_scale_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    data = scaled.read(args[0], call.args[0].type)
    scales = scaled.least_scales(data)
    return scaled.written(scaled.Scaled(scaled.rescaled(data, scales), scales, data.odd), views.validity(args[0]))


def _bucket_operands(call: Call, args: Args, rows: int, valid: np.ndarray | None) -> list[np.ndarray]:
    """Value, low and high at one scale; an infinite value is beyond all bounds."""
    arrays = [column(arg, rows) for arg in args[:3]]
    if call.args[0].type.name != "numeric":
        floats = [np.asarray(raw(array), np.float64) for array in arrays]
        found: list[np.ndarray | None] = [np.where(np.isfinite(data), 0.0, data) for data in floats]
    else:
        read = [scaled.read(array, expr.type) for array, expr in zip(arrays, call.args, strict=False)]
        floats, found = [], [data.odd for data in read]
    seen = [one if one is None or valid is None else one[valid] for one in found]
    if any(one is not None and np.isnan(one).any() for one in seen):
        raise InvalidArgumentForWidthBucket("operand, lower bound, and upper bound cannot be NaN")
    if any(one is not None and np.isinf(one).any() for one in seen[1:]):
        raise InvalidArgumentForWidthBucket("lower and upper bounds must be finite")
    if floats:
        return floats
    scale = np.full(1, max(int(data.scales.max(initial=0)) for data in read))
    exact = []
    for given, one in zip(read, found, strict=True):
        data = scaled.rescaled(given, scale).astype(object)
        if one is not None:
            data[one > 0], data[one < 0] = 1 << 600_000, -1 << 600_000
        exact.append(data)
    return exact


def _numeric_bucket(part: int, whole: int) -> int:
    """floor(part / whole) + 1 of the quotient as numeric division rounds it."""
    if part < 10 ** 15:
        return part // whole + 1
    none = np.zeros(1, np.int64)
    a, b = (scaled.Scaled(np.array([value], object), none) for value in (part, whole))
    found = scaled.divide(a, b, None)
    return int(scaled.rescaled(found, none, "floor")[0]) + 1


def width_bucket_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    valid = merged_validity(args)
    value, low, high = _bucket_operands(call, args, rows, valid)
    count = np.broadcast_to(np.asarray(raw(args[3]), np.int64), rows)
    seen = np.ones(rows, np.bool_) if valid is None else valid
    if (count[seen] <= 0).any():
        raise InvalidArgumentForWidthBucket("count must be greater than zero")
    if (np.asarray(low == high, np.bool_) & seen).any():
        raise InvalidArgumentForWidthBucket("lower bound cannot equal upper bound")
    out = np.zeros(rows, np.int64)
    for row in np.flatnonzero(seen).tolist():
        v, a, b, n = value[row], low[row], high[row], int(count[row])
        if a > b:
            v, a, b = -v, -a, -b
        if v < a:
            out[row] = 0
        elif v >= b:
            out[row] = n + 1
        elif isinstance(v, int):
            out[row] = _numeric_bucket((v - a) * n, b - a)
        else:
            out[row] = int((v - a) / (b - a) * n) + 1
    if (out > np.iinfo(np.int32).max).any():
        raise NumericOutOfRange("integer out of range")
    return views.array_of(out, pa.int32())


def random_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return views.array_of(context.random().random(rows), pa.float64())


def increment_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """int4inc."""
    data, valid = views.values(args[0]).astype(np.int64) + 1, views.validity(args[0])
    return views.array_of(numbers.checked(data, "int4", valid), pa.int32())


for _type in ("int2", "int4", "int8", "float4", "float8"):
    declare("abs", f"{_type} -> {_type}", symbol="@", family="math", kernel=abs_kernel, doc="Absolute value.",
            example="abs(-17.4)", spelled=least_integer("abs({0})", _type) if _type[:3] == "int" else spelled("abs({0})"))
declare("abs", "numeric", returns=numeric_types.same, symbol="@", kernel=abs_kernel, raises=False, family="math",
        spelled=spelled("abs({0})"))
for _name in ("ceil", "ceiling", "floor", "round", "trunc", "sign"):
    declare(_name, "float8 -> float8", family="math", kernel=float_rounding_kernel, raises=False,
            spelled=spelled(f"{_name}({{0}})"))
    declare(_name, "numeric", returns=numeric_types.whole, family="math", kernel=numeric_rounding_kernel, raises=False,
            example=f"{_name}(-42.8)", spelled=spelled(Spelling(f"{_name}({{0}})", when=bounded)))
_few_digits = constant(1, lambda digits: abs(digits) <= 100)
for _name in ("round", "trunc"):
    declare(_name, "numeric int4", returns=numeric_types.rounded, typed_by_constants=True, kernel=round_digits_kernel,
            family="math", example=f"{_name}(42.4382, 2)",
            spelled=spelled(Spelling(f"{_name}({{0}}, {{1}})", when=lambda args: bounded(args[:1]) and _few_digits(args))))
for _name in ("sqrt", "exp", "ln", "log", "log10"):
    declare(_name, "float8 -> float8", family="math", kernel=float_kernel, symbol="|/" if _name == "sqrt" else "",
            example=f"{_name}(2)")
    declare(_name, "numeric", returns=numeric_types.varying, kernel=numeric_function_kernel, family="math")
declare("log", "numeric numeric", returns=numeric_types.varying, kernel=numeric_function_kernel, family="math",
        example="log(2.0, 64.0)")
for _name in ("power", "pow"):
    declare(_name, "float8 float8 -> float8", symbol="^" if _name == "power" else "", kernel=float_pair_kernel,
            family="math",
            example=f"{_name}(9, 3)")
    declare(_name, "numeric numeric", returns=numeric_types.varying, symbol="^" if _name == "power" else "",
            kernel=numeric_function_kernel, family="math")
declare("cbrt", "float8 -> float8", symbol="||/", kernel=float_kernel, family="math", example="cbrt(27)")
for _name in ["degrees", "radians", "sin", "cos", "tan", "cot", "asin", "acos", "atan", "sind", "cosd", "tand", "cotd",
              "asind", "acosd", "atand", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"]:
    declare(_name, "float8 -> float8", kernel=float_kernel, family="math",
            example=f"{_name}({1.5 if _name == 'acosh' else 0.5})")
declare("atan2", "float8 float8 -> float8", kernel=float_pair_kernel, family="math", example="atan2(1, 0)")
declare("atan2d", "float8 float8 -> float8", kernel=float_pair_kernel, family="math")
declare("pi", "-> float8", kernel=pi_kernel, family="math", raises=False)
declare("div", "numeric numeric", returns=numeric_types.whole, kernel=div_kernel, family="math",
        doc="The truncated quotient.",
        example="div(9, 4)")
declare("div_truncated", "numeric numeric", returns=numeric_types.whole, kernel=div_kernel, family="math", hidden=True)
for _name in ("gcd", "lcm"):
    declare(_name, "int4 int4 -> int4", "int8 int8 -> int8", kernel=gcd_kernel, family="math", example=f"{_name}(1071, 462)")
    declare(_name, "numeric numeric", returns=numeric_types.aligned, kernel=gcd_kernel, family="math")
declare("factorial", "int8", returns=NUMERIC, kernel=factorial_kernel, family="math", example="factorial(5)")
declare("scale", "numeric -> int4", kernel=scale_kernel, family="math", raises=False)
declare("min_scale", "numeric -> int4", kernel=scale_kernel, family="math", raises=False)
declare("trim_scale", "numeric", returns=NUMERIC, kernel=trim_scale_kernel, family="math", raises=False)
declare("width_bucket", "float8 float8 float8 int4 -> int4", "numeric numeric numeric int4 -> int4",
        kernel=width_bucket_kernel,
        family="math", example="width_bucket(5.35, 0.024, 10.06, 5)")
declare("int4inc", "int4 -> int4", kernel=increment_kernel, family="math", doc="The next integer.", example="int4inc(41)")
declare("random", "-> float8", volatility="volatile", kernel=random_kernel, family="math", raises=False)
