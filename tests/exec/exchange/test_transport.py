"""The exchange over real sockets: who is let in, pages in flow, broken connections."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest

from shoal.catalog.errors import (
    ConnectionFailure,
    DivisionByZero,
    InternalError,
    InvalidAuthorization,
    ProtocolViolation,
    SqlError,
)
from shoal.exec.exchange import connection as connection_module
from shoal.exec.exchange.buffer import InputQueue, OutputBuffer, Page, Reading
from shoal.exec.exchange.connection import Connection, Listener, connect
from shoal.exec.exchange.handshake import ANSWER_BYTES, GREETING_BYTES, REFUSAL, ClientHandshake, Purpose, ServerHandshake
from shoal.exec.exchange.transport import ExchangeClient, serve_exchange
from shoal.exec.plan.fragment import TaskId, TaskInput

SECRET = b"a secret of this cluster"


def run(work: Awaitable[None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(limited())


class Source:
    """One task's output that never has to be waited for long."""

    def __init__(self, buffer: OutputBuffer) -> None:
        self.buffer = buffer
        self.closed: list[int] = []
        self.reads = 0
        self.read_more = asyncio.Event()

    async def read(self, task: str, partition: int, sequence: int, credit_bytes: int, timeout_s: float) -> Reading:
        self.reads += 1
        self.read_more.set()
        reading = self.buffer.read(partition, sequence, credit_bytes)
        if not reading.pages and not reading.ended:
            await asyncio.sleep(0.01)
        return reading

    def close_partition(self, task: str, partition: int) -> None:
        self.closed.append(partition)


class Sink:
    def __init__(self, capacity_bytes: int) -> None:
        self.queue = InputQueue(capacity_bytes)
        self.pages: list[Page] = []
        self.error: SqlError | None = None
        self.ended = False

    async def room(self) -> tuple[int, int]:
        while (taken := self.queue.take()) is not None:
            self.pages.append(taken)
        return self.queue.next_sequence, self.queue.credit_bytes

    def put(self, sequence: int, page: Page) -> None:
        self.queue.put(sequence, page)

    def end(self, error: SqlError | None) -> None:
        while (taken := self.queue.take()) is not None:
            self.pages.append(taken)
        self.error, self.ended = error, True


@asynccontextmanager
async def serving(handle: Callable[[Connection, Purpose], Awaitable[None]]) -> AsyncIterator[Listener]:
    listener = Listener(SECRET, handle)
    await listener.start("127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.stop()


def source_at(listener: Listener, codec: str = "") -> TaskInput:
    return TaskInput(1, "127.0.0.1", listener.port, TaskId("q", 1, 0), 0, codec)  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", ["", "zstd"])
def test_pages_arrive_in_order(codec: str) -> None:
    async def work() -> None:
        buffer = OutputBuffer(1, 1 << 30)
        columns = [pa.array(range(i * 1000, i * 1000 + 50_000)) for i in range(20)]
        for column in columns:
            buffer.add(0, Page((column,), len(column), column.nbytes))
        buffer.finish()
        source = Source(buffer)
        async with serving(lambda connection, purpose: serve_exchange(connection, source)) as listener:
            client, sink = ExchangeClient(SECRET), Sink(1 << 20)
            await client.fetch(source_at(listener, codec), sink)
            await asyncio.sleep(0.05)
            client.close()
        assert sink.ended and sink.error is None
        assert [page.arrays[0] for page in sink.pages] == columns
        assert source.reads > 5 and source.closed == [0]

    run(work())


def test_errors_of_the_producer_arrive_typed() -> None:
    async def work() -> None:
        buffer = OutputBuffer(1, 1 << 30)
        buffer.abort(DivisionByZero("division by zero", detail="in a task"))
        async with serving(lambda connection, purpose: serve_exchange(connection, Source(buffer))) as listener:
            client, sink = ExchangeClient(SECRET), Sink(1 << 20)
            await client.fetch(source_at(listener), sink)
            client.close()
        assert isinstance(sink.error, DivisionByZero) and sink.error.detail == "in a task"

    run(work())


def test_a_broken_connection_is_made_again() -> None:
    async def work() -> None:
        buffer = OutputBuffer(1, 1 << 30)
        for i in range(30):
            column = pa.array(range(i, i + 1000))
            buffer.add(0, Page((column,), 1000, column.nbytes))
        buffer.finish()
        source, connections = Source(buffer), 0

        async def handle(connection: Connection, purpose: Purpose) -> None:
            nonlocal connections
            connections += 1
            serving_ = asyncio.ensure_future(serve_exchange(connection, source))
            if connections <= 3:
                while source.reads < connections * 2:
                    await source.read_more.wait()
                    source.read_more.clear()
                serving_.cancel()
                connection.abort()
            await asyncio.gather(serving_, return_exceptions=True)

        async with serving(handle) as listener:
            client, sink = ExchangeClient(SECRET), Sink(20_000)
            await client.fetch(source_at(listener), sink)
            client.close()
        assert sink.error is None and connections == 4
        assert [page.arrays[0][0].as_py() for page in sink.pages] == list(range(30))

    run(work())


def test_nobody_without_the_secret_is_let_in() -> None:
    async def work() -> None:
        served = 0

        async def handle(connection: Connection, purpose: Purpose) -> None:
            nonlocal served
            served += 1

        async with serving(handle) as listener:
            for secret in (b"", b"wrong", SECRET[:-1], SECRET + b"x"):
                with pytest.raises(InvalidAuthorization):
                    await connect("127.0.0.1", listener.port, secret, "control")
            assert served == 0
            connection = await connect("127.0.0.1", listener.port, SECRET, "control")
            connection.close()

    run(work())


def test_a_thousand_random_answers_are_refused() -> None:
    random_ = random.Random(3)
    for _ in range(1_000):
        server = ServerHandshake(SECRET, random_.randbytes(32))
        good = ClientHandshake(SECRET, random_.randbytes(32), "exchange").answer(server.greeting())
        bad = bytearray(good)
        for _ in range(random_.randint(1, 3)):
            bad[random_.randrange(len(bad))] ^= 1 << random_.randrange(8)
        if bytes(bad) != good:
            with pytest.raises(InvalidAuthorization):
                server.verify(bytes(bad))
        with pytest.raises(InvalidAuthorization):
            server.verify(good[:random_.randrange(len(good))])
    with pytest.raises(InvalidAuthorization):
        ServerHandshake(b"", bytes(32)).verify(ClientHandshake(b"", bytes(32), "exchange").answer(b"SHOAL1\n" + bytes(32)))


def test_answers_cannot_be_replayed_or_reflected() -> None:
    first, second = ServerHandshake(SECRET, os.urandom(32)), ServerHandshake(SECRET, os.urandom(32))
    client = ClientHandshake(SECRET, os.urandom(32), "exchange")
    answer = client.answer(first.greeting())
    _, proof = first.verify(answer)
    client.verify(proof)
    with pytest.raises(InvalidAuthorization):
        second.verify(answer)
    other_purpose = bytes([1]) + answer[1:]
    with pytest.raises(InvalidAuthorization):
        first.verify(other_purpose)
    with pytest.raises(InvalidAuthorization):
        client.verify(answer[33:])  # its own proof sent back to it
    assert (len(first.greeting()), len(answer)) == (GREETING_BYTES, ANSWER_BYTES)


@pytest.mark.parametrize(("proof", "error"), [
    (b"?" * 32, InvalidAuthorization), (REFUSAL, InvalidAuthorization), (b"", ConnectionFailure),
    (b"?" * 31, ConnectionFailure)])
def test_a_server_without_the_secret_is_not_trusted(proof: bytes, error: type[SqlError]) -> None:
    """And one that goes away before its proof is lost, not a stranger."""
    async def work() -> None:
        async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SHOAL1\n" + bytes(32))
            await reader.readexactly(ANSWER_BYTES)
            writer.write(proof)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(impostor, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(error):
            await connect("127.0.0.1", port, SECRET, "control")
        server.close()
        await server.wait_closed()

    run(work())


def test_garbage_and_silence_disturb_nobody() -> None:
    async def work() -> None:
        source = Source(OutputBuffer(1, 100))
        source.buffer.add(0, Page((pa.array([1]),), 1, 8))
        source.buffer.finish()
        async with serving(lambda connection, purpose: serve_exchange(connection, source)) as listener:
            sockets = []
            for data in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"SHOAL1\n" * 20):
                raw = socket.create_connection(("127.0.0.1", listener.port))
                raw.sendall(data)
                sockets.append(raw)
            client, sink = ExchangeClient(SECRET), Sink(1000)
            await client.fetch(source_at(listener), sink)
            client.close()
            assert sink.error is None and len(sink.pages) == 1
            for raw in sockets:
                raw.close()

    run(work())


def test_strangers_are_bounded_and_keep_no_node_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_STRANGERS", 5)

    async def work() -> None:
        source = Source(OutputBuffer(1, 100))
        source.buffer.finish()
        async with serving(lambda connection, purpose: serve_exchange(connection, source)) as listener:
            strangers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(20)]
            client, sink = ExchangeClient(SECRET), Sink(1000)
            await client.fetch(source_at(listener), sink)
            client.close()
            assert sink.ended and sink.error is None and len(listener._strangers) <= 5
            for _, writer in strangers:
                writer.transport.abort()

    run(work())


def test_a_fault_at_either_end_ends_the_stream_with_an_error() -> None:
    """Never with silence: the reader would wait for ever."""
    async def work() -> None:
        source = Source(OutputBuffer(1, 100))
        source.buffer.add(0, Page((pa.array([1]),), 1, 8))
        source.buffer.finish()
        async with serving(lambda connection, purpose: serve_exchange(connection, source)) as listener:
            client = ExchangeClient(SECRET)
            broken = Sink(1000)
            broken.put = lambda sequence, page: {}[sequence]  # type: ignore[method-assign]
            await client.fetch(source_at(listener), broken)
            assert isinstance(broken.error, InternalError) and "KeyError" in str(broken.error)
            source.buffer.read = lambda *request: {}[request]  # type: ignore[method-assign]
            sink = Sink(1000)
            await client.fetch(source_at(listener), sink)
            assert isinstance(sink.error, InternalError) and "KeyError" in str(sink.error)
            client.close()

    run(work())


def test_messages_are_limited_before_they_are_read() -> None:
    async def work() -> None:
        refused: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

        async def handle(connection: Connection, purpose: Purpose) -> None:
            try:
                await connection.receive(100)
            except Exception as error:
                refused.set_result(error)

        async with serving(handle) as listener:
            connection = await connect("127.0.0.1", listener.port, SECRET, "control")
            connection.write((1 << 31).to_bytes(4, "big"))
            assert isinstance(await refused, ProtocolViolation)
            connection.close()

    run(work())


def test_reads_of_any_size_see_the_bytes_in_order() -> None:
    async def work() -> None:
        draw = random.Random(11)
        sizes = [draw.choice([1, 32, 32, 32, 4096, 4097, 70_000, 500_000]) for _ in range(500)]
        sent = draw.randbytes(sum(sizes))
        lost: list[object] = []

        async def handle(connection: Connection, purpose: Purpose) -> None:
            start = 0
            while start < len(sent):
                end = start + draw.choice([1, 100, 65_536, 300_000])
                connection.write(sent[start:end])
                await connection.drain()
                start = end

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: lost.append(context))
        async with serving(handle) as listener:
            connection = await connect("127.0.0.1", listener.port, SECRET, "control")
            start = 0
            for size in sizes:
                if draw.random() < 0.1:
                    await asyncio.sleep(0.001)  # lets bytes pile up
                assert bytes(await connection.read_exactly(size)) == sent[start:start + size]
                start += size
            connection.close()
        assert not lost

    run(work())


def test_an_unreachable_producer_ends_the_stream_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.exec.exchange.transport.RECONNECT_S", 0.2)

    async def work() -> None:
        async with serving(lambda connection, purpose: serve_exchange(connection, Source(OutputBuffer(1, 1)))) as listener:
            gone = source_at(listener)
        sink = Sink(1000)
        await ExchangeClient(SECRET).fetch(gone, sink)
        assert isinstance(sink.error, ConnectionFailure) and str(gone.port) in str(sink.error)

    run(work())
