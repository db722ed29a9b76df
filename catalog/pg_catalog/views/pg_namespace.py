"""pg_namespace: schemas. PostgreSQL 15 documentation, 53.32."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import INFORMATION_SCHEMA_OID, PG_CATALOG_OID, SUPERUSER_OID, Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    system = [(PG_CATALOG_OID, "pg_catalog"), (INFORMATION_SCHEMA_OID, "information_schema")]
    for oid, name in system + [(n.oid, n.name) for n in snapshot.namespaces]:
        yield {"oid": oid, "nspname": name, "nspowner": SUPERUSER_OID}
