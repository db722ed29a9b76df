"""The elements of many JSON arrays at once: where each begins and ends, found over the bytes of a whole column.

What is inside strings is known as in json_index.py; here a text with an escape anywhere in the column is left
to the caller's parser, whole. The texts are known to be JSON.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import json_index, nulls, views

_COMMA, _OPEN = 44, 91

@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of all rows, one row's after another's. `kinds`: each row's first byte, 0 for NULL; rows whose kind is
    not `[` have no elements."""

    data: np.ndarray
    kinds: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    @property
    def only_arrays(self) -> bool:
        return bool(((self.kinds == _OPEN) | (self.kinds == 0)).all())

    def lengths(self) -> pa.Array:
        """json_array_length, where there are arrays only."""
        return views.array_of(self.counts.astype(np.int32), pa.int32(), self.kinds != 0)

    def texts(self, as_text: bool) -> pa.Array:
        """All elements. as_text: strings without quotes, null as NULL."""
        return self._pieces(self.starts, self.ends, np.ones(len(self.starts), np.bool_), as_text)

    def at(self, index: int, as_text: bool) -> pa.Array | None:
        """Each row's element number `index`, from the end where it is below 0, NULL where there is none. None where a row is
        a scalar, which jsonb takes for an array."""
        if not np.isin(self.kinds, (_OPEN, ord("{"), 0)).all():
            return None
        place = self.counts + index if index < 0 else np.full(len(self.counts), index)
        found = (place >= 0) & (place < self.counts)
        if not len(self.starts):
            return pa.nulls(len(self.counts), pa.string())
        where = np.where(found, np.cumsum(self.counts) - self.counts + place, 0)
        return self._pieces(self.starts.take(where), self.ends.take(where), found, as_text)

    def _pieces(self, starts: np.ndarray, ends: np.ndarray, found: np.ndarray, as_text: bool) -> pa.Array:
        if as_text:
            starts, ends, found = json_index.without_quotes(self.data, starts, ends, found)
        return json_index.gathered(self.data, starts, ends, found)


def elements(texts: pa.Array) -> Elements | None:
    """None where the column has an escape."""
    valid = nulls.validity(texts)
    if valid is not None:
        texts = texts.fill_null("")  # nothing lies under NULL then
    structure = json_index.Structure.of(texts)
    if len(structure.escapes):
        return None
    data, offsets = structure.data, structure.offsets
    rows = len(texts)
    first, last = offsets[:-1].copy(), max(len(data) - 1, 0)
    filled = offsets[1:] > first
    kinds = np.zeros(rows, np.uint8)
    if len(data):
        _skip(data, first, filled)
        kinds[filled] = data[first[filled]]
    places = structure.bounds()
    marks = data[places]
    steps = np.where((marks == _OPEN) | (marks == ord("{")), 1, np.where(marks == _COMMA, 0, -1))
    depths = np.cumsum(steps)
    bounds = (depths == 1) & (steps >= 0) | (depths == 0) & (steps < 0)
    places, steps = places[bounds], steps[bounds]
    row = json_index.rows_of(offsets, places)
    arrays = kinds[row] == _OPEN
    places, steps, row = places[arrays], steps[arrays], row[arrays]
    begins = np.flatnonzero(steps >= 0)  # the next bound is of the same array
    starts, ends, row = places[begins] + 1, places[begins + 1] if len(begins) else places[:0], row[begins]
    some = np.ones(len(starts), np.bool_)
    _skip(data, starts, some)
    if len(starts) and json_index.BLANKS[data[np.maximum(ends - 1, 0)]].any():
        ends = ends.copy()
        while (blank := json_index.BLANKS[data[ends - 1]] & (ends > starts)).any():
            ends -= blank
    kept = np.minimum(starts, last) < ends  # else it is an empty array's inside
    return Elements(data, kinds, np.bincount(row[kept], minlength=rows), starts[kept], ends[kept])


def _skip(data: np.ndarray, at: np.ndarray, where: np.ndarray) -> None:
    """Moves places on, in place, to what is not blank."""
    last = max(len(data) - 1, 0)
    while (blank := where & json_index.BLANKS[data[np.minimum(at, last)]]).any():
        at += blank
