"""pg_catalog and information_schema as ordinary tables: one connector, read inside the coordinator.

Every system relation of PostgreSQL 15 exists with its columns (data/relations.csv). Its rows come from, in this
order: a module of `views/` or `information_schema/` that is named like it and has `rows(snapshot)`, giving a
dictionary of the columns it fills for each row; a static file data/<name>.csv; nothing. So a new view is one new
file. Columns a module leaves out are NULL.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    ColumnInfo,
    Connector,
    DynamicFilter,
    Split,
    SupportsDatabases,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.pg_catalog.names import SessionNames
from shoal.catalog.pg_catalog.snapshot import DATA, Snapshot, SystemRelation, system_relations
from shoal.catalog.registry import FEDERATED, SYSTEM, Catalogs
from shoal.catalog.types import SqlType, storage_type

SYSTEM_SCHEMAS = ("information_schema", "pg_catalog")
PACKAGES = {"pg_catalog": "shoal.catalog.pg_catalog.views", "information_schema": "shoal.catalog.information_schema"}
Rows = Iterable[Mapping[str, Any]]


class PgCatalog(Connector, SupportsDatabases):
    """The reserved catalog of system schemas; `table_in` handles carry the database they show."""

    kind = "pg_catalog"
    placement = "coordinator"
    default_schema = "pg_catalog"

    def __init__(self, catalogs: Catalogs, feeds: Mapping[str, Callable[[], Rows]] | None = None) -> None:
        """`feeds`: rows of relations that only the server knows, such as pg_settings, by relation name."""
        super().__init__(CatalogDefinition(SYSTEM, "pg_catalog:"))
        self.catalogs = catalogs
        self.feeds: dict[str, Callable[[], Rows]] = dict(feeds or {})
        self._snapshots: dict[str, tuple[object, Snapshot]] = {}

    def snapshot(self, database: str) -> Snapshot:
        """What `database` shows now; reused until some catalog changes."""
        version = self.version()
        cached = self._snapshots.get(database)
        if cached is None or cached[0] != version:
            cached = self._snapshots[database] = (version, Snapshot(database, self.catalogs))
        return cached[1]

    def names(self, database: str, search_path: Sequence[str]) -> SessionNames:
        """What functions such as pg_get_constraintdef and casts to regclass ask, for one session."""
        return SessionNames(lambda: self.snapshot(database), tuple(search_path))

    def version(self) -> object:
        """That of all the other catalogs."""
        return tuple((name, self.catalogs.connector(name).version()) for name in self.catalogs.names())

    def schemas(self) -> list[str]:
        return list(SYSTEM_SCHEMAS)

    def tables(self, schema: str) -> list[TableName]:
        return [TableName(schema, r.name, "system" if r.kind == "r" else "view") for r in system_relations().values()
                if r.schema == schema]

    def table(self, schema: str, name: str) -> TableHandle | None:
        return self.table_in(FEDERATED, schema, name)

    def table_in(self, database: str, schema: str, name: str) -> TableHandle | None:
        """The handle of a system relation as seen in `database`."""
        if (schema, name) not in system_relations():
            return None
        return TableHandle(self.name, schema, name, "system", {"database": database})

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return system_relations()[handle.schema, handle.name].columns

    def statistics(self, handle: TableHandle) -> TableStatistics:
        return TableStatistics(rows=1000.0 if handle.name in ("pg_attribute", "pg_type", "columns") else 100.0)

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        return [Split({})]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        relation = system_relations()[handle.schema, handle.name]
        types = {info.name: info.type for info in relation.columns}
        rows = list(self._rows(relation, str(handle.state.get("database", FEDERATED))))
        if not columns:
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
            return
        arrays = []
        for column in columns:
            if column == "tableoid":
                values: list[Any] = [relation.oid] * len(rows)
            else:
                values = [row.get(column) for row in rows]
            arrays.append(pa.array(values, storage_type(types[column])))
        batch = pa.RecordBatch.from_arrays(arrays, names=list(columns))
        for start in range(0, max(batch.num_rows, 1), batch_rows):
            yield batch.slice(start, batch_rows)

    def _rows(self, relation: SystemRelation, database: str) -> Rows:
        if relation.name in self.feeds and relation.schema == "pg_catalog":
            return self.feeds[relation.name]()
        builder = _builder(relation.schema, relation.name)
        return builder(self.snapshot(database)) if builder else _static(relation.name)


@cache
def _builder(schema: str, name: str) -> Callable[[Snapshot], Rows] | None:
    module = f"{PACKAGES[schema]}.{name}"
    if importlib.util.find_spec(module) is None:
        return None
    rows: Callable[[Snapshot], Rows] = importlib.import_module(module).rows
    return rows


@cache
def _static(name: str) -> tuple[dict[str, Any], ...]:
    """The rows of data/<name>.csv with each field in its column's storage form."""
    path = DATA / f"{name}.csv"
    relation = system_relations().get(("pg_catalog", name))
    if relation is None or not path.exists():
        return ()
    types = {info.name: info.type for info in relation.columns}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        return tuple({key: _parse(text, types[key]) for key, text in row.items()} for row in reader)


def _parse(text: str, sql_type: SqlType) -> Any:
    if sql_type.name == "bool":
        return None if text == "" else text == "t"
    arrow = storage_type(sql_type)
    if pa.types.is_integer(arrow):
        return None if text == "" else int(text)
    if pa.types.is_floating(arrow):
        return None if text == "" else float(text)
    if pa.types.is_list(arrow):
        return [int(item) for item in text.split()] if sql_type.name in ("int2vector", "oidvector") else None
    return None if text == "" and sql_type.name not in ("name", "char") else text
