"""Threads for work that blocks: connectors that are asked for names, sizes and splits; the planner itself.

A few run at once, as planning is bound by the interpreter's lock. Work that has waited for a moment gets a thread of its
own: those before it may be waiting for a remote system that does not answer, which must not hold up anybody else. The
threads are daemons, so that one that is stuck does not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from shoal.catalog.errors import TooManyConnections

AT_ONCE: Final = 8
PATIENCE_S: Final = 0.25
MOST: Final = 256
_IDLE_S: Final = 10.0

T = TypeVar("T")
Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class PlanningThreads:
    """Lives in one event loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._free = 0

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """`work(*arguments)` in a thread. It goes on when nobody waits any more.

        Raises: what `work` raises; TooManyConnections (53300) when too much of it hangs.
        """
        return await self._run(lambda: work(*arguments))

    def start(self, work: Callable[..., T], *arguments: Any) -> asyncio.Task[T]:
        """As `run`, as a task whose result may also be had later."""
        return asyncio.get_running_loop().create_task(self._run(lambda: work(*arguments)))

    async def _run(self, work: Callable[[], T]) -> T:
        mine = True
        try:
            async with asyncio.timeout(PATIENCE_S if self._turns.locked() else None):
                await self._turns.acquire()
        except TimeoutError:
            mine = False
        try:
            return await self._submit(work)
        finally:
            if mine:
                self._turns.release()

    def submit(self, work: Callable[[], Any]) -> None:
        """Runs `work` at once; nobody hears of its end."""
        self._submit(work).add_done_callback(lambda done: done.cancelled() or done.exception())

    def _submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._free:
                self._free -= 1
            elif self._threads >= MOST:
                raise TooManyConnections(f"{MOST} statements are waiting for their sources already")
            else:
                self._threads += 1
                threading.Thread(target=self._work, name=f"planning {self._threads}", daemon=True).start()
        self._jobs.put((work, future, loop))
        return future

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._free and self._jobs.empty():  # else a job has just been meant for this thread
                        self._free -= 1
                        self._threads -= 1
                        return
                continue
            if job is None:
                return
            work, future, loop = job
            result: Any = None
            error: BaseException | None = None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            with self._lock:
                self._free += 1
            try:
                loop.call_soon_threadsafe(_tell, future, result, error)
            except RuntimeError:
                return  # the loop has ended
            del work, future, job, result, error

    def stop(self) -> None:
        """Ends the idle threads."""
        with self._lock:
            for _ in range(self._free):
                self._jobs.put(None)
            self._free = 0


def _tell(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
