"""What expressions are compiled to (exec/evaluator.py): nodes that run over frames, and three-valued masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.batch import Batch, Selection
from shoal.exec.evaluation_context import EvaluationContext
from shoal.exec.kernels import nulls, views

Value = Any
"""pa.Array | pa.Scalar (the same for all rows)."""
Evaluate = Callable[["Frame"], Value]


class Frame:
    """One evaluation: a batch (or some of its rows) and the values of shared subtrees already known."""

    __slots__ = ("batch", "context", "rows", "shared")

    def __init__(self, batch: Batch, context: EvaluationContext) -> None:
        self.batch, self.context, self.rows = batch, context, batch.rows
        self.shared: dict[int, Value] = {}

    def narrowed(self, indices: np.ndarray) -> Frame:
        return Frame(self.batch.take(Selection(indices)), self.context)

    def array(self, value: Value) -> pa.Array:
        return nulls.spread(value, self.rows) if isinstance(value, pa.Scalar) else value


@dataclass(slots=True)
class Truth:
    """A three-valued mask: where `true`, and where `null` (None: nowhere). Both never overlap."""

    true: np.ndarray
    null: np.ndarray | None


@dataclass(slots=True)
class Node:
    """A compiled subtree. `constant` is its value when it is the same for every row and batch; `steady` ones are
    the same for all rows of a batch; `cost` is only good for ordering."""

    run: Evaluate
    type: SqlType
    constant: pa.Scalar | None = None
    raises: bool = False
    cost: float = 0.0
    mask: Callable[[Frame], Truth] | None = None

    def truth(self, frame: Frame) -> Truth:
        if self.mask is not None:
            return self.mask(frame)
        return truth_of(self.run(frame), frame.rows)


def truth_of(value: Value, rows: int) -> Truth:
    if isinstance(value, pa.Scalar):
        known = value.is_valid
        return Truth(np.full(rows, known and value.as_py()), None if known else np.ones(rows, np.bool_))
    data, valid = views.values(value), views.validity(value)
    return Truth(data, None) if valid is None else Truth(data & valid, ~valid)
