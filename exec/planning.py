"""From a bound plan to what the scheduler takes: optimize, cut into fragments, pin snapshots, list splits (hops 3 to 5).

Blocks (connectors are asked), so it runs in a thread. Whatever a connector pinned is let go of by `PlannedQuery.end`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.connector import CatalogDefinition, Connector, Split, SupportsSnapshot, TableHandle
from shoal.catalog.types import SqlType
from shoal.exec.plan.fragment import Fragment, TaskSettings
from shoal.exec.plan.nodes import PlanNode, Scan, transform_plan, walk_plan
from shoal.exec.plan.parameters import bind_parameters

if TYPE_CHECKING:
    from shoal.catalog.registry import Catalogs

SPLITS_PER_WORKER = 4
Fragments = tuple[Fragment, ...]


@dataclass(slots=True)
class PlannedQuery:
    """All the scheduler needs for one query. Times in seconds."""

    query_id: str
    fragments: tuple[Fragment, ...]
    splits: dict[int, list[Split]]
    catalogs: tuple[CatalogDefinition, ...]
    settings: TaskSettings
    optimize_s: float = 0.0
    split_s: float = 0.0
    trace: list[tuple[str, PlanNode]] = field(default_factory=list)
    """(rule, plan after it), when asked for."""
    snapshots: list[SupportsSnapshot] = field(default_factory=list)

    def end(self) -> None:
        """Lets go of the connectors' snapshots. Blocks. Idempotent."""
        held, self.snapshots = self.snapshots, []
        for connector in held:
            connector.end(self.query_id)

    def scans(self) -> list[Scan]:
        return [node for fragment in self.fragments for node in walk_plan(fragment.root) if isinstance(node, Scan)]


def plan_query(query_id: str, plan: PlanNode, values: Sequence[Any], types: Sequence[SqlType], catalogs: Catalogs,
               settings: TaskSettings, workers: int, *, trace: bool = False, read: bool = True,
               kept: Callable[[Callable[[], Fragments]], Fragments] = lambda make: make()) -> PlannedQuery:
    """The query ready to run (`read=False`: only to be explained, so nothing is pinned or listed).

    `kept` gives the plan made before, or calls what it is given to make one (exec/plan_cache.py).

    Raises: what the optimizer and the connectors raise; nothing stays pinned then.
    """
    from shoal.exec.fragmenter import fragment
    from shoal.exec.optimizer import OptimizerContext, optimize
    from shoal.exec.optimizer.context import session_switches

    started = time.perf_counter()
    steps: list[tuple[str, PlanNode]] = []
    record: Callable[[str, PlanNode], None] | None = (lambda rule, changed: steps.append((rule, changed))) if trace else None

    def make() -> Fragments:
        bound = bind_parameters(plan, values, types)
        switches = session_switches(settings.session.get("settings") or {})
        return fragment(optimize(bound, OptimizerContext(catalogs, settings, max(1, workers), record, switches)), catalogs)

    planned = PlannedQuery(query_id, kept(make), {}, (), settings, trace=steps)
    planned.optimize_s = time.perf_counter() - started
    if read:
        try:
            _pin_and_split(planned, catalogs, max(1, workers))
        except BaseException:
            planned.end()
            raise
    planned.split_s = time.perf_counter() - started - planned.optimize_s
    return planned


def _pin_and_split(planned: PlannedQuery, catalogs: Catalogs, workers: int) -> None:
    pinned: dict[str, SupportsSnapshot] = {}

    def pin(node: PlanNode) -> PlanNode:
        if not isinstance(node, Scan):
            return node
        connector = catalogs.connector(node.handle.catalog)
        handle: TableHandle = node.handle
        if isinstance(connector, SupportsSnapshot):
            if node.handle.catalog not in pinned:
                pinned[node.handle.catalog] = connector
                planned.snapshots.append(connector)
            handle = connector.begin(planned.query_id, handle)
        return node if handle is node.handle else replace(node, handle=handle)

    planned.fragments = tuple(
        replace(fragment, root=root) if (root := transform_plan(fragment.root, pin)) is not fragment.root else fragment
        for fragment in planned.fragments)
    used: set[str] = set()
    for scan in planned.scans():
        used.add(scan.handle.catalog)
        connector: Connector = catalogs.connector(scan.handle.catalog)
        target = 1 if connector.placement == "coordinator" else workers * SPLITS_PER_WORKER
        planned.splits[scan.scan_id] = connector.splits(scan.handle, [c.source for c in scan.columns], target)
    planned.catalogs = tuple(d for d in catalogs.definitions() if d.name in used)
