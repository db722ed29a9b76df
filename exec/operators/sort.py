"""Sort, and TopN: the first rows in an order without sorting all of them.

TopN keeps candidates only: once it has `count` rows, the last one's leading key is a threshold that drops most rows
of later batches before anything else is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.batch import BLOCKED, Batch, Output, Selection
from shoal.exec.kernels import canonical, nulls, sorting
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


class Sort(Operator):
    node: nodes.Sort

    def batches(self) -> Output:
        held: list[Batch] = []
        held_bytes = 0
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                held.append(batch)
                held_bytes += batch.nbytes()
                self.context.reserve(self.metrics, held_bytes)
        if held:
            whole = concatenated_batches(held, streams.types(self.node))
            del held
            order = sorting.sort_indices(orderings(whole, self.node.keys, streams.positions(self.node)), whole.rows)
            self.context.reserve(self.metrics, held_bytes + order.nbytes)
            batch_rows = self.context.settings.batch_rows
            step = whole.rows if whole.rows <= 4 * batch_rows else batch_rows
            for start in range(0, whole.rows, step):
                yield whole.take(Selection(order[start:start + step]))
        self.context.reserve(self.metrics, 0)


class TopN(Operator):
    node: nodes.TopN

    def batches(self) -> Output:
        count = self.node.count
        where = streams.positions(self.node)
        types = streams.types(self.node)
        held: list[Batch] = []
        rows = 0
        threshold: int | None = None
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            if threshold is not None:
                batch = self._below(batch, threshold)
            if batch.rows == 0 or count == 0:
                continue
            held.append(batch)
            rows += batch.rows
            if rows > count + max(count, self.context.settings.batch_rows // 4):
                best = self._best(held, types, where)
                held, rows = [best], best.rows
                threshold = self._threshold(best)
                self.context.reserve(self.metrics, best.nbytes())
        if held:
            yield from streams.sliced(self._best(held, types, where), self.context.settings.batch_rows)

    def _best(self, held: list[Batch], types: list[SqlType], where: Mapping[int, int]) -> Batch:
        whole = concatenated_batches(held, types)
        best = sorted_batch(whole, self.node.keys, where)
        best = best if best.rows <= self.node.count else best.slice(0, self.node.count)
        return Batch.of(best.arrays(), best.rows)  # lets go of the rows that lost

    def _leading(self, array: pa.Array) -> np.ndarray | None:
        """The first key as int64 that ascends with the order; None for types where that needs all rows at once."""
        key = self.node.keys[0]
        if not canonical.is_integers(key.column.type) or pa.types.is_dictionary(array.type):
            return None
        codes = sorting.order_codes(array, key.column.type)
        if len(codes) > 1:
            return None
        return ~codes[0] if key.descending else codes[0]

    def _threshold(self, best: Batch) -> int | None:
        array = best.array(streams.positions(self.node)[self.node.keys[0].column.id])
        if best.rows < self.node.count or array.null_count:
            return None
        leading = self._leading(array)
        return None if leading is None else int(leading[-1])

    def _below(self, batch: Batch, threshold: int) -> Batch:
        key = self.node.keys[0]
        array = batch.array(streams.positions(self.node)[key.column.id])
        leading = self._leading(array)
        if leading is None:
            return batch
        mask = leading <= threshold
        valid = nulls.validity(array)
        if valid is not None:
            mask = mask | ~valid if key.nulls_first else mask & valid
        return batch.filter(mask)
