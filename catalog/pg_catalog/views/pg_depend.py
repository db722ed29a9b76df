"""pg_depend: what hangs on what: sequences, indexes and defaults on columns, views on tables. PostgreSQL 15 documentation,
53.18."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot, stable_oid

CLASS, CONSTRAINT, DEFAULT, NAMESPACE, REWRITE = 1259, 2606, 2604, 2615, 2618
"""OIDs of the catalogs of the objects on either side."""


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        yield _row((CLASS, relation.oid), (NAMESPACE, relation.namespace.oid), "n")
        yield from _of_relation(relation)
    for sequence in snapshot.sequences:
        yield _row((CLASS, sequence.oid), (NAMESPACE, sequence.namespace.oid), "n")
        if sequence.info.owner:
            table, column = sequence.info.owner
            owner = snapshot.by_name.get((sequence.namespace.catalog, sequence.namespace.schema, table))
            if owner is not None:
                yield _row((CLASS, sequence.oid), (CLASS, owner.oid), "i" if sequence.info.identity else "a",
                           owner.attribute_number(column))


def _of_relation(relation: Relation) -> Iterator[dict[str, Any]]:
    keys = {key.name: oid for oid, key in relation.constraints if key.kind in ("primary", "unique", "exclusion")}
    for number, column in enumerate(relation.columns, 1):
        if column.default:
            yield _row((DEFAULT, stable_oid("default", str(relation.oid), column.name)), (CLASS, relation.oid), "a", number)
    for oid, index in relation.indexes:
        if index.name in keys:
            yield _row((CLASS, oid), (CONSTRAINT, keys[index.name]), "i")
        else:
            for name in index.columns:
                yield _row((CLASS, oid), (CLASS, relation.oid), "a", relation.attribute_number(name))
    for oid, key in relation.constraints:
        for name in key.columns:
            yield _row((CONSTRAINT, oid), (CLASS, relation.oid), "a", relation.attribute_number(name))
        target = relation.referenced(key)
        for name in key.referenced_columns if target else ():
            assert target is not None
            yield _row((CONSTRAINT, oid), (CLASS, target.oid), "n", target.attribute_number(name))
    if relation.kind in "vm":
        rule = REWRITE, stable_oid("rule", str(relation.oid))
        yield _row(rule, (CLASS, relation.oid), "i")
        for read in relation.reads():
            yield _row(rule, (CLASS, read.oid), "n")


def _row(what: tuple[int, int], on: tuple[int, int], kind: str, column: int = 0) -> dict[str, Any]:
    return {"classid": what[0], "objid": what[1], "objsubid": 0, "refclassid": on[0], "refobjid": on[1],
            "refobjsubid": column, "deptype": kind}
