"""pg_namespace: schemas. PostgreSQL 15 documentation, 53.32."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot
from shoal.catalog.pg_catalog.static import PUBLIC_OID


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for namespace in snapshot.namespaces:
        if namespace.oid != PUBLIC_OID:  # every PostgreSQL has it
            yield {"oid": namespace.oid, "nspname": namespace.name, "nspowner": SUPERUSER_OID}
