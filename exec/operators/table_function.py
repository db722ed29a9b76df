"""TableFunction: the rows of set-returning functions, side by side, after the input row they came from.

Spec: PostgreSQL 15 documentation, 7.2.1.4 "Table Functions": the longest function decides, others give NULL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.shaped import is_shaped
from shoal.catalog.types import storage_type
from shoal.exec.batch import BLOCKED, Batch, Column, Output, Selection
from shoal.exec.evaluator import EvaluationContext, compile_expressions
from shoal.exec.functions import registry, sets
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
                yield from self._expand(piece, functions, evaluation)
                if self.context.turn_over():
                    yield BLOCKED
        self.context.reserve(self.metrics, 0)

    def _expand(self, batch: Batch, functions: list[_Function], evaluation: EvaluationContext) -> Output:
        """The rows of one batch, a window at a time: they may be many more than fit into memory."""
        found = [function.run(batch, evaluation) for function in functions]
        self.context.reserve(self.metrics, sum(one.nbytes for one in found))
        longest = found[0].counts
        for one in found[1:]:
            longest = np.maximum(longest, one.counts)
        rows = np.maximum(longest, 1) if self.node.outer else longest
        ends = np.cumsum(rows)
        total, step = int(ends[-1]) if len(ends) else 0, max(1, self.context.settings.batch_rows)
        for start in range(0, total, step):
            index = np.arange(start, min(start + step, total))
            source = np.searchsorted(ends, index, side="right")
            within = index - (ends - rows).take(source)
            columns = [column.take(Selection(source)) for column in batch.columns]
            made = [column for one in found for column in one.columns(source, within)]
            columns += [self._typed(column, position) for position, column in enumerate(made)]
            if self.node.ordinality is not None:
                present = within < longest.take(source)
                columns.append(Column(views.array_of(within + 1, pa.int64(), None if present.all() else present)))
            yield Batch(columns, len(index))
            if self.context.turn_over():
                yield BLOCKED

    def _typed(self, column: Column, position: int) -> Column:
        wanted = storage_type(self.node.fields[position].type)
        have = column.base.type
        if have == wanted or pa.types.is_dictionary(have) or pa.types.is_struct(have) or (
                self.node.fields[position].type.name == "numeric"):
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

    def run(self, batch: Batch, evaluation: EvaluationContext) -> _Held | _Computed:
        """What each input row becomes."""
        args = self._args(batch, evaluation) if self._args is not None else []
        args = [nulls.decoded(arg) for arg in args]
        if self._call.name == "generate_series":
            series = sets.series_of(self._call, args, batch.rows, evaluation)
            if series is not None:
                return _Computed(series)
        assert self._function.kernel is not None
        if not self._function.shapes and any(is_shaped(arg) for arg in args):
            raise FeatureNotSupported(f"{self._call.name} of multidimensional arrays, or of arrays that do not begin at 1, "
                                      "is not supported")
        counts, columns = self._function.kernel(self._call, args, batch.rows, evaluation)
        valid = nulls.merged_validity(args) if self._function.strict else None
        if valid is not None:
            ends = np.cumsum(counts)
            keep = pa.array(concat.ranges((ends - counts)[valid], ends[valid]))
            counts, columns = np.where(valid, counts, 0), tuple(column.take(keep) for column in columns)
        return _Held(counts, columns)


class _Held:
    """All rows of a function's call, in memory."""

    def __init__(self, counts: np.ndarray, arrays: Sequence[pa.Array]) -> None:
        self.counts, self._arrays = counts, arrays
        self._starts = np.cumsum(counts) - counts
        self.nbytes = sum(array.nbytes for array in arrays)

    def columns(self, source: np.ndarray, within: np.ndarray) -> list[Column]:
        """The columns of row number `within` of each input row in `source`, NULL beyond the last one."""
        index = np.where(within < self.counts.take(source), self._starts.take(source) + within, -1)
        return [Column(array, Selection(index, nullable=True)) for array in self._arrays]


class _Computed:
    """A series, computed when it is asked for."""

    nbytes = 0

    def __init__(self, series: sets.Series | sets.EndlessSteps) -> None:
        self.counts, self._series = series.counts, series

    def columns(self, source: np.ndarray, within: np.ndarray) -> list[Column]:
        inside = within < self.counts.take(source)
        if inside.all():
            return [Column(self._series.values(source, within))]
        values = self._series.values(source, np.where(inside, within, 0))
        return [Column(values, Selection(np.where(inside, np.arange(len(source)), -1), nullable=True))]
