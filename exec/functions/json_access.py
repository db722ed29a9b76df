"""Members of JSON values: -> ->> #> #>> and the extract_path functions (hop 6).

json gives the very characters that its member was written with; jsonb the canonical text.
Spec: PostgreSQL 15 documentation, 9.16.1 (table 9.45).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from shoal.exec.functions import json_text
from shoal.exec.functions.json_kernels import Args, by_row, flat
from shoal.exec.functions.registry import declare
from shoal.exec.kernels import json_elements, json_index, nulls
from shoal.exec.plan.expr import Call

_MISSING = object()
FAST_ROWS = 64
"""Fewer rows are not worth the index's fixed cost."""


def _step(value: Any, key: Any) -> Any:
    """value -> key; _MISSING where there is nothing."""
    if isinstance(key, int):
        if isinstance(value, list) and -len(value) <= key < len(value):
            return value[key]
        return _MISSING
    if isinstance(value, dict):
        return value.get(key, _MISSING)
    return _MISSING


def _element_of_scalar(value: Any, key: Any) -> Any:
    """jsonb -> n takes a scalar for an array of one."""
    if isinstance(key, int) and not isinstance(value, (dict, list)):
        return value if key in (0, -1) else _MISSING
    return _step(value, key)


def path_index(key: str) -> int | None:
    """A path's element as an array subscript; None for what is no int4."""
    text = key.strip(" \t\n\r\v\f")
    if not text.lstrip("+-").isdigit() or not text.isascii() or len(text) > 12 or len(text) - len(text.lstrip("+-")) > 1:
        return None
    index = int(text)
    return index if -(1 << 31) <= index < 1 << 31 else None


def _path_step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        index = path_index(key)
        return _MISSING if index is None else _step(value, index)
    return _step(value, key)


def _raw_walk(text: str, path: Sequence[Any], as_path: bool) -> str | None:
    """The characters of the member of a json text that `path` leads to; the last of equal names counts."""
    at = json_text.skip_blanks(text, 0)
    for key in path:
        opening = text[at]
        found: int | None = None
        if opening == "{" and isinstance(key, str):
            for name, start, _ in json_text.members(text, at):
                if name == key:
                    found = start
        elif opening == "[":
            index = path_index(key) if as_path else key
            if not isinstance(index, int):
                return None
            starts = [start for _, start, _ in json_text.members(text, at)]
            if -len(starts) <= index < len(starts):
                found = starts[index]
        if found is None:
            return None
        at = found
    return text[at:json_text.value_end(text, at)]


def get_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """-> ->> #> #>> and the extract_path functions."""
    args = flat(args, rows)
    binary = call.args[0].type.name == "jsonb"
    as_text = call.type.name == "text"
    as_path = not call.name.startswith("json_get")
    if len(args) == 2 and isinstance(args[0], pa.Array) and rows >= FAST_ROWS and isinstance(args[1], pa.Scalar):
        key = args[1].as_py()
        keys = key if isinstance(key, list) else [key]
        if keys and all(isinstance(one, str) and json_index.is_plain(one) and not (as_path and path_index(one) is not None)
                        for one in keys):
            column = args[0]
            for step in keys[:-1]:
                column = member_column(column, step, binary, False)
            return member_column(column, keys[-1], binary, as_text)
        if isinstance(key, int) and not as_path:
            found = json_elements.elements(nulls.decoded(args[0]))
            made = None if found is None else found.at(key, as_text)
            if made is not None:
                return made
    return by_row(args, rows, pa.string(), _getter(binary, as_text, as_path))


def _getter(binary: bool, as_text: bool, as_path: bool) -> Callable[..., str | None]:
    walker = _path_step if as_path else _element_of_scalar if binary else _step

    def one(text: str, *keys: Any) -> str | None:
        path = keys[0] if len(keys) == 1 and isinstance(keys[0], (list, tuple)) else keys
        if any(key is None for key in path):
            return None
        if not binary:
            found = _raw_walk(text, path, as_path)
            return json_text.unquoted(found) if as_text and found is not None else found
        value: Any = json_text.load(text)
        for key in path:
            value = walker(value, key)
            if value is _MISSING:
                return None
        if as_text:
            return None if value is None else value if isinstance(value, str) else json_text.dump(value)
        return json_text.dump(value)
    return one


def member_column(column: pa.Array, key: str, binary: bool, as_text: bool) -> pa.Array:
    """A member by a constant name that is plain (json_index.is_plain): found in whole columns, the rows that need a parser
    apart. A dictionary's values are looked at once."""
    getter = _getter(binary, as_text, False)
    if pa.types.is_dictionary(column.type) and len(column.dictionary) < len(column):
        found = json_index.member(column.dictionary, key, as_text, lambda text: getter(text, key), binary)
        return nulls.decoded(pa.DictionaryArray.from_arrays(column.indices, found))
    return json_index.member(nulls.decoded(column), key, as_text, lambda text: getter(text, key), binary)


for _type in ("json", "jsonb"):
    declare("json_get", f"{_type} int4 -> {_type}", f"{_type} text -> {_type}", symbol="->", hidden=True, raises=False,
            kernel=get_kernel, family="json")
    declare("json_get_text", f"{_type} int4 -> text", f"{_type} text -> text", symbol="->>", hidden=True, raises=False,
            kernel=get_kernel, family="json")
    declare("json_path", f"{_type} _text -> {_type}", symbol="#>", hidden=True, raises=False, kernel=get_kernel,
            shapes=True, family="json")
    declare("json_path_text", f"{_type} _text -> text", symbol="#>>", hidden=True, raises=False, kernel=get_kernel,
            shapes=True, family="json")
    for _suffix, _returns in (("", _type), ("_text", "text")):
        declare(f"{_type}_extract_path{_suffix}", f"{_type} text -> {_returns}", variadic=True, raises=False,
                kernel=get_kernel, family="json")
        declare(f"{_type}_extract_path{_suffix}_variadic", f"{_type} _text -> {_returns}", hidden=True, raises=False,
                kernel=get_kernel, shapes=True, family="json")
