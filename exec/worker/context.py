"""RunningTask: one task with its services to operators (`TaskContext`) and its driver (hop 6).

The driver is a generator that the compute thread resumes: each turn pulls batches from the root operator and puts
them into the output buffer, and ends when the turn is over, when the operators have nothing to do (BLOCKED), or when
the buffer is full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from shoal.catalog.connector import Connector, Split, SupportsInterrupt, SupportsPieces
from shoal.catalog.errors import SqlError
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.encoding.encoder import encoder_of
from shoal.exec.evaluator import Names
from shoal.exec.exchange.buffer import OutputBuffer
from shoal.exec.exchange.partition import Partitioner
from shoal.exec.kernels.membership import KeySet
from shoal.exec.memory import QueryMemory, trim
from shoal.exec.operators.base import Operator, OperatorMetrics
from shoal.exec.plan.fragment import TaskSettings, TaskSpec
from shoal.exec.plan.nodes import Filter, Join, PlanNode, Project, Scan, walk_plan
from shoal.exec.plan.rewrite import holds_volatile
from shoal.exec.worker.read_ahead import ReadAhead
from shoal.exec.worker.result_pages import ResultPages
from shoal.exec.worker.streams import Stream, TaskOutput
from shoal.exec.worker.task import TaskLife, TaskReport

TURN_S: Final = 0.01
RESULT_BYTES, MOST_RESULT_BYTES, PROMPT_S = 512 << 10, 4 << 20, 0.1
"""What a task holds ready for a client; twice as much each time the client has made room soon, up to a limit."""
WAIT_PER_WORK: Final = 10
"""A task that has waited this many times as long as it has worked lets go of the rows it has read, to read them again."""


class QueryState:
    """What the tasks of one query share in this process. Guarded by the runner's lock, but for `memory`."""

    def __init__(self, memory: QueryMemory) -> None:
        self.memory = memory
        self.filters: dict[int, KeySet | None] = {}
        """Complete dynamic filters; None: will never come."""
        self.tasks: dict[str, RunningTask] = {}
        self.canceled: SqlError | None = None


class RunningTask:
    """A TaskContext. Apart from `wake` and `cancel`, only the compute thread calls it once it runs."""

    def __init__(self, spec: TaskSpec, query: QueryState, connector: Callable[[TaskSpec, str], Connector],
                 wake: Callable[[RunningTask], None], publish: Callable[[RunningTask, int, KeySet, bool], None],
                 others_ready: Callable[[], bool], names: Callable[[TaskSettings], Names | None]) -> None:
        self.spec, self.query = spec, query
        self.settings = spec.settings
        self.fragment, self.partition, self.partitions = spec.id.fragment_id, spec.id.partition, spec.partitions
        self._names = names
        self.life = TaskLife()
        self.streams: list[Stream] = []
        self.output: TaskOutput | None = None
        self.lock: threading.RLock | None = None
        room = spec.settings.exchange_bytes if spec.encoding is None else RESULT_BYTES
        self._all_read_all = spec.fragment.output_kind in ("broadcast", "shared")
        self._shared = spec.fragment.output_kind == "shared"
        # One reader of shared rows may wait for what another makes of them, so these cannot be held back
        self.buffer = OutputBuffer(spec.output_partitions, 1 << 62 if self._shared else room, shared=self._all_read_all)
        self.buffered = OperatorMetrics("shared rows")
        """What the output of a shared fragment holds; readers may need it after the task has ended."""
        self.signalled = self.timed = self.parked = self.ended = False
        self.error: SqlError | None = None
        """Set to stop the task: its next turn ends it."""
        self.cpu_s = 0.0
        self.turn_started = self.started = time.perf_counter()
        self._connector, self._wake, self._publish, self._others_ready = connector, wake, publish, others_ready
        self._metrics: dict[int, OperatorMetrics] = {}
        self._read_aheads: list[ReadAhead] = []
        self._used: dict[str, Connector] = {}
        self._root: Operator | None = None
        self._builds = {filter_id: join.distribution == "broadcast" or spec.partitions == 1
                        for join in walk_plan(spec.fragment.root) if isinstance(join, Join)
                        for filter_id, _ in join.dynamic_filters}
        self.driver = self._drive()

    # -- TaskContext

    @property
    def names(self) -> Names | None:
        return self._names(self.settings)

    def connector(self, catalog: str) -> Connector:
        found = self._used[catalog] = self._connector(self.spec, catalog)
        return found

    def splits(self, scan_id: int) -> Sequence[Split]:
        return self.spec.splits.get(str(scan_id), ())

    def exchange(self, fragment_id: int, reader: int = 0) -> Sequence[Iterator[Batch | object]]:
        return [self._pages(stream) for stream in self.streams
                if stream.fragment_id == fragment_id and stream.reader == reader]

    def read_ahead(self, batches: Iterator[Batch]) -> Output:
        reader = ReadAhead(batches, self.wake, str(self.spec.id), self._interrupt)
        self._read_aheads.append(reader)
        return reader.batches()

    def publish_filter(self, filter_id: int, keys: KeySet) -> None:
        self._publish(self, filter_id, keys, self._builds.get(filter_id, False))

    def filter(self, filter_id: int) -> KeySet | None:
        return self.query.filters.get(filter_id)

    def expects_filter(self, filter_id: int) -> bool:
        if filter_id in self.query.filters or self._builds.get(filter_id, False):
            return False  # known; or built by this very task, which builds before it scans
        self.timed = True
        return True

    def reserve(self, metrics: OperatorMetrics, bytes_held: int) -> None:
        self.query.memory.reserve(id(metrics), bytes_held)
        metrics.peak_bytes = max(metrics.peak_bytes, bytes_held)

    def turn_over(self) -> bool:
        if self.error is not None:
            raise self.error
        if time.perf_counter() - self.turn_started > TURN_S and self._others_ready():
            self.signalled = True
            return True
        return False

    def metrics(self, node: PlanNode) -> OperatorMetrics:
        found = self._metrics.get(id(node))
        if found is None:
            found = self._metrics[id(node)] = OperatorMetrics(type(node).__name__)
        return found

    # -- the task itself

    def wake(self) -> None:
        """Something the task may be waiting for has changed. Any thread."""
        self._wake(self)

    def _interrupt(self, thread_id: int) -> None:
        for connector in list(self._used.values()):
            if isinstance(connector, SupportsInterrupt):
                connector.interrupt(thread_id)

    def _pages(self, stream: Stream) -> Iterator[Batch | object]:
        try:
            while True:
                page = stream.take()
                if page is not None:
                    yield Batch.of(page.arrays, page.rows)
                    if self.turn_over():
                        yield BLOCKED
                elif stream.exhausted:
                    return
                else:
                    if self.error is not None:
                        raise self.error
                    yield BLOCKED
        finally:
            stream.close()

    def _drive(self) -> Iterator[None]:
        while (yield from self._pass(self.buffer.rows_added)):
            trim()
            self.buffer.capacity_bytes = RESULT_BYTES
            while self.buffer.full and not self.buffer.abandoned:
                yield
            if self.buffer.abandoned:
                return

    def _pass(self, done: int) -> Generator[None, None, bool]:
        """Puts the rows after the first `done` ones into the output. True: has let go of what it held instead of waiting
        for room, and is to be done again."""
        from shoal.exec.operators import build

        self._root = build(self.spec.fragment.root, self)
        if self.spec.encoding is None:
            pages: Partitioner | ResultPages = Partitioner(self.spec.fragment, self.spec.output_partitions,
                                                           self.settings.batch_rows // 2)
        else:
            pages = ResultPages(encoder_of(self.spec.encoding, self.settings, self.names))
        for batch in self._root.batches():
            if isinstance(batch, Batch):
                skipped = min(done, batch.rows)
                done -= skipped
                for partition, page in pages.add(batch.slice(skipped, batch.rows - skipped) if skipped else batch):
                    self._emit(partition, page)
                    if (yield from self._stalled()):
                        self._close_operators()
                        return True
                    if self.buffer.abandoned:
                        return False
                    if self.turn_over():
                        yield
                if not self.turn_over():
                    continue
            elif isinstance(pages, ResultPages):  # a client waits for what there is
                for partition, page in pages.flush():
                    self._emit(partition, page)
            yield
        for partition, page in pages.flush():
            self._emit(partition, page)
        return False

    def _stalled(self) -> Generator[None, None, bool]:
        """Waits while the output is full. True: for so long that reading again costs little next to it."""
        if not self.buffer.full:
            return False
        since = time.perf_counter()
        while self.buffer.full and not self.buffer.abandoned:
            if self._repeatable:
                if time.perf_counter() - since > max(PROMPT_S, WAIT_PER_WORK * self.cpu_s):
                    return True
                self.timed = True
            yield
        if self.spec.encoding is not None and time.perf_counter() - since < PROMPT_S:
            self.buffer.capacity_bytes = min(2 * self.buffer.capacity_bytes, MOST_RESULT_BYTES)
        return False

    @cached_property
    def _repeatable(self) -> bool:
        """Whether the task is a plain stream to the client that gives the same rows in the same order each time."""
        root = self.spec.fragment.root
        return self.spec.encoding is not None and not holds_volatile(root) and all(
            isinstance(node, (Project, Filter)) or (isinstance(node, Scan) and not node.dynamic_filters
                                                    and isinstance(self.connector(node.handle.catalog), SupportsPieces))
            for node in walk_plan(root))

    def _emit(self, partition: int, page: Any) -> None:
        assert self.lock is not None and self.output is not None
        with self.lock:
            if self.buffer.state == "open":
                self.buffer.add(partition, page)
                self.output.wake_readers(None if self._all_read_all else partition)
        if self._shared:
            self.reserve(self.buffered, self.buffer.retained_bytes)

    def shut(self) -> SqlError | None:
        """Closes the driver, operators, threads and inputs; gives the first error of closing. Compute thread only."""
        error: SqlError | None = None
        closers: list[Callable[[], Any]] = [self.driver.close, self._close_operators]  # type: ignore[attr-defined]
        closers += [reader.stop for reader in self._read_aheads] + [stream.close for stream in self.streams]
        for close in closers:
            try:
                close()
            except SqlError as raised:
                error = error or raised
        for metrics in self._metrics.values():
            self.query.memory.release(id(metrics))
        self._read_aheads.clear()
        return error

    def _close_operators(self) -> None:
        root, self._root = self._root, None
        error: SqlError | None = None
        for operator in () if root is None else _operators(root):
            try:
                operator.close()
            except SqlError as raised:
                error = error or raised
        if error is not None:
            raise error

    def report(self) -> TaskReport:
        """How the task stands now."""
        nodes = [self._metrics.get(id(node), OperatorMetrics(type(node).__name__))
                 for node in walk_plan(self.spec.fragment.root)]
        return TaskReport(self.spec.id, self.life.state, self.error, self.buffer.rows_added, self.buffer.bytes_added,
                          sum(s.rows for s in self.streams), sum(s.bytes for s in self.streams), self.cpu_s,
                          time.perf_counter() - self.started, self.query.memory.peak_bytes, nodes)


def _operators(root: Operator) -> Iterator[Operator]:
    yield root
    for child in root.inputs:
        yield from _operators(child)
