"""The states of a task, and what it tells the coordinator (hop 6; pure: the thread that runs it is runner.py).

    queued ─start─> running <─wake/block─> blocked
    running ─finish─> finished      any of the three ─fail─> failed      ─cancel─> canceled

The three on the right are final: whatever comes later changes nothing, so a late failure or a second cancel is harmless.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from shoal.catalog.errors import ProtocolViolation, SqlError
from shoal.exec.operators.base import OperatorMetrics
from shoal.exec.plan.fragment import TaskId

State = Literal["queued", "running", "blocked", "finished", "failed", "canceled"]
Event = Literal["start", "block", "wake", "finish", "fail", "cancel"]
FINAL: Final[frozenset[State]] = frozenset({"finished", "failed", "canceled"})
TRANSITIONS: Final[dict[tuple[State, Event], State]] = {
    ("queued", "start"): "running",
    ("queued", "fail"): "failed",
    ("queued", "cancel"): "canceled",
    ("running", "block"): "blocked",
    ("running", "wake"): "running",
    ("running", "finish"): "finished",
    ("running", "fail"): "failed",
    ("running", "cancel"): "canceled",
    ("blocked", "wake"): "running",
    ("blocked", "block"): "blocked",
    ("blocked", "fail"): "failed",
    ("blocked", "cancel"): "canceled",
}


class TaskLife:
    """The state of one task."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: State = "queued"

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def on(self, event: Event) -> bool:
        """Takes the transition; False when the task is final already. Raises: AssertionError for an impossible one."""
        if self.final:
            return False
        following = TRANSITIONS.get((self.state, event))
        assert following is not None, f"a task that is {self.state} cannot {event}"
        self.state = following
        return True


@dataclass(slots=True)
class TaskReport:
    """How a task stands, or ended. Times in seconds; `nodes` in the order of `walk_plan`."""

    task: TaskId
    state: State
    error: SqlError | None = None
    rows: int = 0
    bytes: int = 0
    input_rows: int = 0
    input_bytes: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    memory_bytes: int = 0
    nodes: list[OperatorMetrics] = field(default_factory=list)
    worker: str = ""
    """Filled in by the coordinator."""

    def to_fields(self) -> dict[str, Any]:
        """Plain JSON fields."""
        return {"task": [self.task.query_id, self.task.fragment_id, self.task.partition, self.task.attempt],
                "state": self.state, "error": self.error.to_fields() if self.error else None, "rows": self.rows,
                "bytes": self.bytes, "input_rows": self.input_rows, "input_bytes": self.input_bytes,
                "cpu_s": self.cpu_s, "wall_s": self.wall_s, "memory_bytes": self.memory_bytes,
                "nodes": [asdict(node) for node in self.nodes]}

    @staticmethod
    def from_fields(fields: dict[str, Any]) -> TaskReport:
        """Raises: ProtocolViolation (08P01)."""
        try:
            query_id, fragment_id, partition, attempt = fields["task"]
            error = fields.get("error")
            return TaskReport(
                TaskId(str(query_id), int(fragment_id), int(partition), int(attempt)), fields["state"],
                SqlError.from_fields(error) if error else None, int(fields["rows"]), int(fields["bytes"]),
                int(fields["input_rows"]), int(fields["input_bytes"]), float(fields["cpu_s"]), float(fields["wall_s"]),
                int(fields["memory_bytes"]), [OperatorMetrics(**node) for node in fields["nodes"]])
        except (KeyError, TypeError, ValueError) as reason:
            raise ProtocolViolation(f"a malformed task report: {reason}") from None
