"""What aggregates over all rows of a group do with them at the end: strings joined, percentiles, modes, JSON.

Each function makes a `Finish` for aggregation_values.Collected. All rows of all groups are handled at once.

Spec: PostgreSQL 15 documentation, 9.21, tables 9.59 to 9.62.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidParameterValue
from shoal.catalog.types import SqlType
from shoal.exec.kernels import concat, nulls, sorting, views
from shoal.exec.kernels.aggregation_values import Finish, list_array


def joined_strings(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """string_agg(value, separator): each value but a group's first comes after its own row's separator."""
    values, separators = (nulls.decoded(column) for column in columns)
    blank = "" if pa.types.is_string(values.type) else b""
    first = np.zeros(len(values), np.bool_)
    first[starts[starts < ends]] = True
    nothing = pa.scalar(blank, values.type)
    led = pc.binary_join_element_wise(pc.fill_null(separators.cast(values.type), nothing), values, nothing)
    return pc.binary_join(list_array(pc.if_else(pa.array(first), values, led), starts, ends), nothing)


def _fractions(column: pa.Array, starts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    fractions = views.values(column).astype(np.float64)[starts[groups]]
    if ((fractions < 0) | (fractions > 1) | np.isnan(fractions)).any():
        raise InvalidParameterValue("percentile value must be between 0 and 1")
    return fractions


def continuous_percentile(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """percentile_cont(fraction, value) over ordered float8 values."""
    found, valid = np.zeros(len(starts)), ends > starts
    groups = np.flatnonzero(valid)
    place = _fractions(columns[0], starts, groups) * (ends - starts - 1)[groups]
    low, high = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    values = views.values(columns[1]).astype(np.float64)
    below, above = values[starts[groups] + low], values[starts[groups] + high]
    with np.errstate(invalid="ignore"):
        found[groups] = np.where(low == high, below, below + (place - low) * (above - below))
    return views.array_of(found, pa.float64(), None if valid.all() else valid)


def discrete_percentile(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """percentile_disc(fraction, value) over ordered values."""
    valid = ends > starts
    groups = np.flatnonzero(valid)
    rows = np.zeros(len(starts), np.int64)
    ranks = np.ceil(_fractions(columns[0], starts, groups) * (ends - starts)[groups]).astype(np.int64)
    rows[groups] = starts[groups] + np.maximum(ranks, 1) - 1
    return columns[1].take(pa.array(rows, mask=~valid))


def mode_of(sql_type: SqlType) -> Finish:
    """mode(value) over ordered values: the most frequent, the first of several."""
    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        ranks = sorting.ranks(columns[0], sql_type)
        group = np.repeat(np.arange(len(starts)), ends - starts)
        rows = concat.ranges(starts, ends)
        changes = np.ones(len(rows), np.bool_)
        changes[1:] = (group[1:] != group[:-1]) | (ranks[rows[1:]] != ranks[rows[:-1]])
        runs = np.flatnonzero(changes)
        lengths = np.diff(runs, append=len(rows))
        order = np.lexsort((runs, -lengths, group[runs]))
        owners, first = np.unique(group[runs][order], return_index=True)
        picked = np.full(len(starts), -1, np.int64)
        picked[owners] = rows[runs[order[first]]]
        if len(columns[0]) == 0:
            return pa.nulls(len(starts), columns[0].type)
        return columns[0].take(pa.array(picked, mask=picked < 0))
    return finish


def json_array(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """json_agg and jsonb_agg over values that are JSON texts already."""
    values = pc.fill_null(nulls.decoded(columns[0]), "null")
    joined = pc.binary_join(list_array(values, starts, ends), ", ")
    return pc.binary_join_element_wise("[", joined, "]", "")


def json_lines(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """json_agg over arrays and rows: each but a group's first, and NULLs, begins a line."""
    values = nulls.decoded(columns[0])
    first = np.zeros(len(values), np.bool_)
    first[starts[starts < ends]] = True
    led = pc.binary_join_element_wise("\n ", values, "")
    return json_array([pc.if_else(pa.array(first), values, led)], starts, ends)


def json_object(spaced: bool, merge: bool) -> Finish:
    """json[b]_object_agg over names and JSON texts; `merge`: the last of equal names counts, in jsonb's order."""
    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        names = columns[0].cast(pa.string()).to_pylist()
        values = [v if v is not None else "null" for v in nulls.decoded(columns[1]).to_pylist()]
        if None in names:
            raise InvalidParameterValue("field name must not be null")
        found: list[str | None] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            pairs = list(zip(names[start:end], values[start:end], strict=True))
            if merge:
                pairs = sorted(dict(pairs).items(), key=lambda pair: (len(pair[0].encode()), pair[0]))
            shown = [f"{json.dumps(n, ensure_ascii=False)}{' : ' if spaced else ': '}{v}" for n, v in pairs]
            body = ", ".join(shown)
            found.append(None if start >= end else f"{{ {body} }}" if spaced else f"{{{body}}}")
        return pa.array(found, pa.string())
    return finish
