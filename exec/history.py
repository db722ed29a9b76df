"""What the engine did and does, as rows for system.runtime.nodes, queries and tasks."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal

from shoal.catalog.errors import SqlError
from shoal.exec.worker.task import TaskReport

if TYPE_CHECKING:
    from shoal.exec.coordinator.coordinator import Coordinator, QueryRun

KEPT_QUERIES: Final = 200
MAX_TEXT: Final = 10_000


@dataclass(slots=True)
class QueryRecord:
    """One statement's course. Unix times in seconds."""

    query_id: str
    text: str
    user: str
    database: str
    started_s: float
    state: Literal["planning", "running", "finished", "failed", "canceled"] = "planning"
    ended_s: float | None = None
    planning_s: float = 0.0
    rows: int = 0
    error: SqlError | None = None
    run: QueryRun | None = None

    def close(self, state: Literal["finished", "failed", "canceled"], error: SqlError | None = None) -> None:
        """Notes the end."""
        if self.ended_s is None:
            self.state, self.error, self.ended_s = state, error, time.time()

    def tasks(self) -> list[tuple[TaskReport, int]]:
        """How its tasks stand or ended, with the number of splits each has."""
        if self.run is None:
            return []
        return [(report, self.run.splits.get(task, 0)) for task, report in list(self.run.reports.items())]


class History:
    """A bounded list of statements, running ones included; a RuntimeSource for the system connector. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: OrderedDict[str, QueryRecord] = OrderedDict()
        self.coordinator: Coordinator | None = None
        self._started_s = time.time()

    def open(self, query_id: str, text: str, user: str, database: str) -> QueryRecord:
        record = QueryRecord(query_id, text[:MAX_TEXT], user, database, time.time())
        with self._lock:
            self._records[query_id] = record
            if len(self._records) > KEPT_QUERIES:
                oldest = next((key for key, one in self._records.items() if one.ended_s is not None), None)
                if oldest is not None:
                    del self._records[oldest]
        return record

    def _all(self) -> list[QueryRecord]:
        with self._lock:
            return list(self._records.values())

    def nodes(self) -> list[dict[str, Any]]:
        """Rows of system.runtime.nodes."""
        running: dict[str, list[TaskReport]] = {}
        for record in self._all():
            for report, _ in record.tasks():
                if report.state in ("queued", "running", "blocked"):
                    running.setdefault(report.worker, []).append(report)
        release = _version()
        rows = [{"node_id": "coordinator", "kind": "coordinator", "state": "active", "version": release, "pid": os.getpid(),
                 "address": f"{self.coordinator.host}:{self.coordinator.port}" if self.coordinator else "",
                 "cores": os.cpu_count(), "tasks": len(running.get("coordinator", ())),
                 "memory_bytes": sum(r.memory_bytes for r in running.get("coordinator", ())),
                 "memory_limit_bytes": None, "started": _micros(self._started_s), "last_seen": _micros(time.time())}]
        for member in self.coordinator.members if self.coordinator else []:
            own = running.get(member.node.name, [])
            rows.append({
                "node_id": member.node.name, "kind": "worker", "address": f"{member.node.host}:{member.node.port}",
                "state": "draining" if member.leaving else "active", "version": release, "pid": member.pid,
                "cores": member.cores, "tasks": len(own), "memory_bytes": sum(r.memory_bytes for r in own),
                "memory_limit_bytes": member.memory_bytes, "started": _micros(member.joined_s),
                "last_seen": _micros(member.seen_s)})
        return rows

    def queries(self) -> list[dict[str, Any]]:
        """Rows of system.runtime.queries."""
        rows = []
        for record in self._all():
            tasks = record.tasks()
            ended = record.ended_s or time.time()
            rows.append({
                "query_id": record.query_id, "state": record.state, "user": record.user, "database": record.database,
                "query": record.text, "started": _micros(record.started_s),
                "ended": None if record.ended_s is None else _micros(record.ended_s),
                "planning_ms": record.planning_s * 1000, "elapsed_ms": (ended - record.started_s) * 1000,
                "rows": record.rows, "tasks": len(tasks), "memory_bytes": max((r.memory_bytes for r, _ in tasks), default=0),
                "error_code": record.error.sqlstate if record.error else None,
                "error": record.error.message if record.error else None})
        return rows

    def tasks(self) -> list[dict[str, Any]]:
        """Rows of system.runtime.tasks."""
        return [{
            "query_id": record.query_id, "fragment": report.task.fragment_id, "partition": report.task.partition,
            "attempt": report.task.attempt, "node_id": report.worker, "state": report.state, "splits": splits,
            "rows": report.rows, "bytes": report.bytes, "memory_bytes": report.memory_bytes,
            "started": _micros(record.started_s + record.planning_s),
            "ended": None if report.state in ("queued", "running", "blocked")
            else _micros(record.started_s + record.planning_s + report.wall_s),
            "elapsed_ms": report.wall_s * 1000, "error_code": report.error.sqlstate if report.error else None,
            "error": report.error.message if report.error else None}
            for record in self._all() for report, splits in record.tasks()]


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)


def _version() -> str:
    try:
        return version("shoal")
    except PackageNotFoundError:
        return "unknown"
