"""information_schema.table_privileges: who may connect may read, and write where there is writing. PostgreSQL 15
documentation, 37.53."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot, system_relations

ALL = ("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind in "rvfp":
            for privilege in ALL if isinstance(relation.connector, SupportsWrite) else ("SELECT",):
                yield _row(snapshot, relation.namespace.name, relation.table.name, OWNER, privilege)
    for system in system_relations().values():
        yield _row(snapshot, system.schema, system.name, "PUBLIC", "SELECT")


def _row(snapshot: Snapshot, schema: str, table: str, grantee: str, privilege: str) -> dict[str, Any]:
    return {"grantor": OWNER, "grantee": grantee, "table_catalog": snapshot.database, "table_schema": schema,
            "table_name": table, "privilege_type": privilege, "is_grantable": "YES" if grantee == OWNER else "NO",
            "with_hierarchy": "YES" if privilege == "SELECT" else "NO"}
