"""The reg* types: object identifiers that print and read as names.

Types are known here; names of relations, schemas, roles and functions come from the catalog (`Names` of the
evaluator). Spec: PostgreSQL 15 documentation, 8.19 "Object Identifier Types".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidSchemaName, SqlError, UndefinedFunction, UndefinedObject, UndefinedTable
from shoal.catalog.types import NAMES_BY_OID, SqlType
from shoal.exec.kernels import views

if TYPE_CHECKING:
    from shoal.exec.evaluation_context import Names

_WORDS = {"regrole": "role", "regnamespace": "schema", "regproc": "function", "regprocedure": "function",
          "regoper": "operator", "regoperator": "operator", "regcollation": "collation",
          "regconfig": "text search configuration", "regdictionary": "text search dictionary"}


def register_names(array: pa.Array, kind: str, names: Names | None) -> pa.StringArray:
    """The name of every identifier; those without one print as numbers, 0 as "-"."""
    data, valid = views.values(array), views.validity(array)
    distinct, codes = np.unique(data, return_inverse=True)
    texts = [register_name(int(oid), kind, names) for oid in distinct]
    return pa.array(texts, pa.string()).take(pa.array(codes, mask=None if valid is None else ~valid))


def register_name(oid: int, kind: str, names: Names | None) -> str:
    if oid == 0:
        return "-"
    if kind == "regtype":
        known = NAMES_BY_OID.get(oid)
        if known is not None:
            return type_sql(known)
    found = names.name_of(kind, oid) if names is not None else None
    return found if found is not None else str(oid)


def type_sql(name: str) -> str:
    """format_type() of a type without modifiers."""
    if name.startswith("_"):
        return type_sql(name[1:]) + "[]"
    return "numeric" if name == "numeric" else SqlType(name).sql


def resolve_register(name: str, kind: str, names: Names | None) -> int:
    """The identifier a name means. Raises: UndefinedTable (42P01), UndefinedFunction (42883), InvalidSchemaName (3F000),
    UndefinedObject (42704)."""
    found = find_register(name, kind, names)
    if found is not None:
        return found
    if kind == "regclass":
        from shoal.catalog.pg_catalog.names import split_name
        raise UndefinedTable(f'relation "{".".join(split_name(name))}" does not exist')
    if kind in ("regproc", "regprocedure"):
        raise UndefinedFunction(f'function "{name}" does not exist')
    if kind == "regnamespace":
        raise InvalidSchemaName(f'schema "{name}" does not exist')
    raise UndefinedObject(f'{_WORDS.get(kind, "type")} "{name}" does not exist')


def find_register(name: str, kind: str, names: Names | None) -> int | None:
    """Like resolve_register, None for an unknown name (to_regclass and its like)."""
    if name == "-":
        return 0
    if kind == "regtype":
        from shoal.exec.functions.casts import parse_type
        try:
            return parse_type(name).oid
        except SqlError:
            pass
    return names.oid_of(kind, name) if names is not None else None
