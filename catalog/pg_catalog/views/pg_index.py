"""pg_index: the sources' indexes, and those that declared keys imply. PostgreSQL 15 documentation, 53.26."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.connector import Index
from shoal.catalog.pg_catalog.definitions import index_columns
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.pg_catalog.views.pg_attribute import attribute
from shoal.catalog.types import TEXT


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for oid, (relation, index) in snapshot.indexes.items():
        keys = len(index.columns) if index.keys is None else index.keys
        key = next((c for _, c in relation.constraints if c.name == index.name), None)
        yield {
            "indexrelid": oid, "indrelid": relation.oid, "indnatts": len(index.columns), "indnkeyatts": keys,
            "indisunique": index.unique, "indnullsnotdistinct": False, "indisprimary": index.primary,
            "indisexclusion": key is not None and key.kind == "exclusion",
            "indimmediate": key is None or not key.deferrable, "indisclustered": False, "indisvalid": True,
            "indcheckxmin": False, "indisready": True, "indislive": True, "indisreplident": False,
            "indkey": [relation.attribute_number(name) for name in index.columns],
            "indcollation": [_collation(snapshot, relation, name) for name in index.columns[:keys]],
            "indclass": list(index.classes or (_operator_class(relation, name) for name in index.columns[:keys])),
            "indoption": list(index.options or [0] * keys), "indexprs": _expressions(relation, index),
            "indpred": index.predicate or None}


def _expressions(relation: Relation, index: Index) -> str | None:
    return ", ".join(text for text in index_columns(relation, index) if text not in relation.numbers) or None


def _collation(snapshot: Snapshot, relation: Relation, name: str) -> int:
    info = next((info for info in relation.columns if info.name == name), None)
    type_oid = TEXT.oid if info is None else snapshot.type_of_column(relation, info)
    return attribute(0, 1, info, type_oid)["attcollation"] if info is not None else 0


def _operator_class(relation: Relation, name: str) -> int:
    """The OID of the B-tree class that a column of this type has by default."""
    info = next((info for info in relation.columns if info.name == name), None)
    return _default_classes().get(info.type.oid if info else TEXT.oid, 0)


@cache
def _default_classes() -> dict[int, int]:
    methods, types, defaults, oids = column("pg_opclass", "opcmethod", "opcintype", "opcdefault", "oid")
    found = {kind: oid for method, kind, default, oid in zip(methods, types, defaults, oids, strict=True)
             if method == 403 and default}
    return {**found, 1043: found[25]}  # varchar is indexed as text
