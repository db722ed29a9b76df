"""Arithmetic operators on numbers. Those on dates and intervals are in datetime.py.

Spec: PostgreSQL 15 documentation, 9.3 "Mathematical Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import specials
from shoal.catalog.types import storage_type
from shoal.exec.functions import numeric_types
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, bounded, constant, everywhere, integer_operation, least_integer, spelled
from shoal.exec.kernels import decimals, nulls, numbers, scaled, special_rules, views
from shoal.exec.kernels.comparing import raw
from shoal.exec.kernels.nulls import merged_validity
from shoal.exec.plan.expr import Call

_DECIMAL: dict[str, Callable[..., np.ndarray]] = {"add": decimals.add, "sub": decimals.subtract}


def numeric_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """+ - * / % on numerics, exact at the result's scale."""
    if scaled.involved(call):
        return _scaled(call, args, rows)
    if call.name == "mod" and special_rules.held(args[1]):  # a number by an infinity is the number, as by any greater number
        divisors = nulls.spread(args[1], rows) if isinstance(args[1], pa.Scalar) else args[1]
        args = [args[0], specials.with_infinities(divisors, decimals.POWERS[76])]
    return _AWARE[call.name](call, args, rows, context)


def _scaled(call: Call, args: list[Any], rows: int) -> pa.Array:
    """The same where each value has its own scale; quotients always have."""
    valid, name = merged_validity(args), call.name
    a, b = (scaled.read(arg, expr.type) for arg, expr in zip(args, call.args, strict=True))
    if name == "mod" and b.odd is not None and np.isinf(b.odd).any():  # a number by an infinity is the number
        b = b.spread(rows)
        assert b.odd is not None
        infinite = np.isinf(b.odd) & (True if a.odd is None else np.asarray(a.odd == 0))
        b = scaled.Scaled(np.where(infinite, np.abs(a.values).astype(object) + 1, b.values),
                          np.where(infinite, a.scales, b.scales), np.where(infinite, 0.0, b.odd))
    if name == "div":
        column = scaled.quotient_column(a, b, rows, valid)
        if column is not None:
            return column
    compute = _SCALED[name]
    found = scaled.with_specials(_RULES[name], name, [a, b], valid, rows, compute)
    return scaled.written(found.spread(rows), valid)


_SCALED: dict[str, Callable[..., scaled.Scaled]] = {
    "add": lambda a, b, valid: scaled.add(a, b), "sub": lambda a, b, valid: scaled.subtract(a, b),
    "mul": lambda a, b, valid: scaled.multiply(a, b), "div": scaled.divide, "mod": scaled.remainder}
_RULES = {"add": special_rules.total, "sub": special_rules.total, "mul": special_rules.product,
          "div": special_rules.quotient, "mod": special_rules.remainder}


def _ordinary(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    scales = [arg.type.scale or 0 for arg in call.args]
    target = call.type.scale or 0
    a, b = (decimals.unscaled(arg) for arg in args)
    valid = merged_validity(args)
    if call.name == "mul":
        data: Any = decimals.rescaled(decimals.multiply(a, b, valid), target - sum(scales), valid)
    else:
        a = decimals.rescaled(a, target - scales[0], valid)
        b = decimals.rescaled(b, target - scales[1], valid)
        if call.name == "mod":
            b = numbers.nonzero(b, valid)
            x, y = (np.asarray(part) for part in decimals.alike(a, b))
            data = np.sign(x) * (abs(x) % abs(y))
        else:
            data = _DECIMAL[call.name](a, b, valid)
    return decimals.packed(data, target)


_AWARE = {name: special_rules.aware(rule)(_ordinary) for name, rule in _RULES.items()}


def integer_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """+ - * / % on integers."""
    a, b = raw(args[0]), raw(args[1])
    valid, kind = merged_validity(args), call.type.name
    if call.name == "div":
        data = numbers.integer_division(a, b, kind, valid)
    elif call.name == "mod":
        data = numbers.integer_remainder(a, b, kind, valid)
    else:
        data = numbers.integer_operation(call.name, a, b, kind, valid)
    return views.array_of(data, storage_type(call.type))


def float_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """+ - * / on floats."""
    data = numbers.float_operation(call.name, raw(args[0]), raw(args[1]), call.type.name, merged_validity(args))
    return views.array_of(data, storage_type(call.type))


@special_rules.aware(special_rules.itself)
def _negated(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    return decimals.packed(decimals.subtract(0, decimals.unscaled(args[0]), merged_validity(args)), call.type.scale or 0)


def neg_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    if call.type.varies:
        given = scaled.read(args[0], call.type)
        odd = None if given.odd is None else -given.odd
        return scaled.written(scaled.Scaled(decimals.subtract(0, given.values), given.scales, odd), merged_validity(args))
    if call.type.name == "numeric":
        return _negated(call, args, rows, context)
    data = views.values(args[0])
    if call.type.is_integer:
        data = numbers.integer_operation("sub", 0, data, call.type.name, merged_validity(args))
        return views.array_of(data, storage_type(call.type))
    return views.array_of(-data, storage_type(call.type))


def plus_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    return args[0]


def bit_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """& | # ~ << >>; shifts by the count modulo the width, as C compilers do it."""
    kind = call.type.name
    dtype = numbers.dtype_of(kind)
    a = raw(args[0])
    if call.name == "bit_not_op":
        return views.array_of(~a, storage_type(call.type))
    b = raw(args[1])
    if call.name.startswith("shift"):
        width = 31 if kind in ("int2", "int4") else 63
        wide = np.asarray(a).astype(np.int32 if width == 31 else np.int64)
        count = (np.asarray(b) & width).astype(wide.dtype)
        data = (wide << count if call.name == "shift_left" else wide >> count).astype(dtype)
    else:
        a, b = np.asarray(a).astype(dtype), np.asarray(b).astype(dtype)
        data = a & b if call.name == "bit_and_op" else a | b if call.name == "bit_or_op" else a ^ b
    return views.array_of(data, storage_type(call.type))


_INTEGERS = ("int2", "int4", "int8")
_INTEGER_SIGNATURES = [f"{a} {b} -> {max(a, b)}" for a in _INTEGERS for b in _INTEGERS]
_FLOAT_SIGNATURES = ["float4 float4 -> float4", "float4 float8 -> float8", "float8 float4 -> float8",
                     "float8 float8 -> float8"]

for _name, _symbol, _result in (("add", "+", numeric_types.sum_of_two), ("sub", "-", numeric_types.sum_of_two),
                                ("mul", "*", numeric_types.product), ("div", "/", numeric_types.varying)):
    for _signature in _INTEGER_SIGNATURES:
        declare(_name, _signature, symbol=_symbol, hidden=True, kernel=integer_kernel, family="arithmetic",
                spelled=integer_operation(_symbol, _signature.split()[-1]) if _name != "div" else everywhere(
                    "({0} / {1})", when=constant(1, lambda divisor: divisor not in (0, -1))))
    declare(_name, *_FLOAT_SIGNATURES, symbol=_symbol, hidden=True, kernel=float_kernel, family="arithmetic")
    declare(_name, "numeric numeric", returns=_result, kernel=numeric_kernel, raises=_name == "div", symbol=_symbol,
            hidden=True, family="arithmetic",
            spelled=spelled(Spelling(f"({{0}} {_symbol} {{1}})", when=bounded)) if _name != "div" else {})

_divisible = constant(1, lambda divisor: divisor != 0)
_REMAINDER = (Spelling("({0} % {1})", when=_divisible), Spelling("({0} % nullif({1}, 0))", "({1} = 0)"))
declare("mod", "int2 int2 -> int2", "int4 int4 -> int4", "int8 int8 -> int8", symbol="%", kernel=integer_kernel,
        family="arithmetic", spelled=spelled(_REMAINDER, _REMAINDER),
        doc="The remainder of a truncating division; it has the dividend's sign.", example="mod(9, 4) = 1")
declare("mod", "numeric numeric", returns=numeric_types.aligned, symbol="%", kernel=numeric_kernel, family="arithmetic",
        spelled=spelled([Spelling("({0} % {1})", when=lambda args: bounded(args) and _divisible(args)),
                         Spelling("({0} % nullif({1}, 0))", "({1} = 0)", when=bounded)]))
for _type in _INTEGERS:
    declare("neg", f"{_type} -> {_type}", symbol="-", hidden=True, kernel=neg_kernel, family="arithmetic",
            spelled=least_integer("(-({0}))", _type))
declare("neg", "float4 -> float4", "float8 -> float8", symbol="-", hidden=True, kernel=neg_kernel, family="arithmetic",
        spelled=spelled("(-({0}))"))
declare("neg", "numeric", returns=numeric_types.same, symbol="-", hidden=True, kernel=neg_kernel, raises=False,
        family="arithmetic", spelled=spelled("(-({0}))"))
declare("plus", *(f"{_type} -> {_type}" for _type in _INTEGERS), symbol="+", hidden=True, kernel=plus_kernel, raises=False,
        family="arithmetic", spelled=everywhere("(+({0}))"))
declare("plus", "float4 -> float4", "float8 -> float8", symbol="+", hidden=True, kernel=plus_kernel, raises=False,
        family="arithmetic", spelled=spelled("(+({0}))"))
declare("plus", "numeric", returns=numeric_types.same, symbol="+", hidden=True, kernel=plus_kernel, raises=False,
        family="arithmetic", spelled=spelled("(+({0}))"))
for _name, _symbol in (("bit_and_op", "&"), ("bit_or_op", "|"), ("bit_xor_op", "#")):
    declare(_name, "int2 int2 -> int2", "int4 int4 -> int4", "int8 int8 -> int8", symbol=_symbol, hidden=True,
            kernel=bit_kernel, raises=False, family="arithmetic",
            spelled=spelled(f"({{0}} {_symbol} {{1}})", f"({{0}} {_symbol} {{1}})" if _symbol != "#" else ()))
for _name, _symbol in (("shift_left", "<<"), ("shift_right", ">>")):
    declare(_name, "int2 int4 -> int2", "int4 int4 -> int4", "int8 int4 -> int8", symbol=_symbol, hidden=True,
            kernel=bit_kernel, raises=False, family="arithmetic")
declare("bit_not_op", "int2 -> int2", "int4 -> int4", "int8 -> int8", symbol="~", hidden=True, kernel=bit_kernel,
        raises=False, family="arithmetic")
