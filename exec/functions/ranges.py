"""Functions and operators of ranges and multiranges.

Spec: PostgreSQL 15 documentation, 9.20 "Range/Multirange Functions and Operators".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import DataException, NullNotAllowed, SqlSyntaxError
from shoal.catalog.types import MULTIRANGES, RANGES, SqlType, storage_type
from shoal.exec.functions.registry import declare
from shoal.exec.functions.text_output import to_text
from shoal.exec.kernels import nulls, ranges, views
from shoal.exec.kernels.parameters import column
from shoal.exec.kernels.ranges import Multirange, Range
from shoal.exec.plan.expr import Call

Args = list[Any]
_FLAGS = {"[)": (True, False), "(]": (False, True), "[]": (True, True), "()": (False, False)}


def keys_of(array: pa.Array, element: SqlType, context: Any) -> list[Any]:
    """The keys (see kernels/ranges.py) of a column of bounds; None for NULL."""
    if element.name == "numeric":
        texts = nulls.decoded(to_text(array, element, context.settings)).to_pylist()
        return [None if text is None else (1, Decimal(0)) if text == "NaN" else (0, Decimal(text)) for text in texts]
    valid = views.validity(array)
    data = views.values(array).astype(np.int64).tolist()
    return data if valid is None else [key if known else None for key, known in zip(data, valid.tolist(), strict=True)]


def array_of_keys(keys: list[Any], element: SqlType, context: Any) -> pa.Array:
    """A column of bounds from their keys."""
    if element.name == "numeric":
        from shoal.exec.functions.text_input import parse_column
        texts = [None if key is None else ranges.bound_text(key, "numeric") for key in keys]
        return parse_column(pa.array(texts, pa.string()), element, context)
    valid = np.array([key is not None for key in keys], np.bool_)
    return views.array_of(np.array([0 if key is None else key for key in keys], np.int64), storage_type(element), valid)


def _values(arg: Any, sql_type: SqlType, rows: int, context: Any) -> list[Any]:
    """Each row's value as the kernels take it, None for NULL."""
    name = sql_type.name
    if sql_type.is_array:
        inner = sql_type.element
        return [None if items is None else [None if item is None else ranges.range_of(item, inner.name) for item in items]
                for items in column(arg, rows).to_pylist()]
    if name in RANGES or name in MULTIRANGES:
        read: Callable[[str, str], Any] = ranges.range_of if name in RANGES else ranges.multirange_of
        if isinstance(arg, pa.Scalar):
            text = arg.as_py()
            return [None if text is None else read(text, name)] * rows
        return [None if text is None else read(text, name) for text in nulls.decoded(arg).to_pylist()]
    array = column(arg, rows)
    return array.to_pylist() if name in ("text", "bool") else keys_of(array, sql_type, context)


def _result(found: list[Any], sql_type: SqlType, context: Any) -> Any:
    name = sql_type.name
    if name == "bool":
        return views.array_of(np.array([bool(value) for value in found], np.bool_), pa.bool_())
    if name in RANGES:
        return pa.array([None if value is None else ranges.text_of(value, name) for value in found], pa.string())
    if name in MULTIRANGES:
        return pa.array([None if value is None else ranges.multirange_text(value, name) for value in found], pa.string())
    return array_of_keys(found, sql_type, context)


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that calls `function` with the values of each row where none is NULL."""
    def kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
        columns = [_values(arg, expr.type, rows, context) for arg, expr in zip(args, call.args, strict=True)]
        found = [None if any(value is None for value in row) else function(*row) for row in zip(*columns, strict=True)]
        return _result(found, call.type, context)
    return kernel


def _constructed(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """int4range(lower, upper [, '[)']): a NULL bound is infinite."""
    kind = call.type.name
    lower, upper = (_values(arg, expr.type, rows, context) for arg, expr in zip(args[:2], call.args[:2], strict=True))
    flags = column(args[2], rows).to_pylist() if len(args) > 2 else ["[)"] * rows
    if None in flags:
        raise DataException("range constructor flags argument must not be null")
    unknown = next((flag for flag in flags if flag not in _FLAGS), None)
    if unknown is not None:
        raise SqlSyntaxError("invalid range bound flags", hint='Valid values are "[]", "[)", "(]", and "()".')
    return _result([ranges.make(kind, a, b, *_FLAGS[flag]) for a, b, flag in zip(lower, upper, flags, strict=True)],
                   call.type, context)


def _collected(*values: Any) -> Multirange:
    """multirange(VARIADIC ranges): also of one array."""
    items = values[0] if len(values) == 1 and isinstance(values[0], list) else list(values)
    if None in items:
        raise NullNotAllowed("multirange values cannot contain null members")
    return ranges.normalized(items)


def _collected_kernel(call: Call, args: Args, rows: int, context: Any) -> pa.Array:
    """Several ranges, none of them NULL."""
    columns = [_values(arg, expr.type, rows, context) for arg, expr in zip(args, call.args, strict=True)]
    return _result([_collected(*row) for row in zip(*columns, strict=True)], call.type, context)


def unnest_kernel(call: Call, args: Args, rows: int, context: Any) -> tuple[np.ndarray, tuple[pa.Array, ...]]:
    values = _values(args[0], call.args[0].type, rows, context)
    counts = np.array([0 if value is None else len(value) for value in values], np.int64)
    return counts, (_result([one for value in values if value is not None for one in value], call.type, context),)


def _multi(value: Any) -> Multirange:
    """A range as a multirange of it."""
    return value if type(value) is tuple else () if value.empty else (value,)


def _whole(value: Any) -> Range:
    """What a range or multirange spans."""
    return value if isinstance(value, Range) else ranges.span(value)


def _both(function: Callable[[Multirange, Multirange], Any]) -> Callable[..., Any]:
    return lambda a, b: function(_multi(a), _multi(b))


def _spans(function: Callable[[Range, Range], bool]) -> Callable[..., bool]:
    return lambda a, b: function(_whole(a), _whole(b))


def _contains(a: Any, b: Any) -> bool:
    if isinstance(a, Range) and isinstance(b, Range):
        return ranges.contains(a, b)
    return ranges.multi_contains(_multi(a), _multi(b))


def _contains_value(a: Any, key: Any) -> bool:
    return any(ranges.contains_value(one, key) for one in _multi(a))


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(b, a)


def _adjacent(a: Any, b: Any) -> bool:
    if isinstance(a, Range) and isinstance(b, Range):
        return ranges.adjacent(a, b)
    return ranges.multi_adjacent(_multi(a), _multi(b))


def _overlaps(a: Any, b: Any) -> bool:
    return ranges.multi_overlaps(_multi(a), _multi(b))


_TESTS: tuple[tuple[str, str, Callable[..., bool]], ...] = (
    ("contains", "@>", _contains), ("contained_by", "<@", _swapped(_contains)), ("overlaps", "&&", _overlaps),
    ("before", "<<", _spans(ranges.before)), ("after", ">>", _spans(_swapped(ranges.before))),
    ("overleft", "&<", _spans(ranges.overleft)), ("overright", "&>", _spans(ranges.overright)),
    ("adjacent", "-|-", _adjacent))


def _bound(side: str) -> Callable[[Any], Any]:
    return lambda value: getattr(_whole(value), side)


_PROPERTIES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("isempty", lambda value: _whole(value).empty, "Whether nothing is in it."),
    ("lower_inc", lambda value: _whole(value).lower_inc, "Whether the lower bound is part of it."),
    ("upper_inc", lambda value: _whole(value).upper_inc, "Whether the upper bound is part of it."),
    ("lower_inf", lambda value: not _whole(value).empty and _whole(value).lower is None, "Whether it has no lower bound."),
    ("upper_inf", lambda value: not _whole(value).empty and _whole(value).upper is None, "Whether it has no upper bound."))

for _multi_name, _range in MULTIRANGES.items():
    _element = RANGES[_range]
    _volatility: Any = "immutable"
    for _name, _symbol, _test in _TESTS:
        declare(f"range_{_name}", f"{_range} {_range} -> bool", f"{_multi_name} {_multi_name} -> bool",
                f"{_range} {_multi_name} -> bool", f"{_multi_name} {_range} -> bool", symbol=_symbol, hidden=True,
                raises=False, kernel=each(_test), generic=True, family="range")
    declare("range_contains", f"{_range} {_element} -> bool", f"{_multi_name} {_element} -> bool", symbol="@>", hidden=True,
            raises=False, kernel=each(_contains_value), generic=True, family="range")
    declare("range_contained_by", f"{_element} {_range} -> bool", f"{_element} {_multi_name} -> bool", symbol="<@",
            hidden=True, raises=False, kernel=each(_swapped(_contains_value)), generic=True, family="range")
    for _name, _symbol, _range_form, _multirange_form in (
            ("range_union", "+", ranges.union, lambda a, b: ranges.normalized((*a, *b))),
            ("range_intersect", "*", ranges.intersection, ranges.multi_intersection),
            ("range_minus", "-", ranges.difference, ranges.multi_difference)):
        declare(_name, f"{_range} {_range} -> {_range}", symbol=_symbol, hidden=True, kernel=each(_range_form),
                family="range")
        declare(_name, f"{_multi_name} {_multi_name} -> {_multi_name}", symbol=_symbol, hidden=True, raises=False,
                kernel=each(_multirange_form), family="range")
    declare("range_merge", f"{_range} {_range} -> {_range}", raises=False, kernel=each(ranges.merged), family="range",
            doc="The smallest range that includes both, or all of a multirange.",
            example="range_merge(int4range(1, 3), int4range(5, 7))")
    declare("range_merge", f"{_multi_name} -> {_range}", raises=False, kernel=each(ranges.span), family="range")
    for _name in ("lower", "upper"):
        declare(_name, f"{_range} -> {_element}", f"{_multi_name} -> {_element}", raises=False, kernel=each(_bound(_name)),
                family="range", doc=f"The {_name} bound; NULL where it is infinite or nothing is in it.",
                example=f"{_name}(int4range(1, 5))")
    for _name, _property, _doc in _PROPERTIES:
        declare(_name, f"{_range} -> bool", f"{_multi_name} -> bool", raises=False, kernel=each(_property), family="range",
                doc=_doc, example=f"{_name}(int4range(1, 5))")
    declare(_range, f"{_element} {_element} -> {_range}", f"{_element} {_element} text -> {_range}", strict=False,
            kernel=_constructed, family="range", doc="A range from its bounds; [) unless said otherwise.")
    declare(_multi_name, f"-> {_multi_name}", raises=False, family="range", doc="A multirange of these ranges.",
            kernel=lambda call, args, rows, context: pa.array(["{}"] * rows, pa.string()))
    declare(_multi_name, f"{_range} -> {_multi_name}", family="range", kernel=each(_collected))
    declare(_multi_name, f"{_range} {_range} -> {_multi_name}", variadic=True, strict=False, family="range",
            kernel=_collected_kernel)
    declare(_multi_name, f"_{_range} -> {_multi_name}", hidden=True, family="range", kernel=each(_collected))
    declare("multirange", f"{_range} -> {_multi_name}", raises=False, kernel=each(_multi), family="range",
            doc="A multirange of one range.", example="multirange(int4range(1, 5))")
    declare("unnest", f"{_multi_name} -> {_range}", kind="set", raises=False, kernel=unnest_kernel, family="set",
            doc="The ranges of a multirange.")
    for _name in ("range_agg", "range_intersect_agg"):
        _given = _range if _name == "range_intersect_agg" else _multi_name
        declare(_name, f"{_range} -> {_given}", f"{_multi_name} -> {_multi_name}", kind="aggregate", family="aggregate",
                doc="What is in any of the ranges." if _name == "range_agg" else "What is in all of the ranges.")
