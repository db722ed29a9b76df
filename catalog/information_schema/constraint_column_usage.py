"""information_schema.constraint_column_usage: the columns keys are about. PostgreSQL 15 documentation, 37.18."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        target = relation.referenced(key) if key.kind == "foreign" else relation
        if target is None:
            continue
        for column in key.referenced_columns if key.kind == "foreign" else key.columns:
            yield {"table_catalog": snapshot.database, "table_schema": target.namespace.name,
                   "table_name": target.table.name, "column_name": column, "constraint_catalog": snapshot.database,
                   "constraint_schema": relation.namespace.name, "constraint_name": key.name}
