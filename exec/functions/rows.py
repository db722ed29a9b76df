"""Composite values: ROW(...), their fields, and rows as JSON objects.

A record is held as PostgreSQL's text form, `(1,"a b",)`; its SqlType says the names and types of its fields. The binder
takes rows apart wherever it can (comparisons, fields, ORDER BY), so that this text is made for output and hardly ever read.

Spec: PostgreSQL 15 documentation, 8.16.6 "Composite Type Input and Output Syntax", 4.2.13, 9.16.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import TEXT, SqlType
from shoal.exec.functions import json_text
from shoal.exec.functions.cast_kernels import conversion
from shoal.exec.functions.json_building import as_json_texts
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import nulls
from shoal.exec.kernels.parameters import column
from shoal.exec.plan.expr import Call, Literal

_SPECIAL = r'["\\(),\s]'
FIELD = re.compile(r'"((?:[^"\\]|\\.|"")*)"|((?:[^",\\()]|\\.)*)')
_ESCAPED = re.compile(r'\\(.)|""', re.DOTALL)


def unescaped(text: str) -> str:
    """The characters of a part of a field as written."""
    return _ESCAPED.sub(lambda m: m.group(1) or '"', text)


def row_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """row(a, b ...) as text."""
    if not args:
        return pa.array(["()"] * rows, pa.string())
    parts: list[Any] = ["("]
    for number, (arg, expr) in enumerate(zip(args, call.args, strict=True)):
        text = nulls.decoded(to_text(column(arg, rows), expr.type, context.settings, context.names))
        doubled = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '""')
        quoted = pc.binary_join_element_wise('"', doubled, '"', "")
        special = pc.or_(pc.match_substring_regex(text, _SPECIAL), pc.equal(pc.binary_length(text), 0))
        parts += [] if number == 0 else [","]
        parts.append(pc.fill_null(pc.if_else(special, quoted, text), ""))
    return pc.binary_join_element_wise(*parts, ")", "")


def fields_of(text: str, count: int) -> list[str | None]:
    """The `count` fields of a record's text form; None for NULL."""
    if count == 0:
        return []
    found: list[str | None] = []
    at = 1
    while at < len(text):
        match = FIELD.match(text, at)
        assert match is not None
        quoted, plain = match.groups()
        if quoted is not None:
            found.append(_ESCAPED.sub(lambda m: m.group(1) or '"', quoted))
        else:
            found.append(_ESCAPED.sub(lambda m: m.group(1) or '"', plain) if plain else None)
        at = match.end() + 1
    return found


def field_columns(records: pa.Array, count: int) -> list[pa.Array]:
    """The texts of each of `count` fields of records without NULL."""
    rows = [fields_of(text, count) for text in records.to_pylist()]
    return [pa.array([row[i] for row in rows], pa.string()) for i in range(count)]


def field_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """The field with this number, from 0, as its own type."""
    number = call.args[1]
    assert isinstance(number, Literal)
    known: dict[str, str | None] = {}
    texts: list[str | None] = []
    for text in nulls.decoded(column(args[0], rows)).to_pylist():
        if text is None:
            texts.append(None)
            continue
        if text not in known:
            known[text] = fields_of(text, number.value + 1)[number.value]
        texts.append(known[text])
    return typed(pa.array(texts, pa.string()), call.type, context)


def typed(array: pa.Array, sql_type: SqlType, context: Any) -> pa.Array:
    """The texts of fields as values of their type."""
    return array if sql_type.is_string else conversion(TEXT, sql_type).run(array, context)


def record_texts(array: pa.Array, fields: Sequence[tuple[str, SqlType]], context: Any) -> list[str | None]:
    """Each record as the text of a JSON object; None for NULL."""
    records = [None if text is None else fields_of(text, len(fields)) for text in nulls.decoded(array).to_pylist()]
    known = [record for record in records if record is not None]
    columns = [as_json_texts(typed(pa.array([record[i] for record in known], pa.string()), sql_type, context), sql_type,
                             len(known), context) for i, (_, sql_type) in enumerate(fields)]
    made = iter(_objects([json_text.quoted(name) for name, _ in fields], columns, len(known)))
    return [None if record is None else next(made) for record in records]


def _objects(names: Sequence[str], columns: Sequence[Sequence[str | None]], rows: int) -> list[str]:
    return ["{" + ",".join(f"{name}:{'null' if v is None else v}" for name, v in zip(names, row, strict=True)) + "}"
            for row in zip(*columns, strict=True)] if columns else ["{}"] * rows


def json_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """json_of_row('name', value, ...): an object with a member for each field."""
    names = [json_text.quoted(expr.value) for expr in call.args[::2] if isinstance(expr, Literal)]
    values = [as_json_texts(arg, expr.type, rows, context) for arg, expr in zip(args[1::2], call.args[1::2], strict=True)]
    made = _objects(names, values, rows)
    return pa.array([json_text.canonical_jsonb(text) for text in made] if call.type.name == "jsonb" else made, pa.string())


declare("row", "any -> record", variadic=True, strict=False, volatility="stable", hidden=True, raises=False,
        kernel=row_kernel, shapes=True, family="row")
declare("record_field", "record int4 -> text", volatility="stable", hidden=True, kernel=field_kernel,
        shapes=True, family="row")
declare("json_of_row", "any -> json", variadic=True, strict=False, volatility="stable", hidden=True, raises=False,
        kernel=json_kernel, shapes=True, family="row")
