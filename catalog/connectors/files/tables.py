"""Which tables a set of mounted paths holds, and what their columns are.

    orders.parquet                   table orders
    orders/*.parquet                 table orders, of all the folder's files
    orders/year=2024/*.parquet       table orders with a further column "year" (hive partitions)
    sales/eu/orders.csv              table eu: the folder that holds files; folders of folders are walked through
    orders.csv next to orders.parquet    tables orders and orders_csv: a name taken gets its format, then a number

Hop 2 (names while binding) and planning.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from shoal.catalog.connector import ColumnStatistics, TableStatistics
from shoal.catalog.connectors.files.formats import FileColumn, Format, common_type
from shoal.catalog.connectors.files.locations import COMPRESSIONS, Root, Source
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import DatatypeMismatch
from shoal.catalog.types import DATE, INT8, TEXT, SqlType

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_STATISTICS_FILES = 64
"""Statistics come from this many files at most, and are scaled up to the table."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table with the values of its partition columns as text (None: NULL)."""

    root: int
    source: Source
    partitions: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class FileTable:
    name: str
    format: Format
    files: tuple[TableFile, ...]

    @property
    def partition_types(self) -> dict[str, SqlType]:
        """The partition columns in the order of the folders, typed by what all their values look like."""
        values: dict[str, list[str]] = {}
        for file in self.files:
            for name, text in file.partitions:
                values.setdefault(name, []).extend([] if text is None else [text])
        return {name: _partition_type(texts) for name, texts in values.items()}


@dataclass(frozen=True, slots=True)
class TableSchema:
    """`file_types` are the types data columns are read as; `partitions` those of the partition columns."""

    columns: tuple[ColumnInfo, ...]
    file_types: Mapping[str, SqlType]
    partitions: Mapping[str, SqlType]


def discover(roots: Sequence[Root], formats: Sequence[Format], sniff: Any) -> dict[str, FileTable]:
    """All tables by name. `sniff(source)` names the format of a file mounted by itself that has no known suffix.

    Raises: UndefinedFile (58P01) for a root that is gone.
    """
    by_suffix = {suffix: each for each in formats for suffix in each.suffixes}
    groups: dict[tuple[int, str, str, str], tuple[str, Format, list[TableFile]]] = {}
    for number, root in enumerate(roots):
        for file in root.files():
            source = Source(root, file)
            path = file.path or root.label
            folder, _, filename = path.rpartition("/")
            stem, each = format_of(filename, by_suffix)
            if each is None:
                if file.path:
                    continue
                each = sniff(source)
            plain, partitions = partitions_of(folder.split("/") if folder else [])
            if plain or partitions:
                label, key = plain.rpartition("/")[2] or root.label, (number, plain + "/", each.name, "")
            else:
                label, key = stem, (number, "", each.name, filename)
            groups.setdefault(key, (label, each, []))[2].append(TableFile(number, source, partitions))
    tables: dict[str, FileTable] = {}
    preference = {each.name: i for i, each in enumerate(formats)}
    for key in sorted(groups, key=lambda key: (key[0], preference[key[2]], key[1].count("/"), key)):
        label, each, files = groups[key]
        name = _free_name(label or each.name, each.name, tables)
        tables[name] = FileTable(name, each, tuple(files))
    return dict(sorted(tables.items()))


def schema(table: FileTable) -> TableSchema:
    """The union by name of all files' columns; those of a later file that are new come last.

    Raises: DatatypeMismatch (42804) naming two files whose types of a column do not go together.
    """
    merged: dict[str, tuple[FileColumn, Source]] = {}
    seen: dict[str, int] = {}
    for file in table.files:
        for column in table.format.schema(file.source).columns:
            seen[column.name] = seen.get(column.name, 0) + 1
            if column.name not in merged:
                merged[column.name] = column, file.source
                continue
            before, first = merged[column.name]
            if before.type == column.type and before.nullable == column.nullable:
                continue
            common = common_type(before, column, table.format.is_text)
            if common is None:
                raise DatatypeMismatch(
                    f'column "{column.name}" of table "{table.name}" is {column.type} in file "{file.source.display}" '
                    f'but {before.type} in file "{first.display}"')
            merged[column.name] = FileColumn(column.name, common, before.nullable or column.nullable,
                                             before.native_type if common == before.type else ""), first
    partitions = table.partition_types
    columns = [ColumnInfo(name, partitions.get(name, column.type), column.nullable or seen[name] < len(table.files),
                          native_type=column.native_type.removeprefix("null"))
               for name, (column, _) in merged.items()]
    columns += [ColumnInfo(name, sql_type) for name, sql_type in partitions.items() if name not in merged]
    return TableSchema(tuple(columns), {name: column.type for name, (column, _) in merged.items() if name not in partitions},
                       partitions)


def statistics(table: FileTable, types: TableSchema) -> TableStatistics:
    """The files' statistics put together."""
    sample = table.files if len(table.files) <= _STATISTICS_FILES else table.files[::len(table.files) // _STATISTICS_FILES]
    rows = [float(table.format.schema(file.source).rows) for file in sample]
    parts = [table.format.statistics(file.source) for file in sample]
    factor = len(table.files) / max(len(sample), 1)
    total = sum(rows) * factor
    columns = {}
    for name in types.file_types:
        merged = _merge([(part.get(name), n) for part, n in zip(parts, rows)], sum(rows), total)
        if merged is not None:
            columns[name] = merged
    for name, sql_type in types.partitions.items():
        values = [partition_value(dict(file.partitions).get(name), sql_type) for file in table.files]
        known = [value for value in values if value is not None]
        columns[name] = ColumnStatistics(distinct=float(max(len(set(known)), 1)),
                                         null_fraction=values.count(None) / max(len(values), 1),
                                         minimum=min(known, default=None), maximum=max(known, default=None))
    return TableStatistics(total, columns)


def _merge(parts: Iterable[tuple[ColumnStatistics | None, float]], rows: float, total: float) -> ColumnStatistics | None:
    known = [(part, n) for part, n in parts if part is not None]
    if not known:
        return None
    if len(known) == 1 and total == rows:
        return known[0][0]
    lows = [part.minimum for part, n in known if part.minimum is not None]
    highs = [part.maximum for part, n in known if part.maximum is not None]
    counts = [part.distinct for part, _ in known if part.distinct is not None]
    distinct = None
    if counts:
        # Columns with few values repeat them in every file; columns with many are mostly keys, and add up.
        few = max(counts) * 10 < rows / len(known)
        distinct = max(counts) if few else min(sum(counts) * total / max(rows, 1.0), max(total, 1.0))
    nulls = [(part.null_fraction, n) for part, n in known if part.null_fraction is not None]
    widths = [part.average_bytes for part, _ in known if part.average_bytes is not None]
    try:
        low, high = min(lows, default=None), max(highs, default=None)
    except TypeError:  # a column that is a date in one file and a timestamp in another
        low = high = None
    return ColumnStatistics(
        distinct=distinct,
        null_fraction=sum(f * n for f, n in nulls) / max(sum(n for _, n in nulls), 1.0) if nulls else None,
        minimum=low, maximum=high,
        average_bytes=sum(widths) / len(widths) if widths else None)


def partition_value(text: str | None, sql_type: SqlType) -> Any:
    """The Python value of a partition column."""
    if text is None:
        return None
    if sql_type == INT8:
        return int(text)
    if sql_type == DATE:
        return datetime.date.fromisoformat(text)
    return text


def _partition_type(texts: Sequence[str]) -> SqlType:
    if texts and all(re.fullmatch(r"-?[0-9]{1,18}", text) for text in texts):
        return INT8
    if texts and all(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) for text in texts):
        try:
            for text in set(texts):
                datetime.date.fromisoformat(text)
        except ValueError:
            return TEXT
        return DATE
    return TEXT


def format_of(filename: str, by_suffix: Mapping[str, Format]) -> tuple[str, Format | None]:
    """(the name without its suffixes, the format), the format None for a file that is no table."""
    stem = filename
    for compression in COMPRESSIONS:
        if stem.lower().endswith(compression):
            stem = stem[:-len(compression)]
            break
    head, dot, suffix = stem.rpartition(".")
    found = by_suffix.get(dot + suffix.lower())
    if found is None or (stem != filename and not found.is_text):
        return head or stem, None
    return head, found


def partitions_of(folders: Sequence[str]) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    """(path of the table's folder, partition values) of a file in these folders."""
    first = next((i for i, folder in enumerate(folders) if "=" in folder.strip("=")), len(folders))
    values = {}
    for folder in folders[first:]:
        key, mark, value = folder.partition("=")
        if mark and key:
            values[unquote(key)] = None if value in (_NULL_PARTITION, "") else unquote(value)
    return "/".join(folders[:first]), tuple(values.items())


def _free_name(label: str, format_name: str, taken: Mapping[str, Any]) -> str:
    if label not in taken:
        return label
    name, n = f"{label}_{format_name}", 1
    while name in taken:
        n += 1
        name = f"{label}_{n}"
    return name
