"""Set-returning functions.

Spec: PostgreSQL 15 documentation, 9.25 "Set Returning Functions".
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.types import SqlType
from shoal.exec.functions import numeric_types
from shoal.exec.functions.registry import declare


def _element(types: Sequence[SqlType]) -> SqlType:
    return types[0].element


declare("generate_series", "int4 int4 -> int4", "int4 int4 int4 -> int4", "int8 int8 -> int8", "int8 int8 int8 -> int8",
        "timestamp timestamp interval -> timestamp", kind="set", family="set", example="generate_series(1, 3)")
declare("generate_series", "timestamptz timestamptz interval -> timestamptz", kind="set", volatility="stable", family="set")
declare("generate_series", "numeric numeric", "numeric numeric numeric", returns=numeric_types.merged, kind="set", family="set")
declare("generate_subscripts", "anyarray int4 -> int4", "anyarray int4 bool -> int4", kind="set", raises=False, family="set")
declare("unnest", "anyarray", returns=_element, kind="set", raises=False, family="set", example="unnest(ARRAY[1, 2])")
declare("string_to_table", "text text -> text", "text text text -> text", kind="set", strict=False, raises=False, family="set")
declare("regexp_split_to_table", "text text -> text", "text text text -> text", kind="set", family="set")
declare("regexp_matches", "text text -> _text", "text text text -> _text", kind="set", family="set")
for _type in ("json", "jsonb"):
    declare(f"{_type}_array_elements", f"{_type} -> {_type}", kind="set", family="set", columns=(("value", _type),))
    declare(f"{_type}_array_elements_text", f"{_type} -> text", kind="set", family="set", columns=(("value", "text"),))
    declare(f"{_type}_object_keys", f"{_type} -> text", kind="set", family="set")
    declare(f"{_type}_each", f"{_type} -> record", kind="set", family="set", columns=(("key", "text"), ("value", _type)))
    declare(f"{_type}_each_text", f"{_type} -> record", kind="set", family="set", columns=(("key", "text"), ("value", "text")))
declare("pg_get_keywords", "-> record", kind="set", raises=False, volatility="stable", family="set",
        columns=(("word", "text"), ("catcode", "char"), ("barelabel", "bool"), ("catdesc", "text"), ("baredesc", "text")))
declare("_pg_expandarray", "anyarray -> record", kind="set", raises=False, family="set", columns=(("x", "oid"), ("n", "int4")))
