"""Union: UNION ALL, one input after the other; one that is blocked lets the next go first."""

from __future__ import annotations

from collections import deque

from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class Union(Operator):
    node: nodes.Union

    def batches(self) -> Output:
        waiting: deque[tuple[Output, list[int]]] = deque()
        for child, source, ids in zip(self.inputs, self.node.inputs, self.node.columns, strict=True):
            where = streams.positions(source)
            waiting.append((iter(child.batches()), [where[i] for i in ids]))
        blocked = 0
        while waiting:
            stream, columns = waiting[0]
            batch = next(stream, None)
            if batch is None:
                waiting.popleft()
                blocked = 0
            elif isinstance(batch, Batch):
                blocked = 0
                yield batch.select(columns)
            else:
                waiting.rotate(-1)
                blocked += 1
                if blocked >= len(waiting):
                    blocked = 0
                    yield BLOCKED
