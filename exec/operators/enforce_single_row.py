"""EnforceSingleRow: what a scalar subquery gives."""

from __future__ import annotations

import pyarrow as pa

from shoal.catalog.errors import CardinalityViolation
from shoal.catalog.types import storage_type
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class EnforceSingleRow(Operator):
    """Raises: CardinalityViolation (21000) for a second row."""

    node: nodes.EnforceSingleRow

    def batches(self) -> Output:
        found: Batch | None = None
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                if found is not None or batch.rows > 1:
                    raise CardinalityViolation("more than one row returned by a subquery used as an expression")
                found = batch
        if found is None:
            found = Batch.of([pa.nulls(1, storage_type(field.type)) for field in self.node.output], 1)
        yield found
