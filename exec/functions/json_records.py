"""JSON objects as rows: json_populate_record(set), json_to_record(set) (hop 6).

Fields are made a column at a time: each JSON value as the text that its type reads, arrays and rows inside likewise.
The forms with columns are what a FROM item calls, with a record whose type names the columns.

Spec: PostgreSQL 15 documentation, 9.16.1 (table 9.47); wording of jsonfuncs.c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, InvalidParameterValue, InvalidTextRepresentation
from shoal.catalog.types import TEXT, SqlType
from shoal.exec.functions import json_text
from shoal.exec.functions.cast_kernels import conversion
from shoal.exec.functions.json_kernels import Args, rows_of
from shoal.exec.functions.json_sets import parts_of
from shoal.exec.functions.registry import declare
from shoal.exec.functions.rows import fields_of, row_kernel
from shoal.exec.plan.expr import Call, Literal

Fields = Sequence[tuple[str, SqlType]]
Members = dict[str, str]
_PLAIN_ITEM = re.compile(r'[^\s{}",\\]+')
_NULL_WORD = re.compile("null", re.IGNORECASE)


def _members(text: str) -> Members:
    """An object's members by name, as they are written; of equal names the last."""
    kind, parts = parts_of(text)
    if kind != "object":
        raise InvalidParameterValue(f"cannot call populate_composite on {'an array' if kind == 'array' else 'a scalar'}")
    return {name or "": raw for name, raw in parts}


def populated(fields: Fields, objects: Sequence[Members], defaults: Sequence[Sequence[str | None] | None],
              context: Any) -> list[pa.Array]:
    """A column for each field over these objects; what an object lacks comes from its row of defaults, which are texts.

    Raises: what the fields' types raise for bad texts; InvalidTextRepresentation (22P02) for what is no array.
    """
    columns: list[pa.Array] = []
    for place, (name, sql_type) in enumerate(fields):
        bases = [None if given is None else given[place] for given in defaults]
        texts = texts_of_type([one.get(name) for one in objects], sql_type, name, context, bases)
        for row, one in enumerate(objects):
            if name not in one and bases[row] is not None:
                texts[row] = bases[row]
        columns.append(_typed(texts, sql_type, context))
    return columns


def _typed(texts: Sequence[str | None], sql_type: SqlType, context: Any) -> pa.Array:
    array = pa.array(texts, pa.string())
    if sql_type.name in ("text", "record"):
        return array
    return conversion(TEXT, sql_type, False).run(array, context)


def texts_of_type(raws: Sequence[str | None], sql_type: SqlType, key: str, context: Any,
           bases: Sequence[str | None] = ()) -> list[str | None]:
    """Each JSON value, None for none, as the text that the type reads; JSON's null is NULL. `bases`: what rows in the
    place of these values would be."""
    if sql_type.name in ("json", "jsonb"):
        return [None if raw == "null" else raw for raw in raws]
    if sql_type.is_array:
        return _array_texts(raws, sql_type, key, context)
    if sql_type.name == "record" and sql_type.fields is not None:
        return _record_texts(raws, sql_type, context, bases)
    return [None if raw is None else json_text.unquoted(raw) for raw in raws]


def _record_texts(raws: Sequence[str | None], sql_type: SqlType, context: Any,
                  bases: Sequence[str | None]) -> list[str | None]:
    assert sql_type.fields is not None
    found: list[str | None] = [None] * len(raws)
    objects: list[Members] = []
    defaults: list[Sequence[str | None] | None] = []
    rows: list[int] = []
    for row, raw in enumerate(raws):
        if raw is None or raw == "null":
            continue
        rows.append(row)
        if raw.startswith('"'):
            objects.append({})
            defaults.append(fields_of(json_text.unquoted(raw) or "", len(sql_type.fields)))
        else:
            objects.append(_members(raw))
            defaults.append(_default(bases[row], sql_type.fields) if bases else None)
    made = record_column(sql_type, populated(sql_type.fields, objects, defaults, context), len(rows), context)
    for row, text in zip(rows, made.to_pylist(), strict=True):
        found[row] = text
    return found


def record_column(sql_type: SqlType, columns: list[pa.Array], rows: int, context: Any) -> pa.Array:
    """Rows of these columns as record texts."""
    parts = tuple(Literal(t, None) for _, t in sql_type.fields or ())
    return row_kernel(Call(sql_type, "row", parts), columns, rows, context)


# Arrays

def _array_texts(raws: Sequence[str | None], sql_type: SqlType, key: str, context: Any) -> list[str | None]:
    leaves: list[str | None] = []
    found: list[Any] = []
    for raw in raws:
        if raw is None or raw == "null":
            found.append(None)
        elif raw.startswith('"'):
            found.append(json_text.unquoted(raw))
        else:
            found.append(_Shape(raw, key, leaves))
    texts = texts_of_type(leaves, sql_type.element, key, context)
    if sql_type.element.length is not None:
        texts = _typed(texts, sql_type.element, context).to_pylist()
    return [one.text(texts) if isinstance(one, _Shape) else one for one in found]


class _Shape:
    """A JSON array as nested lists of numbers of `leaves`, in the order they were added."""

    def __init__(self, raw: str, key: str, leaves: list[str | None]) -> None:
        self._key, self._leaves, self._depth = key, leaves, 0
        self._sizes: list[int] = []
        if not raw.startswith("["):
            raise self._no_array(())
        self._items = self._nested(raw, ())

    def _no_array(self, path: tuple[int, ...]) -> InvalidTextRepresentation:
        where = f"the array element {''.join(f'[{i}]' for i in path)} of key" if path else "the value of key"
        return InvalidTextRepresentation("expected JSON array", hint=f'See {where} "{self._key}".')

    def _nested(self, raw: str, path: tuple[int, ...]) -> list[Any]:
        level = len(path)
        items: list[Any] = []
        for number, (_, part) in enumerate(parts_of(raw)[1]):
            deeper = part.startswith("[") and (self._depth == 0 or level + 1 < self._depth)
            if deeper:
                items.append(self._nested(part, (*path, number)))
                continue
            if self._depth == 0:
                self._depth = level + 1
            elif level + 1 < self._depth:
                raise self._no_array((*path, number))
            items.append(len(self._leaves))
            self._leaves.append(part)
        while len(self._sizes) <= level:
            self._sizes.append(-1)
        if self._sizes[level] not in (-1, len(items)):
            raise InvalidTextRepresentation("malformed JSON array", detail=(
                "Multidimensional arrays must have sub-arrays with matching dimensions."))
        self._sizes[level] = len(items)
        return items

    def text(self, texts: Sequence[str | None]) -> str:
        """As array input."""
        return "{}" if 0 in self._sizes else self._written(self._items, texts)

    def _written(self, items: list[Any], texts: Sequence[str | None]) -> str:
        return "{" + ",".join(self._written(item, texts) if isinstance(item, list) else _array_item(texts[item])
                              for item in items) + "}"


def _array_item(text: str | None) -> str:
    if text is None:
        return "NULL"
    if _PLAIN_ITEM.fullmatch(text) and not _NULL_WORD.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# Kernels

def _fields(call: Call) -> Fields:
    """The fields of the row that a call's first argument is or stands for."""
    given = call.args[0].type
    if given.fields is None:
        raise _unknown_row(call.name)
    return given.fields


def _unknown_row(name: str) -> FeatureNotSupported:
    return FeatureNotSupported(f"could not determine row type for result of {name}", hint=(
        "Provide a non-null record argument, or call the function in the FROM clause using a column definition list."))


def _default(base: str | None, fields: Fields) -> list[str | None] | None:
    return None if base is None else fields_of(base, len(fields))


def _single(call: Call, args: Args, rows: int, context: Any) -> tuple[list[int], list[pa.Array]]:
    """The rows that have an object or a base, and their columns."""
    fields = _fields(call)
    bases, texts = rows_of(args, rows)
    present = [row for row in range(rows) if texts[row] is not None or bases[row] is not None]
    objects = [{} if texts[row] is None else _members(texts[row]) for row in present]
    return present, populated(fields, objects, [_default(bases[row], fields) for row in present], context)


def record_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """json_populate_record(base, json) as a value."""
    present, columns = _single(call, args, rows, context)
    made = record_column(call.args[0].type, columns, len(present), context)
    places = np.full(rows, -1)
    places[present] = np.arange(len(present))
    return made.take(pa.array(places, mask=places < 0))


def record_columns_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    """json_populate_record and json_to_record in FROM: one row for each, NULLs where there is nothing."""
    present, columns = _single(call, args, rows, context)
    places = np.full(rows, -1)
    places[present] = np.arange(len(present))
    spread = pa.array(places, mask=places < 0)
    return np.ones(rows, np.int64), tuple(column.take(spread) for column in columns)


def _many(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, list[pa.Array], int]:
    fields = _fields(call)
    bases, texts = rows_of(args[:2], rows)
    name = args[2].as_py() if len(args) > 2 else call.name
    counts = np.zeros(rows, np.int64)
    objects: list[Members] = []
    defaults: list[Sequence[str | None] | None] = []
    for row, text in enumerate(texts):
        if text is None:
            continue
        kind, parts = parts_of(text)
        if kind != "array":
            what = "a non-array" if name.startswith("jsonb") else "an object" if kind == "object" else "a scalar"
            raise InvalidParameterValue(f"cannot call {name} on {what}")
        counts[row] = len(parts)
        for _, part in parts:
            if not part.startswith("{"):
                raise InvalidParameterValue(f"argument of {name} must be an array of objects")
            objects.append(_members(part))
        defaults += [_default(bases[row], fields)] * len(parts)
    return counts, populated(fields, objects, defaults, context), len(objects)


def recordset_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    """json_populate_recordset(base, json) as values."""
    counts, columns, total = _many(call, args, rows, context)
    return counts, (record_column(call.args[0].type, columns, total, context),)


def recordset_columns_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    """json_populate_recordset and json_to_recordset in FROM."""
    counts, columns, _ = _many(call, [pa.repeat(arg, rows) if isinstance(arg, pa.Scalar) else arg for arg in args[:2]]
                               + [args[2][0] if isinstance(args[2], pa.Array) and rows else pa.scalar("")], rows, context)
    return counts, tuple(columns)


def untyped_kernel(call: Call, args: Args, rows: int, context: Any) -> Any:
    """json_to_record and json_to_recordset where nothing says what the row is."""
    raise _unknown_row(call.name)


def _row_type(name: str) -> Any:
    def returns(types: Sequence[SqlType]) -> SqlType:
        if types[0].name != "record":
            raise DatatypeMismatch(f"first argument of {name} must be a row type")
        return types[0]
    return returns


IN_FROM = {f"{_type}_{_what}_record{_set}": f"{_type}_record{_set}_columns"
           for _type in ("json", "jsonb") for _what in ("to", "populate") for _set in ("", "set")}
"""Functions whose result has columns, and the form of them that FROM calls with (base row, json[, name])."""

for _type in ("json", "jsonb"):
    declare(f"{_type}_populate_record", f"anyelement {_type}", returns=_row_type(f"{_type}_populate_record"), strict=False,
            volatility="stable", kernel=record_kernel, family="json")
    declare(f"{_type}_populate_recordset", f"anyelement {_type}", returns=_row_type(f"{_type}_populate_recordset"),
            strict=False, volatility="stable", kind="set", kernel=recordset_kernel, family="json")
    declare(f"{_type}_to_record", f"{_type} -> record", volatility="stable", kernel=untyped_kernel, family="json")
    declare(f"{_type}_to_recordset", f"{_type} -> record", strict=False, volatility="stable", kind="set",
            kernel=untyped_kernel, family="json")
    declare(f"{_type}_record_columns", f"record {_type} -> record", strict=False, volatility="stable", kind="set",
            hidden=True, kernel=record_columns_kernel, family="json")
    declare(f"{_type}_recordset_columns", f"record {_type} text -> record", strict=False, volatility="stable", kind="set",
            hidden=True, kernel=recordset_columns_kernel, family="json")
