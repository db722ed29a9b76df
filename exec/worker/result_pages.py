"""The last fragment's output as the client's wire bytes: what a task makes pages of when its spec has an encoding (hop 7).

Pages hold whole messages, since those of several tasks are sent in whatever order they come.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from shoal.exec.batch import Batch
from shoal.exec.encoding.encoder import Encoder, parts
from shoal.exec.exchange.buffer import Page

PAGE_BYTES: Final = 256 << 10
LONGEST_WAIT_S: Final = 0.02
"""Rows wait for others to fill a page with, but not for long: a client may be waiting for the first ones."""


class ResultPages:
    """Used like a Partitioner with one partition."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._waiting: list[memoryview] = []
        self._rows = self._bytes = 0
        self._since = time.perf_counter()

    def add(self, batch: Batch) -> Iterator[tuple[int, Page]]:
        """Takes in one batch; gives the pages that are ready, before it encodes more."""
        if batch.rows == 0:
            return
        for arrays, rows in parts(batch.arrays(), batch.rows):
            for block in self._encoder.encode(arrays, rows):
                self._waiting.append(block)
                self._rows, rows = self._rows + rows, 0
                self._bytes += len(block)
                if self._bytes >= PAGE_BYTES or time.perf_counter() - self._since > LONGEST_WAIT_S:
                    yield from self.flush()

    def flush(self) -> Iterator[tuple[int, Page]]:
        """What waits, if anything."""
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else memoryview(b"".join(self._waiting))
            page = Page((), self._rows, self._bytes, data)
            self._waiting, self._rows, self._bytes = [], 0, 0
            self._since = time.perf_counter()
            yield 0, page
