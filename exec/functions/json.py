"""JSON functions and operators.

Spec: PostgreSQL 15 documentation, 9.16 "JSON Functions and Operators".
"""

from __future__ import annotations

import json as python_json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from shoal.catalog.errors import InvalidParameterValue, NullNotAllowed
from shoal.catalog.types import SqlType
from shoal.exec.functions import json_text
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import nulls, shapes
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call

Args = list[Any]
_MISSING = object()


def _dump(value: Any, binary: bool) -> str:
    return json_text.dump(value) if binary else json_text.dump_compact(value)


def _rows_of(args: Args, rows: int) -> list[list[Any]]:
    return [nulls.decoded(nulls.spread(arg, rows)).to_pylist() if isinstance(arg, pa.Scalar)
            else nulls.decoded(arg).to_pylist()
            for arg in args]


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """Equal arguments are computed once (lists as tuples)."""
    known: dict[Any, Any] = {}

    def run(*values: Any) -> Any:
        key = tuple(tuple(v) if isinstance(v, list) else v for v in values)
        if key not in known:
            known[key] = function(*values)
        return known[key]
    return run


def _by_row(args: Args, rows: int, arrow: pa.DataType, function: Callable[..., Any]) -> pa.Array:
    once = _remembered(function)
    return pa.array([None if any(v is None for v in values) else once(*values)
                     for values in zip(*_rows_of(args, rows), strict=True)], arrow)


def step(value: Any, key: Any) -> Any:
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
    return step(value, key)


def _path_step(value: Any, key: str) -> Any:
    if isinstance(value, list):
        try:
            return step(value, int(key))
        except ValueError:
            return _MISSING
    return step(value, key)


class _Raw:
    """A json value that prints the way it was written: what -> of type json gives back."""

    @staticmethod
    def slice_of(text: str, path: Sequence[Any], walker: Callable[[Any, Any], Any]) -> str | None:
        value: Any = json_text.load(text)
        for key in path:
            value = walker(value, key)
            if value is _MISSING:
                return None
        return _original(text, path) or json_text.dump_compact(value)


def _original(text: str, path: Sequence[Any]) -> str | None:
    """The very characters of the member that `path` leads to (json keeps its blanks and number forms)."""
    decoder = python_json.JSONDecoder(strict=False)
    blanks = " \t\n\r"

    def skip(at: int) -> int:
        while at < len(text) and text[at] in blanks:
            at += 1
        return at

    def value_end(at: int) -> int:
        return decoder.raw_decode(text, at)[1]
    start = skip(0)
    for key in path:
        opening = text[start]
        at = skip(start + 1)
        found: int | None = None
        spans: list[int] = []
        while at < len(text) and text[at] not in "]}":
            if opening == "{":
                name, at = decoder.raw_decode(text, at)
                at = skip(skip(at) + 1)
                if name == key:
                    found = at
            spans.append(at)
            at = skip(value_end(at))
            if text[at] == ",":
                at = skip(at + 1)
        if opening == "[":
            index = int(key)
            if not -len(spans) <= index < len(spans):
                return None
            found = spans[index]
        if found is None:
            return None
        start = found
    return text[start:value_end(start)]


def get_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """-> ->> #> #>> and the extract_path functions."""
    binary = call.args[0].type.name == "jsonb"
    as_text = call.type.name == "text"
    walker = (_element_of_scalar if binary else step) if call.name.startswith("json_get") else _path_step

    def one(text: str, *keys: Any) -> str | None:
        path = keys[0] if len(keys) == 1 and isinstance(keys[0], list) else keys
        if any(key is None for key in path):
            return None
        if not binary and not as_text:
            return _Raw.slice_of(text, path, walker)
        value: Any = json_text.load(text)
        for key in path:
            value = walker(value, key)
            if value is _MISSING:
                return None
        if as_text:
            if value is None:
                return None
            if isinstance(value, str):
                return value
            if not binary:
                return _Raw.slice_of(text, path, walker)
        return _dump(value, binary)
    return _by_row(args, rows, pa.string(), one)


def inspect_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_array_length, json_typeof, json_strip_nulls, jsonb_pretty."""
    binary = call.args[0].type.name == "jsonb"

    def one(text: str) -> Any:
        value = json_text.load(text)
        if call.name.endswith("array_length"):
            if not isinstance(value, list):
                raise InvalidParameterValue("cannot get array length of a non-array" if isinstance(value, dict)
                                            else "cannot get array length of a scalar")
            return len(value)
        if call.name.endswith("typeof"):
            return json_text.kind_of(value)
        if call.name.endswith("strip_nulls"):
            return _dump(_stripped(value), binary)
        return _pretty(value, 0)
    return _by_row(args, rows, pa.int32() if call.type.name == "int4" else pa.string(), one)


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


def as_json_texts(arg: Any, sql_type: SqlType, rows: int, context: Any) -> list[str | None]:
    """Each value as JSON text; None for NULL."""
    if isinstance(arg, pa.Scalar) and not arg.is_valid:
        return [None] * rows
    array = column(arg, rows)
    if sql_type.name in ("json", "jsonb"):
        return array.to_pylist()
    if sql_type.is_array:
        from shoal.exec.kernels.arrays import flattened
        if shapes.is_shaped(array):
            return _shaped_texts(array, sql_type, context)
        counts, flat = flattened(array)
        items = ["null" if item is None else item for item in as_json_texts(flat, sql_type.element, len(flat), context)]
        out: list[str | None] = []
        at = 0
        for count, known in zip(counts.tolist(), array.is_valid().to_pylist(), strict=True):
            out.append("[" + ",".join(items[at:at + count]) + "]" if known else None)
            at += count
        return out
    if sql_type.name == "record" and sql_type.fields is not None:
        from shoal.exec.functions.rows import record_texts
        return record_texts(array, sql_type.fields, context)
    settings = context.settings
    if sql_type.name in ("date", "timestamp", "timestamptz"):  # ISO 8601 whatever DateStyle is
        settings = replace(settings, styles=replace(settings.styles, date="ISO"))
    texts = nulls.decoded(to_text(array, sql_type, settings, context.names)).to_pylist()
    if sql_type.name == "bool":
        return [None if text is None else "true" if text == "t" else "false" for text in texts]
    if sql_type.is_number:
        return [None if text is None else json_text.quoted(text) if text[-1:] in "yN" else text for text in texts]
    if sql_type.name in ("timestamp", "timestamptz"):
        texts = [None if text is None else _iso(text) for text in texts]
    return [None if text is None else json_text.quoted(text) for text in texts]


def _shaped_texts(array: pa.Array, sql_type: SqlType, context: Any) -> list[str | None]:
    """Arrays of several dimensions: JSON arrays in JSON arrays."""
    lists = shapes.items_of(array)
    flat = lists.flatten()
    items = ["null" if item is None else item for item in as_json_texts(flat, sql_type.element, len(flat), context)]
    return [None if dims is None else text for dims, text in shapes.nested_texts(array, items, "[]")]


def _iso(text: str) -> str:
    """2020-01-01 10:00:00+00 as 2020-01-01T10:00:00+00:00."""
    text = text.replace(" ", "T", 1)
    zone = max(text.rfind("+"), text.rfind("-"))
    return text + ":00" if zone > text.find("T") > 0 and len(text) - zone == 3 else text


def build_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """to_json, json_build_array, json_build_object, array_to_json, row_to_json."""
    binary, name = call.type.name == "jsonb", call.name
    columns = [as_json_texts(arg, expr.type, rows, context) for arg, expr in zip(args, call.args, strict=True)]
    out: list[str | None] = []
    for row in range(rows):
        values = [column_[row] for column_ in columns]
        if name.endswith("build_object"):
            text: str | None = _object(call, values)
        elif name.endswith("build_array"):
            text = "[" + ", ".join("null" if v is None else v for v in values) + "]"
        else:
            text = values[0]
        out.append(json_text.canonical_jsonb(text) if binary and text is not None else text)
    return pa.array(out, pa.string())


def _object(call: Call, values: list[str | None]) -> str:
    if len(values) % 2:
        raise InvalidParameterValue("argument list must have even number of elements",
                                    hint=f"The arguments of {call.name}() must consist of alternating keys and values.")
    pairs = []
    for i in range(0, len(values), 2):
        key, value = values[i], values[i + 1]
        if key is None:
            raise InvalidParameterValue(f"argument {i + 1} must not be null" if call.type.name == "jsonb"
                                        else f"argument {i + 1} cannot be null", hint="Object keys should be text.")
        if not key.startswith('"'):
            if key[0] in "[{":
                raise InvalidParameterValue("key value must be scalar, not array, composite, or json")
            key = json_text.quoted(key)
        pairs.append(f"{key} : {'null' if value is None else value}")
    return "{" + ", ".join(pairs) + "}"


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
    def one(left: str, right: str) -> bool:
        outer, inner = json_text.load(left), json_text.load(right)
        return contained(inner, outer) if call.name == "jsonb_contains" else contained(outer, inner)
    return _by_row(args, rows, pa.bool_(), one)


def exists_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def has(value: Any, key: str) -> bool:
        return key in value if isinstance(value, dict) else any(isinstance(i, str) and i == key for i in value) \
            if isinstance(value, list) else isinstance(value, str) and value == key

    def one(text: str, keys: Any) -> bool:
        value = json_text.load(text)
        if isinstance(keys, str):
            return has(value, keys)
        tests = (has(value, key) for key in keys if key is not None)
        return any(tests) if call.name.endswith("any") else all(tests)
    return _by_row(args, rows, pa.bool_(), one)


def concat_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(left: str, right: str) -> str:
        a, b = json_text.load(left), json_text.load(right)
        if isinstance(a, dict) and isinstance(b, dict):
            return json_text.dump({**a, **b})
        if isinstance(a, dict) != isinstance(b, dict) and not (isinstance(a, list) or isinstance(b, list)):
            raise InvalidParameterValue("invalid concatenation of jsonb objects")
        return json_text.dump((a if isinstance(a, list) else [a]) + (b if isinstance(b, list) else [b]))
    return _by_row(args, rows, pa.string(), one)


def delete_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    def one(text: str, key: Any) -> str:
        value = json_text.load(text)
        if call.name == "jsonb_delete_path":
            return json_text.dump(_without_path(value, key))
        if not isinstance(value, (dict, list)):
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
    return _by_row(args, rows, pa.string(), one)


def _index(value: Any, key: str, position: int) -> int | None:
    """A path element as an index into a list. Raises: InvalidParameterValue (22023... PostgreSQL says 22P02)."""
    from shoal.catalog.errors import InvalidTextRepresentation
    try:
        index = int(key)
    except ValueError:
        raise InvalidTextRepresentation(f'path element at position {position} is not an integer: "{key}"') from None
    return index


def _without_path(value: Any, path: Sequence[str], position: int = 1) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        if key not in value:
            return value
        if not rest:
            return {k: v for k, v in value.items() if k != key}
        return {k: _without_path(v, rest, position + 1) if k == key else v for k, v in value.items()}
    if isinstance(value, list):
        index = _index(value, key, position)
        if index is None or not -len(value) <= index < len(value):
            return value
        index %= len(value)
        return value[:index] + ([_without_path(value[index], rest, position + 1)] if rest else []) + value[index + 1:]
    return value


def set_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """jsonb_set, jsonb_insert."""
    inserting = call.name == "jsonb_insert"

    def one(text: str, path: list[str | None], new: str, flag: bool = not inserting) -> str:
        for i, key in enumerate(path):
            if key is None:
                raise NullNotAllowed(f"path element at position {i + 1} is null")
        value = json_text.load(text)
        if not isinstance(value, (dict, list)):
            raise InvalidParameterValue("cannot set path in scalar")
        return json_text.dump(_with_path(value, [key or "" for key in path], json_text.load(new), flag, inserting, 1))
    return _by_row(args, rows, pa.string(), one)


def _with_path(value: Any, path: list[str], new: Any, flag: bool, inserting: bool, position: int) -> Any:
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(value, dict):
        if rest:
            return {k: _with_path(v, rest, new, flag, inserting, position + 1) if k == key else v for k, v in value.items()}
        if inserting:
            if key in value:
                raise InvalidParameterValue("cannot replace existing key",
                                            hint="Try using the function jsonb_set to replace key value.")
            return {**value, key: new}
        return {**value, key: new} if flag or key in value else value
    if not isinstance(value, list):
        return value
    index = _index(value, key, position) or 0
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


def empty_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar("[]" if call.name.endswith("array") else "{}")


for _type in ("json", "jsonb"):
    declare("json_get", f"{_type} int4 -> {_type}", f"{_type} text -> {_type}", symbol="->", hidden=True, raises=False,
            kernel=get_kernel, family="json")
    declare("json_get_text", f"{_type} int4 -> text", f"{_type} text -> text", symbol="->>", hidden=True, raises=False,
            kernel=get_kernel, family="json")
    declare("json_path", f"{_type} _text -> {_type}", symbol="#>", hidden=True, raises=False, kernel=get_kernel,
            family="json")
    declare("json_path_text", f"{_type} _text -> text", symbol="#>>", hidden=True, raises=False, kernel=get_kernel,
            family="json")
    declare(f"{_type}_extract_path", f"{_type} text -> {_type}", variadic=True, raises=False, kernel=get_kernel,
            family="json")
    declare(f"{_type}_extract_path_text", f"{_type} text -> text", variadic=True, raises=False, kernel=get_kernel,
            family="json")
    declare(f"{_type}_array_length", f"{_type} -> int4", kernel=inspect_kernel, family="json")
    declare(f"{_type}_typeof", f"{_type} -> text", raises=False, kernel=inspect_kernel, family="json")
    declare(f"{_type}_strip_nulls", f"{_type} -> {_type}", raises=False, kernel=inspect_kernel, family="json")
    for _name in ("array", "object"):
        declare(f"{_type}_build_{_name}", f"-> {_type}", strict=False, raises=False, kernel=empty_kernel, family="json")
        declare(f"{_type}_build_{_name}", f"any -> {_type}", variadic=True, strict=False, volatility="stable",
                kernel=build_kernel, shapes=True, family="json")
    declare(f"to_{_type}", f"anyelement -> {_type}", volatility="stable", raises=False, kernel=build_kernel, shapes=True,
            family="json")
declare("array_to_json", "anyarray -> json", volatility="stable", raises=False, kernel=build_kernel, shapes=True,
        family="json")
declare("jsonb_pretty", "jsonb -> text", raises=False, kernel=inspect_kernel, family="json")
declare("jsonb_contains", "jsonb jsonb -> bool", symbol="@>", raises=False, kernel=contains_kernel, family="json")
declare("jsonb_contained", "jsonb jsonb -> bool", symbol="<@", raises=False, kernel=contains_kernel, family="json")
declare("jsonb_exists", "jsonb text -> bool", symbol="?", raises=False, kernel=exists_kernel, family="json")
declare("jsonb_exists_any", "jsonb _text -> bool", symbol="?|", raises=False, kernel=exists_kernel, family="json")
declare("jsonb_exists_all", "jsonb _text -> bool", symbol="?&", raises=False, kernel=exists_kernel, family="json")
declare("concat_op", "jsonb jsonb -> jsonb", symbol="||", hidden=True, kernel=concat_kernel, family="json")
declare("jsonb_delete", "jsonb text -> jsonb", "jsonb int4 -> jsonb", "jsonb _text -> jsonb", symbol="-",
        kernel=delete_kernel,
        family="json")
declare("jsonb_delete_path", "jsonb _text -> jsonb", symbol="#-", kernel=delete_kernel, family="json")
declare("jsonb_set", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", kernel=set_kernel, family="json")
declare("jsonb_insert", "jsonb _text jsonb -> jsonb", "jsonb _text jsonb bool -> jsonb", kernel=set_kernel, family="json")
