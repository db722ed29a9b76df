"""The two ends of an exchange inside a process: what a task's output waits in, and where its inputs come from.

A producer and a consumer in one process share the output buffer: pages change hands as they are. A stream from
another process is filled by the event loop (`RemoteStream` is the transport's sink) and emptied by the compute thread.

All state here is guarded by the runner's one lock; nothing blocks while holding it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from shoal.catalog.errors import QueryCanceled, SqlError
from shoal.exec.exchange.buffer import InputQueue, OutputBuffer, Page
from shoal.exec.exchange.transport import ExchangeClient
from shoal.exec.plan.fragment import TaskInput

Wake = Callable[[], None]


class TaskOutput:
    """A task's output buffer and who waits for it. Made by whoever names the task first, producer or consumer."""

    def __init__(self) -> None:
        self.buffer: OutputBuffer | None = None
        self.wake_producer: Wake | None = None
        self.readers: dict[int, Wake] = {}
        self.closed_early: set[int] = set()
        """Partitions whose consumer gave up before the producer was there."""

    def opened(self, buffer: OutputBuffer, wake_producer: Wake) -> None:
        """The producer has come."""
        self.buffer, self.wake_producer = buffer, wake_producer
        for partition in self.closed_early:
            buffer.close(partition)
        self.wake_readers()

    def wake_readers(self, partition: int | None = None) -> None:
        """Tells who reads `partition` (None: any) that there is news."""
        if partition is None:
            for wake in list(self.readers.values()):
                wake()
        elif (reader := self.readers.get(partition)) is not None:
            reader()

    def close_partition(self, partition: int) -> None:
        if self.buffer is None:
            self.closed_early.add(partition)
            return
        self.buffer.close(partition)
        if self.wake_producer is not None:
            self.wake_producer()


class Stream(Protocol):
    """One producer task's pages, as its consumer sees them."""

    fragment_id: int
    reader: int

    @property
    def rows(self) -> int: ...

    @property
    def bytes(self) -> int: ...

    def take(self) -> Page | None:
        """The next page, or None when there is none now. Raises: what the stream ended with."""

    @property
    def exhausted(self) -> bool: ...

    def close(self) -> None:
        """No more is wanted. Idempotent."""


class LocalStream:
    """A stream whose producer is in this process."""

    def __init__(self, lock: threading.RLock, output: TaskOutput, source: TaskInput, wake: Wake) -> None:
        self.fragment_id, self.reader = source.fragment_id, source.reader
        self.rows = self.bytes = 0
        self._lock, self._output, self._partition = lock, output, source.partition
        self._next = 0
        self._ended = self._closed = False
        with lock:
            output.readers[source.partition] = wake

    def take(self) -> Page | None:
        with self._lock:
            buffer = self._output.buffer
            if self._ended or buffer is None:
                return None
            was_full = buffer.full
            reading = buffer.read(self._partition, self._next, 1)
            if reading.error is not None:
                self._ended = True
                raise reading.error
            self._ended = reading.ended and len(reading.pages) <= 1  # of pages without columns several fit any credit
            if not reading.pages:
                return None
            self._next += 1
            buffer.acknowledge(self._partition, self._next)
            if was_full and not buffer.full and self._output.wake_producer is not None:
                self._output.wake_producer()
        page = reading.pages[0]
        self.rows += page.rows
        self.bytes += page.size_bytes
        return page

    @property
    def exhausted(self) -> bool:
        return self._ended

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._ended = True
                self._output.readers.pop(self._partition, None)
                self._output.close_partition(self._partition)


class RemoteStream:
    """A stream fetched from another process. Made in the event loop's thread."""

    def __init__(self, lock: threading.RLock, loop: asyncio.AbstractEventLoop, client: ExchangeClient, source: TaskInput,
                 capacity_bytes: int, wake: Wake, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self.fragment_id, self.reader = source.fragment_id, source.reader
        self._lock, self._loop, self._client, self._source, self._wake = lock, loop, client, source, wake
        self._queue = InputQueue(capacity_bytes)
        self._wants_room = False
        self._closed = False
        self._has_room = asyncio.Event()
        self._spawn = spawn
        self._fetching = spawn(client.fetch(source, self))

    @property
    def rows(self) -> int:
        return self._queue.rows_received

    @property
    def bytes(self) -> int:
        return self._queue.bytes_received

    # -- the event loop's side

    async def room(self) -> tuple[int, int]:
        while True:
            with self._lock:
                credit = self._queue.credit_bytes
                if credit > 0:
                    return self._queue.next_sequence, credit
                self._wants_room = True
                self._has_room.clear()
            await self._has_room.wait()

    def put(self, sequence: int, page: Page) -> None:
        with self._lock:
            if self._closed:
                return
            self._queue.put(sequence, page)
            self._wake()

    def end(self, error: SqlError | None) -> None:
        with self._lock:
            self._queue.end(error)
            self._wake()

    def _stop_fetching(self) -> None:
        if not self._fetching.done():
            self._fetching.cancel()
            self._spawn(self._client.close_stream(self._source))

    # -- the compute thread's side

    def take(self) -> Page | None:
        with self._lock:
            page = self._queue.take()
            if page is not None and self._wants_room and self._queue.credit_bytes * 2 >= self._queue.capacity_bytes:
                self._wants_room = False
                self._loop.call_soon_threadsafe(self._has_room.set)
            return page

    @property
    def exhausted(self) -> bool:
        return self._queue.exhausted

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ended = self._queue.ended
            self._queue.close()
        if not ended and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_fetching)


def canceled() -> QueryCanceled:
    """The error of a stream or task whose query was stopped."""
    return QueryCanceled("canceling statement due to user request")
