"""JSON: one object a line, objects after each other, or one array of them; plain or compressed.

Columns are the union of all objects' keys. Scalars and lists of scalars of one type become columns of that type,
what is nested or of several types stays JSON or text, so that nothing is lost. Lines go through pyarrow.json where
all wanted columns are scalar; everything else through the standard library.

Hops 2 (columns) and 6 (reading). Spec: RFC 8259, jsonlines.org.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from shoal.catalog.connector import Json, Predicate
from shoal.catalog.connectors.files.formats import (
    FileColumn,
    FileSchema,
    Format,
    Kept,
    Predicates,
    Unit,
    Wanted,
    conform,
    slices,
)
from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.connectors.files.sniffing import kind_of
from shoal.catalog.connectors.files.text_streams import beginning, ranges, text
from shoal.catalog.errors import InvalidTextRepresentation, SqlError
from shoal.catalog.types import (
    BOOL,
    DATE,
    FLOAT8,
    INT8,
    JSON,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    SqlType,
    array_of,
    normalize,
    numeric,
    storage_type,
)

_SAMPLE_ROWS = 20_000
_SCHEMAS_KEPT = 4096
_CHUNK_BYTES, _LARGEST_RECORD_BYTES = 8 << 20, 1 << 30
_FAILURES = (pa.ArrowException, OSError, ValueError, RecursionError, OverflowError)
_SCALARS: dict[str, SqlType] = {
    "null": TEXT, "bool": BOOL, "int8": INT8, "numeric": numeric(38, 0), "float8": FLOAT8, "text": TEXT, "mixed": TEXT,
    "json": JSON, "date": DATE, "timestamp": TIMESTAMP, "timestamp_ns": TIMESTAMP, "timestamptz": TIMESTAMPTZ,
    "timestamptz_ns": TIMESTAMPTZ,
}
_NATIVE = {"bool": pa.bool_(), "int8": pa.int64(), "float8": pa.float64(), "text": pa.string(), "date": pa.string(),
           "timestamp": pa.string(), "timestamp_ns": pa.string(), "timestamptz": pa.string(), "timestamptz_ns": pa.string()}
"""What pyarrow.json is asked for; dates and times are cast afterwards."""
_NUMBERS = ("int8", "numeric", "float8")


def _type(kind: str) -> SqlType:
    return array_of(_SCALARS[kind[:-2]]) if kind.endswith("[]") else _SCALARS[kind]


def _value_kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int8" if -(1 << 63) <= value < 1 << 63 else "numeric" if abs(value) < 10 ** 38 else "float8"
        case float():
            return "float8"
        case str():
            return "text"
        case list():
            kind = "null"
            for item in value:
                kind = _wider(kind, _value_kind(item))
            return kind + "[]" if kind in ("null", "bool", "int8", "float8", "text") else "json"
    return "json"


def _wider(a: str, b: str) -> str:
    """The kind that holds values of both."""
    if a == b or b == "null":
        return a
    if a == "null":
        return b
    if a in _NUMBERS and b in _NUMBERS:
        return _NUMBERS[max(_NUMBERS.index(a), _NUMBERS.index(b))]
    if a.endswith("[]") and b.endswith("[]"):
        inner = _wider(a[:-2], b[:-2])
        return inner + "[]" if inner in ("bool", "int8", "float8", "text") else "json"
    return "json" if "json" in (a, b) or a.endswith("[]") or b.endswith("[]") else "mixed"


class JsonFormat(Format):
    name = "json"
    suffixes = (".json", ".jsonl", ".ndjson")
    is_text = True

    def __init__(self) -> None:
        self._known: Kept[FileSchema] = Kept(_SCHEMAS_KEPT)
        self._ranges: Kept[tuple[tuple[int, int], ...]] = Kept(_SCHEMAS_KEPT)

    def schema(self, source: Source) -> FileSchema:
        return self._known.get(source.key, lambda: self._load(source))

    def _load(self, source: Source) -> FileSchema:
        try:
            head, whole, encoding = beginning(source)
        except _FAILURES as error:
            raise self._error(source, error) from None
        layout = _layout(head)
        if layout != "lines":
            return _schema(*self._all_kinds(source, layout, encoding), layout, encoding, exact=True)
        lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
        try:
            kinds = _kinds(map(json.loads, lines[:_SAMPLE_ROWS]))
            if len(lines) > _SAMPLE_ROWS and not _holds(head, kinds):
                kinds = _kinds(map(json.loads, lines))
        except _FAILURES as error:
            if whole:
                self._all_kinds(source, layout, encoding)  # says which line
            raise self._error(source, error) from None
        size = source.file.size * (6 if source.compression else 1)  # a guess of what decompression gives
        rows = len(lines) if whole else int(len(lines) * max(size, len(head)) / max(len(head), 1))
        return _schema(kinds, rows, layout, encoding, exact=whole)

    def doubt(self, source: Source) -> bool:
        before = self.schema(source)
        layout, encoding, _ = before.dialect
        after = _schema(*self._all_kinds(source, layout, encoding), layout, encoding, exact=True)
        self._known.put(source.key, after)
        return after.columns != before.columns or after.dialect != before.dialect

    def _all_kinds(self, source: Source, layout: str, encoding: str) -> tuple[dict[str, str], int]:
        """The kinds of all columns and the number of rows, from the whole file."""
        kinds: dict[str, str] = {}
        rows = 0
        for values in self._values(source, layout, encoding, 0, -1):
            rows += len(values)
            for name, kind in _kinds(values).items():
                kinds[name] = _wider_refined(kinds.get(name, "null"), kind)
        return kinds, rows

    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        known = self.schema(source)
        layout, encoding, _ = known.dialect
        try:
            found = ((0, -1),) if layout != "lines" else self._ranges.get(
                source.key, lambda: tuple(ranges(source, 0, encoding)))
        except _FAILURES as error:
            raise self._error(source, error) from None
        size = max(source.file.size, 1)
        return [Unit((start, end), int(known.rows * ((end if end >= 0 else size) - start) / size),
                     (end if end >= 0 else size) - start) for start, end in found]

    # -- reading

    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        layout, encoding, pairs = dialect
        kinds = dict(pairs)
        present = [(name, sql_type) for name, sql_type in wanted if name in kinds]
        native = layout == "lines" and all(
            kinds[name] in _NATIVE and (kinds[name] == "text" or not sql_type.is_string) for name, sql_type in present)
        for start, end in units:
            for rows, columns in (self._native(source, encoding, start, end, present, kinds) if native else
                                  self._parsed(source, layout, encoding, start, end, present, kinds)):
                arrays = [columns[name] if name in columns else pa.nulls(rows, storage_type(sql_type))
                          for name, sql_type in wanted]
                yield from slices(rows, arrays, batch_rows)

    def _native(self, source: Source, encoding: str, start: int, end: int, wanted: Wanted,
                kinds: dict[str, str]) -> Iterator[tuple[int, dict[str, pa.Array]]]:
        schema = pa.schema([(name, _NATIVE[kinds[name]]) for name, _ in wanted] or [("", pa.null())])
        options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        block, done = 4 << 20, 0
        while True:
            skip = done
            try:
                with text(source, encoding, start, end) as stream:
                    for batch in _open(stream, options, block):
                        kept = batch.slice(min(skip, batch.num_rows))
                        skip -= batch.num_rows - kept.num_rows
                        done += kept.num_rows
                        if kept.num_rows:
                            kept.validate(full=True)  # pyarrow.json lets invalid UTF-8 pass
                            yield kept.num_rows, {name: _cast(kept.column(name), kinds[name], sql_type)
                                                  for name, sql_type in wanted}
                return
            except _FAILURES as error:
                if "straddling" not in str(error) or block > _LARGEST_RECORD_BYTES:
                    self._explain(source, encoding, error)
                block *= 8

    def _parsed(self, source: Source, layout: str, encoding: str, start: int, end: int, wanted: Wanted,
                kinds: dict[str, str]) -> Iterator[tuple[int, dict[str, pa.Array]]]:
        for values in self._values(source, layout, encoding, start, end):
            rows = [value if isinstance(value, dict) else {"json": value} for value in values]
            try:
                yield len(rows), {name: _build([row.get(name) for row in rows], kinds[name], sql_type)
                                  for name, sql_type in wanted}
            except _FAILURES as error:
                raise self._error(source, error) from None

    def _values(self, source: Source, layout: str, encoding: str, start: int, end: int) -> Iterator[list[Any]]:
        """The parsed values, some at a time. Raises: InvalidTextRepresentation (22P02) naming the line."""
        line = 1
        rest = b""
        try:
            with text(source, encoding, start, end) as stream:
                if layout != "lines":
                    yield from _documents(stream.read())
                    return
                while True:
                    more = stream.read(_CHUNK_BYTES)
                    chunk = rest + more
                    cut = chunk.rfind(b"\n") + 1 if more else len(chunk)
                    rest = chunk[cut:]
                    values = []
                    for raw in chunk[:cut].removeprefix(b"\xef\xbb\xbf").split(b"\n"):
                        if raw.strip():
                            values.append(json.loads(raw))
                        line += 1
                    line -= 1  # the last piece is what follows the last line end
                    if values:
                        yield values
                    if not more:
                        return
        except _FAILURES as error:
            where = "" if start else f", line {line if layout == 'lines' else getattr(error, 'lineno', '?')}"
            raise self._error(source, error, where) from None

    # -- errors

    def _explain(self, source: Source, encoding: str, error: Exception) -> None:
        """Raises the typed error for a failed read, with the line where a slower reader stumbles too."""
        if not isinstance(error, OSError) or isinstance(error, pa.ArrowException):
            for _ in self._values(source, "lines", encoding, 0, -1):
                pass
        raise self._error(source, error) from None

    def _error(self, source: Source, error: Exception, where: str = "") -> SqlError:
        if isinstance(error, SqlError) or (isinstance(error, OSError) and not isinstance(error, pa.ArrowException)):
            return source.error(error, "JSON")
        if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
            return InvalidTextRepresentation(f'file "{source.display}"{where}: the text is not valid UTF-8')
        said = re.sub(r": line \d+ column.*", "", str(error))
        return InvalidTextRepresentation(f'file "{source.display}"{where}: not the JSON that was expected: {said}')


def _layout(head: bytes) -> str:
    """ "lines" if every line is a JSON object, as far as the first one tells; else "documents"."""
    line = next((line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()), b"{}")
    try:
        return "lines" if isinstance(json.loads(line), dict) else "documents"
    except (ValueError, RecursionError):
        return "documents" if not line.lstrip().startswith(b"{") or _first_document(head) else "lines"


def _first_document(head: bytes) -> bool:
    """Whether the text starts with an object that goes over several lines."""
    try:
        json.JSONDecoder().raw_decode(head.decode("utf-8-sig", "replace").lstrip())
    except (ValueError, RecursionError):
        return False
    return True


def _documents(data: bytes) -> Iterator[list[Any]]:
    """The members of a top-level array, or the values that follow each other."""
    content = data.decode("utf-8-sig")
    decoder, position, values = json.JSONDecoder(), 0, []
    blank = re.compile(r"\s*")
    while (position := blank.match(content, position).end()) < len(content):  # type: ignore[union-attr]
        value, position = decoder.raw_decode(content, position)
        values.append(value)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    for start in range(0, len(values), 1 << 16):
        yield values[start:start + (1 << 16)]


def _kinds(values: Iterable[Any]) -> dict[str, str]:
    """The kind of every key of the objects, text narrowed to dates and times where all of it is one."""
    kinds: dict[str, str] = {}
    strings: dict[str, list[str]] = {}
    for value in values:
        for name, item in (value if isinstance(value, dict) else {"json": value}).items():
            kind = _value_kind(item)
            kinds[name] = _wider(kinds.get(name, "null"), kind)
            if kind == "text":
                strings.setdefault(name, []).append(item)
    for name, found in strings.items():
        if kinds[name] == "text" and all(found[:100]):
            kind = kind_of(pa.array(found, pa.string()))
            if kind.startswith(("date", "timestamp")) and all(found):
                kinds[name] = kind
    return kinds


def _wider_refined(a: str, b: str) -> str:
    """`_wider` for kinds that `_kinds` has narrowed."""
    if a == b or "null" in (a, b):
        return _wider(a, b)
    plain = ["text" if kind.startswith(("date", "timestamp")) else kind for kind in (a, b)]
    if {a, b} in ({"date", "timestamp"}, {"timestamp", "timestamp_ns"}, {"timestamptz", "timestamptz_ns"}):
        return max(a, b)
    return _wider(plain[0], plain[1])


def _holds(head: bytes, kinds: dict[str, str]) -> bool:
    """Whether what a sample of rows showed goes for all of the text, tried fast."""
    schema = pa.schema([(name, _NATIVE[kind]) for name, kind in kinds.items() if kind in _NATIVE])
    try:
        table = pa_json.read_json(pa.BufferReader(head), pa_json.ReadOptions(block_size=len(head) + 1, use_threads=False),
                                  pa_json.ParseOptions(explicit_schema=schema))
        return set(table.column_names) == set(kinds) and all(
            _cast(table.column(name).combine_chunks(), kinds[name], _type(kinds[name])) is not None for name in schema.names)
    except pa.ArrowException:
        return False


def _schema(kinds: dict[str, str], rows: int, layout: str, encoding: str, *, exact: bool) -> FileSchema:
    kinds = {name: "json" if kind == "null[]" else kind for name, kind in kinds.items()}
    columns = tuple(FileColumn(name, _type(kind), True, "null" if kind == "null" else "") for name, kind in kinds.items())
    return FileSchema(columns, rows, exact, (layout, encoding, tuple(kinds.items())))


def _open(stream: pa.NativeFile, options: pa_json.ParseOptions, block: int) -> Iterator[pa.RecordBatch]:
    try:
        reader = pa_json.open_json(stream, pa_json.ReadOptions(block_size=block, use_threads=False), options)
    except pa.ArrowInvalid as error:
        if "Empty JSON" in str(error):
            return
        raise
    yield from reader


def _cast(array: pa.Array, kind: str, want: SqlType) -> pa.Array:
    """A natively read column as what it is wanted as."""
    have = _type(kind)
    if kind.startswith("timestamp"):
        zone = "UTC" if kind.startswith("timestamptz") else None
        array = pc.cast(array, pa.timestamp("ns" if kind.endswith("_ns") else "us", zone))
    elif kind == "date":
        array = pc.cast(array, pa.date32())
    return conform(normalize(array, have), have, want)


def _build(values: list[Any], kind: str, want: SqlType) -> pa.Array:
    """A column from parsed values."""
    if want.is_string and kind != "text":
        as_text = want != JSON
        return pa.array([None if v is None else v if as_text and isinstance(v, str) else json.dumps(v, ensure_ascii=False)
                         for v in values], pa.string())
    have = _type(kind)
    if kind == "numeric":
        return conform(pa.array([None if v is None else int(v) for v in values], pa.decimal128(38, 0)), have, want)
    if kind in ("float8", "float8[]"):
        values = [v if v is None else [None if i is None else float(i) for i in v] if isinstance(v, list) else float(v)
                  for v in values]
    if kind in _NATIVE:
        return _cast(pa.array(values, _NATIVE[kind]), kind, want)
    return conform(pa.array(values, storage_type(have)), have, want)
