"""An authenticated TCP connection between two nodes: exact reads, bounded writes, length-limited JSON messages.

Payloads are received straight into the memory Arrow then reads from: no copy. Writes wait for the peer (`drain`), so
a slow peer holds up whoever writes and not this process's memory. Every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import numpy as np

from shoal.catalog.errors import ConnectionFailure, InvalidAuthorization, ProtocolViolation, SqlError
from shoal.exec.exchange.frames import Buffers
from shoal.exec.exchange.handshake import (
    ANSWER_BYTES,
    GREETING_BYTES,
    NONCE_BYTES,
    PROOF_BYTES,
    REFUSAL,
    ClientHandshake,
    Purpose,
    ServerHandshake,
)
from shoal.exec.exchange.sockets import prepare_for_bulk

HANDSHAKE_TIMEOUT_S: Final = 5.0
MAX_STRANGERS: Final = 256
WRITE_TIMEOUT_S: Final = 60.0
MAX_MESSAGE_BYTES: Final = 256 << 20
_STAGING_BYTES: Final = 64 << 10
_SMALL_READ_BYTES: Final = 4096
_WRITE_BUFFER_BYTES: Final = 1 << 20

log = logging.getLogger("shoal.exchange")


class Connection(asyncio.BufferedProtocol):
    """One TCP connection. One reader and one writer at a time."""

    def __init__(self, on_connected: Callable[[Connection], None] | None = None) -> None:
        self._on_connected = on_connected
        self._transport: asyncio.Transport | None = None
        self._staging_view = memoryview(bytearray(_STAGING_BYTES))
        self._start = self._end = 0
        self._target: memoryview | None = None
        self._filled = 0
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._lost: Exception | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        raw = transport.get_extra_info("socket")
        if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            prepare_for_bulk(raw)
            self.peer = tuple(transport.get_extra_info("peername")[:2])
            self.local = tuple(transport.get_extra_info("sockname")[:2])
        if self._on_connected is not None:
            self._on_connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._target is not None:
            return self._target[self._filled:]
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == _STAGING_BYTES:
            self._staging_view[:self._end - self._start] = bytes(self._staging_view[self._start:self._end])
            self._start, self._end = 0, self._end - self._start
        return self._staging_view[self._end:]

    def buffer_updated(self, nbytes: int) -> None:
        if self._target is not None:
            self._filled += nbytes
            if self._filled == len(self._target):
                self._target = None  # what follows goes to staging, even before the reader has run
                self._wake_reader()
            return
        self._end += nbytes
        if self._end - self._start == _STAGING_BYTES:
            self._paused = True
            assert self._transport is not None
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._fail(ConnectionFailure(f"{self._name()} closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionFailure(f"the connection to {self._name()} was lost" + (f": {exc}" if exc else "")))

    def pause_writing(self) -> None:
        if self._writable is None:
            self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
            self._writable = None

    def _fail(self, error: Exception) -> None:
        if self._lost is None:
            self._lost = error
        self._wake_reader()
        self.resume_writing()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _name(self) -> str:
        return f"{self.peer[0]}:{self.peer[1]}" if self.peer[1] else "the peer"

    # -- the callers' side

    @property
    def lost(self) -> bool:
        return self._lost is not None

    async def read_exactly(self, size: int) -> memoryview:
        """The next `size` bytes. Raises: ConnectionFailure (08006)."""
        if size <= _SMALL_READ_BYTES:
            while self._end - self._start < size:
                await self._more()
            data = memoryview(bytes(self._staging_view[self._start:self._start + size]))
            self._start += size
            self._resume_reading()
            return data
        target = np.empty(size, np.uint8).data  # not filled with zeros first
        taken = min(size, self._end - self._start)
        target[:taken] = self._staging_view[self._start:self._start + taken]
        self._start += taken
        if taken < size:
            self._target, self._filled = target, taken
            self._resume_reading()
            try:
                while self._filled < size:
                    await self._more()
            finally:
                self._target = None
        return target

    async def _more(self) -> None:
        if self._lost is not None:
            raise self._lost
        self._resume_reading()
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _resume_reading(self) -> None:
        if self._paused and (self._target is not None or self._end - self._start <= _STAGING_BYTES // 2):
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def write(self, *buffers: Buffers) -> None:
        """Queues bytes; follow with `drain`. Raises: ConnectionFailure (08006)."""
        if self._lost is not None or self._transport is None:
            raise self._lost or ConnectionFailure("not connected")
        small: list[Buffers] = []
        for buffer in buffers:
            if len(buffer) <= _SMALL_READ_BYTES:
                small.append(buffer)
                continue
            if small:
                self._transport.write(b"".join(small))
                small = []
            self._transport.write(memoryview(buffer))
        if small:
            self._transport.write(b"".join(small))

    async def drain(self) -> None:
        """Waits until the peer has taken most of what was written. Raises: ConnectionFailure (08006)."""
        if self._lost is not None:
            raise self._lost
        if self._writable is not None:
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await asyncio.shield(self._writable)
            except TimeoutError:
                self.abort()
                raise ConnectionFailure(f"{self._name()} has taken nothing for {WRITE_TIMEOUT_S:.0f} s") from None
            if self._lost is not None:
                raise self._lost

    async def send(self, message: dict[str, Any]) -> None:
        """One JSON message."""
        data = json.dumps(message, separators=(",", ":")).encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise ProtocolViolation(f"a message of {len(data)} bytes is too large")
        self.write(len(data).to_bytes(4, "big"), data)
        await self.drain()

    async def receive(self, limit_bytes: int = MAX_MESSAGE_BYTES) -> dict[str, Any]:
        """The next JSON message. Raises: ConnectionFailure (08006), ProtocolViolation (08P01)."""
        size = int.from_bytes(await self.read_exactly(4), "big")
        if size > limit_bytes:
            raise ProtocolViolation(f"{self._name()} sent a message of {size} bytes; at most {limit_bytes} are allowed")
        try:
            message = json.loads(bytes(await self.read_exactly(size)))
        except (ValueError, RecursionError) as error:
            raise ProtocolViolation(f"{self._name()} sent an unreadable message: {error}") from None
        if not isinstance(message, dict):
            raise ProtocolViolation(f"{self._name()} sent a message that is not an object")
        return message

    def close(self) -> None:
        """Sends what was written, then closes."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()


async def connect(host: str, port: int, secret: bytes, purpose: Purpose,
                  timeout_s: float = HANDSHAKE_TIMEOUT_S) -> Connection:
    """A connection to another node, both ends proven. Raises: ConnectionFailure (08006), InvalidAuthorization (28000)."""
    loop = asyncio.get_running_loop()
    connection: Connection | None = None
    try:
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(Connection, host, port)
            handshake = ClientHandshake(secret, os.urandom(NONCE_BYTES), purpose)
            connection.write(handshake.answer(bytes(await connection.read_exactly(GREETING_BYTES))))
            proof = bytes(await connection.read_exactly(PROOF_BYTES))
            handshake.verify(proof)
            return connection
    except TimeoutError:
        error: SqlError = ConnectionFailure(f"{host}:{port} did not answer within {timeout_s:.0f} s")
    except OSError as reason:
        error = ConnectionFailure(f"cannot connect to {host}:{port}: {reason.strerror or reason}")
    except InvalidAuthorization as reason:
        error = InvalidAuthorization(f"{host}:{port}: {reason}")
    except SqlError as reason:
        error = reason
    if connection is not None:
        connection.abort()
    raise error


Handler = Callable[[Connection, Purpose], Awaitable[None]]


class Listener:
    """A port where other nodes connect; `handle` runs for each connection that knew the secret."""

    def __init__(self, secret: bytes, handle: Handler) -> None:
        self._secret, self._handle = secret, handle
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._strangers: dict[Connection, None] = {}
        """Those that have not shown that they know the secret, the oldest first."""
        self.host, self.port = "", 0

    async def start(self, host: str, port: int) -> None:
        """Raises: OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._connected), host, port, backlog=512)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    def _connected(self, connection: Connection) -> None:
        self._strangers[connection] = None
        if len(self._strangers) > MAX_STRANGERS:  # a node proves itself at once, so the oldest is none
            next(iter(self._strangers)).abort()
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                handshake = ServerHandshake(self._secret, os.urandom(NONCE_BYTES))
                connection.write(handshake.greeting())
                purpose, proof = handshake.verify(bytes(await connection.read_exactly(ANSWER_BYTES)))
                connection.write(proof)
            self._strangers.pop(connection, None)
            await self._handle(connection, purpose)
        except InvalidAuthorization as error:
            log.warning("turned away %s:%s: %s", *connection.peer, error)
            connection.write(REFUSAL)
        except TimeoutError:
            log.warning("turned away %s:%s: no proof of the cluster secret in time", *connection.peer)
        except ConnectionFailure:
            pass
        except SqlError as error:
            log.warning("closed the connection of %s:%s: %s", *connection.peer, error)
        except Exception:
            log.exception("a connection handler failed")
        finally:
            self._strangers.pop(connection, None)
            connection.abort() if connection.lost else connection.close()

    async def stop(self) -> None:
        """Closes the port and all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
