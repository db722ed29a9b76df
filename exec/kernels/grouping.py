"""KeyTable: combinations of key columns -> small integers. Groups of an aggregation, and the build side of a join.

Each column is numbered on its own (columncodes.py); the numbers of a row are packed into one integer by mixed radix.
While the product of the radices is small, that integer is the code itself ("slots": nothing is looked up, and codes
have gaps); else an IntMap gives dense codes. When a column outgrows its radix the packing is redone; slots then
move, which the caller learns from `moved`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.kernels.columncodes import IntegerCodes, column_codes
from shoal.exec.kernels.intmap import IntMap

_LIMIT = 1 << 62
_DENSE = 1 << 31
"""Radix of a column prefix that was itself made dense: more groups than this do not fit in a process."""


class KeyTable:
    """Codes of distinct keys. `nulls_match`: NULL equals NULL (grouping); else rows with a NULL have code -1."""

    def __init__(self, types: Sequence[SqlType], *, nulls_match: bool, slots_free: int = 1 << 16,
                 slots_per_row: int = 4) -> None:
        self.types, self._nulls_match = tuple(types), nulls_match
        self._slots_free, self._slots_per_row = slots_free, slots_per_row
        self._columns = [column_codes(t, _LIMIT if len(types) == 1 else _DENSE) for t in types]
        self._radix = [1] * len(types)
        self._stages: dict[int, IntMap] = {}
        self._map: IntMap | None = None
        self._present = np.zeros(1, np.bool_)
        self._previous = 0
        self._rows = 0
        self.moved: np.ndarray | None = None
        """After `add`: old code -> new code (-1 for slots never used), or None when codes stayed."""

    @property
    def size(self) -> int:
        """Codes are below this."""
        return len(self._present) if self._map is None else self._map.count

    @property
    def nbytes(self) -> int:
        own = self._present.nbytes if self._map is None else self._map.nbytes
        return own + sum(c.nbytes for c in self._columns) + sum(s.nbytes for s in self._stages.values())

    @property
    def direct_offset(self) -> int | None:
        """For one integer column in slots: code = value - offset (0 is NULL). None in any other form."""
        column = self._columns[0]
        if self._map is not None or len(self._columns) > 1 or not isinstance(column, IntegerCodes):
            return None
        return column.offset

    def add(self, arrays: Sequence[pa.Array], rows: int) -> np.ndarray:
        """int64 code of each row; new keys get codes. Sets `moved`; callers move their states before going on."""
        self.moved = None
        self._previous = self.size
        if not self._nulls_match:
            valid = all_valid(arrays)
            if valid is not None:
                codes = np.full(rows, -1, np.int64)
                keep = np.flatnonzero(valid)
                codes[keep] = self._add([array.take(pa.array(keep)) for array in arrays])
                return codes
        return self._add(arrays)

    def _add(self, arrays: Sequence[pa.Array]) -> np.ndarray:
        self._rows += len(arrays[0])
        codes = [column.absorb(array) for column, array in zip(self._columns, arrays, strict=True)]
        if any(c.translation is not None or c.width > r for c, r in zip(self._columns, self._radix, strict=True)):
            self._repack()
        packed = self._pack(codes, grow=True)
        return packed if self._map is None else self._map.add(packed)

    def _repack(self) -> None:
        """New radices; what is known moves along."""
        if self._map is None:
            old = np.flatnonzero(self._present)
            size_before, packed = len(self._present), old
        else:
            packed = self._map.keys
        columns = self._unpack(packed)
        for position, column in enumerate(self._columns):
            if column.translation is not None:
                columns[position] = column.translation(columns[position])
                column.translation = None
        # Offsets have grown with room to spare; numbers that are handed out one by one get theirs here
        self._radix = [c.width if isinstance(c, IntegerCodes) and c.offset is not None
                       else 1 << (c.width + c.width // 4).bit_length() for c in self._columns]
        self._stages = {}
        packed = self._pack(columns, grow=True)
        product = 1
        for radix in self._radix:
            product *= radix
        if self._map is not None:
            self._map = _map_of(packed)
        elif product <= max(self._slots_free, self._slots_per_row * self._rows):
            before, self._present = self._present, np.zeros(product, np.bool_)
            if np.array_equal(packed, old):  # the last keys got larger: every code stays
                self._present[:size_before] = before
            else:
                self._present[packed] = True
                self._note_moves(size_before, old, packed)
        else:
            self._map = _map_of(packed)
            self._note_moves(size_before, old, np.arange(len(old)))
            self._previous = self._map.count
            self._present = np.zeros(0, np.bool_)

    def _note_moves(self, size_before: int, old: np.ndarray, new: np.ndarray) -> None:
        self.moved = np.full(size_before, -1, np.int64)
        self.moved[old] = new

    def _pack(self, codes: Sequence[np.ndarray], grow: bool) -> np.ndarray:
        """One int64 a row. Where a prefix and the next column exceed 62 bits, the prefix is made dense first.
        When not growing, rows of which some prefix is unknown get -1."""
        packed, reach = codes[0], self._radix[0]
        for position in range(1, len(codes)):
            radix = self._radix[position]
            if reach * radix > _LIMIT:
                stage = self._stages.setdefault(position, IntMap())
                if grow:
                    packed = stage.add(packed)
                else:
                    unknown = packed < 0
                    packed = np.where(unknown, -1, stage.find(packed))
                reach = _DENSE
            if grow:
                packed = packed * radix + codes[position]
            else:
                packed = np.where((packed < 0) | (codes[position] < 0) | (codes[position] >= radix), -1,
                                  packed * radix + codes[position])
            reach *= radix
        return packed

    def _unpack(self, packed: np.ndarray) -> list[np.ndarray]:
        columns: list[np.ndarray] = [packed] * len(self._columns)
        for position in range(len(self._columns) - 1, 0, -1):
            packed, columns[position] = np.divmod(packed, self._radix[position])
            if position in self._stages:
                packed = self._stages[position].keys.take(packed)
        columns[0] = packed
        return columns

    def find(self, arrays: Sequence[pa.Array]) -> np.ndarray:
        """int64 code of each row, -1 for keys never added."""
        codes = [column.find(array) for column, array in zip(self._columns, arrays, strict=True)]
        absent = codes[0] < 0
        if not self._nulls_match:
            for column in codes:
                absent |= column <= 0
        found = self._pack(codes, grow=False)
        if len(codes) == 1:
            absent |= found >= self._radix[0]
        if self._map is not None:
            found = self._map.find(found)
        return np.where(absent, -1, found)

    def mark(self, codes: np.ndarray) -> None:
        """Notes that these codes are in use (slots only); after the states have taken the batch in."""
        if self._map is None:
            self._present[codes] = True
        self._previous = self.size

    def seen_before(self) -> np.ndarray:
        """Boolean over codes: in use before the last `add`."""
        if self._map is None:
            return self._present.copy()
        seen = np.zeros(self.size, np.bool_)
        seen[:self._previous] = True
        return seen

    def first_rows(self, codes: np.ndarray) -> np.ndarray:
        """Row numbers, ascending, of the first row of each key that the last `add` brought; before `mark`."""
        fresh = np.flatnonzero(~self._present[codes] if self._map is None else codes >= self._previous)
        if len(fresh) < 2:
            return fresh
        return fresh.take(np.sort(np.unique(codes.take(fresh), return_index=True)[1]))

    def occupied(self) -> np.ndarray:
        """All codes in use, ascending."""
        return np.flatnonzero(self._present) if self._map is None else np.arange(self._map.count)

    def count(self) -> int:
        """How many keys there are."""
        return int(np.count_nonzero(self._present)) if self._map is None else self._map.count

    def keys(self, codes: np.ndarray) -> list[pa.Array]:
        """The key columns of these codes."""
        packed = codes if self._map is None else self._map.keys.take(codes)
        return [column.decode(part) for column, part in zip(self._columns, self._unpack(packed), strict=True)]


def _map_of(packed: np.ndarray) -> IntMap:
    """An IntMap whose codes are the positions in `packed` (all distinct)."""
    made = IntMap()
    made.load(packed)
    return made


def all_valid(arrays: Sequence[pa.Array]) -> np.ndarray | None:
    """Mask of the rows where no array is NULL; None when that is all of them."""
    valid: np.ndarray | None = None
    for array in arrays:
        if array.null_count:
            mask = array.is_valid().to_numpy(zero_copy_only=False)
            valid = mask if valid is None else valid & mask
    return valid
