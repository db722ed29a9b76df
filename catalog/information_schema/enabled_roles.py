"""information_schema.enabled_roles: every session may do everything. PostgreSQL 15 documentation, 37.25."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.roles import role_oids
from shoal.catalog.pg_catalog.snapshot import Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in role_oids(snapshot, str(session.get("user", ""))):
        yield {"role_name": name}
