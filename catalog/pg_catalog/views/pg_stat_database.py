"""pg_stat_database: databases; what happens in them is not counted. PostgreSQL 15 documentation, 28.2.16."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

COUNTED = ("numbackends", "xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_returned", "tup_fetched",
           "tup_inserted", "tup_updated", "tup_deleted", "conflicts", "temp_files", "temp_bytes", "deadlocks", "sessions",
           "sessions_abandoned", "sessions_fatal", "sessions_killed")
TIMED = ("blk_read_time", "blk_write_time", "session_time", "active_time", "idle_in_transaction_time")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name in snapshot.databases:
        yield {**dict.fromkeys(COUNTED, 0), **dict.fromkeys(TIMED, 0.0), "datid": snapshot.database_oid(name),
               "datname": name}
