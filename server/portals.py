"""Prepared statements and portals: a portal is one run of a statement, whose rows a client takes in portions.

Spec: PostgreSQL documentation, 55.2.3 "Extended Query", and DECLARE, FETCH.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    planned_for: object = None
    """The key of the session that it was planned in."""
    offset: int = 0
    """Characters before the statement in the string the client sent."""
    prepare_sql: str = ""
    """The PREPARE that made it; "" for one made by a Parse message."""
    prepared_us: int = 0
    """When a named one was made, in microseconds since 1970 UTC."""
    exact: dict[tuple[SqlType, ...], PreparedStatement] = field(default_factory=dict)
    """The same statement for numeric parameters of just so many digits (parameters.exact_types)."""


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
    answered: bool = False
    """A query that reads nothing has given its row; there is no cursor for it."""
    finished: bool = False
    """A statement without rows has run, and cannot run again."""
    hold: bool = False
    """WITH HOLD; `held` once its transaction has committed."""
    held: bool = False
    declared: bool = False
    """Made by DECLARE, whose text is `declare_sql`, at `declared_us`."""
    declare_sql: str = ""
    declared_us: int = 0
    scroll: bool | None = None
    tables: tuple[tuple[str, str, str], ...] = ()
    """(catalog, schema, name) of the tables of whose rows the cursor keeps the ids."""
    locks: bool = False
    """It is declared FOR UPDATE or the like."""

    async def close(self) -> None:
        if self.cursor is not None:
            await self.cursor.source.close()
