"""JSON functions and operators that ask something of a value; the others are in the modules named json_*.

Spec: PostgreSQL 15 documentation, 9.16 "JSON Functions and Operators".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import InvalidParameterValue
from shoal.exec.functions import (
                                  json_access,
                                  json_building,
                                  json_changes,
                                  json_constructors,
                                  json_paths,
                                  json_query,
                                  json_records,
                                  json_sets,
                                  json_text,
)
from shoal.exec.functions.json_access import FAST_ROWS, member_column
from shoal.exec.functions.json_kernels import Args, by_row, flat, remembered
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import json_elements, json_index, nulls, views
from shoal.exec.plan.expr import Call

PARTS = (json_access, json_building, json_changes, json_constructors, json_paths, json_query, json_records, json_sets)


def inspect_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_array_length, json_typeof, json_strip_nulls, jsonb_pretty."""
    binary = call.args[0].type.name == "jsonb"
    if rows >= FAST_ROWS and isinstance(args[0], pa.Array):
        if call.name.endswith("typeof"):
            return _kinds(nulls.decoded(args[0]))
        found = json_elements.elements(nulls.decoded(args[0])) if call.name.endswith("array_length") else None
        if found is not None and found.only_arrays:
            return found.lengths()

    def one(text: str) -> Any:
        if call.name == "json_strip_nulls":
            return json_text.stripped(text)
        value = json_text.load(text)
        if call.name.endswith("array_length"):
            if not isinstance(value, list):
                raise InvalidParameterValue("cannot get array length of a non-array" if isinstance(value, dict)
                                            else "cannot get array length of a scalar")
            return len(value)
        if call.name.endswith("typeof"):
            return json_text.kind_of(value)
        return json_text.dump(_stripped(value)) if binary and call.name.endswith("strip_nulls") else _pretty(value, 0)
    return by_row(args, rows, pa.int32() if call.type.name == "int4" else pa.string(), one)


_KINDS = pa.array(["number", "string", "object", "array", "boolean", "null"], pa.string())
_KIND_OF = np.zeros(256, np.int32)
for _place, _first in enumerate((b'"', b"{", b"[", b"tf", b"n"), 1):
    _KIND_OF[list(_first)] = _place


def _kinds(texts: pa.Array) -> pa.Array:
    """json_typeof: the first byte that is not blank tells."""
    firsts = pc.binary_slice(pc.utf8_ltrim(texts, " \t\n\r").cast(pa.binary()), 0, 1)
    valid = nulls.validity(texts)
    first = np.frombuffer(b"".join(pc.fill_null(firsts, b"n").to_pylist()), np.uint8)
    return pa.DictionaryArray.from_arrays(pa.array(_KIND_OF[first], mask=None if valid is None else ~valid), _KINDS)


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items() if item is not None}
    return [_stripped(item) for item in value] if isinstance(value, list) else value


def _pretty(value: Any, depth: int) -> str:
    if not isinstance(value, (dict, list)):
        return json_text.dump(value)
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        items = [f"{inner}{json_text.quoted(key)}: {_pretty(value[key], depth + 1)}" for key in keys]
        return "{\n" + ",\n".join(items) + ("\n" if items else "") + outer + "}"
    items = [inner + _pretty(item, depth + 1) for item in value]
    return "[\n" + ",\n".join(items) + ("\n" if items else "") + outer + "]"


def contained(inner: Any, outer: Any, top: bool = True) -> bool:
    """outer @> inner."""
    if isinstance(outer, dict):
        return isinstance(inner, dict) and all(key in outer and contained(item, outer[key], False) for key,
                                               item in inner.items())
    if isinstance(outer, list):
        if isinstance(inner, list):
            return all(any(contained(item, other, False) for other in outer) for item in inner)
        return top and not isinstance(inner, dict) and any(_equal(inner, other) for other in outer)
    return _equal(inner, outer)


def _equal(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


def contains_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """@> and <@; a constant side is read once."""
    loaded: dict[str, Any] = {}

    def value_of(text: str) -> Any:
        if text not in loaded:
            if len(loaded) > 1000:
                loaded.clear()
            loaded[text] = json_text.load(text)
        return loaded[text]

    def one(left: str, right: str) -> bool:
        outer, inner = value_of(left), value_of(right)
        return contained(inner, outer) if call.name == "jsonb_contains" else contained(outer, inner)
    swapped = call.name == "jsonb_contained"
    outer, inner = (args[1], args[0]) if swapped else (args[0], args[1])
    if rows >= FAST_ROWS and isinstance(outer, pa.Array) and isinstance(inner, pa.Scalar) and inner.is_valid:
        wanted = value_of(inner.as_py())
        if isinstance(wanted, dict) and all(map(json_index.is_plain, wanted)):
            plain = nulls.decoded(outer)
            return nulls.with_validity(_contains_members(plain, wanted), nulls.validity(plain))
    return by_row(args, rows, pa.bool_(), one)


def _contains_members(column: pa.Array, wanted: dict[str, Any]) -> pa.Array:
    """Which objects of a jsonb column contain an object of plain names (NULL: not)."""
    found = views.array_of(np.ones(len(column), np.bool_), pa.bool_())
    for key, inner in wanted.items():
        member = member_column(column, key, True, False)
        if isinstance(inner, dict) and all(map(json_index.is_plain, inner)):
            test = pc.and_(pc.starts_with(member, "{"), _contains_members(member, inner))
        elif isinstance(inner, (dict, list)):
            once = remembered(lambda text, inner=inner: contained(inner, json_text.load(text), False))
            test = pa.array([text is not None and once(text) for text in member.to_pylist()], pa.bool_())
        else:
            text = json_text.normalized(pa.array([json_text.dump(inner)]))[0]
            test = pc.equal(json_text.normalized(pc.fill_null(member, "")), text)
        found = pc.and_(found, pc.fill_null(test, False))
    return found


def exists_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """?, ?| and ?&."""
    def has(value: Any, key: str) -> bool:
        return key in value if isinstance(value, dict) else any(isinstance(i, str) and i == key for i in value) \
            if isinstance(value, list) else isinstance(value, str) and value == key

    name = args[1].as_py() if isinstance(args[1], pa.Scalar) and call.name == "jsonb_exists" else None
    if rows >= FAST_ROWS and isinstance(args[0], pa.Array) and name is not None and json_index.is_plain(name):
        column = nulls.decoded(args[0])
        objects = pc.fill_null(pc.starts_with(column, "{"), True)
        if objects.false_count == 0:
            return nulls.with_validity(pc.is_valid(member_column(column, name, True, False)), nulls.validity(column))

    def one(text: str, keys: Any) -> bool:
        value = json_text.load(text)
        if isinstance(keys, str):
            return has(value, keys)
        tests = (has(value, key) for key in keys if key is not None)
        return any(tests) if call.name.endswith("any") else all(tests)
    return by_row(flat(args, rows), rows, pa.bool_(), one)


for _type in ("json", "jsonb"):
    declare(f"{_type}_array_length", f"{_type} -> int4", kernel=inspect_kernel, family="json")
    declare(f"{_type}_typeof", f"{_type} -> text", raises=False, kernel=inspect_kernel, family="json")
    declare(f"{_type}_strip_nulls", f"{_type} -> {_type}", raises=False, kernel=inspect_kernel, family="json")
declare("jsonb_pretty", "jsonb -> text", raises=False, kernel=inspect_kernel, family="json")
declare("jsonb_contains", "jsonb jsonb -> bool", symbol="@>", raises=False, kernel=contains_kernel, family="json")
declare("jsonb_contained", "jsonb jsonb -> bool", symbol="<@", raises=False, kernel=contains_kernel, family="json")
declare("jsonb_exists", "jsonb text -> bool", symbol="?", raises=False, kernel=exists_kernel, family="json")
declare("jsonb_exists_any", "jsonb _text -> bool", symbol="?|", raises=False, kernel=exists_kernel, shapes=True,
        family="json")
declare("jsonb_exists_all", "jsonb _text -> bool", symbol="?&", raises=False, kernel=exists_kernel, shapes=True,
        family="json")
