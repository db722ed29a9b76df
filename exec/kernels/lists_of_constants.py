"""x IN (constants): the list is prepared once, then whole columns are tested against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.catalog.types import OID_LIKE, SqlType
from shoal.exec.kernels import decimals, nulls, scaled, views
from shoal.exec.kernels.comparing import without_blanks

_FEW = 6
_INTEGERS = frozenset({"int2", "int4", "int8", "bool", "date", "time", "timestamp", "timestamptz", "tid"}) | OID_LIKE


class ConstantList:
    """The values that are not NULL, of one type, in the physical form of exec/plan/expr.py."""

    def __init__(self, values: Sequence[Any], sql_type: SqlType) -> None:
        self.type = sql_type
        self.values = list(dict.fromkeys(values))
        self._table: Any = None

    @staticmethod
    def handles(sql_type: SqlType) -> bool:
        return sql_type.name in _INTEGERS or sql_type.name in ("numeric", "float4", "float8") or sql_type.is_string

    def test(self, array: pa.Array) -> np.ndarray:
        """The mask of rows whose value is in the list (rows under NULL: anything)."""
        kind = self.type.name
        if self.type.is_string:
            if self._table is None:
                texts = [v.rstrip(" ") for v in self.values] if kind == "bpchar" else self.values
                self._table = pa.array(texts, pa.string())
            plain = without_blanks(array) if kind == "bpchar" else nulls.decoded(array)
            if len(self.values) == 1:
                return views.values(pc.equal(plain, self._table[0]))
            return views.values(pc.is_in(plain, value_set=self._table))
        if self.type.varies:
            if self._table is None:
                self._table = scaled.order_keys(pa.array(self.values, pa.string()), self.type)
            return views.values(pc.is_in(scaled.order_keys(array, self.type), value_set=self._table))
        if kind == "numeric":
            data: Any = decimals.unscaled(array, specials_too=True)
        else:
            data = views.values(array)
        if not self.values:
            return np.zeros(len(data), np.bool_)
        if kind in ("float4", "float8"):
            found = np.isin(data, np.array(self.values, data.dtype))
            if any(v != v for v in self.values):
                found |= np.isnan(data)
            return found
        if data.dtype == object:
            wanted = set(self.values)
            return np.fromiter((v in wanted for v in data.tolist()), np.bool_, count=len(data))
        if len(self.values) <= _FEW:
            found = data == self.values[0]
            for value in self.values[1:]:
                found |= data == value
            return np.asarray(found, np.bool_)
        if self._table is None:
            info = np.iinfo(np.int64)
            self._table = np.sort(np.array([int(v) for v in self.values if info.min <= int(v) <= info.max], np.int64))
        return np.isin(data, self._table.astype(data.dtype) if data.dtype == np.bool_ else self._table)
