"""Physical values (exec/plan/expr.py) as Arrow scalars and arrays, and array elements as physical values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog import scaled, specials
from shoal.catalog.types import ShapedArray, SqlType, storage_type
from shoal.exec.kernels import decimals, shapes, views


def scalar_of(value: Any, sql_type: SqlType) -> pa.Scalar:
    """A physical value as an Arrow scalar of the type's storage form (numeric: int64 where it fits)."""
    if sql_type.varies:
        return pa.scalar(None, storage_type(sql_type)) if value is None else scaled.normalized(pa.array([value]))[0]
    if sql_type.name == "numeric":
        return decimals.scalar(None if value is None else int(value), sql_type.scale or 0)
    if value is None:
        return pa.scalar(None, storage_type(sql_type))
    return array_of_values([value], sql_type)[0]


def array_of_values(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """Physical values as a column in the type's storage form."""
    if sql_type.varies:
        return scaled.normalized(pa.array(values, pa.string()))
    if sql_type.name == "numeric":
        mask = np.array([v is not None for v in values], np.bool_)
        data = np.array([int(v) if v is not None else 0 for v in values], object)
        return decimals.packed(data, sql_type.scale or 0, None if mask.all() else mask, specials_too=True)
    if any(isinstance(value, ShapedArray) for value in values):
        items = [value.items if isinstance(value, ShapedArray) else value for value in values]
        dims = [None if v is None else v.dims if isinstance(v, ShapedArray) else (len(v), 1) if v else () for v in values]
        return shapes.made(array_of_values(items, sql_type), dims)
    if sql_type.name == "_numeric":
        return _numeric_lists(values, sql_type)
    return pa.array([arrow_value(v, sql_type) for v in values], storage_type(sql_type))


def _numeric_lists(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """pa.array takes no NaN and no infinities among decimals."""
    if sql_type.element.varies:
        return pa.array(values, storage_type(sql_type))
    items = array_of_values([item for value in values if value is not None for item in value], sql_type.element)
    ends = np.cumsum([0 if value is None else len(value) for value in values], dtype=np.int32)
    valid = np.array([value is not None for value in values], np.bool_)
    wide = specials.placed(items, np.zeros(len(items)), sql_type.element.scale or 0)
    return pa.Array.from_buffers(storage_type(sql_type), len(values), [
        None if valid.all() else views.bitmap(valid), pa.py_buffer(np.concatenate([np.zeros(1, np.int32), ends]))],
                                 children=[wide])


def arrow_value(value: Any, sql_type: SqlType) -> Any:
    """A physical value as pa.array takes it for the type's storage form."""
    if value is None:
        return None
    name = sql_type.name
    if name == "interval":
        return pa.MonthDayNano([value[0], value[1], value[2]])
    if name == "bytea":
        return bytes.fromhex(value) if isinstance(value, str) else value
    if sql_type.varies:
        return value
    if name == "numeric":
        import decimal
        return decimal.Decimal(int(value)).scaleb(-(sql_type.scale or 0), decimal.Context(prec=100))
    if sql_type.is_array:
        return [arrow_value(item, sql_type.element) for item in value]
    return value


def array_of_constant(value: pa.Scalar) -> pa.Array:
    """One row of a scalar."""
    if not value.is_valid:
        return pa.nulls(1, value.type)
    return pa.repeat(value, 1)


def physical(array: pa.Array, row: int, sql_type: SqlType) -> Any:
    """One element as a physical value."""
    scalar = array[row]
    if pa.types.is_dictionary(array.type):
        scalar = scalar.value if scalar.is_valid else scalar
    return physical_of(scalar, sql_type) if scalar.is_valid else None


def physical_of(scalar: pa.Scalar, sql_type: SqlType) -> Any:
    if not scalar.is_valid:
        return None
    name = sql_type.name
    if sql_type.varies:
        return scaled.texts(pa.repeat(scalar, 1))[0].as_py()
    if name == "numeric":
        return decimals.unscaled(scalar, specials_too=True)
    if name == "interval":
        value = scalar.as_py()
        return [value.months, value.days, value.nanoseconds]
    if name == "bytea":
        return scalar.as_py().hex()
    if pa.types.is_struct(scalar.type):
        dims = scalar["dims"].as_py()
        return shapes.physical_shape(physical_of(scalar["items"], sql_type), tuple(dims))
    if sql_type.is_array or pa.types.is_list(scalar.type):
        element = sql_type.element if sql_type.is_array else SqlType("int8")
        return [physical_of(item, element) for item in scalar.values]
    if hasattr(scalar, "value") and not pa.types.is_dictionary(scalar.type):
        return scalar.value
    return scalar.as_py()


def zeros(rows: int, arrow: pa.DataType) -> pa.Array:
    return views.array_of(np.zeros(rows), arrow)
