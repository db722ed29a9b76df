"""The asyncio shell of a worker: joins a coordinator, runs its tasks, serves their output (hop 6).

Messages, JSON (exchange/connection.py):

    worker -> coordinator   join {name host port cores memory pid version} | report {...} | filter {task id keys}
                            progress {tasks} | leaving
    coordinator -> worker   welcome {node} | start {tasks} | cancel {query error} | release {query} | filter {query id keys}
                            drain | left | refuse {reason}

`left` answers `leaving`: no more tasks come. A worker keeps nothing that outlives the coordinator's connection: when it is
lost all work is dropped, and the worker leaves (local ones) or tries to join again for a while.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import signal
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.catalog.errors import ConnectionFailure, InternalError, InvalidAuthorization, ProtocolViolation, SqlError
from shoal.exec.exchange.connection import Connection, Listener, connect
from shoal.exec.exchange.handshake import Purpose
from shoal.exec.exchange.transport import serve_exchange
from shoal.exec.memory import trim
from shoal.exec.plan import serde
from shoal.exec.plan.fragment import TaskId, TaskSpec
from shoal.exec.worker.connectors import WorkerConnectors
from shoal.exec.worker.liveness import LivenessThread
from shoal.exec.worker.runner import TaskRunner
from shoal.exec.worker.task import TaskReport

PROTOCOL_VERSION: Final = 1
PROGRESS_S: Final = 0.5
IDLE_TURNS: Final = 4
"""So many progress intervals without work, for want of it or of room for its rows, and freed memory goes back to the
system."""
DRAIN_S: Final = 3600.0
LAST_STARTS_S: Final = 10.0
"""How long to wait for the coordinator's word that no more tasks come."""

log = logging.getLogger("shoal.worker")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """`join`: the coordinator's cluster address. `rejoin_s`: how long to look for a coordinator that went away."""

    join: tuple[str, int]
    secret: bytes = field(repr=False)
    name: str = ""
    listen: tuple[str, int] = ("", 0)
    """Where other workers reach this one; no host: the address this machine reaches the coordinator from."""
    memory_bytes: int = 1 << 30
    spill_dir: str = ""
    rejoin_s: float = 0.0


class Worker:
    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._connectors = WorkerConnectors()
        self._connection: Connection | None = None
        self._runner: TaskRunner | None = None
        self._outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._draining = asyncio.Event()
        self._left = asyncio.Event()
        """The coordinator knows that this worker is leaving."""
        self._stopped = asyncio.Event()
        self._changed = asyncio.Event()
        """Some task or query has ended."""

    async def run(self) -> int:
        """Works until drained, stopped or left alone; gives the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._terminate)
        give_up = loop.time() + max(self._options.rejoin_s, 5.0)
        while not self._stopped.is_set():
            try:
                await self._session()
                return 0
            except InvalidAuthorization as error:
                log.error("%s", error)
                return 1
            except SqlError as error:
                joined = self._connection is not None
                self._connection = None
                if joined:
                    give_up = loop.time() + self._options.rejoin_s
                if self._draining.is_set() or loop.time() >= give_up:
                    log.error("%s", error)
                    return 1
                await asyncio.sleep(0.2)
        return 0

    def _terminate(self) -> None:
        if self._draining.is_set():
            self._stopped.set()
            self._left.set()
        self._draining.set()
        self._changed.set()

    async def _session(self) -> None:
        """One membership in the cluster. Returns when drained or stopped. Raises: ConnectionFailure (08006)."""
        options = self._options
        host, port = options.join
        connection = await connect(host, port, options.secret, "control")
        runner = TaskRunner(options.name, options.secret, self._connectors, self._report, self._publish,
                            memory_bytes=options.memory_bytes)
        listener = Listener(options.secret, self._serve)
        liveness: LivenessThread | None = None
        self._outbox = asyncio.Queue()
        self._left.clear()
        try:
            listen_host = options.listen[0] or connection.local[0]
            try:
                await listener.start(listen_host, options.listen[1])
            except OSError as error:
                raise InvalidAuthorization(f"cannot listen on {listen_host}:{options.listen[1]}: {error}") from None
            self._runner = runner
            runner.coordinator_host = host
            runner.address = (listen_host if listen_host not in ("0.0.0.0", "::") else connection.local[0], listener.port)
            await connection.send({
                "op": "join", "version": PROTOCOL_VERSION, "name": options.name, "host": runner.address[0],
                "port": runner.address[1], "cores": os.cpu_count() or 1, "memory": options.memory_bytes, "pid": os.getpid()})
            async with asyncio.timeout(10.0):
                welcome = await connection.receive()
            if welcome.get("op") != "welcome":
                raise InvalidAuthorization(f"the coordinator refused this worker: {welcome.get('reason', '')}")
            self._connection = connection
            loop = asyncio.get_running_loop()
            # A cut that nobody tells of looks like silence: without the coordinator's questions the session is over.
            liveness = LivenessThread(host, port, options.secret, str(welcome["node"]),
                                      lambda: loop.is_closed() or loop.call_soon_threadsafe(connection.abort))
            await self._work(connection)
        except TimeoutError:
            raise ConnectionFailure("the coordinator did not answer") from None
        finally:
            connection.abort()
            if liveness is not None:
                liveness.stop()
            await listener.stop()
            await runner.stop()
            self._runner = None

    async def _work(self, connection: Connection) -> None:
        """Handles messages until this worker may leave."""
        parts = [asyncio.ensure_future(part) for part in (
            self._receive(connection), self._send(connection), self._progress(), self._leave(connection))]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            results = await asyncio.gather(*parts, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _serve(self, connection: Connection, purpose: Purpose) -> None:
        if purpose == "exchange" and self._runner is not None:
            await serve_exchange(connection, self._runner)

    async def _receive(self, connection: Connection) -> None:
        assert self._runner is not None
        while True:
            message = await connection.receive()
            try:
                self._handle(self._runner, message)
            except (KeyError, TypeError, ValueError) as error:
                raise ProtocolViolation(f"a malformed message from the coordinator: {error}") from None

    def _handle(self, runner: TaskRunner, message: dict[str, Any]) -> None:
        match message["op"]:
            case "start":
                for fields in message["tasks"]:
                    spec = serde.from_json(fields)
                    if not isinstance(spec, TaskSpec):
                        raise ProtocolViolation("a task was expected")
                    runner.start_task(spec)
            case "cancel":
                runner.cancel(str(message["query"]), SqlError.from_fields(message["error"]))
            case "release":
                runner.release(str(message["query"]))
                self._changed.set()
            case "filter":
                keys = None if message["keys"] is None else base64.b64decode(message["keys"])
                runner.set_filter(str(message["query"]), int(message["id"]), keys)
            case "drain":
                self._draining.set()
            case "left":
                self._left.set()
            case other:
                raise ProtocolViolation(f"the coordinator sent an unknown message {other!r}")

    async def _send(self, connection: Connection) -> None:
        while True:
            await connection.send(await self._outbox.get())

    async def _progress(self) -> None:
        assert self._runner is not None
        still, turns = IDLE_TURNS, 0
        while True:
            await asyncio.sleep(PROGRESS_S)
            reports = self._runner.reports()
            still = still + 1 if self._runner.turns == turns else 0
            turns = self._runner.turns
            if still == IDLE_TURNS:
                await asyncio.to_thread(trim)
            if reports:
                self._outbox.put_nowait({"op": "progress", "tasks": [r.to_fields() for r in reports]})

    async def _leave(self, connection: Connection) -> None:
        """Returns when all is done after a drain was asked for, or at once after a second request."""
        await self._draining.wait()
        log.info("draining")
        self._outbox.put_nowait({"op": "leaving"})
        assert self._runner is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                try:
                    async with asyncio.timeout(LAST_STARTS_S):
                        await self._left.wait()
                except TimeoutError:
                    log.warning("the coordinator has not answered that this worker may leave")
                while not self._runner.idle and not self._stopped.is_set():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            log.error("work did not end within %.0f s of draining", DRAIN_S)

    def _report(self, report: TaskReport) -> None:
        self._outbox.put_nowait({"op": "report", **report.to_fields()})
        self._changed.set()

    def _publish(self, task: TaskId, filter_id: int, keys: bytes) -> None:
        self._outbox.put_nowait({"op": "filter", "task": [task.query_id, task.fragment_id, task.partition, task.attempt],
                                 "id": filter_id, "keys": base64.b64encode(keys).decode()})


def run_worker(options: WorkerOptions) -> int:
    """Runs a worker in this process until it leaves the cluster; gives the exit code."""
    try:
        return asyncio.run(Worker(options).run())
    except KeyboardInterrupt:
        return 130
    except InternalError as error:
        log.error("%s", error)
        return 1
