"""The rows that every PostgreSQL 15 has, from data/*.csv.gz (written by generate.py), as Arrow, loaded when first read.

Hop 6, inside the coordinator. `batch` keeps what it has read, in columns: all of them together take a few megabytes.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from csv import DictReader
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.types import NAMES_BY_OID, NUMERIC, OID, TID, SqlType, storage_type

DATA = Path(__file__).parent / "data"
PG_CATALOG_OID, PG_TOAST_OID, PUBLIC_OID = 11, 99, 2200


@dataclass(frozen=True)
class SystemRelation:
    """A relation of pg_catalog or information_schema, with the columns PostgreSQL 15 gives it."""

    schema: str
    name: str
    kind: str
    oid: int
    attributes: int
    """How many columns it has."""

    @cached_property
    def columns(self) -> tuple[ColumnInfo, ...]:
        rows = _attributes().slice(_positions()[self.oid], self.attributes).to_pylist()
        infos = [ColumnInfo(row["attname"], type_of(row["atttypid"]), not row["attnotnull"]) for row in rows]
        if self.kind == "r" and not any(info.name == "oid" for info in infos):
            infos.append(ColumnInfo("oid", OID, hidden=True))
        hidden = [ColumnInfo("tableoid", OID, hidden=True), ColumnInfo("xmin", SqlType("xid"), hidden=True),
                  ColumnInfo("ctid", TID, hidden=True)]
        return (*infos, *hidden)


@cache
def _attributes() -> pa.Table:
    """pg_attribute's columns of system relations, by relation and number."""
    table = _read("pg_attribute", {"attrelid": pa.int64(), "attnum": pa.int16(), "attname": pa.string(),
                                   "atttypid": pa.int64(), "attnotnull": pa.bool_()})
    return table.filter(pa.compute.greater(table["attnum"], 0)).sort_by([("attrelid", "ascending"), ("attnum", "ascending")])


@cache
def _positions() -> dict[int, int]:
    """Where the columns of each relation begin in `_attributes`."""
    found: dict[int, int] = {}
    for position, relation in enumerate(_attributes()["attrelid"].to_pylist()):
        found.setdefault(relation, position)
    return found


@cache
def _base_types() -> dict[int, tuple[str, int]]:
    """(name, base type of a domain or 0) of every type by OID."""
    table = _read("pg_type", {"oid": pa.int64(), "typname": pa.string(), "typbasetype": pa.int64()})
    return {oid: (name, base) for oid, name, base in zip(*(column.to_pylist() for column in table.columns), strict=True)}


def type_of(oid: int) -> SqlType:
    """The type a value of PostgreSQL's type has here: a domain's base type, text for what is unknown."""
    while oid not in NAMES_BY_OID and (found := _base_types().get(oid)) and found[1]:
        oid = found[1]
    name = NAMES_BY_OID.get(oid, "text")
    return NUMERIC if name == "numeric" else SqlType(name)


@cache
def system_relations() -> dict[tuple[str, str], SystemRelation]:
    """All system relations that can be queried, by (schema, name).

    Every name in FROM is looked for among them first, so they are read without Arrow's CSV reader, which takes 40 ms and
    8 MB when it is first used in a process.
    """
    names = {row["oid"]: row["nspname"] for row in _few_rows("pg_namespace")}
    return {(names[row["relnamespace"]], row["relname"]): SystemRelation(
        names[row["relnamespace"]], row["relname"], row["relkind"], int(row["oid"]), int(row["relnatts"]))
        for row in _few_rows("pg_class") if row["relkind"] in "rv"}


def _few_rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of data/<name>.csv.gz as text."""
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from DictReader(file)


@cache
def batch(name: str, columns: tuple[ColumnInfo, ...]) -> pa.RecordBatch | None:
    """The rows of data/<name>.csv.gz with the relation's columns in storage form; None where there is no file."""
    if not (DATA / f"{name}.csv.gz").exists():
        return None
    kinds = {info.name: info.type for info in columns if not (info.hidden and info.name in ("tableoid", "xmin", "ctid"))}
    plain = {column: _plain(storage_type(kind)) for column, kind in kinds.items()}
    table = _read(name, plain).combine_chunks()
    arrays = []
    for column, kind in kinds.items():
        if column not in table.column_names:
            arrays.append(pa.nulls(len(table), storage_type(kind)))
            continue
        array = table[column].combine_chunks() if isinstance(table[column], pa.ChunkedArray) else table[column]
        arrays.append(array if array.type == storage_type(kind) else _special(array, kind))
    return pa.RecordBatch.from_arrays(arrays, names=list(kinds))


@cache
def column(name: str, *columns: str) -> tuple[tuple[Any, ...], ...]:
    """Some columns of a static relation as Python tuples, for look-ups."""
    relation = system_relations()["pg_catalog", name]
    found = batch(name, relation.columns)
    assert found is not None
    return tuple(tuple(found.column(c).to_pylist()) for c in columns)


@cache
def namespaces() -> dict[int, str]:
    """The names of the schemas every database has, by OID."""
    return dict(zip(*column("pg_namespace", "oid", "nspname"), strict=True))


@cache
def view_definitions() -> dict[int, str]:
    """The text of each system view by OID."""
    table = _read("view_definitions", {"oid": pa.int64(), "definition": pa.string()})
    return dict(zip(table["oid"].to_pylist(), table["definition"].to_pylist(), strict=True))


@cache
def token_types() -> dict[int, list[tuple[int, str, str]]]:
    """(number, alias, description) of the tokens each text search parser makes, by its OID."""
    table = _read("token_types", {"oid": pa.int64(), "tokid": pa.int32(), "alias": pa.string(), "description": pa.string()})
    found: dict[int, list[tuple[int, str, str]]] = {}
    for oid, *token in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
        found.setdefault(oid, []).append(tuple(token))
    return found


def _plain(storage: pa.DataType) -> pa.DataType:
    """How a column is read from CSV: what CSV cannot hold comes as text, an interval as seconds."""
    if pa.types.is_interval(storage):
        return pa.int64()
    kinds = (pa.types.is_nested, pa.types.is_binary, pa.types.is_temporal)
    return pa.string() if any(is_kind(storage) for is_kind in kinds) else storage


def _read(name: str, types: dict[str, pa.DataType]) -> pa.Table:
    with gzip.open(DATA / f"{name}.csv.gz") as file:
        header = file.readline().decode().strip().split(",")
        content = file.read()
    return csv.read_csv(
        pa.BufferReader(content),
        read_options=csv.ReadOptions(use_threads=False, column_names=header, block_size=len(content) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={**dict.fromkeys(header, pa.string()), **types}, include_columns=[n for n in types if n in header],
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False, true_values=["t"],
            false_values=["f"]))


def _special(array: pa.Array, kind: SqlType) -> pa.Array:
    """Values of types that CSV has no form for, each text converted once."""
    storage = storage_type(kind)
    if pa.types.is_interval(storage):
        return pa.array([None if s is None else (0, 0, s * 1_000_000) for s in array.to_pylist()], storage)
    if not pa.types.is_list(storage):
        return pa.nulls(len(array), storage)
    known: dict[str | None, Any] = {None: None}
    for text in set(array.to_pylist()) - {None}:
        items: Sequence[Any] = text.split() if kind.name.endswith("vector") else elements(text)
        known[text] = [int(i) for i in items] if pa.types.is_integer(storage.value_type) else list(items)
    return pa.array([known[text] for text in array.to_pylist()], storage)


def elements(text: str) -> list[str | None]:
    """The elements of a one-dimensional array in PostgreSQL's text form."""
    found: list[str | None] = []
    item, quoted, index, body = "", False, 0, text[1:-1]
    while index < len(body):
        char = body[index]
        if char == '"':
            quoted = True
            index += 1
            while body[index] != '"':
                index += body[index] == "\\"
                item += body[index]
                index += 1
        elif char == ",":
            found.append(None if item == "NULL" and not quoted else item)
            item, quoted = "", False
        else:
            item += char
        index += 1
    return [*found, None if item == "NULL" and not quoted else item] if body else []


def of_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[ColumnInfo]) -> pa.RecordBatch:
    """Rows given as dictionaries (a missing column is NULL) with these columns in storage form."""
    held = list(rows)
    return pa.RecordBatch.from_arrays(
        [pa.array([row.get(info.name) for row in held], storage_type(info.type)) for info in columns],
        names=[info.name for info in columns])
