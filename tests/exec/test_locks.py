"""Locks: first come first served, time-outs, circles, and what is held after a rollback to a savepoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

import pytest

from shoal.catalog.errors import DeadlockDetected, LockNotAvailable
from shoal.exec.locks import Locks

T, U = ("memory", "public", "t"), ("memory", "public", "u")


def in_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """A test that is a coroutine, in an event loop of its own."""
    @wraps(test)
    def run() -> None:
        asyncio.run(test())
    return run


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@in_loop
async def test_who_waits_gets_it_in_turn() -> None:
    locks = Locks()
    assert not await locks.acquire("a", [T]) and not await locks.acquire("a", [T])
    second, third = (asyncio.create_task(locks.acquire(who, [T])) for who in "bc")
    await settled()
    assert not second.done() and not third.done()
    locks.release("a")
    assert await second and not third.done()
    locks.release("b")
    assert await third
    locks.release("c")
    assert not await locks.acquire("a", [T])


@in_loop
async def test_time_out_and_cancelling_leave_the_queue() -> None:
    locks = Locks()
    await locks.acquire("a", [T])
    with pytest.raises(LockNotAvailable, match="lock timeout"):
        await locks.acquire("b", [T], 0.01)
    waiting = asyncio.create_task(locks.acquire("c", [T]))
    await settled()
    waiting.cancel()
    await settled()
    locks.release("a")
    assert not await locks.acquire("d", [T])


@in_loop
async def test_circles_are_seen_at_once() -> None:
    locks = Locks()
    await locks.acquire("a", [T])
    await locks.acquire("b", [U])
    waiting = asyncio.create_task(locks.acquire("a", [U]))
    await settled()
    with pytest.raises(DeadlockDetected, match="deadlock detected"):
        await locks.acquire("b", [T])
    locks.release("b")
    assert await waiting
    assert locks.held("a") == {T, U}


@in_loop
async def test_release_keeps_what_a_savepoint_held() -> None:
    locks = Locks()
    await locks.acquire("a", [T])
    before = locks.held("a")
    await locks.acquire("a", [U])
    locks.release("a", before)
    assert locks.held("a") == {T} and not await locks.acquire("b", [U])


@in_loop
async def test_a_turn_that_comes_while_one_is_stopped_is_not_lost() -> None:
    locks = Locks()
    await locks.acquire("a", [T])
    waiting = asyncio.create_task(locks.acquire("b", [T]))
    await settled()
    locks.release("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert locks.held("b") == {T}
    locks.release("b")
    assert not await locks.acquire("c", [T])
