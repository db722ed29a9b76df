"""pg_index: the sources' indexes, and those that declared keys imply. PostgreSQL 15 documentation, 53.26."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.declarations import Index
from shoal.catalog.pg_catalog.definitions import index_columns
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.pg_catalog.views.pg_attribute import attribute, collation_oids, index_infos
from shoal.catalog.types import NAMES_BY_OID, TEXT

ANYARRAY, _ANYENUM, VARCHAR = 2277, 3500, 1043


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
            "indclass": list(index.classes or (
                default_classes(index.method).get(_class_type(snapshot, type_oid), 0)
                for _, type_oid in index_infos(snapshot, relation, index)[:keys])),
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
    return ANYARRAY if NAMES_BY_OID.get(type_oid, "").startswith("_") else type_oid


@cache
def default_classes(method: str) -> dict[int, int]:
    """The OID of the operator class that an index of this access method has for a type, by the type's OID."""
    number = dict(zip(*column("pg_am", "amname", "oid"), strict=True)).get(method)
    found = {kind: oid for of, kind, default, oid in zip(
        *column("pg_opclass", "opcmethod", "opcintype", "opcdefault", "oid"), strict=True) if of == number and default}
    return {**found, VARCHAR: found[TEXT.oid]} if TEXT.oid in found else found  # varchar is indexed as text


@cache
def operator_classes(method: str) -> dict[str, list[tuple[int, int]]]:
    """(OID, the type it is for) of the operator classes of an access method, by name."""
    number = dict(zip(*column("pg_am", "amname", "oid"), strict=True)).get(method)
    found: dict[str, list[tuple[int, int]]] = {}
    for of, name, oid, kind in zip(*column("pg_opclass", "opcmethod", "opcname", "oid", "opcintype"), strict=True):
        if of == number:
            found.setdefault(name, []).append((oid, kind))
    return found
