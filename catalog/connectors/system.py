"""`system`: what this cluster is doing, as tables: system.runtime.nodes, queries and tasks.

The engine gives the rows through a `RuntimeSource` and adds the connector to the coordinator's catalogs; it exists
nowhere else. Hop 6, inside the coordinator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    Split,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors.batches import from_rows, in_pieces, require_columns
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.types import FLOAT8, INT4, INT8, TEXT, TIMESTAMPTZ, SqlType

Row = Mapping[str, Any]


class RuntimeSource(Protocol):
    """Rows by column name, see `TABLES`; a missing column is NULL. Timestamps are aware datetimes or int microseconds."""

    def nodes(self) -> list[dict[str, Any]]: ...
    def queries(self) -> list[dict[str, Any]]: ...
    def tasks(self) -> list[dict[str, Any]]: ...


TABLES: dict[str, tuple[tuple[str, SqlType], ...]] = {
    "nodes": (("node_id", TEXT), ("kind", TEXT), ("address", TEXT), ("state", TEXT), ("version", TEXT), ("pid", INT8),
              ("cores", INT4), ("tasks", INT4), ("memory_bytes", INT8), ("memory_limit_bytes", INT8),
              ("started", TIMESTAMPTZ), ("last_seen", TIMESTAMPTZ)),
    "queries": (("query_id", TEXT), ("state", TEXT), ("user", TEXT), ("database", TEXT), ("query", TEXT),
                ("started", TIMESTAMPTZ), ("ended", TIMESTAMPTZ), ("planning_ms", FLOAT8), ("elapsed_ms", FLOAT8),
                ("rows", INT8), ("tasks", INT4), ("memory_bytes", INT8), ("error_code", TEXT), ("error", TEXT)),
    "tasks": (("query_id", TEXT), ("fragment", INT4), ("partition", INT4), ("attempt", INT4), ("node_id", TEXT),
              ("state", TEXT), ("splits", INT4), ("rows", INT8), ("bytes", INT8), ("memory_bytes", INT8),
              ("started", TIMESTAMPTZ), ("ended", TIMESTAMPTZ), ("elapsed_ms", FLOAT8), ("error_code", TEXT),
              ("error", TEXT)),
}


class SystemConnector(Connector):
    kind: ClassVar[str] = "system"
    placement = "coordinator"
    default_schema: ClassVar[str] = "runtime"

    def __init__(self, definition: CatalogDefinition = CatalogDefinition("system", "system:"),  # noqa: B008 (frozen)
                 source: RuntimeSource | None = None) -> None:
        super().__init__(definition)
        self._rows: dict[str, Callable[[], list[dict[str, Any]]]] = {}
        if source is not None:
            self._rows = {"nodes": source.nodes, "queries": source.queries, "tasks": source.tasks}

    def schemas(self) -> list[str]:
        return ["runtime"]

    def tables(self, schema: str) -> list[TableName]:
        return [TableName("runtime", name, "system") for name in sorted(TABLES)] if schema == "runtime" else []

    def table(self, schema: str, name: str) -> TableHandle | None:
        return TableHandle(self.name, schema, name, "system") if schema == "runtime" and name in TABLES else None

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return tuple(ColumnInfo(name, sql_type) for name, sql_type in TABLES[handle.name])

    def statistics(self, handle: TableHandle) -> TableStatistics:
        return TableStatistics(rows=100)

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        return [Split({})]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        types = dict(TABLES[handle.name])
        require_columns(handle, columns, types)
        rows = self._rows[handle.name]() if self._rows else []
        batch = from_rows([(name, types[name]) for name in columns], [[row.get(name) for name in columns] for row in rows])
        yield from in_pieces(batch, batch_rows)
