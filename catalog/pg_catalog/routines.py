"""Functions that users made, as rows of pg_proc: for the views, and for what is asked of one function.

Spec: PostgreSQL 15 documentation, 53.39 "pg_proc".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from shoal.catalog.declarations import FunctionDefinition
from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, MadeFunction, Namespace, Snapshot
from shoal.catalog.pg_catalog.static import column
from shoal.catalog.types import OIDS, SQL_ALIASES

SQL_LANGUAGE, RECORD = 14, 2249
_COST, _ROWS = 100.0, 1000.0  # what PostgreSQL takes of a function in SQL that does not say


@cache
def _types() -> dict[str, int]:
    """PostgreSQL's own types by pg_type.typname."""
    return dict(zip(*column("pg_type", "typname", "oid"), strict=True))


def system_type(name: str, array: bool = False) -> int | None:
    """The OID of PostgreSQL's type, or of arrays of it, by SQL's name for it or pg_type's."""
    known = ("_" if array else "") + SQL_ALIASES.get(name, name)
    return OIDS.get(known) or _types().get(known)


def _type_oid(snapshot: Snapshot, namespace: Namespace, text: str) -> int:
    """Of a type as a definition names it; 0 where it is gone."""
    bare = " ".join(re.sub(r"\([^)]*\)", " ", text).split())
    array = bare.endswith("]")
    name = re.sub(r"(\s*\[\d*\])+$", "", bare)
    found = system_type(name.lower().removeprefix("pg_catalog."), array)
    if found is not None:
        return found
    *schemas, last = (part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
                      for part in re.findall(r'"(?:[^"]|"")*"|[^."]+', name))
    wanted = "_" + last if array else last
    places = [(own, oid) for oid, (own, type_name) in snapshot.own_types.items() if type_name == wanted and (
        not schemas or schemas[-1] == own.schema) and own.catalog == namespace.catalog]
    places.sort(key=lambda place: place[0].schema != namespace.schema)  # its own schema's first
    return places[0][1] if places else 0


def row(snapshot: Snapshot, made: MadeFunction) -> dict[str, Any]:
    """Its row of pg_proc."""
    info: FunctionDefinition = made.info
    arguments = info.arguments
    inputs = [a for a in arguments if a.mode in "ibv"]
    outputs = [a for a in arguments if a.mode in "obt"]
    types = {a: _type_oid(snapshot, made.namespace, a.type) for a in arguments}
    if info.returns and not (len(outputs) > 1):
        result = _type_oid(snapshot, made.namespace, info.returns)
    else:
        result = types[outputs[0]] if len(outputs) == 1 else RECORD
    defaults = [a.default for a in inputs if a.default]
    variadic = next((_element(types[a]) for a in inputs if a.mode == "v"), 0)
    plain = all(a.mode == "i" for a in arguments)
    return {
        "oid": made.oid, "proname": info.name, "pronamespace": made.namespace.oid, "proowner": SUPERUSER_OID,
        "prolang": SQL_LANGUAGE, "procost": _COST, "prorows": _ROWS if info.returns_set else 0.0, "provariadic": variadic,
        "prosupport": 0, "prokind": "f", "prosecdef": False, "proleakproof": False, "proisstrict": info.strict,
        "proretset": info.returns_set, "provolatile": info.volatility, "proparallel": "u", "pronargs": len(inputs),
        "pronargdefaults": len(defaults), "prorettype": result, "proargtypes": [types[a] for a in inputs],
        "proallargtypes": None if plain else [types[a] for a in arguments],
        "proargmodes": None if plain else [a.mode for a in arguments],
        "proargnames": [a.name for a in arguments] if any(a.name for a in arguments) else None,
        "proargdefaults": ", ".join(defaults) or None, "protrftypes": None,
        "prosrc": "" if info.standard else info.body, "probin": None,
        "prosqlbody": info.standard or None, "proconfig": None, "proacl": None}


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The rows of all of them."""
    return (row(snapshot, made) for made in snapshot.functions)


@cache
def _elements() -> dict[int, int]:
    return dict(zip(*column("pg_type", "oid", "typelem"), strict=True))


def _element(array: int) -> int:
    """The type of an array type's elements; 0 of a user's own."""
    return _elements().get(array, 0)
