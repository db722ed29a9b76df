"""pg_description: comments of tables and columns. PostgreSQL 15 documentation, 53.19."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

PG_CLASS_OID = 1259


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.table.comment:
            yield {"objoid": relation.oid, "classoid": PG_CLASS_OID, "objsubid": 0, "description": relation.table.comment}
        for number, column in enumerate(relation.columns, 1):
            if column.comment:
                yield {"objoid": relation.oid, "classoid": PG_CLASS_OID, "objsubid": number, "description": column.comment}
