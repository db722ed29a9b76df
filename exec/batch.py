"""Batch: the morsel that operators hand on. Columns are Arrow arrays, or deferred selections from them.

Filters and joins do not copy columns: `Batch.take` notes a shared selection vector, composed lazily with the ones
before, and a column is gathered only when some kernel asks for it (`Column.array`). A column nobody reads is never
gathered. Batches and columns are immutable (the gathered array is cached).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from shoal.exec.kernels import views


class Selection:
    """Row numbers into some base arrays. `nullable`: -1 stands for a row of NULLs (outer joins)."""

    __slots__ = ("_over", "indices", "nullable")

    def __init__(self, indices: np.ndarray, nullable: bool = False) -> None:
        self.indices, self.nullable = indices, nullable
        self._over: dict[int, tuple[Selection, Selection]] = {}

    def over(self, inner: Selection) -> Selection:
        """This selection of rows that `inner` selected, computed once for all columns that share both."""
        found = self._over.get(id(inner))
        if found is None:
            if self.nullable:
                composed = self.indices
                if len(inner.indices):
                    composed = np.where(self.indices < 0, -1, inner.indices[self.indices])
            else:
                composed = inner.indices[self.indices]
            found = self._over[id(inner)] = (Selection(composed, self.nullable or inner.nullable), inner)
        return found[0]


def gather(array: pa.Array, selection: Selection) -> pa.Array:
    """array[selection.indices], NULL where an index is -1."""
    indices = selection.indices
    missing = indices < 0 if selection.nullable else None
    if missing is not None and not missing.any():
        missing = None
    if len(array) == 0:
        return pa.nulls(len(indices), array.type)
    if views.is_fixed(array.type) or pa.types.is_dictionary(array.type):
        source = views.validity(array)
        data = views.values(array).take(indices, mode="wrap") if missing is not None else views.values(array)[indices]
        valid = None if source is None else source.take(indices, mode="wrap") if missing is not None else source[indices]
        if missing is not None:
            valid = ~missing if valid is None else valid & ~missing
        if pa.types.is_dictionary(array.type):
            return views.dictionary_of(data, array.dictionary, valid)
        return views.array_of(data, array.type, valid)
    return array.take(pa.array(indices, mask=missing) if missing is not None else pa.array(indices))


class Column:
    """An Arrow array, or a selection of one that is gathered at first use."""

    __slots__ = ("_array", "base", "selection")

    def __init__(self, base: pa.Array, selection: Selection | None = None) -> None:
        self.base, self.selection = base, selection
        self._array: pa.Array | None = base if selection is None else None

    @property
    def array(self) -> pa.Array:
        """The column's rows as one Arrow array."""
        if self._array is None:
            assert self.selection is not None
            self._array = gather(self.base, self.selection)
        return self._array

    def take(self, selection: Selection) -> Column:
        if self._array is not None:
            return Column(self._array, selection)
        assert self.selection is not None
        return Column(self.base, selection.over(self.selection))


class Batch:
    """`rows` rows of positional `columns`; a batch without columns still has rows."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: Sequence[Column], rows: int) -> None:
        self.columns, self.rows = tuple(columns), rows

    @staticmethod
    def of(arrays: Iterable[pa.Array], rows: int | None = None) -> Batch:
        columns = tuple(Column(array) for array in arrays)
        return Batch(columns, len(columns[0].base) if rows is None else rows)

    def array(self, position: int) -> pa.Array:
        return self.columns[position].array

    def arrays(self) -> list[pa.Array]:
        return [column.array for column in self.columns]

    def select(self, positions: Sequence[int]) -> Batch:
        """These columns only, in this order."""
        return Batch([self.columns[p] for p in positions], self.rows)

    def take(self, selection: Selection) -> Batch:
        """The selected rows; nothing is copied yet."""
        return Batch([column.take(selection) for column in self.columns], len(selection.indices))

    def filter(self, mask: np.ndarray) -> Batch:
        """Rows where the boolean `mask` is True."""
        indices = np.flatnonzero(mask)
        return self if len(indices) == self.rows else self.take(Selection(indices))

    def slice(self, start: int, length: int) -> Batch:
        return Batch([Column(column.array.slice(start, length)) for column in self.columns],
                     max(0, min(length, self.rows - start)))

    def split(self, rows: int) -> Iterator[Batch]:
        """The batch in pieces of at most `rows` rows."""
        if self.rows <= rows:
            yield self
        else:
            for start in range(0, self.rows, rows):
                yield self.slice(start, rows)

    def nbytes(self) -> int:
        """Bytes the gathered columns hold, estimated from their buffers without gathering deferred ones."""
        total = 0
        for column in self.columns:
            base = column.base
            share = self.rows / len(base) if len(base) else 0
            total += int(base.nbytes * min(share, 1.0)) if not pa.types.is_dictionary(base.type) else 4 * self.rows
        return total


class _Blocked:
    """What an operator yields when it has nothing now because an input over the network has nothing yet."""

    def __repr__(self) -> str:
        return "BLOCKED"


BLOCKED: Final = _Blocked()
Output = Iterator[Batch | _Blocked]
