"""pg_views: views by name. PostgreSQL 15 documentation, 54.34."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot
from shoal.catalog.pg_catalog.static import system_relations, view_definitions


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    path = session.get("search_path", ("public",))
    for system in system_relations().values():
        if system.kind == "v":
            yield {"schemaname": system.schema, "viewname": system.name, "viewowner": OWNER,
                   "definition": view_definitions()[system.oid]}
    for relation in snapshot.relations:
        if relation.kind == "v":
            yield {"schemaname": relation.namespace.name, "viewname": relation.table.name, "viewowner": OWNER,
                   "definition": relation.definition(search_path=path) or None}
