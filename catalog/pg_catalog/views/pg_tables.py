"""pg_tables: tables by name. PostgreSQL 15 documentation, 54.29."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot
from shoal.catalog.pg_catalog.static import column, system_relations


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    indexed = dict(zip(*column("pg_class", "oid", "relhasindex"), strict=True))
    for system in system_relations().values():
        if system.kind == "r":
            yield _row(system.schema, system.name, indexed[system.oid], False)
    for relation in snapshot.relations:
        if relation.kind in "rp":
            foreign = any(key.kind == "foreign" for _, key in relation.constraints) or any(
                key.kind == "foreign" and owner.referenced(key) is relation for owner, _, key in snapshot.constraints())
            yield _row(relation.namespace.name, relation.table.name, bool(relation.indexes), foreign)


def _row(schema: str, name: str, indexes: bool, triggers: bool) -> dict[str, Any]:
    return {"schemaname": schema, "tablename": name, "tableowner": OWNER, "hasindexes": indexes, "hasrules": False,
            "hastriggers": triggers, "rowsecurity": False}
