"""The functions of SQL: registry, resolution, casts, text forms. One module for each family of chapter 9."""

from shoal.exec.functions import (
                                  aggregates,
                                  arithmetic,
                                  arrays,
                                  binary_strings,
                                  bits,
                                  catalog,
                                  comparison,
                                  conditional,
                                  conversion,
                                  datetime,
                                  formatting,
                                  json,
                                  logic,
                                  math,
                                  network,
                                  quantified,
                                  ranges,
                                  regex,
                                  row_order,
                                  rows,
                                  sampling,
                                  sending,
                                  sequences,
                                  sets,
                                  strings,
                                  subqueries,
                                  system,
                                  time_precision,
                                  timetz,
                                  transitions,
                                  user_types,
                                  window,
)
from shoal.exec.functions.casts import cast_context, cast_result, common_type, literal_type, parse_literal, parse_type
from shoal.exec.functions.registry import Function, Resolution, all_functions, exact, find
from shoal.exec.functions.resolution import resolve_function, resolve_operator

quantified.declare_all()

FAMILIES = (comparison, sending, logic, conditional, conversion, arithmetic, math, strings, binary_strings, regex, bits,
            datetime, time_precision, timetz, formatting, arrays, ranges, network, rows, row_order, sampling, user_types,
            json, system, catalog, sequences, aggregates, transitions, window, sets, subqueries)

__all__ = ["FAMILIES", "Function", "Resolution", "all_functions", "cast_context", "cast_result", "common_type", "exact",
           "find",
           "literal_type", "parse_literal", "parse_type", "resolve_function", "resolve_operator"]
