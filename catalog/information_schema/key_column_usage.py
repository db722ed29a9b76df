"""information_schema.key_column_usage. PostgreSQL 15 documentation, 37.33."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.constraints import declared
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for one in declared(snapshot):
        if one.kind == "CHECK":
            continue
        target = one.relation.referenced(one.key) if one.relation and one.key else None
        unique = next((k.columns for _, k in target.constraints if one.key and k.kind in ("primary", "unique")
                       and set(k.columns) == set(one.key.referenced_columns)), ()) if target else ()
        for number, column in enumerate(one.columns, 1):
            place = None
            if one.key and one.kind == "FOREIGN KEY" and number <= len(one.key.referenced_columns):
                pointed = one.key.referenced_columns[number - 1]
                place = unique.index(pointed) + 1 if pointed in unique else None
            yield {**one.table_columns(snapshot.database), "column_name": column, "ordinal_position": number,
                   "position_in_unique_constraint": place}
