"""pg_indexes: indexes of tables by name. PostgreSQL 15 documentation, 54.10."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.definitions import index_definition, system_indexes
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for system in system_indexes().values():
        if system.schema != "pg_toast":
            yield {"schemaname": system.schema, "tablename": system.table, "indexname": system.name,
                   "tablespace": "pg_global" if system.shared else None, "indexdef": system.definition}
    for relation, index in snapshot.indexes.values():
        yield {"schemaname": relation.namespace.name, "tablename": relation.table.name, "indexname": index.name,
               "indexdef": index_definition(relation, index)}
