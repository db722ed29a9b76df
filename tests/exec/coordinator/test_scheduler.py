"""The scheduler as scripts of events: what it starts where, and how queries end."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.catalog.connector import Split, TableHandle
from shoal.catalog.errors import DivisionByZero, InsufficientResources, QueryCanceled
from shoal.catalog.errors import WorkerLost as WorkerLostError
from shoal.catalog.types import INT8
from shoal.exec.coordinator.assignment import divide, rotate, weight
from shoal.exec.coordinator.scheduler import (
    COORDINATOR,
    CancelTasks,
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
    dispatch_order,
)
from shoal.exec.plan.fragment import Fragment, TaskId, TaskSettings, TaskSpec
from shoal.exec.plan.nodes import DynamicFilterUse, Field, Join, PlanNode, RemoteSource, Scan, ScanColumn, Values

A, B, C = Field(1, "a", INT8), Field(2, "b", INT8), Field(3, "c", INT8)


def scan(field: Field, scan_id: int, *filters: int) -> Scan:
    return Scan(TableHandle("files", "public", f"t{scan_id}"), (ScanColumn(field, field.name),), scan_id=scan_id,
                dynamic_filters=tuple(DynamicFilterUse(f, field.ref()) for f in filters))


def remote(fragment: int, field: Field) -> RemoteSource:
    return RemoteSource(fragment, (field,))


def join(left: PlanNode, right: PlanNode, distribution: Any, filter_id: int, build: Any = "right") -> Join:
    return Join("inner", left, right, ((left.output[0].ref(), right.output[0].ref()),), build=build,
                distribution=distribution, dynamic_filters=((filter_id, 0),))


def splits(count: int) -> list[Split]:
    return [Split({"n": n}, size_bytes=100) for n in range(count)]


def cluster(workers: int) -> Scheduler:
    scheduler = Scheduler("127.0.0.1", 7000)
    for number in range(1, workers + 1):
        assert scheduler.handle(WorkerJoined(Node(f"w{number}", "127.0.0.1", 7000 + number))) == []
    return scheduler


def submit(scheduler: Scheduler, fragments: tuple[Fragment, ...], split_counts: dict[int, int] | None = None,
           query_id: str = "q") -> list[Instruction]:
    found = {scan_id: splits(count) for scan_id, count in (split_counts or {}).items()}
    return scheduler.handle(QuerySubmitted(query_id, fragments, found, (), TaskSettings(0)))


def specs(instructions: list[Instruction]) -> dict[TaskId, tuple[str, TaskSpec]]:
    return {spec.id: (i.node, spec) for i in instructions if isinstance(i, StartTasks) for spec in i.specs}


PARTITIONED = (
    Fragment(0, scan(A, 1, 9), "source", "hash", (1,)),
    Fragment(1, scan(B, 2), "source", "hash", (2,)),
    Fragment(2, join(remote(0, A), remote(1, B), "partitioned", 9), "hash", "gather", (), (0, 1)),
    Fragment(3, remote(2, A), "coordinator", "gather", (), (2,)),
)
BROADCAST = (
    Fragment(0, scan(B, 2), "source", "broadcast"),
    Fragment(1, join(scan(A, 1, 9), remote(0, B), "broadcast", 9), "source", "gather", (), (0,)),
)


def test_each_reader_of_shared_rows_reads_all_of_them_once() -> None:
    """Fragment 0's rows are read twice by fragment 1, task by task, and once by fragment 2, by one task."""
    fragments = (
        Fragment(0, scan(A, 1), "source", "shared", readers=3),
        Fragment(1, join(RemoteSource(0, (A,), (), 0), RemoteSource(0, (B,), (), 1), "", 9), "hash", "gather", (), (0,)),
        Fragment(2, join(remote(1, A), RemoteSource(0, (C,), (), 2), "", 9), "single", "gather", (), (1, 0)),
    )
    tasks = specs(submit(cluster(2), fragments, {1: 2}))
    read = {(task.fragment_id, task.partition):
            [(i.fragment_id, i.task.partition, i.partition, i.reader) for i in spec.inputs]
            for task, (_, spec) in tasks.items()}
    assert read[1, 0] == [(0, 0, 0, 0), (0, 0, 1, 1)]
    assert read[1, 1] == [(0, 1, 0, 0), (0, 1, 1, 1)]
    assert read[2, 0] == [(1, 0, 0, 0), (1, 1, 0, 0), (0, 0, 2, 2), (0, 1, 2, 2)]
    assert {spec.output_partitions for task, (_, spec) in tasks.items() if task.fragment_id == 0} == {3}


def test_a_query_without_tables_runs_in_the_coordinator_alone() -> None:
    scheduler = Scheduler("127.0.0.1", 7000)
    instructions = submit(scheduler, (Fragment(0, Values((A,), ()), "coordinator"),))
    (task, (node, spec)), = specs(instructions).items()
    assert node == COORDINATOR and spec.output_partitions == 1 and spec.partitions == 1
    opened, = (i for i in instructions if isinstance(i, OpenResult))
    assert opened.sources[0].task == task and (opened.sources[0].host, opened.sources[0].port) == ("", 7000)
    assert scheduler.handle(TaskEnded(task)) == [QueryFinished("q")]
    assert scheduler.handle(QueryReleased("q")) == [ReleaseTasks(COORDINATOR, "q")]
    assert scheduler.handle(QueryReleased("q")) == []


def test_all_fragments_start_at_once_and_build_sides_first() -> None:
    started = specs(submit(cluster(2), PARTITIONED, {1: 5, 2: 1}))
    by_fragment = {f: [t for t in started if t.fragment_id == f] for f in range(4)}
    assert [len(by_fragment[f]) for f in range(4)] == [2, 1, 2, 1]
    assert [f.id for f in dispatch_order(PARTITIONED)] == [1, 0, 2, 3]
    scanned = [s for t in by_fragment[0] for s in started[t][1].splits["1"]]
    assert sorted(s.state["n"] for s in scanned) == [0, 1, 2, 3, 4]
    for task in by_fragment[0]:
        assert started[task][1].output_partitions == 2
    for task in by_fragment[2]:
        inputs = started[task][1].inputs
        assert [(i.fragment_id, i.task.partition, i.partition) for i in inputs] == [
            (0, 0, task.partition), (0, 1, task.partition), (1, 0, task.partition)]
        assert all(i.compression == "" for i in inputs)
        assert {i.port for i in inputs} <= {7001, 7002}


def test_links_between_machines_are_compressed() -> None:
    scheduler = Scheduler("10.0.0.1", 7000)
    scheduler.handle(WorkerJoined(Node("near", "10.0.0.1", 1)))
    scheduler.handle(WorkerJoined(Node("far", "10.0.0.2", 1)))
    instructions = submit(scheduler, (Fragment(0, scan(A, 1), "source"),), {1: 2})
    opened, = (i for i in instructions if isinstance(i, OpenResult))
    assert {i.host: i.compression for i in opened.sources} == {"10.0.0.1": "", "10.0.0.2": "zstd"}


def test_the_same_events_give_the_same_instructions() -> None:
    assert submit(cluster(3), PARTITIONED, {1: 7, 2: 4}) == submit(cluster(3), PARTITIONED, {1: 7, 2: 4})


def test_the_first_error_fails_the_query_everywhere_and_once() -> None:
    scheduler = cluster(2)
    tasks = list(specs(submit(scheduler, PARTITIONED, {1: 2, 2: 2})))
    error = DivisionByZero("division by zero")
    instructions = scheduler.handle(TaskEnded(tasks[0], error))
    assert {i.node for i in instructions if isinstance(i, CancelTasks)} == {"w1", "w2", COORDINATOR}
    assert [i for i in instructions if isinstance(i, QueryFailed)] == [QueryFailed("q", error)]
    for task in tasks[1:]:
        assert scheduler.handle(TaskEnded(task, QueryCanceled("canceled"))) == []
    assert len(scheduler.handle(QueryReleased("q"))) == 3


def test_cancel_before_and_after_the_end() -> None:
    scheduler = cluster(1)
    stop = QueryStopped("q", QueryCanceled("canceling statement due to user request"))
    assert scheduler.handle(stop) == []
    task, = specs(submit(scheduler, (Fragment(0, scan(A, 1), "source"),), {1: 1}))
    assert [type(i) for i in scheduler.handle(stop)] == [CancelTasks, QueryFailed]
    assert scheduler.handle(stop) == []
    assert scheduler.handle(TaskEnded(task)) == []


def test_a_lost_worker_fails_only_the_queries_it_worked_for() -> None:
    scheduler = cluster(2)
    one = Fragment(0, scan(A, 1), "source")
    ids = {}
    for number in range(20):
        query_id = f"q{number}"
        (_, (node, _)), = specs(submit(scheduler, (one,), {1: 1}, query_id)).items()
        ids[query_id] = node
    assert set(ids.values()) == {"w1", "w2"}
    failed = {i.query_id: i.error for i in scheduler.handle(WorkerLost("w1", "killed")) if isinstance(i, QueryFailed)}
    assert set(failed) == {q for q, node in ids.items() if node == "w1"}
    assert all(isinstance(e, WorkerLostError) and e.retryable and e.sqlstate == "58000" for e in failed.values())
    assert [node.name for node in scheduler.workers] == ["w2"]
    assert {node for node, _ in specs(submit(scheduler, (one,), {1: 5}, "after")).values()} == {"w2"}


def test_a_finished_query_does_not_mind_a_lost_worker() -> None:
    scheduler = cluster(2)
    tasks = list(specs(submit(scheduler, PARTITIONED, {1: 2, 2: 2})))
    assert [i for task in tasks for i in scheduler.handle(TaskEnded(task)) if isinstance(i, QueryFinished)]
    assert scheduler.handle(WorkerLost("w1")) == []


def test_a_leaving_worker_gets_nothing_new() -> None:
    scheduler = cluster(2)
    scheduler.handle(WorkerLeaving("w2"))
    assert {node for node, _ in specs(submit(scheduler, PARTITIONED, {1: 9, 2: 9})).values()} == {"w1", COORDINATOR}


def test_no_workers_is_an_error_not_a_wait() -> None:
    failed, = submit(cluster(0), PARTITIONED, {1: 1, 2: 1})
    assert isinstance(failed, QueryFailed) and isinstance(failed.error, InsufficientResources)


def test_a_partitioned_filter_waits_for_all_builders() -> None:
    scheduler = cluster(2)
    started = specs(submit(scheduler, PARTITIONED, {1: 2, 2: 2}))
    builders = [t for t in started if t.fragment_id == 2]
    assert all(started[t][1].publishes == (9,) for t in builders)
    assert scheduler.handle(FilterPublished(builders[1], 9, b"second")) == []
    sent, = scheduler.handle(FilterPublished(builders[0], 9, b"first"))
    assert sent == SendFilter(tuple(dict.fromkeys(started[t][0] for t in started if t.fragment_id == 0)), "q", 9,
                              (b"first", b"second"))
    assert scheduler.handle(FilterPublished(builders[0], 9, b"again")) == []


def test_a_filter_that_will_not_come_is_said_so() -> None:
    scheduler = cluster(2)
    builders = [t for t in specs(submit(scheduler, PARTITIONED, {1: 2, 2: 2})) if t.fragment_id == 2]
    assert scheduler.handle(FilterPublished(builders[0], 9, b"first")) == []
    sent, = scheduler.handle(TaskEnded(builders[1]))
    assert isinstance(sent, SendFilter) and sent.keys == ()


def test_a_broadcast_filter_used_in_its_own_fragment_stays_in_the_task() -> None:
    started = specs(submit(cluster(2), BROADCAST, {1: 4, 2: 2}))
    assert all(spec.publishes == () for _, spec in started.values())
    elsewhere = (Fragment(0, scan(C, 3, 9), "source", "hash", (3,)), Fragment(1, scan(B, 2), "source", "broadcast"),
                 Fragment(2, join(remote(0, A), remote(1, B), "broadcast", 9), "hash", "gather", (), (0, 1)))
    scheduler = cluster(2)
    builders = [t for t in specs(submit(scheduler, elsewhere, {3: 2, 2: 2})) if t.fragment_id == 2]
    sent, = scheduler.handle(FilterPublished(builders[0], 9, b"all"))
    assert isinstance(sent, SendFilter) and sent.keys == (b"all",)
    assert scheduler.handle(FilterPublished(builders[1], 9, b"all")) == []


@pytest.mark.parametrize(("sizes", "tasks"), [
    ([1] * 10, 3), ([100, 1, 1, 1], 2), ([], 2), ([5], 1), ([3, 1, 4, 1, 5, 9, 2, 6], 4)])
def test_splits_are_divided_evenly_and_completely(sizes: list[int], tasks: int) -> None:
    given = [Split({"n": n}, size_bytes=size) for n, size in enumerate(sizes)]
    shares = divide(given, tasks)
    assert len(shares) == tasks and sorted(s.state["n"] for share in shares for s in share) == list(range(len(sizes)))
    assert all([s.state["n"] for s in share] == sorted(s.state["n"] for s in share) for share in shares)
    if sizes:
        ideal = max(max(sizes), sum(sizes) / tasks)
        assert max(sum(weight(s) for s in share) for share in shares) <= 4 / 3 * ideal
    assert divide(given, tasks) == shares


def test_equal_splits_stay_with_their_neighbours() -> None:
    assert [[s.state["n"] for s in share] for share in divide(splits(6), 2)] == [[0, 1, 2], [3, 4, 5]]


def test_queries_start_on_different_workers() -> None:
    first = {rotate(["a", "b", "c"], f"q{n}")[0] for n in range(30)}
    assert first == {"a", "b", "c"} and rotate([], "q") == []
