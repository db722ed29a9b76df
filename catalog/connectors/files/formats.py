"""What a file format must offer, and turning a file's columns into those of its table.

A `Format` knows one file at a time: its columns, the units it can be read in (row groups, stripes, batches, byte
ranges) and how to read some of them. Tables, folders and partitions are the business of tables.py and
`FilesConnector`. One format is one module plus its row in `FilesConnector.formats`.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.connector import ColumnStatistics, Json, Predicate
from shoal.catalog.connectors.files.locations import Source
from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import FLOAT8, TEXT, TIMESTAMP, SqlType, from_arrow, normalize, numeric, storage_type

Predicates = Callable[[], Sequence[Predicate]]
Wanted = Sequence[tuple[str, SqlType]]
"""The columns to read, each in the form `storage_type` gives its type, which is the file's own or a wider one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileColumn:
    """`native_type`: the format's own type name where it was unknown and became text."""

    name: str
    type: SqlType
    nullable: bool = True
    native_type: str = ""


@dataclass(frozen=True, slots=True)
class FileSchema:
    """What is known of a file without reading it all.

    `rows` is exact where `exact`. `dialect` is what reading needs besides (CSV: the sniffed delimiter and so on);
    it travels in splits, so that every worker reads a file in the one way it was understood.
    """

    columns: tuple[FileColumn, ...]
    rows: int
    exact: bool = True
    dialect: Json = None


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest part of a file that can be read alone; `id` is its number or byte range."""

    id: Json
    rows: int
    size_bytes: int


class Format(ABC):
    """One file format. Objects are shared by threads."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    is_text: ClassVar[bool] = False
    """The whole file may be compressed, and types are only guessed, so that any column can also be read as text."""
    prunes: ClassVar[bool] = False
    """Units are skipped by predicates, and cheap to read again for further columns."""

    @abstractmethod
    def schema(self, source: Source) -> FileSchema:
        """Cached by `source.key`. Raises: UndefinedFile, DataCorrupted, BadCopyFileFormat."""

    @abstractmethod
    def units(self, source: Source, columns: Sequence[str], predicates: Sequence[Predicate]) -> list[Unit]:
        """The file's units but those that `predicates` show to hold no row that matters."""

    def may_match(self, source: Source, unit: Json, predicates: Sequence[Predicate]) -> bool:
        """Whether the unit can hold a row that matters."""
        return True

    @abstractmethod
    def read(self, source: Source, dialect: Json, units: Sequence[Json], wanted: Wanted, batch_rows: int,
             predicates: Predicates) -> Iterator[tuple[int, list[pa.Array]]]:
        """(rows, the arrays of `wanted`) of each piece. A wanted column that the file lacks is NULL."""

    def statistics(self, source: Source) -> dict[str, ColumnStatistics]:
        """What is cheap to know of each column."""
        return {}

    def doubt(self, source: Source) -> bool:
        """A read failed: looks at all of the file; True if its schema is now another than was said."""
        return False

    def close(self) -> None:  # noqa: B027 (most formats keep nothing open)
        """Closes what is kept open."""


class Kept(Generic[T]):
    """A bounded cache by key, dropping what was used longest ago. Safe for threads; may compute a value twice."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = compute()
        self.put(key, value)
        return value

    def put(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._limit:
                self._values.popitem(last=False)


def file_column(name: str, arrow: pa.DataType, nullable: bool) -> FileColumn:
    sql_type = from_arrow(arrow)
    unknown = sql_type == TEXT and "string" not in str(arrow)
    return FileColumn(name, sql_type, nullable, str(arrow) if unknown else "")


def distinct_names(names: Sequence[str]) -> list[str]:
    """The names with `_1`, `_2` after those that were there already, and columnN for empty ones."""
    out: list[str] = []
    taken = set(names)
    for i, name in enumerate(names):
        name = name or f"column{i}"
        fresh, n = name, 0
        while fresh in out or (n and fresh in taken):
            n += 1
            fresh = f"{name}_{n}"
        out.append(fresh)
    return out


def common_type(a: FileColumn, b: FileColumn, text: bool) -> SqlType | None:
    """The type both columns widen to without losing anything but digits of a float; None where there is none."""
    left, right = a.type, b.type
    if left == right:
        return left
    if a.native_type == "null":
        return right
    if b.native_type == "null":
        return left
    if left.is_number and right.is_number:
        if left.is_integer and right.is_integer:
            return max(left, right, key=lambda t: t.size)
        if "float4" in (left.name, right.name) or "float8" in (left.name, right.name):
            return FLOAT8
        (p1, s1), (p2, s2) = _digits(left), _digits(right)
        scale, whole = max(s1, s2), max(p1 - s1, p2 - s2)
        return numeric(whole + scale, scale) if whole + scale <= 76 else FLOAT8
    if {left.name, right.name} == {"date", "timestamp"}:
        return TIMESTAMP
    if left.is_string and right.is_string:
        return TEXT
    return TEXT if text else None


def _digits(sql_type: SqlType) -> tuple[int, int]:
    if sql_type.name == "numeric":
        return sql_type.precision or 0, sql_type.scale or 0
    return {"int2": 5, "int4": 10}.get(sql_type.name, 19), 0


def conform(array: pa.Array, have: SqlType, want: SqlType) -> pa.Array:
    """A column in `have`'s storage form in that of `want`, a type `common_type` gave."""
    storage = storage_type(want)
    if have == want or (array.type == storage and "numeric" not in (have.name, want.name)):
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), storage)
    if want.name == "numeric" or have.name == "numeric":
        if have.name == "numeric":
            array = logical_decimal(array, have)
        if want.name != "numeric":
            return pc.cast(array, storage)
        return _numeric_storage(array, want)
    if pa.types.is_dictionary(array.type):
        return array
    return pc.cast(array, storage)


def logical_decimal(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """A numeric column in whatever storage form as Arrow decimals of its scale."""
    if not pa.types.is_integer(array.type):
        return array
    wide = pc.cast(array, pa.decimal128(19, 0))
    return pa.Array.from_buffers(pa.decimal128(38, sql_type.scale or 0), len(wide), wide.buffers(), wide.null_count,
                                 wide.offset)


def _numeric_storage(array: pa.Array, want: SqlType) -> pa.Array:
    wide = pa.decimal128(38, want.scale) if (want.precision or 0) <= 38 else pa.decimal256(76, want.scale)
    try:
        return normalize(pc.cast(array, wide), want)
    except pa.ArrowInvalid as error:
        raise NumericOutOfRange(f"a value does not fit {want}: {error}") from None


def slices(rows: int, arrays: list[pa.Array], batch_rows: int) -> Iterator[tuple[int, list[pa.Array]]]:
    """The piece cut to `batch_rows`, unless it is less than twice as long: a cut is worth no second round of kernels."""
    if rows <= 2 * batch_rows:
        if rows:
            yield rows, arrays
        return
    for start in range(0, rows, batch_rows):
        length = min(batch_rows, rows - start)
        yield length, [array.slice(start, length) for array in arrays]
