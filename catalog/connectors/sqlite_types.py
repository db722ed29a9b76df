"""SQLite's columns as Shoal's types. SQLite lets any value into any column, so the declared type is only a wish:
a column gets the first type of a list of candidates that its (sampled) values all convert to, text in the end.

Spec: sqlite.org/datatype3.html; dates as sqlite.org/lang_datefunc.html writes them.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import (
    BOOL,
    BYTEA,
    DATE,
    FLOAT8,
    INT8,
    MAX_INT64_DIGITS,
    TEXT,
    TIME,
    TIMESTAMP,
    SqlType,
    numeric,
    storage_type,
)

_FLOAT_DIGITS = 15
"""A double holds any decimal of so many digits and gives it back."""


@dataclass(frozen=True, slots=True)
class SqliteType:
    """`mixed`: values of several storage classes, shown as their text."""

    sql: SqlType
    mixed: bool = False

    def to_json(self) -> tuple[Any, ...]:
        return self.sql.name, self.sql.precision, self.sql.scale, self.mixed

    @staticmethod
    def from_json(fields: Sequence[Any]) -> SqliteType:
        name, precision, scale, mixed = fields
        return SqliteType(SqlType(name, precision, scale), mixed)


MIXED = SqliteType(TEXT, mixed=True)


def candidates(declared: str) -> tuple[SqliteType, ...]:
    """Types that a column declared so may have, the best first; the last one takes every value."""
    name = declared.upper().partition("(")[0].strip()
    modifiers = [int(number) for number in re.findall(r"\d+", declared.partition("(")[2])]
    if name in ("DECIMAL", "NUMERIC", "DEC") and modifiers and 0 < modifiers[0] <= 38:
        scale = modifiers[1] if len(modifiers) > 1 else 0
        if scale <= modifiers[0]:
            return _listed(numeric(modifiers[0], scale), FLOAT8)
    if name in ("BOOL", "BOOLEAN"):
        return _listed(BOOL, INT8, FLOAT8)
    if name == "DATE":
        return _listed(DATE, TIMESTAMP, TEXT, INT8, FLOAT8)
    if name.startswith(("DATETIME", "TIMESTAMP")):
        return _listed(TIMESTAMP, TEXT, INT8, FLOAT8)
    if name == "TIME":
        return _listed(TIME, TEXT, INT8, FLOAT8)
    # the affinity rules of datatype3.html, 3.1
    if "INT" in name:
        return _listed(INT8, FLOAT8)
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return _listed(TEXT)
    if "BLOB" in name:
        return _listed(BYTEA, TEXT, INT8, FLOAT8)
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return _listed(FLOAT8)
    if name in ("NUMERIC", "DECIMAL", "DEC", "NUMBER"):
        return _listed(INT8, FLOAT8)
    return _listed(TEXT, INT8, FLOAT8, BYTEA)


def _listed(*types: SqlType) -> tuple[SqliteType, ...]:
    return (*map(SqliteType, types), MIXED)


def convert(values: Sequence[Any], kind: SqliteType) -> pa.Array:
    """Python values as sqlite3 gives them, in storage form. Raises: ValueError or TypeError (pyarrow's own errors are
    such) where one does not conform."""
    if kind.mixed:
        return pa.array([None if value is None else _text(value) for value in values], pa.string())
    match kind.sql.name:
        case "bool":
            integers = pa.array(values, pa.int64())
            if pc.any(pc.greater(pc.bit_wise_and(integers, ~1), 0)).as_py() or pc.any(pc.less(integers, 0)).as_py():
                raise ValueError("not a boolean")
            return pc.cast(integers, pa.bool_())
        case "numeric":
            return _numerics(values, kind.sql)
        case "text":
            inferred = pa.array(values)  # asked for strings it would take BLOBs as well
            if not pa.types.is_string(inferred.type) and not pa.types.is_null(inferred.type):
                raise TypeError("not text alone")
            return inferred.cast(pa.string())
        case "bytea":
            if any(isinstance(value, str) for value in values):
                raise TypeError("text is no BLOB")
        case "time":  # Arrow casts no text to times, but reads timestamps
            stamps = pc.binary_join_element_wise("1970-01-01", pa.array(values, pa.string()), " ")
            return pc.cast(stamps, pa.timestamp("us")).view(pa.int64()).view(pa.time64("us"))
        case "date" | "timestamp":
            return pc.cast(pa.array(values, pa.string()), storage_type(kind.sql))
    return pa.array(values, storage_type(kind.sql))


def _numerics(values: Sequence[Any], sql_type: SqlType) -> pa.Array:
    """Decimals that SQLite keeps as integers, doubles or (with too many digits for these) text."""
    precision, scale = sql_type.precision or 0, sql_type.scale or 0
    if precision <= _FLOAT_DIGITS and not any(isinstance(value, str) for value in values):
        doubles = pa.array(values, pa.float64())
        wanted = doubles.fill_null(0.0).to_numpy(zero_copy_only=False)
        unscaled = np.rint(wanted * 10.0 ** scale)
        if not ((unscaled / 10.0 ** scale == wanted) & (np.abs(unscaled) < 10.0 ** precision)).all():
            raise ValueError("a value has more digits than declared")
        mask = np.asarray(doubles.is_null()) if doubles.null_count else None
        return pa.array(unscaled.astype(np.int64), pa.int64(), mask=mask)
    decimals = []
    for value in values:
        if isinstance(value, bytes):
            raise TypeError("a BLOB is no number")
        try:
            decimals.append(None if value is None else decimal.Decimal(repr(value) if isinstance(value, float) else value))
        except decimal.InvalidOperation:
            raise ValueError("not a number") from None
    if precision > MAX_INT64_DIGITS:
        return pa.array(decimals, pa.decimal128(38, scale))
    context = decimal.Context(prec=80, traps=[decimal.Inexact])
    limit = 10 ** precision
    unscaled_values = []
    for value in decimals:
        whole = None if value is None else value.scaleb(scale, context)
        if whole is not None and (whole != whole.to_integral_value() or abs(whole) >= limit):
            raise ValueError("a value has more digits than declared")
        unscaled_values.append(None if whole is None else int(whole))
    return pa.array(unscaled_values, pa.int64())


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return value if isinstance(value, str) else repr(value)
