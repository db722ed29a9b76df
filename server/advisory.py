"""Advisory locks: numbers that sessions of one server lock for each other, by session or by transaction.

One event loop holds all of it, so there are no locks below these. A wait is a future; a session that is cancelled or
leaves gives up its place.

Spec: PostgreSQL 15 documentation, 13.3.5 "Advisory Locks", 9.27.10.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

Key = tuple[int, ...]
"""One int8, or two int4: the two spaces do not meet."""


_Hold = tuple[Hashable, bool, bool]


@dataclass(slots=True)
class _Lock:
    """`held` counts how often each owner holds it, by (owner, shared, until the transaction's end)."""

    held: dict[_Hold, int] = field(default_factory=dict)
    waiting: deque[tuple[_Hold, asyncio.Future[None]]] = field(default_factory=deque)
    """Those who wait, longest first, with what they are to have."""

    def allows(self, owner: Hashable, shared: bool) -> bool:
        return all(other == owner or (shared and theirs) for other, theirs, _ in self.held)


class AdvisoryLocks:
    """All advisory locks of a server. Owners are anything hashable, one per session."""

    def __init__(self) -> None:
        self._locks: dict[Key, _Lock] = {}

    def held_and_awaited(self) -> list[tuple[Hashable, Key, bool, bool]]:
        """(owner, key, shared, granted) of every lock that is held or waited for."""
        found = []
        for key, lock in list(self._locks.items()):
            found += [(owner, key, shared, True) for owner, shared in dict.fromkeys(held[:2] for held in list(lock.held))]
            found += [(owner, key, shared, False) for (owner, shared, _), _ in list(lock.waiting)]
        return found

    def try_lock(self, owner: Hashable, key: Key, *, shared: bool = False, transaction: bool = False) -> bool:
        """Takes the lock unless another owner's hold forbids it."""
        lock = self._locks.setdefault(key, _Lock())
        holds = any(other == owner for other, _, _ in lock.held)
        if not lock.allows(owner, shared) or (lock.waiting and not holds):
            return False
        held = owner, shared, transaction
        lock.held[held] = lock.held.get(held, 0) + 1
        return True

    async def lock(self, owner: Hashable, key: Key, *, shared: bool = False, transaction: bool = False) -> None:
        """Takes the lock, after those who have waited longer."""
        if self.try_lock(owner, key, shared=shared, transaction=transaction):
            return
        lock, hold = self._locks[key], (owner, shared, transaction)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lock.waiting.append((hold, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if (hold, granted) in lock.waiting:
                lock.waiting.remove((hold, granted))
                self._wake(key)
            else:  # granted just before
                self._give_back(key, hold)
            raise

    def unlock(self, owner: Hashable, key: Key, *, shared: bool = False) -> bool:
        """Gives back one hold of the session. False: it has none."""
        hold = owner, shared, False
        if key not in self._locks or hold not in self._locks[key].held:
            return False
        self._give_back(key, hold)
        return True

    def _give_back(self, key: Key, hold: _Hold) -> None:
        held = self._locks[key].held
        held[hold] -= 1
        if not held[hold]:
            del held[hold]
            self._wake(key)

    def release(self, owner: Hashable, *, transaction: bool | None = None) -> None:
        """Gives back everything the owner holds by transaction (True), by session (False), or both (None)."""
        for key, lock in list(self._locks.items()):
            mine = [held for held in lock.held if held[0] == owner and transaction in (None, held[2])]
            for held in mine:
                del lock.held[held]
            if mine:
                self._wake(key)

    def _wake(self, key: Key) -> None:
        """Gives the lock to those at the head of the queue whom nothing forbids it any more."""
        lock = self._locks[key]
        while lock.waiting and lock.allows(*lock.waiting[0][0][:2]):
            hold, granted = lock.waiting.popleft()
            if not granted.done():
                lock.held[hold] = lock.held.get(hold, 0) + 1
                granted.set_result(None)
        if not lock.held and not lock.waiting:
            del self._locks[key]
