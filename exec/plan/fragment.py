"""Fragments and tasks: what the fragmenter cuts and the scheduler sends to workers as JSON (plan/serde.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.catalog.connector import CatalogDefinition, Split
from shoal.exec.plan import serde
from shoal.exec.plan.nodes import PlanNode
from shoal.exec.plan.result import CopyStyle, ResultEncoding
from shoal.exec.plan.styles import DEFAULT_STYLES, Styles

OutputKind = Literal["hash", "broadcast", "gather", "round_robin", "shared"]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of the plan without exchanges inside; RemoteSource nodes stand for the fragments it reads.

    `partitioning` says how many tasks run it: source = its scans' splits divided among workers, hash = one task per
    partition of its hash-distributed inputs, single = one task on any worker, coordinator = one task inside the
    coordinator. `output_*` say how its rows are divided among the consumer's tasks (hash: by values of the
    columns `output_keys`; shared: all of a task's rows to one task of each of `readers` RemoteSources). `inputs` are the
    fragments it reads.
    """

    id: int
    root: PlanNode
    partitioning: Literal["source", "hash", "single", "coordinator"]
    output_kind: OutputKind = "gather"
    output_keys: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    readers: int = 0


@dataclass(frozen=True, slots=True)
class TaskId:
    """One attempt at one partition of one fragment."""

    query_id: str
    fragment_id: int
    partition: int
    attempt: int = 0

    def __str__(self) -> str:
        return f"{self.query_id}.{self.fragment_id}.{self.partition}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class TaskInput:
    """Where a task finds one producer task's output: an exchange address and the buffer to ask for there."""

    fragment_id: int
    host: str
    port: int
    task: TaskId
    partition: int
    compression: Literal["", "zstd"] = ""
    reader: int = 0
    """Of the RemoteSource that it is for."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """What is pinned for a whole query, so that a task re-run gives the same rows."""

    now_us: int
    time_zone: str = "UTC"
    styles: Styles = DEFAULT_STYLES
    seed: int = 0
    batch_rows: int = 65_536
    memory_bytes: int = 1 << 30
    exchange_bytes: int = 32 << 20
    """What may wait in a task's output buffer, and at each exchange it reads."""
    session: Mapping[str, Any] = field(default_factory=dict)
    """user, database, search_path, backend pid ... for functions such as current_user."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """All a worker needs to run one task."""

    id: TaskId
    fragment: Fragment
    partitions: int
    """Tasks of this fragment."""
    output_partitions: int
    """Buffers to fill: the consumer's tasks."""
    splits: Mapping[str, tuple[Split, ...]]
    """By str(scan_id)."""
    inputs: tuple[TaskInput, ...]
    catalogs: tuple[CatalogDefinition, ...]
    settings: TaskSettings
    publishes: tuple[int, ...] = ()
    """Dynamic filters built here that scans of other fragments use: their keys go to the coordinator."""
    encoding: ResultEncoding | None = None
    """The task's rows go to the client, in this form."""


serde.register(Fragment, TaskId, TaskInput, Styles, TaskSettings, TaskSpec, ResultEncoding, CopyStyle)
