"""IntMap: int64 keys -> dense codes 0, 1, 2 ..., growing, all rows of a batch at once.

Two forms, changed over as keys arrive: a direct table over [minimum, maximum] while that range is compact (most
surrogate keys), else open addressing with linear probing, where each round of probes is one gather over the rows
still looking.
"""

from __future__ import annotations

import numpy as np

from shoal.exec.kernels.hashing import mix

MAX_DIRECT = 1 << 27
_FREE_DIRECT = 1 << 20
_SPREAD = 24


class IntMap:
    """`keys[code]` is the key with that code; `count` codes exist. Codes never change."""

    __slots__ = ("_base", "_codes", "_direct", "_keys", "_mask", "_seen_rows", "_shift", "count")

    def __init__(self) -> None:
        self.count = 0
        self._keys = np.zeros(64, np.int64)
        self._base = 0
        self._direct: np.ndarray | None = np.zeros(0, np.int32)
        self._codes = np.zeros(0, np.int32)
        self._mask, self._shift = 0, np.uint64(0)
        self._seen_rows = 0

    @property
    def keys(self) -> np.ndarray:
        """All keys in the order of their codes (a view)."""
        return self._keys[:self.count]

    @property
    def nbytes(self) -> int:
        return self._keys.nbytes + self._codes.nbytes + (0 if self._direct is None else self._direct.nbytes)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """int64 codes, -1 where a key is unknown."""
        if self.count == 0 or len(keys) == 0:
            return np.full(len(keys), -1, np.int64)
        if self._direct is not None:
            offsets = keys - self._base
            codes = self._direct.take(offsets, mode="clip").astype(np.int64)
            outside = offsets.view(np.uint64) >= np.uint64(len(self._direct))
            if outside.any():
                codes[outside] = -1
            return codes
        return self._probe(keys)

    def add(self, keys: np.ndarray) -> np.ndarray:
        """int64 codes; unknown keys get new ones."""
        if len(keys) == 0:
            return np.zeros(0, np.int64)
        if len(keys) > 1024:  # clustered keys: one lookup for a run of equal ones
            heads = np.flatnonzero(keys[1:] != keys[:-1])
            if 2 * len(heads) < len(keys):
                heads = np.concatenate([[0], heads + 1])
                lengths = np.diff(heads, append=len(keys))
                self._seen_rows += len(keys) - len(heads)
                return np.repeat(self._add(keys.take(heads)), lengths)
        return self._add(keys)

    def load(self, keys: np.ndarray) -> None:
        """Enters distinct keys into an empty map: their codes are their positions."""
        if len(keys) == 0:
            return
        self._seen_rows += len(keys)
        self._cover(int(keys.min()), int(keys.max()))
        if self._direct is None:
            self._append(keys)
        else:
            self._direct[keys - self._base] = np.arange(len(keys), dtype=np.int32)
            self._append_keys(keys)

    def _add(self, keys: np.ndarray) -> np.ndarray:
        self._seen_rows += len(keys)
        if self._direct is not None:
            self._cover(int(keys.min()), int(keys.max()))
        if self._direct is not None:
            return self._add_direct(keys)
        codes = self._probe(keys)
        missing = np.flatnonzero(codes < 0)
        if len(missing):
            fresh, inverse = np.unique(keys.take(missing), return_inverse=True)
            codes[missing] = inverse + self.count
            self._append(fresh)
        return codes

    def _add_direct(self, keys: np.ndarray) -> np.ndarray:
        table = self._direct
        assert table is not None
        offsets = keys - self._base
        codes = table.take(offsets, mode="clip").astype(np.int64)
        missing = np.flatnonzero(codes < 0)
        if len(missing):
            at = offsets.take(missing)
            table[at] = np.arange(len(at), dtype=np.int32)  # the last row of each key wins and stands for it
            winners = np.flatnonzero(table.take(at) == np.arange(len(at), dtype=np.int32))
            table[at.take(winners)] = np.arange(self.count, self.count + len(winners), dtype=np.int32)
            codes[missing] = table.take(at)
            self._append_keys(keys.take(missing.take(winners)))
        return codes

    def _cover(self, low: int, high: int) -> None:
        """Makes the direct table reach over low..high, or gives it up where that is too wide."""
        assert self._direct is not None
        size = len(self._direct)
        if size and low >= self._base and high < self._base + size:
            return
        first = min(low, self._base) if size else low
        last = max(high, self._base + size - 1) if size else high
        span = last - first + 1
        if span > self._direct_limit():
            self._direct = None
            self._rehash(2 * self.count + 64)
            return
        below, above = (self._base - first, last - (self._base + size - 1)) if size else (0, 0)
        slack = min(span // 2, MAX_DIRECT - span) if size else 0
        low_slack = slack if below and first - slack > -(1 << 62) else 0
        high_slack = slack if above else 0
        table = np.full(span + low_slack + high_slack, -1, np.int32)
        if size:
            table[below + low_slack:below + low_slack + size] = self._direct
        self._base, self._direct = first - low_slack, table

    def _direct_limit(self) -> int:
        """The widest range that a direct table may have by now."""
        return min(MAX_DIRECT, max(_FREE_DIRECT, _SPREAD * (self._seen_rows + self.count)))

    def _append_keys(self, fresh: np.ndarray) -> None:
        need = self.count + len(fresh)
        if need > len(self._keys):
            grown = np.zeros(max(need, 2 * len(self._keys)), np.int64)
            grown[:self.count] = self.keys
            self._keys = grown
        self._keys[self.count:need] = fresh
        self.count = need

    def _append(self, fresh: np.ndarray) -> None:
        first = self.count
        self._append_keys(fresh)
        if 2 * self.count > len(self._codes):
            low, high = int(self.keys.min()), int(self.keys.max())
            if high - low < self._direct_limit():  # by now there are enough keys for their range
                self._base, self._direct = low, np.full(high - low + 1, -1, np.int32)
                self._direct[self.keys - low] = np.arange(self.count, dtype=np.int32)
                self._codes = np.zeros(0, np.int32)
            else:
                self._rehash(4 * self.count)
        else:
            self._insert(fresh, first)

    def _rehash(self, least: int) -> None:
        bits = max(10, (least - 1).bit_length())
        self._codes = np.full(1 << bits, -1, np.int32)
        self._mask, self._shift = (1 << bits) - 1, np.uint64(64 - bits)
        self._insert(self.keys, 0)

    def _insert(self, keys: np.ndarray, first: int) -> None:
        """Enters distinct unknown keys with the codes first, first + 1 ..."""
        table = self._codes
        at = (mix(keys) >> self._shift).view(np.int64)
        codes = np.arange(first, first + len(keys), dtype=np.int32)
        while len(codes):
            free = np.flatnonzero(table.take(at) < 0)
            table[at.take(free)] = codes.take(free)
            lost = np.flatnonzero(table.take(at) != codes)
            at, codes = (at.take(lost) + 1) & self._mask, codes.take(lost)

    def _probe(self, keys: np.ndarray) -> np.ndarray:
        if self.count == 0:
            return np.full(len(keys), -1, np.int64)
        at = (mix(keys) >> self._shift).view(np.int64)
        codes = self._codes.take(at).astype(np.int64)
        wrong = np.flatnonzero((self._keys.take(codes, mode="clip") != keys) & (codes >= 0))
        at = at.take(wrong)
        while len(wrong):
            at = (at + 1) & self._mask
            found = self._codes.take(at).astype(np.int64)
            codes[wrong] = found
            again = np.flatnonzero((self._keys.take(found, mode="clip") != keys.take(wrong)) & (found >= 0))
            wrong, at = wrong.take(again), at.take(again)
        return codes
