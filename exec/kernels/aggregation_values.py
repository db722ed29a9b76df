"""Accumulators whose state holds values of any type: extremes by rank, any value, collected rows, DISTINCT.

`Collected` aggregates keep all rows of their groups until the end (string_agg, array_agg, percentiles, exact
variances); `Distinct` keeps each group's distinct arguments and feeds them to an ordinary accumulator at the end.

Spec: PostgreSQL 15 documentation, 9.21 and 4.2.7 "Aggregate Expressions".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import ORDERED_BY_KEY, SqlType, storage_type
from shoal.exec.kernels import canonical, concat, multidimensional, scaled, sorting, views
from shoal.exec.kernels.aggregation import Accumulator, Extreme, SeenBefore, without_nulls
from shoal.exec.kernels.grouping import KeyTable
from shoal.exec.kernels.nulls import validity

_COMPACT_ROWS = 1 << 16


class _Rows:
    """Rows of (code, columns) kept for later, in pieces."""

    __slots__ = ("codes", "columns", "nbytes", "rows", "types")

    def __init__(self, types: Sequence[SqlType]) -> None:
        self.types = tuple(types)
        self.nbytes = 0
        self.codes: list[np.ndarray] = []
        self.columns: list[Sequence[pa.Array]] = []
        self.rows = 0

    def append(self, codes: np.ndarray, columns: Sequence[pa.Array]) -> None:
        if len(codes):
            self.codes.append(codes)
            self.columns.append(columns)
            self.rows += len(codes)
            self.nbytes += codes.nbytes + sum(
                array.nbytes if not pa.types.is_dictionary(array.type) else 4 * len(array) for array in columns)

    def move(self, where: np.ndarray) -> None:
        if self.codes:
            self.codes = [where.take(np.concatenate(self.codes))]
            self.columns = [[concat.concatenated([piece[i] for piece in self.columns], t) for i, t in enumerate(self.types)]]

    def together(self) -> tuple[np.ndarray, list[pa.Array]]:
        if len(self.codes) != 1:
            codes = np.concatenate(self.codes) if self.codes else np.zeros(0, np.int64)
            columns = [concat.concatenated([piece[i] for piece in self.columns], t) for i, t in enumerate(self.types)]
            self.codes, self.columns = [codes], [columns]
        return self.codes[0], list(self.columns[0])


class RankedExtreme(Accumulator):
    """min or max of any type with an order: keeps candidates, at most a few for each group."""

    def __init__(self, sql_type: SqlType, largest: bool, filtered: bool) -> None:
        self._type, self._largest = sql_type, largest
        self._narrow = Extreme(sql_type, largest, filtered) if sql_type.name == "numeric" and not sql_type.varies else None
        self._rows, self._size = _Rows([sql_type]), 0

    def resize(self, size: int) -> None:
        self._size = size
        if self._narrow is not None:
            self._narrow.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._rows.move(where)
        if self._narrow is not None:
            self._narrow.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        array = columns[0]
        if self._narrow is not None:
            values = canonical.int64_of(array)
            if values is not None:
                self._narrow.update(codes, [views.array_of(values, pa.int64(), validity(array))], before)
                return
            known = np.flatnonzero(before())
            self._rows.append(known, [self._narrow.finish(known)])
            self._narrow = None
        self._rows.append(*without_nulls(codes, [array], 0))
        if self._rows.rows > 4 * self._size + _COMPACT_ROWS:
            self._compact()

    def _best(self, codes: np.ndarray, array: pa.Array) -> tuple[np.ndarray, list[pa.Array]]:
        """The row with the extreme value of each code."""
        by_bytes = self._type.is_string and self._type.name != "bpchar" and self._type.name not in ORDERED_BY_KEY
        if by_bytes and pa.types.is_string(array.type):
            function = "max" if self._largest else "min"
            table = pa.table({"code": codes, "value": array}).group_by("code", use_threads=False).aggregate(
                [("value", function)])
            return table["code"].to_numpy(), [concat.chunked(table[f"value_{function}"])]
        if self._type.varies and (near := scaled.approximate(array)) is not None:
            rows = np.flatnonzero(self._reached(codes, near))
            if len(rows) < len(codes):  # few: only these are compared exactly
                return self._best(codes.take(rows), array.take(pa.array(rows)))
        ranks = sorting.ranks(array, self._type)
        if self._largest:
            ranks = ~ranks
        best = np.full(self._size, np.iinfo(np.int64).max)
        np.minimum.at(best, codes, ranks)
        rows = np.flatnonzero(best.take(codes) == ranks)
        winner = np.full(self._size, -1, np.int64)
        winner[codes.take(rows)] = rows
        found = np.flatnonzero(winner >= 0)
        return found, [array.take(pa.array(winner.take(found)))]

    def _reached(self, codes: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Rows that may be their code's extreme, by floats next to their values."""
        scatter = np.maximum if self._largest else np.minimum
        best = np.full(self._size, -np.inf if self._largest else np.inf)
        scatter.at(best, codes, near)
        own = best.take(codes)
        return np.abs(near - own) <= 1e-12 * np.abs(own)

    def _compact(self) -> tuple[np.ndarray, pa.Array]:
        codes, kept = without_nulls(*self._rows.together(), 0)
        codes, columns = self._best(codes, kept[0])
        self._rows = _Rows([self._type])
        self._rows.append(codes, columns)
        return codes, columns[0]

    def finish(self, codes: np.ndarray) -> pa.Array:
        if self._narrow is not None:
            return self._narrow.finish(codes)
        known, values = self._compact()
        return _placed(known, values, codes, self._size)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + (self._narrow.nbytes if self._narrow is not None else 0)


def _placed(known: np.ndarray, values: pa.Array, codes: np.ndarray, size: int) -> pa.Array:
    """values[i] belongs to code known[i]: the column for `codes`, NULL where a code has none."""
    row_of = np.full(max(size, 1), -1, np.int64)
    row_of[known] = np.arange(len(known))
    rows = row_of.take(codes)
    return values.take(pa.array(rows, mask=rows < 0)) if len(values) else pa.nulls(len(codes), values.type)


class AnyValue(Accumulator):
    """any_value: the first value that is not NULL."""

    def __init__(self, sql_type: SqlType) -> None:
        self._rows, self._have = _Rows([sql_type]), np.zeros(0, np.bool_)

    def resize(self, size: int) -> None:
        if size > len(self._have):
            self._have = np.concatenate([self._have, np.zeros(max(size, 2 * len(self._have)) - len(self._have), np.bool_)])

    def move(self, where: np.ndarray, size: int) -> None:
        self._rows.move(where)
        self._have = np.zeros(size, np.bool_)
        for codes in self._rows.codes:
            self._have[codes] = True

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        valid = validity(columns[0])
        wanted = ~self._have.take(codes) if valid is None else ~self._have.take(codes) & valid
        rows = np.flatnonzero(wanted)
        if len(rows):
            found, first = np.unique(codes.take(rows), return_index=True)
            self._rows.append(found, [columns[0].take(pa.array(rows.take(first)))])
            self._have[found] = True

    def finish(self, codes: np.ndarray) -> pa.Array:
        known, (values,) = self._rows.together()
        return _placed(known, values, codes, len(self._have))

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._have.nbytes


Finish = Callable[[list[pa.Array], np.ndarray, np.ndarray], pa.Array]
"""(argument columns in order of groups, starts, ends of each group's rows) -> one result for each group."""


class Collected(Accumulator):
    """Keeps the rows of every group; `finish_groups` makes the results from them, sorted by the order keys.

    `directions` are (descending, nulls_first) of the order keys, which follow the `arguments` columns. Rows where
    argument `skip_null` is NULL do not count.
    """

    def __init__(self, types: Sequence[SqlType], arguments: int, directions: Sequence[tuple[bool, bool]],
                 finish_groups: Finish, skip_null: int | None) -> None:
        self._rows, self._arguments, self._directions = _Rows(types), arguments, tuple(directions)
        self._finish, self._skip_null = finish_groups, skip_null

    def resize(self, size: int) -> None:
        pass

    def move(self, where: np.ndarray, size: int) -> None:
        self._rows.move(where)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        if self._skip_null is not None:
            codes, columns = without_nulls(codes, columns, self._skip_null)
        self._rows.append(codes, columns)

    def finish(self, codes: np.ndarray) -> pa.Array:
        known, columns = self._rows.together()
        keys = [sorting.Ordering(columns[self._arguments + i], self._rows.types[self._arguments + i], *direction)
                for i, direction in enumerate(self._directions)]
        ranks, bits = sorting.combined_ranks([known, *sorting.key_codes(keys)], len(known))
        order = sorting.stable_order(ranks, bits)
        ordered = known.take(order)
        starts, ends = np.searchsorted(ordered, codes, "left"), np.searchsorted(ordered, codes, "right")
        arguments = [column.take(pa.array(order)) for column in columns[:self._arguments]]
        return self._finish(arguments, starts, ends)

    @property
    def nbytes(self) -> int:
        return 2 * self._rows.nbytes  # once more in order, in the end


class Distinct(Accumulator):
    """Feeds each group's distinct arguments to `inner`, in ascending order."""

    def __init__(self, types: Sequence[SqlType], inner: Accumulator) -> None:
        self._types, self._inner = tuple(types), inner
        self._values = KeyTable(types, nulls_match=True)
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []
        self._rows, self._compacted, self._size = 0, 0, 0

    def resize(self, size: int) -> None:
        self._size = size

    def move(self, where: np.ndarray, size: int) -> None:
        codes, values = self._together()
        self._pairs = [(where.take(codes), values)]

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        values = self._values.add(columns, len(codes))
        if self._values.moved is not None:
            known, before_move = self._together()
            self._pairs = [(known, self._values.moved.take(before_move))]
        self._values.mark(values)
        self._pairs.append(_distinct_pairs(codes, values))
        self._rows += len(self._pairs[-1][0])
        if self._rows > 2 * self._compacted + _COMPACT_ROWS:
            self._together()

    def _together(self) -> tuple[np.ndarray, np.ndarray]:
        codes = np.concatenate([pair[0] for pair in self._pairs]) if self._pairs else np.zeros(0, np.int64)
        values = np.concatenate([pair[1] for pair in self._pairs]) if self._pairs else np.zeros(0, np.int64)
        self._pairs = [_distinct_pairs(codes, values)] if len(self._pairs) > 1 else self._pairs
        self._rows = self._compacted = len(self._pairs[0][0]) if self._pairs else 0
        return self._pairs[0] if self._pairs else (codes, values)

    def finish(self, codes: np.ndarray) -> pa.Array:
        known, values = self._together()
        self._inner.resize(self._size)
        if len(known):
            columns = self._values.keys(values)
            order = sorting.sort_indices([sorting.Ordering(c, t) for c, t in zip(columns, self._types, strict=True)],
                                         len(known))
            picked = pa.array(order)
            size = self._size
            self._inner.update(known.take(order), [column.take(picked) for column in columns],
                               lambda: np.zeros(size, np.bool_))
        return self._inner.finish(codes)

    @property
    def nbytes(self) -> int:
        return self._values.nbytes + 16 * self._rows


def _distinct_pairs(codes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(codes) == 0:
        return codes, values
    width = int(values.max()) + 1
    if (int(codes.max()) + 1) * width < 1 << 63:
        packed = np.unique(codes * width + values)
        return packed // width, packed % width
    ranks, _ = sorting.combined_ranks([codes, values], len(codes))
    _, first = np.unique(ranks, return_index=True)
    return codes.take(first), values.take(first)


def array_lists(result: SqlType, nested: bool) -> Finish:
    """array_agg: a list a group, NULL for a group without rows; `nested`: of arrays."""
    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        from shoal.exec.functions.text_output import scaled_texts  # which imports kernels
        wanted = storage_type(result)
        values = columns[0]
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if nested:
            return multidimensional.gathered_groups(values, starts, ends)
        if result.element.varies:
            values = scaled_texts(values)
        elif pa.types.is_decimal(wanted.value_type) and not values.type.equals(wanted.value_type):
            values = concat.widened(values, wanted.value_type)
        elif values.type != wanted.value_type and not pa.types.is_decimal(values.type):
            values = values.cast(wanted.value_type)
        return list_array(values, starts, ends)
    return finish


def list_array(values: pa.Array, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """List i holds values[starts[i]:ends[i]]; NULL where that is empty."""
    rows = concat.ranges(starts, ends)
    offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int32)
    taken = values if len(rows) == len(values) and (rows == np.arange(len(rows))).all() else values.take(pa.array(rows))
    empty = starts >= ends
    return pa.ListArray.from_arrays(pa.array(offsets), taken, mask=pa.array(empty) if empty.any() else None)
