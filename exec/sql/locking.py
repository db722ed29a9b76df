"""FOR UPDATE and its kin: PostgreSQL's rules about where they may stand (hop 2). Nothing is locked.

Spec: PostgreSQL 15 documentation, SELECT, "The Locking Clause"; rules and wording of analyze.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError, UndefinedTable
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import Level, fail


def check_locks(level: Level, locks: Sequence[s.LockingClause], args: dict[str, Any], aggregated: bool) -> None:
    """Of a SELECT. Raises: FeatureNotSupported (0A000), UndefinedTable (42P01), SqlSyntaxError (42601)."""
    limit = args.get("limit")
    for lock in locks:
        if lock.skip_locked and limit is not None and limit.meta.get("ties"):
            fail(SqlSyntaxError, "SKIP LOCKED and WITH TIES options cannot be used together", -1)
        for found, what in ((args.get("distinct") is not None, "DISTINCT clause"),
                            (args.get("group") is not None, "GROUP BY clause"),
                            (args.get("having") is not None, "HAVING clause"),
                            (aggregated, "aggregate functions"),
                            (bool(level.windows), "window functions"),
                            (bool(level.sets), "set-returning functions in the target list")):
            if found:
                fail(FeatureNotSupported, f"{lock.strength} is not allowed with {what}", -1)
        for pos, parts in lock.tables:
            _check_table(level, lock, parts, pos)


def _check_table(level: Level, lock: s.LockingClause, parts: tuple[str, ...], pos: int) -> None:
    if len(parts) > 1:
        fail(SqlSyntaxError, f"{lock.strength} must specify unqualified relation names", pos)
    relation = level.scope.relation(parts)
    if relation is None:
        fail(UndefinedTable, f'relation "{parts[0]}" in {lock.strength} clause not found in FROM clause', pos)
    if relation.kind:
        fail(FeatureNotSupported, f"{lock.strength} cannot be applied to a {relation.kind}", pos)


def refuse_locks(locks: Sequence[s.LockingClause], what: str) -> None:
    """Of a query that is no SELECT. Raises: FeatureNotSupported (0A000)."""
    for lock in locks:
        fail(FeatureNotSupported, f"{lock.strength} {what}", -1)
