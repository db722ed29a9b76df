"""From a frame clause to each row's first and last frame row.

RANGE with an offset compares values of the one order key: they are searched in the partition for key - offset or
key + offset, computed with the types' own operators (dates take intervals).

Spec: PostgreSQL 15 documentation, 4.2.8 "Window Function Calls".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.errors import InvalidFrameSize
from shoal.exec.batch import Batch
from shoal.exec.evaluator import compile_expression
from shoal.exec.functions import resolution
from shoal.exec.kernels import concat, nulls, sorting, windows
from shoal.exec.plan.expr import Call, Cast, ColumnRef, Expr, FrameBound, SortKey, WindowFrame

if TYPE_CHECKING:
    from shoal.exec.operators.window import Rows

Bound = np.ndarray


def frame_of(rows: Rows, frame: WindowFrame) -> tuple[Bound, Bound]:
    """Each row's frame as [start, end), before EXCLUDE. Raises: InvalidFrameSize (22013) for a negative offset."""
    return _edge(rows, frame.mode, frame.start, False), _edge(rows, frame.mode, frame.end, True)


def _edge(rows: Rows, mode: str, bound: FrameBound, is_end: bool) -> Bound:
    """The row where the frame starts, or the row after its last."""
    layout = rows.layout
    first, last = layout.partition_start, layout.partition_end
    if bound.kind == "unbounded_preceding":
        return first
    if bound.kind == "unbounded_following":
        return last
    here = np.arange(layout.rows)
    if bound.kind == "current_row":
        if mode == "rows":
            return here + 1 if is_end else here
        return layout.peer_end if is_end else layout.peer_start
    preceding = bound.kind == "preceding"
    if mode == "range":
        return _range_edge(rows, bound, preceding, is_end)
    offset = _row_offset(bound, preceding)
    if mode == "rows":
        target = here + (offset if not preceding else -offset)
        return np.clip(target + 1 if is_end else target, first, last)
    groups = np.append(layout.peer_starts, layout.rows)
    number = layout.peer_number + (offset if not preceding else -offset) + (1 if is_end else 0)
    return np.clip(groups[np.clip(number, 0, len(groups) - 1)], first, last)


def _row_offset(bound: FrameBound, preceding: bool) -> int:
    value = None if bound.offset is None else bound.offset.value
    if value is None:
        raise InvalidFrameSize(f"frame {'starting' if preceding else 'ending'} offset must not be null")
    if value < 0:
        raise InvalidFrameSize(f"frame {'starting' if preceding else 'ending'} offset must not be negative")
    return min(int(value), 1 << 40)


def _range_edge(rows: Rows, bound: FrameBound, preceding: bool, is_end: bool) -> Bound:
    (key,) = rows.node.order
    assert bound.offset is not None
    value = bound.offset.value
    if value is None:
        raise InvalidFrameSize(f"frame {'starting' if preceding else 'ending'} offset must not be null")
    if isinstance(value, (list, tuple)):
        months, days, micros = value
        negative = (months * 30 + days) * 86_400_000_000 + micros < 0
    else:
        negative = value < 0 or value != value
    if negative:
        raise InvalidFrameSize("invalid preceding or following size in window function")
    array = rows.array(key.column)
    layout = rows.layout
    keys, targets = _comparable(rows, key, array, bound, preceding)
    valid = nulls.validity(array)
    low, high = layout.partition_start, layout.partition_end
    if valid is not None:
        # NULL keys stand together at one end of the partition: others never reach them, and they only have each other
        known = np.concatenate([[0], np.cumsum(valid)])
        count = known[high] - known[low]
        low = high - count if key.nulls_first else low
        high = low + count
    found = windows.search(keys, targets, low, high, is_end)
    if valid is not None:
        found = np.where(valid, found, layout.peer_end if is_end else layout.peer_start)
    return found


def _comparable(rows: Rows, key: SortKey, array: pa.Array, bound: FrameBound,
                preceding: bool) -> tuple[np.ndarray, np.ndarray]:
    """The order keys and the values searched among them, as int64 that ascend in the window's order."""
    assert bound.offset is not None
    minus = preceding != key.descending
    column = ColumnRef(key.column.type, 0, "key")
    found = resolution.resolve_operator("-" if minus else "+", key.column.type, bound.offset.type)
    arguments: list[Expr] = [column, bound.offset]
    cast = [arg if arg.type == wanted else Cast(wanted, arg) for arg, wanted in zip(arguments, found.arguments, strict=True)]
    expr: Expr = Call(found.returns, found.function.name, tuple(cast))
    shared = expr.type
    targets = compile_expression(expr, {0: 0})(Batch.of([array]), rows.evaluation)
    keys = array if shared == key.column.type else compile_expression(Cast(shared, column), {0: 0})(
        Batch.of([array]), rows.evaluation)
    codes = sorting.ranks(concat.concatenated([keys, targets], shared), shared)
    if key.descending:
        codes = ~codes
    return codes[:len(array)], codes[len(array):]
