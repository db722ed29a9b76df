"""The exchange buffer, one event at a time."""

from __future__ import annotations

import random

import pytest

from shoal.catalog.errors import DivisionByZero, ProtocolViolation
from shoal.exec.exchange.buffer import InputQueue, OutputBuffer, Page


def page(size: int = 10) -> Page:
    return Page((), size, size)


def test_pages_come_in_order_and_within_credit() -> None:
    buffer = OutputBuffer(2, 100)
    for size in (10, 20, 30):
        buffer.add(1, page(size))
    assert buffer.read(0, 0, 100).pages == ()
    reading = buffer.read(1, 0, 30)
    assert [p.size_bytes for p in reading.pages] == [10, 20] and not reading.ended
    assert [p.size_bytes for p in buffer.read(1, 2, 1).pages] == [30]  # at least one, whatever the credit
    buffer.finish()
    assert buffer.read(1, 2, 1).ended
    assert buffer.read(1, 3, 1).ended and buffer.read(1, 3, 1).pages == ()


def test_unacknowledged_pages_can_be_read_again() -> None:
    buffer = OutputBuffer(1, 100)
    for _ in range(3):
        buffer.add(0, page())
    assert len(buffer.read(0, 0, 100).pages) == 3
    assert len(buffer.read(0, 0, 100).pages) == 3
    assert buffer.retained_bytes == 30
    assert len(buffer.read(0, 2, 100).pages) == 1
    assert buffer.retained_bytes == 10
    with pytest.raises(ProtocolViolation):
        buffer.read(0, 1, 100)
    with pytest.raises(ProtocolViolation):
        buffer.read(0, 4, 100)
    with pytest.raises(ProtocolViolation):
        buffer.read(1, 0, 100)


def test_full_until_acknowledged() -> None:
    buffer = OutputBuffer(1, 25)
    buffer.add(0, page())
    buffer.add(0, page())
    assert not buffer.full
    buffer.add(0, page())
    assert buffer.full
    buffer.read(0, 1, 100)
    assert not buffer.full


def test_shared_pages_are_counted_once_and_kept_for_the_slowest() -> None:
    buffer = OutputBuffer(3, 1000, shared=True)
    buffer.add(0, page())
    buffer.add(0, page())
    assert buffer.retained_bytes == 20
    for partition in range(3):
        assert len(buffer.read(partition, 0, 100).pages) == 2
    buffer.acknowledge(0, 2)
    buffer.acknowledge(1, 1)
    assert buffer.retained_bytes == 20
    buffer.close(2)
    assert buffer.retained_bytes == 10
    buffer.finish()
    assert not buffer.drained
    buffer.acknowledge(1, 2)
    assert buffer.drained and buffer.retained_bytes == 0


def test_abandoned_when_every_consumer_has_closed() -> None:
    buffer = OutputBuffer(2, 15)
    buffer.add(0, page())
    buffer.add(1, page())
    buffer.close(0)
    assert buffer.retained_bytes == 10 and not buffer.abandoned
    buffer.add(0, page())
    assert buffer.retained_bytes == 10
    buffer.close(1)
    buffer.close(1)
    assert buffer.abandoned and buffer.retained_bytes == 0
    assert buffer.read(1, 0, 10).ended


def test_abort_reaches_consumers_typed() -> None:
    buffer = OutputBuffer(1, 100)
    buffer.add(0, page())
    buffer.abort(DivisionByZero("division by zero"))
    buffer.finish()
    reading = buffer.read(0, 0, 100)
    assert reading.ended and isinstance(reading.error, DivisionByZero) and buffer.retained_bytes == 0


def test_input_queue_takes_each_page_once() -> None:
    queue = InputQueue(25)
    assert queue.credit_bytes == 25 and queue.take() is None
    assert queue.put(0, page()) and not queue.put(0, page())
    with pytest.raises(ProtocolViolation):
        queue.put(2, page())
    assert queue.put(1, page()) and queue.put(2, page())
    assert queue.credit_bytes == 0 and queue.next_sequence == 3
    queue.end(DivisionByZero("x"))
    assert [queue.take() for _ in range(3)] == [page()] * 3
    assert queue.credit_bytes == 25
    with pytest.raises(DivisionByZero):
        queue.take()


@pytest.mark.parametrize("seed", range(20))
def test_any_course_delivers_everything_once(seed: int) -> None:
    """Producer and consumers take random steps; connections break and ask again; nothing is lost or doubled."""
    random_ = random.Random(seed)
    shared = seed % 2 == 0
    partitions = random_.randint(1, 4)
    buffer = OutputBuffer(partitions, 50, shared=shared)
    queues = [InputQueue(40) for _ in range(partitions)]
    expected: list[list[int]] = [[] for _ in range(partitions)]
    got: list[list[int]] = [[] for _ in range(partitions)]
    left = 60
    for _ in range(100_000):
        step = random_.randrange(3)
        if step == 0 and left and not buffer.full:
            target, size = random_.randrange(partitions), random_.randint(1, 30)
            buffer.add(0 if shared else target, Page((), left, size))
            for partition in range(partitions) if shared else [target]:
                expected[partition].append(left)
            left -= 1
            if not left:
                buffer.finish()
        elif step == 1:
            partition = random_.randrange(partitions)
            queue = queues[partition]
            if queue.credit_bytes and not queue.ended:
                reading = buffer.read(partition, queue.next_sequence, queue.credit_bytes)
                arrived = reading.pages[:random_.randint(0, len(reading.pages))]  # the rest is lost with the connection
                for offset, came in enumerate(arrived):
                    queue.put(reading.first + offset, came)
                if reading.ended and len(arrived) == len(reading.pages):
                    queue.end()
        else:
            partition = random_.randrange(partitions)
            taken = queues[partition].take()
            if taken is not None:
                got[partition].append(taken.rows)
        assert buffer.retained_bytes <= 50 + 30
        if all(queue.exhausted for queue in queues):
            break
    assert got == expected
