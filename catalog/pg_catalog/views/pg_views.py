"""pg_views: views by name; their text stays in the source. PostgreSQL 15 documentation, 54.34."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind == "v":
            yield {"schemaname": relation.namespace.name, "viewname": relation.table.name, "viewowner": "shoal",
                   "definition": None}
