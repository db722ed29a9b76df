"""What work costs, in nanoseconds of one core: the figures that join order, build sides and exchanges are chosen by.

The constants come from the measurements in shared/design/kernels.md, rounded: only their ratios matter.
"""

from __future__ import annotations

BUILD_NS = 60.0
"""A row put into a join's table."""
PROBE_NS = 20.0
"""A row looked up in it."""
FILTER_NS = 4.0
"""A scanned row tested by a dynamic filter."""
OUTPUT_NS = 12.0
"""A row that a join gives out."""
NESTED_PAIR_NS = 4.0
"""A pair of rows compared by a join without keys."""
SEND_NS_ROW, SEND_NS_BYTE = 25.0, 0.6
"""A row through an exchange: partitioned, written, read."""
EXCHANGE_NS = 2_000_000.0
"""One more exchange: tasks, connections, and waiting for one another."""


def nested_join_ns(left_rows: float, right_rows: float, output_rows: float) -> float:
    """A join without equality keys: every pair is looked at."""
    return max(left_rows, 1.0) * max(right_rows, 1.0) * NESTED_PAIR_NS + output_rows * OUTPUT_NS


def send_ns(rows: float, width: float) -> float:
    """Rows of `width` bytes through an exchange once."""
    return rows * (SEND_NS_ROW + SEND_NS_BYTE * width)


def broadcast_ns(build_rows: float, build_width: float) -> float:
    """Wall time of giving every worker the whole build side and building it in each."""
    return EXCHANGE_NS + send_ns(build_rows, build_width) + build_rows * BUILD_NS


def repartition_ns(build_rows: float, build_width: float, probe_rows: float, probe_width: float, workers: int,
                   move_build: bool = True, move_probe: bool = True) -> float:
    """Wall time of hashing both sides to the workers (or what of them is not there already) and building."""
    sent_build = send_ns(build_rows, build_width) if move_build else 0.0
    sent_probe = send_ns(probe_rows, probe_width) if move_probe else 0.0
    fixed = EXCHANGE_NS * (move_build + move_probe)
    return fixed + (sent_build + sent_probe + build_rows * BUILD_NS) / max(workers, 1)
