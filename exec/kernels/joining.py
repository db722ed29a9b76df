"""Finding the build rows that match probe rows: by key (`KeyPairs`), or all of them (`AllPairs`).

The build side's keys get codes (grouping.KeyTable); for a single integer key of compact range the code is the key
minus an offset, so that a probe is one subtraction and one gather. Unique keys keep one row per code, others the
rows of each code one after another (counting-sort layout).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.kernels import canonical, concat, sorting
from shoal.exec.kernels.grouping import KeyTable

Pairs = Iterator[tuple[np.ndarray | None, np.ndarray]]
"""(probe row numbers, build row numbers), in blocks; None stands for every probe row once, in order."""
_FREE_SLOTS, _SLOTS_PER_ROW = 1 << 20, 16


class KeyPairs:
    """The build side's rows by key. Rows with a NULL key match nothing. `rows`: which build rows take part (None: all).

    `existence`: only `exists` will be asked, so rows with equal keys need not be told apart.
    """

    def __init__(self, columns: Sequence[pa.Array], types: Sequence[SqlType], rows: np.ndarray | None = None,
                 existence: bool = False) -> None:
        if rows is not None:
            columns = [column.take(pa.array(rows)) for column in columns]
        self._table = KeyTable(types, nulls_match=False, slots_free=_FREE_SLOTS, slots_per_row=_SLOTS_PER_ROW)
        codes = self._table.add(columns, len(columns[0]))
        size = self._size = self._table.size
        numbers = np.arange(len(codes), dtype=np.int32)
        if len(codes) and int(codes.min()) < 0:
            numbers = np.flatnonzero(codes >= 0).astype(np.int32)
            codes = codes.take(numbers)
        if rows is not None:
            numbers = rows.take(numbers).astype(np.int32)
        # One entry more than codes: where a probe finds nothing. Code 0 of a single integer column is NULL's: -1 too.
        self._row_of: np.ndarray | None = np.full(size + 1, -1, np.int32)
        self._row_of[codes] = numbers
        self.unique = existence or bool((self._row_of.take(codes) == numbers).all())
        self._rows: np.ndarray | None = None
        if not self.unique:
            self._row_of = None
            order = sorting.stable_order(codes, max(1, size.bit_length()))
            counts = np.bincount(codes, minlength=size + 1)
            self._starts, self._counts = np.cumsum(counts) - counts, counts
            placed = numbers.take(order)
            in_order = len(placed) == 0 or (int(placed[0]) == 0 and (np.diff(placed) == 1).all())
            self._rows = None if in_order else placed

    @property
    def nbytes(self) -> int:
        own = self._row_of.nbytes if self._row_of is not None else self._starts.nbytes + self._counts.nbytes
        return self._table.nbytes + own + (self._rows.nbytes if self._rows is not None else 0)

    def _codes(self, columns: Sequence[pa.Array]) -> np.ndarray:
        """A code for each probe row; where nothing matches, one that the tables answer with nothing (mode "clip")."""
        offset = self._table.direct_offset
        if offset is not None and canonical.is_integers(self._table.types[0]):
            form = canonical.integers(columns[0], self._table.types[0])
            codes = form.values - offset
            if form.valid is not None:
                codes = np.where(form.valid, codes, self._size)
            if form.wide_rows is not None:
                codes[form.wide_rows] = self._size
            return codes
        codes = self._table.find(columns)
        return np.where(codes < 0, self._size, codes)

    def exists(self, columns: Sequence[pa.Array]) -> np.ndarray:
        """Mask of the probe rows that match any build row."""
        codes = self._codes(columns)
        if self._row_of is not None:
            return self._row_of.take(codes, mode="clip") >= 0
        return self._counts.take(codes, mode="clip") > 0

    def only_match(self, columns: Sequence[pa.Array]) -> np.ndarray:
        """For unique keys: the build row of each probe row (int32), -1 for none."""
        assert self._row_of is not None
        return self._row_of.take(self._codes(columns), mode="clip")

    def pairs(self, columns: Sequence[pa.Array], probe_rows: int, limit: int) -> Pairs:
        """All matching pairs, in blocks of about `limit`."""
        if self.unique:
            found = self.only_match(columns)
            matched = np.flatnonzero(found >= 0)
            if len(matched) == probe_rows:
                yield None, found.astype(np.int64)
            elif len(matched):
                yield matched, found.take(matched).astype(np.int64)
            return
        codes = self._codes(columns)
        counts = self._counts.take(codes, mode="clip")
        starts = self._starts.take(codes, mode="clip")
        reached = np.cumsum(counts)
        first = 0
        while first < probe_rows:
            done = int(reached[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(reached, done + limit, "right")))
            some, begin = counts[first:last], starts[first:last]
            probe = np.repeat(np.arange(first, last), some)
            build = concat.ranges(begin, begin + some)
            if self._rows is not None:
                build = self._rows.take(build).astype(np.int64)
            for at in range(0, len(probe), limit):
                yield probe[at:at + limit], build[at:at + limit]
            first = last


class AllPairs:
    """Every build row with every probe row, in bounded blocks."""

    unique = False
    nbytes = 0

    def __init__(self, build_rows: np.ndarray) -> None:
        self._rows = build_rows

    def exists(self, columns: Sequence[pa.Array], probe_rows: int) -> np.ndarray:
        return np.full(probe_rows, len(self._rows) > 0)

    def pairs(self, columns: Sequence[pa.Array], probe_rows: int, limit: int) -> Pairs:
        build_rows = len(self._rows)
        if build_rows == 0:
            return
        if build_rows == 1:
            yield None, np.full(probe_rows, self._rows[0])
            return
        if build_rows > limit:
            for probe in range(probe_rows):
                for at in range(0, build_rows, limit):
                    some = self._rows[at:at + limit]
                    yield np.full(len(some), probe), some
            return
        block = max(1, limit // build_rows)
        for first in range(0, probe_rows, block):
            rows = np.arange(first, min(first + block, probe_rows))
            yield np.repeat(rows, build_rows), np.tile(self._rows, len(rows))
