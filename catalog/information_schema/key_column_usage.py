"""information_schema.key_column_usage. PostgreSQL 15 documentation, 37.33."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        for number, column in enumerate(key.columns, 1):
            yield {"constraint_catalog": snapshot.database, "constraint_schema": relation.namespace.name,
                   "constraint_name": key.name, "table_catalog": snapshot.database,
                   "table_schema": relation.namespace.name, "table_name": relation.table.name, "column_name": column,
                   "ordinal_position": number,
                   "position_in_unique_constraint": number if key.kind == "foreign" else None}
