"""pg_attribute: columns of tables, views, indexes, composite types and sequences. PostgreSQL 15 documentation, 53.7."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.declarations import ColumnInfo, Index
from shoal.catalog.pg_catalog.snapshot import Relation, Snapshot
from shoal.catalog.pg_catalog.static import column as static_column
from shoal.catalog.types import BOOL, INT8, TEXT

_SEQUENCE = (ColumnInfo("last_value", INT8, False), ColumnInfo("log_cnt", INT8, False), ColumnInfo("is_called", BOOL, False))
_SYSTEM = (("tableoid", -6, 26), ("cmax", -5, 29), ("xmax", -4, 28), ("cmin", -3, 29), ("xmin", -2, 28), ("ctid", -1, 27))
"""The columns every table has besides its own: name, number, type."""


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind in "rmpf":
            for name, number, type_oid in _SYSTEM:
                info = ColumnInfo(name, TEXT, nullable=False)
                yield {**attribute(relation.oid, number, info, type_oid), "atttypmod": -1}
        for number, info in enumerate(relation.columns, 1):
            yield attribute(relation.oid, number, info, snapshot.type_of_column(relation, info))
    for oid, (relation, index) in snapshot.indexes.items():
        for number, (info, type_oid) in enumerate(index_infos(snapshot, relation, index), 1):
            yield attribute(oid, number, info, type_oid)
    for composite in snapshot.composites:
        fields = composite.info.fields
        made = composite.info.made or (None,) * len(fields)
        for number, ((name, sql_type), of) in enumerate(zip(fields, made, strict=True), 1):
            yield attribute(composite.oid, number, ColumnInfo(name, sql_type),
                            snapshot.made_oid(composite.namespace, sql_type, of))
    for sequence in snapshot.sequences:
        for number, info in enumerate(_SEQUENCE, 1):
            yield attribute(sequence.oid, number, info, info.type.oid)


def index_infos(snapshot: Snapshot, relation: Relation, index: Index) -> list[tuple[ColumnInfo, int]]:
    """An index's own columns, each with the OID of its type."""
    infos = {info.name: info for info in relation.columns}
    expressions = {f"({expression.text})": expression for expression in index.expressions}
    found: list[tuple[ColumnInfo, int]] = []
    collations = (*index.collations, *[""] * len(index.columns))
    for number, (name, label, collation) in enumerate(zip(index.columns, index.labels, collations, strict=False), 1):
        info = infos.get(name)
        if info is not None:
            own = ColumnInfo(info.name, info.type, collation=collation or info.collation)
            found.append((own, snapshot.type_of_column(relation, info)))
        elif name in expressions:
            sql_type = expressions[name].type
            found.append((ColumnInfo(label, sql_type, collation=collation), sql_type.oid))
        else:
            found.append((ColumnInfo(_of_expression(index.columns, number), TEXT, collation=collation), TEXT.oid))
    return found


def _of_expression(columns: tuple[str, ...], number: int) -> str:
    """How PostgreSQL names an index's column that is an expression: its function, else "expr"."""
    def plain(text: str) -> str:
        function = text.removeprefix("(").partition("(")[0]
        return function if text.startswith("(") and function.isidentifier() else "expr"
    name = plain(columns[number - 1])
    same = [plain(text) for text in columns[:number - 1] if text.startswith("(")].count(name)
    return name + (str(same) if same else "")


def attribute(relation_oid: int, number: int, info: ColumnInfo, type_oid: int) -> dict[str, Any]:
    length, by_value, align, storage, collation = _layouts().get(type_oid, (4, True, "i", "p", 0))
    return {
        "attrelid": relation_oid, "attname": info.name, "atttypid": type_oid, "attstattarget": -1 if number > 0 else 0,
        "attlen": length, "attnum": number, "attndims": int(info.type.is_array), "attcacheoff": -1,
        "atttypmod": info.type.typmod, "attbyval": by_value, "attalign": align,
        "attstorage": storage, "attcompression": "", "attnotnull": not info.nullable,
        "atthasdef": bool(info.default) and not info.identity, "atthasmissing": False, "attidentity": info.identity,
        "attgenerated": "s" if info.generated else "", "attisdropped": False, "attislocal": True, "attinhcount": 0,
        "attcollation": collation_oids().get(info.collation, collation)}


@cache
def collation_oids() -> dict[str, int]:
    return dict(zip(*static_column("pg_collation", "collname", "oid"), strict=True))


@cache
def _layouts() -> dict[int, tuple[int, bool, str, str, int]]:
    """(length, by value, alignment, storage, collation) of each of PostgreSQL's types; an enum's is like an oid's."""
    return {oid: layout for oid, *layout in zip(  # type: ignore[misc]
        *static_column("pg_type", "oid", "typlen", "typbyval", "typalign", "typstorage", "typcollation"), strict=True)}
