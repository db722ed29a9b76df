"""Reads a source that mostly waits for another system in a thread of its own, behind a queue bounded in bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from shoal.exec.batch import BLOCKED, Batch, Output

CAPACITY_BYTES: Final = 16 << 20
STOP_WAIT_S: Final = 0.2


class ReadAhead:
    """`batches` drained by a thread; `wake` is called whenever there is news for the reader."""

    def __init__(self, batches: Iterator[Batch], wake: Callable[[], None], name: str) -> None:
        self._source, self._wake = batches, wake
        self._ready = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._waiting_bytes = 0
        self._done = self._stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"read-ahead {name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for batch in self._source:
                size = batch.nbytes()
                with self._ready:
                    while self._waiting_bytes >= CAPACITY_BYTES and not self._stopped:
                        self._ready.wait()
                    if self._stopped:
                        break
                    self._queue.append(batch)
                    self._waiting_bytes += size
                self._wake()
        except BaseException as raised:
            error = raised
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                try:
                    close()
                except Exception as raised:
                    error = error or raised
            with self._ready:
                self._error, self._done = error, True
            self._wake()

    def batches(self) -> Output:
        """The batches in order, BLOCKED while none is there. Raises: what the source raised."""
        try:
            while True:
                with self._ready:
                    batch = self._queue.popleft() if self._queue else None
                    done = self._done
                    if batch is not None:
                        self._waiting_bytes -= batch.nbytes()
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
        """Ends the reading as soon as the source gives its next batch; waits only a moment for it."""
        with self._ready:
            self._stopped = True
            self._queue.clear()
            self._ready.notify()
        self._thread.join(STOP_WAIT_S)
