"""information_schema.check_constraints, NOT NULL among them. PostgreSQL 15 documentation, 37.9."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.constraints import declared
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for one in declared(snapshot):
        if one.kind == "CHECK":
            yield {"constraint_catalog": snapshot.database, "constraint_schema": one.schema, "constraint_name": one.name,
                   "check_clause": one.check}
