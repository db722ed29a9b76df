"""What information_schema says of a type: its SQL name, lengths, precision, collation, domain. PostgreSQL 15's rules."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.pg_catalog.static import column, namespaces
from shoal.catalog.types import NAMES_BY_OID, SqlType

BINARY_DIGITS = {21: 16, 23: 32, 20: 64, 700: 24, 701: 53}
BIT, VARBIT, BPCHAR, VARCHAR, TEXT, NUMERIC, DATE, INTERVAL = 1560, 1562, 1042, 1043, 25, 1700, 1082, 1186
_CLOCKS = (1083, 1114, 1184, 1266)
_LARGEST_TEXT, _BYTES_A_CHARACTER, _MICROSECONDS = 1 << 30, 4, 6
_PG_CATALOG = 11


class _Type(NamedTuple):
    name: str
    namespace: int
    kind: str
    element: int
    length: int
    base: int
    typmod: int
    collation: int


@cache
def _types() -> dict[int, _Type]:
    rows = zip(*column("pg_type", "oid", "typname", "typnamespace", "typtype", "typelem", "typlen", "typbasetype",
                       "typtypmod", "typcollation"), strict=True)
    return {oid: _Type(*rest) for oid, *rest in rows}


@cache
def _collations() -> dict[int, str]:
    return dict(zip(*column("pg_collation", "oid", "collname"), strict=True))


def described(snapshot: Snapshot, oid: int, typmod: int = -1, collation: int | None = None) -> dict[str, Any]:
    """The columns of information_schema that follow from a type, its modifier and collation (by default the type's)."""
    database = snapshot.database
    found = _types().get(oid)
    if found is None:
        namespace, name = snapshot.own_types.get(oid, (None, ""))
        return {"data_type": "ARRAY" if name.startswith("_") else "USER-DEFINED", "udt_catalog": database,
                "udt_schema": namespace.name if namespace else None, "udt_name": name}
    row: dict[str, Any] = {}
    collation = found.collation if collation is None else collation
    if found.kind == "d":
        row = {"domain_catalog": database, "domain_schema": namespaces()[found.namespace], "domain_name": found.name}
        oid, typmod, found = found.base, found.typmod, _types()[found.base]
    if collation in _collations() and _collations()[collation] != "default":
        row |= {"collation_catalog": database, "collation_schema": "pg_catalog", "collation_name": _collations()[collation]}
    array = found.element != 0 and found.length == -1
    name = "ARRAY" if array else SqlType(NAMES_BY_OID[oid]).sql if oid in NAMES_BY_OID else found.name
    return {**row, "data_type": name if found.namespace == _PG_CATALOG else "USER-DEFINED", "udt_catalog": database,
            "udt_schema": namespaces()[found.namespace], "udt_name": found.name, **_sizes(oid, typmod)}


def _sizes(oid: int, typmod: int) -> dict[str, Any]:
    declared = typmod != -1
    if oid in BINARY_DIGITS:
        return {"numeric_precision": BINARY_DIGITS[oid], "numeric_precision_radix": 2,
                "numeric_scale": None if oid in (700, 701) else 0}
    if oid == NUMERIC:
        return {"numeric_precision": (typmod - 4) >> 16 & 0xFFFF if declared else None, "numeric_precision_radix": 10,
                "numeric_scale": (typmod - 4) & 0xFFFF if declared else None}
    if oid in (BPCHAR, VARCHAR, TEXT):
        length = typmod - 4 if declared and oid != TEXT else None
        return {"character_maximum_length": length,
                "character_octet_length": _LARGEST_TEXT if length is None else length * _BYTES_A_CHARACTER}
    if oid in (BIT, VARBIT):
        return {"character_maximum_length": typmod if declared else None}
    if oid in _CLOCKS or oid == INTERVAL:
        return {"datetime_precision": typmod if declared and oid != INTERVAL else _MICROSECONDS}
    return {"datetime_precision": 0} if oid == DATE else {}
