"""The join graph of one tree of joins: relations, what connects them, and the search for the cheapest order.

Sets of relations are bit masks. The rows of a set do not depend on the order of joining: the product of its
relations' rows, divided by the key domains of the equalities inside it, times the other conjuncts' selectivities.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shoal.catalog.types import BOOL
from shoal.exec.optimizer import cost
from shoal.exec.optimizer.columns import columns
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.estimates import Estimate
from shoal.exec.optimizer.selectivity import selectivity
from shoal.exec.optimizer.stats import FOREIGN_KEY_SLACK, join_estimate, key_domain
from shoal.exec.plan.expr import Call, ColumnRef, Expr
from shoal.exec.plan.nodes import Field, JoinKind, PlanNode

Tree = Any
"""The number of a relation, or (left tree, right tree)."""
_MAX_PAIRS = 1500
"""Connected pairs to look at before settling for the greedy order."""


@dataclass(slots=True)
class Relation:
    """One input. A dependent one (kind other than inner) joins a set that has all of `needs`, on its own `parts`."""

    node: PlanNode
    ids: set[int]
    estimate: Estimate
    kind: JoinKind = "inner"
    parts: list[Expr] | tuple[Expr, ...] = ()
    keys: tuple[tuple[ColumnRef, ColumnRef], ...] = ()
    null_aware: bool = False
    mark: Field | None = None
    needs: int = 0


@dataclass(slots=True)
class _Plan:
    cost: float
    tree: Tree


class JoinGraph:
    def __init__(self, relations: list[Relation], parts: list[Expr], context: OptimizerContext) -> None:
        self.relations, self.context = relations, context
        self.count = len(relations)
        self.owner = {i: number for number, r in enumerate(relations) for i in r.ids}
        self.dependent = sum(1 << n for n, r in enumerate(relations) if r.kind != "inner")
        self.classes: list[dict[int, ColumnRef]] = []
        """Columns that are equal: by relation, one column each."""
        self.rest: list[tuple[Expr, int]] = []
        self._classify(parts)
        self.class_masks = [sum(1 << n for n in members) for members in self.classes]
        self.adjacent = self._adjacency()
        self.all_columns = {i: c for r in relations for i, c in r.estimate.columns.items()}
        self.shares = [(mask, selectivity(part, self.all_columns, 1e6)) for part, mask in self.rest]
        self.corrections = self._corrections()
        self.unit_factors = [self._unit_factor(n) for n in range(self.count)]
        self.widths = [r.estimate.width(r.ids) for r in relations]
        self._rows: dict[int, float] = {}
        self._widths: dict[int, float] = {}

    # What connects relations ------------------------------------------------------------------------------------------

    def _classify(self, parts: list[Expr]) -> None:
        merged: dict[int, set[int]] = {}
        refs: dict[int, ColumnRef] = {}
        for part in parts:
            mask = self._mask(part)
            if isinstance(part, Call) and part.name == "eq" and mask & (mask - 1) and not mask & self.dependent:
                a, b = part.args
                if isinstance(a, ColumnRef) and isinstance(b, ColumnRef) and (
                        a.type == b.type or (a.type.is_integer and b.type.is_integer)):
                    refs[a.id], refs[b.id] = a, b
                    both = merged.get(a.id, {a.id}) | merged.get(b.id, {b.id})
                    for i in both:
                        merged[i] = both
                    continue
            self.rest.append((part, mask))
        seen: set[int] = set()
        for i, ids in merged.items():
            if i not in seen:
                seen |= ids
                members: dict[int, ColumnRef] = {}
                for member in sorted(ids):
                    number = self.owner[member]
                    if number in members:
                        self.rest.append((Call(BOOL, "eq", (members[number], refs[member])), 1 << number))
                    else:
                        members[number] = refs[member]
                self.classes.append(members)

    def _mask(self, part: Expr) -> int:
        mask = 0
        for i in columns(part):
            mask |= 1 << self.owner[i]
        return mask

    def _adjacency(self) -> list[int]:
        adjacent = [0] * self.count
        masks = self.class_masks + [mask for _, mask in self.rest]
        masks += [r.needs | 1 << n for n, r in enumerate(self.relations) if r.needs]
        for mask in masks:
            for n in _bits(mask):
                adjacent[n] |= mask & ~(1 << n)
        return adjacent

    def _corrections(self) -> list[tuple[int, float]]:
        """For pairs of relations joined by several columns: how far the columns are from independent."""
        found = []
        for a in range(self.count):
            for b in range(a + 1, self.count):
                keys = [(m[a].id, m[b].id) for m in self.classes if a in m and b in m]
                if len(keys) > 1:
                    left, right = self.relations[a].estimate, self.relations[b].estimate
                    product = math.prod(key_domain(left, right, [key]) for key in keys)
                    found.append((1 << a | 1 << b, product / key_domain(left, right, keys)))
        return found

    def _unit_factor(self, number: int) -> float:
        """By how much joining a dependent relation multiplies rows."""
        unit = self.relations[number]
        if unit.kind in ("inner", "mark"):
            return 1.0
        left = [self.relations[n].estimate for n in _bits(unit.needs)]
        rows = max((e.rows for e in left), default=1.0)
        before = Estimate(rows, {i: c for e in left for i, c in e.columns.items()})
        keys, rest = [], []
        right = unit.estimate.columns
        for part in (*unit.parts, *(Call(BOOL, "eq", pair) for pair in unit.keys)):
            if isinstance(part, Call) and part.name == "eq" and all(isinstance(a, ColumnRef) for a in part.args):
                a, b = (ref.id for ref in part.args if isinstance(ref, ColumnRef))
                if a in before.columns and b in right:
                    keys.append((a, b))
                    continue
                if b in before.columns and a in right:
                    keys.append((b, a))
                    continue
            rest.append(part)
        after = join_estimate(unit.kind, before, unit.estimate, keys, rest)
        return after.rows / max(rows, 1e-9)

    # Rows and costs ---------------------------------------------------------------------------------------------------

    def rows(self, mask: int) -> float:
        found = self._rows.get(mask)
        if found is not None:
            return found
        rows = 1.0
        for n in _bits(mask):
            relation = self.relations[n]
            rows *= relation.estimate.rows if relation.kind == "inner" else self.unit_factors[n]
        if mask & (mask - 1):
            for members in self.classes:
                domains: list[float] = []
                keyed: float | None = None
                for n, ref in members.items():
                    if mask >> n & 1:
                        column = self.relations[n].estimate.column(ref.id)
                        domains.append(column.domain)
                        if column.key and (keyed is None or column.domain > keyed):
                            keyed = column.domain
                if len(domains) > 1:
                    if keyed is not None:  # see stats.key_domain
                        domains = [min(d, keyed) if d <= keyed * FOREIGN_KEY_SLACK else d for d in domains]
                    domains.sort()
                    for domain in domains[1:]:
                        rows /= max(domain, 1.0)
            for inside, share in self.shares:
                if inside & mask == inside:
                    rows *= share
            for inside, factor in self.corrections:
                if inside & mask == inside:
                    rows *= factor
        self._rows[mask] = rows
        return rows

    def width(self, mask: int) -> float:
        found = self._widths.get(mask)
        if found is None:
            found = self._widths[mask] = sum(self.widths[n] for n in _bits(mask))
        return found

    def step_cost(self, left: int, right: int) -> float:
        """Wall time of joining two sets, whichever way it is distributed."""
        workers = self.context.workers
        single = right & (right - 1) == 0 and right & self.dependent
        unit = self.relations[right.bit_length() - 1] if single else None
        left_rows = self.rows(left)
        right_rows = unit.estimate.rows if unit is not None else self.rows(right)
        right_width = unit.estimate.width(unit.estimate.columns) if unit is not None else self.width(right)
        output = self.rows(left | right)
        if unit is None and not self._has_key(left, right):
            pairs = cost.nested_join_ns(left_rows, right_rows, output) / workers
            return pairs + cost.send_ns(min(left_rows, right_rows), 30.0)
        build, probe = min(left_rows, right_rows), max(left_rows, right_rows)
        widths = (right_width, self.width(left)) if right_rows <= left_rows else (self.width(left), right_width)
        if unit is not None and unit.kind != "left" and build == left_rows:
            probe_moved = probe * min(1.0, 4.0 * left_rows / max(right_rows, 1.0))  # what a dynamic filter lets through
        else:
            probe_moved = probe
        spread = min(cost.broadcast_ns(build, widths[0]),
                     cost.repartition_ns(build, widths[0], probe_moved, widths[1], workers))
        return spread + (probe * cost.PROBE_NS + output * cost.OUTPUT_NS) / workers

    def _has_key(self, left: int, right: int) -> bool:
        """Whether an equality of columns or of expressions joins the two sets."""
        if any(left & mask and right & mask for mask in self.class_masks):
            return True
        both = left | right
        return any(isinstance(part, Call) and part.name == "eq" and mask & left and mask & right and not mask & ~both
                   for part, mask in self.rest)

    # The search -------------------------------------------------------------------------------------------------------

    def best(self) -> Tree:
        groups = list(self._components())
        done = [self._ordered(group) for group in groups]
        rows = [self.rows(group) for group in groups]
        order = sorted(range(len(groups)), key=lambda i: -rows[i])
        tree = done[order[0]]
        for i in order[1:]:
            tree = (tree, done[i])
        return tree

    def _components(self) -> Iterator[int]:
        left = (1 << self.count) - 1
        while left:
            group = left & -left
            while (grown := group | self._neighbours(group)) != group:
                group = grown
            left &= ~group
            yield group

    def _neighbours(self, mask: int) -> int:
        found = 0
        for n in _bits(mask):
            found |= self.adjacent[n]
        return found & ~mask

    def _ordered(self, group: int) -> Tree:
        if group & (group - 1) == 0:
            return group.bit_length() - 1
        if group.bit_count() <= self.context.switches.max_exhaustive_relations:
            found = self._exhaustive(group)
            if found is not None:
                return found
        return self._greedy(group)

    def _joined(self, a: int, b: int, plans: dict[int, _Plan]) -> None:
        """Notes the cheaper way to join two sets that have plans, if dependent relations allow it."""
        first, second = plans.get(a), plans.get(b)
        if first is None or second is None:
            return
        for x in (a, b):
            if x & (x - 1) == 0 and x & self.dependent:
                needs = self.relations[x.bit_length() - 1].needs
                other = b if x == a else a
                if needs & ~other or (other & (other - 1) == 0 and other & self.dependent):
                    return
                if x == a:
                    a, b, first, second = b, a, second, first
                break
        else:
            if self.rows(a) < self.rows(b):
                a, b, first, second = b, a, second, first
        total = first.cost + second.cost + self.step_cost(a, b)
        known = plans.get(a | b)
        if known is None or total < known.cost:
            plans[a | b] = _Plan(total, (first.tree, second.tree))

    def _exhaustive(self, group: int) -> Tree | None:
        plans = {1 << n: _Plan(0.0, n) for n in _bits(group)}
        pairs: list[tuple[int, int]] = []
        for n in reversed(list(_bits(group))):
            start = 1 << n
            for left in self._connected(start, (start << 1) - 1):
                closed = (left & -left) * 2 - 1 | left
                around = self._neighbours(left) & ~closed
                for m in reversed(list(_bits(around))):
                    one = 1 << m
                    below = (around & (one - 1))
                    pairs.append((left, one))
                    pairs.extend((left, right) for right in self._grown(one, closed | below | one))
                    if len(pairs) > _MAX_PAIRS:
                        return None
        pairs.sort(key=lambda pair: (pair[0] | pair[1]).bit_count())
        for a, b in pairs:
            self._joined(a, b, plans)
        found = plans.get(group)
        return None if found is None else found.tree

    def _connected(self, start: int, excluded: int) -> Iterator[int]:
        yield start
        yield from self._grown(start, excluded)

    def _grown(self, mask: int, excluded: int) -> Iterator[int]:
        """Connected sets that contain `mask` and otherwise nothing of `excluded`, each once."""
        around = self._neighbours(mask) & ~excluded
        if not around:
            return
        parts = []
        subset = around
        while subset:
            parts.append(subset)
            subset = (subset - 1) & around
        for subset in reversed(parts):
            yield mask | subset
        for subset in reversed(parts):
            yield from self._grown(mask | subset, excluded | around)

    def _greedy(self, group: int) -> Tree:
        """Again and again the pair whose join is cheapest, with its result's size counted in."""
        plans = {1 << n: _Plan(0.0, n) for n in _bits(group)}
        live = list(plans)
        while len(live) > 1:
            choice: tuple[float, int, int] | None = None
            for i, a in enumerate(live):
                around = self._neighbours(a)
                for b in live[i + 1:]:
                    if not around & b:
                        continue
                    if a | b not in plans:
                        self._joined(a, b, plans)
                    made = plans.get(a | b)
                    if made is not None:
                        weight = made.cost - plans[a].cost - plans[b].cost + self.rows(a | b) * 50.0
                        if choice is None or weight < choice[0]:
                            choice = (weight, a, b)
            if choice is None:  # only dependent relations' needs or missing edges are left: a product
                a, b = sorted((m for m in live if not m & self.dependent or m & (m - 1)), key=self.rows)[:2]
                plans[a | b] = _Plan(0.0, (plans[b].tree, plans[a].tree))
                choice = (0.0, a, b)
            live = [m for m in live if m not in choice[1:]] + [choice[1] | choice[2]]
        return plans[group].tree

    # Building ---------------------------------------------------------------------------------------------------------

    def equalities(self, left: set[int], right: set[int]) -> list[Expr]:
        """One equality for each class of equal columns with members on both sides."""
        found: list[Expr] = []
        for members in self.classes:
            refs = list(members.values())
            a = next((ref for ref in refs if ref.id in left), None)
            b = next((ref for ref in refs if ref.id in right), None)
            if a is not None and b is not None:
                found.append(Call(BOOL, "eq", (a, b)))
        return found

    def taken(self, ids: set[int]) -> list[Expr]:
        """The other conjuncts that these columns suffice for, each handed out once."""
        found = [part for part, _ in self.rest if columns(part) <= ids]
        if found:
            self.rest = [(part, mask) for part, mask in self.rest if part not in found]
        return found


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
