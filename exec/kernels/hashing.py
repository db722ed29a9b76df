"""64-bit hashes of column values, equal for equal values in any Arrow form: the exchange's and the bloom filters'.

Integers are mixed in one multiplication; strings are read eight bytes at a time for all rows at once, and a
dictionary's strings once each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.kernels import canonical

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
_NULL = np.uint64(0x2545F4914F6CDD1D)
_LONG_BYTES = 512


def mix(values: np.ndarray) -> np.ndarray:
    """uint64 hashes of int64 values; all bits depend on all bits of the value."""
    bits = values.view(np.uint64)
    hashed = (bits ^ (bits >> np.uint64(32))) * _MULTIPLIER
    hashed ^= hashed >> np.uint64(29)
    hashed *= _SECOND
    hashed ^= hashed >> np.uint64(32)
    return hashed


def hash_bytes(array: pa.Array, seed: int = 0) -> np.ndarray:
    """uint64 hashes of a plain string or binary array (NULL rows as empty)."""
    rows = len(array)
    hashes = np.full(rows, (seed * 0x9E3779B97F4A7C15 + 0x51_7C_C1_B7) & 0xFFFFFFFFFFFFFFFF, np.uint64)
    _, offsets_buffer, data_buffer = array.buffers()
    if rows == 0 or offsets_buffer is None:
        return mix(hashes.view(np.int64))
    offsets = np.frombuffer(offsets_buffer, np.int32, rows + 1, 4 * array.offset).astype(np.int64)
    starts, lengths = offsets[:-1], np.diff(offsets)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    if len(data) < 8:
        data = np.concatenate([data, np.zeros(8 - len(data), np.uint8)])
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    last = len(data) - 8
    hashes ^= lengths.view(np.uint64) * _SECOND
    longest = int(lengths.max())
    long_rows = np.flatnonzero(lengths > _LONG_BYTES) if longest > _LONG_BYTES else None
    active: np.ndarray | None = None  # None: all rows
    for position in range(0, min(max(longest, 1), _LONG_BYTES), 8):
        if active is None:
            if position and not (lengths > position).all():
                active = np.flatnonzero(lengths > position)
        else:
            active = active[lengths[active] > position]
        at = (starts if active is None else starts[active]) + position
        left = (lengths if active is None else lengths[active]) - position
        read = np.clip(at, 0, last)
        word = words[read] >> ((at - read) * 8).astype(np.uint64)
        if int(left.min(initial=8)) < 8:
            cut = (np.clip(8 - left, 0, 8) * 8).astype(np.uint64)
            word = np.where(cut == 64, 0, (word << np.minimum(cut, 63)) >> np.minimum(cut, 63))
        mixed = ((hashes if active is None else hashes[active]) ^ word) * _MULTIPLIER
        mixed ^= mixed >> np.uint64(31)
        if active is None:
            hashes = mixed
        else:
            hashes[active] = mixed
    if long_rows is not None:
        salt = seed.to_bytes(8, "little")
        for row in long_rows.tolist():
            piece = data[starts[row]:starts[row] + lengths[row]].tobytes()
            hashes[row] = int.from_bytes(hashlib.blake2b(piece, digest_size=8, salt=salt).digest(), "little")
    return mix(hashes.view(np.int64))


def hash_column(array: pa.Array, sql_type: SqlType) -> np.ndarray:
    """uint64 hash of every row's value; NULLs hash alike."""
    if canonical.is_integers(sql_type):
        form = canonical.integers(array, sql_type)
        hashes, valid = mix(form.values), form.valid
        if form.wide_rows is not None:
            assert form.wide is not None
            hashes[form.wide_rows] = hash_bytes(form.wide)
    else:
        plain = not pa.types.is_dictionary(array.type) and (
            pa.types.is_string(array.type) or pa.types.is_binary(array.type)) and sql_type.name != "bpchar"
        if plain:
            hashes, valid = hash_bytes(array), np.asarray(array.is_valid()) if array.null_count else None
        else:
            coded = canonical.texts(array, sql_type)
            valid = coded.valid
            by_code = hash_bytes(coded.dictionary)
            hashes = by_code.take(coded.codes, mode="clip") if len(by_code) else np.zeros(len(array), np.uint64)
    return hashes if valid is None else np.where(valid, hashes, _NULL)


def hash_columns(columns: Sequence[pa.Array], types: Sequence[SqlType]) -> np.ndarray:
    """uint64 hash of every row over all columns (at least one)."""
    hashes = hash_column(columns[0], types[0])
    for array, sql_type in zip(columns[1:], types[1:], strict=True):
        hashes = mix(((hashes * _MULTIPLIER) + hash_column(array, sql_type)).view(np.int64))
    return hashes


def hash_partition(columns: Sequence[pa.Array], types: Sequence[SqlType], partitions: int) -> np.ndarray:
    """For each row the partition (int64, below `partitions`) its key values belong to, the same in every process."""
    if not columns:
        raise ValueError("hash_partition needs at least one key column")
    hashes = hash_columns(columns, types) >> np.uint64(32)
    return ((hashes * np.uint64(partitions)) >> np.uint64(32)).astype(np.int64)
