"""The last fragment's output as the client's wire bytes: what a task makes pages of when its spec has an encoding (hop 7).

Pages hold whole messages, since those of several tasks are sent in whatever order they come.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from shoal.exec.batch import Batch
from shoal.exec.encoding.encoder import BLOCK_ROWS, Encoder, parts
from shoal.exec.exchange.buffer import Page

PAGE_BYTES: Final = 256 << 10
FIRST_ROWS: Final = 2_048
"""The first batches' rows are encoded in smaller portions, so that the first page is there soon."""
LONGEST_WAIT_S: Final = 0.02
"""Rows wait for others to fill a page with, but not for long: a client may be waiting for the first ones."""


class ResultPages:
    """Used like a Partitioner with one partition."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: list[memoryview] = []
        self._rows = self._bytes = 0
        self._portion = FIRST_ROWS
        self._since = time.perf_counter()

    def add(self, batch: Batch) -> Iterator[tuple[int, Page]]:
        """Takes in one batch; gives the pages that are ready, before it encodes more."""
        if batch.rows == 0:
            return
        for arrays, rows in self._parts(batch):
            for block in self._encoder.encode(arrays, rows):
                self._waiting.append(block)
                self._rows, rows = self._rows + rows, 0
                self._bytes += len(block)
                if self._bytes >= PAGE_BYTES or time.perf_counter() - self._since > LONGEST_WAIT_S:
                    yield from self.flush()

    def _parts(self, batch: Batch) -> Iterator[tuple[Sequence[pa.Array], int]]:
        """Portions to be encoded, each larger than the one before until they have the size that is cheapest."""
        arrays, done = batch.arrays(), 0
        while self._portion < BLOCK_ROWS and done < batch.rows:
            rows = min(self._portion, batch.rows - done)
            yield from parts([array.slice(done, rows) for array in arrays], rows)
            done += rows
            self._portion += FIRST_ROWS
        if done < batch.rows:
            yield from parts([array.slice(done) for array in arrays] if done else arrays, batch.rows - done)

    def flush(self) -> Iterator[tuple[int, Page]]:
        """What waits, if anything."""
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else memoryview(b"".join(self._waiting))
            page = Page((), self._rows, self._bytes, data)
            self._waiting, self._rows, self._bytes = [], 0, 0
            self._since = time.perf_counter()
            yield 0, page
