"""pg_attribute: columns. PostgreSQL 15 documentation, 53.7."""

from collections.abc import Iterator, Sequence
from typing import Any

from shoal.catalog.connector import ColumnInfo
from shoal.catalog.pg_catalog.snapshot import Snapshot, system_relations

DEFAULT_COLLATION = 100


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for system in system_relations().values():
        yield from _columns(system.oid, [c for c in system.columns if not c.hidden])
    for relation in snapshot.relations:
        yield from _columns(relation.oid, relation.columns)
    for relation, _, key in snapshot.declared_keys():
        if key.kind != "foreign":
            by_name = {c.name: c for c in relation.columns}
            yield from _columns(snapshot.index_oid(relation, key), [by_name[n] for n in key.columns if n in by_name])


def _columns(relation_oid: int, columns: Sequence[ColumnInfo]) -> Iterator[dict[str, Any]]:
    for number, column in enumerate(columns, 1):
        yield {
            "attrelid": relation_oid, "attname": column.name, "atttypid": column.type.oid, "attstattarget": -1,
            "attlen": column.type.size, "attnum": number, "attndims": int(column.type.is_array), "attcacheoff": -1,
            "atttypmod": column.type.typmod, "attbyval": 0 < column.type.size <= 8, "attalign": "i",
            "attstorage": "p" if column.type.size > 0 else "x", "attcompression": "", "attnotnull": not column.nullable,
            "atthasdef": bool(column.default), "atthasmissing": False, "attidentity": "", "attgenerated": "",
            "attisdropped": False, "attislocal": True, "attinhcount": 0,
            "attcollation": DEFAULT_COLLATION if column.type.category == "S" else 0}
