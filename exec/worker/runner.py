"""TaskRunner: all tasks of one process, run by one compute thread, a morsel at a time (hop 6).

The event loop starts, cancels and releases tasks and moves pages; the compute thread resumes tasks' drivers in turn.
A task that has nothing to do is parked until it is woken: by a page or the end of an input, by room in its output,
by a filter, by a source's thread. One lock guards what both threads touch; it is held for moments only.

The coordinator has a runner of its own for its fragments, so there is one way to run a plan.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from shoal.catalog.connector import Connector
from shoal.catalog.errors import InternalError, OutOfMemory, SqlError, StatementTooComplex
from shoal.exec.evaluator import Names
from shoal.exec.exchange.buffer import Reading
from shoal.exec.exchange.transport import ExchangeClient
from shoal.exec.kernels.membership import KeySet
from shoal.exec.memory import WorkerMemory
from shoal.exec.plan.fragment import TaskId, TaskInput, TaskSettings, TaskSpec
from shoal.exec.worker.context import QueryState, RunningTask
from shoal.exec.worker.streams import LocalStream, RemoteStream, Stream, TaskOutput, Wake, canceled
from shoal.exec.worker.task import TaskReport

TIMED_POLL_S: Final = 0.02
_REMEMBERED_QUERIES: Final = 4096

log = logging.getLogger("shoal.runner")


class TaskRunner:
    """`address`: where this process serves its buffers. `report` and `publish` are called in the event loop's thread.

    `memory_bytes`: what all queries' tasks may hold here, whatever their settings say.
    """

    def __init__(self, name: str, secret: bytes, connector: Callable[[TaskSpec, str], Connector],
                 report: Callable[[TaskReport], None], publish: Callable[[TaskId, int, bytes], None],
                 names: Callable[[TaskSettings], Names | None] = lambda settings: None, memory_bytes: int = 1 << 62) -> None:
        self.name = name
        self._memory = WorkerMemory(memory_bytes)
        self.address: tuple[str, int] = ("", 0)
        self.coordinator_host = ""
        """What the host "" of an input means: where the coordinator was found."""
        self._client = ExchangeClient(secret)
        self._connector, self._report, self._publish, self._names = connector, report, publish, names
        self._loop = asyncio.get_running_loop()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._ready: deque[RunningTask] = deque()
        self._timed: set[RunningTask] = set()
        self._queries: dict[str, QueryState] = {}
        self._outputs: dict[str, dict[str, TaskOutput]] = {}
        self._released: dict[str, None] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name=f"compute {name}", daemon=True)
        self._thread.start()

    # -- the event loop's side

    def start_task(self, spec: TaskSpec) -> None:
        """Makes a task ready to run."""
        with self._lock:
            if spec.id.query_id in self._released:
                return
            query = self._queries.get(spec.id.query_id)
            if query is None:
                query_id = spec.id.query_id
                query = self._queries[query_id] = QueryState(
                    self._memory.open(spec.settings.memory_bytes, lambda error: self.cancel(query_id, error)))
            if str(spec.id) in query.tasks:
                return
            task = RunningTask(spec, query, self._connector, self._wake, self._published, self._others_ready,
                               self._names)
            task.lock = self._lock
            output = task.output = self._output(spec.id.query_id, str(spec.id))
            assert output is not None
            output.opened(task.buffer, task.wake)
            producers = Counter(source.fragment_id for source in spec.inputs)
            room = spec.settings.exchange_bytes
            task.streams = [self._stream(source, max(1, room // producers[source.fragment_id]), task.wake)
                            for source in spec.inputs]
            query.tasks[str(spec.id)] = task
            if query.canceled is not None:
                task.error = query.canceled
            self._ready.append(task)
            self._changed.notify()

    def open_stream(self, source: TaskInput, capacity_bytes: int, wake: Wake) -> Stream:
        """A stream for a reader that is not a task (the result). `wake` is called from any thread."""
        with self._lock:
            return self._stream(source, capacity_bytes, wake)

    def cancel(self, query_id: str, error: SqlError | None = None) -> None:
        """Stops the query's tasks: each ends at its next turn with `error`. Idempotent."""
        with self._lock:
            query = self._queries.get(query_id)
            if query is None or query.canceled is not None:
                return
            query.canceled = error or canceled()
            for task in query.tasks.values():
                if not task.life.final:
                    task.error = task.error or query.canceled
                    self._wake(task)

    def release(self, query_id: str) -> None:
        """Stops what still runs and forgets the query with its buffers."""
        self.cancel(query_id)
        with self._lock:
            self._released[query_id] = None
            while len(self._released) > _REMEMBERED_QUERIES:
                self._released.pop(next(iter(self._released)))
            for output in self._outputs.pop(query_id, {}).values():
                if output.buffer is not None:
                    output.buffer.abort(canceled())
                output.wake_readers()
            query = self._queries.get(query_id)
            if query is not None and all(task.ended for task in query.tasks.values()):
                self._forget(query_id)

    def set_filter(self, query_id: str, filter_id: int, payload: bytes | None) -> None:
        """A dynamic filter is complete; None: it will not come."""
        keys = None if payload is None else KeySet.from_bytes(payload)
        with self._lock:
            query = self._queries.get(query_id)
            if query is not None:
                query.filters.setdefault(filter_id, keys)
                for task in query.tasks.values():
                    self._wake(task)

    def reports(self) -> list[TaskReport]:
        """How all tasks that have not ended stand now."""
        with self._lock:
            return [task.report() for query in self._queries.values() for task in query.tasks.values() if not task.ended]

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._queries

    @property
    def turns(self) -> int:
        """How often a task has had its turn so far."""
        return self._turns

    async def read(self, task: str, partition: int, sequence: int, credit_bytes: int, timeout_s: float) -> Reading:
        """The transport's way to the buffers (PageSource)."""
        event = asyncio.Event()
        deadline = self._loop.time() + timeout_s
        query_id = task.split(".", 1)[0]

        def wake() -> None:
            self._loop.call_soon_threadsafe(event.set)

        while True:
            with self._lock:
                output = self._output(query_id, task)
                if output is None:
                    return Reading(sequence, (), True, canceled())
                if output.buffer is not None:
                    was_full = output.buffer.full
                    reading = output.buffer.read(partition, sequence, credit_bytes)
                    if was_full and not output.buffer.full and output.wake_producer is not None:
                        output.wake_producer()
                    if reading.pages or reading.ended:
                        return reading
                output.readers[partition] = wake
            try:
                async with asyncio.timeout_at(deadline):
                    await event.wait()
            except TimeoutError:
                return Reading(sequence, ())
            event.clear()

    def close_partition(self, task: str, partition: int) -> None:
        with self._lock:
            output = self._output(task.split(".", 1)[0], task)
            if output is not None:
                output.readers.pop(partition, None)
                output.close_partition(partition)

    async def stop(self) -> None:
        """Ends the compute thread after its current morsel and all fetching."""
        with self._lock:
            for query_id in list(self._queries):
                self.cancel(query_id)
            self._stopping = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, 5.0)
        for fetching in list(self._background):
            fetching.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._client.close()

    # -- shared, under the lock

    def _output(self, query_id: str, task: str) -> TaskOutput | None:
        if query_id in self._released:
            return None
        return self._outputs.setdefault(query_id, {}).setdefault(task, TaskOutput())

    def _forget(self, query_id: str) -> None:
        query = self._queries.pop(query_id, None)
        if query is not None:
            for task in query.tasks.values():
                query.memory.release(id(task.buffered))
            query.memory.close()

    def _stream(self, source: TaskInput, capacity_bytes: int, wake: Wake) -> Stream:
        host = source.host or self.coordinator_host
        if (source.host, source.port) == self.address:
            output = self._output(source.task.query_id, str(source.task))
            assert output is not None
            return LocalStream(self._lock, output, source, wake)
        if host != source.host:
            source = replace(source, host=host)
        return RemoteStream(self._lock, self._loop, self._client, source, capacity_bytes, wake, self._spawn)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _wake(self, task: RunningTask) -> None:
        with self._lock:
            task.signalled = True
            if task.parked:
                task.parked = False
                self._timed.discard(task)
                self._ready.append(task)
                self._changed.notify()

    def _others_ready(self) -> bool:
        return bool(self._ready)

    # -- the compute thread

    def _run(self) -> None:
        _load_operators()
        while True:
            with self._changed:
                while not self._ready and not self._stopping:
                    if not self._changed.wait(TIMED_POLL_S if self._timed else None):
                        for task in list(self._timed):
                            self._wake(task)
                if not self._ready:
                    return
                task = self._ready.popleft()
            try:
                self._turn(task)
            except BaseException:  # without this thread the process would go on looking alive
                log.critical("the compute thread fails", exc_info=True)
                os.kill(os.getpid(), signal.SIGKILL)
            del task

    def _turn(self, task: RunningTask) -> None:
        task.life.on("start" if task.life.state == "queued" else "wake")
        task.signalled = task.timed = False
        task.turn_started = time.perf_counter()
        self._turns += 1
        started = time.thread_time()
        finished = False
        try:
            if task.error is None:
                next(task.driver)
        except StopIteration:
            finished = True
        except SqlError as error:
            task.error = error
        except BaseException as error:
            task.error = _known(error, task.spec.id)
        task.cpu_s += time.thread_time() - started
        if finished or task.error is not None:
            self._end(task)
            return
        with self._lock:
            if task.signalled or task.error is not None:
                self._ready.append(task)
            else:
                task.life.on("block")
                task.parked = True
                if task.timed:
                    self._timed.add(task)

    def _end(self, task: RunningTask) -> None:
        try:
            closing = task.shut()
        except Exception as error:
            log.exception("closing task %s failed", task.spec.id)
            closing = InternalError(f"internal error when closing task {task.spec.id}: {error}")
        with self._lock:
            task.error = task.error or closing
            if task.error is not None:
                task.error.__traceback__ = None
                task.life.on("cancel" if task.error is task.query.canceled else "fail")
                task.buffer.abort(task.error)
            else:
                task.life.on("finish")
                task.buffer.finish()
            assert task.output is not None
            task.output.wake_readers()
            task.ended = True
            report = task.report()
            query_id = task.spec.id.query_id
            if query_id in self._released and all(other.ended for other in task.query.tasks.values()):
                self._forget(query_id)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._report, report)

    def _published(self, task: RunningTask, filter_id: int, keys: KeySet, complete: bool) -> None:
        if complete:
            with self._lock:
                task.query.filters[filter_id] = keys
        if filter_id in task.spec.publishes:
            self._loop.call_soon_threadsafe(self._publish, task.spec.id, filter_id, keys.to_bytes())


def _known(error: BaseException, task: TaskId) -> SqlError:
    """What an exception of an operator means to the client."""
    if isinstance(error, MemoryError):
        return OutOfMemory("a worker cannot get the memory that the query needs", detail=str(error),
                           hint="Filter or aggregate earlier.")
    if isinstance(error, RecursionError):
        return StatementTooComplex("the statement is too deep to be run")
    log.error("task %s failed", task, exc_info=error)
    return InternalError(f"internal error in task {task}: {type(error).__name__}: {error}")


def _load_operators() -> None:
    """Imports what the first task would otherwise wait for."""
    try:
        import shoal.exec.operators  # noqa: F401
    except Exception:
        log.exception("the operators cannot be loaded")  # and so every task will say
