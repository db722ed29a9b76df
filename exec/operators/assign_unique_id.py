"""AssignUniqueId: a number for every row, unique over all tasks of the node."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shoal.exec.batch import BLOCKED, Batch, Column, Output
from shoal.exec.kernels import views
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes

_ROW_BITS = 44


class AssignUniqueId(Operator):
    node: nodes.AssignUniqueId

    def batches(self) -> Output:
        following = self.context.partition << _ROW_BITS
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            ids = views.array_of(np.arange(following, following + batch.rows), pa.int64())
            following += batch.rows
            yield Batch([*batch.columns, Column(ids)], batch.rows)
