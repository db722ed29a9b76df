"""Decides where each node runs and puts Exchanges where rows must move for that.

    Aggregate by g                 Aggregate (final) by g
      Scan t            ->           Exchange hash (g)              (few groups: Exchange gather)
                                       Aggregate (partial) by g
                                         Scan t

    Join on a = b                  Join broadcast on a = b          Join partitioned on a = b
      R                              R                                Exchange hash (a)
      S                 ->           Exchange broadcast        or       R
                                       S                              Exchange hash (b)
                                                                        S

    Recursion                      Recursion                      (in one task; what does not depend on the working table
      S                              Exchange gather               is computed in parallel, once)
      Join on a = b       ->           S
        WorkingTable                 Join on a = b
        R                              WorkingTable
                                       Materialize
                                         Exchange gather
                                           R

Rows already partitioned as a node needs them are not moved again. The last gather goes to the coordinator when what
follows it is light. See exec/optimizer/distribution.py for the states a node's rows can be in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shoal.catalog.types import INT8
from shoal.exec.optimizer import cost
from shoal.exec.optimizer.columns import output_ids, references
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.distribution import (
    ANY,
    COORDINATOR,
    MERGED_BY,
    SINGLE,
    SPREAD,
    Distribution,
    aligned,
    hashed,
)
from shoal.exec.optimizer.estimates import Estimate
from shoal.exec.optimizer.rules.make_top_n import limit_numbers
from shoal.exec.optimizer.stats import key_domain, match_share
from shoal.exec.plan.expr import AggregateCall, ColumnRef, Literal, is_volatile
from shoal.exec.plan.nodes import (
    Aggregate,
    Completion,
    EnforceSingleRow,
    Exchange,
    Filter,
    Join,
    Limit,
    Materialize,
    PlanNode,
    Project,
    Recursion,
    Scan,
    SharedRows,
    Sort,
    TableWrite,
    TopN,
    Union,
    Values,
    Window,
    With,
    free_tables,
)

SMALL_ROWS = 20_000.0
"""Groupings and windows of fewer rows that cannot be computed in parts run in one task."""
LIGHT_ROWS = 300_000.0
"""The coordinator takes the last step of a query itself up to this many rows."""
MIN_HASH_VALUES = 2_000.0
"""Rows are partitioned by some of their group columns alone when those have at least this many values."""
MAX_DISTINCT_SHARE = 0.5
"""Partial aggregation is left out when it would keep more of its rows than this."""

Placed = tuple[PlanNode, Distribution]


def place_exchanges(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    placing = _Placing(context)
    placed, distribution = placing.place(plan)
    return placing.for_client(placed) if distribution == SINGLE else placed


class _Placing:
    def __init__(self, context: OptimizerContext) -> None:
        self.context, self.switches, self.workers = context, context.switches, max(context.workers, 1)
        self.estimate = context.estimate
        self.wanted: frozenset[int] = frozenset()
        """Columns by which the node above will want its rows grouped."""
        self.shared: dict[int, Distribution] = {}
        """Where the rows of With's inputs are."""

    def place(self, node: PlanNode) -> Placed:
        method = _PLACES.get(type(node))
        if not isinstance(node, (Aggregate, Project, Filter)):
            self.wanted = frozenset()
        if method is not None:
            return method(self, node)
        child, where = self.place(node.children()[0])
        return self.over(node, child), where

    def over(self, node: Any, child: PlanNode) -> PlanNode:
        """The node over its placed input, with the estimate it had."""
        if child is node.input:
            return node
        made = replace(node, input=child)
        self.context.statistics.remember(made, self.estimate(node))
        return made

    def moved(self, node: PlanNode, kind: str, keys: tuple[ColumnRef, ...] = (), **how: Any) -> Exchange:
        made = Exchange(node, kind, keys, **how)  # type: ignore[arg-type]
        self.context.statistics.remember(made, self.estimate(node))
        return made

    # Leaves and rows one by one ---------------------------------------------------------------------------------------

    def scan(self, node: Scan) -> Placed:
        here = self.context.catalogs.connector(node.handle.catalog).placement == "coordinator"
        return node, COORDINATOR if here else SPREAD

    def values(self, node: Values) -> Placed:
        return node, COORDINATOR if any(is_volatile(e) for row in node.rows for e in row) else ANY

    def filter(self, node: Filter) -> Placed:
        child, where = self.place(node.input)
        return self.over(node, child), COORDINATOR if where == ANY and is_volatile(node.predicate) else where

    def project(self, node: Project) -> Placed:
        renamed = {f.id: e.id for f, e in node.assignments if isinstance(e, ColumnRef)}
        self.wanted = frozenset(renamed[i] for i in self.wanted if i in renamed)
        child, where = self.place(node.input)
        if where == ANY and any(is_volatile(e) for _, e in node.assignments):
            where = COORDINATOR
        return self.over(node, child), where.projected(node)

    def write(self, node: TableWrite) -> Placed:
        child, where = self.place(node.input)
        if where not in (ANY, COORDINATOR):
            child = self.moved(child, "gather", to_coordinator=True)
        return self.over(node, child), COORDINATOR

    # Order and limits -------------------------------------------------------------------------------------------------

    def sort(self, node: Sort) -> Placed:
        child, where = self.place(node.input)
        made = self.over(node, child)
        return (made, where) if where.one else (self.moved(made, "gather", ordering=node.keys), SINGLE)

    def top_n(self, node: TopN) -> Placed:
        child, where = self.place(node.input)
        if where.one:
            return self.over(node, child), where
        return TopN(self.moved(self.over(node, child), "gather"), node.keys, node.count), SINGLE

    def limit(self, node: Limit) -> Placed:
        child, where = self.place(node.input)
        if where.one:
            return self.over(node, child), where
        count, offset = limit_numbers(node) or (None, 0)
        if count is not None and count >= 0 and offset >= 0:
            child = Limit(child, Literal(INT8, count + offset))
        return replace(node, input=self.moved(child, "gather")), SINGLE

    def single_row(self, node: EnforceSingleRow) -> Placed:
        child, where = self.place(node.input)
        return (self.over(node, child), where) if where.one else (self.over(node, self.moved(child, "gather")), SINGLE)

    # Groups -----------------------------------------------------------------------------------------------------------

    def aggregate(self, node: Aggregate) -> Placed:
        ids = [f.id for f in node.groups]
        wanted, self.wanted = self.wanted & frozenset(ids), frozenset(ids)
        child, where = self.place(node.input)
        self.wanted = frozenset()
        if where.one or (ids and where.grouped_by(ids)):
            return self.over(node, child), where.limited_to(ids)
        below, after = self.estimate(node.input), self.estimate(node)
        refs = self.hash_columns([f.ref() for f in node.groups], wanted, after)
        partitioned = hashed(*[{ref.id} for ref in refs])
        in_parts = all(c.name in MERGED_BY and not c.distinct and not c.order_by for _, c in node.aggregates)
        if not in_parts:
            if not ids or below.rows <= SMALL_ROWS:
                return self.over(node, self.moved(child, "gather")), SINGLE
            return self.over(node, self.moved(child, "hash", refs)), partitioned
        gather = not ids or (after.rows <= self.switches.max_gathered_groups and after.known)
        if ids and (not self.switches.partial_aggregation or (below.known and after.rows > MAX_DISTINCT_SHARE * below.rows)):
            if below.rows <= SMALL_ROWS and below.known:
                return self.over(node, self.moved(child, "gather")), SINGLE
            return self.over(node, self.moved(child, "hash", refs)), partitioned
        partial, final = self.split(node, child)
        if gather:
            return final(self.moved(partial, "gather")), SINGLE
        return final(self.moved(partial, "hash", refs)), partitioned

    def hash_columns(self, groups: list[ColumnRef], wanted: frozenset[int], estimate: Estimate) -> tuple[ColumnRef, ...]:
        """Which of these columns to partition by: what the node above wants, or the one with most values, if those
        are enough to keep all tasks busy; else all."""
        if not estimate.known:
            return tuple(groups)
        chosen = [ref for ref in groups if ref.id in wanted]
        if chosen and math.prod(estimate.column(ref.id).ndv for ref in chosen) >= MIN_HASH_VALUES:
            return tuple(chosen)
        enough = [ref for ref in groups if estimate.column(ref.id).ndv >= MIN_HASH_VALUES]
        best = max(enough, key=lambda ref: (not ref.type.is_string, estimate.column(ref.id).ndv), default=None)
        return tuple(groups) if best is None else (best,)

    def split(self, node: Aggregate, child: PlanNode) -> tuple[Aggregate, Callable[[PlanNode], Aggregate]]:
        """The partial step over `child`, and what makes the final step over that."""
        parts = tuple((self.context.new_field(f.name, f.type), c) for f, c in node.aggregates)
        merged = tuple((f, AggregateCall(MERGED_BY[c.name], (part.ref(),), c.type))
                       for (f, c), (part, _) in zip(node.aggregates, parts, strict=True))
        partial = Aggregate(child, node.groups, parts, "partial")
        self.context.statistics.remember(partial, self.estimate(node))

        def final(below: PlanNode) -> Aggregate:
            made = Aggregate(below, node.groups, merged, "final")
            self.context.statistics.remember(made, self.estimate(node))
            return made

        return partial, final

    def window(self, node: Window) -> Placed:
        child, where = self.place(node.input)
        ids = {ref.id for ref in node.partition}
        if where.one or (ids and where.grouped_by(ids)):
            return self.over(node, child), where
        below = self.estimate(node.input)
        if not ids or (below.rows <= SMALL_ROWS and below.known):
            return self.over(node, self.moved(child, "gather")), SINGLE
        refs = self.hash_columns(list(node.partition), frozenset(), below)
        return self.over(node, self.moved(child, "hash", refs)), hashed(*[{ref.id} for ref in refs])

    def union(self, node: Union) -> Placed:
        placed = [self.place(child) for child in node.inputs]
        if all(where.one for _, where in placed):
            kinds = {where.kind for _, where in placed} - {"any"}
            if len(kinds) > 1:
                placed = [(self.moved(child, "gather"), SINGLE) if where == COORDINATOR else (child, where)
                          for child, where in placed]
                kinds = {"single"}
            where = ANY if not kinds else SINGLE if "single" in kinds else COORDINATOR
            return self.over_all(node, [child for child, _ in placed]), where
        children = [self.moved(child, "round_robin") if where.one else child for child, where in placed]
        return self.over_all(node, children), SPREAD

    def completion(self, node: Completion) -> Placed:
        placed = [self.place(child) for child in node.inputs]
        children = [child if where in (ANY, COORDINATOR) else self.moved(child, "gather", to_coordinator=True)
                    for child, where in placed]
        return node.with_children(tuple(children)), COORDINATOR

    # Shared inputs ----------------------------------------------------------------------------------------------------

    def with_(self, node: With) -> Placed:
        inputs = []
        for number, definition in zip(node.numbers, node.inputs[:-1], strict=True):
            child, where = self.place(definition)
            self.shared[number] = COORDINATOR if where == ANY else where
            inputs.append(child)
        main, where = self.place(node.inputs[-1])
        return With(node.numbers, (*inputs, main)), where

    def shared_rows(self, node: SharedRows) -> Placed:
        where = self.shared[node.number]
        renamed = Project(node, tuple((f, ColumnRef(f.type, i)) for f, i in zip(node.fields, node.columns, strict=True)))
        return replace(node, to_coordinator=where == COORDINATOR), where.projected(renamed)

    # Recursion --------------------------------------------------------------------------------------------------------

    def recursion(self, node: Recursion) -> Placed:
        placed = {id(part): self.place(part) for child in node.inputs for part in _independent(child)}
        here = all(where.one and where != SINGLE for _, where in placed.values())

        def brought(part: PlanNode) -> PlanNode:
            child, where = placed[id(part)]
            in_place = where.kind == "any" or where == (COORDINATOR if here else SINGLE)
            return child if in_place else self.moved(child, "gather")

        made = _Turns(brought).ready(node)
        self.context.statistics.remember(made, self.estimate(node))
        return made, COORDINATOR if here else SINGLE

    def over_all(self, node: Union, children: list[PlanNode]) -> PlanNode:
        if all(a is b for a, b in zip(children, node.inputs, strict=True)):
            return node
        made = replace(node, inputs=tuple(children))
        self.context.statistics.remember(made, self.estimate(node))
        return made

    # Joins ------------------------------------------------------------------------------------------------------------

    def join(self, node: Join) -> Placed:
        left, at_left = self.place(node.left)
        right, at_right = self.place(node.right)
        if at_left.one and at_right.one:
            return self.join_in_one_task(node, left, at_left, right, at_right)
        if at_left.one and node.kind == "inner":
            node = replace(node, left=node.right, right=node.left, keys=tuple((b, a) for a, b in node.keys))
            left, right, at_left, at_right = right, left, at_right, at_left
        return _JoinPlacement(self, node, left, at_left, right, at_right).cheapest()

    def join_in_one_task(self, node: Join, left: PlanNode, at_left: Distribution, right: PlanNode,
                         at_right: Distribution) -> Placed:
        kinds = {at_left.kind, at_right.kind} - {"any"}
        if len(kinds) == 2:
            left, right = (self.moved(side, "gather") if at == COORDINATOR else side
                           for side, at in ((left, at_left), (right, at_right)))
            kinds = {"single"}
        where = ANY if not kinds else SINGLE if "single" in kinds else COORDINATOR
        if node.condition is not None and where == ANY and is_volatile(node.condition):
            where = COORDINATOR
        return self.joined(node, left, right, ""), where

    def joined(self, node: Join, left: PlanNode, right: PlanNode, how: str) -> Join:
        made = replace(node, left=left, right=right, distribution=how)  # type: ignore[arg-type]
        self.context.statistics.remember(made, self.estimate(node))
        return made

    # The last step ----------------------------------------------------------------------------------------------------

    def for_client(self, plan: PlanNode) -> PlanNode:
        """The plan with its last task in the coordinator, if that is light work."""
        last: list[PlanNode] = []
        entering = 0.0
        stack = [plan]
        while stack:
            node = stack.pop()
            if isinstance(node, With):
                stack.append(node.inputs[-1])
            elif isinstance(node, Exchange):
                entering += 0.0 if node.ordering and _only_passes(plan) else self.estimate(node.input).rows
            else:
                last.append(node)
                stack.extend(node.children())
        if entering > LIGHT_ROWS or any(isinstance(node, Scan) for node in last):
            return plan
        return self.to_coordinator(plan)

    def to_coordinator(self, node: PlanNode) -> PlanNode:
        if isinstance(node, Exchange):
            if node.kind != "gather":
                return node
            return node.input if self.in_coordinator(node.input) else replace(node, to_coordinator=True)
        if isinstance(node, SharedRows):
            return replace(node, to_coordinator=True)
        if isinstance(node, With):
            return With(node.numbers, (*node.inputs[:-1], self.to_coordinator(node.inputs[-1])))
        children = node.children()
        return node.with_children(tuple([self.to_coordinator(child) for child in children])) if children else node

    def in_coordinator(self, node: PlanNode) -> bool:
        if isinstance(node, Scan):
            return self.scan(node)[1] == COORDINATOR
        if isinstance(node, SharedRows):
            return node.to_coordinator
        return not isinstance(node, Exchange) and any(self.in_coordinator(child) for child in node.children())


def _only_passes(plan: PlanNode) -> bool:
    """Whether nothing but a merge of sorted streams, projections and limits is left to do."""
    node = plan
    while isinstance(node, (Project, Limit)):
        node = node.input
    return isinstance(node, Exchange)


def _independent(node: PlanNode) -> list[PlanNode]:
    """The largest subtrees that read no working table from around them."""
    return [part for child in node.children() for part in _independent(child)] if free_tables(node) else [node]


class _Turns:
    """Makes a recursion ready to be run: what each of its turns would compute anew without need is held, and what depends
    on no working table at all is `brought` to the task that it runs in."""

    def __init__(self, brought: Callable[[PlanNode], PlanNode]) -> None:
        self.brought = brought
        self.around: list[int] = []
        """The recursions whose turns the node at hand is run again in."""

    def ready(self, node: PlanNode) -> PlanNode:
        if isinstance(node, Recursion):
            start, step = node.inputs
            start = self.held(start)
            self.around.append(node.number)
            step = self.held(step)
            self.around.pop()
            return replace(node, inputs=(start, step))
        if isinstance(node, Join):
            node = _streaming(node)
        children = node.children()
        return node.with_children(tuple([self.held(child) for child in children])) if children else node

    def held(self, node: PlanNode) -> PlanNode:
        free = free_tables(node)
        made = self.ready(node) if free else self.brought(node)
        return made if not self.around or self.around[-1] in free else Materialize(made)


def _streaming(node: Join) -> Join:
    """The join holding the side that stays the same from turn to turn, if there is one and its kind allows that."""
    left, right = bool(free_tables(node.left)), bool(free_tables(node.right))
    if left == right:
        return node
    if node.kind == "inner" and right:
        return replace(node, left=node.right, right=node.left, keys=tuple((b, a) for a, b in node.keys), build="right")
    return replace(node, build="right" if left or node.null_aware else "left")


class _JoinPlacement:
    """The ways to distribute one join of which at least one input is spread, and their costs."""

    def __init__(self, placing: _Placing, node: Join, left: PlanNode, at_left: Distribution, right: PlanNode,
                 at_right: Distribution) -> None:
        self.placing, self.node, self.workers = placing, node, placing.workers
        self.left, self.at_left, self.right, self.at_right = left, at_left, right, at_right
        self.of_left, self.of_right = placing.estimate(node.left), placing.estimate(node.right)
        needed_right = output_ids(node.right)
        if node.kind in ("semi", "anti", "mark"):
            needed_right &= references(node)
        self.left_width = self.of_left.width(output_ids(node.left))
        self.right_width = self.of_right.width(needed_right)

    def cheapest(self) -> Placed:
        node, wanted = self.node, self.placing.switches.join_distribution
        ways: list[tuple[float, Callable[[], Placed]]] = []
        can_partition = bool(node.keys) and (not node.null_aware or len(node.keys) > 1)
        can_broadcast = node.build == "right" and node.kind != "full" and node.kind != "right"
        if can_broadcast and self.at_left.one and self.at_left != ANY and node.kind == "inner":
            can_broadcast = False
        if can_broadcast and not (wanted == "partitioned" and can_partition):
            ways.append((self.broadcast_cost(), self.broadcast))
        if can_partition and not (wanted == "broadcast" and can_broadcast):
            ways.append((self.partitioned_cost(), self.partitioned))
        if not ways or self.at_left.one or self.at_right.one:
            ways.append((self.gathered_cost(), self.gathered))
        return min(ways, key=lambda way: way[0])[1]()

    def local_ns(self) -> float:
        build, probe = self.of_right.rows, self.of_left.rows
        if self.node.build == "left":
            build, probe = probe, build
        return build * cost.BUILD_NS + probe * cost.PROBE_NS

    def broadcast_cost(self) -> float:
        rows = self.of_right.rows
        total = self.of_left.rows * cost.PROBE_NS / self.workers + rows * cost.BUILD_NS
        if self.at_right != ANY:
            total += cost.EXCHANGE_NS + cost.send_ns(rows, self.right_width)
        if self.at_left.one:
            total += cost.EXCHANGE_NS + cost.send_ns(self.of_left.rows, self.left_width)
        if rows * self.right_width > self.placing.switches.max_broadcast_bytes:
            total *= 1000.0
        return total

    def reduced(self) -> tuple[float, float]:
        """The rows of both sides that are left when the held side's keys filter the other one's scans."""
        node, left, right = self.node, self.of_left, self.of_right
        if not node.keys:
            return left.rows, right.rows
        keys = [(a.id, b.id) for a, b in node.keys]
        domain = key_domain(left, right, keys)
        if node.build == "right" and node.kind in ("inner", "semi"):
            return left.rows * match_share(left, right, keys, domain), right.rows
        if node.build == "left" and node.kind in ("inner", "semi", "anti", "left"):
            return left.rows, right.rows * match_share(right, left, [(b, a) for a, b in keys], domain)
        return left.rows, right.rows

    def keys_for_hash(self) -> tuple[list[int], bool, bool]:
        """Which keys to partition by (by index), and whether left and right must move for it."""
        node = self.node
        keys = node.keys[:-1] if node.null_aware else node.keys
        lefts, rights = [a for a, _ in keys], [b for _, b in keys]
        left_order, right_order = aligned(self.at_left, lefts), aligned(self.at_right, rights)
        if left_order is not None and left_order == right_order:
            return left_order, False, False
        if left_order is not None and (right_order is None or self.of_left.rows >= self.of_right.rows):
            return left_order, False, True
        if right_order is not None:
            return right_order, True, False
        return list(range(len(keys))), True, True

    def partitioned_cost(self) -> float:
        _, move_left, move_right = self.keys_for_hash()
        left_rows, right_rows = self.reduced()
        total = self.local_ns() / self.workers + cost.EXCHANGE_NS * (move_left + move_right)
        total += cost.send_ns(left_rows, self.left_width) / self.workers if move_left else 0.0
        total += cost.send_ns(right_rows, self.right_width) / self.workers if move_right else 0.0
        return total

    def gathered_cost(self) -> float:
        total = self.local_ns() + cost.EXCHANGE_NS
        total += 0.0 if self.at_left.one else cost.send_ns(self.of_left.rows, self.left_width)
        total += 0.0 if self.at_right.one else cost.send_ns(self.of_right.rows, self.right_width)
        if COORDINATOR in (self.at_left, self.at_right) and self.of_left.rows + self.of_right.rows > LIGHT_ROWS:
            total *= 10.0  # the coordinator has clients to serve
        return total

    def broadcast(self) -> Placed:
        left, where = self.left, self.at_left
        if where.one:
            left, where = self.placing.moved(left, "round_robin"), SPREAD
        right = self.right if self.at_right == ANY else self.placing.moved(self.right, "broadcast")
        made = self.placing.joined(self.node, left, right, "broadcast")
        return made, where.with_equal(self.node.keys) if self.node.kind == "inner" else where

    def partitioned(self) -> Placed:
        order, move_left, move_right = self.keys_for_hash()
        chosen = [self.node.keys[i] for i in order]
        left, right = self.left, self.right
        if move_left:
            left = self.placing.moved(left, "hash", tuple(a for a, _ in chosen))
        if move_right:
            right = self.placing.moved(right, "hash", tuple(b for _, b in chosen))
        made = self.placing.joined(self.node, left, right, "partitioned")
        kind = self.node.kind
        if kind == "full":
            return made, SPREAD
        if kind == "right":
            return made, hashed(*[{b.id} for _, b in chosen])
        if kind == "inner":
            return made, hashed(*[{a.id, b.id} for a, b in chosen]).with_equal(self.node.keys)
        return made, hashed(*[{a.id} for a, _ in chosen])

    def gathered(self) -> Placed:
        """Everything in one task: where an input already is, else on some worker."""
        where = next((at for at in (self.at_left, self.at_right) if at.one and at != ANY), SINGLE)
        to_coordinator = where == COORDINATOR

        def brought(side: PlanNode, at: Distribution) -> PlanNode:
            return side if at.one else self.placing.moved(side, "gather", to_coordinator=to_coordinator)

        left, right = brought(self.left, self.at_left), brought(self.right, self.at_right)
        return self.placing.joined(self.node, left, right, ""), where


_PLACES: dict[type, Callable[[_Placing, Any], Placed]] = {
    Scan: _Placing.scan, Values: _Placing.values, Filter: _Placing.filter, Project: _Placing.project,
    TableWrite: _Placing.write, Sort: _Placing.sort, TopN: _Placing.top_n, Limit: _Placing.limit,
    EnforceSingleRow: _Placing.single_row, Aggregate: _Placing.aggregate, Window: _Placing.window,
    Union: _Placing.union, Join: _Placing.join, Recursion: _Placing.recursion,
    Completion: _Placing.completion, With: _Placing.with_, SharedRows: _Placing.shared_rows}
