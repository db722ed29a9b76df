"""From an aggregate call to its accumulator: the one table of which aggregates exist.

Used by Aggregate for groups and by Window for frames that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import TEXT
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, compile_expressions
from shoal.exec.kernels import aggregation_collected as collected
from shoal.exec.kernels import canonical
from shoal.exec.kernels.aggregation import (
    Accumulator,
    Bitwise,
    CountRows,
    Extreme,
    SeenBefore,
    SumIntegers,
    SumIntervals,
)
from shoal.exec.kernels.aggregation_floats import Moments, Regression, SumFloats
from shoal.exec.kernels.aggregation_scaled import SumScaled
from shoal.exec.kernels.aggregation_statistics import Average, ExactMoments
from shoal.exec.kernels.aggregation_values import AnyValue, Collected, Distinct, Finish, RankedExtreme, array_lists
from shoal.exec.plan.expr import AggregateCall, Call, Cast, ColumnRef, Expr

Make = Callable[[AggregateCall, bool, EvaluationContext], Accumulator]
"""(the call, whether groups may have no rows, the task's evaluation context) -> a fresh state."""
_FLOATS = ("float4", "float8")
_IGNORE_DISTINCT = frozenset({"min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "any_value"})
REGRESSION = frozenset({"corr", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept",
                        "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy"})
VARIANCES = frozenset({"stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"})


def accumulator(call: AggregateCall, evaluation: EvaluationContext, empty_groups: bool = False) -> Accumulator:
    """A fresh state for the call. `update` gets its arguments, then its order keys, as columns.

    `empty_groups`: results may be asked for groups that never had a row, even without FILTER.

    Raises: FeatureNotSupported (0A000) for an aggregate without implementation.
    """
    distinct = call.distinct and bool(call.args) and call.name not in _IGNORE_DISTINCT
    make = _TABLE.get(call.name)
    if make is None and call.name in REGRESSION:
        make = _regression
    if make is None:
        raise FeatureNotSupported(f"aggregate function {call.name} is not supported")
    if distinct:
        types = [arg.type for arg in call.args] + [key.column.type for key in call.order_by]
        return Distinct(types, make(call, True, evaluation))
    return make(call, empty_groups or call.filter is not None, evaluation)


def _count(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    return CountRows(bool(call.args))


def _sum(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    argument = call.args[0].type
    if argument.name in _FLOATS:
        return SumFloats(call.type, filtered)
    if argument.name == "interval":
        return SumIntervals(filtered)
    return SumScaled(argument, filtered) if call.type.varies else SumIntegers(call.type, filtered)


def _average(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    argument = call.args[0].type
    return SumIntervals(filtered, average=True) if argument.name == "interval" else Average(argument, call.type)


def _extreme(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    argument = call.args[0].type
    if canonical.is_integers(argument) and argument.name != "numeric":
        return Extreme(argument, call.name == "max", filtered)
    return RankedExtreme(argument, call.name == "max", filtered)


def _bitwise(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    if call.args[0].type.is_string:
        return _bit_strings(call, filtered, evaluation)
    return Bitwise(call.name, call.type, filtered)


def _moments(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    argument = call.args[0].type
    return Moments(call.name, call.type) if argument.name in _FLOATS else ExactMoments(call.name, argument)


def _regression(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    return Regression(call.name, call.type)


def _collected(finish: Callable[[AggregateCall], Finish], skip_null: int | None) -> Make:
    def make(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
        types = [arg.type for arg in call.args] + [key.column.type for key in call.order_by]
        return Collected(types, len(call.args), _directions(call), finish(call), skip_null)
    return make


def _directions(call: AggregateCall) -> list[tuple[bool, bool]]:
    return [(key.descending, key.nulls_first) for key in call.order_by]


def _hypothetical(call: AggregateCall) -> Finish:
    return collected.hypothetical(call.name, [key.column.type for key in call.order_by], _directions(call))


def _ranges(call: AggregateCall, filtered: bool, evaluation: EvaluationContext) -> Accumulator:
    from shoal.exec.kernels.range_aggregation import collected_ranges
    argument = call.args[0].type
    finish = collected_ranges(argument.name, call.type.name, intersect=call.name == "range_intersect_agg")
    return _collected(lambda call: finish, 0)(call, filtered, evaluation)


class _AsJson(Collected):
    """Collected rows whose last argument is turned into JSON text as it comes, and names before it into text."""

    def __init__(self, call: AggregateCall, finish: Finish, evaluation: EvaluationContext,
                 skip_null: int | None = None) -> None:
        keys = [key.column.type for key in call.order_by]
        super().__init__([TEXT] * len(call.args) + keys, len(call.args), _directions(call), finish, skip_null)
        refs = [ColumnRef(arg.type, i) for i, arg in enumerate(call.args)]
        exprs: list[Expr] = [ref if ref.type.is_string else Cast(TEXT, ref) for ref in refs[:-1]]
        exprs.append(Call(call.type, f"to_{call.type.name}", (refs[-1],)))
        self._convert = compile_expressions(exprs, {i: i for i in range(len(refs))})
        self._evaluation, self._count = evaluation, len(refs)

    def update(self, codes: np.ndarray, columns: Sequence[pa.Array], before: SeenBefore) -> None:
        converted = self._convert(Batch.of(columns[:self._count], len(codes)), self._evaluation)
        super().update(codes, [*converted, *columns[self._count:]], before)


def _json(finish: Finish, skip_null: int | None = None) -> Make:
    return lambda call, filtered, evaluation: _AsJson(call, finish, evaluation, skip_null)


_bit_strings = _collected(lambda call: collected.bit_strings(call.name), 0)

_TABLE: dict[str, Make] = {
    "count": _count,
    "sum": _sum,
    "sum0": lambda call, filtered, evaluation: SumIntegers(call.type, filtered, zero=True),
    "avg": _average,
    "min": _extreme,
    "max": _extreme,
    **dict.fromkeys(("bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "every"), _bitwise),
    "any_value": lambda call, filtered, evaluation: AnyValue(call.args[0].type),
    **dict.fromkeys(VARIANCES, _moments),
    "string_agg": _collected(lambda call: collected.joined_strings, 0),
    "array_agg": _collected(lambda call: array_lists(call.type, call.args[0].type.is_array), None),
    "percentile_cont": _collected(lambda call: collected.continuous_percentile, 1),
    "percentile_disc": _collected(lambda call: collected.discrete_percentile, 1),
    "range_agg": _ranges, "range_intersect_agg": _ranges,
    "mode": _collected(lambda call: collected.mode_of(call.args[0].type), 0),
    **dict.fromkeys(("rank", "dense_rank", "percent_rank", "cume_dist"), _collected(_hypothetical, None)),
    "json_agg": lambda call, filtered, evaluation: _AsJson(call, collected.json_lines if call.args[0].type.is_array or (
        call.args[0].type.name == "record") else collected.json_array, evaluation),
    "jsonb_agg": _json(collected.json_array),
    "json_object_agg": _json(collected.json_object(True, False)),
    "jsonb_object_agg": _json(collected.json_object(False, True)),
    "json_agg_strict": _json(collected.json_array, 0),
    "jsonb_agg_strict": _json(collected.json_array, 0),
    **{f"{kind}_object_agg{'_unique' * unique}{'_strict' * strict}": _json(
        collected.json_object(kind == "json", kind == "jsonb", unique), 1 if strict else None)
       for kind in ("json", "jsonb") for unique, strict in ((False, True), (True, False), (True, True))},
}
