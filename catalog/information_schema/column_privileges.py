"""information_schema.column_privileges: those of tables, for each column. PostgreSQL 15 documentation, 37.15."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot

ALL = ("INSERT", "SELECT", "UPDATE", "REFERENCES")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        for column in relation.columns if relation.kind in "rvfp" else ():
            for privilege in ALL if isinstance(relation.connector, SupportsWrite) else ("SELECT",):
                yield {"grantor": OWNER, "grantee": OWNER, "table_catalog": snapshot.database,
                       "table_schema": relation.namespace.name, "table_name": relation.table.name,
                       "column_name": column.name, "privilege_type": privilege, "is_grantable": "YES"}
