"""pg_attrdef: column defaults, their text in place of PostgreSQL's node tree. PostgreSQL 15 documentation, 53.6."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, stable_oid


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        for number, column in enumerate(relation.columns, 1):
            if column.default and not column.identity:
                yield {"oid": stable_oid("default", str(relation.oid), column.name), "adrelid": relation.oid,
                       "adnum": number, "adbin": column.default}
