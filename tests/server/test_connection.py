"""The sans-IO connection: states, lengths, and the same messages whatever the pieces the bytes come in."""

from __future__ import annotations

import struct

import pytest

from shoal.catalog.errors import ProtocolViolation
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import MAX_STARTUP_BYTES, Connection, State

STARTUP = m.StartupMessage(m.PROTOCOL_3_0, {"user": "ada"})
SESSION: list[m.Message] = [
    m.Query("select 1"), m.Parse("", "select $1", (23,)), m.Bind("", "", (1,), (b"\0\0\0\1",), (1,)), m.Describe("P", ""),
    m.Execute("", 0), m.Sync(), m.Close("S", ""), m.Flush(), m.CopyData(b"abc"), m.Terminate(),
]


def ready() -> Connection:
    connection = Connection()
    assert connection.receive(m.encode(STARTUP)) == [STARTUP]
    connection.authenticated()
    return connection


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
def test_messages_do_not_depend_on_how_bytes_arrive(size: int) -> None:
    connection = ready()
    data = b"".join(map(m.encode, SESSION))
    found = [message for start in range(0, len(data), size) for message in connection.receive(data[start:start + size])]
    assert found == SESSION
    assert connection.pending_bytes == 0


def test_a_whole_startup_one_byte_at_a_time() -> None:
    connection = Connection()
    found: list[m.Message] = []

    def feed(message: m.Message) -> None:
        for byte in m.encode(message):
            found.extend(connection.receive(bytes([byte])))

    feed(m.GssEncRequest())
    assert connection.refuse_encryption() == b"N"
    feed(m.SslRequest())
    assert connection.state is State.TLS
    connection.refuse_encryption()
    feed(STARTUP)
    assert connection.state is State.AUTHENTICATION
    feed(m.AuthenticationData(b"x"))
    connection.authenticated()
    feed(m.Sync())
    assert found == [m.GssEncRequest(), m.SslRequest(), STARTUP, m.AuthenticationData(b"x"), m.Sync()]


def test_bytes_behind_an_ssl_request_are_refused() -> None:
    with pytest.raises(ProtocolViolation, match="unencrypted data after SSL request"):
        Connection().receive(m.encode(m.SslRequest()) + m.encode(STARTUP))
    connection = Connection()
    connection.receive(m.encode(m.SslRequest()))
    with pytest.raises(ProtocolViolation, match="unencrypted"):
        connection.receive(b"x")


def test_encryption_is_asked_for_once() -> None:
    connection = Connection()
    connection.receive(m.encode(m.SslRequest()))
    connection.refuse_encryption()
    with pytest.raises(ProtocolViolation):
        connection.receive(m.encode(m.SslRequest()))


def test_direct_tls_is_recognised_by_its_first_byte() -> None:
    connection = Connection()
    assert connection.receive(b"\x16\x03\x01") == [m.DirectTls()]
    assert connection.take_buffered() == b"\x16\x03\x01"


@pytest.mark.parametrize("length", [0, 7, MAX_STARTUP_BYTES + 1, -1, 2**31 - 1])
def test_startup_lengths_are_checked_before_the_body(length: int) -> None:
    with pytest.raises(ProtocolViolation, match="length of startup packet"):
        Connection().receive(struct.pack(">i", length))


@pytest.mark.parametrize(("kind", "length"), [("Q", 3), ("Q", 2**31 - 1), ("S", 10_005), ("E", -5), ("B", 0x40000004)])
def test_lengths_are_checked_before_the_body(kind: str, length: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid message length"):
        ready().receive(kind.encode() + struct.pack(">i", length))


def test_only_authentication_is_legal_before_it_is_done() -> None:
    connection = Connection()
    connection.receive(m.encode(STARTUP))
    with pytest.raises(ProtocolViolation, match="type 81"):
        connection.receive(m.encode(m.Query("select 1")))


@pytest.mark.parametrize("byte", [0, 1, ord("p"), ord("Z"), 255])
def test_unknown_types_are_refused(byte: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid frontend message type"):
        ready().receive(bytes([byte]))


def test_text_that_is_not_utf8_keeps_the_stream_in_step() -> None:
    bad = b"Q" + struct.pack(">i", 6) + b"\xff\0"
    first, second = ready().receive(bad + m.encode(m.Sync()))
    assert isinstance(first, m.Undecodable) and first.type == "Q" and first.error.sqlstate == "22021"
    assert second == m.Sync()


def test_a_long_pipeline_is_linear() -> None:
    connection = ready()
    data = m.encode(m.Sync()) * 50_000
    assert len(connection.receive(data)) == 50_000
