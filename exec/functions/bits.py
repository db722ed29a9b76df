"""Bit strings: operators and functions of bit(n) and bit varying, whose storage is their text of zeros and ones.

Spec: PostgreSQL 15 documentation, 8.10 "Bit String Types" and 9.6 "Bit String Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import ArraySubscriptError, InvalidParameterValue, StringLengthMismatch
from shoal.catalog.types import SqlType
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls, strings, views
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]
_FLIPPED = str.maketrans("01", "10")


def bit_result(types: Sequence[SqlType]) -> SqlType:
    """bit of whatever length the values have."""
    return SqlType("bit")


def _combined(left: int, right: int, name: str) -> int:
    return left & right if name == "bit_and_op" else left | right if name == "bit_or_op" else left ^ right


def combine_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """a & b, a | b, a # b. Raises: StringLengthMismatch (22026)."""
    word = {"bit_and_op": "AND", "bit_or_op": "OR", "bit_xor_op": "XOR"}[call.name]
    valid = nulls.merged_validity(args)
    found: list[str] = []
    for row, (left, right) in enumerate(zip(column(args[0], rows).to_pylist(), column(args[1], rows).to_pylist(),
                                            strict=True)):
        if left is None or right is None or (valid is not None and not valid[row]):
            found.append("")
            continue
        if len(left) != len(right):
            raise StringLengthMismatch(f"cannot {word} bit strings of different sizes")
        found.append(_text(_combined(_number(left), _number(right), call.name), len(left)))
    return nulls.with_validity(pa.array(found, pa.string()), valid)


def _number(bits: str) -> int:
    return int(bits or "0", 2)


def _text(number: int, length: int) -> str:
    return format(number, f"0{length}b") if length else ""


def not_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda bits: bits.translate(_FLIPPED))


@parameters(1)
def shift_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    places = args[1] if call.name == "bit_shift_left" else -args[1]

    def one(bits: str) -> str:
        by = max(min(places, len(bits)), -len(bits))
        return bits[by:] + "0" * by if by >= 0 else "0" * -by + bits[:by]
    return strings.mapped(column(args[0], rows), one)


def concat_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    return pc.binary_join_element_wise(*(nulls.decoded(arg) for arg in args), "")


def length_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    array = column(args[0], rows)
    lengths = views.values(pc.binary_length(array))
    if call.name == "octet_length":
        lengths = (lengths + 7) // 8
    return views.array_of(lengths.astype(np.int32), pa.int32(), views.validity(array))


def count_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda bits: bits.count("1"), pa.int64())


@parameters(1, 2)
def substring_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.substring(column(args[0], rows), args[1], args[2] if len(args) > 2 else None)


@parameters(1, 2, 3)
def overlay_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.overlay(column(args[0], rows), args[1], args[2], args[3] if len(args) > 3 else len(args[1]))


@parameters(1)
def position_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda bits: bits.find(args[1]) + 1, pa.int32())


def _checked(at: int, bits: str) -> int:
    if not 0 <= at < len(bits):
        raise ArraySubscriptError(f"bit index {at} out of valid range (0..{len(bits) - 1})")
    return at


@parameters(1)
def get_bit_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda bits: int(bits[_checked(args[1], bits)]), pa.int32())


@parameters(1, 2)
def set_bit_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    at, new = args[1], args[2]

    def one(bits: str) -> str:
        _checked(at, bits)
        if new not in (0, 1):
            raise InvalidParameterValue("new bit must be 0 or 1")
        return f"{bits[:at]}{new}{bits[at + 1:]}"
    return strings.mapped(column(args[0], rows), one)


_BITS: Callable[..., SqlType] = bit_result
for _name, _symbol in (("bit_and_op", "&"), ("bit_or_op", "|"), ("bit_xor_op", "#")):
    declare(_name, "bit bit", returns=_BITS, symbol=_symbol, hidden=True, kernel=combine_kernel, family="bit")
declare("bit_not_op", "bit", returns=_BITS, symbol="~", hidden=True, raises=False, kernel=not_kernel, family="bit")
for _name, _symbol in (("bit_shift_left", "<<"), ("bit_shift_right", ">>")):
    declare(_name, "bit int4", returns=_BITS, symbol=_symbol, hidden=True, raises=False, kernel=shift_kernel, family="bit")
declare("bit_concat_op", "varbit varbit -> varbit", symbol="||", hidden=True, raises=False, kernel=concat_kernel,
        family="bit")
for _name in ("length", "bit_length", "octet_length"):
    declare(_name, "bit -> int4", raises=False, kernel=length_kernel, family="bit", example=f"{_name}(B'10111')")
declare("bit_count", "bit -> int8", raises=False, kernel=count_kernel, family="bit", example="bit_count(B'10111')")
declare("substring", "bit int4", "bit int4 int4", returns=_BITS, kernel=substring_kernel, family="bit",
        example="substring(B'110010111111', 3, 2)")
declare("overlay", "bit bit int4", "bit bit int4 int4", returns=_BITS, kernel=overlay_kernel, family="bit",
        example="overlay(B'01010101010101010', B'11111', 2, 3)")
declare("position", "bit bit -> int4", raises=False, kernel=position_kernel, family="bit",
        example="position(B'000001101011', B'010')")
declare("get_bit", "bit int4 -> int4", kernel=get_bit_kernel, family="bit", example="get_bit(B'101010101010101010', 6)")
declare("set_bit", "bit int4 int4", returns=_BITS, kernel=set_bit_kernel, family="bit",
        example="set_bit(B'101010101010101010', 6, 0)")
