"""pg_stat_all_indexes: indexes; their use is not counted. PostgreSQL 15 documentation, 28.2.19."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.definitions import system_indexes
from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.pg_catalog.static import column

COUNTED = ("idx_scan", "idx_tup_read", "idx_tup_fetch", "idx_blks_read", "idx_blks_hit")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield from own_rows(snapshot)
    yield from system_rows()


def own_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Those of the sources."""
    for oid, (relation, index) in snapshot.indexes.items():
        yield {**dict.fromkeys(COUNTED, 0), "relid": relation.oid, "indexrelid": oid, "schemaname": relation.namespace.name,
               "relname": relation.table.name, "indexrelname": index.name}


def system_rows() -> Iterator[dict[str, Any]]:
    """Those every PostgreSQL has."""
    owners = dict(zip(*column("pg_index", "indexrelid", "indrelid"), strict=True))
    for oid, index in system_indexes().items():
        yield {**dict.fromkeys(COUNTED, 0), "relid": owners[oid], "indexrelid": oid, "schemaname": index.schema,
               "relname": index.table, "indexrelname": index.name}
