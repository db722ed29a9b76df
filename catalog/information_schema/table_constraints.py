"""information_schema.table_constraints. PostgreSQL 15 documentation, 37.51."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

KIND = {"primary": "PRIMARY KEY", "unique": "UNIQUE", "foreign": "FOREIGN KEY"}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        yield {"constraint_catalog": snapshot.database, "constraint_schema": relation.namespace.name,
               "constraint_name": key.name, "table_catalog": snapshot.database,
               "table_schema": relation.namespace.name, "table_name": relation.table.name,
               "constraint_type": KIND[key.kind], "is_deferrable": "NO", "initially_deferred": "NO", "enforced": "YES"}
