"""Advisory locks: counted holds, shared and exclusive, waits in order, what a transaction's or session's end gives back."""

from __future__ import annotations

import asyncio

import pytest

from shoal.server.advisory import AdvisoryLocks

KEY = (7,)


def test_holds_are_counted() -> None:
    locks = AdvisoryLocks()
    assert locks.try_lock("a", KEY) and locks.try_lock("a", KEY)
    assert not locks.try_lock("b", KEY)
    assert locks.unlock("a", KEY) and not locks.try_lock("b", KEY)
    assert locks.unlock("a", KEY) and locks.try_lock("b", KEY)
    assert not locks.unlock("a", KEY)


def test_shared_holds_keep_only_exclusive_ones_out() -> None:
    locks = AdvisoryLocks()
    assert locks.try_lock("a", KEY, shared=True) and locks.try_lock("b", KEY, shared=True)
    assert not locks.try_lock("c", KEY)
    assert not locks.unlock("a", KEY) and locks.unlock("a", KEY, shared=True)
    assert locks.try_lock("b", KEY)  # its own shared hold is not in its way


def test_the_two_spaces_of_keys_do_not_meet() -> None:
    locks = AdvisoryLocks()
    assert locks.try_lock("a", (1, 2)) and locks.try_lock("b", (1 << 32 | 2,))


def test_a_transaction_gives_back_its_own() -> None:
    locks = AdvisoryLocks()
    locks.try_lock("a", KEY, transaction=True)
    locks.try_lock("a", (8,))
    assert not locks.unlock("a", KEY)  # not a session's hold
    locks.release("a", transaction=True)
    assert locks.try_lock("b", KEY) and not locks.try_lock("b", (8,))
    locks.release("a")
    assert locks.try_lock("b", (8,))


def test_waits_end_in_order() -> None:
    async def work() -> list[str]:
        locks, order = AdvisoryLocks(), []
        locks.try_lock("a", KEY)

        async def wait(owner: str) -> None:
            await locks.lock(owner, KEY)
            order.append(owner)
            locks.unlock(owner, KEY)

        async with asyncio.TaskGroup() as group:
            for owner in "bcd":
                group.create_task(wait(owner))
                await asyncio.sleep(0)
            assert not order
            locks.unlock("a", KEY)
        assert locks.try_lock("a", KEY)
        return order

    assert asyncio.run(work()) == ["b", "c", "d"]


def test_a_cancelled_wait_gives_up_its_place() -> None:
    async def work() -> None:
        locks = AdvisoryLocks()
        locks.try_lock("a", KEY)
        first = asyncio.get_running_loop().create_task(locks.lock("b", KEY))
        second = asyncio.get_running_loop().create_task(locks.lock("c", KEY))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        locks.unlock("a", KEY)
        await asyncio.wait_for(second, 1)
        assert not locks.try_lock("d", KEY)

    asyncio.run(work())
