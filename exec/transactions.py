"""What sessions have written and not committed yet: one place that brings the catalogs' versions and the locks together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shoal.catalog.registry import Catalogs
from shoal.catalog.session_catalogs import transactional
from shoal.exec.locks import LockKey, Locks


@dataclass(frozen=True, slots=True)
class Savepoint:
    """The state of a session's transaction: the catalogs' marks by name, and the locks it held."""

    marks: Mapping[str, object]
    locks: frozenset[LockKey]


class Transactions:
    """Lives in the engine's event loop; `in_thread` runs what may take long."""

    def __init__(self, catalogs: Catalogs, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._catalogs, self._in_thread = catalogs, in_thread
        self._locks = Locks()

    async def lock(self, session: str, keys: Iterable[LockKey], timeout_s: float = 0.0) -> bool:
        """Waits for the right to change these relations; gives whether there was anything to wait for.

        Raises: DeadlockDetected (40P01), LockNotAvailable (55P03).
        """
        return await self._locks.acquire(session, keys, timeout_s)

    def savepoint(self, session: str) -> Savepoint:
        return Savepoint({name: connector.mark(session) for name, connector in transactional(self._catalogs)},
                         self._locks.held(session))

    def rollback_to(self, session: str, savepoint: Savepoint | None) -> None:
        """Undoes what came after the savepoint; None: everything."""
        if savepoint is None:
            self.rollback(session)
            return
        for name, connector in transactional(self._catalogs):
            if name in savepoint.marks:
                connector.restore(session, savepoint.marks[name])
        self._locks.release(session, savepoint.locks)

    async def commit(self, session: str) -> None:
        """Raises: ForeignKeyViolation (23503) and its like for deferred constraints; everything is rolled back then."""
        try:
            for _, connector in transactional(self._catalogs):
                if connector.touched(session):
                    await self._in_thread(connector.commit, session)
        except BaseException:
            self.rollback(session)
            raise
        self._locks.release(session)

    def rollback(self, session: str) -> None:
        for _, connector in transactional(self._catalogs):
            connector.rollback(session)
        self._locks.release(session)

    def end_session(self, session: str) -> None:
        """Rolls back and drops the session's temporary tables."""
        for _, connector in transactional(self._catalogs):
            connector.end_session(session)
        self._locks.release(session)

    def drop_temporary(self, session: str) -> None:
        for _, connector in transactional(self._catalogs):
            connector.drop_temporary(session)

