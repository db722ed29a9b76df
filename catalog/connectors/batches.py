"""Record batches that connectors hand out: from Python rows, without columns, and cut to size (hop 6)."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from shoal.catalog import scaled
from shoal.catalog.connector import TableHandle
from shoal.catalog.errors import UndefinedColumn
from shoal.catalog.types import MAX_INT64_DIGITS, SqlType, storage_type


def require_columns(handle: TableHandle, columns: Iterable[str], known: Container[str]) -> None:
    """Raises: UndefinedColumn (42703) where the table does not have one of the columns."""
    for name in columns:
        if name not in known:
            raise UndefinedColumn(f'column "{name}" of relation "{handle.name}" does not exist')


def counted(rows: int) -> pa.RecordBatch:
    """A batch without columns that still says how many rows it has."""
    return pa.RecordBatch.from_struct_array(pa.Array.from_buffers(pa.struct([]), rows, [None]))


def batch_of(names: Sequence[str], arrays: Sequence[pa.Array], rows: int) -> pa.RecordBatch:
    """The arrays (of `rows` values each) as a batch; names may be none."""
    return pa.RecordBatch.from_arrays(list(arrays), names=list(names)) if names else counted(rows)


def in_pieces(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    """The batch in slices of at most `rows` rows; nothing for an empty one."""
    if batch.num_columns == 0:
        for start in range(0, batch.num_rows, rows):
            yield counted(min(rows, batch.num_rows - start))
    elif batch.num_rows <= rows:
        if batch.num_rows:
            yield batch
    else:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def column_of(values: Iterable[Any], sql_type: SqlType) -> pa.Array:
    """Python values (Decimal, date, datetime, str ...; ints pass for any type's storage) in storage form."""
    if sql_type.varies:
        return scaled.of_texts(pa.array([None if v is None else f"{decimal.Decimal(v):f}" for v in values], pa.string()))
    storage = storage_type(sql_type)
    if sql_type.name == "numeric" and (sql_type.precision or 0) <= MAX_INT64_DIGITS:
        scale = sql_type.scale or 0
        context = decimal.Context(prec=60)
        return pa.array([None if v is None else int(decimal.Decimal(v).scaleb(scale, context)) for v in values], storage)
    if sql_type.name == "timestamptz":
        values = [v.astimezone(datetime.UTC) if isinstance(v, datetime.datetime) else v for v in values]
    return pa.array(list(values), storage)


def from_rows(columns: Sequence[tuple[str, SqlType]], rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """A batch of small, hand-made rows. Not for bulk data."""
    if not columns:
        return counted(len(rows))
    arrays = [column_of((row[i] for row in rows), sql_type) for i, (_, sql_type) in enumerate(columns)]
    return pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in columns])
