"""information_schema.table_constraints. PostgreSQL 15 documentation, 37.51."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.constraints import declared
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for one in declared(snapshot):
        yield {**one.table_columns(snapshot.database), "constraint_type": one.kind,
               "is_deferrable": "YES" if one.key and one.key.deferrable else "NO",
               "initially_deferred": "YES" if one.key and one.key.deferred else "NO", "enforced": "YES",
               "nulls_distinct": "YES" if one.kind == "UNIQUE" else None}
