"""information_schema.schemata. PostgreSQL 15 documentation, 37.45."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name in ["information_schema", "pg_catalog", *(n.name for n in snapshot.namespaces)]:
        yield {"catalog_name": snapshot.database, "schema_name": name, "schema_owner": "shoal"}
