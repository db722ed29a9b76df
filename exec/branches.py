"""What must be lazy: AND, OR, CASE and COALESCE show a part that may raise only the rows that reach it.

Spec: PostgreSQL 15 documentation, 4.2.14 "Expression Evaluation Rules".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from shoal.catalog.types import SqlType
from shoal.exec.compiled import Frame, Node, Truth, Value
from shoal.exec.kernels import nulls
from shoal.exec.kernels.assembling import assemble


def logic(parts: Sequence[Node], frame: Frame, conjunction: bool) -> Truth:
    """AND or OR with three values. A part that may raise, or costs much, sees only undecided rows."""
    rows = frame.rows
    decided = np.zeros(rows, np.bool_)  # known FALSE for AND, known TRUE for OR
    null = np.zeros(rows, np.bool_)
    for i, node in enumerate(parts):
        count = int(np.count_nonzero(decided)) if i else 0
        if count == rows and i:
            break
        if count and (node.raises or rows - count < rows * (0.15 if node.cost < 2 else 0.7)):
            open_rows = np.flatnonzero(~decided)
            truth = node.truth(frame.narrowed(open_rows))
            unknown = truth.null
            settles = truth.true if not conjunction else ~truth.true if unknown is None else ~(truth.true | unknown)
            decided[open_rows] = settles
            if unknown is not None:
                null[open_rows] |= unknown
            continue
        truth = node.truth(frame)
        if conjunction:
            decided |= ~truth.true if truth.null is None else ~(truth.true | truth.null)
        else:
            decided |= truth.true
        if truth.null is not None:
            null |= truth.null
    null &= ~decided
    some_null = null if null.any() else None
    if not conjunction:
        return Truth(decided, some_null)
    return Truth(~decided if some_null is None else ~(decided | null), some_null)


def branch(conditions: Sequence[Node], results: Sequence[Node], frame: Frame, sql_type: SqlType) -> Value:
    """CASE: each condition for the rows that came so far, each result for the rows that chose it."""
    rows = frame.rows
    rest: np.ndarray | None = None  # row numbers still without a branch; None: all
    parts: list[tuple[np.ndarray | None, Value]] = []
    current = frame
    for number, (condition, result) in enumerate(zip(conditions, results[:-1], strict=True), 1):
        hit = condition.truth(current).true
        count = int(np.count_nonzero(hit))
        if count == 0:
            continue
        if count == len(hit):
            parts.append((rest, result.run(current)))
            rest = np.empty(0, np.int64)
            break
        local = np.flatnonzero(hit)
        chosen = local if rest is None else rest[local]
        parts.append((chosen, _for_rows(result, frame, chosen)))
        left = np.flatnonzero(~hit)
        rest = left if rest is None else rest[left]
        if number < len(conditions):  # a condition may stand there twice, as one node
            current = frame.narrowed(rest)
    if rest is None or len(rest):
        default = results[-1]
        parts.append((rest, default.run(frame) if rest is None else _for_rows(default, frame, rest)))
    if len(parts) == 1 and (parts[0][0] is None or rows == 0):
        return frame.array(parts[0][1])
    return assemble(parts, rows, sql_type)


def _for_rows(node: Node, whole: Frame, chosen: np.ndarray) -> Value:
    if node.constant is not None:
        return node.constant
    return node.run(whole.narrowed(chosen))


def first_not_null(nodes: Sequence[Node], frame: Frame, sql_type: SqlType) -> Value:
    """COALESCE: each argument for the rows that are still NULL."""
    rest: np.ndarray | None = None
    parts: list[tuple[np.ndarray | None, Value]] = []
    for i, node in enumerate(nodes):
        current = frame if rest is None else frame.narrowed(rest)
        value = node.run(current) if node.constant is None else node.constant
        valid = None
        if isinstance(value, pa.Scalar):
            if not value.is_valid and i < len(nodes) - 1:
                continue
        else:
            valid = nulls.validity(value)
        if valid is None or i == len(nodes) - 1:
            if rest is None:
                return frame.array(value)
            parts.append((rest, value))
            rest = np.empty(0, np.int64)
            break
        found = np.flatnonzero(valid)
        missing = np.flatnonzero(~valid)
        if len(found):
            chosen = found if rest is None else rest[found]
            parts.append((chosen, value.take(pa.array(found))))
        rest = missing if rest is None else rest[missing]
    return assemble(parts, frame.rows, sql_type)
