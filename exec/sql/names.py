"""The names PostgreSQL gives to result columns that have no label (hop 2).

Spec: gram.y's FigureColname: a column's or function's own name, a type's name for a cast of something nameless,
"case", "array", "exists" ..., else "?column?".
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from shoal.catalog.types import OIDS, SQL_ALIASES
from shoal.exec.sql import syntax as s
from shoal.exec.sql.syntax_json import JsonConstructor, JsonConversion, JsonQuery

UNNAMED = "?column?"


def output_name(node: Any) -> str:
    """The column name of a select-list expression without a label."""
    return _figure(node)[0] or UNNAMED


def index_name(node: Any) -> str:
    """The name of an index's column that is this expression."""
    return _figure(node)[0] or "expr"


def _figure(node: Any) -> tuple[str, int]:
    """A name and how good it is: 2 for a real name, 1 for a makeshift, 0 for none."""
    match node:
        case s.Name():
            return node.parts[-1], 2
        case s.Star() if node.qualifier:
            return node.qualifier[-1], 2
        case s.FieldOf():
            return node.name, 2
        case s.Function():
            return node.label or node.name[-1], 2
        case s.Subscript() | s.Collate():
            return _figure(node.arg)
        case s.Cast():
            name, strength = _figure(node.arg)
            return (name, strength) if strength > 1 else (_type_label(node.type), 1)
        case s.Case():
            name, strength = _figure(node.default) if node.default is not None else ("", 0)
            return (name, strength) if strength > 1 else ("case", 1)
        case JsonConstructor():
            return f"json_{node.kind}", 2
        case JsonConversion():
            return node.kind, 2
        case JsonQuery():
            return f"json_{node.kind}", 2
        case s.Array():
            return "array", 2
        case s.Row():
            return "row", 2
        case s.Subquery():
            if node.kind != "scalar":
                return node.kind, 2
            return _first_target(node.query)
    return "", 0


def _first_target(query: Any) -> tuple[str, int]:
    while isinstance(query, (exp.Subquery, exp.SetOperation)):
        query = query.this
    if isinstance(query, exp.Values):
        return "column1", 2
    targets = query.args.get("expressions") if isinstance(query, exp.Select) else None
    if not targets:
        return "", 0
    target = targets[0]
    return (target.label, 2) if target.label else _figure(target.arg)


def _type_label(written: s.TypeName) -> str:
    name = written.name if written.name in OIDS and written.quoted else SQL_ALIASES.get(written.name, written.name)
    return name
