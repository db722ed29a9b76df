"""Locks: which session may change which relation. They are held until the session's transaction ends.

Readers take none: they see the last committed version. A session that waits for one that waits for it, directly or through
others, gets an error at once (40P01). Lives in one event loop. Spec: PostgreSQL 15 documentation, 13.3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from shoal.catalog.errors import DeadlockDetected, LockNotAvailable

LockKey = tuple[str, str, str]
"""(catalog, schema, relation); relation "" is the schema itself."""


class Locks:
    """Exclusive locks by session token. First come, first served."""

    def __init__(self) -> None:
        self._holders: dict[LockKey, str] = {}
        self._held: dict[str, set[LockKey]] = {}
        self._queues: dict[LockKey, list[tuple[str, asyncio.Future[None]]]] = {}
        self._waits: dict[str, LockKey] = {}

    def held(self, session: str) -> frozenset[LockKey]:
        return frozenset(self._held.get(session, ()))

    async def acquire(self, session: str, keys: Iterable[LockKey], timeout_s: float = 0.0) -> bool:
        """Waits until the session holds all of `keys`; what it got stays held when that fails. True if it had to wait.

        Raises: DeadlockDetected (40P01); LockNotAvailable (55P03) after `timeout_s` seconds for one of them (0: never).
        """
        waited = False
        for key in sorted(set(keys)):
            holder = self._holders.setdefault(key, session)
            if holder != session:
                waited = True
                await self._wait(session, key, timeout_s)
            self._held.setdefault(session, set()).add(key)
        return waited

    async def _wait(self, session: str, key: LockKey, timeout_s: float) -> None:
        self._require_no_circle(session, key)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(key, [])
        queue.append((session, turn))
        self._waits[session] = key
        try:
            async with asyncio.timeout(timeout_s or None):
                await turn
        except TimeoutError:
            raise LockNotAvailable("canceling statement due to lock timeout") from None
        finally:
            self._waits.pop(session, None)
            if (session, turn) in queue:
                queue.remove((session, turn))
            if turn.done() and not turn.cancelled() and self._holders.get(key) == session:
                self._held.setdefault(session, set()).add(key)  # it came while we were being stopped

    def _require_no_circle(self, session: str, key: LockKey) -> None:
        waiting, chain = key, [(session, key)]
        while True:
            holder = self._holders[waiting]
            following = self._waits.get(holder)
            if holder == session:
                raise DeadlockDetected("deadlock detected", detail="\n".join(
                    f"Process {who} waits for ExclusiveLock on relation {'.'.join(filter(None, what))}; blocked by process "
                    f"{self._holders[what]}." for who, what in chain), hint="See server log for query details.")
            if following is None:
                return
            chain.append((holder, following))
            waiting = following

    def release(self, session: str, kept: Iterable[LockKey] = ()) -> None:
        """Lets go of all locks of the session but `kept`."""
        for key in self._held.pop(session, set()) - set(kept):
            queue = self._queues.get(key, [])
            while queue and queue[0][1].done():
                queue.pop(0)
            if queue:
                following, turn = queue.pop(0)
                self._holders[key] = following
                turn.set_result(None)
            else:
                self._queues.pop(key, None)
                del self._holders[key]
        if kept := set(kept):
            self._held[session] = kept
