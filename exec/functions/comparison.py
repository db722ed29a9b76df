"""Comparison operators, IS [NOT] DISTINCT FROM, and IN lists.

Spec: PostgreSQL 15 documentation, 9.2 "Comparison Functions and Operators" and 9.24.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import BOOL, MULTIRANGES, RANGES
from shoal.exec.functions.registry import declare
from shoal.exec.functions.spelling import Spelling, Spellings, alike, everywhere, spelled
from shoal.exec.kernels import nulls, views
from shoal.exec.kernels.comparing import compare
from shoal.exec.plan.expr import Call


def compare_kernel(call: Call, args: list[Any], rows: int, context: Any) -> np.ndarray:
    return compare(call.name, args[0], args[1], call.args[0].type, call.args[1].type, context.time_zone)


def distinct_kernel(call: Call, args: list[Any], rows: int, context: Any) -> np.ndarray:
    """IS [NOT] DISTINCT FROM: never NULL itself."""
    left, right = (_valid(arg, rows) for arg in args)
    both = left & right
    if (isinstance(args[0], pa.Scalar) and not args[0].is_valid) or (isinstance(args[1], pa.Scalar)
                                                                     and not args[1].is_valid):
        same = ~left & ~right
    else:
        equal = compare("eq", args[0], args[1], call.args[0].type, call.args[1].type, context.time_zone)
        same = (both & equal) | ~(left | right)
    return same if call.name == "is_not_distinct" else ~same


def _valid(arg: Any, rows: int) -> np.ndarray:
    if isinstance(arg, pa.Scalar):
        return np.full(rows, arg.is_valid)
    valid = nulls.validity(arg)
    return np.ones(rows, np.bool_) if valid is None else valid


def in_kernel(call: Call, args: list[Any], rows: int, context: Any) -> pa.Array:
    """x IN (...) with list items that are not all constants (those the evaluator prepares once)."""
    found, unknown = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    own = _valid(args[0], rows)
    for arg, item in zip(args[1:], call.args[1:], strict=True):
        valid = own & _valid(arg, rows)
        if isinstance(arg, pa.Scalar) and isinstance(args[0], pa.Scalar):
            left: Any = nulls.spread(args[0], rows)
        else:
            left = args[0]
        if not isinstance(arg, pa.Scalar) or arg.is_valid:
            equal = compare("eq", left, arg, call.args[0].type, item.type, context.time_zone)
            found |= equal & valid
        unknown |= ~valid
    return views.array_of(found, pa.bool_(), found | ~unknown)


_SAME = ["bool", "bpchar", "bytea", "char", "date", "float4", "float8", "int2", "int4", "int8", "interval", "jsonb", "name",
         "numeric", "oid", "oidvector", "record", "text", "time", "timestamp", "timestamptz", "timetz", "uuid", "inet",
         "anyarray", "bit", "varbit", "macaddr", "macaddr8", "tid", *RANGES, *MULTIRANGES]
_CROSSED = [(a, b) for family in (("int2", "int4", "int8"), ("float4", "float8"), ("date", "timestamp", "timestamptz"),
                                  ("name", "text")) for a in family for b in family if a != b]
_PAIRS = [(t, t) for t in _SAME] + _CROSSED
_OPERATORS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

_SPELLED = {*(pair for pair in _CROSSED if pair[0][:3] in ("int", "flo")),
            *((name, name) for name in ("bool", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "date",
                                        "time", "timestamp", "timestamptz"))}


def _spelling(name: str, symbol: str, left: str) -> Spellings:
    """SQLite orders strings by the bytes of its encoding, and knows neither exact numbers nor dates."""
    text = f"({{0}} {symbol} {{1}})"
    return everywhere(text) if left[:3] == "int" or (left == "text" and name in ("eq", "ne")) else spelled(text)


for _name, _symbol in _OPERATORS.items():
    for _left, _right in _PAIRS + ([("xid", "xid"), ("cid", "cid")] if _name in ("eq", "ne") else []):
        declare(_name, f"{_left} {_right}", returns=BOOL, symbol=_symbol, hidden=True, raises=False,
                volatility="stable" if "timestamptz" in (_left, _right) and _left != _right else "immutable",
                kernel=compare_kernel, shapes=True, family="comparison",
                spelled=_spelling(_name, _symbol, _left) if (_left, _right) in _SPELLED else {})

for _name, _symbol in (("lt", "~<~"), ("le", "~<=~"), ("ge", "~>=~"), ("gt", "~>~")):  # by bytes, as all comparison here
    declare(_name, "text text", "bpchar bpchar", returns=BOOL, symbol=_symbol, hidden=True, raises=False,
            kernel=compare_kernel, family="comparison")

declare("is_distinct", "any any", returns=BOOL, strict=False, hidden=True, raises=False,
        kernel=distinct_kernel,
        shapes=True, family="comparison",
        spelled=spelled(Spelling("({0} IS DISTINCT FROM {1})", when=alike), Spelling("({0} IS NOT {1})", when=alike)),
        doc="a IS DISTINCT FROM b: like <>, but NULL is a value of its own.")
declare("is_not_distinct", "any any", returns=BOOL, strict=False, hidden=True, raises=False,
        kernel=distinct_kernel,
        shapes=True, family="comparison",
        spelled=spelled(Spelling("({0} IS NOT DISTINCT FROM {1})", when=alike), Spelling("({0} IS {1})", when=alike)),
        doc="a IS NOT DISTINCT FROM b: like =, but NULL equals NULL.")
declare("in", "any any", returns=BOOL, strict=False, variadic=True, hidden=True, raises=False,
        kernel=in_kernel, shapes=True, family="comparison", spelled=everywhere("({0} IN ({1*, }))", when=alike),
        doc="x IN (a, b, ...): TRUE where one is equal, else NULL where x or one of the list is NULL.")
