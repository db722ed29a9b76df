"""pg_stat_all_tables: tables with their estimated rows; reads and writes are not counted. PostgreSQL 15 documentation,
28.2.18."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations

COUNTED = ("seq_scan", "seq_tup_read", "n_tup_ins", "n_tup_upd", "n_tup_del", "n_tup_hot_upd", "n_dead_tup",
           "n_mod_since_analyze", "n_ins_since_vacuum", "vacuum_count", "autovacuum_count", "analyze_count",
           "autoanalyze_count", "heap_blks_read", "heap_blks_hit")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield from own_rows(snapshot)
    yield from system_rows()


def own_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Those of the sources."""
    for relation in snapshot.relations:
        if relation.kind in "rmp":
            yield {**dict.fromkeys(COUNTED, 0), "relid": relation.oid, "schemaname": relation.namespace.name,
                   "relname": relation.table.name, "n_live_tup": int(relation.statistics.rows or 0)}


def system_rows() -> Iterator[dict[str, Any]]:
    """Those every PostgreSQL has."""
    for system in system_relations().values():
        if system.kind == "r":
            yield {**dict.fromkeys(COUNTED, 0), "relid": system.oid, "schemaname": system.schema, "relname": system.name,
                   "n_live_tup": 0}
