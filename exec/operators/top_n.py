"""TopN: the first rows in an order without sorting all of them.

Only candidates are kept: once there are `count` rows, the last of them is a threshold. Rows of later batches that
come after it are dropped key by key before anything else of them is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import ORDERED_BY_KEY, SqlType
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.kernels import canonical, nulls, sorting, views
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.operators.sort import sorted_batch, working_bytes
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import SortKey


class TopN(Operator):
    node: nodes.TopN

    def batches(self) -> Output:
        count = self.node.count
        where, types = streams.positions(self.node), streams.types(self.node)
        held: list[Batch] = []
        rows = held_bytes = 0
        threshold: Threshold | None = None
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            if threshold is not None and batch.rows:
                batch = batch.filter(threshold.mask(batch))
            if batch.rows == 0 or count == 0:
                continue
            held.append(batch)
            rows += batch.rows
            held_bytes += batch.nbytes()
            self.context.reserve(self.metrics, working_bytes(held_bytes, rows, len(self.node.keys)))
            if rows > count + max(count, self.context.settings.batch_rows // 4):
                best = self._best(held, types, where)
                held, rows, held_bytes = [best], best.rows, best.nbytes()
                if rows == count:
                    threshold = Threshold(best, self.node.keys, where)
                self.context.reserve(self.metrics, held_bytes)
        if held:
            yield from streams.sliced(self._best(held, types, where), self.context.settings.batch_rows)
        self.context.reserve(self.metrics, 0)

    def _best(self, held: list[Batch], types: list[SqlType], where: Mapping[int, int]) -> Batch:
        best = sorted_batch(concatenated_batches(held, types), self.node.keys, where)
        best = best if best.rows <= self.node.count else best.slice(0, self.node.count)
        return Batch.of(best.arrays(), best.rows)  # lets go of the rows that lost


class Threshold:
    """The last row of a sorted batch, to compare rows of other batches with."""

    def __init__(self, best: Batch, keys: Sequence[SortKey], where: Mapping[int, int]) -> None:
        self._keys = [(key, where[key.column.id]) for key in keys]
        self._last = [best.array(position).slice(best.rows - 1, 1) for _, position in self._keys]

    def mask(self, batch: Batch) -> np.ndarray:
        """Rows that do not come after the threshold. Keys that cannot be compared one by one count as equal."""
        before = np.zeros(batch.rows, np.bool_)
        equal = np.ones(batch.rows, np.bool_)
        for (key, position), last in zip(self._keys, self._last, strict=True):
            compared = _compared(batch.array(position), last, key)
            if compared is None:
                break
            before |= equal & compared[0]
            equal &= compared[1]
            if not equal.any():
                break
        return before | equal


def _compared(array: pa.Array, last: pa.Array, key: SortKey) -> tuple[np.ndarray, np.ndarray] | None:
    """Masks of the rows that come before the one value in `last`, and of those equal to it."""
    valid = nulls.validity(array)
    if nulls.validity(last) is not None:
        missing = np.zeros(len(array), np.bool_) if valid is None else ~valid
        return (np.zeros(len(array), np.bool_) if key.nulls_first else ~missing), missing
    found = _compared_values(array, last, key)
    if found is None or valid is None:
        return found
    before, equal = found
    return (before | ~valid if key.nulls_first else before & valid), equal & valid


def _compared_values(array: pa.Array, last: pa.Array, key: SortKey) -> tuple[np.ndarray, np.ndarray] | None:
    sql_type = key.column.type
    if canonical.is_integers(sql_type) and not pa.types.is_dictionary(array.type):
        codes, limit = sorting.order_codes(array, sql_type), sorting.order_codes(last, sql_type)
        if len(codes) > 1 or len(limit) > 1:
            return None
        value = int(limit[0][0])
        return (codes[0] > value if key.descending else codes[0] < value), codes[0] == value
    if not sql_type.is_string or sql_type.name == "bpchar" or sql_type.name in ORDERED_BY_KEY:
        return None
    text = nulls.decoded(last)[0]
    values = array.dictionary if pa.types.is_dictionary(array.type) else array
    before = pc.fill_null((pc.greater if key.descending else pc.less)(values, text), False).to_numpy(zero_copy_only=False)
    equal = pc.fill_null(pc.equal(values, text), False).to_numpy(zero_copy_only=False)
    if values is array:
        return before, equal
    if len(values) == 0:
        return np.zeros(len(array), np.bool_), np.zeros(len(array), np.bool_)
    codes_of = views.values(array)
    return before.take(codes_of, mode="clip"), equal.take(codes_of, mode="clip")
