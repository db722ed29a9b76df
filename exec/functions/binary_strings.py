"""Binary strings: bytes and bits by number, character sets, overlay.

Spec: PostgreSQL 15 documentation, 9.5 "Binary String Functions and Operators".
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from shoal.catalog.errors import ArraySubscriptError, InvalidParameterValue
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import strings
from shoal.exec.kernels.encodings import charset, decode, decoded, encode, encoded
from shoal.exec.kernels.parameters import column, parameters
from shoal.exec.plan.expr import Call

Args = list[Any]


@parameters(1)
def encode_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda v: encode(v, args[1]), pa.string())


@parameters(1)
def decode_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(column(args[0], rows), lambda v: decode(v, args[1]), pa.binary())


@parameters(1, 2)
def convert_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """convert, convert_from, convert_to; length of bytes in a character set."""
    array = column(args[0], rows)
    if call.name == "convert_to":
        target = charset(args[1], "destination")
        return strings.mapped(array, lambda v: encoded(v, target), pa.binary())
    source = charset(args[1], "source") if call.name != "length" else _length_charset(args[1])
    if call.name == "convert_from":
        return strings.mapped(array, lambda v: decoded(v, source), pa.string())
    if call.name == "length":
        return strings.mapped(array, lambda v: len(decoded(v, source)), pa.int32())
    target = charset(args[2], "destination")
    return strings.mapped(array, lambda v: encoded(decoded(v, source), target), pa.binary())


def _length_charset(name: str) -> str:
    try:
        return charset(name, "source")
    except InvalidParameterValue:
        raise InvalidParameterValue(f'invalid encoding name "{name}"') from None


def _checked(at: int, size: int) -> int:
    if not 0 <= at < size:
        raise ArraySubscriptError(f"index {at} out of valid range, 0..{size - 1}")
    return at


@parameters(1, 2)
def byte_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    at = args[1]

    def one(value: bytes) -> Any:
        _checked(at, len(value))
        if call.name == "get_byte":
            return value[at]
        return value[:at] + bytes([args[2] & 0xFF]) + value[at + 1:]
    return strings.mapped(column(args[0], rows), one, pa.int32() if call.name == "get_byte" else pa.binary())


@parameters(1, 2)
def bit_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """get_bit, set_bit: bits are numbered from the right within each byte."""
    at = args[1]

    def one(value: bytes) -> Any:
        byte, bit = divmod(_checked(at, len(value) * 8), 8)
        if call.name == "get_bit":
            return value[byte] >> bit & 1
        if args[2] not in (0, 1):
            raise InvalidParameterValue("new bit must be 0 or 1")
        changed = value[byte] & ~(1 << bit) | args[2] << bit
        return value[:byte] + bytes([changed]) + value[byte + 1:]
    return strings.mapped(column(args[0], rows), one, pa.int32() if call.name == "get_bit" else pa.binary())


def bit_count_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    return strings.mapped(args[0], lambda v: int.from_bytes(v, "big").bit_count(), pa.int64())


@parameters(1, 2, 3)
def overlay_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Of binary strings, and of texts."""
    replacement = bytes.fromhex(args[1]) if call.args[1].type.name == "bytea" else args[1]
    return strings.overlay(column(args[0], rows), replacement, args[2], args[3] if len(args) > 3 else len(replacement))


declare("encode", "bytea text -> text", kernel=encode_kernel, family="binary", example="encode('123\\000\\001', 'base64')")
declare("decode", "text text -> bytea", kernel=decode_kernel, family="binary", example="decode('MTIz', 'base64')")
declare("convert", "bytea name name -> bytea", kernel=convert_kernel, family="binary")
declare("convert_from", "bytea name -> text", kernel=convert_kernel, family="binary")
declare("convert_to", "text name -> bytea", kernel=convert_kernel, family="binary")
declare("length", "bytea name -> int4", volatility="stable", kernel=convert_kernel, family="binary")
declare("get_byte", "bytea int4 -> int4", kernel=byte_kernel, family="binary")
declare("set_byte", "bytea int4 int4 -> bytea", kernel=byte_kernel, family="binary")
declare("get_bit", "bytea int8 -> int4", kernel=bit_kernel, family="binary")
declare("set_bit", "bytea int8 int4 -> bytea", kernel=bit_kernel, family="binary")
declare("bit_count", "bytea -> int8", raises=False, kernel=bit_count_kernel, family="binary")
declare("overlay", "text text int4 -> text", "text text int4 int4 -> text", "bytea bytea int4 -> bytea",
        "bytea bytea int4 int4 -> bytea", kernel=overlay_kernel, family="binary", example="overlay('Txxxxas', 'hom', 2, 4)")
