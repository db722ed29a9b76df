"""JSON_TABLE in FROM: a TableFunction whose description of columns is a constant (hop 2).

    TableFunction json_table_of(row type, description, document, variables and defaults ...)

Spec: PostgreSQL 17 documentation, 9.16.4 "JSON_TABLE".
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from shoal.catalog.errors import DuplicateAlias, FeatureNotSupported
from shoal.catalog.types import BOOL, INT4, RECORD, TEXT, SqlType
from shoal.exec.functions.json_text import quoted
from shoal.exec.plan.expr import Literal
from shoal.exec.plan.nodes import Field, TableFunction
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_json as sj
from shoal.exec.sql.context import fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.json_expressions import Defaults, checked_path, document_of, passed, spec_of
from shoal.exec.sql.type_names import resolve_type


def table_call(b: ExpressionBinder, item: sj.JsonTable) -> tuple[tuple[str, tuple[Any, ...]], list[Field]]:
    """The call that TableFunction makes, and the columns it gives."""
    document = document_of(b, item.arg)
    if not isinstance(item.path, s.Constant) or item.path.kind != "string":
        fail(FeatureNotSupported, "only string constants are supported in JSON_TABLE path specification", item.path.pos)
    passing = passed(b, item.passing)
    defaults = Defaults(b, 3 + len(passing))
    fields: list[tuple[str, SqlType]] = []
    description = {"path": checked_path(item.path.value), "columns": _columns(b, item.definitions, fields, defaults),
                   "names": [name for _, name in item.passing],
                   "strict": item.error is not None and item.error.kind == "error"}
    shape = Literal(replace(RECORD, fields=tuple(fields)), None)
    args = (shape, Literal(TEXT, json.dumps(description)), document, *passing, *defaults.exprs)
    return ("json_table_of", args), [b.context.field(name, of) for name, of in fields]


def _columns(b: ExpressionBinder, columns: list[sj.JsonColumn], fields: list[tuple[str, SqlType]],
             defaults: Defaults) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for column in columns:
        if column.kind == "nested":
            found.append({"kind": "nested", "path": checked_path(column.path or "$"),
                          "columns": _columns(b, column.columns, fields, defaults)})
            continue
        if any(name == column.name for name, _ in fields):
            fail(DuplicateAlias, f"duplicate JSON_TABLE column or path name: {column.name}", column.pos)
        target = INT4 if column.type is None else resolve_type(column.type, b.context)
        place = len(fields)
        fields.append((column.name, target))
        if column.kind == "ordinality":
            found.append({"kind": "ordinality", "place": place})
            continue
        options = column.options
        kind: str = column.kind
        if kind == "exists" and not (target == BOOL or target.is_integer or target.is_string):
            fail(FeatureNotSupported, f"cannot cast behavior expression of type boolean to {target.sql}", column.pos)
        if kind == "value" and (column.json or options.wrapper or options.quotes or target.is_array or target.name in (
                "json", "jsonb", "record")):
            kind = "query"
        path = checked_path(column.path if column.path is not None else f"$.{quoted(column.name)}")
        found.append({**spec_of(kind, options, target, defaults, column.pos), "place": place, "path": path,
                      "name": column.name})
    return found


def table_function(base: Any, b: ExpressionBinder, item: sj.JsonTable) -> TableFunction:
    """The plan node over the row that `base()` gives once the arguments are bound."""
    made, fields = table_call(b, item)
    return TableFunction(base(), (made,), tuple(fields), None)
