"""information_schema.referential_constraints. PostgreSQL 15 documentation, 37.36."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        target = relation.referenced(key)
        if key.kind != "foreign" or target is None:
            continue
        unique = next((k.name for _, k in target.constraints
                       if k.kind != "foreign" and k.columns == key.referenced_columns), None)
        yield {"constraint_catalog": snapshot.database, "constraint_schema": relation.namespace.name,
               "constraint_name": key.name, "unique_constraint_catalog": snapshot.database,
               "unique_constraint_schema": target.namespace.name, "unique_constraint_name": unique,
               "match_option": "NONE", "update_rule": "NO ACTION", "delete_rule": "NO ACTION"}
