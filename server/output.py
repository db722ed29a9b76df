"""Output: what a session has to say, gathered into writes of a good size, and rows encoded block by block.

The end of hop 7 of a query's way. Small messages wait until ReadyForQuery or Flush; rows are written as soon as there
is enough of them, and no more are encoded while the client is slow to take what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import pyarrow as pa

from shoal.server.cursors import Rows
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection

BLOCK_ROWS, BLOCK_BYTES = 8_192, 2 << 20
"""Rows encoded at a time: few enough for the processor's cache, for the event loop to get its turn in between, and for
what waits on a slow client to stay small."""
WRITE_BYTES = 128 << 10
"""Size of the pieces that are written, and of what may wait to be."""


class Client(Protocol):
    """The connection as a session needs it (server/listener.py)."""

    async def read(self) -> m.Message | None: ...
    def write(self, data: bytes | memoryview) -> None: ...
    async def drain(self) -> None: ...


class Encoder(Protocol):
    """RowEncoder or CopyEncoder."""

    @property
    def looks_up(self) -> bool: ...
    def encode(self, arrays: Sequence[pa.Array], rows: int) -> Sequence[bytes | memoryview]: ...


class Output:
    """One session's output to its client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0

    def send(self, message: m.Message) -> None:
        """The message goes out with the next flush."""
        self._append(Connection.send(message))

    def flush(self) -> None:
        """Hands what has been sent so far to the connection."""
        if self._waiting:
            self._client.write(self._take())

    async def send_block(self, data: bytes | memoryview) -> None:
        """Sends a block of rows, waiting while the client is slow. Raises: ConnectionResetError when it has gone."""
        self._append(data)
        if self._waiting_bytes < WRITE_BYTES:
            return
        joined = memoryview(self._take())
        for start in range(0, len(joined), WRITE_BYTES):
            self._client.write(joined[start:start + WRITE_BYTES])
            await self._client.drain()
        await asyncio.sleep(0)  # other sessions, cancel requests: encoding must not keep the loop to itself

    async def send_rows(self, rows: AsyncIterator[Rows], encoder: Encoder) -> int:
        """Encodes and sends all of `rows`; gives how many there were."""
        sent = 0
        async for arrays, count in rows:
            step = block_rows(arrays, count)
            for start in range(0, count, step):
                size = min(step, count - start)
                part = arrays if size == count else [array.slice(start, size) for array in arrays]
                if encoder.looks_up:  # names of objects may have to be asked of a source
                    blocks = await asyncio.to_thread(encoder.encode, part, size)
                else:
                    blocks = encoder.encode(part, size)
                for block in blocks:
                    await self.send_block(block)
            sent += count
        return sent

    def _append(self, data: bytes | memoryview) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)

    def _take(self) -> bytes | memoryview:
        joined = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return joined


def block_rows(arrays: Sequence[pa.Array], rows: int) -> int:
    """How many rows to encode at a time: BLOCK_ROWS, fewer where they are wide."""
    row_bytes = sum(array.nbytes for array in arrays) // max(rows, 1)
    return max(min(BLOCK_ROWS, BLOCK_BYTES // max(row_bytes, 1)), 16)
