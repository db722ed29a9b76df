"""jsonb values changed: || - #- jsonb_set, jsonb_set_lax, jsonb_insert, subscripts assigned to, nulls stripped (hop 6).

Spec: PostgreSQL 15 documentation, 9.16.1 and 8.14.5; wording of jsonfuncs.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue, InvalidTextRepresentation, NullNotAllowed
from shoal.exec.functions import json_text
from shoal.exec.functions.json_access import path_index
from shoal.exec.functions.json_kernels import Args, by_row, flat, one_dimensional, remembered, rows_of
from shoal.exec.functions.registry import declare
from shoal.exec.plan.expr import Call

_TREATMENTS = ("delete_key", "return_target", "use_json_null", "raise_exception")


def concat_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """a || b: objects merged, anything else as arrays one after the other."""
    def one(left: str, right: str) -> str:
        a, b = json_text.load(left), json_text.load(right)
        if isinstance(a, dict) and isinstance(b, dict):
            return json_text.dump({**a, **b})
        return json_text.dump((a if isinstance(a, list) else [a]) + (b if isinstance(b, list) else [b]))
    return by_row(args, rows, pa.string(), one)


def delete_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """- and #-."""
    def one(text: str, key: Any) -> str:
        value = json_text.load(text)
        scalar = not isinstance(value, (dict, list))
        if call.name == "jsonb_delete_path":
            if scalar:
                raise InvalidParameterValue("cannot delete path in scalar")
            return json_text.dump(_without_path(value, key)) if value else text
        if scalar:
            raise InvalidParameterValue("cannot delete from scalar")
        if isinstance(key, int):
            if isinstance(value, dict):
                raise InvalidParameterValue("cannot delete from object using integer index")
            if -len(value) <= key < len(value):
                del value[key]
            return json_text.dump(value)
        keys = {key} if isinstance(key, str) else set(key)
        if isinstance(value, dict):
            return json_text.dump({k: v for k, v in value.items() if k not in keys})
        return json_text.dump([item for item in value if not (isinstance(item, str) and item in keys)])
    return by_row(one_dimensional(args, rows), rows, pa.string(), one)


def _index(key: str, position: int) -> int:
    """A path's element as an index into a list."""
    index = path_index(key)
    if index is None:
        raise InvalidTextRepresentation(f'path element at position {position} is not an integer: "{key}"')
    return index


def _known(key: str | None, position: int) -> str:
    if key is None:
        raise NullNotAllowed(f"path element at position {position} is null")
    return key


def _without_path(value: Any, path: Sequence[str | None], position: int = 1) -> Any:
    if not path:
        return value
    rest = path[1:]
    key = _known(path[0], position)
    if isinstance(value, dict):
        if key not in value:
            return value
        if not rest:
            return {k: v for k, v in value.items() if k != key}
        return {k: _without_path(v, rest, position + 1) if k == key else v for k, v in value.items()}
    if isinstance(value, list):
        index = _index(key, position)
        if not -len(value) <= index < len(value):
            return value
        index %= len(value)
        return value[:index] + ([_without_path(value[index], rest, position + 1)] if rest else []) + value[index + 1:]
    return value


def set_path(text: str, path: Sequence[str | None], new: Any, flag: bool, inserting: bool = False) -> str:
    """jsonb_set and, `inserting`, jsonb_insert. Raises: InvalidParameterValue (22023), NullNotAllowed (22004)."""
    value = json_text.load(text)
    if not isinstance(value, (dict, list)):
        raise InvalidParameterValue("cannot set path in scalar")
    if not value and not flag and not inserting:
        return text
    return json_text.dump(_with_path(value, path, new, flag, inserting, 1))


def set_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """jsonb_set, jsonb_insert."""
    inserting = call.name == "jsonb_insert"

    def one(text: str, path: list[str | None], new: str, flag: bool = not inserting) -> str:
        return set_path(text, path, json_text.load(new), flag, inserting)
    return by_row(one_dimensional(args, rows), rows, pa.string(), one)


def set_lax_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """jsonb_set_lax: what is done with NULL is told."""
    def one(text: str | None, path: tuple[str | None, ...] | None, new: str | None, create: bool | None = True,
            treatment: str | None = "use_json_null") -> str | None:
        if text is None or path is None or create is None:
            return None
        if treatment is None or (new is None and treatment not in _TREATMENTS):
            raise InvalidParameterValue('null_value_treatment must be "delete_key", "return_target", "use_json_null", or '
                                        '"raise_exception"')
        if new is not None:
            return set_path(text, path, json_text.load(new), create)
        if treatment == "raise_exception":
            raise NullNotAllowed("JSON value must not be null",
                                 detail='Exception was raised because null_value_treatment is "raise_exception".',
                                 hint="To avoid, either change the null_value_treatment argument or ensure that an SQL NULL "
                                      "is not passed.")
        if treatment == "use_json_null":
            return set_path(text, path, None, create)
        if treatment == "return_target":
            return text
        value = json_text.load(text)
        if not isinstance(value, (dict, list)):
            raise InvalidParameterValue("cannot delete path in scalar")
        return json_text.dump(_without_path(value, path))
    once = remembered(one)
    one_dimensional([*args[:2], *args[3:]], rows)
    return pa.array([once(*values) for values in zip(*rows_of(flat(args, rows), rows), strict=True)], pa.string())


def _with_path(value: Any, path: Sequence[str | None], new: Any, flag: bool, inserting: bool, position: int) -> Any:
    if not path:
        return value
    key, rest = _known(path[0], position), path[1:]
    if not isinstance(value, (dict, list)):
        return value
    if isinstance(value, dict):
        if rest:
            return {k: _with_path(v, rest, new, flag, inserting, position + 1) if k == key else v for k, v in value.items()}
        if inserting:
            if key in value:
                raise InvalidParameterValue("cannot replace existing key",
                                            hint="Try using the function jsonb_set to replace key value.")
            return {**value, key: new}
        return {**value, key: new} if flag or key in value else value
    index = _index(key, position)
    at = index + len(value) if index < 0 else index
    inside = 0 <= at < len(value)
    if rest:
        return [_with_path(v, rest, new, flag, inserting, position + 1) if i == at else v for i, v in enumerate(value)]
    if inserting:
        place = min(max(at + (1 if flag and inside else 0), 0), len(value))
        return [*value[:place], new, *value[place:]]
    if inside:
        return [*value[:at], new, *value[at + 1:]]
    return ([new, *value] if at < 0 else [*value, new]) if flag else value


def assign_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """column['a'][0] = value in UPDATE: what leads to the place is made where it is missing. Arguments: the column, a
    text[] path, the value."""
    def one(text: str | None, path: tuple[str | None, ...], new: str | None) -> str:
        for key in path:
            if key is None:
                raise NullNotAllowed("jsonb subscript in assignment must not be null")
        value = json_text.load(text) if text is not None else [] if path_index(path[0] or "") is not None else {}
        made = json_text.load(new) if new is not None else None
        if not isinstance(value, (dict, list)):
            raise _not_nested()
        return json_text.dump(_assigned(value, path, made, 1))
    once = remembered(one)
    return pa.array([once(*values) for values in zip(*rows_of(args, rows), strict=True)], pa.string())


def _not_nested() -> InvalidParameterValue:
    return InvalidParameterValue("cannot replace existing key", detail=(
        "The path assumes key is a composite object, but it is a scalar value."))


def _assigned(value: Any, path: Sequence[str | None], new: Any, position: int) -> Any:
    if not path:
        return new
    key, rest = _known(path[0], position), path[1:]
    if isinstance(value, dict):
        inner = _assigned(value[key], rest, new, position + 1) if key in value else _fresh(rest, new)
        return {**value, key: inner}
    if not isinstance(value, list):
        raise _not_nested()
    index = _index(key, position)
    at = index + len(value) if index < 0 else index
    if at < 0:
        raise InvalidTextRepresentation(f"path element at position {position} is out of range: {index}")
    if at < len(value):
        return [*value[:at], _assigned(value[at], rest, new, position + 1), *value[at + 1:]]
    return [*value, *[None] * (at - len(value)), _fresh(rest, new)]


def _fresh(path: Sequence[str | None], new: Any) -> Any:
    """What a path leads through where there is nothing yet."""
    made = new
    for key in reversed(path):
        index = path_index(key or "")
        made = {key: made} if index is None else [*[None] * max(index, 0), made]
    return made


declare("concat_op", "jsonb jsonb -> jsonb", symbol="||", hidden=True, raises=False, kernel=concat_kernel, family="json")
declare("jsonb_concat", "jsonb jsonb -> jsonb", raises=False, kernel=concat_kernel, family="json")
declare("jsonb_delete", "jsonb text -> jsonb", "jsonb int4 -> jsonb", "jsonb _text -> jsonb", symbol="-",
        kernel=delete_kernel, shapes=True, family="json")
declare("jsonb_delete_path", "jsonb _text -> jsonb", symbol="#-", kernel=delete_kernel, shapes=True, family="json")
declare("jsonb_set", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", kernel=set_kernel, shapes=True,
        family="json")
declare("jsonb_set_lax", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb",
        "jsonb _text jsonb bool text -> jsonb", strict=False, kernel=set_lax_kernel, shapes=True, family="json")
declare("jsonb_insert", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", kernel=set_kernel, shapes=True,
        family="json")
declare("jsonb_assign", "jsonb _text jsonb -> jsonb", hidden=True, strict=False, kernel=assign_kernel, family="json")
