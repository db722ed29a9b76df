"""Values: constant rows."""

from __future__ import annotations

from shoal.exec.batch import Batch, Output
from shoal.exec.evaluator import evaluate_constant
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import Literal


class Values(Operator):
    node: nodes.Values

    def batches(self) -> Output:
        evaluation = streams.evaluation(self.context)
        rows = self.node.rows
        for start in range(0, len(rows), self.context.settings.batch_rows):
            piece = rows[start:start + self.context.settings.batch_rows]
            arrays = []
            for position, field in enumerate(self.node.fields):
                column = [row[position] for row in piece]
                values = [expr.value if isinstance(expr, Literal) else evaluate_constant(expr, evaluation)
                          for expr in column]
                arrays.append(array_of_values(values, field.type))
            yield Batch.of(arrays, len(piece))
