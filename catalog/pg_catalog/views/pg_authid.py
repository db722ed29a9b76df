"""pg_authid: roles. PostgreSQL 15 documentation, 53.8."""

from collections.abc import Mapping
from typing import Any

from shoal.catalog.pg_catalog.roles import role_rows
from shoal.catalog.pg_catalog.snapshot import Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> list[dict[str, Any]]:
    return role_rows(snapshot, session)
