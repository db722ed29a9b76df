"""What a rule may know besides the plan: catalogs, settings, worker count, fresh column ids, switches, estimates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from shoal.catalog.connector import ConnectorLookup
from shoal.catalog.errors import InvalidParameterValue
from shoal.catalog.types import SqlType
from shoal.exec.optimizer.columns import largest_id
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.nodes import Field, PlanNode, Project, TableWrite, With, walk_plan
from shoal.exec.session_names import session_names

if TYPE_CHECKING:
    from shoal.exec.evaluator import EvaluationContext
    from shoal.exec.optimizer.estimates import Estimate
    from shoal.exec.optimizer.stats import Statistics


@dataclass(frozen=True, slots=True)
class Switches:
    """Planner switches: the defaults are for real use, tests and experiments change them."""

    join_reordering: bool = True
    dynamic_filtering: bool = True
    partial_aggregation: bool = True
    connector_pushdown: bool = True
    max_exhaustive_relations: int = 9
    """Inner-join graphs up to this many relations are ordered exhaustively, larger ones greedily."""
    join_distribution: Literal["cost", "broadcast", "partitioned"] = "cost"
    max_broadcast_bytes: float = 512 << 20
    """No build side estimated larger than this is copied to every worker."""
    max_gathered_groups: float = 10_000
    """Aggregates with no more groups are finished in one task instead of one for each hash partition."""
    validate: bool = False
    """Check the plan after each rule (exec/optimizer/validate.py)."""


def session_switches(session: Mapping[str, str]) -> Switches:
    """The switches that a session's settings ask for: `shoal.join_distribution` (cost, broadcast, partitioned),
    `shoal.max_gathered_groups`, `shoal.validate_plans` (on, off); "" is unset. Raises: InvalidParameterValue (22023)."""
    changes: dict[str, Any] = {}
    if distribution := session.get("shoal.join_distribution"):
        if distribution not in ("cost", "broadcast", "partitioned"):
            raise InvalidParameterValue(f'invalid value for parameter "shoal.join_distribution": "{distribution}"',
                                        hint="Available values: cost, broadcast, partitioned.")
        changes["join_distribution"] = distribution
    if groups := session.get("shoal.max_gathered_groups"):
        if not groups.isdecimal():
            raise InvalidParameterValue(f'invalid value for parameter "shoal.max_gathered_groups": "{groups}"')
        changes["max_gathered_groups"] = float(groups)
    if checked := session.get("shoal.validate_plans"):
        changes["validate"] = checked in ("on", "true", "yes", "1")
    return Switches(**changes) if changes else Switches()


@dataclass
class OptimizerContext:
    """One `optimize` call's surroundings. `trace(rule name, plan)` is told of each rule that changed the plan."""

    catalogs: ConnectorLookup
    settings: TaskSettings
    workers: int = 1
    trace: Callable[[str, PlanNode], None] | None = None
    switches: Switches = Switches()
    last_id: int = 0
    """The largest column id in use; `optimize` raises it to the plan's."""
    _statistics: Statistics | None = field(default=None, repr=False)

    @cached_property
    def evaluation(self) -> EvaluationContext:
        """What constants are folded with: the pinned settings, and the catalog's names for reg* constants."""
        from shoal.exec.evaluator import EvaluationContext
        return EvaluationContext(self.settings, session_names(self.catalogs, self.settings))

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def new_field(self, name: str, type: SqlType) -> Field:
        return Field(self.next_id(), name, type)

    def start(self, plan: PlanNode) -> None:
        """Readies the context for one plan: ids beyond it, no estimates yet."""
        self.last_id = max(self.last_id, largest_id(plan))
        self._statistics = None

    def share(self, plan: PlanNode) -> None:
        """Takes note of what the plan's With defines, for the estimates of its readers."""
        for node in walk_plan(plan):
            if isinstance(node, With):
                self.statistics.definitions = dict(zip(node.numbers, node.inputs[:-1], strict=True))
            if not isinstance(node, (Project, TableWrite)):
                return

    @property
    def statistics(self) -> Statistics:
        """Estimates of this plan's nodes, remembered by node identity."""
        if self._statistics is None:
            from shoal.exec.optimizer.stats import Statistics
            self._statistics = Statistics(self.catalogs)
        return self._statistics

    def estimate(self, node: PlanNode) -> Estimate:
        return self.statistics.estimate(node)
