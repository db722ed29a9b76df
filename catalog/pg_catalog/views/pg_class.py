"""pg_class: tables, views, and the indexes that declared keys imply. PostgreSQL 15 documentation, 53.11."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot, system_relations

HEAP, BTREE = 2, 403


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for system in system_relations().values():
        yield _row(system.oid, system.name, snapshot.namespace_oid(system), system.kind,
                   sum(not c.hidden for c in system.columns), 0.0)
    for relation in snapshot.relations:
        row = _row(relation.oid, relation.table.name, relation.namespace.oid, relation.kind, len(relation.columns),
                   relation.statistics.rows)
        row["relhasindex"] = any(key.kind != "foreign" for _, key in relation.constraints)
        yield row
    for relation, _, key in snapshot.declared_keys():
        if key.kind != "foreign":
            yield _row(snapshot.index_oid(relation, key), key.name, relation.namespace.oid, "i", len(key.columns), 0.0)


def _row(oid: int, name: str, namespace: int, kind: str, attributes: int, estimate: float | None) -> dict[str, Any]:
    return {
        "oid": oid, "relname": name, "relnamespace": namespace, "reltype": 0, "reloftype": 0, "relowner": SUPERUSER_OID,
        "relam": {"r": HEAP, "i": BTREE}.get(kind, 0), "relfilenode": 0, "reltablespace": 0, "relpages": 0,
        "reltuples": -1.0 if estimate is None else float(estimate), "relallvisible": 0, "reltoastrelid": 0,
        "relhasindex": False, "relisshared": False, "relpersistence": "p", "relkind": kind, "relnatts": attributes,
        "relchecks": 0, "relhasrules": False, "relhastriggers": False, "relhassubclass": False,
        "relrowsecurity": False, "relforcerowsecurity": False, "relispopulated": True, "relreplident": "d",
        "relispartition": False, "relrewrite": 0, "relfrozenxid": 0, "relminmxid": 0}
