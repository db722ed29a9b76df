"""Comparison of two columns, or a column and a constant, as a boolean numpy mask (rows under NULL: anything).

Strings compare by bytes (collation C), char(n) without trailing blanks; NaN equals NaN and exceeds every number;
intervals compare with months of 30 days and days of 24 hours; dates become timestamps, in the session's zone where
the other side has one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog import specials
from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import OID_LIKE, ORDERED_BY_KEY, SqlType
from shoal.exec.kernels import arrays, concat, decimals, nulls, scaled, shapes, sorting, text_order, views
from shoal.exec.kernels.timezones import date_to_timestamp, local_to_utc

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}
SWAPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_ARROW = {"eq": pc.equal, "ne": pc.not_equal, "lt": pc.less, "le": pc.less_equal, "gt": pc.greater, "ge": pc.greater_equal}
_TEMPORAL = ("date", "timestamp", "timestamptz")
Arg = Any
"""pa.Array | pa.Scalar."""


def compare(name: str, left: Arg, right: Arg, left_type: SqlType, right_type: SqlType, zone: str) -> np.ndarray:
    """The mask of `left name right`; at least one side is an array."""
    if isinstance(left, pa.Scalar):
        return compare(SWAPPED[name], right, left, right_type, left_type, zone)
    kind = left_type.name
    if kind == "numeric" and (left_type.varies or right_type.varies):
        return np.asarray(OPERATORS[name](scaled.compared(scaled.read(left, left_type), scaled.read(right, right_type)), 0))
    if kind == "numeric":
        return _numeric(name, left, right, left_type, right_type)
    if kind in ("int2", "int4", "int8", "bool", "time", "tid") or kind in OID_LIKE:
        return OPERATORS[name](views.values(left), raw(right))
    if kind in ("float4", "float8"):
        return compare_floats(name, views.values(left), raw(right))
    if kind in _TEMPORAL:
        return _temporal(name, left, right, kind, right_type.name, zone)
    if kind == "interval":
        return _lexicographic(name, *interval_keys(left), *interval_keys(right))
    if kind in ORDERED_BY_KEY:
        return text_order.compare(OPERATORS[name], kind, nulls.decoded(left), right)
    if kind == "jsonb":
        return _json(name, nulls.decoded(left), right)
    if kind == "bytea" or left_type.is_string:
        if "bpchar" in (kind, right_type.name):
            left, right = without_blanks(left), without_blanks(right)
        found = _ARROW[name](nulls.decoded(left), nulls.decoded(right) if isinstance(right, pa.Array) else right)
        return views.values(found)
    if left_type.is_array or kind in ("int2vector", "oidvector"):
        return _lists(name, left, right, left_type, right_type)
    raise FeatureNotSupported(f"comparison of type {left_type} is not supported")


def raw(arg: Arg) -> Any:
    """The numpy view of an array, or the raw Python value of a fixed-width scalar (NULL: 0)."""
    if isinstance(arg, pa.Array):
        return views.values(arg)
    if not arg.is_valid:
        return 0
    return arg.value if hasattr(arg, "value") else arg.as_py()


def compare_floats(name: str, left: np.ndarray, right: Any) -> np.ndarray:
    found = OPERATORS[name](left, right)
    left_nan = len(left) > 0 and np.isnan(left.min())
    right_nan = bool(np.isnan(right)) if not isinstance(right, np.ndarray) else len(right) > 0 and np.isnan(right.min())
    if not left_nan and not right_nan:
        return found
    # order by (is NaN, value): NaN is one value above all others
    a, b = np.isnan(left), np.isnan(right)
    either = a | b
    return np.where(either, OPERATORS[name](a.astype(np.int8), np.asarray(b).astype(np.int8)), found)


def _numeric(name: str, left: pa.Array, right: Arg, left_type: SqlType, right_type: SqlType) -> np.ndarray:
    a, b = decimals.unscaled(left, specials_too=True), decimals.unscaled(right, specials_too=True)
    left_scale, right_scale = left_type.scale or 0, right_type.scale or 0
    if isinstance(b, int):
        if b in specials.TEXTS:
            return OPERATORS[name](a, b).astype(np.bool_, copy=False)
        while right_scale > left_scale and b % 10 == 0:
            b, right_scale = b // 10, right_scale - 1
        if right_scale > left_scale:  # between two values of the column: no row can be equal
            b = b // decimals.POWERS[right_scale - left_scale]
            name = {"lt": "le", "ge": "gt"}.get(name, name)
            if name in ("eq", "ne"):
                return np.full(len(left), name == "ne")
            return OPERATORS[name](a, b).astype(np.bool_, copy=False)
        b *= decimals.POWERS[left_scale - right_scale]
        b = max(min(b, decimals.POWERS[76]), -decimals.POWERS[76])  # below Infinity, above all that columns hold
        return OPERATORS[name](a, b).astype(np.bool_, copy=False)
    if left_scale < right_scale:
        a = decimals.rescaled(a, right_scale - left_scale, views.validity(left))
    elif right_scale < left_scale:
        b = decimals.rescaled(b, left_scale - right_scale, views.validity(right) if isinstance(right, pa.Array) else None)
    if left_scale != right_scale:
        a, b = _beyond(a, left), _beyond(b, right)
    return OPERATORS[name](a, b).astype(np.bool_, copy=False)


def _beyond(data: Any, array: pa.Array) -> Any:
    """Rescaled numbers with the special values of the column as integers beyond all of them, the same for every scale."""
    found = specials.stand_ins(array)
    if found is None:
        return data
    data = data.copy()
    for place, where in enumerate((found == -np.inf, found == np.inf, np.isnan(found))):
        data[where] = (-1, 1, 2)[place] << 1000
    return data


def _temporal(name: str, left: pa.Array, right: Arg, left_kind: str, right_kind: str, zone: str) -> np.ndarray:
    if left_kind == right_kind:
        return OPERATORS[name](views.values(left), raw(right))
    a, b = raw(left), raw(right)
    if left_kind == "date":
        a = date_to_timestamp(a, saturate=True)
    if right_kind == "date":
        b = date_to_timestamp(b, saturate=True)
    if left_kind == "timestamptz" and right_kind != "timestamptz":
        b = local_to_utc(b, zone)
    elif right_kind == "timestamptz" and left_kind != "timestamptz":
        a = local_to_utc(a, zone)
    return OPERATORS[name](a, b)


DAY_US = 86_400_000_000


def interval_keys(arg: Arg) -> tuple[Any, Any]:
    """An interval's length as whole days and the microseconds left: what equality, order and grouping go by."""
    if isinstance(arg, pa.Scalar):
        value = arg.as_py()
        months, days, us = (value.months, value.days, value.nanoseconds) if value is not None else (0, 0, 0)
        return months * 30 + days + us // DAY_US, us % DAY_US
    fields = views.values(arg)
    us = fields["f2"]
    extra = us // DAY_US
    return fields["f0"].astype(np.int64) * 30 + fields["f1"] + extra, us - extra * DAY_US


def _lexicographic(name: str, high_a: Any, low_a: Any, high_b: Any, low_b: Any) -> np.ndarray:
    if name == "eq":
        return (high_a == high_b) & (low_a == low_b)
    if name == "ne":
        return (high_a != high_b) | (low_a != low_b)
    strict = OPERATORS["lt" if name in ("lt", "le") else "gt"]
    return strict(high_a, high_b) | ((high_a == high_b) & OPERATORS[name](low_a, low_b))


def without_blanks(arg: Arg) -> Arg:
    """char(n) values without trailing blanks, as all but its output sees them."""
    return pc.utf8_rtrim(nulls.decoded(arg) if isinstance(arg, pa.Array) else arg, characters=" ")


def _json(name: str, left: pa.Array, right: Arg) -> np.ndarray:
    """jsonb by value: numbers of different digits can be equal."""
    from shoal.exec.functions.json_text import order_key
    keys: dict[str | None, Any] = {}

    def key(text: str | None) -> Any:
        if text not in keys:
            keys[text] = order_key(text)
        return keys[text]
    other = nulls.decoded(right).to_pylist() if isinstance(right, pa.Array) else [right.as_py()] * len(left)
    test = OPERATORS[name]
    return np.fromiter((a is not None and b is not None and test(key(a), key(b))
                        for a, b in zip(left.to_pylist(), other, strict=True)), np.bool_, count=len(left))


def _lists(name: str, left: pa.Array, right: Arg, left_type: SqlType, right_type: SqlType) -> np.ndarray:
    rows, other = len(left), right if isinstance(right, pa.Array) else pa.repeat(right, 1)
    sql_type = left_type
    if left_type.name == "_numeric" and left_type.element.scale != right_type.element.scale:
        sql_type = next((one for one in (left_type, right_type) if one.element.varies), None) or \
            max(left_type, right_type, key=lambda one: one.element.scale or 0)
        left, other = _rescaled(left, left_type, sql_type), _rescaled(other, right_type, sql_type)
    codes = sorting.ranks(concat.together([left, other]), sql_type)
    return OPERATORS[name](codes[:rows], codes[rows:])


def _rescaled(array: pa.Array, sql_type: SqlType, target: SqlType) -> pa.Array:
    items = shapes.items_of(array)
    counts, flat = arrays.flattened(items)
    values = arrays.as_element(flat, sql_type.element, target.element)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    return shapes.with_items(array, arrays.list_array(ends, values, nulls.validity(items)))
