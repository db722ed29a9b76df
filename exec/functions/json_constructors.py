"""SQL/JSON constructors and tests as the binder calls them: JSON_OBJECT, JSON_ARRAY, JSON(), JSON_SCALAR, IS JSON (hop 6).

Spec: PostgreSQL 17 documentation, 9.16.1.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from shoal.catalog.errors import DuplicateJsonObjectKey, NullNotAllowed, SqlError
from shoal.exec.functions import json_text
from shoal.exec.functions.json_building import json_column, key_column
from shoal.exec.functions.json_kernels import Args, by_row
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import nulls
from shoal.exec.plan.expr import Call


def _flags(arg: Any) -> frozenset[str]:
    value = arg.as_py() if isinstance(arg, pa.Scalar) else nulls.decoded(arg)[0].as_py() if len(arg) else ""
    return frozenset(value.split())


def duplicate(key: str) -> DuplicateJsonObjectKey:
    return DuplicateJsonObjectKey(f"duplicate JSON object key value: {key}")


def object_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_object_of(flags, name, value ...); flags: absent, unique."""
    flags, binary = _flags(args[0]), call.type.name == "jsonb"
    keys: list[list[str]] = []
    for number, (arg, expr) in enumerate(zip(args[1::2], call.args[1::2], strict=True)):
        if (isinstance(arg, pa.Scalar) and not arg.is_valid) or (isinstance(arg, pa.Array) and arg.null_count):
            raise NullNotAllowed("null value not allowed for object key")
        keys.append(key_column(arg, expr, rows, context, 2 * number + 1, binary).to_pylist())
    values = [json_column(arg, expr.type, rows, context, binary).to_pylist()
              for arg, expr in zip(args[2::2], call.args[2::2], strict=True)]
    out: list[str] = []
    for row in range(rows):
        members: list[str] = []
        seen: set[str] = set()
        for key, value in zip(keys, values, strict=True):
            if value[row] is None and "absent" in flags and ("unique" not in flags or not binary):
                continue
            if "unique" in flags:
                if key[row] in seen:
                    raise duplicate(key[row])
                seen.add(key[row])
            if value[row] is not None or "absent" not in flags:
                members.append(f"{key[row]} : {'null' if value[row] is None else value[row]}")
        text = "{" + ", ".join(members) + "}"
        out.append(json_text.canonical_jsonb(text) if binary else text)
    return pa.array(out, pa.string())


def array_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_array_of(flags, value ...)."""
    absent, binary = "absent" in _flags(args[0]), call.type.name == "jsonb"
    values = [json_column(arg, expr.type, rows, context, binary).to_pylist()
              for arg, expr in zip(args[1:], call.args[1:], strict=True)]
    return pa.array(["[" + ", ".join("null" if value[row] is None else value[row] for value in values
                                     if not absent or value[row] is not None) + "]" for row in range(rows)], pa.string())


def unique_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_unique(json): the value, whose objects must have no name twice."""
    def one(text: str) -> str:
        if json_text.has_duplicates(text):
            raise DuplicateJsonObjectKey("duplicate JSON object key value")
        return text
    return by_row(args, rows, pa.string(), one)


def is_json_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """is_json(text, "value" | "scalar" | "array" | "object" [unique])."""
    def one(text: str, test: str) -> bool:
        kind, _, unique = test.partition(" ")
        try:
            value = json_text.load(text)
        except SqlError:
            return False
        found = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "scalar"
        return kind in ("value", found) and not (unique and json_text.has_duplicates(text))
    return by_row(args, rows, pa.bool_(), one)


for _type in ("json", "jsonb"):
    declare(f"{_type}_object_of", f"text any -> {_type}", variadic=True, strict=False, volatility="stable", hidden=True,
            kernel=object_kernel, shapes=True, family="json")
    declare(f"{_type}_object_of", f"text -> {_type}", hidden=True, kernel=object_kernel, family="json")
    declare(f"{_type}_array_of", f"text any -> {_type}", variadic=True, strict=False, volatility="stable", hidden=True,
            kernel=array_kernel, shapes=True, family="json")
    declare(f"{_type}_array_of", f"text -> {_type}", hidden=True, kernel=array_kernel, family="json")
declare("json_unique", "json -> json", hidden=True, kernel=unique_kernel, family="json")
declare("is_json", "text text -> bool", hidden=True, raises=False, kernel=is_json_kernel, family="json")
