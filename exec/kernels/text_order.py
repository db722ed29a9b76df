"""Types that batches hold as texts but that order (and some compare equal) otherwise than by their bytes: keys from texts.

Each distinct text is looked at once. Spec: the comparison functions of PostgreSQL 15 (timetz_cmp, network_cmp, range_cmp,
multirange_cmp); text forms are those of kernels/timetz.py, kernels/network.py and kernels/ranges.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from shoal.catalog.types import MULTIRANGES

NORMALIZED = frozenset({"numrange", "nummultirange", "jsonb"})
"""Equal values can have different texts: [1.0,2) and [1,2)."""


@lru_cache(maxsize=65536)
def key_of(kind: str, text: str) -> Any:
    """What values of `kind` are ordered and equal by; Python imports only what the kind needs."""
    if kind == "timetz":
        from shoal.exec.kernels import timetz
        return timetz.order_keys(*timetz.parts_of(text))
    if kind in ("inet", "cidr"):
        from shoal.exec.kernels import network
        return network.order_key(text)
    if kind == "jsonb":
        from shoal.exec.functions import json_text
        return json_text.order_key(text)
    from shoal.exec.kernels import ranges
    if kind in MULTIRANGES:
        return ranges.multirange_key(ranges.multirange_of(text, kind))
    return ranges.order_key(ranges.range_of(text, kind))


def ranks(kind: str, texts: pa.Array) -> np.ndarray:
    """Dense int64 ranks of the texts, which are not NULL; equal values have equal ranks."""
    keys = [key_of(kind, text) for text in texts.to_pylist()]
    places = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return np.array([places[key] for key in keys], np.int64)


def compare(operator: Callable[[Any, Any], Any], kind: str, left: pa.Array, right: Any) -> np.ndarray:
    """The mask of `left operator right` (an array or a scalar); rows under NULL: anything."""
    a = [None if text is None else key_of(kind, text) for text in left.to_pylist()]
    if isinstance(right, pa.Scalar):
        fixed = right.as_py()
        other = None if fixed is None else key_of(kind, fixed)
        return np.array([key is not None and other is not None and operator(key, other) for key in a], np.bool_)
    texts = right.dictionary_decode() if pa.types.is_dictionary(right.type) else right
    b = [None if text is None else key_of(kind, text) for text in texts.to_pylist()]
    return np.array([x is not None and y is not None and operator(x, y) for x, y in zip(a, b, strict=True)], np.bool_)


def normalized(kind: str, texts: pa.Array) -> pa.Array:
    """Texts that are equal exactly where the values are."""
    if kind == "jsonb":
        from shoal.exec.functions import json_text
        return json_text.normalized(texts)
    from shoal.exec.kernels import ranges
    return pa.array([ranges.normal_text(text, kind) for text in texts.to_pylist()], pa.string())
