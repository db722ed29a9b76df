"""pg_matviews: materialized views of the sources. PostgreSQL 15 documentation, 54.12."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    path = session.get("search_path", ("public",))
    for relation in snapshot.relations:
        if relation.kind == "m":
            yield {"schemaname": relation.namespace.name, "matviewname": relation.table.name, "matviewowner": OWNER,
                   "hasindexes": bool(relation.indexes), "ispopulated": True,
                   "definition": relation.definition(search_path=path) or None}
