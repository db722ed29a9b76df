"""The asyncio shell of the scheduler: the cluster port, the workers' connections, running queries (hops 5 to 7).

Everything here happens in the event loop's thread. Messages are those of worker/worker.py; the decisions are the
scheduler's. One port serves workers' control and liveness connections and the exchange of the coordinator's own tasks.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.catalog.connector import Connector
from shoal.catalog.errors import ConnectionFailure, ProtocolViolation, SqlError
from shoal.exec.coordinator.scheduler import (
    COORDINATOR,
    CancelTasks,
    Event,
    FilterPublished,
    Instruction,
    Node,
    OpenResult,
    QueryFailed,
    QueryFinished,
    QueryReleased,
    QueryStopped,
    QuerySubmitted,
    ReleaseTasks,
    Scheduler,
    SendFilter,
    StartTasks,
    TaskEnded,
    WorkerJoined,
    WorkerLeaving,
    WorkerLost,
)
from shoal.exec.evaluator import Names
from shoal.exec.exchange.buffer import Page
from shoal.exec.exchange.connection import Connection, Listener
from shoal.exec.exchange.handshake import Purpose
from shoal.exec.exchange.transport import serve_exchange
from shoal.exec.kernels.membership import KeySet
from shoal.exec.plan import serde
from shoal.exec.plan.fragment import TaskId, TaskSettings, TaskSpec
from shoal.exec.worker.liveness import PING
from shoal.exec.worker.runner import TaskRunner
from shoal.exec.worker.streams import Stream, canceled
from shoal.exec.worker.task import FINAL, TaskReport
from shoal.exec.worker.worker import PROTOCOL_VERSION

HEARTBEAT_S: Final = 1.0
SILENCE_S: Final = 8.0
JOIN_TIMEOUT_S: Final = 10.0
RESULT_BUFFER_BYTES: Final = 512 << 10
"""What waits here of each task's rows; the tasks hold more."""
LAST_REPORTS_S: Final = 5.0
LATE_QUERIES: Final = 32

log = logging.getLogger("shoal.coordinator")


@dataclass(slots=True)
class Member:
    """A worker that has joined."""

    node: Node
    connection: Connection
    cores: int
    memory_bytes: int
    pid: int
    joined_s: float
    seen_s: float
    """Unix time."""
    leaving: bool = False
    watched: bool = False
    """Its liveness connection has come."""
    outbox: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)


class QueryRun:
    """One query while it runs: its result streams and how its tasks stand."""

    def __init__(self, query_id: str) -> None:
        self.query_id = query_id
        self.error: SqlError | None = None
        self.streams: list[Stream] = []
        self.reports: dict[TaskId, TaskReport] = {}
        self.nodes: dict[TaskId, str] = {}
        self.splits: dict[TaskId, int] = {}
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()
        """All tasks have ended, or the query has failed."""

    async def next_page(self) -> Page | None:
        """The next rows, from whichever task has some; None after the last. Raises: the query's error."""
        while True:
            self.changed.clear()
            for _ in range(len(self.streams)):
                if self.error is not None:
                    raise self.error
                stream = self.streams[0]
                page = stream.take()
                if page is not None:
                    self.streams.append(self.streams.pop(0))
                    return page
                self.streams.pop(0)
                if not stream.exhausted:
                    self.streams.append(stream)
            if self.error is not None:
                raise self.error
            if not self.streams:
                return None
            await self.changed.wait()

    def close(self) -> None:
        """Lets go of the streams; a reader that still waits gets 57014."""
        for stream in self.streams:
            stream.close()
        self.streams.clear()
        if self.error is None and not self.ended.is_set():
            self.error = canceled()
        self.changed.set()
        self.ended.set()


class Coordinator:
    """`connector` gives the coordinator's own connectors by catalog name. `lost` hears of workers that have gone."""

    def __init__(self, secret: bytes, connector: Callable[[str], Connector],
                 names: Callable[[TaskSettings], Names | None] = lambda settings: None,
                 lost: Callable[[Member], None] = lambda member: None, memory_bytes: int = 1 << 62) -> None:
        self._secret, self._connector, self._names, self._lost = secret, connector, names, lost
        self._memory_bytes = memory_bytes
        self._listener = Listener(secret, self._serve)
        self._members: dict[str, Member] = {}
        self._runs: dict[str, QueryRun] = {}
        self._released: OrderedDict[str, QueryRun] = OrderedDict()
        """Queries whose tasks may still report their end."""
        self._joined = asyncio.Event()

    async def start(self, host: str, port: int) -> None:
        """Opens the cluster port. Raises: OSError when it is taken."""
        await self._listener.start(host, port)
        self.host, self.port = self._listener.host, self._listener.port
        self._scheduler = Scheduler(self.host, self.port)
        self._runner = TaskRunner(COORDINATOR, self._secret, lambda spec, name: self._connector(name),
                                  lambda report: self._reported(COORDINATOR, report), self._published,
                                  self._names, self._memory_bytes)
        self._runner.address = ("", self.port)

    async def stop(self) -> None:
        for query_id in list(self._runs):
            self.release(query_id)
        await self._listener.stop()
        await self._runner.stop()

    @property
    def workers(self) -> int:
        """Workers that take new tasks."""
        return len(self._scheduler.workers)

    @property
    def members(self) -> list[Member]:
        return list(self._members.values())

    async def wait_for_workers(self, count: int, timeout_s: float) -> bool:
        """Until `count` workers have joined; False when they have not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.workers < count:
                    self._joined.clear()
                    await self._joined.wait()
        except TimeoutError:
            return False
        return True

    # -- queries

    def submit(self, query: QuerySubmitted) -> QueryRun:
        """Starts a query; an error comes with its pages."""
        run = self._runs[query.query_id] = QueryRun(query.query_id)
        self._on(query)
        return run

    def cancel(self, query_id: str, error: SqlError) -> None:
        self._on(QueryStopped(query_id, error))

    def release(self, query_id: str) -> None:
        """The query's rows have been read, or nobody wants them any more. Idempotent."""
        run = self._runs.pop(query_id, None)
        if run is not None:
            run.close()
            for report in run.reports.values():
                report.nodes = []
            self._released[query_id] = run
            while len(self._released) > LATE_QUERIES:
                self._released.popitem(last=False)
            self._on(QueryReleased(query_id))

    async def last_reports(self, run: QueryRun) -> None:
        """Waits a moment for the final reports of all tasks, once the result has been read."""
        try:
            async with asyncio.timeout(LAST_REPORTS_S):
                await run.ended.wait()
        except TimeoutError:
            log.warning("tasks of query %s have not reported their end", run.query_id)

    def _on(self, event: Event) -> None:
        for instruction in self._scheduler.handle(event):
            self._carry_out(instruction)

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case StartTasks(node, specs):
                self._start(node, specs)
            case OpenResult(query_id, sources):
                run = self._runs[query_id]
                run.streams = [self._runner.open_stream(source, RESULT_BUFFER_BYTES, self._waker(run)) for source in sources]
            case CancelTasks(node, query_id, error):
                if node == COORDINATOR:
                    self._runner.cancel(query_id, error)
                else:
                    self._send(node, {"op": "cancel", "query": query_id, "error": error.to_fields()})
            case ReleaseTasks(node, query_id):
                if node == COORDINATOR:
                    self._runner.release(query_id)
                else:
                    self._send(node, {"op": "release", "query": query_id})
            case SendFilter(nodes, query_id, filter_id, keys):
                self._send_filter(nodes, query_id, filter_id, keys)
            case QueryFailed(query_id, error):
                failed = self._runs.get(query_id)
                if failed is not None:
                    failed.error = error
                    failed.changed.set()
                    failed.ended.set()
            case QueryFinished(query_id):
                finished = self._runs.get(query_id)
                if finished is not None:
                    finished.ended.set()

    def _start(self, node: str, specs: tuple[TaskSpec, ...]) -> None:
        run = self._runs[specs[0].id.query_id]
        for spec in specs:
            run.nodes[spec.id] = node
            run.splits[spec.id] = sum(len(splits) for splits in spec.splits.values())
            run.reports[spec.id] = TaskReport(spec.id, "queued", worker=node)
        if node == COORDINATOR:
            for spec in specs:
                self._runner.start_task(spec)
        else:
            self._send(node, {"op": "start", "tasks": [serde.to_json(spec) for spec in specs]})

    def _waker(self, run: QueryRun) -> Callable[[], None]:
        loop, ours = asyncio.get_running_loop(), threading.get_ident()

        def wake() -> None:
            if threading.get_ident() == ours:
                run.changed.set()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(run.changed.set)

        return wake

    def _send_filter(self, nodes: tuple[str, ...], query_id: str, filter_id: int, keys: tuple[bytes, ...]) -> None:
        payload: bytes | None = None
        if keys:
            union = KeySet.from_bytes(keys[0])
            for more in keys[1:]:
                union = union.union(KeySet.from_bytes(more))
            payload = union.to_bytes() if len(keys) > 1 else keys[0]
        for node in nodes:
            if node == COORDINATOR:
                self._runner.set_filter(query_id, filter_id, payload)
            else:
                text = None if payload is None else base64.b64encode(payload).decode()
                self._send(node, {"op": "filter", "query": query_id, "id": filter_id, "keys": text})

    def _send(self, node: str, message: dict[str, Any]) -> None:
        member = self._members.get(node)
        if member is not None:
            member.outbox.put_nowait(message)

    def _reported(self, worker: str, report: TaskReport) -> None:
        report.worker = worker
        run = self._runs.get(report.task.query_id)
        if run is not None:
            run.reports[report.task] = report
        elif (late := self._released.get(report.task.query_id)) is not None:
            report.nodes = []
            late.reports[report.task] = report
        if report.state in ("failed", "canceled") and report.error is not None and report.error.kind == "internal":
            log.error("task %s on %s: %s", report.task, worker, report.error)
        if report.state in FINAL:
            self._on(TaskEnded(report.task, report.error))

    def _published(self, task: TaskId, filter_id: int, keys: bytes) -> None:
        self._on(FilterPublished(task, filter_id, keys))

    # -- workers

    async def _serve(self, connection: Connection, purpose: Purpose) -> None:
        match purpose:
            case "exchange":
                await serve_exchange(connection, self._runner)
            case "control":
                await self._control(connection)
            case "liveness":
                await self._watch(connection)

    async def _control(self, connection: Connection) -> None:
        """One worker's membership, from its join until its connection ends."""
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                member = await self._admit(connection, await connection.receive(1 << 16))
        except TimeoutError:
            return
        if member is None:
            return
        name, reason = member.node.name, "it left"
        asyncio.get_running_loop().call_later(JOIN_TIMEOUT_S, lambda: None if member.watched else connection.abort())
        sender = asyncio.ensure_future(self._forward(member))
        try:
            while True:
                await self._receive(member, await connection.receive())
        except (KeyError, TypeError, ValueError) as error:
            reason = f"a malformed message: {error}"
            raise ProtocolViolation(f'worker "{name}" sent {reason}') from None
        except SqlError as error:
            reason = str(error)
            raise
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            if self._members.get(name) is member:
                del self._members[name]
            if not member.leaving:
                self._lost(member)
            log.info('worker "%s" has gone: %s', name, reason)
            self._on(WorkerLost(name, reason))
            for run in (*self._runs.values(), *self._released.values()):
                for report in run.reports.values():
                    if report.worker == name and report.state not in FINAL:
                        report.state = "failed"

    async def _admit(self, connection: Connection, message: dict[str, Any]) -> Member | None:
        try:
            if message["op"] != "join" or message["version"] != PROTOCOL_VERSION:
                await connection.send({"op": "refuse", "reason": f"this coordinator speaks version {PROTOCOL_VERSION}"})
                return None
            base = str(message["name"])[:100] or f"{message['host']}-{int(message['pid'])}"
            name, number = base, 1
            while name in self._members or name == COORDINATOR:
                number += 1
                name = f"{base}-{number}"
            node = Node(name, str(message["host"]), int(message["port"]))
            now = time.time()
            member = Member(node, connection, int(message["cores"]), int(message["memory"]), int(message["pid"]), now, now)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"a malformed join: {error}") from None
        self._members[name] = member
        try:
            await connection.send({"op": "welcome", "node": name})
        except BaseException:
            del self._members[name]
            raise
        self._on(WorkerJoined(node))
        self._joined.set()
        return member

    async def _forward(self, member: Member) -> None:
        try:
            while True:
                await member.connection.send(await member.outbox.get())
        except ConnectionFailure:
            member.connection.abort()

    async def _receive(self, member: Member, message: dict[str, Any]) -> None:
        match message["op"]:
            case "report":
                self._reported(member.node.name, TaskReport.from_fields(message))
            case "progress":
                for fields in message["tasks"]:
                    report = TaskReport.from_fields(fields)
                    run = self._runs.get(report.task.query_id)
                    if run is not None and run.reports[report.task].state not in FINAL:
                        report.worker = member.node.name
                        run.reports[report.task] = report
            case "filter":
                query_id, fragment_id, partition, attempt = message["task"]
                self._published(TaskId(str(query_id), int(fragment_id), int(partition), int(attempt)), int(message["id"]),
                                base64.b64decode(message["keys"]))
            case "leaving":
                member.leaving = True
                self._on(WorkerLeaving(member.node.name))
                member.outbox.put_nowait({"op": "left"})  # after all tasks it was sent
            case other:
                raise ProtocolViolation(f'worker "{member.node.name}" sent an unknown message {other!r}')

    async def _watch(self, connection: Connection) -> None:
        """Asks a worker every second whether it lives; cuts it off after a long silence."""
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            size = (await connection.read_exactly(1))[0]
            name = bytes(await connection.read_exactly(size)).decode(errors="replace")
        member = self._members.get(name)
        if member is None or member.watched:
            return
        member.watched = True
        try:
            while not member.connection.lost:
                async with asyncio.timeout(SILENCE_S):
                    connection.write(PING)
                    await connection.read_exactly(1)
                member.seen_s = time.time()
                await asyncio.sleep(HEARTBEAT_S)
        except TimeoutError:
            log.warning('worker "%s" has not answered for %.0f s', name, SILENCE_S)
        finally:
            member.connection.abort()  # nobody would notice its silence any more
