"""From plan nodes to operators: `build` makes the operator tree of one task. Hop 6 of a query's way.

    build(node, context) -> Operator        # its batches() are counted and timed in context.metrics(node)

Adding an operator is one module and one row of `OPERATORS`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from shoal.catalog.errors import InternalError
from shoal.exec.batch import Batch, Output
from shoal.exec.operators.aggregate import Aggregate
from shoal.exec.operators.assign_unique_id import AssignUniqueId
from shoal.exec.operators.base import Operator, OperatorMetrics, TaskContext
from shoal.exec.operators.completion import Completion
from shoal.exec.operators.enforce_single_row import EnforceSingleRow
from shoal.exec.operators.filter import Filter
from shoal.exec.operators.join import Join
from shoal.exec.operators.limit import Limit
from shoal.exec.operators.project import Project
from shoal.exec.operators.recursion import Materialize, Recursion, WorkingTable
from shoal.exec.operators.remote_source import RemoteSource
from shoal.exec.operators.scan import Scan
from shoal.exec.operators.sort import Sort
from shoal.exec.operators.table_function import TableFunction
from shoal.exec.operators.table_write import TableWrite
from shoal.exec.operators.top_n import TopN
from shoal.exec.operators.union import Union
from shoal.exec.operators.values import Values
from shoal.exec.operators.window import Window
from shoal.exec.plan import nodes
from shoal.exec.plan.nodes import PlanNode

__all__ = ["OPERATORS", "Operator", "OperatorMetrics", "TaskContext", "build"]

OPERATORS: dict[type[PlanNode], type[Operator]] = {
    nodes.Scan: Scan,
    nodes.Values: Values,
    nodes.TableFunction: TableFunction,
    nodes.Filter: Filter,
    nodes.Project: Project,
    nodes.Join: Join,
    nodes.Aggregate: Aggregate,
    nodes.Sort: Sort,
    nodes.TopN: TopN,
    nodes.Limit: Limit,
    nodes.Window: Window,
    nodes.Union: Union,
    nodes.Completion: Completion,
    nodes.Recursion: Recursion,
    nodes.WorkingTable: WorkingTable,
    nodes.Materialize: Materialize,
    nodes.EnforceSingleRow: EnforceSingleRow,
    nodes.AssignUniqueId: AssignUniqueId,
    nodes.TableWrite: TableWrite,
    nodes.RemoteSource: RemoteSource,
}


def build(node: PlanNode, context: TaskContext) -> Operator:
    """The operator for `node` over operators for its inputs. Raises: InternalError for a node without operator."""
    made = OPERATORS.get(type(node))
    if made is None:
        raise InternalError(f"{type(node).__name__} reached a worker but is not executable")
    inputs = [build(child, context) for child in node.children()]
    return Measured(context, node, inputs, made(context, node, inputs))


class Measured(Operator):
    """An operator together with what it costs: counts its batches and rows, and the time spent in it alone."""

    def __init__(self, context: TaskContext, node: PlanNode, inputs: Sequence[Operator], operator: Operator) -> None:
        super().__init__(context, node, inputs)
        self.operator = operator
        self.elapsed_s = 0.0
        self.metrics.label = self.metrics.label or type(node).__name__

    @property
    def core(self) -> Operator:
        return self.operator

    @property
    def steady(self) -> object | None:
        return self.operator.steady

    def batches(self) -> Output:
        """The operator's batches. `metrics.seconds` is brought up to date after each."""
        metrics = self.metrics
        children = [child for child in self.inputs if isinstance(child, Measured)]
        stream = iter(self.operator.batches())
        clock = time.perf_counter
        while True:
            started = clock()
            batch = next(stream, None)
            self.elapsed_s += clock() - started
            metrics.seconds = self.elapsed_s - sum(child.elapsed_s for child in children)
            if batch is None:
                return
            if isinstance(batch, Batch):
                metrics.batches += 1
                metrics.rows += batch.rows
            yield batch

    def close(self) -> None:
        self.operator.close()
