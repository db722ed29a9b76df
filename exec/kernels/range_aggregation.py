"""range_agg and range_intersect_agg: all ranges or multiranges of a group, united or intersected at its end.

Spec: PostgreSQL 15 documentation, 9.21.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import RANGES
from shoal.exec.kernels import nulls, ranges
from shoal.exec.kernels.aggregation_values import Finish


def collected_ranges(given: str, result: str, intersect: bool) -> Finish:
    """The end of an aggregate over values of type `given`, which are not NULL."""
    def value(texts: list[str]) -> str:
        if given in RANGES:
            values = [ranges.range_of(text, given) for text in texts]
            return ranges.text_of(reduce(ranges.intersection, values), result) if intersect else ranges.multirange_text(
                ranges.normalized(values), result)
        sets = [ranges.multirange_of(text, given) for text in texts]
        found: Any = reduce(ranges.multi_intersection, sets) if intersect else ranges.normalized(
            one for members in sets for one in members)
        return ranges.multirange_text(found, result)

    def finish(columns: list[pa.Array], starts: np.ndarray, ends: np.ndarray) -> pa.Array:
        texts = nulls.decoded(columns[0]).to_pylist()
        return pa.array([value(texts[start:end]) if start < end else None
                         for start, end in zip(starts.tolist(), ends.tolist(), strict=True)], pa.string())
    return finish
