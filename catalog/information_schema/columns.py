"""information_schema.columns. PostgreSQL 15 documentation, 37.17."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.connector import ColumnInfo
from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations
from shoal.catalog.types import SqlType

BINARY_DIGITS = {"int2": 16, "int4": 32, "int8": 64, "float4": 24, "float8": 53}
TIME_DIGITS = 6


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        yield from _columns(snapshot.database, relation.namespace.name, relation.table.name, relation.columns)
    for system in system_relations().values():
        yield from _columns(snapshot.database, system.schema, system.name, system.columns)


def _columns(database: str, schema: str, table: str, columns: tuple[ColumnInfo, ...]) -> Iterator[dict[str, Any]]:
    for number, column in enumerate((c for c in columns if not c.hidden), 1):
        kind = column.type
        yield {
            "table_catalog": database, "table_schema": schema, "table_name": table, "column_name": column.name,
            "ordinal_position": number, "column_default": column.default or None,
            "is_nullable": "YES" if column.nullable else "NO",
            "data_type": "ARRAY" if kind.is_array else SqlType(kind.name, trim=True).sql,
            "character_maximum_length": kind.length, "udt_catalog": database, "udt_schema": "pg_catalog",
            "udt_name": kind.name, "dtd_identifier": str(number), "is_self_referencing": "NO", "is_identity": "NO",
            "identity_cycle": "NO", "is_generated": "NEVER", "is_updatable": "NO", **_precision(kind)}


def _precision(kind: SqlType) -> dict[str, Any]:
    if kind.name in BINARY_DIGITS:
        return {"numeric_precision": BINARY_DIGITS[kind.name], "numeric_precision_radix": 2,
                "numeric_scale": 0 if kind.is_integer else None}
    if kind.name == "numeric":
        declared = not kind.trim
        return {"numeric_precision": kind.precision if declared else None, "numeric_precision_radix": 10,
                "numeric_scale": kind.scale if declared else None}
    if kind.name in ("time", "timetz", "timestamp", "timestamptz", "interval"):
        return {"datetime_precision": TIME_DIGITS}
    return {"datetime_precision": 0} if kind.name == "date" else {}
