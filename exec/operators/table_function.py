"""TableFunction: the rows of set-returning functions, side by side, after the input row they came from.

Spec: PostgreSQL 15 documentation, 7.2.1.4 "Table Functions": the longest function decides, others give NULL.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import storage_type
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.evaluator import EvaluationContext, compile_expressions
from shoal.exec.functions import registry
from shoal.exec.kernels import concat, nulls, views
from shoal.exec.operators import streams
from shoal.exec.operators.base import Operator
from shoal.exec.plan import nodes
from shoal.exec.plan.expr import Call, Expr

_INPUT_ROWS = 4096
"""Input rows handled at a time: each may become many."""


class TableFunction(Operator):
    node: nodes.TableFunction

    def batches(self) -> Output:
        where = streams.positions(self.node.input)
        functions = [_Function(name, args, where) for name, args in self.node.functions]
        evaluation = streams.evaluation(self.context)
        for batch in self.inputs[0].batches():
            if not isinstance(batch, Batch):
                yield BLOCKED
                continue
            for piece in batch.split(_INPUT_ROWS):
                yield from streams.sliced(self._expand(piece, functions, evaluation), self.context.settings.batch_rows)
                if self.context.turn_over():
                    yield BLOCKED

    def _expand(self, batch: Batch, functions: list[_Function], evaluation: EvaluationContext) -> Batch:
        found = [function.run(batch, evaluation) for function in functions]
        longest = found[0][0]
        for counts, _ in found[1:]:
            longest = np.maximum(longest, counts)
        rows = np.maximum(longest, 1) if self.node.outer else longest
        total = int(rows.sum())
        source = Selection(np.repeat(np.arange(batch.rows), rows))
        ends = np.cumsum(rows)
        within = np.arange(total) - np.repeat(ends - rows, rows)
        columns = [column.take(source) for column in batch.columns]
        for counts, arrays in found:
            starts = np.cumsum(counts) - counts
            inside = within < counts[source.indices]
            index = np.where(inside, starts[source.indices] + within, -1)
            columns += [Column(array, Selection(index, nullable=True)) for array in arrays]
        columns = columns[:len(batch.columns)] + [self._typed(c, i) for i, c in enumerate(columns[len(batch.columns):])]
        if self.node.ordinality is not None:
            present = within < longest[source.indices]
            columns.append(Column(views.array_of(within + 1, pa.int64(), None if present.all() else present)))
        return Batch(columns, total)

    def _typed(self, column: Column, position: int) -> Column:
        wanted = storage_type(self.node.fields[position].type)
        have = column.base.type
        if have == wanted or pa.types.is_dictionary(have) or self.node.fields[position].type.name == "numeric":
            return column
        return Column(column.array.cast(wanted))


class _Function:
    """One set-returning function with its compiled arguments."""

    def __init__(self, name: str, args: tuple[Expr, ...], where: Mapping[int, int]) -> None:
        types = [arg.type for arg in args]
        found = registry.exact(name, types)
        if found is None or found.kernel is None:
            raise FeatureNotSupported(f"set-returning function {name} is not supported")
        returns = found.returns(types) if callable(found.returns) else found.returns
        self._function, self._call = found, Call(returns, name, args)
        self._args = compile_expressions(args, where) if args else None

    def run(self, batch: Batch, evaluation: EvaluationContext) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
        """How many rows each input row becomes, and the columns with all of them."""
        args = self._args(batch, evaluation) if self._args is not None else []
        args = [nulls.decoded(arg) for arg in args]
        assert self._function.kernel is not None
        counts, columns = self._function.kernel(self._call, args, batch.rows, evaluation)
        valid = nulls.merged_validity(args) if self._function.strict else None
        if valid is not None:
            ends = np.cumsum(counts)
            keep = pa.array(concat.ranges((ends - counts)[valid], ends[valid]))
            counts, columns = np.where(valid, counts, 0), tuple(column.take(keep) for column in columns)
        return counts, tuple(columns)
