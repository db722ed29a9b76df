"""The `files` connector: folders, files, globs and URIs as tables of one catalog, in schema `public`.

    locations.py   mounted paths: listing, opening, never outside
    tables.py      which files are which table; union of their columns; hive partitions
    formats.py     what a format offers: parquet.py delimited.py json_lines.py arrow_files.py

A handle's state holds pushed predicates ("filter") and a limit; those on partition columns are enforced by leaving
files out, the rest only skips row groups. A split's state holds the files and units (row groups ...) to read, each
file with the size and time it had, so that a worker reads exactly what was planned or says that it cannot.

`read` of a split with one unit is cheap to repeat for other columns, because files stay open: `pieces` cuts a
split into such ones, so that a scan can read the filter's columns first and the others only where rows are left.

Hops 2 (names), 3 (push-down), 5 (splits) and 6 (reading).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    FilterResult,
    Json,
    LimitResult,
    Predicate,
    Split,
    SupportsFilter,
    SupportsLimit,
    SupportsPaths,
    SupportsPieces,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors.batches import batch_of
from shoal.catalog.connectors.files import paths
from shoal.catalog.connectors.files import tables as table_files
from shoal.catalog.connectors.files.arrow_files import ArrowFormat, OrcFormat
from shoal.catalog.connectors.files.delimited import DelimitedFormat
from shoal.catalog.connectors.files.formats import Format, Kept
from shoal.catalog.connectors.files.json_lines import JsonFormat
from shoal.catalog.connectors.files.locations import DataFile, Source, roots
from shoal.catalog.connectors.files.parquet import ParquetFormat
from shoal.catalog.connectors.files.tables import FileTable, TableFile, TableSchema, partition_value
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import InvalidTextRepresentation, SqlError, UndefinedColumn, UndefinedTable, did_you_mean
from shoal.catalog.pruning import comparable, matches
from shoal.catalog.types import DATE, INT8, SqlType, storage_type

_SPLIT_ROWS, _SPLIT_BYTES = 1 << 16, 32 << 20
"""A split is worth its overhead from either size on."""
_TABLES_KEPT = 1024


class _Unit(NamedTuple):
    file: int
    id: Json
    dialect: Json
    rows: int
    size_bytes: int


class FilesConnector(Connector, SupportsFilter, SupportsLimit, SupportsPaths, SupportsPieces):
    """Raises: ConfigurationError (F0000) for a URL it does not understand; looks at no file yet."""

    kind = "files"

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        self.roots = roots(definition)
        self.formats: tuple[Format, ...] = (ParquetFormat(), ArrowFormat(), OrcFormat(), DelimitedFormat(), JsonFormat())
        self._by_name = {each.name: each for each in self.formats}
        self._lock = threading.Lock()
        self._doubts = 0
        self._found: tuple[object, dict[str, FileTable]] = (None, {})
        self._schemas: Kept[TableSchema] = Kept(_TABLES_KEPT)
        self._statistics: Kept[TableStatistics] = Kept(_TABLES_KEPT)
        if any(root.remote for root in self.roots):
            self.waits = True  # type: ignore[misc]

    # -- names

    def schemas(self) -> list[str]:
        return [self.default_schema]

    def tables(self, schema: str) -> list[TableName]:
        """Raises: UndefinedFile (58P01) if a mounted path is gone."""
        if schema != self.default_schema:
            return []
        return [TableName(schema, name) for name in self._tables()]

    def table(self, schema: str, name: str) -> TableHandle | None:
        if schema != self.default_schema or name not in self._tables():
            return None
        return TableHandle(self.name, schema, name)

    def at_path(self, path: str) -> TableHandle | None:
        found = paths.matching(self.roots, self.formats, path)
        return None if found is None else TableHandle(self.name, self.default_schema, found.name)

    def _named(self, name: str) -> FileTable | None:
        """The table of this name, or of the files that it is the path of."""
        path = paths.path_of(name)
        return self._tables().get(name) if path is None else paths.matching(self.roots, self.formats, path)

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return self._schema(self._table(handle)).columns

    def version(self) -> object:
        try:
            return self._stamp()
        except SqlError as error:
            return error.message

    def _stamp(self) -> tuple[int, ...]:
        """Equal stamps mean equal listings and column types. Lists again what was listed a while ago."""
        for root in self.roots:
            root.files()
        return (self._doubts, *(root.generation for root in self.roots))

    def _tables(self) -> dict[str, FileTable]:
        stamp = self._stamp()
        with self._lock:
            if self._found[0] != stamp:
                self._found = stamp, table_files.discover(self.roots, self.formats, self._sniff)
            return self._found[1]

    def _sniff(self, source: Source) -> Format:
        """The format of a file whose name does not tell, from its first bytes."""
        with source.open_stream() as stream:
            head = stream.read(64)
        if head.startswith(b"PAR1"):
            return self._by_name["parquet"]
        if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
            return self._by_name["arrow"]
        if head.startswith(b"ORC"):
            return self._by_name["orc"]
        return self._by_name["json" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") else "csv"]

    def _table(self, handle: TableHandle) -> FileTable:
        """The table with the files that the handle's partition predicates leave."""
        table = self._named(handle.name)
        if table is None:
            raise UndefinedTable(f'relation "{handle.name}" does not exist', hint=did_you_mean(handle.name, self._tables()))
        types = table.partition_types
        enforced = [p for p in _predicates(handle) if p.column in types]
        if not enforced:
            return table
        kept = tuple(file for file in table.files if _keeps(enforced, types, dict(file.partitions)))
        return FileTable(table.name, table.format, kept)

    def _schema(self, table: FileTable) -> TableSchema:
        """The whole table's columns, however many of its files `table` still has."""
        stamp = self._stamp()
        whole = self._named(table.name) or table
        return self._schemas.get((table.name, stamp), lambda: table_files.schema(whole))

    # -- planning

    def statistics(self, handle: TableHandle) -> TableStatistics:
        table = self._table(handle)
        key = (handle.name, self._stamp(), tuple(file.source.key for file in table.files))
        found = self._statistics.get(key, lambda: table_files.statistics(table, self._schema(table)))
        limit = handle.state.get("limit")
        if limit is not None and found.rows is not None and found.rows > limit:
            return TableStatistics(float(limit), found.columns)
        return found

    def apply_filter(self, handle: TableHandle, predicates: tuple[Predicate, ...]) -> FilterResult | None:
        if "limit" in handle.state:
            return None  # a filter above a limit may not move below it
        table = self._table(handle)
        types = self._schema(table)
        known = set(map(_key, _predicates(handle)))
        new: list[Predicate] = []
        remaining = []
        for i, predicate in enumerate(predicates):
            partition = types.partitions.get(predicate.column)
            enforced = partition is not None and comparable(predicate, _example(partition))
            useful = enforced or (table.format.prunes and predicate.column in types.file_types)
            if not enforced:
                remaining.append(i)
            if useful and _key(predicate) not in known:
                new.append(predicate)
        if not new:
            return None
        filters = (*handle.state.get("filter", ()), *((p.column, p.operator, tuple(p.values)) for p in new))
        return FilterResult(_with_state(handle, filter=filters), tuple(remaining))

    def apply_limit(self, handle: TableHandle, rows: int) -> LimitResult | None:
        if handle.state.get("limit", rows + 1) <= rows:
            return None
        return LimitResult(_with_state(handle, limit=rows), exact=False)

    def explain(self, handle: TableHandle, columns: Sequence[str]) -> str:
        predicates = _predicates(handle)
        parts = []
        if predicates:
            table = self._table(handle)
            everything = (self._named(table.name) or table).files
            if len(table.files) < len(everything):
                parts.append(f"files: {len(table.files)} of {len(everything)}")
            if table.format.prunes and len(table.files) <= 64:
                units = [[len(table.format.units(file.source, (), some)) for file in table.files]
                         for some in ((), predicates)]
                parts.append(f"row groups: {sum(units[1])} of {sum(units[0])}")
            parts.append("pruned by " + " AND ".join(f"{p.column} {p.operator} {', '.join(map(str, p.values))}".rstrip()
                                                     for p in predicates))
        if "limit" in handle.state:
            parts.append(f"limit {handle.state['limit']}")
        return "; ".join(parts)

    def replan_after(self, handle: TableHandle, error: SqlError) -> bool:
        """Text files are typed by a sample: a value that does not fit its column makes the types wider."""
        table = self._table(handle)
        if not table.format.is_text or not isinstance(error, InvalidTextRepresentation):
            return False
        changed = [table.format.doubt(file.source) for file in table.files if f'"{file.source.display}"' in error.message]
        self._doubts += any(changed)
        return any(changed)

    # -- reading

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        table = self._table(handle)
        types = self._schema(table)
        predicates = _predicates(handle)
        units: list[_Unit] = []
        for number, file in enumerate(table.files):
            dialect = table.format.schema(file.source).dialect
            units += [_Unit(number, unit.id, dialect, unit.rows, unit.size_bytes)
                      for unit in table.format.units(file.source, columns, predicates)]
        limit = handle.state.get("limit")
        if limit is not None and table.format.prunes and not predicates:
            units = list(_first_rows(units, limit))
        travelling = {name: sql_type for name, sql_type in types.file_types.items()
                      if name in columns or any(p.column == name for p in predicates)}
        common = {"format": table.format.name, "types": _types_to_json(travelling),
                  "partitions": _types_to_json(types.partitions)}
        return [Split({**common, "files": _files_to_json(table.files, piece)}, sum(unit.rows for unit in piece),
                      sum(unit.size_bytes for unit in piece)) for piece in _balanced(units, target)]

    def pieces(self, handle: TableHandle, split: Split, dynamic_filter: DynamicFilter) -> Iterator[Split] | None:
        if not self._by_name[split.state["format"]].prunes or "limit" in handle.state:
            return None
        return self._pieces(handle, split, dynamic_filter)

    def _pieces(self, handle: TableHandle, split: Split, dynamic_filter: DynamicFilter) -> Iterator[Split]:
        each = self._by_name[split.state["format"]]
        pushed = _predicates(handle)
        partitions = _types_from_json(split.state["partitions"])
        for entry in split.state["files"]:
            file = self._file(entry)
            for unit in entry[5]:
                predicates = [*pushed, *dynamic_filter()]
                if not _keeps(predicates, partitions, dict(file.partitions)):
                    break
                if each.may_match(file.source, unit, predicates):
                    yield Split({**split.state, "files": ((*entry[:5], (unit,), entry[6]),)})

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        each = self._by_name[split.state["format"]]
        pushed = _predicates(handle)
        types = _types_from_json(split.state["types"])
        partitions = _types_from_json(split.state["partitions"])
        if any(name not in types and name not in partitions for name in columns):
            types = {**self._schema(self._table(handle)).file_types, **types}
        for name in columns:
            if name not in types and name not in partitions:
                raise UndefinedColumn(f'column "{name}" of table "{handle.name}" does not exist')
        wanted = [(name, types[name]) for name in columns if name not in partitions]
        left = handle.state.get("limit")
        for entry in split.state["files"]:
            file = self._file(entry)
            values = dict(file.partitions)

            def predicates(values: dict[str, str | None] = values) -> Sequence[Predicate]:
                return [*pushed, *(p for p in dynamic_filter() if p.column not in values)]

            if not _keeps([*pushed, *dynamic_filter()], partitions, values):
                continue
            for rows, arrays in each.read(file.source, entry[6], entry[5], wanted, batch_rows, predicates):
                if left is not None:
                    if rows > left:
                        rows, arrays = left, [array.slice(0, left) for array in arrays]
                    left -= rows
                given = iter(arrays)
                ordered = [next(given) if name not in partitions else
                           _constant(partition_value(values.get(name), partitions[name]), partitions[name], rows)
                           for name in columns]
                if rows:
                    yield batch_of(columns, ordered, rows)
                if left == 0:
                    return

    def _file(self, entry: Json) -> TableFile:
        root, path, size, mtime_ns, partitions = entry[:5]
        source = Source(self.roots[root], DataFile(path, size, mtime_ns))
        return TableFile(root, source, tuple((key, value) for key, value in partitions))

    def close(self) -> None:
        for each in self.formats:
            each.close()


def _predicates(handle: TableHandle) -> list[Predicate]:
    return [Predicate(column, operator, tuple(values)) for column, operator, values in handle.state.get("filter", ())]


def _key(predicate: Predicate) -> tuple[str, str, str]:
    return predicate.column, predicate.operator, repr(predicate.values)


def _with_state(handle: TableHandle, **state: Json) -> TableHandle:
    return TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, {**handle.state, **state})


def _example(sql_type: SqlType) -> Any:
    return partition_value({"int8": "1", "date": "2000-01-01"}.get(sql_type.name, "x"), sql_type)


def _keeps(predicates: Sequence[Predicate], types: dict[str, SqlType], values: dict[str, str | None]) -> bool:
    """False if a predicate on a partition column rules a file with these values out."""
    return all(matches(predicate, partition_value(values.get(predicate.column), types[predicate.column]))
               for predicate in predicates
               if predicate.column in types and comparable(predicate, _example(types[predicate.column])))


def _constant(value: Any, sql_type: SqlType, rows: int) -> pa.Array:
    """A partition column: the same value in every row, text as a dictionary of one."""
    if value is None:
        return pa.nulls(rows, storage_type(sql_type))
    if sql_type in (INT8, DATE):
        return pa.repeat(pa.scalar(value, storage_type(sql_type)), rows)
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([value], pa.string()))


def _first_rows(units: list[_Unit], rows: int) -> Iterator[_Unit]:
    """As many units from the start as hold `rows` rows."""
    for unit in units:
        if rows <= 0:
            return
        rows -= unit.rows
        yield unit


def _balanced(units: list[_Unit], target: int) -> Iterator[list[_Unit]]:
    """The units in order, in at most `target` pieces of about equal work, none of them trifling."""
    work = [max(unit.rows / _SPLIT_ROWS, unit.size_bytes / _SPLIT_BYTES, 1e-6) for unit in units]
    total = sum(work)
    count = max(1, min(target, int(total)))
    pieces: list[list[_Unit]] = [[] for _ in range(count)]
    done = 0.0
    for unit, weight in zip(units, work):
        pieces[min(count - 1, int((done + weight / 2) / total * count))].append(unit)
        done += weight
    yield from (piece for piece in pieces if piece)


def _files_to_json(files: Sequence[TableFile], piece: list[_Unit]) -> Json:
    """(root, path, size, mtime_ns, partitions, units, dialect) of each file of a split."""
    by_file: dict[int, list[_Unit]] = {}
    for unit in piece:
        by_file.setdefault(unit.file, []).append(unit)
    return tuple((files[number].root, files[number].source.file.path, files[number].source.file.size,
                  files[number].source.file.mtime_ns, files[number].partitions,
                  tuple(unit.id for unit in units), units[0].dialect) for number, units in by_file.items())


def _types_to_json(types: Any) -> Json:
    return tuple((name, (t.name, t.precision, t.scale, t.length)) for name, t in types.items())


def _types_from_json(data: Json) -> dict[str, SqlType]:
    return {name: SqlType(*fields) for name, fields in data}
