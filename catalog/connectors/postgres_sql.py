"""The remote SQL that the postgres connector sends: its only generator, so that quoting is done in one place.

COPY takes no bind parameters, so constants become literals quoted by libpq's own rules (psycopg.sql.Literal), each
with an explicit type. Text is ordered remotely as Shoal orders it: by code point, COLLATE "C".
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from psycopg import Connection, sql

from shoal.catalog.connector import Predicate, TableHandle
from shoal.catalog.connectors.postgres_types import RemoteColumn
from shoal.catalog.expressions import SourceColumn, SourceConstant, SourceExpression, tokens
from shoal.catalog.types import SqlType

Condition = tuple[str, str, tuple[str, ...], str, str]
"""(column, operator, values as text, type name or "", form): a predicate as JSON. Form: "", "text" or "C"."""

Written = tuple[str | tuple[str | None, str], ...]
"""An expression as JSON: SQL text, and between it the constants, as (text, type name)."""

EXPRESSION_TYPES = frozenset({"bool", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "date",
                              "time", "timestamp", "timestamptz"})
_SYMBOLS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "like": "LIKE", "not_like": "NOT LIKE"}
_MOST_VALUES = 1000
"""Longer IN lists are left to Shoal."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def identifier(*names: str) -> str:
    return sql.Identifier(*names).as_string(None)


def literal(value: str, connection: Connection[Any] | None) -> str:
    return sql.Literal(value).as_string(connection)


def condition_of(predicate: Predicate, column: RemoteColumn) -> Condition | None:
    """The predicate for the remote side, or None where it could decide otherwise than Shoal does."""
    operator, name = predicate.operator, column.type.name
    if operator in ("is_null", "is_not_null"):
        return column.name, operator, (), "", ""
    values = [value for value in predicate.values if value is not None]
    if operator != "in" and len(values) != len(predicate.values):
        return None
    if len(values) > _MOST_VALUES:
        return None
    equality = operator in ("eq", "ne", "in")
    if operator in ("like", "not_like"):
        pattern = values[0]
        usable = isinstance(pattern, str) and "\0" not in pattern and name in ("text", "varchar") and column.exact_equality
        trailing = len(pattern) - len(pattern.rstrip("\\")) if isinstance(pattern, str) else 0
        if not usable or trailing % 2:
            return None
        return column.name, operator, (pattern,), "text", "text" if column.native else ""
    if column.type.is_string:
        if not all(isinstance(value, str) and "\0" not in value for value in values):
            return None
        if column.native:
            return (column.name, operator, tuple(values), "text", "text") if equality else None
        if name == "uuid":
            return (column.name, operator, tuple(values), "uuid", "") if all(map(_UUID.match, values)) else None
        if name not in ("text", "varchar", "bpchar", "name") or not (column.exact_equality or not equality):
            return None
        if not equality and (name == "name" or not column.comparable):
            return None
        return (column.name, operator, tuple(values), "bpchar" if name == "bpchar" else "text",
                "" if equality or column.c_order else "C")
    texts: list[str] = []
    cast = ""
    for value in values:
        made = _constant(value, column.type)
        if made is None:
            return None
        texts.append(made[0])
        cast = made[1] if not cast or cast in ("int4", "int8") else cast
    return column.name, operator, tuple(texts), cast, ""


def _constant(value: Any, sql_type: SqlType) -> tuple[str, str] | None:
    """(text, type) of a value that PostgreSQL compares with others of `sql_type` just as Shoal does."""
    name = sql_type.name
    match value:
        case bool():
            return ("true" if value else "false", "bool") if name == "bool" else None
        case int() if name in ("int2", "int4", "int8", "numeric", "oid"):
            if name == "numeric" or abs(value) >= 1 << 63:
                return str(value), "numeric"
            return str(value), "int4" if abs(value) < 1 << 31 and name != "int8" else "int8"
        case decimal.Decimal() if name in ("int2", "int4", "int8", "numeric") and value.is_finite():
            return f"{value:f}", "numeric"
        case float() if name in ("float4", "float8"):
            single = name == "float4" and (math.isnan(value) or float(np.float32(value)) == value)
            return repr(value), "float4" if single else "float8"
        case datetime.datetime():
            if name == "timestamp" and value.tzinfo is None:
                return value.isoformat(" "), "timestamp"
            if name == "timestamptz" and value.tzinfo is not None:
                return value.astimezone(datetime.UTC).isoformat(" "), "timestamptz"
            return None
        case datetime.date():
            return (value.isoformat(), "date") if name == "date" else None
        case datetime.time():
            return (value.isoformat(), "time") if name == "time" else None
    return None


def written(expression: SourceExpression, columns: Mapping[str, RemoteColumn]) -> Written | None:
    """The expression for the remote side, or None where it could give something else there than in Shoal."""
    parts = list(tokens(expression))
    used = {part.name for part in parts if isinstance(part, SourceColumn)}
    if not all(name in columns and columns[name].standard and not columns[name].native for name in used):
        return None
    strings = [columns[name] for name in used if columns[name].type.is_string]
    # one collation for all: different ones do not go together, and their order is to be that of the code points
    collate = "" if len(strings) == 1 and strings[0].c_order and strings[0].exact_equality else ' COLLATE "C"'
    made: list[str | tuple[str | None, str]] = []
    for part in parts:
        if isinstance(part, SourceConstant):
            text = _text_of(part)
            if text is None and part.value is not None:
                return None
            made.append((text, part.type.name))
            continue
        if isinstance(part, SourceColumn):
            part = identifier(part.name) + (collate if columns[part.name].type.is_string else "")
        if made and isinstance(made[-1], str):
            made[-1] += part
        else:
            made.append(part)
    return tuple(made)


def _text_of(constant: SourceConstant) -> str | None:
    """A constant's text, None where it has none that is sure to be read as the same value."""
    value = constant.value
    if constant.type.is_string:
        return value if isinstance(value, str) and "\0" not in value else None
    found = _constant(value, constant.type)
    return None if found is None else found[0]


def written_sql(parts: Written, connection: Connection[Any] | None = None) -> str:
    return "".join(part if isinstance(part, str) else f"NULL::{part[1]}" if part[0] is None
                   else f"{literal(part[0], connection)}::{part[1]}" for part in parts)


def condition_sql(condition: Condition, connection: Connection[Any] | None = None) -> str:
    name, operator, values, cast, form = condition
    left = identifier(name) + {"": "", "text": "::text", "C": ' COLLATE "C"'}[form]
    if operator == "is_null":
        return f"{left} IS NULL"
    if operator == "is_not_null":
        return f"{left} IS NOT NULL"
    constants = [f"{literal(value, connection)}::{cast}" for value in values]
    if operator == "in":
        return f"{left} IN ({', '.join(constants)})" if constants else "FALSE"
    return f"{left} {_SYMBOLS[operator]} {constants[0]}"


def select(handle: TableHandle, columns: Sequence[str] | None, split: Mapping[str, Any] | None = None,
           more: Sequence[Condition] = (), connection: Connection[Any] | None = None) -> str:
    """The SELECT for a table handle: the columns asked for (None: *, none of them: count(*)), what was pushed down,
    and a split's range of blocks."""
    conditions = [condition_sql(condition, connection) for condition in (*handle.state.get("where", ()), *more)]
    conditions += [written_sql(parts, connection) for parts in handle.state.get("expressions", ())]
    first, last = (split.get("first"), split.get("last")) if split else (None, None)
    if first is not None:
        conditions.append(f"ctid >= '({int(first)},0)'::tid")
    if last is not None:
        conditions.append(f"ctid < '({int(last)},0)'::tid")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {int(handle.state['limit'])}" if "limit" in handle.state else ""
    source = f"FROM {identifier(handle.schema, handle.name)}{where}{limit}"
    if columns is None or columns:
        return f"SELECT {'*' if columns is None else ', '.join(map(identifier, columns))} {source}"
    return f"SELECT count(*) FROM (SELECT {source}) AS counted" if limit else f"SELECT count(*) {source}"
