"""The optimizer: an ordered tuple of rules, each a plain function (plan, context) -> plan in its own file.

Third hop of a query's way: bound plan -> plan with exchanges, ready for exec/fragmenter.py. Logical rules come
first (no Apply, filters low, few columns), then those that choose by cost (join order, build sides), then those
that place work (exchanges, partial aggregation, dynamic filters, connector push-down).
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.exec.optimizer.columns import passed_on
from shoal.exec.optimizer.context import OptimizerContext, Switches
from shoal.exec.optimizer.rules.add_dynamic_filters import add_dynamic_filters
from shoal.exec.optimizer.rules.choose_build_sides import choose_build_sides
from shoal.exec.optimizer.rules.decorrelate import decorrelate
from shoal.exec.optimizer.rules.expand_averages import expand_averages
from shoal.exec.optimizer.rules.fold_constants import fold_constants
from shoal.exec.optimizer.rules.lower_set_operations import lower_set_operations
from shoal.exec.optimizer.rules.make_top_n import make_top_n
from shoal.exec.optimizer.rules.narrow_columns import narrow_columns
from shoal.exec.optimizer.rules.place_exchanges import place_exchanges
from shoal.exec.optimizer.rules.propagate_empty import propagate_empty
from shoal.exec.optimizer.rules.prune_columns import prune_columns
from shoal.exec.optimizer.rules.push_down_limits import push_down_limits
from shoal.exec.optimizer.rules.push_down_predicates import push_down_predicates
from shoal.exec.optimizer.rules.push_into_connectors import push_into_connectors
from shoal.exec.optimizer.rules.remove_sorts import remove_sorts
from shoal.exec.optimizer.rules.reorder_joins import reorder_joins
from shoal.exec.optimizer.rules.split_distinct_aggregates import split_distinct_aggregates
from shoal.exec.optimizer.rules.split_grouping_sets import split_grouping_sets
from shoal.exec.optimizer.validate import validate
from shoal.exec.plan.nodes import PlanNode, Project

__all__ = ["RULES", "OptimizerContext", "Rule", "Switches", "optimize"]

Rule = Callable[[PlanNode, OptimizerContext], PlanNode]

RULES: tuple[Rule, ...] = (
    fold_constants,
    lower_set_operations,
    decorrelate,
    remove_sorts,
    expand_averages,
    split_distinct_aggregates,
    push_down_predicates,
    propagate_empty,
    split_grouping_sets,
    prune_columns,
    reorder_joins,
    choose_build_sides,
    make_top_n,
    push_down_limits,
    place_exchanges,
    add_dynamic_filters,
    push_into_connectors,
    narrow_columns,
)


def optimize(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    """The plan the workers run, with Exchange nodes; the root's output is the same columns in the same order.

    Raises: FeatureNotSupported (0A000) for a subquery that cannot be decorrelated; InternalError (XX000) when
    `validate` is on and a rule breaks the plan.
    """
    context.start(plan)
    fields = plan.output
    for rule in RULES:
        context.share(plan)
        changed = rule(plan, context)
        if changed is plan:
            continue
        if changed.output != fields:
            changed = Project(changed, passed_on(fields))
        if context.trace is not None and changed != plan:
            context.trace(rule.__name__, changed)
        plan = changed
        if context.switches.validate:
            validate(plan, rule.__name__)
    return plan
