"""Divides a task's output among its consumers' partitions and makes pages of it (hop 6; pure).

A hash exchange cuts every batch into as many pieces as there are partitions: small ones are put together again until
a page is worth its cost, pages that are too large are cut. Rows keep their order within a partition, and which
row goes where depends on values alone, so a task that runs again gives the same pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.batch import Batch, Selection
from shoal.exec.exchange.buffer import Page
from shoal.exec.kernels.hashing import hash_partition
from shoal.exec.plan.fragment import Fragment

MAX_PAGE_BYTES: Final = 16 << 20
Piece = tuple[tuple[pa.Array, ...], int]


class Partitioner:
    """Cuts batches into pages for `partitions` consumers, as `fragment.output_kind` says.

    Gather and broadcast have one queue of pages (number 0). A page has at least `page_rows` rows, but for the last.
    """

    def __init__(self, fragment: Fragment, partitions: int, page_rows: int) -> None:
        fields = fragment.root.output
        positions = {field.id: position for position, field in enumerate(fields)}
        self._kind = fragment.output_kind
        self._keys = [positions[key] for key in fragment.output_keys]
        self._key_types: list[SqlType] = [fields[key].type for key in self._keys]
        self._partitions = partitions if self._kind in ("hash", "round_robin") else 1
        self._page_rows = max(1, page_rows)
        self._waiting: list[list[Piece]] = [[] for _ in range(self._partitions)]
        self._waiting_rows = [0] * self._partitions
        self._turn = 0

    def add(self, batch: Batch) -> Iterator[tuple[int, Page]]:
        """Takes in one batch; gives the pages that are ready, with their partition."""
        if batch.rows == 0:
            return
        if self._partitions == 1:
            yield from self._append(0, (tuple(batch.arrays()), batch.rows))
        elif self._kind == "round_robin":
            self._turn = (self._turn + 1) % self._partitions
            yield from self._append(self._turn, (tuple(batch.arrays()), batch.rows))
        else:
            yield from self._divide(batch)

    def flush(self) -> Iterator[tuple[int, Page]]:
        """The rest, after the last batch."""
        for partition in range(self._partitions):
            yield from self._emit(partition)

    def _divide(self, batch: Batch) -> Iterator[tuple[int, Page]]:
        ids = hash_partition([batch.array(key) for key in self._keys], self._key_types, self._partitions)
        counts = np.bincount(ids, minlength=self._partitions)
        alone = np.flatnonzero(counts)
        if len(alone) == 1:
            yield from self._append(int(alone[0]), (tuple(batch.arrays()), batch.rows))
            return
        narrow = ids.astype(np.uint8 if self._partitions <= 256 else np.uint16 if self._partitions <= 65536 else np.int64)
        arrays = batch.take(Selection(np.argsort(narrow, kind="stable"))).arrays()
        start = 0
        for partition, count in enumerate(counts.tolist()):
            if count:
                yield from self._append(partition, (tuple(array.slice(start, count) for array in arrays), count))
                start += count

    def _append(self, partition: int, piece: Piece) -> Iterator[tuple[int, Page]]:
        waiting = self._waiting[partition]
        if waiting and not _alike(waiting[-1][0], piece[0]):
            yield from self._emit(partition)
        self._waiting[partition].append(piece)
        self._waiting_rows[partition] += piece[1]
        if self._waiting_rows[partition] >= self._page_rows:
            yield from self._emit(partition)

    def _emit(self, partition: int) -> Iterator[tuple[int, Page]]:
        pieces, rows = self._waiting[partition], self._waiting_rows[partition]
        if not pieces:
            return
        self._waiting[partition], self._waiting_rows[partition] = [], 0
        if len(pieces) == 1:
            arrays = pieces[0][0]
        else:
            arrays = tuple(_concatenate([piece[0][column] for piece in pieces]) for column in range(len(pieces[0][0])))
        for page in pages_of(arrays, rows):
            yield partition, page


def pages_of(arrays: tuple[pa.Array, ...], rows: int) -> Iterator[Page]:
    """The rows as one page, or as several of at most about MAX_PAGE_BYTES."""
    total = sum(size_bytes(array) for array in arrays)
    parts = min(rows, -(-total // MAX_PAGE_BYTES)) if total > MAX_PAGE_BYTES else 1
    if parts == 1:
        yield Page(arrays, rows, total)
        return
    step = -(-rows // parts)
    for start in range(0, rows, step):
        piece = tuple(array.slice(start, step) for array in arrays)
        yield Page(piece, min(step, rows - start), sum(size_bytes(array) for array in piece))


def size_bytes(array: pa.Array) -> int:
    """Bytes an array's own rows hold: of a dictionary array its codes, as neighbours share the dictionary."""
    return 4 * len(array) if pa.types.is_dictionary(array.type) else int(array.nbytes)


def _alike(left: Sequence[pa.Array], right: Sequence[pa.Array]) -> bool:
    """Whether pieces can be put together without converting: same storage types, same dictionaries."""
    return all(a.type == b.type and (not pa.types.is_dictionary(a.type) or same_dictionary(a.dictionary, b.dictionary))
               for a, b in zip(left, right, strict=True))


def _concatenate(arrays: list[pa.Array]) -> pa.Array:
    if pa.types.is_dictionary(arrays[0].type):
        indices = pa.concat_arrays([array.indices for array in arrays])
        return pa.DictionaryArray.from_arrays(indices, arrays[0].dictionary, safe=False)
    return pa.concat_arrays(arrays)


def same_dictionary(left: pa.Array, right: pa.Array) -> bool:
    """Equality of two dictionaries, seen at once when both share their buffers."""
    if len(left) != len(right) or left.type != right.type:
        return False
    if left.offset == right.offset and _addresses(left) == _addresses(right):
        return True
    return bool(left.equals(right))


def _addresses(array: pa.Array) -> list[int | None]:
    return [None if buffer is None else buffer.address for buffer in array.buffers()]
