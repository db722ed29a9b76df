"""What a session brings to a statement: the part of its state that changes what SQL means (hop 2).

The server builds one for each statement; binder, functions and EXPLAIN read it. Time is pinned here, once for a
statement or transaction, so that every task of a query and every re-run of a task sees the same `now()`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.styles import styles_of


@dataclass(frozen=True, slots=True)
class SessionContext:
    """One session's view while one statement runs. `now_us`: microseconds since 1970 UTC, 0 in tests."""

    database: str = "shoal"
    user: str = "shoal"
    search_path: tuple[str, ...] = ("public",)
    time_zone: str = "UTC"
    now_us: int = 0
    backend_pid: int = 0
    read_only: bool = False
    """BEGIN READ ONLY or default_transaction_read_only: writing statements raise 25006."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Other settings by lower-case name, as SHOW gives them."""
    token: str = ""
    """Whose uncommitted changes and temporary tables the statement sees and adds to; "": it commits by itself."""
    lock_timeout_s: float = 0.0
    """The longest wait for a lock; 0: for ever."""
    seed: int | None = None
    """Of random(); None: another one for each statement."""
    row_ids: bool = False
    """The statement is a cursor's query, whose rows are to come with their ids."""
    cursors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What current_row is to know of cursors by their names: `held`, `locks`, `rows` (table -> ids)."""
    key: Hashable = None
    """Equal for sessions in which a statement means the same; None: nobody knows."""

    def task_settings(self, **changes: Any) -> TaskSettings:
        """The pinned settings that travel with every task of a statement of this session."""
        session = {"user": self.user, "database": self.database, "search_path": list(self.search_path),
                   "backend_pid": self.backend_pid, "token": self.token, "settings": dict(self.settings)}
        if self.cursors:
            session["cursors"] = dict(self.cursors)
        return TaskSettings(**{"now_us": self.now_us, "time_zone": self.time_zone, "styles": styles_of(self.settings),
                               "session": session, **changes})
