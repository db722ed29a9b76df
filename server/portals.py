"""Prepared statements and portals: a portal is one run of a statement, whose rows a client takes in portions.

Spec: PostgreSQL documentation, 55.2.3 "Extended Query", and DECLARE, FETCH.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shoal.catalog.types import SqlType
from shoal.exec.engine import Prepared, ResultField
from shoal.server.cursors import Cursor
from shoal.server.statements import Utility


@dataclass(slots=True)
class PreparedStatement:
    """A parsed statement: the engine's, the session's own, or an empty one (neither)."""

    name: str
    sql: str
    parameters: tuple[SqlType, ...] = ()
    prepared: Prepared | None = None
    utility: Utility | None = None
    declared: tuple[SqlType | None, ...] = ()
    """The parameter types the client gave."""
    fingerprint: object = None
    """What the engine's plan depends on; when it has changed the statement is prepared again."""
    offset: int = 0
    """Characters before the statement in the string the client sent."""


@dataclass(slots=True)
class Portal:
    """`formats` is one code per result column. `cursor` is None until the portal first runs."""

    name: str
    statement: PreparedStatement
    values: Sequence[Any] = ()
    formats: tuple[int, ...] = ()
    fields: tuple[ResultField, ...] | None = None
    """None: the statement gives no rows."""
    cursor: Cursor | None = None
    finished: bool = False
    """A statement without rows has run, and cannot run again."""
    hold: bool = False
    """WITH HOLD; `held` once its transaction has committed."""
    held: bool = False
    declared: bool = False
    """Made by DECLARE."""
    scroll: bool | None = None

    async def close(self) -> None:
        if self.cursor is not None:
            await self.cursor.source.close()
