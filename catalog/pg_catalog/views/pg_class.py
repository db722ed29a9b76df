"""pg_class: tables, views, indexes, composite types and sequences. PostgreSQL 15 documentation, 53.11."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Relation, Snapshot
from shoal.catalog.pg_catalog.static import column

HEAP = 2
BLOCK_BYTES = 8192


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    pointed_at = {target.oid for relation, _, key in snapshot.constraints()
                  if key.kind == "foreign" and (target := relation.referenced(key)) is not None}
    for relation in snapshot.relations:
        kinds = [key.kind for _, key in relation.constraints]
        yield {
            **_row(relation.oid, relation.table.name, relation.namespace.oid, relation.kind, len(relation.columns)),
            "relpersistence": "t" if relation.namespace.schema == snapshot.catalogs.temporary else "p",
            "reltype": relation.type_oid, "reltuples": _estimate(relation),
            "relpages": -(-relation.main_bytes // BLOCK_BYTES),
            "relhasindex": bool(relation.indexes), "relchecks": kinds.count("check"),
            "relhasrules": relation.kind in "vm", "relhastriggers": "foreign" in kinds or relation.oid in pointed_at}
    for oid, (relation, index) in snapshot.indexes.items():
        yield {**_row(oid, index.name, relation.namespace.oid, "i", len(index.columns)),
               "relam": _methods().get(index.method, _methods()["btree"])}
    for composite in snapshot.composites:
        yield {**_row(composite.oid, composite.info.name, composite.namespace.oid, "c", len(composite.info.fields)),
               "reltype": composite.type_oid}
    for sequence in snapshot.sequences:
        yield {**_row(sequence.oid, sequence.info.name, sequence.namespace.oid, "S", 3), "reltuples": 1.0, "relpages": 1}


def _estimate(relation: Relation) -> float:
    estimate = None if relation.kind == "v" else relation.statistics.rows
    return -1.0 if estimate is None else float(estimate)


@cache
def _methods() -> dict[str, int]:
    """The OID of each access method."""
    return dict(zip(*column("pg_am", "amname", "oid"), strict=True))


def _row(oid: int, name: str, namespace: int, kind: str, attributes: int) -> dict[str, Any]:
    return {
        "oid": oid, "relname": name, "relnamespace": namespace, "reltype": 0, "reloftype": 0, "relowner": SUPERUSER_OID,
        "relam": HEAP if kind in "rm" else 0, "relfilenode": 0, "reltablespace": 0, "relpages": 0,
        "reltuples": 0.0, "relallvisible": 0, "reltoastrelid": 0, "relhasindex": False, "relisshared": False,
        "relpersistence": "p", "relkind": kind, "relnatts": attributes, "relchecks": 0, "relhasrules": False,
        "relhastriggers": False, "relhassubclass": False, "relrowsecurity": False, "relforcerowsecurity": False,
        "relispopulated": True, "relreplident": "d" if kind in "rmp" else "n", "relispartition": False, "relrewrite": 0,
        "relfrozenxid": 0, "relminmxid": 0}
