"""Memory accounting on one worker: what each query's operators and buffers say they hold, against its budget.

Estimates by the operators themselves, so honest only as far as they are. A query has a limit of its own, and all queries of
a process have one together.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from typing import Final

from shoal.catalog.errors import InvalidParameterValue, OutOfMemory, SqlError

_SIZE: Final = re.compile(r"\s*(\d+)\s*([kMGT]?B?)\s*", re.IGNORECASE)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MAPPED_FROM_BYTES: Final = 16 << 20
_POWERS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_bytes(text: str) -> int:
    """A size such as 512MB, 2GB or 65536, in bytes. Raises: InvalidParameterValue (22023)."""
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]):
        raise InvalidParameterValue(f"not a size: {text}", hint="For example 512MB or 2GB.")
    return int(match[1]) << _POWERS[match[2].upper().rstrip("B")]


class WorkerMemory:
    """The account of a process: all its queries together hold no more than `limit_bytes`.

    When they would, the query that holds most gives way, whoever asked. Queries are opened and closed under the
    runner's lock; all else is the compute thread's.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self._queries: list[QueryMemory] = []

    def open(self, limit_bytes: int, evict: Callable[[SqlError], object]) -> QueryMemory:
        """The account of a query, which may hold `limit_bytes`; `evict` ends the query. To be closed."""
        query = QueryMemory(min(limit_bytes, self.limit_bytes), self, evict)
        self._queries.append(query)
        return query

    def forget(self, query: QueryMemory) -> None:
        self._queries.remove(query)

    def make_room(self, query: QueryMemory, more_bytes: int) -> None:
        """Raises: OutOfMemory (53200) when it is `query` that has to give way."""
        if self.held_bytes + more_bytes <= self.limit_bytes:
            return
        largest = max(list(self._queries), key=lambda one: one.held_bytes + (more_bytes if one is query else 0))
        error = OutOfMemory(
            f"the queries on one worker together need more than its {megabytes(self.limit_bytes)} of memory, and this one "
            f"holds most of it", hint="Run fewer queries at a time, or raise --memory.")
        if largest is query:
            raise error
        largest.evict(error)  # it lets go at its next turn


class QueryMemory:
    """The account of one query in this process. Used by the compute thread only."""

    def __init__(self, limit_bytes: int, worker: WorkerMemory | None = None,
                 evict: Callable[[SqlError], object] = lambda error: None) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.peak_bytes = 0
        self.evict = evict
        self._worker = worker
        self._by_holder: dict[int, int] = {}

    def reserve(self, holder: int, bytes_held: int) -> None:
        """`holder` now holds `bytes_held` in all. Raises: OutOfMemory (53200); the account is then unchanged."""
        more = bytes_held - self._by_holder.get(holder, 0)
        if more > 0 and self.held_bytes + more > self.limit_bytes:
            raise OutOfMemory(
                f"the query needs more than its {megabytes(self.limit_bytes)} of memory on one worker",
                hint="Filter or aggregate earlier, or raise --memory, or shoal.query_memory where that is set lower.")
        if self._worker is not None:
            if more > 0:
                self._worker.make_room(self, more)
            self._worker.held_bytes += more
        self.held_bytes += more
        self.peak_bytes = max(self.peak_bytes, self.held_bytes)
        if bytes_held:
            self._by_holder[holder] = bytes_held
        else:
            self._by_holder.pop(holder, None)

    def release(self, holder: int) -> None:
        self.reserve(holder, 0)

    def close(self) -> None:
        """The query has ended. Idempotent."""
        if self._worker is not None:
            assert not self.held_bytes, "a query that has ended holds memory"
            self._worker.forget(self)
            self._worker = None


def megabytes(size: int) -> str:
    return f"{size >> 20} MB" if size >> 20 else f"{size >> 10} kB"


def keep_freed_memory(most_bytes: int) -> None:
    """Lets this process reuse up to `most_bytes` of freed memory until `trim`, as workers do (launcher.py).

    Rows that pass through otherwise cost a page fault for every 4 kB. Only glibc has the call.
    """
    call = getattr(ctypes.CDLL(None), "mallopt", None)
    if call is not None:
        call(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        call(_M_TRIM_THRESHOLD, most_bytes)


def trim() -> None:
    """Gives freed memory back to the system; only glibc keeps it and has the call."""
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if call is not None:
        call(0)
