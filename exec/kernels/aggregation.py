"""Accumulators: the state of one aggregate for all groups at once. This file has those whose state is plain arrays.

A state is numpy arrays indexed by group code (grouping.KeyTable). `update` takes a batch's codes and argument
columns; `finish` gives the results for some codes. Rows with NULL arguments are left out by the aggregates that
ignore NULL; a group without any value has result NULL, for which `Presence` keeps record, at no cost while no NULL
was ever met.

Spec: PostgreSQL 15 documentation, 9.21 "Aggregate Functions".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import DatetimeOverflow
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.kernels import canonical, datetimes, views
from shoal.exec.kernels.exactsum import ExactSum, moved, resized
from shoal.exec.kernels.nulls import validity
from shoal.exec.kernels.special_rules import SpecialSums

SeenBefore = Callable[[], np.ndarray]
"""Gives a boolean for each code: whether earlier batches had rows of the group."""


class Accumulator(ABC):
    """One aggregate's state. Order of calls for each batch: `move` (if codes moved), `resize`, `update`."""

    @abstractmethod
    def resize(self, size: int) -> None:
        """Makes room for codes below `size`."""

    @abstractmethod
    def move(self, where: np.ndarray, size: int) -> None:
        """Codes were renumbered: old code i is now where[i]; -1 was never used."""

    @abstractmethod
    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        """Takes in rows: their codes, and the aggregate's arguments, then order keys."""

    @abstractmethod
    def finish(self, codes: np.ndarray) -> pa.Array:
        """The results for these codes, in storage form. Called once, last."""

    @property
    @abstractmethod
    def nbytes(self) -> int: ...


class Presence:
    """Which groups had a value that counts. `filtered`: rows may be left out from the start (FILTER)."""

    __slots__ = ("seen",)

    def __init__(self, filtered: bool) -> None:
        self.seen: np.ndarray | None = np.zeros(0, np.bool_) if filtered else None

    def resize(self, size: int) -> None:
        if self.seen is not None:
            self.seen = resized(self.seen, size, False)

    def move(self, where: np.ndarray, size: int) -> None:
        if self.seen is not None:
            self.seen = moved(self.seen, where, size, False)

    def keep(self, codes: np.ndarray, valid: np.ndarray | None, size: int, before: SeenBefore) -> np.ndarray | None:
        """Notes a batch; gives the row numbers whose value counts, None for all."""
        rows = None if valid is None else np.flatnonzero(valid)
        if rows is not None and self.seen is None:
            self.seen = resized(before(), size, False)
        if self.seen is not None:
            self.seen[codes if rows is None else codes.take(rows)] = True
        return rows

    def mask(self, codes: np.ndarray) -> np.ndarray | None:
        """Which of the codes have a value; None when all do."""
        if self.seen is None:
            return None
        found = self.seen.take(codes)
        return None if found.all() else found


def without_nulls(codes: np.ndarray, columns: Sequence[pa.Array], tested: int) -> tuple[np.ndarray, Sequence[pa.Array]]:
    """The rows whose column `tested` is not NULL."""
    valid = validity(columns[tested])
    if valid is None:
        return codes, columns
    keep = np.flatnonzero(valid)
    picked = pa.array(keep)
    return codes.take(keep), [column.take(picked) for column in columns]


def rows_of(array: pa.Array, rows: np.ndarray | None) -> pa.Array:
    return array if rows is None else array.take(pa.array(rows))


class CountRows(Accumulator):
    """count(*), and count(x) with `of_values`."""

    def __init__(self, of_values: bool) -> None:
        self._of_values = of_values
        self._counts = np.zeros(0, np.int64)

    def resize(self, size: int) -> None:
        self._counts = resized(self._counts, size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._counts = moved(self._counts, where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        if self._of_values:
            valid = validity(columns[0])
            if valid is not None:
                codes = codes.take(np.flatnonzero(valid))
        if len(self._counts) == 1:
            self._counts[0] += len(codes)
        else:
            np.add.at(self._counts, codes, 1)

    def finish(self, codes: np.ndarray) -> pa.Array:
        return views.array_of(self._counts.take(codes), pa.int64())

    @property
    def nbytes(self) -> int:
        return self._counts.nbytes


class SumIntegers(Accumulator):
    """sum of integers and numerics, exactly; `zero`: 0 instead of NULL for no rows (sum0)."""

    def __init__(self, sql_type: SqlType, filtered: bool, zero: bool = False) -> None:
        self._type, self._zero = sql_type, zero
        self._sum, self._presence, self._size = ExactSum(), Presence(filtered), 0
        self._specials = SpecialSums()

    def resize(self, size: int) -> None:
        self._size = size
        self._sum.resize(size)
        self._specials.resize(size)
        self._presence.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._sum.move(where, size)
        self._specials.move(where, size)
        self._presence.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        array = columns[0]
        rows = self._presence.keep(codes, validity(array), self._size, before)
        codes = codes if rows is None else codes.take(rows)
        self._sum.add_array(codes, self._specials.apart(codes, rows_of(array, rows)))

    def finish(self, codes: np.ndarray) -> pa.Array:
        sums = self._sum.finish(codes, self._type, None if self._zero else self._presence.mask(codes))
        return self._specials.placed(sums, codes, self._type.scale or 0)

    @property
    def nbytes(self) -> int:
        return self._sum.nbytes


class SumIntervals(Accumulator):
    """sum of intervals, field by field; `average` divides as PostgreSQL's interval / count does."""

    def __init__(self, filtered: bool, average: bool = False) -> None:
        self._parts = [ExactSum(), ExactSum(), ExactSum()]
        self._counts, self._average = np.zeros(0, np.int64), average
        self._presence = Presence(filtered)

    def resize(self, size: int) -> None:
        self._counts = resized(self._counts, size)
        self._presence.resize(size)
        for part in self._parts:
            part.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._counts = moved(self._counts, where, size)
        self._presence.move(where, size)
        for part in self._parts:
            part.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        rows = self._presence.keep(codes, validity(columns[0]), len(self._counts), before)
        array = rows_of(columns[0], rows)
        codes = codes if rows is None else codes.take(rows)
        np.add.at(self._counts, codes, 1)
        for part, values in zip(self._parts, canonical.interval_parts(array), strict=True):
            part.add(codes, values)

    def finish(self, codes: np.ndarray) -> pa.Array:
        found = [part.integers(codes) for part in self._parts]
        months, days, micros = (np.zeros(0) if part is None else part for part in found)
        if any(part is None for part in found):
            raise DatetimeOverflow("interval out of range")
        if self._average:
            count = np.maximum(self._counts.take(codes), 1)
            return datetimes.scaled_interval((months, days, micros), count, len(codes), self._presence.mask(codes),
                                             divide=True)
        return datetimes.interval_array(months, days, micros, len(codes), self._presence.mask(codes))

    @property
    def nbytes(self) -> int:
        return self._counts.nbytes + sum(part.nbytes for part in self._parts)


class Extreme(Accumulator):
    """min or max of a type whose values are int64 or float8 in numpy. Floats order NaN above all numbers."""

    def __init__(self, sql_type: SqlType, largest: bool, filtered: bool) -> None:
        self._type, self._largest = sql_type, largest
        self._floats = sql_type.name in ("float4", "float8")
        limits = np.iinfo(np.int64)
        self._fill: object = (-np.inf if largest else np.nan) if self._floats else limits.min if largest else limits.max
        self._state = np.zeros(0, np.float64 if self._floats else np.int64)
        self._presence = Presence(filtered)
        # maximum passes NaN on, as PostgreSQL's order wants; fmin prefers every number to NaN
        self._scatter = np.maximum if largest else np.fmin if self._floats else np.minimum

    def resize(self, size: int) -> None:
        self._state = resized(self._state, size, self._fill)
        self._presence.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._state = moved(self._state, where, size, self._fill)
        self._presence.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        values = views.values(columns[0]).astype(self._state.dtype, copy=False)
        rows = self._presence.keep(codes, validity(columns[0]), len(self._state), before)
        if rows is not None:
            codes, values = codes.take(rows), values.take(rows)
        if len(values) and len(self._state) == 1:
            self._state[0] = self._scatter(self._state[0], self._scatter.reduce(values))
        elif len(values):
            with np.errstate(invalid="ignore"):  # NaN is a value here
                self._scatter.at(self._state, codes, values)

    def finish(self, codes: np.ndarray) -> pa.Array:
        arrow = pa.int64() if self._type.name == "numeric" else storage_type(self._type)
        return views.array_of(self._state.take(codes), arrow, self._presence.mask(codes))

    @property
    def nbytes(self) -> int:
        return self._state.nbytes


class Bitwise(Accumulator):
    """bit_and, bit_or, bit_xor; over booleans bool_and, every, bool_or."""

    _UFUNC = {"bit_and": np.bitwise_and, "bit_or": np.bitwise_or, "bit_xor": np.bitwise_xor, "bool_and": np.bitwise_and,
              "every": np.bitwise_and, "bool_or": np.bitwise_or}

    def __init__(self, name: str, sql_type: SqlType, filtered: bool) -> None:
        self._type, self._ufunc = sql_type, self._UFUNC[name]
        self._fill = -1 if self._ufunc is np.bitwise_and else 0
        self._state, self._presence = np.zeros(0, np.int64), Presence(filtered)

    def resize(self, size: int) -> None:
        self._state = resized(self._state, size, self._fill)
        self._presence.resize(size)

    def move(self, where: np.ndarray, size: int) -> None:
        self._state = moved(self._state, where, size, self._fill)
        self._presence.move(where, size)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        values = views.values(columns[0]).astype(np.int64)
        rows = self._presence.keep(codes, validity(columns[0]), len(self._state), before)
        if rows is not None:
            codes, values = codes.take(rows), values.take(rows)
        self._ufunc.at(self._state, codes, values)

    def finish(self, codes: np.ndarray) -> pa.Array:
        return views.array_of(self._state.take(codes), storage_type(self._type), self._presence.mask(codes))

    @property
    def nbytes(self) -> int:
        return self._state.nbytes
