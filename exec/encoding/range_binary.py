"""Ranges and multiranges in the binary format of the wire, one value at a time.

Spec: range_send and multirange_send of PostgreSQL 15: a byte of flags, then each finite bound with its length.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

from shoal.catalog.types import MULTIRANGES, RANGES
from shoal.exec.kernels import ranges
from shoal.exec.kernels.timezones import DATE_INFINITY, DATE_MINUS_INFINITY, INFINITY, MINUS_INFINITY

_EMPTY, _LOWER_INC, _UPPER_INC, _LOWER_INF, _UPPER_INF = 1, 2, 4, 8, 16
_DAYS_TO_2000, _US_TO_2000 = 10_957, 946_684_800_000_000
_NUMERIC_SPECIALS = {"NaN": 0xC000, "Infinity": 0xD000, "-Infinity": 0xF000}


def range_bytes(text: str, kind: str) -> bytes:
    """A range or multirange in its canonical text as the wire has it."""
    if kind in MULTIRANGES:
        inner = MULTIRANGES[kind]
        parts = [range_bytes(part, inner) for part in ranges.multirange_parts(text)]
        return struct.pack(">I", len(parts)) + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    value = ranges.range_of(text, kind)
    if value.empty:
        return bytes([_EMPTY])
    flags, out = 0, b""
    for key, inclusive, included, infinite in ((value.lower, value.lower_inc, _LOWER_INC, _LOWER_INF),
                                               (value.upper, value.upper_inc, _UPPER_INC, _UPPER_INF)):
        flags |= (infinite if key is None else 0) | (included if inclusive else 0)
        if key is not None:
            part = _bound(key, RANGES[kind])
            out += struct.pack(">I", len(part)) + part
    return bytes([flags]) + out


def _bound(key: Any, element: str) -> bytes:
    match element:
        case "int4":
            return struct.pack(">i", key)
        case "date":
            return struct.pack(">i", key if key in (DATE_INFINITY, DATE_MINUS_INFINITY) else key - _DAYS_TO_2000)
        case "timestamp" | "timestamptz":
            return struct.pack(">q", key if key in (INFINITY, MINUS_INFINITY) else key - _US_TO_2000)
        case "numeric":
            return _numeric(ranges.bound_text(key, "numeric"))
    return struct.pack(">q", key)


def _numeric(text: str) -> bytes:
    if text in _NUMERIC_SPECIALS:
        return struct.pack(">hhHh", 0, 0, _NUMERIC_SPECIALS[text], 0)
    sign, digits, exponent = Decimal(text).as_tuple()
    scale = max(-int(exponent), 0)
    whole = "".join(map(str, digits)) + "0" * max(int(exponent), 0)
    padded = whole.rjust(scale + 1, "0")
    before, after = padded[:len(padded) - scale], padded[len(padded) - scale:]
    before = before.rjust(-(-len(before) // 4) * 4, "0")
    after = after.ljust(-(-len(after) // 4) * 4, "0")
    groups = [int((before + after)[i:i + 4]) for i in range(0, len(before + after), 4)]
    weight = len(before) // 4 - 1
    while groups and not groups[0]:
        groups, weight = groups[1:], weight - 1
    while groups and not groups[-1]:
        groups = groups[:-1]
    head = struct.pack(">hhHh", len(groups), weight if groups else 0, 0x4000 if sign and groups else 0, scale)
    return head + b"".join(struct.pack(">h", group) for group in groups)
