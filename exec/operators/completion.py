"""Completion: the rows of its first input, while the others run to their end for what they write."""

from __future__ import annotations

from collections import deque

from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class Completion(Operator):
    """All inputs are read in turn: one that shares a source with another cannot wait for it."""

    node: nodes.Completion

    def batches(self) -> Output:
        waiting = deque((number == 0, iter(child.batches())) for number, child in enumerate(self.inputs))
        blocked = 0
        while waiting:
            shown, stream = waiting[0]
            batch = next(stream, None)
            if batch is None:
                waiting.popleft()
                blocked = 0
                continue
            waiting.rotate(-1)
            if isinstance(batch, Batch):
                blocked = 0
                if shown:
                    yield batch
                continue
            blocked += 1
            if blocked >= len(waiting):
                blocked = 0
                yield BLOCKED
