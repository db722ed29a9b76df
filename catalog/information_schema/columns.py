"""information_schema.columns. PostgreSQL 15 documentation, 37.17."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.connector import SupportsWrite
from shoal.catalog.declarations import ColumnInfo, NumberSequence
from shoal.catalog.information_schema.data_types import described
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column, system_relations
from shoal.catalog.pg_catalog.views.pg_attribute import collation_oids


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    sequences = {(sequence.namespace, *sequence.info.owner): sequence.info for sequence in snapshot.sequences
                 if sequence.info.identity and sequence.info.owner}
    for relation in snapshot.relations:
        if relation.kind == "m":  # the standard knows no such thing
            continue
        for number, info in enumerate(relation.columns, 1):
            yield {**_row(snapshot, relation.namespace.name, relation.table.name, info.name, number, not info.nullable,
                          snapshot.type_of_column(relation, info), info.type.typmod,
                          collation_oids()[info.collation] if info.collation else None),
                   **_own(relation, info, sequences.get((relation.namespace, relation.table.name, info.name)))}


def fixed_rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for schema, table, kind, name, number, not_null, type_oid, typmod, collation in _system():
        yield {**_row(snapshot, schema, table, name, number, not_null, type_oid, typmod, collation),
               "is_updatable": "YES" if kind == "r" else "NO"}


@cache
def _system() -> tuple[tuple[str, str, str, str, int, bool, int, int, int], ...]:
    relations = {relation.oid: relation for relation in system_relations().values()}
    attributes = zip(*column("pg_attribute", "attrelid", "attname", "attnum", "attnotnull", "atttypid", "atttypmod",
                            "attcollation"), strict=True)
    return tuple((relations[oid].schema, relations[oid].name, relations[oid].kind, *rest)
                 for oid, *rest in attributes if oid in relations and rest[1] > 0)


def _row(snapshot: Snapshot, schema: str, table: str, name: str, number: int, not_null: bool, type_oid: int,
         typmod: int, collation: int | None = None) -> dict[str, Any]:
    return {
        "table_catalog": snapshot.database, "table_schema": schema, "table_name": table, "column_name": name,
        "ordinal_position": number, "is_nullable": "NO" if not_null else "YES", "dtd_identifier": str(number),
        "is_self_referencing": "NO", "is_identity": "NO", "identity_cycle": "NO", "is_generated": "NEVER",
        "is_updatable": "NO", **described(snapshot, type_oid, typmod, collation)}


def _own(relation: Relation, info: ColumnInfo, sequence: NumberSequence | None) -> dict[str, Any]:
    """What only columns of sources have."""
    row: dict[str, Any] = {"is_updatable": "YES" if relation.kind == "r" and isinstance(relation.connector, SupportsWrite)
                           else "NO"}
    if info.generated:
        return {**row, "is_generated": "ALWAYS", "generation_expression": info.default}
    row["column_default"] = info.default or None
    if info.identity:
        row |= {"is_identity": "YES", "identity_generation": "ALWAYS" if info.identity == "a" else "BY DEFAULT"}
    if sequence is not None:
        row |= {"identity_start": str(sequence.start), "identity_increment": str(sequence.increment),
                "identity_maximum": str(sequence.maximum), "identity_minimum": str(sequence.minimum),
                "identity_cycle": "YES" if sequence.cycle else "NO"}
    return row
