"""Memory accounting on one worker: what each query's operators and buffers say they hold, against its budget.

Estimates by the operators themselves, so honest only as far as they are; the limit is per query and worker.
"""

from __future__ import annotations

import re
from typing import Final

from shoal.catalog.errors import InvalidParameterValue, OutOfMemory

_SIZE: Final = re.compile(r"\s*(\d+)\s*([kMGT]?B?)\s*", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_bytes(text: str) -> int:
    """A size such as 512MB, 2GB or 65536, in bytes. Raises: InvalidParameterValue (22023)."""
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]):
        raise InvalidParameterValue(f"not a size: {text}", hint="For example 512MB or 2GB.")
    return int(match[1]) << _POWERS[match[2].upper().rstrip("B")]


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
