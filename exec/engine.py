"""Engine: the only API the server calls: prepare, execute, cancel (hops 2 to 7 of a query's way).

    prepare   parse -> bind                                   in a thread: connectors are asked for names and columns
    execute   parameters -> optimize -> fragments -> splits   in a thread
              -> scheduler -> tasks -> batches of rows        the event loop moves them, workers make them
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import pyarrow as pa

from shoal.catalog.access import Namespace
from shoal.catalog.connector import SupportsWrite, TableHandle
from shoal.catalog.connectors.memory import MemoryConnector
from shoal.catalog.connectors.system import SystemConnector
from shoal.catalog.errors import AdminShutdown, ConfigurationError, FeatureNotSupported, InternalError, SqlError
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.registry import SYSTEM
from shoal.catalog.sequences import sequence_functions
from shoal.catalog.session_catalogs import catalogs_of, locks_of_table, session_namespace, touched
from shoal.catalog.types import INT8, SqlType
from shoal.exec.commands import Commands
from shoal.exec.coordinator.coordinator import Coordinator, Member, QueryRun
from shoal.exec.coordinator.scheduler import QuerySubmitted
from shoal.exec.execution import Execution, QueryExecution, ResultField, RowsExecution
from shoal.exec.explaining import analyzed, explained
from shoal.exec.history import History, QueryRecord
from shoal.exec.immediate import immediate
from shoal.exec.launcher import LocalLauncher
from shoal.exec.memory import keep_freed_memory, parse_bytes, trim
from shoal.exec.optimizer.columns import largest_id
from shoal.exec.plan.nodes import Field, PlanNode, TableWrite
from shoal.exec.plan_cache import PlanCache
from shoal.exec.planning import Fragments, PlannedQuery, plan_query
from shoal.exec.planning_threads import PlanningThreads
from shoal.exec.prepared import Prepared
from shoal.exec.row_checks import text_with
from shoal.exec.session_names import session_names
from shoal.exec.sql.bound import Command, CreateSchema, CreateTable, DropSchema, Refresh
from shoal.exec.statement_cache import StatementCache
from shoal.exec.transactions import Transactions

if TYPE_CHECKING:
    from shoal.catalog.registry import Catalogs
    from shoal.exec.loading import Loading
    from shoal.exec.plan.fragment import TaskSettings
    from shoal.exec.plan.result import ResultEncoding
    from shoal.exec.session_context import SessionContext
    from shoal.exec.sql.bound import Bound, Explain

__all__ = ["Engine", "EngineOptions", "Execution", "Prepared", "ResultField"]

WORKERS_START_S: Final = 30.0
WORKERS_WAIT_S: Final = 10.0
DRAIN_S: Final = 30.0
TRIM_AFTER_S: Final = 2.0
SWITCH_INTERVAL_S: Final = 0.001
"""Planning and compute threads let the event loop in this often."""
KEPT_BYTES: Final = 64 << 20
"""Freed memory that stays for the next rows while statements run."""

_LEAST_EXCHANGE_BYTES: Final = 1 << 20
_EXCHANGE_SHARE: Final = 32
"""What may wait at an exchange is a small part of a worker's memory."""

SETTINGS: Final = ("shoal.batch_rows", "shoal.query_memory", "shoal.exchange_bytes")
"""Sizes a session can set for its statements."""

T = TypeVar("T")
log = logging.getLogger("shoal.engine")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine runs. `workers`: local worker processes (0: remote ones are waited for).

    `exchange_bytes`: what may wait in a task's output, and at each of its inputs.
    `memory_bytes`: what all queries may hold in all local workers together, in equal shares; a remote worker says itself.
    `secret` is shared with the workers; without one a random one is made, which only local workers know.
    """

    workers: int = 2
    host: str = "127.0.0.1"
    cluster_port: int = 0
    secret: bytes = field(default=b"", repr=False)
    memory_bytes: int = 2 << 30
    batch_rows: int = 65_536
    exchange_bytes: int = 32 << 20
    spill_dir: str = ""


def _view_text(*arguments: Any) -> str:
    from shoal.exec.sql.views import view_text
    return view_text(*arguments)


class Engine:
    """One coordinator with its local workers over `catalogs`; lives in one event loop."""

    def __init__(self, catalogs: Catalogs, options: EngineOptions | None = None) -> None:
        self.catalogs, self.options = catalogs, options or EngineOptions()
        self.history = History()
        self._secret = self.options.secret or secrets.token_bytes(32)
        self._threads = PlanningThreads()
        self._statements = StatementCache(catalogs)
        self.transactions = Transactions(catalogs, self._in_thread)
        self._launcher: LocalLauncher | None = None
        self._executions: dict[str, Execution] = {}
        self._number = 0
        self._prefix = f"{int(time.time()):x}{os.urandom(2).hex()}"
        self._stopping = False
        self._trimming: asyncio.TimerHandle | None = None
        self._drained = asyncio.Event()

    # -- life

    async def start(self) -> None:
        """Listens for workers, starts the local ones and waits until they have joined.

        Raises: ConfigurationError (F0000) when the cluster port is taken; InternalError when workers do not come.
        """
        options = self.options
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        keep_freed_memory(KEPT_BYTES)
        self._coordinator = Coordinator(self._secret, self.catalogs.connector,
                                        lambda settings: session_names(self.catalogs, settings), self._lost,
                                        self._share_bytes)
        try:
            await self._coordinator.start(options.host, options.cluster_port)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {options.host}:{options.cluster_port}: {error.strerror}") from None
        self.history.coordinator = self._coordinator
        self._limit_memory_tables()
        if "system" not in self.catalogs:
            self.catalogs.add(SystemConnector(source=self.history))
        if SYSTEM not in self.catalogs:
            self.catalogs.add(PgCatalog(self.catalogs))
        system = self.catalogs.connector(SYSTEM)
        assert isinstance(system, PgCatalog)
        system.functions.update(sequence_functions(self.catalogs))
        system.view_text = _view_text
        if options.workers:
            self._launcher = LocalLauncher(options.workers, self._share_bytes, options.spill_dir)
            host = "127.0.0.1" if options.host in ("0.0.0.0", "") else "::1" if options.host == "::" else options.host
            await self._launcher.start((host, self._coordinator.port), self._secret)
            if not await self._coordinator.wait_for_workers(options.workers, WORKERS_START_S):
                await self.stop(drain=False)
                raise InternalError(f"local workers did not start within {WORKERS_START_S:.0f} s")

    def _limit_memory_tables(self) -> None:
        """Tables in memory are held by this process for good, so they may hold what queries may at most."""
        for name in self.catalogs.names():
            connector = self.catalogs.connector(name)
            if isinstance(connector, MemoryConnector):
                connector.limit(self.options.memory_bytes)

    async def stop(self, drain: bool = True) -> None:
        """Ends everything; `drain`: what runs may finish first, for a while."""
        self._stopping = True
        if self._trimming is not None:
            self._trimming.cancel()
        if drain and self._executions:
            self._drained.clear()
            try:
                async with asyncio.timeout(DRAIN_S):
                    await self._drained.wait()
            except TimeoutError:
                log.warning("%d statements did not end within %.0f s", len(self._executions), DRAIN_S)
        for execution in list(self._executions.values()):
            await execution.close()
        if self._launcher is not None:
            await self._launcher.stop()
        await self._coordinator.stop()
        self._threads.stop()

    def _lost(self, member: Member) -> None:
        if self._launcher is not None and not self._stopping:
            self._launcher.lost(member.node.name, member.pid)

    @property
    def cluster_address(self) -> tuple[str, int]:
        """Where workers join."""
        return self._coordinator.host, self._coordinator.port

    @property
    def workers(self) -> int:
        """Workers that take tasks now."""
        return self._coordinator.workers

    @property
    def local_pids(self) -> dict[str, int]:
        """Process ids of the local workers by name."""
        return self._launcher.pids if self._launcher is not None else {}

    # -- statements

    async def prepare(self, sql: str, session: SessionContext, parameter_types: Sequence[SqlType | None] = ()) -> Prepared:
        """Parses and binds one statement. Raises: any of the binder's errors, with a position where SQL is to blame."""
        types = tuple(parameter_types)
        key = None if self.touched(session.token) else session.key
        return await self._in_thread(self._statements.prepare, sql, key, types,
                                     lambda: self._prepare(sql, session, types))

    def touched(self, token: str) -> tuple[int, ...]:
        """Empty while the session sees what everybody sees; else something that changes with what names mean to it."""
        return touched(self.catalogs, token) if token else ()

    def recall(self, sql: str, session_key: Hashable, parameter_types: tuple[SqlType | None, ...] = ()) -> Prepared | None:
        """As `prepare`, at once, for a statement that was prepared before and reads nothing; None for others."""
        return self._statements.recall(sql, session_key, parameter_types)

    def _prepare(self, sql: str, session: SessionContext, parameter_types: tuple[SqlType | None, ...]) -> Prepared:
        from shoal.exec.sql.bind import bind
        from shoal.exec.sql.parse import parse

        started = time.perf_counter()
        bound = bind(parse(sql), self._namespace(session), session, parameter_types)
        fields = tuple(ResultField(f.name, f.type, origin)
                       for f, origin in zip(bound.fields, bound.origins or (None,) * len(bound.fields), strict=True))
        return Prepared(sql, bound, fields, bound.parameters, bound.tag, bound.returns_rows, bound.notices,
                        time.perf_counter() - started,
                        None if bound.kind != "select" or bound.own_definitions else immediate(bound.plan, bound.parameters),
                        PlanCache(bound.plan) if bound.kind == "select" and bound.plan is not None else None)

    async def execute(self, prepared: Prepared, session: SessionContext, parameters: Sequence[Any] = (), *,
                      max_rows: int | None = None, encoding: ResultEncoding | None = None) -> Execution:
        """Starts a statement with physical values for its parameters. At most `max_rows` rows are given out, if set.

        With an `encoding` the tasks that make the rows encode them where they can: for a client that takes all.

        Raises: what planning raises; errors of running come with the rows.
        """
        if self._stopping:
            raise AdminShutdown("terminating connection due to administrator command")
        self._number += 1
        query_id = f"{self._prefix}_{self._number}"
        bound = prepared.bound
        if bound.locks and session.token and await self.transactions.lock(
                session.token, bound.locks, session.lock_timeout_s):
            prepared = await self.prepare(prepared.sql, session, prepared.parameters)  # others have changed it meanwhile
            bound = prepared.bound
        record = self.history.open(query_id, prepared.sql, session.user, session.database)
        record.planning_s = prepared.bind_s
        try:
            match bound.kind:
                case "select" | "insert" | "update" | "delete" | "merge":
                    assert bound.plan is not None
                    execution: Execution = await self._run(
                        query_id, bound, bound.plan, prepared, session, parameters, record, max_rows, encoding)
                case "create_table_as":
                    execution = self._fill(query_id, prepared, session, parameters, record)
                case "explain":
                    execution = self._explain(query_id, prepared, session, parameters, record)
                case _:
                    execution = await self._command(query_id, prepared, session, record)
        except SqlError as error:
            record.close("failed", error)
            raise
        except BaseException:
            record.close("canceled")
            raise
        self._executions[query_id] = execution
        return execution

    async def load(self, table: tuple[str, ...], columns: Sequence[str], where: tuple[str, int] | None,
                   session: SessionContext) -> Loading:
        """Opens a table for rows that a client sends. Raises: what exec/sql/load.py and the table's lock raise."""
        from shoal.exec.loading import Loading
        from shoal.exec.sql.load import bind_load

        load = await self._in_thread(bind_load, self._namespace(session), session, table, columns, where)
        if session.token:
            await self.transactions.lock(session.token, locks_of_table(load.found), session.lock_timeout_s)
        settings = self._settings(session)
        return Loading(load, settings, session_names(self.catalogs, settings))

    async def cancel(self, query_id: str) -> bool:
        """Stops a statement by its id (as in system.runtime.queries); False when it does not run."""
        execution = self._executions.get(query_id)
        if execution is not None:
            await execution.cancel()
        return execution is not None

    async def _run(self, query_id: str, bound: Bound, plan: PlanNode, prepared: Prepared, session: SessionContext,
                   parameters: Sequence[Any], record: QueryRecord, max_rows: int | None = None,
                   encoding: ResultEncoding | None = None) -> QueryExecution:
        """Plans and starts a query."""
        settings = self._settings(session)
        attempt = 0
        counts = bound.kind != "select" and not bound.fields
        workers = self.workers or self.options.workers
        cache = prepared.plans if bound is prepared.bound and not self.touched(session.token) and session.key else None

        def kept(make: Callable[[], Fragments]) -> Fragments:
            return make() if cache is None else cache.fragments(self.catalogs, (session.key, workers), make)

        async def begin() -> tuple[QueryRun, PlannedQuery]:
            own_id = query_id if attempt == 0 else f"{query_id}r{attempt}"
            planned = await self._plan(lambda: plan_query(
                own_id, plan, parameters, bound.parameters, catalogs_of(self.catalogs, session.token), settings,
                workers, kept=kept))
            try:
                if not self.workers and any(f.partitioning != "coordinator" for f in planned.fragments):
                    await self._coordinator.wait_for_workers(1, WORKERS_WAIT_S)
                here = planned.fragments[-1].partitioning == "coordinator"
                encoded = encoding is not None and not counts and max_rows is None and (here or not encoding.needs_names)
                submitted = QuerySubmitted(own_id, planned.fragments, planned.splits, planned.catalogs, settings,
                                           encoding if encoded else None)
                return self._coordinator.submit(submitted), planned
            except BaseException:
                self._threads.submit(planned.end)
                raise

        async def again(error: SqlError) -> tuple[QueryRun, PlannedQuery] | None:
            nonlocal attempt
            if attempt or error.kind == "user" or not await self._in_thread(self._learnt, planned, error):
                return None
            attempt = 1
            return await begin()

        run, planned = await begin()
        record.planning_s += planned.optimize_s + planned.split_s
        record.run, record.state = run, "running"
        return QueryExecution(self._coordinator, run, planned, prepared.fields if bound is prepared.bound else (), bound.tag,
                              record, counts=counts, end=self._end, again=again, forget=self._forget,
                              max_rows=max_rows, notices=prepared.notices)

    async def _plan(self, work: Callable[[], PlannedQuery]) -> PlannedQuery:
        """Plans in a thread; lets go of what planning pinned if nobody waits for it any more."""
        planning = self._threads.start(work)

        def drop(done: asyncio.Task[PlannedQuery]) -> None:
            if not done.cancelled() and done.exception() is None and done.result().snapshots:
                self._threads.submit(done.result().end)

        try:
            return await asyncio.shield(planning)
        except asyncio.CancelledError:
            planning.add_done_callback(drop)
            raise

    def _learnt(self, planned: PlannedQuery, error: SqlError) -> bool:
        learnt = [self.catalogs.connector(scan.handle.catalog).replan_after(scan.handle, error) for scan in planned.scans()]
        return any(learnt)

    async def _end(self, planned: PlannedQuery) -> None:
        if planned.snapshots:
            await self._in_thread(planned.end)

    def _fill(self, query_id: str, prepared: Prepared, session: SessionContext, parameters: Sequence[Any],
              record: QueryRecord) -> Execution:
        """CREATE TABLE AS, CREATE and REFRESH MATERIALIZED VIEW: a definition, then a query's rows in it."""
        bound = prepared.bound
        command: CreateTable | Refresh = bound.command  # type: ignore[assignment]
        name = "CREATE TABLE AS" if getattr(command, "view", None) is None else "CREATE MATERIALIZED VIEW"

        async def work() -> list[list[pa.Array]]:
            commands = await self._commands(command, session)
            if isinstance(command, CreateTable):
                handle = await self._in_thread(commands.create_table, command)
            else:
                handle = command.handle
            execution.notices = (*prepared.notices, *commands.notices)
            if handle is None or not command.with_data:
                execution.tag = prepared.tag if isinstance(command, Refresh) else name
                return []
            assert bound.plan is not None
            filled = isinstance(command, Refresh) or command.view is not None
            try:
                writing = await self._run(query_id, replace(bound, kind="insert", fields=(), tag="SELECT"),
                                          _write_into(bound.plan, handle, "refill" if filled else "insert"), prepared,
                                          session, parameters, record)
                execution.inner = writing
                async for _ in writing:
                    pass
            except BaseException:
                if isinstance(command, CreateTable) and not session.token:
                    connector = self.catalogs.connector(handle.catalog)
                    assert isinstance(connector, SupportsWrite)
                    await asyncio.shield(self._in_thread(connector.drop_table, handle))
                raise
            if isinstance(command, CreateTable):
                execution.tag, execution.rows = writing.tag, writing.rows
            return []

        execution = RowsExecution(query_id, (), prepared.tag, work, record, prepared.notices, self._forget)
        return execution

    async def user_type(self, type_of: int | str, session: SessionContext) -> SqlType | None:
        """The type with this OID, or name, if it is an enum, composite type or domain that somebody made, or the rows of
        a table, or an array of them; None where there is none."""
        def look() -> SqlType | None:
            from shoal.exec.sql.user_types import type_of_oid
            names = session_names(self.catalogs, self._settings(session))
            if names is None:
                return None
            oid = names.oid_of("regtype", type_of) if isinstance(type_of, str) else type_of
            return None if oid is None else type_of_oid(self._namespace(session), names.snapshot, oid)
        return await self._in_thread(look)

    async def _commands(self, command: Command, session: SessionContext) -> Commands:
        """What carries out the session's commands, when it holds the locks that this one needs."""
        settings = self._settings(session)
        text = text_with(settings, session_names(self.catalogs, settings))
        commands = Commands(self._namespace(session), session.token, text)
        if session.token:
            keys = await self._in_thread(commands.locks, command)
            if await self.transactions.lock(session.token, keys, session.lock_timeout_s):
                commands = Commands(self._namespace(session), session.token, text)
        return commands

    def _explain(self, query_id: str, prepared: Prepared, session: SessionContext, parameters: Sequence[Any],
                 record: QueryRecord) -> Execution:
        command: Explain = prepared.bound.command  # type: ignore[assignment]
        inner = command.bound

        async def work() -> list[list[pa.Array]]:
            plan = inner.plan
            if plan is None:
                raise FeatureNotSupported(f"EXPLAIN of {inner.tag} is not supported")
            if not command.analyze:
                planned = await self._in_thread(lambda: plan_query(
                    query_id, plan, parameters, prepared.bound.parameters, self.catalogs, self._settings(session),
                    self.workers or self.options.workers, trace=command.verbose, read=False))
                return explained(command, planned, self.catalogs)
            if inner.kind == "create_table_as":
                raise FeatureNotSupported("EXPLAIN ANALYZE of CREATE TABLE AS is not supported")
            started = time.perf_counter()
            running = await self._run(query_id, replace(inner, parameters=prepared.bound.parameters), plan, prepared,
                                      session, parameters, record)
            running.keep_reports = True
            execution.inner = running
            async for _ in running:
                pass
            return analyzed(command, running.planned, running.reports, self.catalogs, prepared.bind_s,
                            time.perf_counter() - started)

        execution = RowsExecution(query_id, prepared.fields, "EXPLAIN", work, record, prepared.notices, self._forget)
        return execution

    async def _command(self, query_id: str, prepared: Prepared, session: SessionContext, record: QueryRecord) -> Execution:
        """Does the work before there is an Execution, which then has its notices."""
        command = prepared.bound.command
        if command is None:
            raise FeatureNotSupported(f"{prepared.tag} is not supported")
        commands = await self._commands(command, session)
        await self._in_thread(commands.run, command)
        if isinstance(command, CreateSchema) and command.elements:
            await self._make_elements(command, session)

        async def nothing() -> list[list[pa.Array]]:
            return []

        notices = (*prepared.notices, *commands.notices)
        return RowsExecution(query_id, (), prepared.tag, nothing, record, notices, self._forget)

    async def _make_elements(self, command: CreateSchema, session: SessionContext) -> None:
        """Runs the statements inside CREATE SCHEMA; without a transaction, all of them or none are kept."""
        inside = replace(session, search_path=(command.parts[-1], *session.search_path), key=None)
        try:
            for text in command.elements:
                execution = await self.execute(await self.prepare(text, inside), inside)
                async for _ in execution:
                    pass
        except BaseException as error:
            if isinstance(error, SqlError):
                error.position = 0  # it is within the element
            if not session.token:
                undo = await self._commands(DropSchema((command.parts,), cascade=True), session)
                await asyncio.shield(self._in_thread(undo.run, DropSchema((command.parts,), cascade=True)))
            raise

    # -- helpers of the above

    def _forget(self, query_id: str) -> None:
        self._executions.pop(query_id, None)
        if not self._executions:
            self._drained.set()
            if self._trimming is None:
                self._trimming = asyncio.get_running_loop().call_later(TRIM_AFTER_S, self._trim)

    def _trim(self) -> None:
        """Gives freed memory back to the system once nothing has run for a moment."""
        self._trimming = None
        if self._executions or self._stopping:
            return  # the next one to end sees to it
        self._threads.submit(trim)

    def _namespace(self, session: SessionContext) -> Namespace:
        return session_namespace(self.catalogs, session.database, session.search_path, session.token)

    def _settings(self, session: SessionContext) -> TaskSettings:
        own = {name: parse_bytes(session.settings[name]) for name in SETTINGS if session.settings.get(name)}
        # Workers have limits of their own; a session can only ask for less.
        memory_bytes = own["shoal.query_memory"] // max(1, self.workers) if "shoal.query_memory" in own else 1 << 62
        return session.task_settings(
            seed=int.from_bytes(os.urandom(6), "big") if session.seed is None else session.seed,
            batch_rows=own.get("shoal.batch_rows", self.options.batch_rows),
            memory_bytes=memory_bytes,
            exchange_bytes=own.get("shoal.exchange_bytes") or min(
                self.options.exchange_bytes, max(_LEAST_EXCHANGE_BYTES, self._share_bytes // _EXCHANGE_SHARE)))

    @property
    def _share_bytes(self) -> int:
        """What one local worker's queries may hold, and the coordinator's own tasks."""
        return self.options.memory_bytes // max(1, self.options.workers)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._threads.run(work, *arguments)


def _write_into(plan: PlanNode, handle: TableHandle, mode: Literal["insert", "refill"]) -> TableWrite:
    field = Field(largest_id(plan) + 1, "rows", INT8)
    return TableWrite(plan, handle, mode, tuple(f.ref() for f in plan.output), field)
