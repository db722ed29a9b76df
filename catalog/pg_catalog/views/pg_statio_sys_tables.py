"""pg_statio_sys_tables: blocks read of system tables, which are not counted. PostgreSQL 15 documentation, 28.2."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.pg_catalog.views import pg_stat_all_tables


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    return pg_stat_all_tables.system_rows()
