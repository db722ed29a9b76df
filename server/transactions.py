"""The transaction state of one session: what PostgreSQL allows when. What was written is kept by the engine
(exec/transactions.py).

A transaction here is what clients can observe of one: its status letter, read-only mode, settings that roll back,
savepoints, and the failed state in which nothing but its end is accepted.

Pure. Spec: PostgreSQL 15 documentation, BEGIN, COMMIT, SAVEPOINT; 55.2.2.1 for implicit blocks of query strings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shoal.catalog.errors import InFailedTransaction, NoActiveTransaction, SqlError
from shoal.server.settings import SessionSettings, Snapshot


class UndefinedSavepoint(SqlError, code="3B001"): ...


@dataclass(frozen=True, slots=True)
class Savepoint:
    """`mark` is what the session needs to go back to it (its portals and what waits for the commit)."""

    name: str
    settings: Snapshot
    mark: Any
    data: Any = None
    """The engine's savepoint: what was written until then."""


@dataclass(slots=True)
class Transaction:
    """`block`: inside BEGIN; `implicit_block`: inside a query string of several statements."""

    settings: SessionSettings
    block: bool = False
    implicit_block: bool = False
    failed: bool = False
    wrote: bool = False
    """A statement of the transaction has changed data: its end has something to do."""
    defined: bool = False
    """One has changed what names mean."""
    acted: bool = False
    """Some statement has run that was not answered at once, and may have left something to its end."""
    queried: bool = False
    """A query has run in it: its isolation level can no longer change."""
    pipelined: bool = False
    """An Execute has run in this implicit transaction: what must stand alone can no longer come."""
    started_us: int = 0
    _begun: Snapshot | None = None
    _savepoints: list[Savepoint] = field(default_factory=list)

    @property
    def status(self) -> str:
        """ReadyForQuery's letter."""
        return "E" if self.failed else "T" if self.block else "I"

    @property
    def active(self) -> bool:
        """Between the first statement and the end of its transaction, explicit or not."""
        return self._begun is not None

    def start(self, now_us: int) -> None:
        """A statement begins: unless one is open, so does its transaction."""
        if self._begun is None:
            self._begun, self.started_us = self.settings.snapshot(), now_us

    def begin(self) -> bool:
        """BEGIN. False: there was a block already (a WARNING)."""
        if self.block:
            return False
        self.block = True
        return True

    def fail(self) -> None:
        """A statement raised an error: a block stays, failed, its settings already as before (or as at its last
        savepoint); anything else is rolled back at its end."""
        if self.block and not self.failed:
            self.failed = True
            before = self._savepoints[-1].settings if self._savepoints else self._begun
            if before is not None:
                self.settings.restore(before)

    def check(self) -> None:
        """Raises: InFailedTransaction (25P02)."""
        if self.failed:
            raise InFailedTransaction("current transaction is aborted, commands ignored until end of transaction block")

    def finish(self, committed: bool) -> bool:
        """The transaction ends. Gives whether it was committed: a failed one never is."""
        committed = committed and not self.failed
        if self._begun is not None and not committed:
            self.settings.restore(self._begun)
        self.settings.end_local()
        self.block = self.failed = self.wrote = self.defined = self.queried = self.acted = self.pipelined = False
        self._begun = None
        self._savepoints.clear()
        return committed

    def require_block(self, what: str, *, implicit: bool = True) -> None:
        """Raises: NoActiveTransaction (25P01) outside a block."""
        if not self.block and not (implicit and self.implicit_block):
            raise NoActiveTransaction(f"{what} can only be used in transaction blocks")

    def savepoint(self, name: str, mark: Any = None, data: Any = None) -> None:
        self.require_block("SAVEPOINT", implicit=False)
        self._savepoints.append(Savepoint(name, self.settings.snapshot(), mark, data))

    @property
    def last_mark(self) -> Any:
        """The engine's savepoint that an error goes back to; None: the begin of the transaction."""
        return self._savepoints[-1].data if self._savepoints else None

    def release(self, name: str) -> None:
        self.require_block("RELEASE SAVEPOINT", implicit=False)
        del self._savepoints[self._find(name):]

    def rollback_to(self, name: str) -> Any:
        """The failed state goes too. Gives the savepoint's mark. Raises: 3B001 for an unknown savepoint."""
        self.require_block("ROLLBACK TO SAVEPOINT", implicit=False)
        index = self._find(name)
        self.settings.restore(self._savepoints[index].settings)
        del self._savepoints[index + 1:]
        self.failed = False
        return self._savepoints[index].mark

    def _find(self, name: str) -> int:
        for index in range(len(self._savepoints) - 1, -1, -1):
            if self._savepoints[index].name == name:
                return index
        raise UndefinedSavepoint(f'savepoint "{name}" does not exist')
