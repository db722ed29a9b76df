"""information_schema.views. PostgreSQL 15 documentation, 37.66."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind == "v":
            yield {"table_catalog": snapshot.database, "table_schema": relation.namespace.name,
                   "table_name": relation.table.name, "check_option": "NONE", "is_updatable": "NO",
                   "is_insertable_into": "NO"}
