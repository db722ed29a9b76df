"""TableWrite: rows into a table of a writable connector, all or nothing; gives their count or RETURNING's rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from shoal.catalog.connector import SupportsWrite, Writer
from shoal.catalog.errors import FeatureNotSupported
from shoal.exec.batch import BLOCKED, Batch, Output
from shoal.exec.kernels import views
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes


class TableWrite(Operator):
    """Raises: FeatureNotSupported (0A000) where the catalog cannot write, and whatever the connector refuses."""

    node: nodes.TableWrite
    _writer: Writer | None = None

    def batches(self) -> Output:
        connector = self.context.connector(self.node.handle.catalog)
        if not isinstance(connector, SupportsWrite):
            raise FeatureNotSupported(f'catalog "{self.node.handle.catalog}" cannot be written to')
        open_writer = {"insert": connector.insert, "delete": connector.delete, "update": connector.update}[self.node.mode]
        self._writer = open_writer(self.node.handle)
        where = streams.positions(self.node.input)
        written = [where[column.id] for column in self.node.columns]
        names = [column.name or f"column{i + 1}" for i, column in enumerate(self.node.columns)]
        returned = [where[column.id] for _, column in self.node.returning]
        kept: list[Batch] = []
        rows = held_bytes = 0
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
            elif batch.rows:
                self._writer.append(pa.RecordBatch.from_arrays([batch.array(p) for p in written], names=names))
                rows += batch.rows
                if returned:
                    kept.append(batch.select(returned))
                    held_bytes += kept[-1].nbytes()
                    self.context.reserve(self.metrics, held_bytes)
        writer, self._writer = self._writer, None
        writer.commit()
        if self.node.returning:
            yield from kept
        else:
            yield Batch.of([views.array_of(np.array([rows]), pa.int64())])

    def close(self) -> None:
        """A writer that was not committed is aborted."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.abort()
