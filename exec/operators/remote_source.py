"""RemoteSource: what the tasks of another fragment sent, in any order or merged into one order.

Merging takes batches from all streams, sorts what is there, and gives out the rows no stream can still undercut:
those up to the first of the last rows held of the streams that go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from shoal.exec.batch import BLOCKED, Batch, Output, Selection
from shoal.exec.kernels import sorting
from shoal.exec.kernels.concat import concatenated_batches
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.operators.sort import orderings
from shoal.exec.plan import nodes


class RemoteSource(Operator):
    node: nodes.RemoteSource

    def batches(self) -> Output:
        sources = self.context.exchange(self.node.fragment_id, self.node.reader)
        yield from self._merged(sources) if self.node.ordering and len(sources) > 1 else self._any_order(sources)

    @staticmethod
    def _any_order(sources: Sequence[Iterator[Batch | object]]) -> Output:
        waiting = deque(sources)
        blocked = 0
        while waiting:
            batch = next(waiting[0], None)
            if batch is None:
                waiting.popleft()
                blocked = 0
            elif isinstance(batch, Batch):
                blocked = 0
                yield batch
            else:
                waiting.rotate(-1)
                blocked += 1
                if blocked >= len(waiting):
                    blocked = 0
                    yield BLOCKED

    def _merged(self, sources: Sequence[Iterator[Batch | object]]) -> Output:
        columns = streams.types(self.node)
        where = streams.positions(self.node)
        batch_rows = self.context.settings.batch_rows
        lanes = [_Lane(source) for source in sources]
        while True:
            for lane in lanes:
                while not lane.done and lane.rows < max(1, batch_rows // 4):
                    if not lane.advance():
                        if lane.rows:
                            break  # something to compare with is enough
                        yield BLOCKED
            lanes = [lane for lane in lanes if lane.rows or not lane.done]
            if not lanes:
                return
            held = [concatenated_batches(lane.held, columns) for lane in lanes]
            whole = concatenated_batches(held, columns)
            order = sorting.sort_indices(orderings(whole, self.node.ordering, where), whole.rows)
            ends = np.cumsum([batch.rows for batch in held])
            place = np.empty(whole.rows, np.int64)
            place[order] = np.arange(whole.rows)
            going_on = [int(place[end - 1]) for lane, end in zip(lanes, ends.tolist(), strict=True) if not lane.done]
            safe = min(going_on) + 1 if going_on else whole.rows
            yield from streams.sliced(whole.take(Selection(order[:safe])), batch_rows)
            given = np.zeros(whole.rows, np.bool_)
            given[order[:safe]] = True
            for lane, batch, end in zip(lanes, held, ends.tolist(), strict=True):
                lane.keep(batch, int(np.count_nonzero(given[end - batch.rows:end])))


class _Lane:
    """One sorted stream and the rows of it that are not given out yet."""

    def __init__(self, source: Iterator[Batch | object]) -> None:
        self._source = source
        self.held: list[Batch] = []
        self.rows, self.done = 0, False

    def advance(self) -> bool:
        """Takes the next batch; False when there is none now."""
        batch = next(self._source, None)
        if batch is None:
            self.done = True
        elif not isinstance(batch, Batch):
            return False
        elif batch.rows:
            self.held.append(batch)
            self.rows += batch.rows
        return True

    def keep(self, batch: Batch, given: int) -> None:
        """The first `given` rows are out; a stream's rows leave in its order."""
        self.rows = batch.rows - given
        self.held = [batch.slice(given, self.rows)] if self.rows else []
