"""JSON values taken apart into rows: array elements, names, members (hop 6).

json gives its parts as they were written. Spec: PostgreSQL 15 documentation, 9.16.1 (table 9.47).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue
from shoal.exec.functions import json_text
from shoal.exec.functions.json_access import FAST_ROWS
from shoal.exec.functions.json_kernels import Args, rows_of
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import json_elements, nulls
from shoal.exec.plan.expr import Call

Rows = tuple[np.ndarray, tuple[pa.Array, ...]]


def parts_of(text: str) -> tuple[str, list[tuple[str | None, str]]]:
    """What a JSON text is, "object", "array" or "scalar", and its members: (name, text)."""
    start = json_text.skip_blanks(text, 0)
    kind = {"{": "object", "[": "array"}.get(text[start], "scalar")
    if kind == "scalar":
        return kind, []
    return kind, [(name, text[first:end]) for name, first, end in json_text.members(text, start)]


def _kernel(wanted: str, refuse: Callable[[Call, str], InvalidParameterValue],
            columns: Callable[[Call, list[tuple[str | None, str]]], tuple[list[str | None], ...]]) -> Callable[..., Rows]:
    def run(call: Call, args: Args, rows: int, context: Any) -> Rows:
        counts = np.zeros(rows, np.int64)
        found: list[tuple[str | None, str]] = []
        for row, text in enumerate(rows_of(args[:1], rows)[0]):
            if text is None:
                continue
            kind, parts = parts_of(text)
            if kind != wanted:
                raise refuse(call, kind)
            counts[row] = len(parts)
            found += parts
        return counts, tuple(pa.array(column, pa.string()) for column in columns(call, found))
    return run


def _values(call: Call, parts: list[tuple[str | None, str]]) -> list[str | None]:
    return [json_text.unquoted(text) for _, text in parts] if call.name.endswith("_text") else [text for _, text in parts]


def _no_array(call: Call, kind: str) -> InvalidParameterValue:
    if call.name.startswith("jsonb"):
        return InvalidParameterValue(f"cannot extract elements from {'an object' if kind == 'object' else 'a scalar'}")
    return InvalidParameterValue(f"cannot call {call.name} on {'a non-array' if kind == 'object' else 'a scalar'}")


def _no_object(call: Call, kind: str) -> InvalidParameterValue:
    if call.name.startswith("jsonb"):
        return InvalidParameterValue(f"cannot call {call.name} on a non-object")
    return InvalidParameterValue("cannot deconstruct an array as an object" if kind == "array"
                                 else "cannot deconstruct a scalar")


def _no_keys(call: Call, kind: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"cannot call {call.name} on {'an array' if kind == 'array' else 'a scalar'}")


_each_element = _kernel("array", _no_array, lambda call, parts: (_values(call, parts),))


def elements_kernel(call: Call, args: Args, rows: int, context: Any) -> Rows:
    """json_array_elements and json_array_elements_text."""
    if rows >= FAST_ROWS and isinstance(args[0], pa.Array):
        found = json_elements.elements(nulls.decoded(args[0]))
        if found is not None and found.only_arrays:
            return found.counts, (found.texts(call.name.endswith("_text")),)
    return _each_element(call, args, rows, context)


keys_kernel = _kernel("object", _no_keys, lambda call, parts: ([name for name, _ in parts],))
each_kernel = _kernel("object", _no_object, lambda call, parts: ([name for name, _ in parts], _values(call, parts)))

for _type in ("json", "jsonb"):
    declare(f"{_type}_array_elements", f"{_type} -> {_type}", kind="set", kernel=elements_kernel, family="set",
            columns=(("value", _type),))
    declare(f"{_type}_array_elements_text", f"{_type} -> text", kind="set", kernel=elements_kernel, family="set",
            columns=(("value", "text"),))
    declare(f"{_type}_object_keys", f"{_type} -> text", kind="set", kernel=keys_kernel, family="set")
    declare(f"{_type}_each", f"{_type} -> record", kind="set", kernel=each_kernel, family="set",
            columns=(("key", "text"), ("value", _type)))
    declare(f"{_type}_each_text", f"{_type} -> record", kind="set", kernel=each_kernel, family="set",
            columns=(("key", "text"), ("value", "text")))
