"""Output: what a session has to say, gathered into writes of a good size, and rows encoded block by block.

The end of hop 7 of a query's way. Small messages wait until ReadyForQuery or Flush; rows are written as soon as there
is enough of them, and no more are encoded while the client is slow to take what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from shoal.exec.encoding.encoder import Encoder, parts
from shoal.exec.execution import EncodedRows
from shoal.server.cursors import Rows
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import Connection

WRITE_BYTES = 512 << 10
"""Size of the pieces that are written, and of what may wait to be."""


class Client(Protocol):
    """The connection as a session needs it (server/listener.py)."""

    async def read(self) -> m.Message | None: ...
    def write(self, data: bytes | memoryview) -> None: ...
    async def drain(self) -> None: ...


Framing = Callable[[memoryview], Iterable[bytes | memoryview]]


class Output:
    """One session's output to its client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0

    def send(self, message: m.Message) -> None:
        """The message goes out with the next flush."""
        self._append(Connection.send(message))

    def send_encoded(self, data: bytes) -> None:
        """Messages in wire form already; they go out with the next flush."""
        self._append(data)

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

    async def send_rows(self, rows: AsyncIterator[Rows], encoder: Encoder, framing: Framing | None = None) -> int:
        """Sends all of `rows`, encoding those that are not; gives how many there were.

        `framing` makes of a block what is sent for it.
        """
        sent = 0
        async for batch in rows:
            if isinstance(batch, EncodedRows):
                for piece in (batch.data,) if framing is None else framing(batch.data):
                    await self.send_block(piece)
                sent += batch.rows
                continue
            arrays, count = batch
            for part, size in parts(arrays, count):
                if encoder.looks_up:  # names of objects may have to be asked of a source
                    blocks = await asyncio.to_thread(encoder.encode, part, size)
                else:
                    blocks = encoder.encode(part, size)
                for block in blocks:
                    for piece in (block,) if framing is None else framing(block):
                        await self.send_block(piece)
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
