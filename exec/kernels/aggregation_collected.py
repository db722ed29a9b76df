"""What aggregates over all rows of a group do with them at the end: strings joined, percentiles, modes, ranks, JSON.

Each function makes a `Finish` for aggregation_values.Collected. All rows of all groups are handled at once.

Spec: PostgreSQL 15 documentation, 9.21, tables 9.59 to 9.62.
"""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import DuplicateJsonObjectKey, InvalidParameterValue, NumericOutOfRange, StringLengthMismatch
from shoal.catalog.types import SqlType
from shoal.exec.kernels import arrays, concat, datetimes, nulls, shapes, sorting, views, windows
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


@dataclass(slots=True)
class _Wanted:
    """The percentiles asked for, all groups' one after another: group, fraction; `array` is what they came in, or None."""

    groups: np.ndarray
    fractions: np.ndarray
    valid: np.ndarray | None
    array: pa.Array | None

    def results(self, values: pa.Array, groups: int, present: np.ndarray) -> pa.Array:
        """One result for each group of one for each percentile."""
        if self.array is None:
            rows = np.full(groups, -1, np.int64)
            rows[self.groups] = np.arange(len(self.groups))
            return values.take(pa.array(rows, mask=rows < 0))
        items = shapes.items_of(self.array)
        _, lengths = arrays.offsets_of(items)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        found = shapes.with_items(self.array, arrays.list_array(offsets, values, views.validity(items)))
        rows = np.full(groups, -1, np.int64)
        rows[present] = np.arange(len(present))
        return found.take(pa.array(rows, mask=rows < 0)) if len(found) else pa.nulls(groups, found.type)


def _wanted(column: pa.Array, starts: np.ndarray, present: np.ndarray) -> _Wanted:
    """Raises: NumericOutOfRange (22003) for a fraction that is none."""
    array, groups = None, present
    taken = column.take(pa.array(starts[present]))
    if pa.types.is_list(taken.type) or shapes.is_shaped(taken):
        array = taken
        counts, taken = arrays.flattened(shapes.items_of(taken))
        groups = np.repeat(present, counts)
    fractions, valid = views.values(taken).astype(np.float64), nulls.validity(taken)
    bad = (fractions < 0) | (fractions > 1) | np.isnan(fractions)
    bad = bad if valid is None else bad & valid
    if bad.any():
        raise NumericOutOfRange(f"percentile value {fractions[bad][0]:g} is not between 0 and 1")
    return _Wanted(groups, fractions if valid is None else np.where(valid, fractions, 0.0), valid, array)


def continuous_percentile(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """percentile_cont(fraction or array of them, value) over ordered float8 or interval values."""
    present = np.flatnonzero(ends > starts)
    wanted = _wanted(columns[0], starts, present)
    place = wanted.fractions * (ends - starts - 1)[wanted.groups]
    low, high = np.floor(place).astype(np.int64), np.ceil(place).astype(np.int64)
    below, above = starts[wanted.groups] + low, starts[wanted.groups] + high
    if columns[1].type == pa.month_day_nano_interval():
        parts = datetimes.parts_of(columns[1])
        distance = tuple(part[above] - part[below] for part in parts)
        step = datetimes.parts_of(datetimes.scaled_interval(
            (distance[0], distance[1], distance[2]), place - low, len(place), None))
        months, days, micros = (part[below] + more for part, more in zip(parts, step, strict=True))
        found = datetimes.interval_array(months, days, micros, len(place), wanted.valid)
    else:
        values = views.values(columns[1]).astype(np.float64)
        with np.errstate(invalid="ignore"):
            data = np.where(low == high, values[below], values[below] + (place - low) * (values[above] - values[below]))
        found = views.array_of(data, pa.float64(), wanted.valid)
    return wanted.results(found, len(starts), present)


def discrete_percentile(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """percentile_disc(fraction or array of them, value) over ordered values."""
    present = np.flatnonzero(ends > starts)
    wanted = _wanted(columns[0], starts, present)
    ranks = np.ceil(wanted.fractions * (ends - starts)[wanted.groups]).astype(np.int64)
    rows = starts[wanted.groups] + np.maximum(ranks, 1) - 1
    found = nulls.decoded(columns[1]).take(pa.array(rows, mask=None if wanted.valid is None else ~wanted.valid))
    return wanted.results(found, len(starts), present)


def hypothetical(name: str, types: Sequence[SqlType], directions: Sequence[tuple[bool, bool]]) -> Finish:
    """rank, dense_rank, percent_rank, cume_dist of a row among the ordered ones: its values, then those of the rows."""
    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        present = np.flatnonzero(ends > starts)
        rows, width = len(columns[0]), len(directions)
        keys = [sorting.Ordering(concat.concatenated([ordered, direct.take(pa.array(starts[present]))], sql_type),
                                 sql_type, *direction)
                for direct, ordered, sql_type, direction in zip(
                    columns[:width], columns[width:], types, directions, strict=True)]
        codes, _ = sorting.combined_ranks(sorting.key_codes(keys), rows + len(present))
        first, last, wanted = starts[present], ends[present], codes[rows:]
        below = windows.search(codes[:rows], wanted, first, last, False)
        if name == "rank":
            found: np.ndarray = np.ones(len(starts), np.int64)
            found[present] += below - first
        elif name == "dense_rank":
            found = np.ones(len(starts), np.int64)
            steps = np.concatenate([np.zeros(1, np.int64), np.cumsum(codes[1:rows] != codes[:rows - 1])]) if rows else below
            some = below > first
            found[present[some]] += steps[below[some] - 1] - steps[first[some]] + 1
        elif name == "percent_rank":
            found = np.zeros(len(starts))
            found[present] = (below - first) / (last - first)
        else:
            found = np.ones(len(starts))
            found[present] = (windows.search(codes[:rows], wanted, first, last, True) - first + 1) / (last - first + 1)
        return views.array_of(found, pa.int64() if found.dtype == np.int64 else pa.float64())
    return finish


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


def bit_strings(name: str) -> Finish:
    """bit_and, bit_or, bit_xor of bit strings. Raises: StringLengthMismatch (22026)."""
    combine = {"bit_and": operator.and_, "bit_or": operator.or_, "bit_xor": operator.xor}[name]

    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        texts = nulls.decoded(columns[0]).to_pylist()
        found: list[str | None] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            group = texts[start:end]
            if any(len(text) != len(group[0]) for text in group):
                raise StringLengthMismatch(f"cannot {name.removeprefix('bit_').upper()} bit strings of different sizes")
            value = functools.reduce(combine, (int(text or "0", 2) for text in group)) if group else 0
            found.append(format(value, f"0{len(group[0])}b") if group and group[0] else "" if group else None)
        return pa.array(found, pa.string())
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


def json_object(spaced: bool, merge: bool, unique: bool = False) -> Finish:
    """json[b]_object_agg over names and JSON texts; `merge`: the last of equal names counts, in jsonb's order; `unique`:
    there must be none."""
    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        names = columns[0].cast(pa.string()).to_pylist()
        values = [v if v is not None else "null" for v in nulls.decoded(columns[1]).to_pylist()]
        if None in names:
            raise InvalidParameterValue("field name must not be null")
        found: list[str | None] = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            pairs = list(zip(names[start:end], values[start:end], strict=True))
            if unique and len(dict(pairs)) < len(pairs):
                twice = next(n for i, (n, _) in enumerate(pairs) if any(n == other for other, _ in pairs[:i]))
                raise DuplicateJsonObjectKey(f"duplicate JSON object key value: {json.dumps(twice, ensure_ascii=False)}")
            if merge:
                pairs = sorted(dict(pairs).items(), key=lambda pair: (len(pair[0].encode()), pair[0]))
            shown = [f"{json.dumps(n, ensure_ascii=False)}{' : ' if spaced else ': '}{v}" for n, v in pairs]
            body = ", ".join(shown)
            found.append(None if start >= end else f"{{ {body} }}" if spaced else f"{{{body}}}")
        return pa.array(found, pa.string())
    return finish
