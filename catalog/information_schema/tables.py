"""information_schema.tables. PostgreSQL 15 documentation, 37.54."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations

KINDS = {"r": "BASE TABLE", "p": "BASE TABLE", "v": "VIEW", "f": "FOREIGN"}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind in KINDS:
            writable = relation.kind == "r" and isinstance(relation.connector, SupportsWrite)
            yield _row(snapshot, relation.namespace.name, relation.table.name, relation.kind, writable)
    for system in system_relations().values():
        yield _row(snapshot, system.schema, system.name, system.kind, system.kind == "r")


def _row(snapshot: Snapshot, schema: str, name: str, kind: str, writable: bool) -> dict[str, Any]:
    return {"table_catalog": snapshot.database, "table_schema": schema, "table_name": name, "table_type": KINDS[kind],
            "is_insertable_into": "YES" if writable else "NO", "is_typed": "NO"}
