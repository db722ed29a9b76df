"""Texts of ranges and multiranges as a session shows them: dates in its DateStyle, instants in its time zone.

Batches hold the canonical text (kernels/ranges.py), which is already what most sessions show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from shoal.catalog.types import MULTIRANGES, RANGES, SqlType, storage_type
from shoal.exec.kernels import ranges, views

if TYPE_CHECKING:
    from shoal.exec.plan.fragment import TaskSettings


def styled(array: pa.Array, kind: str, settings: TaskSettings) -> pa.Array:
    """The texts of a column of ranges or multiranges, once for each distinct value where they must be made."""
    element = RANGES[MULTIRANGES.get(kind, kind)]
    if element not in ("date", "timestamp", "timestamptz") or (
            settings.styles.date == "ISO" and (element != "timestamptz" or settings.time_zone == "UTC")):
        return array
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    shown = [None if text is None else _styled(text, kind, element, settings) for text in encoded.dictionary.to_pylist()]
    return pa.array(shown, pa.string()).take(encoded.indices)


def _styled(text: str, kind: str, element: str, settings: TaskSettings) -> str:
    if kind in MULTIRANGES:
        inner = MULTIRANGES[kind]
        return "{" + ",".join(_styled(part, inner, element, settings) for part in ranges.multirange_parts(text)) + "}"
    value = ranges.range_of(text, kind)
    if value.empty:
        return text
    lower, upper = (None if key is None else _bound(key, element, settings) for key in (value.lower, value.upper))
    return ranges.text_of_bounds(lower, upper, value.lower_inc, value.upper_inc)


def _bound(key: int, element: str, settings: TaskSettings) -> str:
    from shoal.exec.functions.text_output import to_text
    sql_type = SqlType(element)
    wide = pa.array([key], pa.int64())
    return str(to_text(views.array_of(views.values(wide), storage_type(sql_type)), sql_type, settings)[0].as_py())
