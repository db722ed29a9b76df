"""Rows that workers encode, through the socket: whatever happens half way, a client sees all rows once, or an error."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.server.listener import ServerOptions
from shoal.server.protocol import messages as m
from shoal.server.tls import server_context
from tests.exec.cluster import Cluster
from tests.server.conftest import Address, listening
from tests.server.wire import WireClient, decode_all, wire

ROWS = 300_000
ALL = "select k, amount, wide from rows"
_READY = b"Z\0\0\0\5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streaming")
    numbers = pa.array(range(ROWS), pa.int64())
    amounts = pa.compute.divide(pa.compute.cast(numbers, pa.float64()), 7.0)
    wide = pa.compute.binary_join_element_wise(numbers.cast(pa.string()), pa.scalar("x" * 90), "-")
    pq.write_table(pa.table({"k": numbers, "amount": amounts, "wide": wide}), path / "rows.parquet", row_group_size=20_000)
    return path


@pytest.fixture(scope="module")
def files(folder: Path) -> Iterator[Cluster]:
    with Cluster([("files", str(folder))], workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def address(files: Cluster) -> Iterator[Address]:
    with listening(files) as found:
        yield found


def some(client: WireClient, size: int) -> bytes:
    """At least `size` bytes of what the server sends."""
    data = bytearray()
    while len(data) < size:
        more = client.socket.recv(1 << 16)
        assert more, "the server has closed the connection"
        data += more
    return bytes(data)


def rest(client: WireClient, before: bytes) -> bytes:
    """Everything up to ReadyForQuery."""
    data = bytearray(before)
    while data[-6:-1] != _READY:
        more = client.socket.recv(1 << 20)
        assert more, "the server has closed the connection"
        data += more
    return bytes(data)


def ending(data: bytes) -> tuple[list[int], list[m.Message]]:
    """The first column of the rows in `data`, as text, and the messages after them."""
    keys, at = [], 0
    while data[at] in b"TD":
        if data[at] == ord("D"):
            size = int.from_bytes(data[at + 7:at + 11], "big")
            keys.append(int(data[at + 11:at + 11 + size]))
        at += 1 + int.from_bytes(data[at + 1:at + 5], "big")
    return keys, decode_all(data[at:])


def open_client(address: Address) -> WireClient:
    return WireClient(address.host, address.port, database="files")


def test_a_client_that_stops_reading_for_a_while_gets_all_rows_once(address: Address) -> None:
    client = open_client(address)
    try:
        client.send(m.Query(ALL))
        data = some(client, 100_000)
        for _ in range(2):  # by then the tasks have let go of what they had read
            time.sleep(1.0)
            data += some(client, 8 << 20)
        keys, after = ending(rest(client, data))
        assert sorted(keys) == list(range(ROWS))
        assert after[0] == m.CommandComplete(f"SELECT {ROWS}")
    finally:
        client.close()


def test_cancel_in_mid_stream(address: Address) -> None:
    client = open_client(address)
    try:
        (key,) = (message for message in client.started if isinstance(message, m.BackendKeyData))
        client.send(m.Query(ALL))
        data = some(client, 100_000)
        with socket.create_connection((address.host, address.port), 5) as raw:
            raw.sendall(m.encode(m.CancelRequest(key.process_id, key.secret)))
            assert raw.recv(1) == b""
        keys, after = ending(rest(client, data))
        assert len(keys) < ROWS and len(set(keys)) == len(keys)
        assert isinstance(after[0], m.ErrorResponse) and dict(after[0].fields)["C"] == "57014"
        assert isinstance(after[1], m.ReadyForQuery) and len(after) == 2
        assert m.DataRow((b"2",)) in client.query("select 2")
    finally:
        client.close()


def test_errors_in_mid_stream(address: Address) -> None:
    client = open_client(address)
    try:
        client.send(m.Query(f"select k, 1 / (k - {ROWS - 1}), wide from rows"))
        keys, after = ending(rest(client, b""))
        assert 0 < len(keys) < ROWS
        assert isinstance(after[0], m.ErrorResponse) and dict(after[0].fields)["C"] == "22012"
        assert isinstance(after[1], m.ReadyForQuery) and len(after) == 2
        assert m.DataRow((b"2",)) in client.query("select 2")
    finally:
        client.close()


def test_a_worker_killed_in_mid_stream(folder: Path) -> None:
    with Cluster([("files", str(folder))], workers=2) as own, listening(own) as address:
        client = open_client(address)
        try:
            client.send(m.Query(ALL))
            data = some(client, 100_000)
            os.kill(next(iter(own.engine.local_pids.values())), signal.SIGKILL)
            keys, after = ending(rest(client, data))
            assert len(keys) < ROWS and len(set(keys)) == len(keys)
            assert isinstance(after[0], m.ErrorResponse) and isinstance(after[1], m.ReadyForQuery) and len(after) == 2
            assert m.DataRow((b"2",)) in client.query("select 2")
        finally:
            client.close()


def test_through_tls(files: Cluster, tmp_path: Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"],
                   cwd=tmp_path, check=True, capture_output=True, timeout=30)
    options = ServerOptions(tls=server_context(tmp_path / "cert.pem", tmp_path / "key.pem"))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    trusting.check_hostname = False
    with listening(files, options) as address, wire(address.host, address.port, user="") as client:
        client.socket.sendall(m.encode(m.SslRequest()))
        assert client.socket.recv(1) == b"S"
        client.socket = trusting.wrap_socket(client.socket)
        client.send(m.StartupMessage(m.PROTOCOL_3_0, {"user": "ada", "database": "files"}))
        client.until()
        client.send(m.Query(ALL))
        data = some(client, 100_000)
        time.sleep(0.5)
        keys, after = ending(rest(client, data))
        assert sorted(keys) == list(range(ROWS)) and after[0] == m.CommandComplete(f"SELECT {ROWS}")


def test_others_get_their_turn(address: Address) -> None:
    client, other = open_client(address), open_client(address)
    try:
        client.send(m.Query(ALL))
        reading = threading.Thread(target=rest, args=(client, b""))
        reading.start()
        slowest = 0.0
        while reading.is_alive():
            started = time.monotonic()
            assert m.DataRow((b"2",)) in other.query("select 2")
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 1.0
    finally:
        client.close()
        other.close()
