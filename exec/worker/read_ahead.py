"""Reads a source that mostly waits for another system in a thread of its own, behind a queue bounded in bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from shoal.exec.batch import BLOCKED, Batch, Output

CAPACITY_BYTES: Final = 16 << 20
STOP_WAIT_S: Final = 0.02


class ReadAhead:
    """`batches` drained by a thread; `wake` is called whenever there is news for the reader.

    `interrupt(thread ident)` ends what that thread waits for in another system; it may block.
    """

    def __init__(self, batches: Iterator[Batch], wake: Callable[[], None], name: str,
                 interrupt: Callable[[int], None] | None = None) -> None:
        self._source, self._wake, self._interrupt = batches, wake, interrupt
        self._ready = threading.Condition()
        self._queue: deque[tuple[Batch, int]] = deque()
        self._waiting_bytes = 0
        self._done = self._stopped = False
        self._error: BaseException | None = None
        self._leaving = threading.Lock()
        """Held by the interrupter: the thread stays, so that its ident cannot be another thread's by then."""
        self._left = False
        self._thread = threading.Thread(target=self._run, name=f"read-ahead {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._drain()
        except BaseException as raised:
            error = raised
        try:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        except Exception as raised:
            error = error or raised
        with self._leaving:
            self._left = True
        with self._ready:
            self._error, self._done = error, True
        self._wake()

    def _drain(self) -> None:
        for batch in self._source:
            size = batch.nbytes()
            with self._ready:
                while self._waiting_bytes >= CAPACITY_BYTES and not self._stopped:
                    self._ready.wait()
                if self._stopped:
                    return
                self._queue.append((batch, size))
                self._waiting_bytes += size
            self._wake()

    def batches(self) -> Output:
        """The batches in order, BLOCKED while none is there. Raises: what the source raised."""
        try:
            while True:
                with self._ready:
                    batch, size = self._queue.popleft() if self._queue else (None, 0)
                    done = self._done and not self._queue
                    self._waiting_bytes -= size
                    self._ready.notify()
                if batch is not None:
                    yield batch
                elif done:
                    if self._error is not None:
                        raise self._error
                    return
                else:
                    yield BLOCKED
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends the reading: at its next batch, or by interrupting the source. Does not wait for it. Idempotent."""
        with self._ready:
            first, self._stopped = not self._stopped, True
            self._queue.clear()
            self._ready.notify()
        if not first:
            return
        self._thread.join(STOP_WAIT_S)
        if self._thread.is_alive() and self._interrupt is not None:
            threading.Thread(target=self._interrupt_source, name=f"interrupt {self._thread.name}", daemon=True).start()

    def _interrupt_source(self) -> None:
        assert self._interrupt is not None and self._thread.ident is not None
        with self._leaving:
            if not self._left:
                self._interrupt(self._thread.ident)
