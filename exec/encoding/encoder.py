"""What encodes a result's rows, in the tasks of its last fragment or beside the client: one implementation (hop 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import pyarrow as pa

from shoal.exec.encoding.copy_rows import CopyEncoder
from shoal.exec.encoding.datarow import RowEncoder
from shoal.exec.evaluator import Names
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.result import ResultEncoding

BLOCK_ROWS: Final = 16_384
BLOCK_BYTES: Final = 2 << 20
"""Rows encoded at a time: so many that the calls for each column cost little, few enough for the processor's cache, for
others to get their turn in between, and for what waits on a slow client to stay small."""


class Encoder(Protocol):
    """RowEncoder or CopyEncoder."""

    @property
    def looks_up(self) -> bool: ...
    def encode(self, arrays: Sequence[pa.Array], rows: int) -> Sequence[memoryview]: ...


def encoder_of(encoding: ResultEncoding, settings: TaskSettings, names: Names | None = None) -> RowEncoder | CopyEncoder:
    """`names` gives the text of reg* types."""
    if not encoding.needs_names:
        names = None
    if encoding.copy is not None:
        return CopyEncoder(encoding.types, encoding.copy, settings, names)
    return RowEncoder(encoding.types, encoding.formats, settings, names)


def parts(arrays: Sequence[pa.Array], rows: int) -> Iterator[tuple[Sequence[pa.Array], int]]:
    """The rows in portions to be encoded at a time: BLOCK_ROWS, fewer where they are wide."""
    row_bytes = sum(array.nbytes for array in arrays) // max(rows, 1)
    step = max(min(BLOCK_ROWS, BLOCK_BYTES // max(row_bytes, 1)), 16)
    if rows <= step:
        yield arrays, rows
        return
    for start in range(0, rows, step):
        yield [array.slice(start, step) for array in arrays], min(step, rows - start)
