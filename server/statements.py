"""The statements a session answers itself, each a small dataclass: server/grammar.py makes them, server/utility.py
runs them.

Spec: PostgreSQL 15 documentation, part VI, the reference page of each statement.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Utility:
    """Base of all statements handled by the session."""


@dataclass(frozen=True, slots=True)
class TransactionModes:
    """What BEGIN or SET TRANSACTION asked for; None is "not said"."""

    isolation: str | None = None
    read_only: bool | None = None
    deferrable: bool | None = None


@dataclass(frozen=True, slots=True)
class Begin(Utility):
    modes: TransactionModes
    tag: str = "BEGIN"


@dataclass(frozen=True, slots=True)
class Commit(Utility):
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Rollback(Utility):
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Savepoint(Utility):
    name: str


@dataclass(frozen=True, slots=True)
class Release(Utility):
    name: str


@dataclass(frozen=True, slots=True)
class RollbackTo(Utility):
    name: str


@dataclass(frozen=True, slots=True)
class SetSetting(Utility):
    """`values` None is DEFAULT."""

    name: str
    values: tuple[str, ...] | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class SetTransaction(Utility):
    modes: TransactionModes
    session: bool = False


@dataclass(frozen=True, slots=True)
class Ignored(Utility):
    """Accepted and without effect: SET CONSTRAINTS, CHECKPOINT."""

    tag: str


@dataclass(frozen=True, slots=True)
class Maintenance(Utility):
    """VACUUM and ANALYZE; `tables` as they are written, with their columns."""

    tag: Literal["VACUUM", "ANALYZE"]
    tables: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class LockTable(Utility):
    """`tables` as they are written."""

    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reset(Utility):
    """`name` None is ALL."""

    name: str | None


@dataclass(frozen=True, slots=True)
class Show(Utility):
    """`name` "all" shows every setting."""

    name: str


@dataclass(frozen=True, slots=True)
class Discard(Utility):
    what: str


@dataclass(frozen=True, slots=True)
class Deallocate(Utility):
    name: str | None


@dataclass(frozen=True, slots=True)
class Prepare(Utility):
    name: str
    types: tuple[tuple[str, int], ...]
    """With where each stands in the statement (1-based), for errors."""
    sql: str
    offset: int


@dataclass(frozen=True, slots=True)
class ExecutePrepared(Utility):
    """`arguments` are the texts of the argument expressions, with where each stands in the statement (1-based)."""

    name: str
    arguments: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ExplainExecute(Utility):
    """EXPLAIN of what EXECUTE would run; `before` and `after` are the texts around EXECUTE."""

    before: str
    json: bool
    executed: ExecutePrepared
    after: str = ""


@dataclass(frozen=True, slots=True)
class CreateTableExecute(Utility):
    """CREATE TABLE AS of what EXECUTE would give; `before` and `after` as there."""

    before: str
    executed: ExecutePrepared
    after: str


@dataclass(frozen=True, slots=True)
class DeclareCursor(Utility):
    name: str
    sql: str
    offset: int
    binary: bool = False
    scroll: bool | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Fetch(Utility):
    """`count` None is ALL; negative counts go backward."""

    cursor: str
    direction: Literal["forward", "backward", "absolute", "relative"] = "forward"
    count: int | None = 1
    move: bool = False


@dataclass(frozen=True, slots=True)
class CloseCursor(Utility):
    name: str | None


@dataclass(frozen=True, slots=True)
class Listen(Utility):
    channel: str


@dataclass(frozen=True, slots=True)
class Unlisten(Utility):
    channel: str | None


@dataclass(frozen=True, slots=True)
class Notify(Utility):
    channel: str
    payload: str


@dataclass(frozen=True, slots=True)
class Copy(Utility):
    """COPY: `sql` is the query whose rows go out; for COPY FROM it is None and `table`/`columns` say where to."""

    outward: bool
    sql: str | None
    offset: int
    target: str | None
    """A server-side file or program; None is STDOUT or STDIN."""
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    table: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    positions: dict[str, int] = field(default_factory=dict, hash=False, compare=False)
    """Where each option stands in the statement (1-based), for errors."""
    where: tuple[str, int] | None = None
    """COPY FROM's condition and its offset in the statement."""


NO_TRANSACTION_NEEDED = (Commit, Rollback, RollbackTo)
"""What also runs in a failed transaction."""
