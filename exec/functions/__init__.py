"""The functions of SQL: registry, resolution, casts, text forms. One module for each family of chapter 9."""

from shoal.exec.functions import (
                                  aggregates,
                                  arithmetic,
                                  arrays,
                                  catalog,
                                  comparison,
                                  conditional,
                                  conversion,
                                  datetime,
                                  formatting,
                                  json,
                                  logic,
                                  math,
                                  regex,
                                  rows,
                                  sequences,
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

FAMILIES = (comparison, logic, conditional, conversion, arithmetic, math, strings, regex, datetime, time_precision,
            formatting, arrays, rows, json, system, catalog, sequences, aggregates, window, sets, subqueries)

__all__ = ["FAMILIES", "Function", "Resolution", "all_functions", "cast_context", "cast_result", "common_type", "exact",
           "find",
           "literal_type", "parse_literal", "parse_type", "resolve_function", "resolve_operator"]
