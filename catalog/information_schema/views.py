"""information_schema.views. PostgreSQL 15 documentation, 37.66."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations
from shoal.catalog.pg_catalog.static import view_definitions


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    path = session.get("search_path", ("public",))
    for relation in snapshot.relations:
        if relation.kind == "v":
            yield _row(snapshot, relation.namespace.name, relation.table.name, relation.definition(search_path=path))
    for system in system_relations().values():
        if system.kind == "v":
            yield _row(snapshot, system.schema, system.name, view_definitions()[system.oid])


def _row(snapshot: Snapshot, schema: str, name: str, definition: str) -> dict[str, Any]:
    return {"table_catalog": snapshot.database, "table_schema": schema, "table_name": name,
            "view_definition": definition or None, "check_option": "NONE", "is_updatable": "NO", "is_insertable_into": "NO",
            "is_trigger_updatable": "NO", "is_trigger_deletable": "NO", "is_trigger_insertable_into": "NO"}
