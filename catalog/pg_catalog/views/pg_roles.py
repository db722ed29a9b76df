"""pg_roles: roles. PostgreSQL 15 documentation, 54.20."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.roles import role_rows, shown
from shoal.catalog.pg_catalog.snapshot import Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return map(shown, role_rows(snapshot, session))
