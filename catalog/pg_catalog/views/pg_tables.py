"""pg_tables: tables by name. PostgreSQL 15 documentation, 54.29."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind == "r":
            yield {"schemaname": relation.namespace.name, "tablename": relation.table.name, "tableowner": "shoal",
                   "hasindexes": bool(relation.constraints), "hasrules": False, "hastriggers": False,
                   "rowsecurity": False}
