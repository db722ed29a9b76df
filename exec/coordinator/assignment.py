"""Which task reads which splits, and which workers run a fragment's tasks (hop 5; pure and deterministic)."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence
from typing import Final, TypeVar

from shoal.catalog.connector import Split

T = TypeVar("T")
UNEVEN: Final = 1.15
"""Neighbouring splits stay together unless that makes the largest share this much larger than it has to be."""
_UNKNOWN_BYTES: Final = 1 << 20


def weight(split: Split) -> int:
    """How much work a split is, in bytes or something like it."""
    if split.size_bytes is not None:
        return max(1, split.size_bytes)
    return max(1, split.rows * 64) if split.rows is not None else _UNKNOWN_BYTES


def divide(splits: Sequence[Split], tasks: int) -> list[tuple[Split, ...]]:
    """The splits for each of `tasks` tasks, in order within each.

    Runs of neighbours where they come out even (tables are often sorted by what queries group by), else the longest
    first to whoever has least.
    """
    if tasks == 1:
        return [tuple(splits)]
    weights = [weight(split) for split in splits]
    runs = _runs(weights, tasks)
    spread = _spread(weights, tasks)
    heaviest = max(sum(weights[i] for i in share) for share in runs)
    best = max(sum(weights[i] for i in share) for share in spread)
    chosen = runs if heaviest <= best * UNEVEN and all(runs) else spread
    return [tuple(splits[i] for i in share) for share in chosen]


def _runs(weights: Sequence[int], tasks: int) -> list[list[int]]:
    total = sum(weights)
    shares: list[list[int]] = [[] for _ in range(tasks)]
    before = 0
    for index, one in enumerate(weights):
        middle = before + one / 2
        shares[min(tasks - 1, int(middle * tasks / total))].append(index)
        before += one
    return shares


def _spread(weights: Sequence[int], tasks: int) -> list[list[int]]:
    shares: list[list[int]] = [[] for _ in range(tasks)]
    heap = [(0, task) for task in range(tasks)]
    for index in sorted(range(len(weights)), key=lambda i: (-weights[i], i)):
        load, task = heapq.heappop(heap)
        shares[task].append(index)
        heapq.heappush(heap, (load + weights[index], task))
    return [sorted(share) for share in shares]


def rotate(workers: Sequence[T], query_id: str) -> list[T]:
    """The workers in the order in which this query uses them, so that many small queries spread out."""
    if not workers:
        return []
    first = zlib.crc32(query_id.encode()) % len(workers)
    return [*workers[first:], *workers[:first]]
