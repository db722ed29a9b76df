"""The scheduler: what runs where, as a pure function of the events so far (hop 5).

`handle(event)` gives the instructions that follow from it; the coordinator's shell carries them out. No clock, no
network, no randomness: the same events give the same instructions, so that any course of events can be replayed.

    QuerySubmitted -> StartTasks for every fragment at once, build sides first (tasks wait for their inputs), OpenResult
    FilterPublished (by all tasks that build it) -> SendFilter to those that scan with it
    TaskEnded (all of them) -> QueryFinished        TaskEnded with an error, WorkerLost -> CancelTasks, QueryFailed
    QueryReleased (the client has its rows, or wants no more) -> ReleaseTasks

A query fails once, with the first error. Tasks carry their attempt, and their output is kept until the query is
released or their consumers have it, so that running one again (a later step) changes nothing for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from shoal.catalog import errors
from shoal.catalog.connector import CatalogDefinition, Split
from shoal.catalog.errors import InsufficientResources, SqlError
from shoal.exec.coordinator.assignment import divide, rotate
from shoal.exec.plan.fragment import Fragment, TaskId, TaskInput, TaskSettings, TaskSpec
from shoal.exec.plan.nodes import Join, PlanNode, RemoteSource, Scan, walk_plan
from shoal.exec.plan.result import ResultEncoding

COORDINATOR: Final = "coordinator"


@dataclass(frozen=True, slots=True)
class Node:
    """A process that runs tasks and where its exchange is. The coordinator's host is "": where workers found it."""

    name: str
    host: str
    port: int


# Events --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    node: Node


@dataclass(frozen=True, slots=True)
class WorkerLeaving:
    """It finishes what it has and gets nothing new."""

    name: str


@dataclass(frozen=True, slots=True)
class WorkerLost:
    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class QuerySubmitted:
    """`splits` by scan id. `fragments` in the fragmenter's order: the root last."""

    query_id: str
    fragments: tuple[Fragment, ...]
    splits: Mapping[int, Sequence[Split]]
    catalogs: tuple[CatalogDefinition, ...]
    settings: TaskSettings
    encoding: ResultEncoding | None = None
    """The root's tasks encode the rows for the client."""


@dataclass(frozen=True, slots=True)
class TaskEnded:
    task: TaskId
    error: SqlError | None = None


@dataclass(frozen=True, slots=True)
class FilterPublished:
    task: TaskId
    filter_id: int
    keys: bytes


@dataclass(frozen=True, slots=True)
class QueryStopped:
    """Canceled, timed out, disconnected: the query fails with `error`."""

    query_id: str
    error: SqlError


@dataclass(frozen=True, slots=True)
class QueryReleased:
    query_id: str


Event = (WorkerJoined | WorkerLeaving | WorkerLost | QuerySubmitted | TaskEnded | FilterPublished | QueryStopped
         | QueryReleased)


# Instructions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTasks:
    node: str
    specs: tuple[TaskSpec, ...]


@dataclass(frozen=True, slots=True)
class CancelTasks:
    node: str
    query_id: str
    error: SqlError


@dataclass(frozen=True, slots=True)
class ReleaseTasks:
    node: str
    query_id: str


@dataclass(frozen=True, slots=True)
class SendFilter:
    """The union of `keys` goes to `nodes`; no keys: the filter will not come."""

    nodes: tuple[str, ...]
    query_id: str
    filter_id: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OpenResult:
    """The rows of the query are the output of these tasks."""

    query_id: str
    sources: tuple[TaskInput, ...]


@dataclass(frozen=True, slots=True)
class QueryFinished:
    query_id: str


@dataclass(frozen=True, slots=True)
class QueryFailed:
    query_id: str
    error: SqlError


Instruction = StartTasks | CancelTasks | ReleaseTasks | SendFilter | OpenResult | QueryFinished | QueryFailed


# State ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Filter:
    """A dynamic filter that crosses tasks: who builds it, who waits for it, what has come."""

    builders: set[TaskId]
    any_one: bool
    """Broadcast joins: each builder has the whole build side."""
    nodes: tuple[str, ...]
    keys: dict[TaskId, bytes] = field(default_factory=dict)
    sent: bool = False


@dataclass(slots=True)
class _Query:
    query_id: str
    state: Literal["running", "finished", "failed"] = "running"
    placed: dict[TaskId, str] = field(default_factory=dict)
    """Every task and the node it runs on."""
    unfinished: set[TaskId] = field(default_factory=set)
    roots: set[TaskId] = field(default_factory=set)
    filters: dict[int, _Filter] = field(default_factory=dict)

    def nodes(self) -> list[str]:
        return list(dict.fromkeys(self.placed.values()))


class Scheduler:
    """`coordinator_port`: its exchange's port; `coordinator_host`: its address, only compared with workers'."""

    def __init__(self, coordinator_host: str, coordinator_port: int) -> None:
        self._coordinator = Node(COORDINATOR, "", coordinator_port)
        self._coordinator_host = coordinator_host
        self._workers: dict[str, Node] = {}
        self._leaving: set[str] = set()
        self._queries: dict[str, _Query] = {}

    @property
    def workers(self) -> list[Node]:
        """Those that get new tasks, by name."""
        return [node for name, node in sorted(self._workers.items()) if name not in self._leaving]

    def handle(self, event: Event) -> list[Instruction]:
        """What follows from the event. Unknown queries, tasks and workers are no error: news can be late."""
        match event:
            case WorkerJoined(node):
                self._workers[node.name] = node
                self._leaving.discard(node.name)
                return []
            case WorkerLeaving(name):
                self._leaving.add(name)
                return []
            case WorkerLost(name, reason):
                return self._lost(name, reason)
            case QuerySubmitted():
                return self._submit(event)
            case TaskEnded(task, error):
                return self._ended(task, error)
            case FilterPublished(task, filter_id, keys):
                return self._published(task, filter_id, keys)
            case QueryStopped(query_id, error):
                return self._fail(query_id, error)
            case QueryReleased(query_id):
                query = self._queries.pop(query_id, None)
                return [] if query is None else [ReleaseTasks(node, query_id) for node in query.nodes()]

    # -- queries

    def _submit(self, event: QuerySubmitted) -> list[Instruction]:
        workers = rotate(self.workers, event.query_id)
        if not workers and any(f.partitioning != "coordinator" for f in event.fragments):
            return [QueryFailed(event.query_id, InsufficientResources(
                "no worker has joined the cluster",
                hint="Start one with: shoal worker --join HOST:PORT --secret-file FILE"))]
        query = self._queries[event.query_id] = _Query(event.query_id)
        places = {f.id: self._places(f, event.splits, workers) for f in event.fragments}
        root = event.fragments[-1]
        by_id = {f.id: f for f in event.fragments}
        consumers = {source: f.id for f in event.fragments for source in f.inputs}
        published = self._plan_filters(event, places, query)
        by_node: dict[str, list[TaskSpec]] = {}
        for fragment in dispatch_order(event.fragments):
            nodes = places[fragment.id]
            shares = _shares(fragment, event.splits, len(nodes))
            outputs = fragment.readers or (len(places[consumers[fragment.id]]) if fragment.id != root.id else 1)
            read = [node for node in walk_plan(fragment.root) if isinstance(node, RemoteSource)]
            for partition, node in enumerate(nodes):
                task = TaskId(event.query_id, fragment.id, partition)
                query.placed[task] = node.name
                query.unfinished.add(task)
                inputs = tuple(self._input(event.query_id, source.fragment_id, number, producer,
                                           source.reader if by_id[source.fragment_id].readers else partition, node,
                                           source.reader)
                               for source in read for number, producer in enumerate(places[source.fragment_id])
                               if not by_id[source.fragment_id].readers or number % len(nodes) == partition)
                by_node.setdefault(node.name, []).append(TaskSpec(
                    task, fragment, len(nodes), outputs, {scan: share[partition] for scan, share in shares.items()},
                    inputs, event.catalogs, event.settings, published.get(fragment.id, ()),
                    event.encoding if fragment.id == root.id else None))
        query.roots = {task for task in query.placed if task.fragment_id == root.id}
        result = tuple(self._input(event.query_id, root.id, number, producer, 0, self._coordinator)
                       for number, producer in enumerate(places[root.id]))
        return [*(StartTasks(node, tuple(specs)) for node, specs in by_node.items()), OpenResult(event.query_id, result)]

    def _places(self, fragment: Fragment, splits: Mapping[int, Sequence[Split]], workers: Sequence[Node]) -> list[Node]:
        """The nodes of the fragment's tasks, by partition."""
        if fragment.partitioning == "coordinator":
            return [self._coordinator]
        if fragment.partitioning == "single":
            return [workers[fragment.id % len(workers)]]
        if fragment.partitioning == "hash":
            return list(workers)
        most = max((len(splits.get(scan.scan_id, ())) for scan in _scans(fragment.root)), default=1)
        return list(workers[:max(1, min(len(workers), most))])

    def _input(self, query_id: str, fragment_id: int, number: int, producer: Node, partition: int,
               consumer: Node, reader: int = 0) -> TaskInput:
        near = producer.name == consumer.name or self._same_machine(producer, consumer)
        return TaskInput(fragment_id, producer.host, producer.port, TaskId(query_id, fragment_id, number), partition,
                         "" if near else "zstd", reader)

    def _same_machine(self, left: Node, right: Node) -> bool:
        a, b = left.host or self._coordinator_host, right.host or self._coordinator_host
        return a == b or (_is_loopback(a) and _is_loopback(b))

    def _ended(self, task: TaskId, error: SqlError | None) -> list[Instruction]:
        query = self._queries.get(task.query_id)
        if query is None or task not in query.unfinished:
            return []
        query.unfinished.discard(task)
        if query.state != "running":
            return []
        if error is not None:
            return self._fail(task.query_id, error)
        instructions: list[Instruction] = []
        for filter_id, one in query.filters.items():
            if task in one.builders and task not in one.keys and not one.sent:
                one.sent = True
                instructions.append(SendFilter(one.nodes, query.query_id, filter_id, ()))
        if not query.unfinished:
            query.state = "finished"
            instructions.append(QueryFinished(query.query_id))
        return instructions

    def _fail(self, query_id: str, error: SqlError) -> list[Instruction]:
        query = self._queries.get(query_id)
        if query is None or query.state == "failed":
            return []
        query.state = "failed"
        return [*(CancelTasks(node, query_id, error) for node in query.nodes()), QueryFailed(query_id, error)]

    def _lost(self, name: str, reason: str) -> list[Instruction]:
        self._workers.pop(name, None)
        self._leaving.discard(name)
        instructions: list[Instruction] = []
        for query in self._queries.values():
            needed = any(node == name and (task in query.unfinished or task in query.roots or query.unfinished)
                         for task, node in query.placed.items())
            if query.state != "failed" and needed:
                error = errors.WorkerLost(f'worker "{name}" was lost while it worked on the query', detail=reason,
                                        hint="The statement can be run again.")
                instructions += self._fail(query.query_id, error)
        return instructions

    # -- dynamic filters

    def _plan_filters(self, event: QuerySubmitted, places: Mapping[int, Sequence[Node]],
                      query: _Query) -> dict[int, tuple[int, ...]]:
        """Notes the filters that cross tasks; gives by fragment what its tasks publish."""
        used: dict[int, set[int]] = {}
        for fragment in event.fragments:
            for scan in _scans(fragment.root):
                for use in scan.dynamic_filters:
                    used.setdefault(use.filter_id, set()).add(fragment.id)
        published: dict[int, list[int]] = {}
        for fragment in event.fragments:
            tasks = {TaskId(event.query_id, fragment.id, number) for number in range(len(places[fragment.id]))}
            for join in (node for node in walk_plan(fragment.root) if isinstance(node, Join)):
                any_one = join.distribution == "broadcast" or len(tasks) == 1
                for filter_id, _ in join.dynamic_filters:
                    users = used.get(filter_id, set()) - ({fragment.id} if any_one else set())
                    if users:
                        nodes = dict.fromkeys(node.name for user in sorted(users) for node in places[user])
                        query.filters[filter_id] = _Filter(tasks, any_one, tuple(nodes))
                        published.setdefault(fragment.id, []).append(filter_id)
        return {fragment: tuple(ids) for fragment, ids in published.items()}

    def _published(self, task: TaskId, filter_id: int, keys: bytes) -> list[Instruction]:
        query = self._queries.get(task.query_id)
        one = query.filters.get(filter_id) if query is not None else None
        if one is None or one.sent or task not in one.builders:
            return []
        one.keys[task] = keys
        if not one.any_one and len(one.keys) < len(one.builders):
            return []
        one.sent = True
        ordered = tuple(one.keys[builder] for builder in sorted(one.keys, key=lambda t: t.partition))
        one.keys = dict.fromkeys(one.keys, b"")
        return [SendFilter(one.nodes, task.query_id, filter_id, ordered)]


def dispatch_order(fragments: Sequence[Fragment]) -> list[Fragment]:
    """Producers before consumers, and what a join holds in memory before what streams past it."""
    by_id = {fragment.id: fragment for fragment in fragments}
    ordered: dict[int, Fragment] = {}

    def visit(fragment: Fragment) -> None:
        if fragment.id not in ordered:
            for source in _sources(fragment.root):
                visit(by_id[source])
            ordered[fragment.id] = fragment

    visit(fragments[-1])
    return list(ordered.values())


def _sources(node: PlanNode) -> Iterator[int]:
    """Fragments the node reads, in the order in which it needs them."""
    if isinstance(node, RemoteSource):
        yield node.fragment_id
    children = node.children()
    if isinstance(node, Join) and node.build == "right":
        children = (node.right, node.left)
    for child in children:
        yield from _sources(child)


def _scans(root: PlanNode) -> list[Scan]:
    return [node for node in walk_plan(root) if isinstance(node, Scan)]


def _shares(fragment: Fragment, splits: Mapping[int, Sequence[Split]], tasks: int) -> dict[str, list[tuple[Split, ...]]]:
    return {str(scan.scan_id): divide(splits.get(scan.scan_id, ()), tasks) for scan in _scans(fragment.root)}


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
