"""Where the rows of a plan node are: what exchanges change and what joins, groupings and windows ask for.

- "any": constants; every task can make them for itself, one task alone when they must appear once
- "single", "coordinator": in one task, on a worker or in the coordinator
- "spread": divided among tasks; with `keys`, rows equal in them are in the same task (hash-partitioned)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from shoal.exec.plan.expr import ColumnRef
from shoal.exec.plan.nodes import Project

MERGED_BY: dict[str, str] = {
    "count": "sum0", "sum": "sum", "sum0": "sum0", "min": "min", "max": "max", "bool_and": "bool_and", "bool_or": "bool_or",
    "every": "every", "bit_and": "bit_and", "bit_or": "bit_or", "any_value": "any_value"}
"""Aggregates that can be computed in parts, and the aggregate that merges the parts."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """`keys`: for each hashed column the ids that hold its value (equal columns of joins hold the same)."""

    kind: Literal["any", "single", "coordinator", "spread"]
    keys: tuple[frozenset[int], ...] = ()

    @property
    def one(self) -> bool:
        """All rows are in one task."""
        return self.kind != "spread"

    def grouped_by(self, ids: Collection[int]) -> bool:
        """Whether rows that agree on all these columns are in the same task."""
        return self.one or (bool(self.keys) and all(not key.isdisjoint(ids) for key in self.keys))

    def limited_to(self, ids: Collection[int]) -> Distribution:
        """For a node that passes on these columns only."""
        if not self.keys:
            return self
        kept = tuple(key & frozenset(ids) for key in self.keys)
        return Distribution(self.kind, kept if all(kept) else ())

    def with_equal(self, pairs: Sequence[tuple[ColumnRef, ColumnRef]]) -> Distribution:
        """After an inner join that made these columns equal."""
        if not self.keys:
            return self
        keys = self.keys
        for a, b in pairs:
            keys = tuple(key | {a.id, b.id} if a.id in key or b.id in key else key for key in keys)
        return Distribution(self.kind, keys)

    def projected(self, node: Project) -> Distribution:
        if not self.keys:
            return self
        names: dict[int, set[int]] = {}
        for field, expr in node.assignments:
            if isinstance(expr, ColumnRef):
                names.setdefault(expr.id, set()).add(field.id)
        kept = tuple(frozenset(new for old in key for new in names.get(old, ())) for key in self.keys)
        return Distribution(self.kind, kept if all(kept) else ())


ANY, SINGLE, COORDINATOR, SPREAD = (Distribution(kind) for kind in ("any", "single", "coordinator", "spread"))


def hashed(*keys: Collection[int]) -> Distribution:
    return Distribution("spread", tuple(frozenset(key) for key in keys))


def aligned(distribution: Distribution, own: Sequence[ColumnRef]) -> list[int] | None:
    """For a side hash-partitioned by some of the join keys `own`: the index of the join key for each hashed
    column, in the order of hashing; None where the side is partitioned otherwise or not at all."""
    if not distribution.keys:
        return None
    found: list[int] = []
    for key in distribution.keys:
        index = next((i for i, ref in enumerate(own) if ref.id in key), None)
        if index is None:
            return None
        found.append(index)
    return found
