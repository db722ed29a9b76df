"""Limit: skips `offset` rows, gives `count`, then stops reading its input.

Spec: PostgreSQL 15 documentation, 7.6: NULL means none given; negative numbers are errors.
"""

from __future__ import annotations

from shoal.catalog.errors import InvalidLimit, InvalidOffset
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.evaluator import evaluate_constant
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import Expr


class Limit(Operator):
    node: nodes.Limit

    def _number(self, expr: Expr | None) -> int | None:
        value = None if expr is None else evaluate_constant(expr, streams.evaluation(self.context))
        return None if value is None else int(value)

    def batches(self) -> Output:
        left, skip = self._number(self.node.count), self._number(self.node.offset) or 0
        if left is not None and left < 0:
            raise InvalidLimit("LIMIT must not be negative")
        if skip < 0:
            raise InvalidOffset("OFFSET must not be negative")
        if left == 0:
            return
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            if skip >= batch.rows:
                skip -= batch.rows
                continue
            take = batch.rows - skip if left is None else min(batch.rows - skip, left)
            yield batch if take == batch.rows else batch.slice(skip, take)
            skip = 0
            if left is not None:
                left -= take
                if left == 0:
                    return
