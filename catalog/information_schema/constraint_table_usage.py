"""information_schema.constraint_table_usage: the tables keys are about. PostgreSQL 15 documentation, 37.19."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.constraints import declared
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for one in declared(snapshot):
        if one.kind == "CHECK":
            continue
        target = one.relation.referenced(one.key) if one.relation and one.key and one.kind == "FOREIGN KEY" else None
        place = {"table_schema": target.namespace.name, "table_name": target.table.name} if target else {}
        yield {**one.table_columns(snapshot.database), **place}
