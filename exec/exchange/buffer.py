"""Where pages wait between a producer task and its consumers (hop 6; pure: callers lock and wake).

Producing end, `OutputBuffer`: one queue for each consumer partition, or one shared by all for broadcast.

    add ──> kept ──read(from, credit)──> in flight ──acknowledge(up to)──> released
    open ──finish()──> finished            any ──abort(error)──> aborted

Pull with credit: a consumer asks for pages from a sequence number on, and for no more bytes than it has room
for; asking from n acknowledges all pages below n. Pages stay readable until acknowledged, so a consumer whose
connection broke asks again and misses nothing. `full` is the producer's back-pressure: what waits is bounded in bytes.
A consumer that needs no more closes its partition; once all have, the producer is `abandoned` and may stop.

Receiving end, `InputQueue`: pages of one stream in sequence, with the credit that is left.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from shoal.catalog.errors import ProtocolViolation, SqlError

State = Literal["open", "finished", "aborted"]


@dataclass(frozen=True, slots=True)
class Page:
    """Equally long columns in storage form, and how many bytes they count for. Without columns it still has rows."""

    arrays: tuple[pa.Array, ...]
    rows: int
    size_bytes: int
    encoded: memoryview | None = None
    """The rows as whole messages for the client, in place of columns."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to one request: pages `first`, `first` + 1 ... `ended`: nothing comes after them."""

    first: int
    pages: tuple[Page, ...]
    ended: bool = False
    error: SqlError | None = None


class _Queue:
    __slots__ = ("first", "pages", "size_bytes")

    def __init__(self) -> None:
        self.pages: deque[Page] = deque()
        self.first = 0
        self.size_bytes = 0

    def release(self, up_to: int) -> int:
        freed = 0
        while self.pages and self.first < up_to:
            freed += self.pages.popleft().size_bytes
            self.first += 1
        self.size_bytes -= freed
        return freed


class OutputBuffer:
    """The output of one task. `capacity_bytes`: beyond it the task must pause (a page more still fits)."""

    def __init__(self, partitions: int, capacity_bytes: int, *, shared: bool = False) -> None:
        self.partitions, self.capacity_bytes = partitions, capacity_bytes
        self.state: State = "open"
        self.error: SqlError | None = None
        self.rows_added = 0
        self.bytes_added = 0
        self._shared = shared
        self._queues = [_Queue() for _ in range(1 if shared else partitions)]
        self._acknowledged = [0] * partitions
        self._closed = [False] * partitions
        self._retained_bytes = 0

    @property
    def retained_bytes(self) -> int:
        """What the pages not yet acknowledged hold."""
        return self._retained_bytes

    @property
    def full(self) -> bool:
        return self._retained_bytes >= self.capacity_bytes

    @property
    def abandoned(self) -> bool:
        """No consumer wants any more rows."""
        return all(self._closed)

    @property
    def drained(self) -> bool:
        """Finished, and every consumer has everything it wants."""
        return self.state == "finished" and all(
            closed or self._acknowledged[p] >= self._end(p) for p, closed in enumerate(self._closed))

    def add(self, partition: int, page: Page) -> None:
        """Appends to one partition (of a shared buffer: to all). Pages for a closed partition are dropped."""
        assert self.state == "open", f"a page for a buffer that is {self.state}"
        queue = self._queues[0 if self._shared else partition]
        self.rows_added += page.rows
        self.bytes_added += page.size_bytes
        if self.abandoned if self._shared else self._closed[partition]:
            queue.first += 1
            return
        queue.pages.append(page)
        queue.size_bytes += page.size_bytes
        self._retained_bytes += page.size_bytes

    def finish(self) -> None:
        if self.state == "open":
            self.state = "finished"

    def abort(self, error: SqlError) -> None:
        """No page can be read any more: consumers get `error`."""
        if self.state != "aborted":
            self.state, self.error = "aborted", error
            for queue in self._queues:
                queue.release(self._last(queue))
            self._retained_bytes = 0

    def read(self, partition: int, sequence: int, credit_bytes: int) -> Reading:
        """Pages from `sequence` on, at least one if there is any, then as many as `credit_bytes` covers.

        Acknowledges the pages before `sequence`. Raises: ProtocolViolation (08P01) for pages that were released
        or a partition that is not there.
        """
        if not 0 <= partition < self.partitions:
            raise ProtocolViolation(f"an exchange buffer has no partition {partition}")
        if self.state == "aborted":
            return Reading(sequence, (), True, self.error)
        if self._closed[partition]:
            return Reading(sequence, (), True)
        queue = self._queues[0 if self._shared else partition]
        if sequence < self._acknowledged[partition] or sequence > self._last(queue):
            raise ProtocolViolation(f"page {sequence} of an exchange buffer was asked for; it holds {queue.first} to "
                                    f"{self._last(queue)}")
        self.acknowledge(partition, sequence)
        pages: list[Page] = []
        total = 0
        for position in range(sequence - queue.first, len(queue.pages)):
            page = queue.pages[position]
            if pages and total + page.size_bytes > credit_bytes:
                break
            pages.append(page)
            total += page.size_bytes
        ended = self.state == "finished" and sequence + len(pages) == self._last(queue)
        return Reading(sequence, tuple(pages), ended)

    def acknowledge(self, partition: int, up_to: int) -> int:
        """The consumer has all pages before `up_to`; gives the bytes that were released."""
        if up_to <= self._acknowledged[partition]:
            return 0
        self._acknowledged[partition] = up_to
        return self._release(partition)

    def close(self, partition: int) -> None:
        """The consumer of `partition` wants no more pages. Idempotent."""
        if 0 <= partition < self.partitions and not self._closed[partition]:
            self._closed[partition] = True
            self._release(partition)

    def _release(self, partition: int) -> int:
        queue = self._queues[0 if self._shared else partition]
        if self._shared:
            wanted = [a for a, closed in zip(self._acknowledged, self._closed, strict=True) if not closed]
            up_to = min(wanted) if wanted else self._last(queue)
        else:
            up_to = self._last(queue) if self._closed[partition] else self._acknowledged[partition]
        freed = queue.release(up_to)
        self._retained_bytes -= freed
        return freed

    def _end(self, partition: int) -> int:
        return self._last(self._queues[0 if self._shared else partition])

    @staticmethod
    def _last(queue: _Queue) -> int:
        return queue.first + len(queue.pages)


class InputQueue:
    """The receiving end of one stream: at most about `capacity_bytes` wait to be taken."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.next_sequence = 0
        """The page to ask for next: all before it have arrived."""
        self.ended = False
        self.error: SqlError | None = None
        self.rows_received = 0
        self.bytes_received = 0
        self._pages: deque[Page] = deque()
        self._waiting_bytes = 0

    @property
    def credit_bytes(self) -> int:
        """What may still be asked for; 0: wait until pages were taken."""
        return max(0, self.capacity_bytes - self._waiting_bytes)

    def put(self, sequence: int, page: Page) -> bool:
        """Takes in a page; False for one that had come before. Raises: ProtocolViolation (08P01) for a gap."""
        if sequence < self.next_sequence:
            return False
        if sequence > self.next_sequence or self.ended:
            raise ProtocolViolation(f"exchange page {sequence} came where {self.next_sequence} was due")
        self.next_sequence += 1
        self.rows_received += page.rows
        self.bytes_received += page.size_bytes
        self._waiting_bytes += page.size_bytes
        self._pages.append(page)
        return True

    def end(self, error: SqlError | None = None) -> None:
        if not self.ended:
            self.ended, self.error = True, error

    def take(self) -> Page | None:
        """The next page; None when there is none now. Raises: the error the stream ended with, after its pages."""
        if self._pages:
            page = self._pages.popleft()
            self._waiting_bytes -= page.size_bytes
            return page
        if self.error is not None:
            raise self.error
        return None

    @property
    def exhausted(self) -> bool:
        return self.ended and not self._pages

    def close(self) -> None:
        """Drops what waits; what still comes is not wanted."""
        self._pages.clear()
        self._waiting_bytes = 0
        self.ended = True
