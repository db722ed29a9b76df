"""The distinct values of one key column as small integers, 0 for NULL, in a numbering that grows with the input.

`IntegerCodes` numbers by offset from the smallest value while the range is moderate (nothing is looked up at all),
else through an IntMap. `TextCodes` keeps one growing dictionary for strings and all other types; a batch's
dictionary is translated once and remembered.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled, shaped
from shoal.catalog.errors import InternalError
from shoal.catalog.types import SqlType, storage_type
from shoal.exec.kernels import canonical, hashing, views
from shoal.exec.kernels.canonical import Integers, Texts
from shoal.exec.kernels.intmap import IntMap

Translation = Callable[[np.ndarray], np.ndarray]
_REMEMBERED = 16
_SMALL = 64
_UNSEEN, _ABSENT = -2, -1


class IntegerCodes:
    """Codes of a column whose normal form is int64 (see canonical.py). Codes are in [0, width)."""

    __slots__ = ("_base", "_map", "_max_width", "_wide", "sql_type", "translation", "width")

    def __init__(self, sql_type: SqlType, max_width: int) -> None:
        self.sql_type, self._max_width = sql_type, max_width
        self._base, self.width = 0, 1
        self._map: IntMap | None = None
        self._wide: list[bytes] | None = None
        self.translation: Translation | None = None
        """After `absorb` changed the numbering: from old codes to new ones. The caller resets it."""

    @property
    def offset(self) -> int | None:
        """code = value - offset for every value but NULL; None when codes are looked up."""
        return None if self._map is not None else self._base - 1

    @property
    def nbytes(self) -> int:
        return 0 if self._map is None else self._map.nbytes

    def absorb(self, array: pa.Array) -> np.ndarray:
        """int64 code of every row, after making room for its values (which may set `translation`)."""
        form = canonical.integers(array, self.sql_type)
        values = form.values if form.valid is None else form.values[form.valid]
        if form.wide_rows is not None and self._map is None:
            self._look_up()
        if self._map is None and len(values):
            self._reach(int(values.min()), int(values.max()))
        return self._codes(form)

    def _reach(self, low: int, high: int) -> None:
        last = self._base + self.width - 2
        empty = self.width == 1
        if not empty and low >= self._base and high <= last:
            return
        first, end = (low, high) if empty else (min(low, self._base), max(high, last))
        slack = 0 if empty else end - first + 1
        if not empty:
            first, end = (max(low - slack, -(1 << 62)) if low < self._base else first, end + slack if high > last else end)
            first, end = min(first, low), max(end, high)
        if end - first + 2 > self._max_width:
            first, end = (low, high) if empty else (min(low, self._base), max(high, last))
            if end - first + 2 > self._max_width:
                self._look_up()
                return
        shift = self._base - first
        if not empty and shift:
            self.translation = lambda codes: np.where(codes > 0, codes + shift, 0)
        self._base, self.width = first, end - first + 2

    def _look_up(self) -> None:
        """From offsets to a map. Codes so far are entered by their values as they are translated."""
        self._map, base, had = IntMap(), self._base, self.width > 1
        if had:
            self.translation = lambda codes: np.where(codes > 0, self._enter(codes + (base - 1), codes > 0), 0)
        self.width = 1

    def _enter(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        assert self._map is not None
        codes = np.zeros(len(values), np.int64)
        codes[mask] = self._map.add(values[mask]) * 2 + 1
        self.width = max(self.width, 2 * self._map.count + 1)
        return codes

    def _codes(self, form: Integers) -> np.ndarray:
        if self._map is None:
            codes = form.values - (self._base - 1)
            return codes if form.valid is None else np.where(form.valid, codes, 0)
        keep = np.ones(len(form.values), np.bool_) if form.valid is None else form.valid.copy()
        if form.wide_rows is not None:
            keep[form.wide_rows] = False
        codes = self._enter(form.values, keep)
        if form.wide_rows is not None:
            assert form.wide is not None
            codes[form.wide_rows] = self._wide_codes(form.wide, grow=True)
        return codes

    def _wide_codes(self, wide: pa.Array, grow: bool) -> np.ndarray:
        """Values beyond 64 bits are rare: their codes are the even numbers."""
        if self._wide is None:
            self._wide = []
        known = {value: index for index, value in enumerate(self._wide)}
        found = []
        for value in wide.to_pylist():
            index = known.get(value, -1)
            if index < 0 and grow:
                index = known[value] = len(self._wide)
                self._wide.append(value)
            found.append(2 * index + 2 if index >= 0 else _ABSENT)
        self.width = max(self.width, 2 * len(self._wide) + 2)
        return np.array(found, np.int64)

    def find(self, array: pa.Array) -> np.ndarray:
        """int64 codes; -1 where the value has none, 0 for NULL."""
        form = canonical.integers(array, self.sql_type)
        if self._map is None:
            codes = form.values - (self._base - 1)
            outside = (codes - 1).view(np.uint64) >= np.uint64(self.width - 1)
            if outside.any():
                codes = np.where(outside, _ABSENT, codes)
        else:
            codes = self._map.find(form.values)
            codes = np.where(codes >= 0, 2 * codes + 1, _ABSENT)
        if form.wide_rows is not None:
            assert form.wide is not None
            codes[form.wide_rows] = self._wide_codes(form.wide, grow=False) if self._map is not None else _ABSENT
        return codes if form.valid is None else np.where(form.valid, codes, 0)

    def decode(self, codes: np.ndarray) -> pa.Array:
        """The values of these codes in storage form."""
        valid = codes > 0
        mask = None if valid.all() else valid
        if self._map is None:
            return self._array(codes + (self._base - 1), mask)
        wide = (codes & 1 == 0) & valid
        keys = self._map.keys
        values = keys.take(codes >> 1, mode="clip") if len(keys) else np.zeros(len(codes), np.int64)
        if not wide.any():
            return self._array(values, mask)
        assert self._wide is not None
        limbs = np.empty((len(codes), 4), np.int64)
        limbs[:, 0] = values
        limbs[:, 1:] = (values >> 63)[:, None]
        table = np.frombuffer(b"".join(self._wide), np.int64).reshape(-1, 4)
        limbs[wide] = table[(codes[wide] >> 1) - 1]
        return pa.Array.from_buffers(pa.decimal256(76, self.sql_type.scale or 0), len(codes),
                                     [views.bitmap(mask), pa.py_buffer(limbs)])

    def _array(self, values: np.ndarray, valid: np.ndarray | None) -> pa.Array:
        arrow = pa.int64() if self.sql_type.name == "numeric" else storage_type(self.sql_type)
        if pa.types.is_floating(arrow):
            return views.array_of(np.ascontiguousarray(values).view(np.float64), arrow, valid)
        return views.array_of(values, arrow, valid)


class TextCodes:
    """Codes of a column of any other type, through one growing dictionary."""

    __slots__ = ("_hashes", "_known", "_originals", "_places", "_recent", "_remembered", "_seed", "sql_type", "translation")

    def __init__(self, sql_type: SqlType) -> None:
        self.sql_type = sql_type
        self._hashes, self._seed = IntMap(), 0
        self._known: list[pa.Array] = []
        self._originals: list[pa.Array] = []
        self._remembered: dict[tuple[object, ...], tuple[pa.Array, np.ndarray]] = {}
        self._places: np.ndarray | None = None
        self._recent: dict[object, int] = {}
        """Codes of values met in small dictionaries: row groups bring the same few again and again."""
        self.translation: Translation | None = None

    @property
    def width(self) -> int:
        return self._hashes.count + 1

    @property
    def nbytes(self) -> int:
        return self._hashes.nbytes + sum(piece.nbytes for piece in self._known)

    def absorb(self, array: pa.Array) -> np.ndarray:
        """int64 code of every row; unknown values get new codes."""
        form = canonical.texts(array, self.sql_type)
        return self._lookup(form, pa.types.is_dictionary(array.type), grow=True)

    def find(self, array: pa.Array) -> np.ndarray:
        """int64 codes; -1 where the value has none, 0 for NULL."""
        form = canonical.texts(array, self.sql_type)
        return self._lookup(form, pa.types.is_dictionary(array.type), grow=False)

    def _lookup(self, form: Texts, reusable: bool, grow: bool) -> np.ndarray:
        entries = len(form.dictionary)
        if entries == 0:
            return np.zeros(len(form.codes), np.int64)
        mapping = self._mapping(form, reusable, grow)
        if entries <= _SMALL or 8 * entries < len(form.codes):  # all at once: entries that no row has cost little
            wanted = np.flatnonzero(mapping == _UNSEEN)
            if len(wanted):
                mapping[wanted] = self._enter(form, wanted, grow)
            codes = mapping.take(form.codes, mode="clip")
            return codes if form.valid is None else np.where(form.valid, codes, 0)
        codes = mapping.take(form.codes, mode="clip")
        unseen = codes == _UNSEEN
        if form.valid is not None:
            unseen &= form.valid
        if unseen.any():
            mark = np.zeros(entries, np.bool_)
            mark[form.codes[unseen]] = True
            wanted = np.flatnonzero(mark)
            mapping[wanted] = self._enter(form, wanted, grow)
            codes = mapping.take(form.codes, mode="clip")
        return codes if form.valid is None else np.where(form.valid, codes, 0)

    def _mapping(self, form: Texts, reusable: bool, grow: bool) -> np.ndarray:
        """Entry of the batch's dictionary -> code, as far as known; remembered for the same dictionary to come."""
        if not reusable:
            return np.full(len(form.dictionary), _UNSEEN, np.int64)
        identity: tuple[object, ...] = (grow, form.originals.offset, len(form.originals), *(
            None if buffer is None else buffer.address for buffer in form.originals.buffers()))
        found = self._remembered.get(identity)
        if found is None:
            while len(self._remembered) >= _REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            found = (form.originals, np.full(len(form.dictionary), _UNSEEN, np.int64))
            self._remembered[identity] = found
        return found[1]

    def _enter(self, form: Texts, wanted: np.ndarray, grow: bool) -> np.ndarray:
        """Codes of the dictionary's entries `wanted`. Hashes lead to candidates, which are always compared."""
        values = form.dictionary if len(wanted) == len(form.dictionary) else form.dictionary.take(pa.array(wanted))
        if len(wanted) <= _SMALL:
            listed = values.to_pylist()
            known = [self._recent.get(value) for value in listed]
            if None not in known:
                return np.array(known, np.int64)
        codes = self._enter_hashed(form, wanted, values, grow)
        if len(wanted) <= _SMALL:
            if len(self._recent) > 16 * _SMALL:
                self._recent.clear()
            self._recent.update((v, c) for v, c in zip(listed, codes.tolist(), strict=True) if c != _ABSENT)
        return codes

    def _enter_hashed(self, form: Texts, wanted: np.ndarray, values: pa.Array, grow: bool) -> np.ndarray:
        codes = np.full(len(wanted), _ABSENT, np.int64)
        for _ in range(64):
            hashes = hashing.hash_bytes(values, self._seed).view(np.int64)
            found = self._hashes.find(hashes)
            old = np.flatnonzero(found >= 0)
            places = found[old]
            if self._places is not None and len(self._places):
                places = np.where(places < len(self._places), self._places.take(places, mode="clip"), places)
            same = self._matches(_taken(values, old), places)
            if not grow:
                codes[old[same]] = places[same] + 1
                return codes
            new = np.flatnonzero(found < 0)
            fresh, first, inverse = np.unique(hashes[new], return_index=True, return_inverse=True)
            if same.all() and (len(fresh) == len(new) or _taken(values, new).equals(_taken(values, new[first[inverse]]))):
                codes[old] = places + 1
                if len(new):
                    entered = self._hashes.add(fresh)
                    codes[new] = entered[inverse] + 1
                    rows = new[first[np.argsort(entered)]]
                    self._append(_taken(values, rows), None if form.originals is form.dictionary
                                 else form.originals.take(pa.array(wanted[rows])))
                return codes
            self._reseed()
        raise InternalError("no seed gives distinct hashes to a column's values")

    def _matches(self, values: pa.Array, places: np.ndarray) -> np.ndarray:
        """Whether each value is the known one at its place."""
        if len(self._known) == 1:
            return _equal(_taken(self._known[0], places), values)
        same = np.zeros(len(places), np.bool_)
        start = 0
        for piece in self._known:
            rows = np.flatnonzero((places >= start) & (places < start + len(piece)))
            same[rows] = _equal(_taken(piece, places[rows] - start), _taken(values, rows))
            start += len(piece)
        return same

    def _append(self, values: pa.Array, originals: pa.Array | None) -> None:
        """Adds to the dictionary, kept as a few pieces that at least double in size from last to first."""
        self._known.append(values)
        self._originals.append(values if originals is None else originals)
        while len(self._known) > 1 and 2 * len(self._known[-1]) >= len(self._known[-2]):
            self._known[-2:] = [pa.concat_arrays(self._known[-2:])]
            self._originals[-2:] = [self._known[-1] if originals is None else
                                    pa.concat_arrays(_alike(self._originals[-2:]))]

    def _reseed(self) -> None:
        """Two values share a hash: hashes all anew. Codes stay, through `_places`."""
        known = self.known()
        while True:
            self._seed += 1
            self._hashes = IntMap()
            entered = self._hashes.add(hashing.hash_bytes(known, self._seed).view(np.int64))
            if self._hashes.count == len(known):
                break
        self._places = np.empty(len(known), np.int64)
        self._places[entered] = np.arange(len(known))

    def known(self) -> pa.Array:
        """All values in normal form, by code - 1."""
        if len(self._known) > 1:
            self._known = [pa.concat_arrays(self._known)]
        return self._known[0] if self._known else pa.array([], pa.string())

    def originals(self) -> pa.Array:
        """All values as first seen, by code - 1."""
        if len(self._originals) > 1:
            self._originals = [pa.concat_arrays(_alike(self._originals))]
        return self._originals[0] if self._originals else pa.array([], storage_type(self.sql_type))

    def decode(self, codes: np.ndarray) -> pa.Array:
        valid = codes > 0
        values = self.originals()
        if len(values) == 0:
            return pa.nulls(len(codes), values.type)
        mask = None if valid.all() else valid
        if pa.types.is_string(values.type) and 2 * len(values) <= len(codes):
            return views.dictionary_of(np.maximum(codes - 1, 0), values, mask)
        return values.take(pa.array(codes - 1, mask=None if mask is None else ~mask))


def _alike(arrays: list[pa.Array]) -> list[pa.Array]:
    """Values in one of their type's forms."""
    if len({array.type for array in arrays}) < 2:
        return arrays
    return scaled.alike(arrays) if any(scaled.is_scaled(array.type) for array in arrays) else shaped.alike(arrays)


def _taken(array: pa.Array, rows: np.ndarray) -> pa.Array:
    return array.take(pa.array(rows))


def _equal(left: pa.Array, right: pa.Array) -> np.ndarray:
    return pc.equal(left, right).to_numpy(zero_copy_only=False)


ColumnCodes = IntegerCodes | TextCodes


def column_codes(sql_type: SqlType, max_width: int) -> ColumnCodes:
    return IntegerCodes(sql_type, max_width) if canonical.is_integers(sql_type) else TextCodes(sql_type)
