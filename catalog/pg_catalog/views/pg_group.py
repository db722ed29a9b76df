"""pg_group: roles that cannot log in. PostgreSQL 15 documentation, 54.9."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.roles import role_rows, shown
from shoal.catalog.pg_catalog.snapshot import Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in role_rows(snapshot, session):
        if not row["rolcanlogin"]:
            yield {**shown(row), "grolist": []}
