"""Keys of memory tables: which rows repeat a unique key, which point to nothing. Columns at a time; pure functions.

NULLs never equal anything, as the constraints of SQL have it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import scaled
from shoal.catalog.connectors.memory_segments import concatenated
from shoal.catalog.types import SqlType

Columns = Sequence[pa.Array]


def codes_of(groups: Sequence[Columns], types: Sequence[SqlType]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers that are equal where the keys are, for the rows of all groups in turn; and which keys hold a NULL."""
    total = sum(len(group[0]) for group in groups)
    codes, nulls = np.zeros(total, np.int64), np.zeros(total, np.bool_)
    for position, sql_type in enumerate(types):
        column = _spelled(concatenated([group[position] for group in groups], sql_type), sql_type)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        if column.null_count:
            nulls |= np.asarray(column.is_null())
        indices = np.asarray(pc.fill_null(column.indices, 0), np.int64)
        if len(column.dictionary) and len(pc.unique(column.dictionary)) < len(column.dictionary):
            again = column.dictionary.dictionary_encode()
            indices = np.asarray(again.indices, np.int64)[indices]
        if position:
            indices = np.unique(codes * (len(column.dictionary) + 1) + indices, return_inverse=True)[1]
        codes = indices
    return codes, nulls


def first_repeated(added: Columns, existing: Sequence[Columns], types: Sequence[SqlType]) -> int | None:
    """The first of the added rows whose key is that of an existing row or of one added before it."""
    rows = len(added[0])
    codes, nulls = codes_of([added, *_near(added, existing, types)], types)
    own, own_nulls = codes[:rows], nulls[:rows]
    others = codes[rows:][~nulls[rows:]]
    _, first = np.unique(own, return_index=True)
    repeated = np.ones(rows, np.bool_)
    repeated[first] = False
    if own_nulls.any():  # NULLs share codes with anything: look at the rest alone
        repeated[:] = False
        kept = np.flatnonzero(~own_nulls)
        _, first = np.unique(own[kept], return_index=True)
        repeated[np.delete(kept, first)] = True
    if len(others):
        repeated |= np.isin(own, others)
    found = np.flatnonzero(repeated & ~own_nulls)
    return int(found[0]) if len(found) else None


def matches(added: Columns, existing: Sequence[Columns], types: Sequence[SqlType]) -> tuple[np.ndarray, np.ndarray]:
    """For each added row the number of the existing row (over all groups) with its key, -1 for none; and whether an
    added row before it has the same key."""
    rows = len(added[0])
    codes, nulls = codes_of([added, *existing], types)
    own, own_nulls, others = codes[:rows], nulls[:rows], codes[rows:]
    usable = np.flatnonzero(~nulls[rows:])
    order = usable[np.argsort(others[usable], kind="stable")]
    place = np.searchsorted(others[order], own)
    found = np.full(rows, -1, np.int64)
    if len(order):
        nearest = order[np.minimum(place, len(order) - 1)]
        found = np.where((others[nearest] == own) & ~own_nulls, nearest, -1)
    kept = np.flatnonzero(~own_nulls)
    _, first = np.unique(own[kept], return_index=True)
    repeated = np.zeros(rows, np.bool_)
    repeated[np.delete(kept, first)] = True
    return found, repeated


def first_missing(keys: Columns, existing: Sequence[Columns], types: Sequence[SqlType]) -> int | None:
    """The first row of `keys`, of those without NULLs, that no existing row equals."""
    rows = len(keys[0])
    codes, nulls = codes_of([keys, *_near(keys, existing, types)], types)
    missing = ~np.isin(codes[:rows], codes[rows:][~nulls[rows:]]) & ~nulls[:rows]
    found = np.flatnonzero(missing)
    return int(found[0]) if len(found) else None


def members(rows: Columns, keys: Columns, types: Sequence[SqlType]) -> np.ndarray:
    """Which of `rows` have one of `keys`."""
    count = len(rows[0])
    codes, nulls = codes_of([rows, keys], types)
    return np.isin(codes[:count], codes[count:][~nulls[count:]]) & ~nulls[:count]


def _near(added: Columns, existing: Sequence[Columns], types: Sequence[SqlType]) -> list[Columns]:
    """The existing rows that may have one of the added keys: a look at the first column rules out nearly all."""
    if types[0].name == "numeric" or pa.types.is_nested(added[0].type):
        return list(existing)
    wanted = pc.unique(_plain(added[0]))
    if len(wanted) > 4096:
        return list(existing)
    found = []
    for group in existing:
        first = _plain(group[0])
        if first.type != wanted.type:
            found.append(group)
            continue
        hits = np.flatnonzero(np.asarray(pc.is_in(first, value_set=wanted)))
        if len(hits):
            chosen = pa.array(hits)
            found.append([column.take(chosen) for column in group])
    return found


def _spelled(column: pa.Array, sql_type: SqlType) -> pa.Array:
    """Arrays, rows and numerics that bring their own scales as values that are equal where they are; others as they are."""
    if sql_type.varies:
        return _canonical(column)
    if not pa.types.is_nested(column.type):
        return column
    return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.string())


def _canonical(column: pa.Array) -> pa.Array:
    """Numbers without the zeros that end their fractions: 16 bytes each, or texts where they need more."""
    if not scaled.is_scaled(column.type) or not pa.types.is_int64(column.type.field(0).type):
        return pa.array([text if text is None or "." not in text else text.rstrip("0").rstrip(".")
                         for text in scaled.texts(column).to_pylist()], pa.string())
    pairs = np.empty((len(column), 2), np.int64)
    for place in (0, 1):
        pairs[:, place] = pc.fill_null(column.field(place), 0).to_numpy()
    values, scales = pairs[:, 0], pairs[:, 1]
    values[scales < 0] = 0
    while len(open_ := np.flatnonzero((scales > 0) & (values % 10 == 0))):
        values[open_] //= 10
        scales[open_] -= 1
    valid = pa.py_buffer(np.packbits(np.asarray(column.is_valid()), bitorder="little")) if column.null_count else None
    return pa.Array.from_buffers(pa.binary(16), len(column), [valid, pa.py_buffer(pairs)])


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
