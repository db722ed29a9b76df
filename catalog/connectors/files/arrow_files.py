"""Arrow IPC files and streams (also Feather 2), and ORC.

Arrow's IPC reader trusts its input, so every batch is validated in full before anybody reads it. Files stay closed
between reads: footers are small, and batches and stripes are large.

Hop 6 (worker reads a split). Spec: Arrow columnar format 1.5, "Serialization and Interprocess Communication"; ORC v1.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

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
    distinct_names,
    file_column,
    slices,
)
from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import normalize, storage_type

_FAILURES = (pa.ArrowException, OSError, ValueError, KeyError, OverflowError)
_SCHEMAS_KEPT = 4096


def _columns(schema: pa.Schema) -> tuple[FileColumn, ...]:
    return tuple(file_column(name, field.type, field.nullable)
                 for name, field in zip(distinct_names(schema.names), schema))


def _convert(columns: Sequence[FileColumn], positions: Sequence[int], batch: Any, wanted: Wanted) -> list[pa.Array]:
    """The wanted columns of a batch or table that holds the file's columns `positions`, ascending."""
    place = {columns[position].name: i for i, position in enumerate(positions)}
    types = {columns[position].name: columns[position].type for position in positions}
    return [conform(normalize(batch.column(place[name]), types[name]), types[name], sql_type) if name in place
            else pa.nulls(batch.num_rows, storage_type(sql_type)) for name, sql_type in wanted]


def _positions(columns: Sequence[FileColumn], wanted: Wanted) -> list[int]:
    names = {name for name, _ in wanted}
    return [i for i, column in enumerate(columns) if column.name in names]


class _InPieces(Format):
    """A format whose files say their schema and how many pieces, batches or stripes, can be read on their own."""

    def __init__(self) -> None:
        self._known: Kept[tuple[FileSchema, int]] = Kept(_SCHEMAS_KEPT)

    def schema(self, source: Source) -> FileSchema:
        return self._look(source)[0]

    def _look(self, source: Source) -> tuple[FileSchema, int]:
        """The schema and the number of pieces, -1 where the file does not say."""
        return self._known.get(source.key, lambda: self._load(source))

    @abstractmethod
    def _load(self, source: Source) -> tuple[FileSchema, int]:
        """What `_look` keeps, read from the file."""


class ArrowFormat(_InPieces):
    """A stream, unlike a file, does not say how many record batches it has."""

    name = "arrow"
    suffixes = (".arrow", ".feather", ".ipc", ".arrows")

    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        known, batches = self._look(source)
        if batches < 0:
            return [Unit(-1, known.rows, source.file.size)]
        return [Unit(i, known.rows // batches, source.file.size // batches) for i in range(batches)] if known.rows else []

    def _load(self, source: Source) -> tuple[FileSchema, int]:
        try:
            with source.open() as file:
                if _is_file(source, file):
                    reader = pa.ipc.open_file(file)
                    return FileSchema(_columns(reader.schema), reader.count_rows()), reader.num_record_batches
                stream = pa.ipc.open_stream(file)
                width = 8 * max(len(stream.schema), 1)
                return FileSchema(_columns(stream.schema), source.file.size // width, exact=False), -1
        except _FAILURES as error:
            raise source.error(error, "Arrow IPC") from None

    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        columns = self.schema(source).columns
        positions = _positions(columns, wanted)
        try:
            with source.open() as file:
                # Without any column a batch has no row count, so one is read where none is wanted.
                options = pa.ipc.IpcReadOptions(included_fields=positions or [0], use_threads=False)
                for batch in self._batches(source, file, units, options):
                    batch.validate(full=True)
                    yield from slices(batch.num_rows, _convert(columns, positions, batch, wanted), batch_rows)
        except _FAILURES as error:
            raise source.error(error, "Arrow IPC") from None

    def _batches(self, source: Source, file: pa.NativeFile, units: Sequence[Json],
                 options: pa.ipc.IpcReadOptions) -> Iterator[pa.RecordBatch]:
        if _is_file(source, file):
            reader = pa.ipc.open_file(file, options=options)
            for unit in units:
                yield reader.get_batch(unit)
        else:
            yield from pa.ipc.open_stream(file, options=options)


def _is_file(source: Source, file: pa.NativeFile) -> bool:
    head = file.read_at(6, 0)
    file.seek(0)
    if head.startswith(b"FEA1"):
        raise FeatureNotSupported(f'file "{source.display}" is in the Feather 1 format, which cannot be read',
                                  hint="Write it again with Feather 2 (Arrow IPC).")
    return head == b"ARROW1"


class OrcFormat(_InPieces):
    name = "orc"
    suffixes = (".orc",)

    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        known, stripes = self._look(source)
        return [Unit(i, known.rows // stripes, source.file.size // stripes) for i in range(stripes)]

    def _load(self, source: Source) -> tuple[FileSchema, int]:
        from pyarrow import orc
        try:
            with source.open() as file:
                reader = orc.ORCFile(file)
                return FileSchema(_columns(reader.schema), reader.nrows), reader.nstripes
        except _FAILURES as error:
            raise source.error(error, "ORC") from None

    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        from pyarrow import orc
        columns = self.schema(source).columns
        positions = _positions(columns, wanted)
        try:
            with source.open() as file:
                reader = orc.ORCFile(file)
                names = [reader.schema.names[i] for i in positions or [0]]
                for unit in units:
                    batch = reader.read_stripe(unit, columns=names)
                    yield from slices(batch.num_rows, _convert(columns, positions, batch, wanted), batch_rows)
        except _FAILURES as error:
            raise source.error(error, "ORC") from None
