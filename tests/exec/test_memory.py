"""Memory accounts: a query's limit, and the process's, before which the query that holds most gives way."""

from __future__ import annotations

import pytest

from shoal.catalog.errors import OutOfMemory, SqlError
from shoal.exec.memory import QueryMemory, WorkerMemory


def test_a_query_has_a_limit() -> None:
    memory = QueryMemory(100)
    memory.reserve(1, 60)
    memory.reserve(2, 40)
    with pytest.raises(OutOfMemory) as raised:
        memory.reserve(2, 41)
    assert raised.value.hint and memory.held_bytes == 100
    memory.release(1)
    memory.reserve(2, 41)
    assert (memory.held_bytes, memory.peak_bytes) == (41, 100)


def test_no_query_may_hold_more_than_its_process() -> None:
    assert WorkerMemory(100).open(1 << 60, lambda error: None).limit_bytes == 100


def test_the_largest_query_gives_way() -> None:
    worker = WorkerMemory(100)
    evicted: list[SqlError] = []
    large, small = worker.open(100, evicted.append), worker.open(100, evicted.append)
    large.reserve(1, 80)
    small.reserve(2, 20)
    small.reserve(2, 30)  # goes on, as another will let go
    assert [error.sqlstate for error in evicted] == ["53200"]
    with pytest.raises(OutOfMemory):
        large.reserve(1, 81)
    large.release(1)
    large.close()
    small.reserve(2, 100)
    small.release(2)
    small.close()
    assert worker.held_bytes == 0
