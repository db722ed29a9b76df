"""pg_stat_user_indexes: pg_stat_all_indexes of the sources alone. PostgreSQL 15 documentation, 28.2."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.pg_catalog.views import pg_stat_all_indexes


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    return pg_stat_all_indexes.own_rows(snapshot)
