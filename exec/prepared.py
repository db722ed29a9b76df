"""Prepared: a statement that has been parsed and bound, ready to run (hop 2)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shoal.catalog.types import SqlType
from shoal.exec.execution import ResultField
from shoal.exec.immediate import Immediate
from shoal.exec.plan_cache import PlanCache

if TYPE_CHECKING:
    from shoal.exec.sql.bound import Bound


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A parsed and bound statement: good for any number of executions while the catalogs stay as they are."""

    sql: str
    bound: Bound
    fields: tuple[ResultField, ...]
    parameters: tuple[SqlType, ...]
    tag: str
    """Without the count of rows, e.g. "SELECT", "INSERT 0", "CREATE TABLE"."""
    returns_rows: bool
    notices: tuple[str, ...] = ()
    bind_s: float = 0.0
    immediate: Immediate | None = None
    """How to run it where it stands, if it reads nothing."""
    plans: PlanCache | None = None
    """Of a query: the optimized plan, while it holds."""
    derived: dict[Hashable, bytes] = field(default_factory=dict)
    """What the server keeps beside it: answers in their wire form (server/replies.py)."""
