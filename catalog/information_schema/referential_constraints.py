"""information_schema.referential_constraints. PostgreSQL 15 documentation, 37.36."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

RULES = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        target = relation.referenced(key)
        if key.kind != "foreign" or target is None:
            continue
        unique = next((k.name for _, k in target.constraints
                       if k.kind in ("primary", "unique") and set(k.columns) == set(key.referenced_columns)), None)
        yield {"constraint_catalog": snapshot.database, "constraint_schema": relation.namespace.name,
               "constraint_name": key.name, "unique_constraint_catalog": snapshot.database if unique else None,
               "unique_constraint_schema": target.namespace.name if unique else None, "unique_constraint_name": unique,
               "match_option": "FULL" if key.match == "f" else "NONE", "update_rule": RULES[key.on_update],
               "delete_rule": RULES[key.on_delete]}
