"""Bit strings from texts and integers and back, with the length rules of bit(n) and bit varying(n).

Spec: PostgreSQL 15 documentation, 8.10 "Bit String Types", 9.6 (casts), 4.1.2.5 "Bit-String Constants".
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from shoal.catalog.errors import InvalidTextRepresentation, NumericOutOfRange, StringLengthMismatch, StringTooLong
from shoal.catalog.types import SqlType
from shoal.exec.kernels import nulls, strings

BITS: Final = frozenset({"bit", "varbit"})
_WIDTHS: Final = {"int4": 32, "int8": 64}


def parse_bits(text: str) -> str:
    """Zeros and ones of '101', 'b101' or 'x1F'. Raises: InvalidTextRepresentation (22P02)."""
    if text[:1] in ("x", "X"):
        return bits_of_hex(text[1:])
    digits = text[1:] if text[:1] in ("b", "B") else text
    bad = digits.strip("01") and next(char for char in digits if char not in "01")
    if bad:
        raise InvalidTextRepresentation(f'"{bad}" is not a valid binary digit')
    return digits


def bits_of_hex(digits: str) -> str:
    """Four bits for each hexadecimal digit. Raises: InvalidTextRepresentation (22P02)."""
    for char in digits:
        if char not in "0123456789abcdefABCDEF":
            raise InvalidTextRepresentation(f'"{char}" is not a valid hexadecimal digit')
    return "".join(format(int(char, 16), "04b") for char in digits)


def fitted(bits: str, target: SqlType, *, explicit: bool) -> str:
    """The bits at the type's length. An explicit cast cuts and fills at the right end.

    Raises: StringLengthMismatch (22026) for bit(n), StringTooLong (22001) for bit varying(n).
    """
    length = target.length
    if length is None or len(bits) == length or (target.name == "varbit" and len(bits) < length):
        return bits
    if explicit:
        return bits[:length].ljust(length, "0")
    if target.name == "bit":
        raise StringLengthMismatch(f"bit string length {len(bits)} does not match type bit({length})")
    raise StringTooLong(f"bit string too long for type bit varying({length})")


def converted(array: pa.Array, source: SqlType, target: SqlType, *, explicit: bool) -> pa.Array | None:
    """The cast of a column from or to bit strings; None for those that go by text.

    Raises: what `parse_bits` and `fitted` raise, NumericOutOfRange (22003) where an integer has fewer bits.
    """
    array = nulls.decoded(array)
    if source.name in BITS and target.name in BITS:
        if target.length is None or target == source:
            return array
        return strings.mapped(array, lambda bits: fitted(bits, target, explicit=explicit), pa.string())
    if target.name in BITS:
        if source.name in _WIDTHS:
            width, length = _WIDTHS[source.name], target.length or 1
            return strings.mapped(array, lambda value: _from_integer(value, max(length, width))[-length:], pa.string())
        return strings.mapped(array, lambda text: fitted(parse_bits(text), target, explicit=explicit), pa.string())
    if target.name in _WIDTHS:
        width = _WIDTHS[target.name]
        return strings.mapped(array, lambda bits: _to_integer(bits, width),
                              pa.int32() if target.name == "int4" else pa.int64())
    return None


def _from_integer(value: int, length: int) -> str:
    """The two's complement of `length` bits."""
    return format(value & ((1 << length) - 1), f"0{length}b")


def _to_integer(bits: str, width: int) -> int:
    if len(bits) > width:
        raise NumericOutOfRange(f"{'integer' if width == 32 else 'bigint'} out of range")
    value = int(bits or "0", 2)
    return value - (1 << width) if value >> (width - 1) else value
