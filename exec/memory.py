"""Memory accounting on one worker: what each query's operators and buffers say they hold, against its budget.

Estimates by the operators themselves, so honest only as far as they are; the limit is per query and worker.
"""

from __future__ import annotations

from shoal.catalog.errors import OutOfMemory


class QueryMemory:
    """The account of one query in this process. Used by the compute thread only."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.peak_bytes = 0
        self._by_holder: dict[int, int] = {}

    def reserve(self, holder: int, bytes_held: int) -> None:
        """`holder` now holds `bytes_held` in all. Raises: OutOfMemory (53200); the account is then unchanged."""
        before = self._by_holder.get(holder, 0)
        total = self.held_bytes - before + bytes_held
        if bytes_held > before and total > self.limit_bytes:
            raise OutOfMemory(
                f"the query needs more than its {self.limit_bytes >> 20} MB of memory on one worker",
                hint="Raise --memory, or filter or aggregate earlier.")
        self.held_bytes = total
        self.peak_bytes = max(self.peak_bytes, total)
        if bytes_held:
            self._by_holder[holder] = bytes_held
        else:
            self._by_holder.pop(holder, None)

    def release(self, holder: int) -> None:
        self.held_bytes -= self._by_holder.pop(holder, 0)
