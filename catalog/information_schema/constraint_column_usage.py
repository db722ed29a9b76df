"""information_schema.constraint_column_usage: the columns constraints are about. PostgreSQL 15 documentation, 37.18."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.constraints import declared
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for one in declared(snapshot):
        if one.not_null:
            continue
        place, columns = {}, one.columns
        if one.kind == "FOREIGN KEY":
            target = one.relation.referenced(one.key) if one.relation and one.key else None
            if target is None or one.key is None:
                continue
            place = {"table_schema": target.namespace.name, "table_name": target.table.name}
            columns = one.key.referenced_columns
        for column in columns:
            yield {**one.table_columns(snapshot.database), **place, "column_name": column}
