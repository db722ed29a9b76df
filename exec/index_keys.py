"""The keys of unique indexes on expressions, or of some rows only, as the catalog that enforces them asks for them.

Both are immutable, so neither settings nor the session matter. Blocks the thread it runs in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from shoal.exec.batch import Batch
from shoal.exec.evaluation_context import EvaluationContext
from shoal.exec.evaluator import compile_expressions, compile_predicate
from shoal.exec.plan.expr import Expr, columns_of
from shoal.exec.plan.nodes import Field


class IndexKeys:
    """`keys` and `predicate` are over `fields`, the table's columns."""

    def __init__(self, fields: Sequence[Field], keys: Sequence[Expr], predicate: Expr | None) -> None:
        used = set().union(*(columns_of(key) for key in (*keys, *(() if predicate is None else (predicate,)))))
        read = [field for field in fields if field.id in used] or list(fields[:1])
        self._names = [field.name for field in read]
        positions = {field.id: place for place, field in enumerate(read)}
        self._keys = compile_expressions(keys, positions)
        self._predicate = None if predicate is None else compile_predicate(predicate, positions)

    def __call__(self, columns: Mapping[str, pa.Array]) -> Sequence[pa.Array]:
        """The first key is NULL for the rows that do not meet the condition, whatever it is for the others."""
        batch = Batch.of([columns[name] for name in self._names])
        context = EvaluationContext()
        if self._predicate is None:
            return self._keys(batch, context)
        outside = ~self._predicate(batch, context)
        first, *others = self._keys(batch, context)
        return [first.take(pa.array(np.arange(len(first)), mask=outside)), *others]
