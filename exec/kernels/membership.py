"""KeySet: which values of one column a join can match, built from its build side and tested by scans elsewhere.

A set is exact while that is small (a bitmap over a compact integer range, sorted values, or strings), else a bloom
filter over a known range; `contains` may say yes too often, never no wrongly. Sets from several tasks are united,
travel as bytes between processes, and give connectors plain predicates that prune row groups.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.connector import Predicate
from shoal.catalog.errors import ProtocolViolation
from shoal.catalog.types import SqlType, to_python
from shoal.exec.kernels import canonical, hashing
from shoal.exec.kernels.intmap import IntMap

MAX_BITMAP_RANGE = 1 << 26
MAX_SORTED, MAX_TEXTS, MAX_TEXT_BYTES = 1 << 17, 1 << 16, 1 << 22
MAX_BLOOM_KEYS = 1 << 22
BLOOM_BITS = 1 << 23
_MAX_SPARSITY = 64
"""Bits of a bitmap for each key in it; beyond, the keys are listed."""
_SMALL_IN = 64
_UNPACK_RANGE = 1 << 24
_LENGTH = struct.Struct("<I")
_PACK_BYTES, _CODEC = 1 << 16, pa.Codec("lz4_raw")
"""Bitmaps from this size on travel compressed where that halves them: surrogate keys often leave gaps."""

Kind = Literal["none", "any", "bitmap", "sorted", "range", "bloom", "texts"]


class KeySet:
    """The possible keys of `sql_type`. kind "none" holds nothing, "any" everything.

    Bit i of a bitmap stands for `base` + i; bases are multiples of 8, so that bitmaps unite byte by byte.
    """

    __slots__ = ("_dense", "_lookup", "_map", "bits", "kind", "maximum", "minimum", "sql_type", "texts", "values")

    def __init__(self, sql_type: SqlType, kind: Kind, minimum: int = 0, maximum: int = -1,
                 values: np.ndarray | None = None, bits: np.ndarray | None = None, texts: pa.Array | None = None) -> None:
        self.sql_type, self.kind, self.minimum, self.maximum = sql_type, kind, minimum, maximum
        self.values, self.bits, self.texts = values, bits, texts
        self._dense: np.ndarray | None = None
        self._map: IntMap | None = None
        self._lookup: tuple[pa.Array, np.ndarray] | None = None

    @staticmethod
    def of(array: pa.Array, sql_type: SqlType) -> KeySet:
        """The set of the array's values without NULL."""
        if array.null_count:
            array = array.filter(array.is_valid())
        if len(array) == 0:
            return KeySet(sql_type, "none")
        if not canonical.is_integers(sql_type):
            return KeySet._of_texts(array, sql_type)
        form = canonical.integers(array, sql_type)
        if form.wide_rows is not None:
            return KeySet(sql_type, "any")
        return KeySet._of_integers(form.values, sql_type)

    @staticmethod
    def _of_texts(array: pa.Array, sql_type: SqlType) -> KeySet:
        if not sql_type.is_string:
            return KeySet(sql_type, "any")
        coded = canonical.texts(array, sql_type)
        used = np.flatnonzero(np.bincount(coded.codes, minlength=len(coded.dictionary)))
        if len(used) > MAX_TEXTS:
            return KeySet(sql_type, "any")
        texts = pc.unique(coded.dictionary.take(pa.array(used)))
        return KeySet(sql_type, "texts", texts=texts) if texts.nbytes <= MAX_TEXT_BYTES else KeySet(sql_type, "any")

    @staticmethod
    def _of_integers(values: np.ndarray, sql_type: SqlType) -> KeySet:
        if len(values) == 0:
            return KeySet(sql_type, "none")
        minimum, maximum = int(values.min()), int(values.max())
        base = minimum & ~7
        span = maximum - base + 1
        if span <= MAX_BITMAP_RANGE and (span <= _UNPACK_RANGE or span <= 256 * len(values)):
            present = np.zeros(span, np.bool_)
            present[values - base] = True
            if _MAX_SPARSITY * np.count_nonzero(present) >= span:
                return KeySet(sql_type, "bitmap", minimum, maximum, bits=np.packbits(present, bitorder="little"))
            distinct = np.flatnonzero(present) + base  # listing the keys is shorter than a bitmap
        else:
            distinct = np.unique(values)
        if len(distinct) <= MAX_SORTED:
            return KeySet(sql_type, "sorted", minimum, maximum, values=distinct)
        if len(distinct) > MAX_BLOOM_KEYS:
            return KeySet(sql_type, "range", minimum, maximum)
        return KeySet(sql_type, "bloom", minimum, maximum, bits=_bloom_of(distinct))

    def union(self, other: KeySet) -> KeySet:
        """A set that holds what either holds."""
        if self.kind == "none" or other.kind == "any":
            return other
        if other.kind == "none" or self.kind == "any":
            return self
        if self.kind == "texts" or other.kind == "texts":
            if self.kind != other.kind:
                return KeySet(self.sql_type, "any")
            assert self.texts is not None and other.texts is not None
            return KeySet._of_texts(pa.concat_arrays([self.texts, other.texts]), self.sql_type)
        together = self._with_bitmap(other) if self.kind == other.kind == "bitmap" else None
        if together is not None:
            return together
        mine, theirs = self._members(), other._members()
        if mine is not None and theirs is not None:
            return KeySet._of_integers(np.concatenate([mine, theirs]), self.sql_type)
        minimum, maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        if self.kind == "range" or other.kind == "range":
            return KeySet(self.sql_type, "range", minimum, maximum)
        bits = (self._as_bloom(mine) | other._as_bloom(theirs))
        return KeySet(self.sql_type, "bloom", minimum, maximum, bits=bits)

    @property
    def _base(self) -> int:
        return self.minimum & ~7

    def _with_bitmap(self, other: KeySet) -> KeySet | None:
        """The union of two bitmaps; None where that is no good as a bitmap."""
        minimum, maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        base = minimum & ~7
        span = maximum - base + 1
        if span > MAX_BITMAP_RANGE:
            return None
        bits = np.zeros((span + 7) // 8, np.uint8)
        for one in (self, other):
            assert one.bits is not None
            start = (one._base - base) // 8
            bits[start:start + len(one.bits)] |= one.bits
        if _MAX_SPARSITY * int(np.bitwise_count(bits).sum(dtype=np.int64)) < span:
            return None
        return KeySet(self.sql_type, "bitmap", minimum, maximum, bits=bits)

    def _members(self) -> np.ndarray | None:
        if self.kind == "sorted":
            return self.values
        if self.kind == "bitmap":
            return np.flatnonzero(self._present()) + self._base
        return None

    def _as_bloom(self, members: np.ndarray | None) -> np.ndarray:
        if members is None:
            assert self.bits is not None
            return self.bits
        return _bloom_of(members)

    def _present(self) -> np.ndarray:
        """The set as one boolean per value of the range."""
        if self._dense is None:
            span = self.maximum - self._base + 1
            if self.values is not None:
                self._dense = np.zeros(span, np.bool_)
                self._dense[self.values - self._base] = True
            else:
                assert self.bits is not None
                self._dense = np.unpackbits(self.bits, count=span, bitorder="little").view(np.bool_)
        return self._dense

    def contains(self, array: pa.Array) -> np.ndarray:
        """Boolean mask of the rows that may match; NULL never does."""
        rows = len(array)
        if self.kind == "none":
            return np.zeros(rows, np.bool_)
        if self.kind == "any":
            return np.ones(rows, np.bool_)
        if self.kind == "texts":
            return self._contains_texts(array)
        form = canonical.integers(array, self.sql_type)
        mask = self._contains_integers(form.values)
        if form.wide_rows is not None:
            mask[form.wide_rows] = self.kind in ("bloom", "range")
        return mask if form.valid is None else mask & form.valid

    def _contains_texts(self, array: pa.Array) -> np.ndarray:
        assert self.texts is not None
        if not pa.types.is_dictionary(array.type):
            normal = pc.utf8_rtrim(array, " ") if self.sql_type.name == "bpchar" else array
            return pc.is_in(normal, value_set=self.texts).to_numpy(zero_copy_only=False)
        coded = canonical.texts(array, self.sql_type)
        if self._lookup is None or not self._lookup[0].equals(coded.dictionary):
            known = pc.is_in(coded.dictionary, value_set=self.texts).to_numpy(zero_copy_only=False)
            self._lookup = (coded.dictionary, known)
        if len(coded.dictionary) == 0:
            return np.zeros(len(array), np.bool_)
        mask = self._lookup[1].take(coded.codes, mode="clip")
        return mask if coded.valid is None else mask & coded.valid

    def _contains_integers(self, values: np.ndarray) -> np.ndarray:
        span = self.maximum - self._base + 1
        if self.kind == "bitmap" or (self.kind == "sorted" and span <= _UNPACK_RANGE):
            offsets = values - self._base
            inside = offsets.view(np.uint64) < np.uint64(span)
            if span <= _UNPACK_RANGE:
                mask = self._present().take(offsets, mode="clip")
            else:
                assert self.bits is not None
                at = np.clip(offsets, 0, span - 1)
                mask = ((self.bits.take(at >> 3) >> (at & 7).astype(np.uint8)) & 1).view(np.bool_)
            return mask & inside
        inside = (values >= self.minimum) & (values <= self.maximum)
        if self.kind == "range":
            return inside
        if self.kind == "sorted":
            assert self.values is not None
            if self._map is None:
                self._map = IntMap()
                self._map.load(self.values)
            return self._map.find(values) >= 0
        assert self.bits is not None
        mask = inside
        for at in _bloom_positions(values):
            mask = mask & ((self.bits.take(at >> 3) >> (at & 7).astype(np.uint8)) & 1).view(np.bool_)
        return mask

    def fraction(self) -> float:
        """The share of the range between minimum and maximum that is in the set; 1 where that is unknown."""
        if self.kind == "none":
            return 0.0
        if self.kind == "bitmap":
            return float(np.count_nonzero(self._present())) / (self.maximum - self.minimum + 1)
        if self.kind == "sorted":
            assert self.values is not None
            return len(self.values) / (self.maximum - self.minimum + 1)
        return 1.0

    def predicates(self, column: str) -> tuple[Predicate, ...]:
        """Predicates for `Connector.read`, implied by membership. kind "none" gives an empty IN list."""
        if self.kind == "none":
            return (Predicate(column, "in", ()),)
        if self.kind == "texts":
            assert self.texts is not None
            if self.sql_type.name == "bpchar":
                return ()
            if len(self.texts) <= _SMALL_IN:
                return (Predicate(column, "in", tuple(self.texts.to_pylist())),)
            ends = pc.min_max(self.texts)
            return (Predicate(column, "ge", (ends["min"].as_py(),)), Predicate(column, "le", (ends["max"].as_py(),)))
        if self.kind == "any" or self.sql_type.name in ("float4", "float8", "bool"):
            return ()
        if self.kind == "sorted" or (self.kind == "bitmap" and self.maximum - self.minimum < 1 << 16):
            members = self._members()
            assert members is not None
            if len(members) <= _SMALL_IN:
                return (Predicate(column, "in", tuple(to_python(v, self.sql_type) for v in members.tolist())),)
        return (Predicate(column, "ge", (to_python(self.minimum, self.sql_type),)),
                Predicate(column, "le", (to_python(self.maximum, self.sql_type),)))

    def to_bytes(self) -> bytes:
        """A self-contained form for `from_bytes` in another process."""
        kind = self.sql_type
        head = {"kind": self.kind, "minimum": self.minimum, "maximum": self.maximum,
                "type": [kind.name, kind.precision, kind.scale, kind.length]}
        if self.kind == "texts":
            assert self.texts is not None
            body = json.dumps(self.texts.to_pylist()).encode()
        elif self.kind == "sorted":
            assert self.values is not None
            body = self.values.astype("<i8", copy=False).tobytes()
        else:
            body = b"" if self.bits is None else self.bits.tobytes()
            if len(body) >= _PACK_BYTES:
                packed = _CODEC.compress(body, asbytes=True)
                if len(packed) < len(body) // 2:
                    head["packed"], body = zlib.crc32(body), packed  # lz4 does not tell when its input was cut short
        encoded = json.dumps(head).encode()
        return _LENGTH.pack(len(encoded)) + encoded + body

    @staticmethod
    def from_bytes(data: bytes) -> KeySet:
        """Raises: ProtocolViolation (08P01) when `data` is not what `to_bytes` gives."""
        try:
            (length,) = _LENGTH.unpack_from(data)
            head = json.loads(data[4:4 + length])
            body = data[4 + length:]
            kind, minimum, maximum = head["kind"], int(head["minimum"]), int(head["maximum"])
            sql_type = SqlType(*head["type"])
            if kind in ("none", "any", "range") and not body:
                return KeySet(sql_type, kind, minimum, maximum)
            if kind == "texts":
                return KeySet(sql_type, kind, texts=pa.array(json.loads(body), pa.string()))
            if kind == "sorted" and body:
                return KeySet(sql_type, kind, minimum, maximum, values=np.frombuffer(body, "<i8"))
            expected = BLOOM_BITS // 8 if kind == "bloom" else (maximum - (minimum & ~7) + 8) // 8
            if "packed" in head and expected <= MAX_BITMAP_RANGE // 8:
                body = _CODEC.decompress(body, expected, asbytes=True)
                if zlib.crc32(body) != head["packed"]:
                    raise ValueError("its bits are damaged")
            if kind in ("bitmap", "bloom") and len(body) == expected and minimum <= maximum:
                return KeySet(sql_type, kind, minimum, maximum, bits=np.frombuffer(body, np.uint8))
        except (ValueError, KeyError, TypeError, OSError, struct.error) as error:
            raise ProtocolViolation(f"a dynamic filter could not be read: {error}") from None
        raise ProtocolViolation("a dynamic filter has a wrong size or kind")


def _bloom_positions(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hashes = hashing.mix(values)
    mask = np.uint64(BLOOM_BITS - 1)
    return ((hashes & mask).view(np.int64), ((hashes >> np.uint64(20)) & mask).view(np.int64),
            ((hashes >> np.uint64(40)) & mask).view(np.int64))


def _bloom_of(values: np.ndarray) -> np.ndarray:
    present = np.zeros(BLOOM_BITS, np.bool_)
    for at in _bloom_positions(np.ascontiguousarray(values)):
        present[at] = True
    return np.packbits(present, bitorder="little")
