"""Declarations of the aggregates (operators/ implements them) and what the optimizer puts around them.

Spec: PostgreSQL 15 documentation, 9.21 "Aggregate Functions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import FLOAT8, INT8, NUMERIC, SqlType, array_of, numeric
from shoal.exec.functions import numeric_types
from shoal.exec.functions.arrays import array_type
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import datetimes, scaled, views
from shoal.exec.kernels.aggregation_scaled import average
from shoal.exec.kernels.comparing import raw
from shoal.exec.kernels.nulls import both, merged_validity
from shoal.exec.plan.expr import Call


def _first(types: Sequence[SqlType]) -> SqlType:
    return types[0]


def avg_finish_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """sum / count, NULL where the count is 0: what is left of avg after partial aggregation."""
    count = np.broadcast_to(np.asarray(raw(args[1]), np.int64), rows)
    valid = merged_validity(args)
    if (count == 0).any():
        valid, count = both(valid, count != 0), np.where(count == 0, 1, count)
    total = call.args[0].type
    if call.type.name == "interval":
        return datetimes.scaled_interval(datetimes.parts_of(args[0]), count, rows, valid, divide=True)
    if call.type.name == "float8":
        return views.array_of(np.asarray(raw(args[0]), np.float64) / count, pa.float64(), valid)
    return average(scaled.read(args[0], total), count, valid)


declare("count", "-> int8", "any -> int8", kind="aggregate", strict=False, family="aggregate",
        doc="How many rows, or how many whose argument is not NULL.", example="count(*)")
declare("sum", "int2 -> int8", "int4 -> int8", "float4 -> float4", "float8 -> float8", "interval -> interval",
        kind="aggregate", family="aggregate", doc="The sum; NULL without rows.", example="sum(l_quantity)")
declare("sum", "int8", returns=numeric(38, 0), kind="aggregate", family="aggregate")
declare("sum", "numeric", returns=numeric_types.total, kind="aggregate", family="aggregate")
declare("sum0", "int8", returns=INT8, kind="aggregate", hidden=True, family="aggregate",
        doc="The sum, 0 without rows: merges partial counts.")
declare("avg", "float4 -> float8", "float8 -> float8", "interval -> interval", kind="aggregate", family="aggregate",
        doc="The mean; NULL without rows.", example="avg(l_discount)")
declare("avg", "int2", "int4", "int8", "numeric", returns=numeric_types.varying, kind="aggregate", family="aggregate")
_ORDERED = ["int2", "int4", "int8", "float4", "float8", "numeric", "text", "bpchar", "date", "time", "timetz", "timestamp",
            "timestamptz", "interval", "oid", "tid", "inet", "anyarray"]
for _name in ("min", "max"):
    declare(_name, *_ORDERED, returns=_first, kind="aggregate", family="aggregate",
            doc=f"The {'smallest' if _name == 'min' else 'largest'} value.", example=f"{_name}(l_shipdate)")
for _name in ("bool_and", "bool_or", "every"):
    declare(_name, "bool -> bool", kind="aggregate", family="aggregate",
            doc="Whether " + ("any value is" if _name == "bool_or" else "all values are") + " true.")
for _name in ("bit_and", "bit_or", "bit_xor"):
    declare(_name, "int2 -> int2", "int4 -> int4", "int8 -> int8", kind="aggregate", family="aggregate",
            doc=f"Bitwise {_name.removeprefix('bit_').upper()} of all values.")
    declare(_name, "bit", returns=_first, kind="aggregate", family="aggregate")
declare("any_value", "anyelement", returns=_first, kind="aggregate", family="aggregate", doc="Some value that is not NULL.")
declare("string_agg", "text text -> text", "bytea bytea -> bytea", kind="aggregate", strict=False, family="aggregate",
        doc="The values put together with a separator.", example="string_agg(n_name, ', ' ORDER BY n_name)")
declare("array_agg", "anynonarray", "anyarray", returns=array_type, kind="aggregate", strict=False, family="aggregate",
        doc="All values, NULLs too, as an array.", example="array_agg(x ORDER BY x)")
for _name, _word in (("stddev", "sample standard deviation"), ("stddev_samp", "sample standard deviation"),
                     ("stddev_pop", "population standard deviation"), ("variance", "sample variance"),
                     ("var_samp", "sample variance"), ("var_pop", "population variance")):
    declare(_name, "float4 -> float8", "float8 -> float8", kind="aggregate", family="aggregate", doc=f"The {_word}.")
    declare(_name, "int2", "int4", "int8", "numeric", returns=numeric_types.varying, kind="aggregate", family="aggregate")
for _name in ("corr", "covar_pop", "covar_samp", "regr_avgx", "regr_avgy", "regr_intercept", "regr_r2", "regr_slope",
              "regr_sxx", "regr_sxy", "regr_syy"):
    declare(_name, "float8 float8", returns=FLOAT8, kind="aggregate", family="aggregate")
declare("regr_count", "float8 float8", returns=INT8, kind="aggregate", family="aggregate")
for _name in ("json_agg", "jsonb_agg"):
    declare(_name, f"anyelement -> {_name.removesuffix('_agg')}", kind="aggregate", strict=False, family="aggregate",
            doc="All values as a JSON array.")
for _name in ("json_agg_strict", "jsonb_agg_strict"):
    declare(_name, f"any -> {_name.split('_')[0]}", kind="aggregate", strict=False, family="aggregate",
            doc="All values but NULLs as a JSON array.")
for _name in [f"{_kind}_object_agg{_suffix}" for _kind in ("json", "jsonb") for _suffix in (
        "", "_strict", "_unique", "_unique_strict")]:
    declare(_name, f"any any -> {_name.split('_')[0]}", kind="aggregate", strict=False, family="aggregate",
            doc="Names and values as a JSON object.")

declare("mode", "anyelement", returns=_first, kind="aggregate", family="aggregate",
        doc="mode() WITHIN GROUP (ORDER BY x): the most frequent value.")
declare("percentile_cont", "float8 float8 -> float8", "float8 interval -> interval", "_float8 float8 -> _float8",
        "_float8 interval -> _interval", kind="aggregate", family="aggregate",
        doc="percentile_cont(p) WITHIN GROUP (ORDER BY x), called here with (p, x): the interpolated percentile, or those "
            "of an array.")
declare("percentile_disc", "float8 anyelement", returns=lambda types: types[1], kind="aggregate", family="aggregate",
        doc="percentile_disc(p) WITHIN GROUP (ORDER BY x), called here with (p, x): the first value at the percentile, or "
            "those of an array.")
declare("percentile_disc", "_float8 anyelement", returns=lambda types: array_of(types[1]), kind="aggregate",
        family="aggregate")
for _name, _result, _doc in (("rank", INT8, "rank with gaps"), ("dense_rank", INT8, "rank without gaps"),
                             ("percent_rank", FLOAT8, "relative rank, from 0 to 1"),
                             ("cume_dist", FLOAT8, "share of rows up to its peers")):
    declare(_name, "any", returns=_result, kind="aggregate", variadic=True, strict=False, family="aggregate",
            doc=f"{_name}(x ...) WITHIN GROUP (ORDER BY y ...): the {_doc} that a row of x would have.")

declare("avg_finish", "float8 int8 -> float8", "float4 int8 -> float8", "interval int8 -> interval", hidden=True,
        raises=False,
        kernel=avg_finish_kernel, family="aggregate", doc="sum / count, NULL where the count is 0.")
declare("avg_finish", "int8 int8", "numeric int8", returns=NUMERIC, hidden=True,
        raises=False,
        kernel=avg_finish_kernel, family="aggregate")
