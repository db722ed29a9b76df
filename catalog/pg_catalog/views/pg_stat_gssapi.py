"""pg_stat_gssapi: no session has GSSAPI; the asking one is shown. PostgreSQL 15 documentation, 28.2.9."""

from collections.abc import Iterator, Mapping
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def session_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"pid": session.get("backend_pid"), "gss_authenticated": False, "encrypted": False}
