"""pg_description: comments. PostgreSQL 15 documentation, 53.19."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot

CLASS, CONSTRAINT, TYPE, NAMESPACE, FUNCTION = 1259, 2606, 1247, 2615, 1255
"""OIDs of the catalogs that hold what a comment is about."""


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        yield from _comment(relation.oid, CLASS, relation.table.comment)
        for number, column in enumerate(relation.columns, 1):
            yield from _comment(relation.oid, CLASS, column.comment, number)
        for oid, constraint in relation.constraints:
            yield from _comment(oid, CONSTRAINT, constraint.comment)
        for oid, index in relation.indexes:
            yield from _comment(oid, CLASS, index.comment)
    for sequence in snapshot.sequences:
        yield from _comment(sequence.oid, CLASS, sequence.info.comment)
    for enum in snapshot.enums:
        yield from _comment(enum.oid, TYPE, enum.info.comment)
    for made in snapshot.functions:
        yield from _comment(made.oid, FUNCTION, made.info.comment)
    for namespace in snapshot.namespaces:
        yield from _comment(namespace.oid, NAMESPACE, snapshot.schema_comment(namespace))


def _comment(object_oid: int, catalog: int, text: str, column: int = 0) -> Iterator[dict[str, Any]]:
    if text:
        yield {"objoid": object_oid, "classoid": catalog, "objsubid": column, "description": text}
