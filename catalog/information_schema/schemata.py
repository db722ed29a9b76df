"""information_schema.schemata. PostgreSQL 15 documentation, 37.45."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot
from shoal.catalog.pg_catalog.static import PUBLIC_OID, column


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    system = [name for name, oid in zip(*column("pg_namespace", "nspname", "oid"), strict=True) if oid != PUBLIC_OID]
    owners = {namespace.name: "pg_database_owner" for namespace in snapshot.namespaces if namespace.oid == PUBLIC_OID}
    for name in [*system, *(namespace.name for namespace in snapshot.namespaces)]:
        yield {"catalog_name": snapshot.database, "schema_name": name, "schema_owner": owners.get(name, OWNER)}
