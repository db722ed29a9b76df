"""information_schema.role_table_grants: table_privileges without those of PUBLIC. PostgreSQL 15 documentation, 37.40."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema import table_privileges
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    return (row for row in table_privileges.rows(snapshot) if row["grantee"] != "PUBLIC")
