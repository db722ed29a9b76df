"""pg_type: the sources' enum types and the row types of their tables. PostgreSQL 15 documentation, 53.64."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.declarations import TypeDefinition
from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Namespace, Snapshot
from shoal.catalog.pg_catalog.static import column

_OF_ENUM = {"typlen": 4, "typbyval": True, "typtype": "e", "typcategory": "E", "typalign": "i", "typstorage": "p"}
_OF_ROW = {"typlen": -1, "typbyval": False, "typtype": "c", "typcategory": "C", "typalign": "d", "typstorage": "x"}
_OF_ARRAY = {"typlen": -1, "typbyval": False, "typtype": "b", "typcategory": "A", "typstorage": "x"}
_FUNCTIONS = ("in", "out", "recv", "send")


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for enum in snapshot.enums:
        yield _row(enum.oid, enum.info.name, enum.namespace, "enum", typarray=enum.array_oid, **_OF_ENUM)
        yield _array(enum.array_oid, enum.info.name, enum.namespace, enum.oid, "i")
    relations = {composite.type_oid: composite.oid for composite in snapshot.composites}
    for namespace, made in snapshot.made_types:
        oid, array = snapshot.type_oid(namespace, made.name), snapshot.type_oid(namespace, "_" + made.name)
        if made.base is None:
            yield _row(oid, made.name, namespace, "record", typarray=array, **_OF_ROW, typrelid=relations[oid])
        else:
            yield _domain(oid, made, namespace, array)
        yield _array(array, made.name, namespace, oid, "d")
    for relation in snapshot.relations:
        namespace, name = relation.namespace, relation.table.name
        array = snapshot.type_oid(namespace, "_" + name)
        yield _row(relation.type_oid, name, namespace, "record", typrelid=relation.oid, typarray=array, **_OF_ROW)
        yield _array(array, name, namespace, relation.type_oid, "d")


def _domain(oid: int, made: TypeDefinition, namespace: Namespace, array: int) -> dict[str, Any]:
    base = made.base
    assert base is not None
    fixed = base.size > 0
    found = _row(oid, made.name, namespace, "domain", typarray=array, typlen=base.size, typbyval=fixed and base.size <= 8,
                 typtype="d", typcategory=base.category, typalign="i", typstorage="p" if fixed else "x",
                 typbasetype=base.oid, typtypmod=base.typmod, typnotnull=not made.nullable)
    return {**found, "typdefault": made.default or None}


def _array(oid: int, name: str, namespace: Namespace, element: int, align: str) -> dict[str, Any]:
    known = _functions()
    return _row(oid, "_" + name, namespace, "array", typelem=element, typalign=align,
                typsubscript=known["array_subscript_handler"], typanalyze=known["array_typanalyze"], **_OF_ARRAY)


def _row(oid: int, name: str, namespace: Namespace, family: str, **more: Any) -> dict[str, Any]:
    put, out, receive, send = (_functions().get(f"{family}_{what}", 0) for what in _FUNCTIONS)
    return {"oid": oid, "typname": name, "typnamespace": namespace.oid, "typowner": SUPERUSER_OID, "typispreferred": False,
            "typisdefined": True, "typdelim": ",", "typrelid": 0, "typsubscript": 0, "typelem": 0, "typarray": 0,
            "typinput": put, "typoutput": out, "typreceive": receive, "typsend": send, "typmodin": 0, "typmodout": 0,
            "typanalyze": 0, "typnotnull": False, "typbasetype": 0, "typtypmod": -1, "typndims": 0,
            "typcollation": 0, **more}


@cache
def _functions() -> dict[str, int]:
    """The OIDs of the functions that types name."""
    return dict(zip(*column("pg_proc", "proname", "oid"), strict=True))
