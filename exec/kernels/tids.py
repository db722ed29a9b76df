"""Values of type tid, the place of a row in its table: one int64 each, the block above the 16 bits of the place in it.

So they sort and compare as integers do. Rows of Shoal's own tables have numbers rather than places (hop 5): number n is
shown as (n / 226, n % 226 + 1), the places that narrow rows of a freshly filled PostgreSQL table have.

Spec: PostgreSQL 15 documentation, 8.19 "Object Identifier Types", tid.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PER_BLOCK = 226
_NUMBER = r"(\s*[+-]?\d+|)"
_TID = re.compile(rf"[^(,)]*[(,]{_NUMBER},{_NUMBER}\)", re.ASCII)
"""What C's strtoul reads between the first marks; PostgreSQL does not look at what surrounds them."""


def of_rows(numbers: np.ndarray) -> np.ndarray:
    """The places of the rows of these numbers."""
    return (numbers // _PER_BLOCK) << 16 | (numbers % _PER_BLOCK + 1)


def made(block: int, offset: int) -> int:
    return block << 16 | offset


def parsed(text: str) -> int | None:
    """The value of a text, None where it is none."""
    match = _TID.match(text)
    if match is None:
        return None
    block, offset = int(match[1] or 0), int(match[2] or 0)
    if not -(1 << 31) <= block < 1 << 32 or not 0 <= offset < 1 << 16:
        return None
    return made(block & 0xFFFFFFFF, offset)


def texts(values: pa.Array) -> pa.StringArray:
    """(block,offset) of every value of an int64 array."""
    numbers = [pc.cast(part, pa.string()) for part in (pc.shift_right(values, 16), pc.bit_wise_and(values, 0xFFFF))]
    return pc.binary_join_element_wise("(", numbers[0], ",", numbers[1], ")", "")


def wire(values: np.ndarray) -> np.ndarray:
    """The six bytes that each value is sent as."""
    found = np.empty(len(values), np.dtype([("block", ">u4"), ("offset", ">u2")]))
    found["block"], found["offset"] = values >> 16, values & 0xFFFF
    return found.view("V6")
