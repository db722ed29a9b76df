"""Project: columns passed on as they are, the others computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import pyarrow as pa

from shoal.exec.batch import BLOCKED, Batch, Column, Output
from shoal.exec.evaluator import EvaluationContext, compile_expressions
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import ColumnRef


class Project(Operator):
    node: nodes.Project

    @cached_property
    def _compiled(self) -> tuple[list[int], Callable[[Batch, EvaluationContext], list[pa.Array]] | None]:
        """For each output column its place in the input, -1 for those that the function computes."""
        where = streams.positions(self.node.input)
        exprs = [expr for _, expr in self.node.assignments]
        passed = [where[expr.id] if isinstance(expr, ColumnRef) else -1 for expr in exprs]
        computed = [expr for expr, position in zip(exprs, passed, strict=True) if position < 0]
        return passed, compile_expressions(computed, where) if computed else None

    def batches(self) -> Output:
        passed, compute = self._compiled
        evaluation = streams.evaluation(self.context)
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                fresh = iter(compute(batch, evaluation)) if compute is not None else iter(())
                columns = [batch.columns[position] if position >= 0 else Column(next(fresh)) for position in passed]
                yield Batch(columns, batch.rows)
