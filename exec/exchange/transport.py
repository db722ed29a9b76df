"""The exchange over TCP: serves a process's output buffers and fetches other processes' (hop 6).

A consumer asks, the producer answers with what it has, so nothing flows that nobody has room for:

    consumer -> producer   JSON {"task", "partition", "from", "credit", "codec"}    (asking from n acknowledges pages < n)
    producer -> consumer   SCHEMA/DICTIONARY/PAGE frames, then one END frame: JSON {"ended": bool, "error"?: fields}
    consumer -> producer   JSON {"task", "partition", "close": true}                (no answer)

A connection serves one stream at a time; streams take connections from a pool, so the handshake is paid rarely. When
nothing is there the producer waits a few seconds, then says so. A broken connection is made again and the stream
goes on after the last page that arrived; a producer that stays away ends it with an error that names it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any, Final, Protocol

from shoal.catalog.errors import ConnectionFailure, InternalError, ProtocolViolation, SqlError
from shoal.exec.exchange.buffer import Page, Reading
from shoal.exec.exchange.connection import Connection, connect
from shoal.exec.exchange.frames import (
    END,
    HEADER_BYTES,
    FrameDecoder,
    FrameEncoder,
    frame,
    parse_header,
    payload_of,
)
from shoal.exec.plan.fragment import TaskInput

MAX_REQUEST_BYTES: Final = 4096
POLL_S: Final = 5.0
RESPONSE_TIMEOUT_S: Final = 10.0
"""A producer with nothing to give says so after POLL_S; one that says nothing is cut off."""
SLOWEST_BYTES_PER_S: Final = 256 << 10
IDLE_TIMEOUT_S: Final = 300.0
RECONNECT_S: Final = 8.0
CORRUPT_RETRIES: Final = 2
_IDLE_CONNECTIONS: Final = 16

log = logging.getLogger("shoal.exchange")


class PageSource(Protocol):
    """The output buffers of this process."""

    async def read(self, task: str, partition: int, sequence: int, credit_bytes: int, timeout_s: float) -> Reading:
        """What there is; waits for the task to appear or a page to come. Nothing after `timeout_s`: an empty Reading."""

    def close_partition(self, task: str, partition: int) -> None: ...


class PageSink(Protocol):
    """The receiving end of one stream."""

    async def room(self) -> tuple[int, int]:
        """The sequence to ask for next and the bytes there is room for; waits until that is more than 0."""

    def put(self, sequence: int, page: Page) -> None: ...

    def end(self, error: SqlError | None) -> None: ...


async def serve_exchange(connection: Connection, source: PageSource) -> None:
    """Answers one consumer's requests until it goes away."""
    encoder, stream = FrameEncoder(), ("", -1, "")
    while True:
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                request = await connection.receive(MAX_REQUEST_BYTES)
        except TimeoutError:
            return
        try:
            task, partition = str(request["task"]), int(request["partition"])
            if request.get("close"):
                source.close_partition(task, partition)
                continue
            sequence, credit, codec = int(request["from"]), int(request["credit"]), str(request.get("codec", ""))
            if (task, partition, codec) != stream:
                encoder, stream = FrameEncoder("zstd" if codec == "zstd" else ""), (task, partition, codec)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"a malformed exchange request: {error}") from None
        answer: dict[str, Any] = {"ended": True}
        try:
            reading = await source.read(task, partition, sequence, credit, POLL_S)
            answer["ended"] = reading.ended
            if reading.error is not None:
                answer["error"] = reading.error.to_fields()
            for offset, page in enumerate(reading.pages):
                connection.write(*encoder.encode(reading.first + offset, page))
                await connection.drain()
        except ConnectionFailure:
            raise
        except SqlError as error:
            answer["error"] = error.to_fields()
        except Exception as error:
            log.exception("serving %s failed", task)
            answer["error"] = InternalError(f"internal error in an exchange: {type(error).__name__}: {error}").to_fields()
        connection.write(*frame(END, json.dumps(answer).encode()))
        await connection.drain()


class ExchangeClient:
    """Fetches streams from other processes over pooled connections."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._idle: dict[tuple[str, int], list[Connection]] = {}
        self.bytes_received = 0

    async def fetch(self, source: TaskInput, sink: PageSink) -> None:
        """Fills `sink` until the stream ends; errors end it too, none is raised."""
        try:
            await self._fetch(source, sink)
        except SqlError as error:
            sink.end(error)
        except Exception as error:  # a stream that does not end holds up its query for ever
            log.exception("fetching from %s failed", source.task)
            sink.end(InternalError(f"internal error in an exchange: {type(error).__name__}: {error}"))

    async def _fetch(self, source: TaskInput, sink: PageSink) -> None:
        loop = asyncio.get_running_loop()
        give_up: float | None = None
        corrupt = 0
        while True:
            connection: Connection | None = None
            try:
                connection = await self._take(source.host, source.port)
                decoder = FrameDecoder()
                while True:
                    sequence, credit = await sink.room()
                    await connection.send({"task": str(source.task), "partition": source.partition, "from": sequence,
                                           "credit": credit, "codec": source.compression})
                    answer = await self._answer(connection, decoder, sink)
                    give_up = None
                    if answer.get("error"):
                        sink.end(SqlError.from_fields(answer["error"]))
                        return
                    if answer["ended"]:
                        break
                await connection.send({"task": str(source.task), "partition": source.partition, "close": True})
                self._give_back(source.host, source.port, connection)
                connection = None
                sink.end(None)
                return
            except ProtocolViolation as reason:
                corrupt += 1
                if corrupt > CORRUPT_RETRIES:
                    raise ProtocolViolation(f"{reason} (from {source.host}:{source.port})") from None
            except ConnectionFailure as reason:
                now = loop.time()
                give_up = give_up or now + RECONNECT_S
                if now >= give_up:
                    raise ConnectionFailure(
                        f"the worker at {source.host}:{source.port} cannot be reached: {reason}") from None
                await asyncio.sleep(0.1)
            finally:
                if connection is not None:
                    connection.abort()

    async def _answer(self, connection: Connection, decoder: FrameDecoder, sink: PageSink) -> dict[str, Any]:
        """Takes in the pages of one answer; gives the END frame's JSON."""
        while True:
            try:
                async with asyncio.timeout(RESPONSE_TIMEOUT_S) as limit:
                    header = parse_header(await connection.read_exactly(HEADER_BYTES))
                    if header.length > SLOWEST_BYTES_PER_S:
                        limit.reschedule(asyncio.get_running_loop().time() + RESPONSE_TIMEOUT_S
                                         + header.length / SLOWEST_BYTES_PER_S)
                    payload = await connection.read_exactly(header.length)
            except TimeoutError:
                raise ConnectionFailure("no answer in time") from None
            self.bytes_received += HEADER_BYTES + header.length
            if header.kind != END:
                page = decoder.decode(header, payload)
                if page is not None:
                    sink.put(header.sequence, page)
                continue
            try:
                answer = json.loads(bytes(payload_of(header, payload)))
            except ValueError as reason:
                raise ProtocolViolation(f"a malformed end of an exchange answer: {reason}") from None
            if not isinstance(answer, dict) or not isinstance(answer.get("ended"), bool):
                raise ProtocolViolation("a malformed end of an exchange answer")
            return answer

    async def close_stream(self, source: TaskInput) -> None:
        """Tells the producer that no more of the stream is wanted. Best effort."""
        try:
            connection = await self._take(source.host, source.port)
            await connection.send({"task": str(source.task), "partition": source.partition, "close": True})
            self._give_back(source.host, source.port, connection)
        except SqlError:
            pass

    async def _take(self, host: str, port: int) -> Connection:
        idle = self._idle.get((host, port), [])
        while idle:
            connection = idle.pop()
            if not connection.lost:
                return connection
        return await connect(host, port, self._secret, "exchange")

    def _give_back(self, host: str, port: int, connection: Connection) -> None:
        idle = self._idle.setdefault((host, port), [])
        if connection.lost or len(idle) >= _IDLE_CONNECTIONS:
            connection.close()
        else:
            idle.append(connection)

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

