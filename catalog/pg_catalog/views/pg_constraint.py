"""pg_constraint: primary, unique and foreign keys of the sources. PostgreSQL 15 documentation, 53.13."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

KIND = {"primary": "p", "unique": "u", "foreign": "f"}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, oid, key in snapshot.declared_keys():
        target = relation.referenced(key)
        yield {
            "oid": oid, "conname": key.name, "connamespace": relation.namespace.oid, "contype": KIND[key.kind],
            "condeferrable": False, "condeferred": False, "convalidated": True, "conrelid": relation.oid, "contypid": 0,
            "conindid": 0 if key.kind == "foreign" else snapshot.index_oid(relation, key), "conparentid": 0,
            "confrelid": target.oid if target else 0, "confupdtype": "a" if target else " ",
            "confdeltype": "a" if target else " ", "confmatchtype": "s" if target else " ", "conislocal": True,
            "coninhcount": 0, "connoinherit": True, "conkey": [relation.attribute_number(c) for c in key.columns],
            "confkey": [target.attribute_number(c) for c in key.referenced_columns] if target else None}
