"""Parquet: footers and open files kept, row groups skipped by their statistics and read one at a time.

Hop 6 (worker reads a split) and planning (columns, statistics). See footer.py for how columns are decoded in the
form batches have, and design/kernels.md for why row groups are read one by one, in one thread, with
dictionary-encoded strings left encoded. Spec: Apache Parquet format 2.11.
"""

from __future__ import annotations

import datetime
import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shoal.catalog.connector import ColumnStatistics, Json, Predicate
from shoal.catalog.connectors.files.footer import (
    MAGIC,
    MalformedThrift,
    dictionary_size,
    plain_footer,
    whole_file,
)
from shoal.catalog.connectors.files.formats import (
    FileColumn,
    FileSchema,
    Format,
    Kept,
    Predicates,
    Unit,
    Wanted,
    conform,
    distinct_names,
    file_column,
    slices,
)
from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.errors import DataCorrupted, FeatureNotSupported
from shoal.catalog.pruning import Bounds, may_match
from shoal.catalog.types import from_arrow, normalize, storage_type, to_python

_FOOTERS_KEPT = 4096
_OPEN_FILES = 32
_TAIL_BYTES = 64 << 10  # read at once from the end: most footers fit
_WHOLE_GROUP_ROWS, _WHOLE_GROUP_BYTES = 1 << 18, 256 << 20  # larger row groups are streamed
_FAILURES = (pa.ArrowException, OSError, MalformedThrift, ValueError, KeyError, IndexError, OverflowError)
_UNIT_DIVISOR = {"ns": 1000, "us": 1, "ms": 1, "s": 1}
_EXACT = Context(prec=100)


@dataclass(slots=True)
class _Column:
    """A top-level column: `leaf` is its first Parquet column, of `leaves` (1 unless it is nested)."""

    info: FileColumn
    position: int
    leaf: int
    leaves: int
    arrow: pa.DataType
    distinct: int | None = None  # the values of its dictionary in some row group, if all its pages use it
    value_bytes: float | None = None


@dataclass(slots=True)
class _Footer:
    """What is kept of one file: Arrow's metadata (decimals as integers) and what was derived from it."""

    metadata: pq.FileMetaData
    columns: dict[str, _Column]
    group_rows: tuple[int, ...]
    dictionary_leaves: tuple[int, ...] = ()
    bounds: dict[str, list[Bounds]] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    """An open file, which one reader has at a time."""

    parquet: pq.ParquetFile

    def close(self) -> None:
        self.parquet.close(force=True)


class ParquetFormat(Format):
    name = "parquet"
    suffixes = (".parquet", ".pq", ".parq")
    prunes = True

    def __init__(self) -> None:
        self._footers: Kept[_Footer] = Kept(_FOOTERS_KEPT)
        self._lock = threading.Lock()
        self._idle: OrderedDict[tuple[str, int, int], list[_Open]] = OrderedDict()

    def schema(self, source: Source) -> FileSchema:
        footer = self._footer(source)
        return FileSchema(tuple(column.info for column in footer.columns.values()), sum(footer.group_rows))

    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        footer = self._footer(source)
        leaves = [leaf for name in columns if (column := footer.columns.get(name))
                  for leaf in range(column.leaf, column.leaf + column.leaves)]
        out = []
        for group, rows in enumerate(footer.group_rows):
            if rows and self._group_may_match(footer, group, predicates):
                info = footer.metadata.row_group(group)
                out.append(Unit(group, rows, sum(info.column(leaf).total_compressed_size for leaf in leaves)))
        return out

    def may_match(self, source: Source, unit: Json, predicates: Sequence[Predicate]) -> bool:
        return not predicates or self._group_may_match(self._footer(source), unit, predicates)

    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        footer = self._footer(source)
        present = sorted({column.position: column for name, _ in wanted if (column := footer.columns.get(name))}.items())
        place = {column.info.name: i for i, (_, column) in enumerate(present)}
        for group in units:
            if not 0 <= group < len(footer.group_rows):
                raise source.error(ValueError(f"no row group {group}"), "Parquet")
            if not self._group_may_match(footer, group, predicates()):
                continue
            if not present:
                source.check()
                rows = footer.group_rows[group]
                yield from slices(rows, [pa.nulls(rows, conformed) for conformed in _storage_types(wanted)], batch_rows)
                continue
            for rows, arrays in self._group(source, footer, group, [column for _, column in present], batch_rows):
                converted = [pa.nulls(rows, storage) if name not in place else
                             self._array(source, arrays[place[name]], footer.columns[name].info, sql_type)
                             for (name, sql_type), storage in zip(wanted, _storage_types(wanted))]
                yield from slices(rows, converted, batch_rows)

    def statistics(self, source: Source) -> dict[str, ColumnStatistics]:
        footer = self._footer(source)
        return {name: self._column_statistics(footer, name, column) for name, column in footer.columns.items()}

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, OrderedDict()
        for files in idle.values():
            for file in files:
                file.close()

    # -- footers

    def _footer(self, source: Source) -> _Footer:
        return self._footers.get(source.key, lambda: self._load(source))

    def _load(self, source: Source) -> _Footer:
        try:
            with source.open() as file:
                return self._parse(source, file)
        except _FAILURES as error:
            raise source.error(error, "Parquet") from None

    def _parse(self, source: Source, file: pa.NativeFile) -> _Footer:
        size = source.file.size
        tail = file.read_at(min(size, _TAIL_BYTES), max(0, size - _TAIL_BYTES))
        if tail[-4:] == b"PARE":
            raise FeatureNotSupported(f'file "{source.display}" is encrypted Parquet, which cannot be read')
        if size < 12 or tail[-4:] != MAGIC:
            raise ValueError("it does not end like a Parquet file (it may be cut off)")
        length = struct.unpack("<I", tail[-8:-4])[0]
        if length + 12 > size:
            raise ValueError("its footer is longer than the file")
        raw = tail[-8 - length:-8] if length + 8 <= len(tail) else file.read_at(length, size - 8 - length)
        declared = pq.read_metadata(pa.BufferReader(whole_file(raw)))
        declared_schema = declared.schema.to_arrow_schema()
        metadata = pq.read_metadata(pa.BufferReader(whole_file(plain_footer(raw, hide_arrow_schema=True))))
        arrow_schema = metadata.schema.to_arrow_schema()
        if any(from_arrow(a.type) != from_arrow(b.type) and not pa.types.is_decimal(a.type)
               for a, b in zip(declared_schema, arrow_schema)):  # a type only Arrow knows, such as durations
            metadata = pq.read_metadata(pa.BufferReader(whole_file(plain_footer(raw, hide_arrow_schema=False))))
            arrow_schema = metadata.schema.to_arrow_schema()
        columns: dict[str, _Column] = {}
        leaf = 0
        for i, name in enumerate(distinct_names(declared_schema.names)):
            info = file_column(name, declared_schema.field(i).type, declared_schema.field(i).nullable)
            leaves = _leaves(arrow_schema.field(i).type)
            columns[name] = _Column(info, i, leaf, leaves, arrow_schema.field(i).type)
            leaf += leaves
        if leaf != metadata.num_columns:
            raise ValueError(f"its schema has {leaf} columns, its data {metadata.num_columns}")
        group_rows = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
        if any(rows < 0 for rows in group_rows) or sum(group_rows) != metadata.num_rows:
            raise ValueError("its row counts do not add up")
        footer = _Footer(metadata, columns, group_rows)
        footer.dictionary_leaves = tuple(column.leaf for column in columns.values()
                                         if self._is_dictionary(footer, column, file, source))
        return footer

    def _is_dictionary(self, footer: _Footer, column: _Column, file: pa.NativeFile, source: Source) -> bool:
        """Whether reading this column as dictionary is worth it; notes the dictionary's size on the way.

        Encodings do not tell (a column that gave up its dictionary half way lists it too), so compare sizes: codes
        of `bits` bits each are all there is besides the dictionary. The page header costs a request elsewhere.
        """
        groups = [i for i, rows in enumerate(footer.group_rows) if rows]
        if column.leaves != 1 or not groups:
            return False
        worth = column.info.type.is_string
        for group in dict.fromkeys((groups[0], groups[len(groups) // 2], groups[-1])):
            chunk = footer.metadata.row_group(group).column(column.leaf)
            rows, total = chunk.num_values, chunk.total_uncompressed_size
            if source.root.remote:
                worth &= bool(chunk.has_dictionary_page) and total < 4 * rows
                continue
            found = dictionary_size(file.read_at(128, _first_page(chunk))) if _first_page(chunk) > 0 else None
            if found is None:
                return False
            values, size_bytes = found
            bits = max(1, math.ceil(math.log2(max(values, 1))))
            if total - size_bytes > 1.05 * rows * (bits + 1) / 8 + rows / 64 + 1024:
                return False
            column.distinct = max(column.distinct or 0, values)
            if column.info.type.is_string and values:
                column.value_bytes = max(column.value_bytes or 0.0, size_bytes / values - 4)
            worth &= 3 * values <= max(rows, 300)
        return worth

    # -- statistics

    def _bounds(self, footer: _Footer, name: str) -> list[Bounds]:
        """The bounds of one column in every row group."""
        found = footer.bounds.get(name)
        if found is None:
            column = footer.columns[name]
            found = [_chunk_bounds(footer.metadata.row_group(group).column(column.leaf), column, rows)
                     if column.leaves == 1 and not pa.types.is_nested(column.arrow) else Bounds(rows=rows)
                     for group, rows in enumerate(footer.group_rows)]
            footer.bounds[name] = found
        return found

    def _group_may_match(self, footer: _Footer, group: int, predicates: Sequence[Predicate]) -> bool:
        return all(may_match(predicate, self._bounds(footer, predicate.column)[group])
                   for predicate in predicates if predicate.column in footer.columns)

    def _column_statistics(self, footer: _Footer, name: str, column: _Column) -> ColumnStatistics:
        bounds = self._bounds(footer, name)
        rows = sum(footer.group_rows)
        lows = [b.minimum for b in bounds if b.minimum is not None]
        highs = [b.maximum for b in bounds if b.maximum is not None]
        nulls = [b.nulls for b in bounds]
        low, high = (min(lows), max(highs)) if lows and highs else (None, None)
        distinct = float(rows)
        step = _steps(low, high, column.info.type.scale or 0)
        if step is not None:
            distinct = min(distinct, step)
        if column.distinct is not None:
            # Where every row group spans the same range it likely holds the same values; else each adds its own.
            overlap = len(bounds) == 1 or (lows and sum(1 for v in lows if v <= highs[0]) > len(lows) * 0.9
                                           and sum(1 for v in highs if v >= lows[0]) > len(highs) * 0.9)
            distinct = min(distinct, column.distinct if overlap and 3 * column.distinct <= max(footer.group_rows)
                           else column.distinct * len(bounds))
        width = column.value_bytes
        if width is None and rows and column.leaves == 1 and column.info.type.size < 0:
            width = sum(footer.metadata.row_group(g).column(column.leaf).total_uncompressed_size
                        for g in range(len(bounds))) / rows
        return ColumnStatistics(
            distinct=max(distinct, 1.0) if rows else 0.0,
            null_fraction=sum(n or 0 for n in nulls) / rows if rows and all(n is not None for n in nulls) else None,
            minimum=low, maximum=high, average_bytes=width)

    # -- reading

    def _group(self, source: Source, footer: _Footer, group: int, columns: Sequence[_Column],
               batch_rows: int) -> Iterator[tuple[int, Sequence[pa.Array | pa.ChunkedArray]]]:
        """One row group as it comes out of Arrow: whole, or streamed if it is large."""
        rows = footer.group_rows[group]
        info = footer.metadata.row_group(group)
        leaves = _leaf_numbers(columns)
        size = sum(info.column(leaf).total_uncompressed_size for leaf in leaves) if rows > 1 << 14 else 0
        file, ours = self._take(source, footer), True
        try:
            if rows <= _WHOLE_GROUP_ROWS and size <= _WHOLE_GROUP_BYTES:
                arrays = self._whole_group(source, footer, group, columns, file)
                self._give_back(source, file)
                ours = False
                yield rows, arrays
                return
            step = max(256, min(max(batch_rows, 1 << 16), _WHOLE_GROUP_BYTES * rows // (4 * max(size, 1))))
            seen = 0
            reader = file.parquet.reader
            for batch in reader.iter_batches(step, row_groups=[group], column_indices=leaves, use_threads=False):
                seen += batch.num_rows
                yield batch.num_rows, batch.columns
            if seen != rows:
                raise DataCorrupted(f'file "{source.display}" is not valid Parquet: row group {group} has '
                                    f"{seen} rows instead of {rows}")
            self._give_back(source, file)
            ours = False
        except _FAILURES as error:
            raise source.error(error, "Parquet") from None
        finally:
            if ours:
                file.close()

    def _whole_group(self, source: Source, footer: _Footer, group: int, columns: Sequence[_Column],
                     file: _Open) -> list[pa.ChunkedArray]:
        """The columns of a row group, decoded together."""
        table = file.parquet.reader.read_row_group(group, column_indices=_leaf_numbers(columns), use_threads=False)
        if table.num_rows != footer.group_rows[group]:
            raise DataCorrupted(f'file "{source.display}" is not valid Parquet: row group {group} has '
                                f"{table.num_rows} rows instead of {footer.group_rows[group]}")
        return list(table.columns)

    def _array(self, source: Source, array: pa.Array | pa.ChunkedArray, have: FileColumn, want: Any) -> pa.Array:
        try:
            if have.type.name == "numeric" and pa.types.is_integer(array.type) and (have.type.precision or 0) <= 18:
                array = array.cast(pa.int64()) if array.type != pa.int64() else array  # the unscaled values: footer.py
                if isinstance(array, pa.ChunkedArray):
                    array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
            else:
                array = normalize(array, have.type)
            return conform(array, have.type, want)
        except _FAILURES as error:
            raise source.error(error, "Parquet") from None

    def _take(self, source: Source, footer: _Footer) -> _Open:
        """An open reader that nobody else uses; `source` is checked to be unchanged."""
        source.check()
        with self._lock:
            idle = self._idle.get(source.key)
            if idle:
                file = idle.pop()
                if not idle:
                    del self._idle[source.key]
                return file
        try:
            return _Open(pq.ParquetFile(
                source.open(), metadata=footer.metadata, read_dictionary=footer.dictionary_leaves,
                pre_buffer=source.root.remote,
                coerce_int96_timestamp_unit="us", page_checksum_verification=True))
        except _FAILURES as error:
            raise source.error(error, "Parquet") from None

    def _give_back(self, source: Source, file: _Open) -> None:
        with self._lock:
            self._idle.setdefault(source.key, []).append(file)
            self._idle.move_to_end(source.key)
            dropped = []
            while sum(map(len, self._idle.values())) > _OPEN_FILES:
                dropped += self._idle.popitem(last=False)[1]
        for old in dropped:
            old.close()


def _storage_types(wanted: Wanted) -> list[pa.DataType]:
    return [storage_type(sql_type) for _, sql_type in wanted]


def _leaves(arrow: pa.DataType) -> int:
    """How many Parquet columns store a column of this type."""
    if pa.types.is_dictionary(arrow):
        return _leaves(arrow.value_type)
    if pa.types.is_map(arrow):
        return _leaves(arrow.key_type) + _leaves(arrow.item_type)
    return sum(_leaves(arrow.field(i).type) for i in range(arrow.num_fields)) if arrow.num_fields else 1


def _leaf_numbers(columns: Sequence[_Column]) -> list[int]:
    return [leaf for column in columns for leaf in range(column.leaf, column.leaf + column.leaves)]


def _first_page(chunk: pq.ColumnChunkMetaData) -> int:
    """Where a column chunk starts: at its dictionary page, if it has one."""
    dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else 0
    return dictionary or chunk.data_page_offset


def _chunk_bounds(chunk: pq.ColumnChunkMetaData, column: _Column, rows: int) -> Bounds:
    statistics = chunk.statistics
    if statistics is None:
        return Bounds(rows=rows)
    nulls = statistics.null_count if statistics.has_null_count else None
    low = high = None
    if statistics.has_min_max:
        try:
            low, high = _python_bounds(statistics, column)
        except (ValueError, TypeError, OverflowError, ArithmeticError, NotImplementedError):  # odd bounds: unknown ones
            low = high = None
    return Bounds(low, high, nulls, rows, column.info.type.name in ("float4", "float8"))


def _python_bounds(statistics: pq.Statistics, column: _Column) -> tuple[Any, Any]:
    sql_type, arrow = column.info.type, column.arrow
    match sql_type.name:
        case "int2" | "int4" | "int8" if not str(arrow).startswith("uint"):
            return statistics.min_raw, statistics.max_raw
        case "numeric" if pa.types.is_integer(arrow) and str(arrow) != "uint64":
            scale = -(sql_type.scale or 0)
            return (Decimal(statistics.min_raw).scaleb(scale, _EXACT), Decimal(statistics.max_raw).scaleb(scale, _EXACT))
        case "timestamp" | "timestamptz":
            factor = {"s": 1_000_000, "ms": 1000}.get(arrow.unit, 1)
            divisor = _UNIT_DIVISOR[arrow.unit]
            low, high = statistics.min_raw * factor // divisor, -(-statistics.max_raw * factor // divisor)
            found = to_python(low, sql_type), to_python(high, sql_type)
            return found if all(isinstance(bound, datetime.datetime) for bound in found) else (None, None)
        case "bool" | "date" | "bytea" | "numeric" | "text":
            low, high = statistics.min, statistics.max
            if sql_type.is_string and not isinstance(low, str):
                return None, None
            return low, high
        case "float4" | "float8":
            low, high = statistics.min, statistics.max
            return (None, None) if low != low or high != high else (low, high)
    return None, None


def _steps(low: Any, high: Any, scale: int) -> float | None:
    """How many values there can be from `low` to `high`; None where that says nothing."""
    if isinstance(low, bool) or low is None:
        return 2.0 if low is not None else None
    if isinstance(low, (int, Decimal)):
        return float(high - low) * 10.0 ** scale + 1
    if isinstance(low, datetime.date) and not isinstance(low, datetime.datetime):
        return float((high - low).days + 1)
    return None
