"""PostgreSQL's own hash values, which users store or hand to advisory locks (hashtext and its kin). Not for joins.

The function is Bob Jenkins' lookup3 (public domain, 2006) with PostgreSQL's start value; of integers it takes 4 bytes.
"""

from __future__ import annotations

from typing import Final

import numpy as np

_START: Final = 0x9E3779B9 + 3923095
_MASK: Final = 0xFFFFFFFF
_MIX: Final = ((0, 2, 4, 1), (1, 0, 6, 2), (2, 1, 8, 0), (0, 2, 16, 1), (1, 0, 19, 2), (2, 1, 4, 0))
"""(x, y, bits, z): x -= y, x ^= rotated y, y += z."""
_FINAL: Final = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))
"""(x, y, bits): x ^= y, x -= rotated y."""


def of_words(words: np.ndarray) -> np.ndarray:
    """int32 hashes of uint32 words."""
    start = np.uint32((_START + 4) & _MASK)
    abc = [words + start, np.full(len(words), start), np.full(len(words), start)]
    for x, y, bits in _FINAL:
        rotated = (abc[y] << np.uint32(bits)) | (abc[y] >> np.uint32(32 - bits))
        abc[x] = (abc[x] ^ abc[y]) - rotated
    return abc[2].view(np.int32)


def of_integers(values: np.ndarray) -> np.ndarray:
    """int32 hashes of int64: those that fit four bytes hash alike whatever their type."""
    bits = values.view(np.uint64)
    low, high = (bits & np.uint64(_MASK)).astype(np.uint32), (bits >> np.uint64(32)).astype(np.uint32)
    return of_words(low ^ np.where(values >= 0, high, ~high))


def of_bytes(data: bytes) -> int:
    """The int32 hash of some bytes."""
    return int.from_bytes(_words(data, 0)[2].to_bytes(4), signed=True)


def of_bytes_extended(data: bytes, seed: int) -> int:
    """The int64 hash of some bytes and an int64."""
    _, high, low = _words(data, seed & (1 << 64) - 1)
    return int.from_bytes((high << 32 | low).to_bytes(8), signed=True)


def _words(data: bytes, seed: int) -> list[int]:
    abc = [(_START + len(data)) & _MASK] * 3
    if seed:
        abc[0], abc[1] = (abc[0] + (seed >> 32)) & _MASK, (abc[1] + seed) & _MASK
        _mix(abc)
    end = len(data) // 12 * 12
    for place in range(0, end, 12):
        for i in range(3):
            abc[i] = (abc[i] + int.from_bytes(data[place + 4 * i:place + 4 * i + 4], "little")) & _MASK
        _mix(abc)
    rest = data[end:]
    # the lowest byte of the third word is the length's
    for i, word in enumerate((rest[:4], rest[4:8], b"\0" + rest[8:] if len(rest) > 8 else b"")):
        abc[i] = (abc[i] + int.from_bytes(word, "little")) & _MASK
    for x, y, bits in _FINAL:
        abc[x] = ((abc[x] ^ abc[y]) - _rotated(abc[y], bits)) & _MASK
    return abc


def _mix(abc: list[int]) -> None:
    for x, y, bits, z in _MIX:
        abc[x] = ((abc[x] - abc[y]) ^ _rotated(abc[y], bits)) & _MASK
        abc[y] = (abc[y] + abc[z]) & _MASK


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & _MASK
