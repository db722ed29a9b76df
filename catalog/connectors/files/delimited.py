"""CSV and TSV, plain or compressed: understood by a sample (sniffing.py), read as a stream by pyarrow.csv.

An empty field is NULL, a quoted empty one is the empty string. Large files without any quote character are read in
byte ranges by several workers. A row with a wrong number of fields, or a value that is not of its column's type,
is an error that names file and line; in the latter case `doubt` reads all of the file and widens the type. So is a
quote that opens a field and is never closed.

Hops 2 (columns) and 6 (reading). Spec: RFC 4180.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from shoal.catalog.connector import ColumnStatistics, Json, Predicate
from shoal.catalog.connectors.files.formats import FileColumn, FileSchema, Format, Kept, Predicates, Unit, Wanted, slices
from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.connectors.files.sniffing import FALSE_VALUES, KINDS, TRUE_VALUES, Dialect, column_kind, shape, wider_kind
from shoal.catalog.connectors.files.text_streams import beginning, further_lines, ranges, text
from shoal.catalog.errors import BadCopyFileFormat, CharacterNotInRepertoire, InvalidTextRepresentation, SqlError
from shoal.catalog.types import SqlType, normalize, storage_type

_LARGEST_RECORD_BYTES = 1 << 30
_SCHEMAS_KEPT = 4096
_FAILURES = (pa.ArrowException, OSError, ValueError, UnicodeError)
_TEXT = pa.string()


class _Known:
    """What is kept of one file."""

    def __init__(self, schema: FileSchema, dialect: Dialect, statistics: dict[str, ColumnStatistics]) -> None:
        self.schema, self.dialect, self.statistics = schema, dialect, statistics
        self.ranges: tuple[tuple[int, int], ...] | None = None


class DelimitedFormat(Format):
    name = "csv"
    suffixes = (".csv", ".tsv", ".tab", ".psv")
    is_text = True

    def __init__(self) -> None:
        self._known: Kept[_Known] = Kept(_SCHEMAS_KEPT)

    def schema(self, source: Source) -> FileSchema:
        return self._look(source).schema

    def statistics(self, source: Source) -> dict[str, ColumnStatistics]:
        return self._look(source).statistics

    def _look(self, source: Source) -> _Known:
        return self._known.get(source.key, lambda: self._load(source))

    # -- understanding a file

    def _load(self, source: Source) -> _Known:
        try:
            head, whole, encoding = beginning(source)
            preferred = "\t" if source.display.lower().split(".")[-1 - bool(source.compression)] in ("tsv", "tab") else ","
            dialect, _ = shape(head, preferred, source.display)
            dialect = replace(dialect, encoding=encoding)
            samples = [head[dialect.start:]]
            if not whole and not source.compression and not encoding and b'"' not in head:
                samples += further_lines(source, len(head))
            tables = [table for sample in samples if (table := _parse_sample(sample, dialect)) is not None]
        except _FAILURES as error:
            raise source.error(error, "CSV") from None
        kinds = ["null"] * len(dialect.names)
        for table in tables:
            kinds = [wider_kind(kind, column_kind(column.combine_chunks())) for kind, column in zip(kinds, table.columns)]
        rows = tables[0].num_rows if tables else 0
        row_bytes = (len(head) - dialect.start) // max(rows, 1) + 1
        size = source.file.size * (4 if source.compression else 1)  # a guess of what decompression gives
        if not whole:
            rows = int(rows * max(size, len(head)) / max(len(head) - dialect.start, 1))
        return self._remember(replace(dialect, kinds=tuple(kinds), row_bytes=row_bytes), rows, whole,
                              _statistics(tables, kinds, rows))

    def _remember(self, dialect: Dialect, rows: int, exact: bool, statistics: dict[str, ColumnStatistics]) -> _Known:
        columns = tuple(FileColumn(name, KINDS[kind.rstrip("?")], True, "null" if kind == "null" else "")
                        for name, kind in zip(dialect.names, dialect.kinds))
        return _Known(FileSchema(columns, rows, exact, astuple(dialect)), dialect, statistics)

    def doubt(self, source: Source) -> bool:
        known = self._look(source)
        dialect = known.dialect
        kinds, rows = ["null"] * len(dialect.names), 0
        try:
            with text(source, dialect.encoding, dialect.start) as stream:
                for batch in _open(stream, dialect, dict.fromkeys(dialect.names, _TEXT), 8 << 20):
                    rows += batch.num_rows
                    kinds = [wider_kind(kind, column_kind(column)) for kind, column in zip(kinds, batch.columns)]
        except _FAILURES as error:
            self._explain(source, dialect, error)
        changed = tuple(kinds) != dialect.kinds
        self._known.put(source.key, self._remember(replace(dialect, kinds=tuple(kinds)), rows, True, known.statistics))
        return changed

    # -- reading

    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        known = self._look(source)
        dialect = known.dialect
        if known.ranges is None:
            try:
                known.ranges = tuple(ranges(source, dialect.start, dialect.encoding, dialect.quote.encode()))
            except _FAILURES as error:
                raise source.error(error, "CSV") from None
        if not known.dialect.names:
            return []
        size = max(source.file.size, 1)
        return [Unit((start, end), int(known.schema.rows * ((end if end >= 0 else size) - start) / size) or 1,
                     (end if end >= 0 else size) - start) for start, end in known.ranges]

    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        how = Dialect(*dialect)
        kinds = dict(zip(how.names, how.kinds))
        present = {name: sql_type for name, sql_type in wanted if name in kinds}
        types = {name: _arrow_type(kinds[name], sql_type) for name, sql_type in present.items()} or {how.names[0]: _TEXT}
        block = min(max(how.row_bytes * batch_rows, 64 << 10), 8 << 20)
        for start, end in units:
            for batch in self._batches(source, how, start, end, types, block):
                arrays = [self._array(batch.column(name), kinds[name], present[name]) if name in present
                          else pa.nulls(batch.num_rows, storage_type(sql_type)) for name, sql_type in wanted]
                yield from slices(batch.num_rows, arrays, batch_rows)

    def _batches(self, source: Source, dialect: Dialect, start: int, end: int, types: dict[str, pa.DataType],
                 block: int) -> Iterator[pa.RecordBatch]:
        """One byte range, parsed. A record longer than a block starts it again with larger blocks."""
        done = 0
        while True:
            try:
                with text(source, dialect.encoding, start, end) as stream:
                    counted = _QuoteCount(stream, dialect.quote.encode())
                    skip = done
                    for batch in _open(stream if end >= 0 else pa.PythonFile(counted, "r"), dialect, types, block):
                        kept = batch.slice(min(skip, batch.num_rows))
                        skip -= batch.num_rows - kept.num_rows
                        done += kept.num_rows
                        if kept.num_rows:
                            yield kept
                if counted.quotes % 2:
                    self._expect_closed_quotes(source, dialect)
                return
            except _FAILURES as error:
                if "straddling" not in str(error) or block > _LARGEST_RECORD_BYTES:
                    self._explain(source, dialect, error)
                block *= 8

    def _expect_closed_quotes(self, source: Source, dialect: Dialect) -> None:
        """Raises: BadCopyFileFormat (22P04) if the file ends within a quoted field. Slow, for files that may."""
        with text(source, dialect.encoding, dialect.start) as stream:
            lines = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
            reader = _csv_reader(itertools.chain(lines, ["end"]), dialect)
            last, line, before = [], 1, 0
            for row in reader:
                last, line, before = row, before + 1, reader.line_num
        if last != ["end"]:
            raise BadCopyFileFormat(f'file "{source.display}", line {dialect.line - 1 + line}: a quoted field has no end')

    def _array(self, array: pa.Array, kind: str, want: SqlType) -> pa.Array:
        if kind.endswith("?") and not want.is_string:
            trimmed = pc.utf8_trim_whitespace(array)
            array = pc.cast(pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, _TEXT), trimmed),
                            _arrow_type(kind.rstrip("?"), want))
        return normalize(array, want)

    # -- errors

    def _explain(self, source: Source, dialect: Dialect, error: Exception) -> NoReturn:
        """Raises the typed error for a failed read, with the line found by reading the file once more, slowly."""
        said = str(error)
        if isinstance(error, SqlError) or (isinstance(error, OSError) and not isinstance(error, pa.ArrowException)):
            raise source.error(error, "CSV") from None
        if found := re.search(r"Expected (\d+) columns, got (\d+)", said):
            wanted, got = int(found[1]), int(found[2])
            line = self._line(source, dialect, lambda row: len(row) == got)
            raise BadCopyFileFormat(f'file "{source.display}"{line}: too {"many" if got > wanted else "few"} fields: {got} '
                                    f"where the file has {wanted} columns") from None
        if "invalid UTF8" in said or "UTF-8" in said:
            line = self._line(source, dialect, lambda row: any("\udc80" <= char <= "\udcff" for cell in row
                                                               for char in cell))
            raise CharacterNotInRepertoire(f'file "{source.display}"{line}: the text is not valid UTF-8',
                                           hint="Convert the file to UTF-8.") from None
        if found := re.search(r"CSV column #(\d+).*(?:invalid value|Error converting) '(.*?)'(?: to |$)", said, re.DOTALL):
            name, value = dialect.names[int(found[1])] if int(found[1]) < len(dialect.names) else "", found[2]
            column = int(found[1])
            line = self._line(source, dialect, lambda row: len(row) > column and row[column].strip() == value.strip())
            raise InvalidTextRepresentation(
                f'file "{source.display}"{line}: "{value}" in column "{name}" is not of the type of the rest of the column',
                hint="The type was guessed from a sample of the file.") from None
        raise BadCopyFileFormat(f'file "{source.display}" cannot be read as CSV: {said}') from None

    def _line(self, source: Source, dialect: Dialect, is_it: Any) -> str:
        """", line N" of the first record that is meant, or "" if it is not found."""
        before = dialect.line - 1
        try:
            with text(source, dialect.encoding, dialect.start) as stream:
                lines = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
                reader = _csv_reader(lines, dialect)
                line = before + 1
                for row in reader:
                    if row and is_it(row):
                        return f", line {line}"
                    line = before + reader.line_num + 1
        except (csv.Error, *_FAILURES):
            pass
        return ""


class _QuoteCount:
    """A stream that counts the quote characters that are read: an odd number may be a quote that is not closed."""

    closed = False

    def __init__(self, stream: pa.NativeFile, quote: bytes) -> None:
        self._stream, self._quote = stream, quote
        self.quotes = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.quotes += data.count(self._quote)
        return data

    def close(self) -> None:
        """The stream's owner closes it."""


def _csv_reader(lines: Iterable[str], dialect: Dialect) -> Any:
    return csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, escapechar=dialect.escape or None,
                      doublequote=not dialect.escape)


def _options(dialect: Dialect, types: dict[str, pa.DataType], block: int) -> dict[str, Any]:
    return {
        "read_options": pa_csv.ReadOptions(use_threads=False, block_size=block, column_names=list(dialect.names)),
        "parse_options": pa_csv.ParseOptions(delimiter=dialect.delimiter, quote_char=dialect.quote,
                                             double_quote=not dialect.escape, escape_char=dialect.escape or False,
                                             newlines_in_values=True, ignore_empty_lines=len(dialect.names) > 1),
        "convert_options": pa_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""],
                                                 strings_can_be_null=True, quoted_strings_can_be_null=False,
                                                 true_values=list(TRUE_VALUES), false_values=list(FALSE_VALUES)),
    }


def _open(stream: pa.NativeFile, dialect: Dialect, types: dict[str, pa.DataType], block: int) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa_csv.open_csv(stream, **_options(dialect, types, block))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return
        raise
    yield from reader


def _parse_sample(sample: bytes, dialect: Dialect) -> pa.Table | None:
    """The sample as text columns without the rows that do not fit; None if it is empty or makes no sense by itself."""
    if not sample or not dialect.names:
        return None
    options = _options(dialect, dict.fromkeys(dialect.names, pa.binary()), max(len(sample) + 1, 1 << 10))
    options["parse_options"].invalid_row_handler = lambda row: "skip"
    try:
        table = pa_csv.read_csv(pa.BufferReader(sample), **options)
    except pa.ArrowInvalid:
        return None
    return pa.table([_valid_text(column) for column in table.columns], names=list(dialect.names))


def _valid_text(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    try:
        return pc.cast(array, _TEXT)
    except pa.ArrowInvalid:  # reading it will say which line is not UTF-8
        return pa.array([None if v is None else v.decode("utf-8", "replace") for v in array.to_pylist()], _TEXT)


def _statistics(tables: Sequence[pa.Table], kinds: Sequence[str], rows: int) -> dict[str, ColumnStatistics]:
    """Estimates from the first sample."""
    if not tables or not tables[0].num_rows:
        return {}
    out = {}
    seen = tables[0].num_rows
    for name, kind, column in zip(tables[0].column_names, kinds, tables[0].columns):
        array = column.combine_chunks()
        distinct = pc.count_distinct(array).as_py()
        scaled = float(distinct if 10 * distinct < seen else distinct * max(rows, seen) / seen)
        low = high = None
        if kind in ("int8", "float8", "date"):
            bounds = pc.min_max(pc.cast(pc.utf8_trim_whitespace(array), _arrow_type(kind, KINDS[kind])))
            low, high = bounds["min"].as_py(), bounds["max"].as_py()
        out[name] = ColumnStatistics(distinct=max(scaled, 1.0), null_fraction=array.null_count / seen, minimum=low,
                                     maximum=high,
                                     average_bytes=(pc.sum(pc.binary_length(array)).as_py() or 0) / seen)
    return out


def _arrow_type(kind: str, want: SqlType) -> pa.DataType:
    """What pyarrow.csv is to make of a column."""
    if kind.endswith("?") and not want.is_string:
        return _TEXT
    if want.is_string:
        return pa.dictionary(pa.int32(), _TEXT) if kind == "code" else _TEXT
    if want.name in ("timestamp", "timestamptz") and kind.endswith("_ns"):
        return pa.timestamp("ns", "UTC" if want.name == "timestamptz" else None)
    if want.name == "numeric":
        return pa.decimal128(38, want.scale or 0)
    return storage_type(want)
