"""JSON functions and operators.

Spec: PostgreSQL 15 documentation, 9.16 "JSON Functions and Operators".
"""

from __future__ import annotations

from shoal.exec.functions.registry import declare

for _type in ("json", "jsonb"):
    declare("json_get", f"{_type} int4 -> {_type}", f"{_type} text -> {_type}", symbol="->", hidden=True, raises=False, family="json")
    declare("json_get_text", f"{_type} int4 -> text", f"{_type} text -> text", symbol="->>", hidden=True, raises=False, family="json")
    declare("json_path", f"{_type} _text -> {_type}", symbol="#>", hidden=True, raises=False, family="json")
    declare("json_path_text", f"{_type} _text -> text", symbol="#>>", hidden=True, raises=False, family="json")
    declare(f"{_type}_extract_path", f"{_type} text -> {_type}", variadic=True, raises=False, family="json")
    declare(f"{_type}_extract_path_text", f"{_type} text -> text", variadic=True, raises=False, family="json")
    declare(f"{_type}_array_length", f"{_type} -> int4", family="json")
    declare(f"{_type}_typeof", f"{_type} -> text", raises=False, family="json")
    declare(f"{_type}_strip_nulls", f"{_type} -> {_type}", raises=False, family="json")
    declare(f"{_type}_build_array", f"-> {_type}", strict=False, raises=False, family="json")
    declare(f"{_type}_build_array", f"any -> {_type}", variadic=True, strict=False, volatility="stable", raises=False, family="json")
    declare(f"{_type}_build_object", f"-> {_type}", strict=False, raises=False, family="json")
    declare(f"{_type}_build_object", f"any -> {_type}", variadic=True, strict=False, volatility="stable", family="json")
    declare(f"to_{_type}", f"anyelement -> {_type}", strict=True, volatility="stable", raises=False, family="json")
declare("array_to_json", "anyarray -> json", volatility="stable", raises=False, family="json")
declare("row_to_json", "record -> json", volatility="stable", raises=False, family="json")
declare("jsonb_pretty", "jsonb -> text", raises=False, family="json")
declare("jsonb_contains", "jsonb jsonb -> bool", symbol="@>", raises=False, family="json")
declare("jsonb_contained", "jsonb jsonb -> bool", symbol="<@", raises=False, family="json")
declare("jsonb_exists", "jsonb text -> bool", symbol="?", raises=False, family="json")
declare("jsonb_exists_any", "jsonb _text -> bool", symbol="?|", raises=False, family="json")
declare("jsonb_exists_all", "jsonb _text -> bool", symbol="?&", raises=False, family="json")
declare("concat_op", "jsonb jsonb -> jsonb", symbol="||", hidden=True, family="json")
declare("jsonb_delete", "jsonb text -> jsonb", "jsonb int4 -> jsonb", "jsonb _text -> jsonb", symbol="-", family="json")
declare("jsonb_delete_path", "jsonb _text -> jsonb", symbol="#-", family="json")
declare("jsonb_set", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", family="json")
declare("jsonb_insert", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", family="json")
