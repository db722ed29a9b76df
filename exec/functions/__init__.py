"""The functions of SQL: registry, resolution, casts, text forms. One module for each family of chapter 9.

Workers know a plan's functions by name and load the families that few queries need when one of theirs is asked for; the
planner loads all (registry.py).
"""

from shoal.exec.functions import (
    aggregates,
    arithmetic,
    arrays,
    comparison,
    conditional,
    conversion,
    datetime,
    logic,
    math,
    registry,
    sets,
    strings,
    subqueries,
    system,
    time_precision,
    window,
)
from shoal.exec.functions.casts import cast_context, cast_result, common_type, literal_type, parse_literal, parse_type
from shoal.exec.functions.registry import Function, Resolution, all_functions, exact, find
from shoal.exec.functions.resolution import resolve_function, resolve_operator

FAMILIES = (comparison, logic, conditional, conversion, arithmetic, math, strings, datetime, time_precision, arrays, system,
            aggregates, window, sets, subqueries)
"""Loaded with the package."""

registry.defer("sending", "binary_strings", "regex", "bits", "timetz", "formatting", "ranges", "network", "rows",
               "row_order", "sampling", "user_types", "positioned", "json", "catalog", "sequences", "transitions",
               "quantified", "tids", "hashes")

__all__ = ["FAMILIES", "Function", "Resolution", "all_functions", "cast_context", "cast_result", "common_type", "exact",
           "find",
           "literal_type", "parse_literal", "parse_type", "resolve_function", "resolve_operator"]
