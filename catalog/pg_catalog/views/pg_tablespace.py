"""pg_tablespace: the two every PostgreSQL has. PostgreSQL 15 documentation, 53.56."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for oid, name in ((1663, "pg_default"), (1664, "pg_global")):
        yield {"oid": oid, "spcname": name, "spcowner": SUPERUSER_OID}
