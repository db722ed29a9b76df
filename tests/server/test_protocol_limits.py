"""What strangers can cost: lengths that promise much, half-open connections, guessing at users and methods."""

from __future__ import annotations

import socket
import statistics
import struct
import time
import tracemalloc

import psycopg
import pytest

from shoal.catalog.config import AccessRule
from shoal.catalog.errors import ProtocolViolation
from shoal.server.listener import ServerOptions
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m
from shoal.server.protocol.connection import MAX_STARTUP_BYTES, Connection
from tests.exec.cluster import Cluster
from tests.server.conftest import Address, listening
from tests.server.wire import wire

GIGABYTE = (1 << 30) - 1


def started() -> Connection:
    connection = Connection()
    connection.receive(m.encode(m.StartupMessage(m.PROTOCOL_3_0, {"user": "u"})))
    return connection


def test_a_length_allocates_nothing() -> None:
    connection = started()
    connection.authenticated()
    tracemalloc.start()
    try:
        assert connection.receive(b"Q" + struct.pack(">i", GIGABYTE)) == []
        assert connection.receive(b"select") == []
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("kind", "length"), [
    (b"Q", GIGABYTE + 6), (b"Q", 3), (b"Q", -1), (b"S", 10_005), (b"E", 10_005), (b"X", 1 << 20), (b"f", 1 << 20)])
def test_lengths_are_checked_before_the_body(kind: bytes, length: int) -> None:
    connection = started()
    connection.authenticated()
    with pytest.raises(ProtocolViolation):
        connection.receive(kind + struct.pack(">i", length))


def test_strangers_may_send_little() -> None:
    with pytest.raises(ProtocolViolation):
        Connection().receive(struct.pack(">i", MAX_STARTUP_BYTES + 1))
    with pytest.raises(ProtocolViolation):
        started().receive(b"p" + struct.pack(">i", 65_536 + 4))
    with pytest.raises(ProtocolViolation, match="expected SASL response, got message type 81"):
        started().receive(b"Q")


def login_s(address: Address) -> float:
    began = time.perf_counter()
    with wire(address.host, address.port) as client:
        assert isinstance(client.started[-1], m.ReadyForQuery)
    return time.perf_counter() - began


def test_half_open_connections_do_not_slow_a_login(shoal: Address) -> None:
    alone = statistics.median(login_s(shoal) for _ in range(20))
    half_open = [socket.create_connection((shoal.host, shoal.port), 5) for _ in range(200)]
    try:
        for number, connection in enumerate(half_open):
            connection.sendall(struct.pack(">ii", 200, m.PROTOCOL_3_0)[:number % 9])
        beside = statistics.median(login_s(shoal) for _ in range(20))
    finally:
        for connection in half_open:
            connection.close()
    assert beside < 2 * alone + 0.01


def refused_s(address: Address, user: str) -> tuple[float, list[str]]:
    began = time.perf_counter()
    with wire(address.host, address.port, user=user, password="guess") as client:
        told = [repr(message).replace(user, "?") for message in client.started if isinstance(message, m.ErrorResponse)]
    return time.perf_counter() - began, told


def test_unknown_users_and_wrong_passwords_are_alike(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(cluster, ServerOptions(users={"ada": auth.Verifier.of("secret")})) as address:
        monkeypatch.setattr(address.server.gate.failures, "delay_s", lambda user, peer: 0.0)
        known, unknown = ([refused_s(address, user) for _ in range(15)] for user in ("ada", "bea"))
        assert {tuple(told) for _, told in known} == {tuple(told) for _, told in unknown}
        times = [statistics.median(seconds for seconds, _ in found) for found in (known, unknown)]
        assert abs(times[0] - times[1]) < 0.005


def test_rules_hold_where_they_say(cluster: Cluster) -> None:
    users = {"ada": auth.Verifier.of("secret"), "bob": auth.Verifier.of("secret")}
    access = {"eve": AccessRule("trust", ("127.0.0.0/8",)), "far": AccessRule("trust", ("10.0.0.0/8",)),
              "bob": AccessRule("password"), "carl": AccessRule("certificate")}
    with listening(cluster, ServerOptions(users=users, access=access)) as address:
        for user, method in (("eve", 0), ("far", 10), ("bob", 10), ("carl", 10), ("ada", 10), ("nobody", 10)):
            with wire(address.host, address.port, user="") as client:
                client.send(m.StartupMessage(m.PROTOCOL_3_0, {"user": user, "database": "shoal"}))
                first = next(client.messages())
                assert isinstance(first, m.Authentication) and first.code == method, user
        for user in ("ada", "bob"):  # without TLS a password is not asked for in the clear, but still right
            with psycopg.connect(host=address.host, port=address.port, user=user, password="secret",
                                 dbname="shoal") as known:
                assert known.execute("select current_user").fetchone() == (user,)
