"""The engine with real worker processes: statements from SQL to rows, errors, cancel, killed workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.errors import (
    DivisionByZero,
    DuplicateTable,
    OutOfMemory,
    QueryCanceled,
    SqlError,
    UndefinedTable,
    WorkerLost,
)
from shoal.exec import engine
from shoal.exec.worker.context import RunningTask
from tests.exec.cluster import Cluster

ROWS = 300_000
GROUPS = ("red", "green", "blue")
SLOW = "select count(*) from nums a, nums b, nums c where a.k + b.k + c.k = 7"
"""Far more work than any test waits for."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table large enough for several splits and a small one."""
    path = tmp_path_factory.mktemp("files")
    numbers = list(range(ROWS))
    table = pa.table({"k": pa.array(numbers, pa.int64()), "g": [GROUPS[n % 3] for n in numbers],
                      "amount": pa.array([Decimal(n) / 100 for n in numbers], pa.decimal128(12, 2))})
    pq.write_table(table, path / "nums.parquet", row_group_size=ROWS // 10)
    pq.write_table(pa.table({"name": list(GROUPS), "code": [1, 2, 3]}), path / "colors.parquet")
    return path


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    with Cluster([("files", str(folder))], workers=2, database="files") as running:
        yield running


def eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tasks_running(cluster: Cluster) -> int:
    return sum(row["tasks"] for row in cluster.engine.history.nodes())


def test_select_without_a_table(cluster: Cluster) -> None:
    assert cluster.rows("select 1, 'x', 1.50") == [(1, "x", Decimal("1.50"))]
    assert cluster.tag("select 1 where false") == "SELECT 0"


def test_scan_and_aggregate(cluster: Cluster) -> None:
    assert cluster.rows("select count(*), sum(k), min(amount), max(g) from nums") == [
        (ROWS, Decimal(sum(range(ROWS))), Decimal("0.00"), "red")]
    rows = cluster.rows("select k, g from nums where k % 1000 = 3 order by k desc")
    assert rows == [(k, GROUPS[k % 3]) for k in range(ROWS - 997, 0, -1000)]
    assert cluster.tag("select k from nums") == f"SELECT {ROWS}"


def test_join_and_group(cluster: Cluster) -> None:
    rows = cluster.rows("select c.code, count(*) from nums n join colors c on n.g = c.name group by c.code order by 1")
    assert rows == [(code + 1, sum(1 for n in range(ROWS) if n % 3 == code)) for code in range(3)]
    assert cluster.rows("select count(*) from nums a join nums b on a.k = b.k + 1") == [(ROWS - 1,)]


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_and_seven_row_batches(folder: Path, workers: int) -> None:
    with Cluster([("files", str(folder))], workers=workers, database="files", batch_rows=7) as small:
        query = "select g, count(*), sum(a.k) from nums a join colors on g = name where a.k < 3000 group by g order by g"
        rows = small.rows(query)
        assert rows == [(g, 1000, Decimal(sum(k for k in range(3000) if GROUPS[k % 3] == g))) for g in sorted(GROUPS)]


def test_parameters(cluster: Cluster) -> None:
    assert cluster.rows("select count(*) from nums where k < $1 and g = $2", [30, "red"]) == [(10,)]


def test_user_errors_come_back_typed_and_the_engine_goes_on(cluster: Cluster) -> None:
    with pytest.raises(DivisionByZero):
        cluster.rows("select sum(100 / (k - 20000)) from nums")
    with pytest.raises(UndefinedTable):
        cluster.rows("select * from nothing")
    assert cluster.rows("select count(*) from nums") == [(ROWS,)]
    eventually(lambda: tasks_running(cluster) == 0)


def test_limit_stops_its_producers(cluster: Cluster) -> None:
    assert len(cluster.rows("select a.k from nums a, nums b limit 10")) == 10
    eventually(lambda: tasks_running(cluster) == 0)


def test_cancel_stops_everything_within_a_second(cluster: Cluster) -> None:
    execution = cluster.start(SLOW)
    failed: list[SqlError] = []

    def read() -> None:
        try:
            cluster.read(execution)
        except SqlError as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    started = time.monotonic()
    cluster.call(execution.cancel())
    reader.join(5)
    assert isinstance(failed[0], QueryCanceled)
    eventually(lambda: tasks_running(cluster) == 0)
    assert cluster.rows("select count(*) from colors") == [(3,)]
    assert time.monotonic() - started < 1.5


def test_a_result_that_nobody_reads_is_held_back(cluster: Cluster) -> None:
    execution = cluster.start("select a.k, b.g from nums a, nums b")
    time.sleep(0.5)
    held = sum(report["bytes"] for report in cluster.engine.history.tasks() if report["query_id"] == execution.query_id)
    assert held < 500 << 20
    cluster.call(execution.close())
    eventually(lambda: tasks_running(cluster) == 0)


def test_a_killed_worker_fails_its_queries_fast_and_is_replaced(folder: Path) -> None:
    with Cluster([("files", str(folder))], workers=2, database="files") as cluster:
        execution = cluster.start(SLOW)
        time.sleep(0.3)
        victim = next(row["node_id"] for row in cluster.engine.history.tasks()
                      if row["query_id"] == execution.query_id and row["node_id"] != "coordinator" and row["ended"] is None)
        pid = cluster.engine.local_pids[victim]
        started = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost) as raised:
            cluster.read(execution)
        assert time.monotonic() - started < 2
        assert raised.value.sqlstate == "58000" and victim in str(raised.value)
        assert cluster.rows("select count(*) from nums") == [(ROWS,)]
        eventually(lambda: cluster.engine.workers == 2)
        assert cluster.engine.local_pids[victim] != pid
        assert cluster.rows("select count(*) from nums a join nums b on a.k = b.k") == [(ROWS,)]


def test_workers_go_when_the_coordinator_goes(folder: Path) -> None:
    with Cluster([("files", str(folder))], workers=2) as cluster:
        pids = list(cluster.engine.local_pids.values())
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def test_create_fill_and_drop_a_table(cluster: Cluster) -> None:
    assert cluster.tag("create table copy as select k, g from nums where k < 100") == "SELECT 100"
    with pytest.raises(DuplicateTable):
        cluster.rows("create table copy as select 1 as x")
    assert cluster.tag("insert into copy select k, g from nums where k between 100 and 149") == "INSERT 0 50"
    assert cluster.rows("select count(*), count(distinct g) from copy") == [(150, 3)]
    assert cluster.rows("select count(*) from copy c join nums n on c.k = n.k") == [(150,)]
    assert cluster.tag("delete from copy where k >= 10") == "DELETE 140"
    assert cluster.tag("truncate copy") == "TRUNCATE TABLE"
    assert cluster.rows("select * from copy") == []
    assert cluster.tag("drop table copy") == "DROP TABLE"
    with pytest.raises(UndefinedTable):
        cluster.rows("select * from copy")
    with pytest.raises(DivisionByZero):
        cluster.rows("create table broken as select 1 / (k - 5) as x from nums")
    with pytest.raises(UndefinedTable):
        cluster.rows("select * from broken")


def test_explain_analyze_tells_what_each_task_did(cluster: Cluster) -> None:
    text = "\n".join(row[0] for row in cluster.rows("explain select count(*) from nums"))
    assert "Scan" in text and "Fragment" in text
    text = "\n".join(row[0] for row in cluster.rows("explain analyze select g, count(*) from nums group by g"))
    assert "worker-1" in text and "worker-2" in text and "Execution Time" in text and f"rows={ROWS}" in text
    (document,), = cluster.rows("explain (analyze, format json) select count(*) from nums")
    parsed: Any = json.loads(document)
    assert parsed[0]["Execution Time"] > 0


def test_runtime_tables(cluster: Cluster) -> None:
    cluster.rows("select count(*) from nums where g = 'red'")
    nodes = cluster.rows("select node_id, kind, pid from system.runtime.nodes order by 1")
    assert [n[:2] for n in nodes] == [("coordinator", "coordinator"), ("worker-1", "worker"), ("worker-2", "worker")]
    assert nodes[0][2] == os.getpid()
    query = "select state, rows from system.runtime.queries where query like '%''red''' order by started desc"
    state, rows = cluster.rows(query)[0]
    assert (state, rows) == ("finished", 1)
    assert cluster.rows("select count(*) > 1 from system.runtime.tasks where state = 'finished'") == [(True,)]


def test_many_queries_at_once(cluster: Cluster) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(3):
                assert cluster.rows(f"select count(*) from nums where k % 10 = {number}") == [(ROWS // 10,)]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_task_offers_what_operators_ask_for() -> None:
    from shoal.exec.operators.base import TaskContext
    assert all(hasattr(RunningTask, name) for name in vars(TaskContext) if not name.startswith("_"))


@pytest.mark.parametrize("statement", [
    "select count(*) from (select k, count(*) from nums group by k) x",
    "select count(*) from nums a join nums b on a.amount = b.amount and a.g = b.g",
    "select k from nums order by amount desc, g offset 299999",
    "select k from nums order by amount desc, g limit 200000",
    "select max(r) from (select row_number() over (partition by g order by amount) as r from nums) x",
    "select length(string_agg(g, ',')) from nums",
    "select max(cardinality(a)) from (select k % 1000, array_agg(k) as a from nums group by 1) x",
    "select count(distinct amount) from nums",
    "create table too_much as select * from nums",
    "select count(*) from (select g, count(*) from generate_series(1, 2000000) g group by g) x"])
def test_a_query_beyond_its_memory_fails_alone(small: Cluster, statement: str) -> None:
    pids = dict(small.engine.local_pids)
    with pytest.raises(OutOfMemory) as raised:
        small.rows(statement)
    assert raised.value.sqlstate == "53200" and raised.value.hint
    assert small.rows("select count(*) from nums") == [(ROWS,)]
    assert small.engine.local_pids == pids


@pytest.fixture(scope="module")
def small(folder: Path) -> Iterator[Cluster]:
    with Cluster([("files", str(folder))], workers=2, database="files", memory_bytes=4 << 20) as running:
        yield running


def test_a_session_can_ask_for_less_memory_but_not_for_more(cluster: Cluster, small: Cluster) -> None:
    query = "select count(*) from (select k, count(*) from nums group by k) x"
    assert cluster.rows(query) == [(ROWS,)]
    for one, size in ((cluster, "2MB"), (small, "1GB")):
        with pytest.raises(OutOfMemory):
            one.rows(query, session=one.session_with({"shoal.query_memory": size}))


def test_a_series_is_never_held_as_a_whole(cluster: Cluster) -> None:
    assert cluster.rows("select * from generate_series(1, 10000000000) limit 3") == [(1,), (2,), (3,)]
    assert cluster.rows("select n, g from (values (2), (0), (3)) v(n), generate_series(1, n) g order by 1, 2") == [
        (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)]
    started = time.monotonic()
    execution = cluster.start("select count(*) from generate_series(1, 100000000000) g where g % 7 = 0")
    threading.Timer(0.2, lambda: cluster.call(execution.cancel())).start()
    with pytest.raises(QueryCanceled):
        cluster.read(execution)
    eventually(lambda: tasks_running(cluster) == 0)
    assert time.monotonic() - started < 1.5


def test_the_coordinator_gives_memory_back_when_idle(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed = threading.Event()
    monkeypatch.setattr(engine, "TRIM_AFTER_S", 0.05)
    monkeypatch.setattr(engine, "trim", trimmed.set)
    eventually(lambda: cluster.engine._trimming is None)
    cluster.rows("select 1")
    assert trimmed.wait(2)


def test_no_worker_outlives_a_killed_coordinator() -> None:
    script = ("import asyncio\nfrom shoal.catalog.registry import Catalogs\nfrom shoal.exec.engine import Engine\n"
              "async def main():\n    engine = Engine(Catalogs())\n    await engine.start()\n"
              "    print(*engine.local_pids.values(), flush=True)\n    await asyncio.sleep(60)\nasyncio.run(main())")
    coordinator = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert coordinator.stdout is not None
    pids = [int(pid) for pid in coordinator.stdout.readline().split()]
    assert len(pids) == 2 and all(Path(f"/proc/{pid}").exists() for pid in pids)
    coordinator.kill()
    coordinator.communicate()
    for pid in pids:
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())
