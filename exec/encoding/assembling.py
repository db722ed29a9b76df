"""Rows out of columns: pieces of each row set down one after the other, whole columns at a time.

Hop 7 of a query's way, used by DataRow (datarow.py) and COPY (copy_rows.py). A row is a sequence of pieces:

    Fields  of the same width in every row: headers, lengths, fixed-width values; one structured numpy array
    Placed  values of varying width somewhere in a block of bytes

Where every row's pieces start follows from their lengths. Each value, together with the fields in front of it, is
then written with one strided assignment of fixed width, the widest value's: what a value has too much on its right is
written over by what belongs there, as rows are written in order, and a row's first and last fields after all values. Such
an assignment takes the same time for 4 bytes as for 40, so this beats copying each value for itself while values are few
and not wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WIDEST, _MOST_VALUES = 128, 3
"""Wider values, or more of them in a row, are copied one by one: each assignment goes through all rows' memory."""
_NOTHING = pa.scalar(b"", pa.binary())

Part: TypeAlias = "tuple[str, np.dtype, np.ndarray | int]"
"""A field: name, wire type, values or a constant."""
Fields: TypeAlias = "list[Part]"


@dataclass(slots=True)
class Placed:
    """Value i is the `lengths[i]` bytes of `data` from `begins[i]` on. Lengths are not negative."""

    data: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray


def offsets_of(rows: int, width: int) -> pa.Buffer:
    """The offsets buffer of `rows` binary values of `width` bytes each."""
    return pa.py_buffer(np.arange(0, (rows + 1) * width, width, dtype=np.int32) if width else np.zeros(rows + 1, np.int32))


def fields_array(parts: Fields, rows: int) -> np.ndarray:
    """The bytes of `rows` structures of these fields."""
    out = np.empty(rows, np.dtype([(name, wire) for name, wire, _ in parts]))
    for name, _, values in parts:
        out[name] = values
    return out


def assemble(pieces: Sequence[Fields | Placed], sizes: np.ndarray) -> memoryview:
    """The bytes of all rows; `sizes`: how many each has, in all its pieces."""
    rows = len(sizes)
    if len(pieces) == 1 and isinstance(pieces[0], list):
        return fields_array(pieces[0], rows).view(np.uint8).data
    widths = [_width(piece) for piece in pieces]
    if not _fits(pieces, widths):
        return _joined(pieces, rows)
    ends = np.cumsum(sizes, dtype=np.int64)
    out = np.empty(int(ends[-1]) + max(widths) + 8, np.uint8)
    position = ends - sizes
    last: list[tuple[np.ndarray, np.ndarray]] = []
    before: Fields = []
    for number, (piece, width) in enumerate(zip(pieces, widths)):
        if isinstance(piece, Placed):
            values = _with_fields(before, piece, width, rows)
            at_every_byte(out, values.itemsize)[position] = values
            position = position + (piece.lengths + (values.itemsize - width))
            before = []
        elif 0 < number < len(pieces) - 1 and isinstance(pieces[number + 1], Placed):
            before = piece
        else:
            last.append((position, fields_array(piece, rows)))
            position = position + width
    for starts, fields in last:
        at_every_byte(out, fields.itemsize)[starts] = fields.view(f"V{fields.itemsize}")
    return out.data[:int(ends[-1])]


def at_every_byte(data: np.ndarray, width: int) -> np.ndarray:
    """A view of `data` whose element i is the `width` bytes that start at byte i."""
    return np.ndarray((max(len(data) - width + 1, 0),), np.dtype(f"V{width}"), data, strides=(1,))


def _with_fields(fields: Fields, piece: Placed, width: int, rows: int) -> np.ndarray:
    """Each value with what follows it in `piece.data`, `width` bytes in all, behind its fields."""
    room = sum(wire.itemsize for _, wire, _ in fields)
    data, starts = piece.data, piece.begins - room if room else piece.begins
    last = len(data) - room - width
    if int(starts.min()) >= 0 and int(starts.max()) <= last:
        values = at_every_byte(data, room + width)[starts]
    else:  # nothing is in front of the first values, or behind the last ones
        inside = (starts >= 0) & (starts <= last)
        values = np.empty(rows, f"V{room + width}")
        values[inside] = at_every_byte(data, room + width)[starts[inside]]
        places = starts[~inside, None] + np.arange(room + width)
        values[~inside] = data[np.clip(places, 0, len(data) - 1)].reshape(-1).view(f"V{room + width}")
    if fields:
        table = values.view(np.dtype([*((name, wire) for name, wire, _ in fields), ("value", f"V{width}")]))
        for name, _, content in fields:
            table[name] = content
    return values


def _width(piece: Fields | Placed) -> int:
    """The most bytes that the piece has in a row."""
    if isinstance(piece, Placed):
        return int(piece.lengths.max())
    return sum(wire.itemsize for _, wire, _ in piece)


def _fits(pieces: Sequence[Fields | Placed], widths: Sequence[int]) -> bool:
    """Whether what values have too much on their right reaches none that was written before it in the next row.

    Fields in front of a row's first value are written last, so they are room for it.
    """
    if sum(isinstance(piece, Placed) for piece in pieces) > _MOST_VALUES:
        return False
    first = next(number for number, piece in enumerate(pieces) if isinstance(piece, Placed))
    room = widths[0] if first else 0
    for number in range(len(pieces) - 1, -1, -1):
        piece, width = pieces[number], widths[number]
        if isinstance(piece, Placed):
            least = int(piece.lengths.min())
            if not 0 < width <= _WIDEST or (number != first and width - least > room):
                return False
            width = least
        room += width
    return True


def _joined(pieces: Sequence[Fields | Placed], rows: int) -> memoryview:
    """The same, value by value."""
    arrays = []
    for piece in pieces:
        if isinstance(piece, Placed):
            arrays.append(placed_array(piece))
        else:
            values = fields_array(piece, rows)
            arrays.append(pa.Array.from_buffers(pa.binary(), rows, [
                None, offsets_of(rows, values.itemsize), pa.py_buffer(values.view(np.uint8))]))
    joined = pc.binary_join_element_wise(*arrays, _NOTHING)
    offsets = np.frombuffer(joined.buffers()[1], np.int32)
    return memoryview(joined.buffers()[2])[offsets[0]:offsets[rows]]


def placed_array(piece: Placed) -> pa.Array:
    """The values as pa.binary(): as they lie where nothing is between them, else set down anew."""
    begins, lengths, rows = piece.begins, piece.lengths, len(piece.lengths)
    offsets = np.empty(rows + 1, np.int32)
    if rows == 0 or bool((begins[1:] == begins[:-1] + lengths[:-1]).all()):
        offsets[:rows] = begins
        offsets[rows] = begins[-1] + lengths[-1] if rows else 0
        data = piece.data
    else:
        offsets[0] = 0
        np.cumsum(lengths, out=offsets[1:])
        data = piece.data[np.repeat(begins - offsets[:rows], lengths) + np.arange(offsets[rows])]
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
