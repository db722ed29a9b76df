"""information_schema.routines: functions, their types named. PostgreSQL 15 documentation, 37.43."""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

from shoal.catalog.information_schema.data_types import described
from shoal.catalog.pg_catalog import routines
from shoal.catalog.pg_catalog.snapshot import Snapshot
from shoal.catalog.pg_catalog.static import column

_KINDS = {"f": "FUNCTION", "p": "PROCEDURE"}
_SHOWN = ("oid", "proname", "pronamespace", "prokind", "prorettype", "prolang", "proisstrict", "provolatile", "prosrc")
_ACCESS = {"i": "YES", "s": "NO", "v": "NO"}


@cache
def _names(catalog: str, name: str) -> dict[int, str]:
    return dict(zip(*column(catalog, "oid", name), strict=True))


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    schemas = {**_names("pg_namespace", "nspname"), **{made.oid: made.name for made in snapshot.namespaces}}
    functions = chain(zip(*column("pg_proc", *_SHOWN), strict=True),
                      (tuple(row[name] for name in _SHOWN) for row in routines.rows(snapshot)))
    for oid, name, space, kind, returns, language, strict, volatility, source in functions:
        schema, spoken = schemas[space], _names("pg_language", "lanname")[language]
        result = described(snapshot, returns)
        yield {
            "specific_catalog": snapshot.database, "specific_schema": schema, "specific_name": f"{name}_{oid}",
            "routine_catalog": snapshot.database, "routine_schema": schema, "routine_name": name,
            "routine_type": _KINDS.get(kind), "data_type": result["data_type"], "type_udt_catalog": snapshot.database,
            "type_udt_schema": result["udt_schema"], "type_udt_name": result["udt_name"], "dtd_identifier": "0",
            "routine_body": "SQL" if spoken == "sql" else "EXTERNAL", "routine_definition": source,
            "external_name": source if spoken == "c" else None, "external_language": spoken.upper(),
            "parameter_style": "GENERAL", "is_deterministic": _ACCESS[volatility], "sql_data_access": "MODIFIES",
            "is_null_call": "YES" if strict else "NO", "schema_level_routine": "YES", "max_dynamic_result_sets": 0,
            "security_type": "INVOKER", "as_locator": "NO", "is_udt_dependent": "NO", "result_cast_as_locator": "NO"}
