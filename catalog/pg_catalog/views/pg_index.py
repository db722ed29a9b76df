"""pg_index: the sources' indexes, and those that declared keys imply. PostgreSQL 15 documentation, 53.26."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.declarations import Index
from shoal.catalog.pg_catalog.definitions import index_columns
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.pg_catalog.views.pg_attribute import attribute, collation_oids, index_infos
from shoal.catalog.types import NAMES_BY_OID

_ANYARRAY, _ANYENUM = 2277, 3500


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
            "indcollation": [collation_oids().get(collation) or attribute(0, 1, info, type_oid)["attcollation"]
                             for (info, type_oid), collation in zip(index_infos(snapshot, relation, index)[:keys],
                                                                    (*index.collations, *[""] * keys), strict=False)],
            "indclass": list(index.classes or (_default_classes().get(_class_type(snapshot, type_oid), 0) for _, type_oid
                                               in index_infos(snapshot, relation, index)[:keys])),
            "indoption": list(index.options or [0] * keys), "indexprs": _expressions(relation, index),
            "indpred": index.predicate or None}


def _expressions(relation: Relation, index: Index) -> str | None:
    if index.expressions:
        return ", ".join(expression.text for expression in index.expressions)
    return ", ".join(text for text in index_columns(relation, index) if text not in relation.numbers) or None


def _class_type(snapshot: Snapshot, type_oid: int) -> int:
    """The type whose operator classes serve a column: anyenum's for enums, anyarray's for arrays."""
    if type_oid in snapshot.enum_by_oid:
        return _ANYENUM
    return _ANYARRAY if NAMES_BY_OID.get(type_oid, "").startswith("_") else type_oid


@cache
def _default_classes() -> dict[int, int]:
    methods, types, defaults, oids = column("pg_opclass", "opcmethod", "opcintype", "opcdefault", "oid")
    found = {kind: oid for method, kind, default, oid in zip(methods, types, defaults, oids, strict=True)
             if method == 403 and default}
    return {**found, 1043: found[25]}  # varchar is indexed as text
