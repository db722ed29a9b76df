"""Filter: the rows for which a predicate is true, as a selection over the input's columns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.evaluator import EvaluationContext, compile_predicate
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class Filter(Operator):
    node: nodes.Filter

    @cached_property
    def _predicate(self) -> Callable[[Batch, EvaluationContext], np.ndarray]:
        return compile_predicate(self.node.predicate, streams.positions(self.node.input))

    def batches(self) -> Output:
        predicate = self._predicate
        evaluation = streams.evaluation(self.context)
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                kept = batch.filter(predicate(batch, evaluation))
                if kept.rows:
                    yield kept
