"""JSON made of SQL values: to_json, json_build_array and _object, json_object, array_to_json (hop 6).

Spec: PostgreSQL 15 documentation, 9.16.1 (table 9.47); wording of json.c and jsonb.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.errors import ArraySubscriptError, InvalidParameterValue, NullNotAllowed
from shoal.catalog.types import SqlType
from shoal.exec.functions import json_text
from shoal.exec.functions.json_kernels import Args
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import nulls, shapes, views
from shoal.exec.kernels.arrays import flattened
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call, Literal

_CONTROL = r"[\x00-\x1f]"
_NULL = pa.scalar("null", pa.string())


def json_column(arg: Any, sql_type: SqlType, rows: int, context: Any, binary: bool = False) -> pa.Array:
    """Each value as JSON text, NULL for NULL; `binary`: in jsonb's form."""
    if isinstance(arg, pa.Scalar) and not arg.is_valid:
        return pa.nulls(rows, pa.string())
    if isinstance(arg, pa.Array) and pa.types.is_dictionary(arg.type) and len(arg.dictionary) < len(arg):
        inner = json_column(arg.dictionary, sql_type, len(arg.dictionary), context, binary)
        return nulls.decoded(pa.DictionaryArray.from_arrays(arg.indices, inner))
    array = column(arg, rows)
    if sql_type.name == "jsonb" or (sql_type.name == "json" and not binary):
        return array
    if sql_type.name == "json" or sql_type.is_array or (sql_type.name == "record" and sql_type.fields is not None):
        texts = array.to_pylist() if sql_type.name == "json" else _composed(array, sql_type, context)
        if binary:
            texts = [None if text is None else json_text.canonical_jsonb(text) for text in texts]
        return pa.array(texts, pa.string())
    settings = context.settings
    if sql_type.name in ("date", "timestamp", "timestamptz"):  # ISO 8601 whatever DateStyle is
        settings = replace(settings, styles=replace(settings.styles, date="ISO"))
    text = nulls.decoded(to_text(array, sql_type, settings, context.names))
    if sql_type.name == "bool":
        return pc.if_else(pc.equal(text, "t"), "true", "false").cast(pa.string()) if not text.null_count else \
            pc.if_else(text.is_valid(), pc.if_else(pc.equal(text, "t"), "true", "false"), pa.scalar(None, pa.string()))
    if sql_type.is_number:
        return _numbers(text, binary and sql_type.name.startswith("float"))
    if sql_type.name in ("timestamp", "timestamptz"):
        text = pa.array([None if one is None else _iso(one) for one in text.to_pylist()], pa.string())
    return quoted_column(text)


def as_json_texts(arg: Any, sql_type: SqlType, rows: int, context: Any) -> list[str | None]:
    """Each value as JSON text; None for NULL."""
    return json_column(arg, sql_type, rows, context).to_pylist()


def quoted_column(text: pa.Array) -> pa.Array:
    """Texts as JSON strings."""
    if len(text) and pc.any(pc.match_substring_regex(text, _CONTROL)).as_py():
        return pa.array([None if one is None else json_text.quoted(one) for one in text.to_pylist()], pa.string())
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise('"', escaped, '"', "")


def _numbers(text: pa.Array, floats: bool) -> pa.Array:
    """Numbers as they are; what JSON has no number for as strings; floats in jsonb without exponents."""
    odd = pc.match_substring_regex(text, "[yN]$")
    if pc.any(odd).as_py():
        text = pc.if_else(odd, pc.binary_join_element_wise('"', text, '"', ""), text)
    if floats and pc.any(pc.match_substring(text, "e")).as_py():
        return pa.array([None if one is None else json_text.canonical_jsonb(one) for one in text.to_pylist()], pa.string())
    return text


def _composed(array: pa.Array, sql_type: SqlType, context: Any) -> list[str | None]:
    """Arrays and rows."""
    if not sql_type.is_array:
        from shoal.exec.functions.rows import record_texts
        assert sql_type.fields is not None
        return record_texts(array, sql_type.fields, context)
    return array_texts(array, sql_type, context, ",")


def array_texts(array: pa.Array, sql_type: SqlType, context: Any, separator: str) -> list[str | None]:
    """Arrays as JSON arrays; the outermost brackets' elements are set apart by `separator`."""
    if shapes.is_shaped(array):
        lists = shapes.items_of(array)
        flat = lists.flatten()
        items = _filled(flat, sql_type, context)
        nested = [(dims, text) for dims, text in shapes.nested_texts(array, items, "[]")]
        return [None if dims is None else _spaced(text, separator) for dims, text in nested]
    counts, flat = flattened(array)
    items = _filled(flat, sql_type, context)
    out: list[str | None] = []
    at = 0
    for count, known in zip(counts.tolist(), array.is_valid().to_pylist(), strict=True):
        out.append("[" + separator.join(items[at:at + count]) + "]" if known else None)
        at += count
    return out


def _filled(flat: pa.Array, sql_type: SqlType, context: Any) -> list[str]:
    return ["null" if item is None else item for item in as_json_texts(flat, sql_type.element, len(flat), context)]


def _spaced(text: str, separator: str) -> str:
    if separator == ",":
        return text
    return "[" + separator.join(text[start:end] for _, start, end in json_text.members(text, 0)) + "]"


def _iso(text: str) -> str:
    """2020-01-01 10:00:00+00 as 2020-01-01T10:00:00+00:00."""
    text = text.replace(" ", "T", 1) if text[-1:] != "y" else text
    zone = max(text.rfind("+"), text.rfind("-"))
    return text + ":00" if zone > text.find("T") > 0 and len(text) - zone == 3 else text


def convert_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """to_json, to_jsonb."""
    return json_column(args[0], call.args[0].type, rows, context, call.type.name == "jsonb")


def array_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """array_to_json; with true, an element to a line."""
    array = column(args[0], rows)
    if len(args) == 1:
        return json_column(array, call.args[0].type, rows, context)
    plain, lines = (array_texts(array, call.args[0].type, context, separator) for separator in (",", ",\n "))
    flags = column(args[1], rows).to_pylist()
    return pa.array([b if flag else a for a, b, flag in zip(plain, lines, flags, strict=True)], pa.string())


def build_array_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_build_array and jsonb_build_array."""
    binary = call.type.name == "jsonb"
    items = [pc.fill_null(json_column(arg, expr.type, rows, context, binary), _NULL)
             for arg, expr in zip(args, call.args, strict=True)]
    return pc.binary_join_element_wise("[", pc.binary_join_element_wise(*items, ", "), "]", "")


def build_object_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_build_object and jsonb_build_object."""
    binary = call.type.name == "jsonb"
    if len(args) % 2 and not rows:
        return pa.array([], pa.string())
    if len(args) % 2:
        raise InvalidParameterValue("argument list must have even number of elements",
                                    hint=f"The arguments of {call.name}() must consist of alternating keys and values.")
    keys = [key_column(arg, expr, rows, context, 2 * i + 1, binary) for i, (arg, expr) in enumerate(
        zip(args[::2], call.args[::2], strict=True))]
    values = [pc.fill_null(json_column(arg, expr.type, rows, context, binary), _NULL)
              for arg, expr in zip(args[1::2], call.args[1::2], strict=True)]
    if not binary:
        members = [pc.binary_join_element_wise(key, value, " : ") for key, value in zip(keys, values, strict=True)]
    elif all(isinstance(expr, Literal) for expr in call.args[::2]) and rows:
        named = dict(zip((json_text.load(key[0].as_py()) for key in keys), zip(keys, values, strict=True), strict=True))
        members = [pc.binary_join_element_wise(*named[name], ": ") for name in sorted(
            named, key=lambda name: (len(name.encode()), name.encode()))]
    else:
        return pa.array([_object_text(row) for row in zip(*[c.to_pylist() for pair in zip(keys, values, strict=True)
                                                            for c in pair], strict=True)], pa.string())
    return pc.binary_join_element_wise("{", pc.binary_join_element_wise(*members, ", "), "}", "")


def _object_text(row: Sequence[str]) -> str:
    """The jsonb object of names and values as JSON texts in turn."""
    named = dict(zip(row[::2], row[1::2], strict=True))
    return "{" + ", ".join(f"{key}: {named[key]}" for key in sorted(named, key=_key_order)) + "}"


def _key_order(key: str) -> tuple[int, bytes]:
    name = (str(json_text.load(key)) if "\\" in key else key[1:-1]).encode()
    return len(name), name


def key_column(arg: Any, expr: Any, rows: int, context: Any, position: int, binary: bool) -> pa.Array:
    """Names of members as JSON strings. Raises: InvalidParameterValue (22023) for NULL and for what is no scalar."""
    have = expr.type
    if have.is_array or have.name in ("json", "jsonb", "record"):
        if isinstance(arg, pa.Scalar) and not arg.is_valid:
            raise _no_key(position, binary)
        raise InvalidParameterValue("key value must be scalar, not array, composite, or json")
    found = json_column(arg, have, rows, context)
    if found.null_count:
        raise _no_key(position, binary)
    if have.is_number or have.name == "bool":
        found = pc.if_else(pc.starts_with(found, '"'), found, pc.binary_join_element_wise('"', found, '"', ""))
    return found


def _no_key(position: int, binary: bool) -> InvalidParameterValue:
    if binary:
        return InvalidParameterValue(f"argument {position}: key must not be null")
    return InvalidParameterValue(f"argument {position} cannot be null", hint="Object keys should be text.")


def spread_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_build_array and _object of one array: f(VARIADIC array)."""
    binary, sql_type = call.type.name == "jsonb", call.args[0].type
    array = column(args[0], rows)
    lists = shapes.items_of(array) if shapes.is_shaped(array) else array
    counts, flat = flattened(lists)
    items = json_column(flat, sql_type.element, len(flat), context, binary).to_pylist()
    out: list[str | None] = []
    at = 0
    for count, known in zip(counts.tolist(), array.is_valid().to_pylist(), strict=True):
        row = items[at:at + count]
        at += count
        if not known:
            out.append(None)
        elif "build_array" in call.name:
            out.append("[" + ", ".join("null" if item is None else item for item in row) + "]")
        else:
            out.append(_pairs_text(call, row, binary))
    return pa.array(out, pa.string())


def _pairs_text(call: Call, row: list[str | None], binary: bool) -> str:
    if len(row) % 2:
        name = call.name.removesuffix("_variadic")
        raise InvalidParameterValue("argument list must have even number of elements",
                                    hint=f"The arguments of {name}() must consist of alternating keys and values.")
    texts: list[str] = []
    for position, item in enumerate(row):
        if position % 2:
            texts.append("null" if item is None else item)
        elif item is None:
            raise _no_key(position + 1, binary)
        else:
            texts.append(item if item.startswith('"') else f'"{item}"')
    if binary:
        return _object_text(texts)
    return "{" + ", ".join(f"{key} : {value}" for key, value in zip(texts[::2], texts[1::2], strict=True)) + "}"


def object_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_object and jsonb_object of one text array (pairs, or a table of two columns) or of two."""
    arrays = [column(arg, rows) for arg in args]
    dims = [_dimensions(array) for array in arrays]
    values = [_items(array) for array in arrays]
    binary = call.type.name == "jsonb"
    out: list[str | None] = []
    for row in range(rows):
        items = [column_[row] for column_ in values]
        if any(item is None for item in items):
            out.append(None)
            continue
        shape = [column_[row] for column_ in dims]
        if len(args) == 1:
            keys, members = _halves(items[0] or [], shape[0])
        else:
            if any(len(of) > 1 for of in shape):
                raise ArraySubscriptError("wrong number of array subscripts")
            keys, members = items[0] or [], items[1] or []
            if len(keys) != len(members):
                raise ArraySubscriptError("mismatched array dimensions")
        if any(key is None for key in keys):
            raise NullNotAllowed("null value not allowed for object key")
        texts = ["null" if one is None else json_text.quoted(one)
                 for pair in zip(keys, members, strict=True) for one in pair]
        out.append(_object_text(texts) if binary else "{" + ", ".join(
            f"{key} : {value}" for key, value in zip(texts[::2], texts[1::2], strict=True)) + "}")
    return pa.array(out, pa.string())


def _halves(items: list[Any], shape: tuple[int, ...]) -> tuple[list[Any], list[Any]]:
    if len(shape) == 1 and len(items) % 2:
        raise ArraySubscriptError("array must have even number of elements")
    if len(shape) == 2 and shape[1] != 2:
        raise ArraySubscriptError("array must have two columns")
    if len(shape) > 2:
        raise ArraySubscriptError("wrong number of array subscripts")
    return items[::2], items[1::2]


def _dimensions(array: pa.Array) -> list[tuple[int, ...]]:
    """The size of each dimension."""
    if shapes.is_shaped(array):
        return [() if dims is None else tuple(dims[::2]) for dims in shapes.dims_of(array)]
    return [(len(value),) if value else () for value in array.to_pylist()]


def _items(array: pa.Array) -> list[list[Any] | None]:
    return shapes.values_of(array) if shapes.is_shaped(array) else array.to_pylist()


def empty_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Scalar:
    return pa.scalar("[]" if call.name.endswith("array") else "{}")


def lines_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_lines(object): a member to a line, as row_to_json(row, true) gives it. A helper of the binder."""
    flags = views.values(column(args[1], rows))
    out = [text if text is None or not flag else "{" + ",\n ".join(
        f"{json_text.quoted(name or '')}:{text[start:end]}" for name, start, end in json_text.members(text, 0)) + "}"
           for text, flag in zip(column(args[0], rows).to_pylist(), np.asarray(flags).tolist(), strict=True)]
    return pa.array(out, pa.string())


for _type in ("json", "jsonb"):
    for _name, _kernel in (("array", build_array_kernel), ("object", build_object_kernel)):
        declare(f"{_type}_build_{_name}", f"-> {_type}", strict=False, volatility="stable", raises=False,
                kernel=empty_kernel, family="json")
        declare(f"{_type}_build_{_name}", f"any -> {_type}", variadic=True, strict=False, volatility="stable",
                kernel=_kernel, shapes=True, family="json")
        declare(f"{_type}_build_{_name}_variadic", f"anyarray -> {_type}", hidden=True, volatility="stable",
                kernel=spread_kernel, shapes=True, family="json")
    declare(f"{_type}_object", f"_text -> {_type}", f"_text _text -> {_type}", kernel=object_kernel, shapes=True,
            family="json", example=f"{_type}_object('{{a, 1, b, 2}}')")
    declare(f"to_{_type}", f"anyelement -> {_type}", volatility="stable", raises=False, kernel=convert_kernel, shapes=True,
            family="json")
declare("array_to_json", "anyarray -> json", "anyarray bool -> json", volatility="stable", raises=False,
        kernel=array_kernel, shapes=True, family="json")
declare("json_lines", "json bool -> json", hidden=True, raises=False, kernel=lines_kernel, family="json")
