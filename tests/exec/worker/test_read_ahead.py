"""A source that waits, read by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from shoal.catalog.errors import ConnectionFailure, QueryCanceled
from shoal.exec.batch import BLOCKED, Batch
from shoal.exec.worker import read_ahead
from shoal.exec.worker.read_ahead import ReadAhead


def batch(number: int) -> Batch:
    return Batch.of([pa.array([number] * 100)])


def drain(reader: ReadAhead, woken: threading.Event) -> list[int]:
    found = []
    for item in reader.batches():
        if isinstance(item, Batch):
            found.append(item.array(0)[0].as_py())
        else:
            assert item is BLOCKED and woken.wait(5)
            woken.clear()
    return found


def test_batches_arrive_in_order() -> None:
    woken = threading.Event()
    assert drain(ReadAhead((batch(n) for n in range(50)), woken.set, "t"), woken) == list(range(50))


def test_errors_arrive_after_the_batches() -> None:
    def source() -> Iterator[Batch]:
        yield batch(1)
        raise ConnectionFailure("gone")

    woken = threading.Event()
    reader = ReadAhead(source(), woken.set, "t")
    with pytest.raises(ConnectionFailure):
        drain(reader, woken)


def test_the_queue_is_bounded_and_stopping_closes_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "CAPACITY_BYTES", 2_000)
    given, closed = [], threading.Event()

    def source() -> Iterator[Batch]:
        try:
            for number in range(1_000):
                given.append(number)
                yield batch(number)
        finally:
            closed.set()

    reader = ReadAhead(source(), lambda: None, "t")
    time.sleep(0.1)
    assert 2 <= len(given) <= 5
    batches = reader.batches()
    assert isinstance(next(batches), Batch)
    batches.close()  # type: ignore[attr-defined]
    assert closed.wait(1) and len(given) < 10


def test_a_source_that_hangs_is_interrupted() -> None:
    hung, interrupted, threads = threading.Event(), threading.Event(), []

    def source() -> Iterator[Batch]:
        threads.append(threading.get_ident())
        hung.set()
        interrupted.wait(5)
        raise QueryCanceled("canceled")
        yield batch(1)

    def interrupt(thread_id: int) -> None:
        assert thread_id == threads[0]
        interrupted.set()

    reader = ReadAhead(source(), lambda: None, "t", interrupt)
    assert hung.wait(5)
    started = time.monotonic()
    reader.stop()
    reader.stop()
    assert time.monotonic() - started < 0.5 and interrupted.wait(1)
