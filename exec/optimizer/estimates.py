"""What is estimated of a node's rows and columns, and where values lie on a number line."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterable
from typing import Any

from shoal.catalog.types import SqlType
from shoal.exec.plan.expr import Literal

_WIDTHS = {"bool": 1.0, "int2": 2.0, "int4": 4.0, "date": 4.0, "float4": 4.0}
_EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()


class ColumnEstimate:
    """See the module's head. `base_rows` are the rows of the table the column comes from and `relation` that
    table (0: computed); `key`: unique there; `guessed`: nothing but the range told of the distinct values."""

    __slots__ = ("aggregated", "base_rows", "domain", "guessed", "high", "key", "low", "ndv", "nulls", "relation", "width")

    def __init__(self, ndv: float, domain: float, nulls: float = 0.0, low: float | None = None, high: float | None = None,
                 width: float = 8.0, relation: int = 0, base_rows: float = math.inf, key: bool = False,
                 guessed: bool = False, aggregated: bool = False) -> None:
        self.ndv, self.domain = ndv or 1.0, domain or 1.0  # an empty table's columns have none, and others divide by them
        self.nulls, self.low, self.high, self.width = nulls, low, high, width
        self.relation, self.base_rows, self.key = relation, base_rows, key
        self.guessed, self.aggregated = guessed, aggregated

    def narrowed(self, ndv: float, low: float | None, high: float | None, share: float) -> ColumnEstimate:
        """After a filter on this very column that leaves `ndv` values, `share` of its domain."""
        return ColumnEstimate(max(ndv, 1.0), max(self.domain * share, 1.0), 0.0, low, high, self.width, self.relation,
                              self.base_rows, self.key, self.guessed, self.aggregated)

    def thinned(self, rows: float, share: float) -> ColumnEstimate:
        """After something else left `share` of `rows` rows."""
        ndv = self.ndv
        if share >= 1.0 or ndv <= 1.0:
            return self
        kept = ndv * share if rows <= ndv * 1.01 else ndv * (1.0 - (1.0 - share) ** (rows / ndv))
        return ColumnEstimate(max(kept, 1.0), self.domain, self.nulls, self.low, self.high, self.width, self.relation,
                              self.base_rows, self.key, self.guessed, self.aggregated)


class Estimate:
    """Rows of a node and statistics of its columns by id."""

    __slots__ = ("columns", "known", "rows")

    def __init__(self, rows: float, columns: dict[int, ColumnEstimate], known: bool = True) -> None:
        self.rows, self.columns, self.known = max(rows, 0.0), columns, known

    def column(self, id: int) -> ColumnEstimate:
        found = self.columns.get(id)
        return found if found is not None else ColumnEstimate(max(self.rows * 0.1, 1.0), max(self.rows * 0.1, 1.0))

    def width(self, ids: Iterable[int]) -> float:
        """Bytes of one row of these columns."""
        columns = self.columns
        return sum(columns[i].width if i in columns else 8.0 for i in ids) + 1.0

    def thinned(self, share: float) -> dict[int, ColumnEstimate]:
        if share >= 1.0:
            return self.columns
        rows = self.rows
        return {i: c.thinned(rows, share) for i, c in self.columns.items()}


def type_width(sql_type: SqlType) -> float:
    """Bytes of a value of this type in a batch; a guess for strings."""
    return _WIDTHS.get(sql_type.name, 20.0 if sql_type.is_string else 8.0)


def position(value: Any) -> float | None:
    """A Python value on a number line that orders as its SQL type does; None where there is none."""
    if value is None:
        return None
    if isinstance(value, (bool, int, float)):
        return float(value) if not isinstance(value, float) or math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, datetime.datetime):
        return (value.replace(tzinfo=None) - datetime.datetime(1970, 1, 1)).total_seconds() * 1e6
    if isinstance(value, datetime.date):
        return float(value.toordinal() - _EPOCH_DAY)
    if isinstance(value, str):
        return float(int.from_bytes(value.encode()[:6].ljust(6, b"\0"), "big"))
    return None


def literal_position(literal: Literal) -> float | None:
    value = literal.value
    if literal.type.varies:
        return None if value is None else float(value)
    if literal.type.name == "numeric" and isinstance(value, int):
        return value / 10.0 ** (literal.type.scale or 0)
    return position(value) if not isinstance(value, (tuple, list)) else None
