"""Sort: all rows, stably, in the order of the keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.exec.batch import BLOCKED, Batch, Output, Selection
from shoal.exec.kernels import sorting
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.kernels.sorting import Ordering
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import SortKey


def orderings(batch: Batch, keys: Sequence[SortKey], where: Mapping[int, int]) -> list[Ordering]:
    """The sort keys with their columns of the batch."""
    return [Ordering(batch.array(where[key.column.id]), key.column.type, key.descending, key.nulls_first) for key in keys]


def sorted_batch(batch: Batch, keys: Sequence[SortKey], where: Mapping[int, int]) -> Batch:
    order = sorting.sort_indices(orderings(batch, keys, where), batch.rows)
    return batch.take(Selection(order))


def working_bytes(held_bytes: int, rows: int, keys: int) -> int:
    """What it takes to sort rows that hold `held_bytes`: those, all of them in one piece, and the keys as integers."""
    return 2 * held_bytes + 8 * rows * (2 * keys + 2)


class Sort(Operator):
    node: nodes.Sort

    def batches(self) -> Output:
        held: list[Batch] = []
        held_bytes = rows = 0
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                held.append(batch)
                held_bytes += batch.nbytes()
                rows += batch.rows
                self.context.reserve(self.metrics, working_bytes(held_bytes, rows, len(self.node.keys)))
        if held:
            whole = concatenated_batches(held, streams.types(self.node))
            del held
            order = sorting.sort_indices(orderings(whole, self.node.keys, streams.positions(self.node)), whole.rows)
            self.context.reserve(self.metrics, whole.nbytes() + order.nbytes)
            batch_rows = self.context.settings.batch_rows
            step = whole.rows if whole.rows <= 4 * batch_rows else batch_rows
            for start in range(0, whole.rows, step):
                yield whole.take(Selection(order[start:start + step]))
        self.context.reserve(self.metrics, 0)
