"""information_schema.tables. PostgreSQL 15 documentation, 37.54."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    system = [(r.schema, r.name, r.kind) for r in system_relations().values()]
    for schema, name, kind in [*((r.namespace.name, r.table.name, r.kind) for r in snapshot.relations), *system]:
        yield {"table_catalog": snapshot.database, "table_schema": schema, "table_name": name,
               "table_type": "VIEW" if kind == "v" else "BASE TABLE", "is_insertable_into": "NO", "is_typed": "NO"}
