"""to_char() over a column of timestamps: each part of the template over the few values it depends on, then joined.

MI depends on 60 values whatever the timestamps are, YYYY-MM-DD on the days among them; so a template costs a few lookups and
one concatenation a row. Spec: PostgreSQL 15 documentation, 9.8 "Data Type Formatting Functions".
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shoal.exec.kernels.formatting import Part, date_parts, format_parts, timestamp_clock
from shoal.exec.kernels.timezones import DAY_US, INFINITY, MINUS_INFINITY, SECOND_US

_MINUTE_US, _HOUR_US = 60 * SECOND_US, 3600 * SECOND_US
_HALVES: Final = ("AM", "PM", "A.M.", "P.M.")
_DEPENDS_ON: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(("HH24", "HH12", "HH", *_HALVES, *map(str.lower, _HALVES)), (_HOUR_US, DAY_US)),
    "MI": (_MINUTE_US, _HOUR_US), "SS": (SECOND_US, _MINUTE_US), "SSSS": (SECOND_US, DAY_US), "SSSSS": (SECOND_US, DAY_US),
    "MS": (1000, SECOND_US), "US": (1, SECOND_US),
    **{f"FF{digits}": (10 ** (6 - digits), SECOND_US) for digits in range(1, 7)}}
"""(unit, period) in microseconds: the part is the same for timestamps in the same unit of any period."""
_DAY: Final = (DAY_US, 0)
"""What all other parts depend on; period 0: no two are alike."""
_TABLE_KEYS: Final = 1 << 20


def format_timestamps(local: np.ndarray, valid: np.ndarray | None, template: str) -> pa.Array:
    """Texts of local timestamps (int64 microseconds since 1970); NULL for infinite ones. The template has no zone."""
    known = (local != INFINITY) & (local != MINUS_INFINITY)
    known = known if valid is None else known & valid
    local = np.where(known, local, 0)
    columns = [_column(local, known, *key, parts) for key, parts in _runs(date_parts(template))]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, "")


def _runs(parts: tuple[Part, ...]) -> list[tuple[tuple[int, int], list[Part]]]:
    """The template cut where what the text depends on changes; literal text goes with what stands before it."""
    runs: list[tuple[tuple[int, int], list[Part]]] = []
    for part in parts:
        key = _DEPENDS_ON.get(part.keyword, _DAY) if part.keyword else runs[-1][0] if runs else None
        if runs and key == runs[-1][0]:
            runs[-1][1].append(part)
        else:
            runs.append((key or _DAY, [part]))
    return runs or [(_DAY, [])]


def _column(local: np.ndarray, known: np.ndarray, unit: int, period: int, parts: list[Part]) -> pa.Array:
    keys = (local % period if period else local) // unit
    low = int(keys.min()) if len(keys) else 0
    if len(keys) and int(keys.max()) - low < _TABLE_KEYS:
        present = np.zeros(int(keys.max()) - low + 1, np.bool_)
        present[keys - low] = True
        distinct, codes = np.flatnonzero(present) + low, (np.cumsum(present) - 1)[keys - low]
    else:
        distinct, codes = np.unique(keys, return_inverse=True)
    texts = [format_parts(timestamp_clock(key * unit), parts) for key in distinct.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(codes, mask=~known))
