"""pg_constraint: keys and checks of the sources. PostgreSQL 15 documentation, 53.13."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

KINDS = {"primary": "p", "unique": "u", "foreign": "f", "check": "c", "exclusion": "x"}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, oid, key in snapshot.constraints():
        target = relation.referenced(key)
        yield {
            "oid": oid, "conname": key.name, "connamespace": relation.namespace.oid, "contype": KINDS[key.kind],
            "condeferrable": key.deferrable, "condeferred": key.deferred, "convalidated": key.validated,
            "conrelid": relation.oid, "contypid": 0, "conindid": relation.supporting_index(key), "conparentid": 0,
            "confrelid": target.oid if target else 0, "confupdtype": key.on_update if target else " ",
            "confdeltype": key.on_delete if target else " ", "confmatchtype": key.match if target else " ",
            "conislocal": True, "coninhcount": 0, "connoinherit": key.kind != "check",
            "conkey": [relation.attribute_number(c) for c in key.columns],
            "confkey": [target.attribute_number(c) for c in key.referenced_columns] if target else None,
            "conbin": key.expression or key.definition or None if key.kind == "check" else None}
