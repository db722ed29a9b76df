"""A real listener: start-up in any order, users, TLS, hostile bytes, cancels, slow and vanished clients, shutdown."""

from __future__ import annotations

import random
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest

from shoal.server.listener import ServerOptions, parse_options
from shoal.server.protocol import auth
from shoal.server.protocol import messages as m
from shoal.server.tls import certificate_hash, server_context
from tests.exec.cluster import Cluster
from tests.server.conftest import Address, listening
from tests.server.wire import WireClient, wire

LONG = "select count(*) from generate_series(1, 100000) a(x), generate_series(1, 100000) b(y) where x * y % 7 = 3"


def errors(messages: list[m.Message]) -> list[dict[str, str]]:
    return [message.fields for message in messages if isinstance(message, m.ErrorResponse)]


def test_what_a_session_is_told_at_its_start(shoal: Address) -> None:
    with wire(shoal.host, shoal.port, application_name="me", options="-c timezone=Europe/Oslo --geqo=off",
              unknown_thing="x") as client:
        told = {message.name: message.value for message in client.started if isinstance(message, m.ParameterStatus)}
        assert told["server_version"].startswith("15.") and told["client_encoding"] == "UTF8"
        assert (told["application_name"], told["TimeZone"], told["DateStyle"]) == ("me", "Europe/Oslo", "ISO, MDY")
        assert {"server_encoding", "integer_datetimes", "standard_conforming_strings", "IntervalStyle", "is_superuser",
                "session_authorization", "default_transaction_read_only", "in_hot_standby"} <= set(told)
        kinds = [type(message) for message in client.started if not isinstance(message, m.ParameterStatus)]
        assert kinds == [m.Authentication, m.BackendKeyData, m.ReadyForQuery]
        changed = client.query("set timezone = 'UTC'")
        assert m.ParameterStatus("TimeZone", "UTC") in changed


def test_protocol_3_2_and_what_is_newer(shoal: Address) -> None:
    with wire(shoal.host, shoal.port, protocol=m.PROTOCOL_3_2) as client:
        (key,) = (message for message in client.started if isinstance(message, m.BackendKeyData))
        assert len(key.secret) == 32
    with wire(shoal.host, shoal.port, protocol=(3 << 16) | 9999, **{"_pq_.what": "1"}) as client:
        assert client.started[0] == m.NegotiateProtocolVersion(m.PROTOCOL_3_2, ("_pq_.what",))
        assert isinstance(client.started[-1], m.ReadyForQuery)
    with wire(shoal.host, shoal.port, protocol=2 << 16) as client:
        assert errors(client.started)[0]["C"] == "0A000" and client.at_end()


def test_encryption_requests_in_any_order_without_tls(shoal: Address) -> None:
    for order in ([m.SslRequest(), m.GssEncRequest()], [m.GssEncRequest(), m.SslRequest()], [m.SslRequest()]):
        with wire(shoal.host, shoal.port, user="") as client:
            for request in order:
                client.send(request)
                assert client.socket.recv(1) == b"N"
            client.send(m.StartupMessage(m.PROTOCOL_3_0, {"user": "u", "database": "sample"}))
            assert isinstance(client.until()[-1], m.ReadyForQuery)


@pytest.mark.parametrize(("database", "code"), [("nope", "3D000"), ("sampel", "3D000")])
def test_unknown_databases(shoal: Address, database: str, code: str) -> None:
    with wire(shoal.host, shoal.port, database=database) as client:
        fields = errors(client.started)[0]
        assert (fields["S"], fields["C"]) == ("FATAL", code) and "sample" in fields["H"]
        assert client.at_end()


HOSTILE = [b"\0", struct.pack(">i", 7) + b"abc", struct.pack(">i", 2**31 - 1), b"GET / HTTP/1.1\r\n\r\n",
           b"\x16\x03\x01\0\x05hello",
           struct.pack(">ii", 8, m.SSL_REQUEST) + b"more", struct.pack(">ii", 8, 5 << 16),
           struct.pack(">ii", 9, m.PROTOCOL_3_0) + b"\0", struct.pack(">ii", 11, m.PROTOCOL_3_0) + b"a\0\0",
           struct.pack(">iii", 12, m.CANCEL_REQUEST, 1), struct.pack(">iii", 16, m.CANCEL_REQUEST, 1) + b"nope"]


@pytest.mark.parametrize("data", HOSTILE)
def test_hostile_starts_end_that_connection_only(shoal: Address, data: bytes) -> None:
    with wire(shoal.host, shoal.port) as bystander:
        with socket.create_connection((shoal.host, shoal.port), 5) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
        assert isinstance(bystander.query("select 1")[-1], m.ReadyForQuery)


@pytest.mark.parametrize("data", [b"Z\0\0\0\4", b"Q\0\0\0\3", b"Q\x7f\xff\xff\xff", b"B\0\0\0\5\0", b"p\0\0\0\4",
                                  b"S\0\0\0\5x",
                                  b"Q\0\0\0\x08abcd"])
def test_violations_are_fatal_08p01(shoal: Address, data: bytes) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.socket.sendall(data)
        fields = errors(list(client.messages()))[0]
        assert (fields["S"], fields["C"]) == ("FATAL", "08P01")


def test_mutated_sessions_do_no_harm(shoal: Address) -> None:
    draw = random.Random(5)
    good = b"".join(map(m.encode, [m.Parse("", "select $1::int4", ()), m.Bind("", "", (1,), (b"\0\0\0\1",), (1,)),
                                   m.Describe("P", ""), m.Execute("", 0), m.Sync(), m.Query("select 1"), m.Terminate()]))
    for _ in range(60):
        data = bytearray(good)
        for _ in range(draw.randrange(1, 5)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        client = WireClient(shoal.host, shoal.port)
        client.socket.sendall(bytes(data))
        client.socket.shutdown(socket.SHUT_WR)
        for message in client.messages():
            if isinstance(message, m.ErrorResponse):
                assert message.fields["C"] != "XX000", message
        client.close()
    with wire(shoal.host, shoal.port) as client:
        assert m.DataRow((b"1",)) in client.query("select 1")


def test_users_and_passwords(cluster: Cluster) -> None:
    users = {"ada": auth.Verifier.of("pw"), "bob": auth.Verifier.parse(str(auth.Verifier.of("wörd")))}
    with listening(cluster, ServerOptions(users=users)) as address:
        for user, password in (("ada", "pw"), ("bob", "wörd")):
            with psycopg.connect(host=address.host, port=address.port, user=user, password=password, dbname="sample") as c:
                assert c.execute("select current_user").fetchone() == (user,)
        seen = set()
        for user, password in (("ada", "wp"), ("nobody", "pw"), ("ada", "")):
            with wire(address.host, address.port, user=user, password=password) as client:
                fields = errors(client.started)[0]
                seen.add((fields["S"], fields["C"], fields["M"].replace(user, "?")))
                assert client.at_end()
        assert seen == {("FATAL", "28P01", 'password authentication failed for user "?"')}
        with wire(address.host, address.port, user="") as client:
            client.send(m.StartupMessage(m.PROTOCOL_3_0, {"user": "ada"}), m.Query("select 1"))
            assert errors(client.until())[0]["C"] == "08P01"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2",
                    "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost"],
                   cwd=folder, check=True, capture_output=True, timeout=30)
    return folder / "cert.pem", folder / "key.pem"


def test_tls_with_channel_binding_and_direct_negotiation(cluster: Cluster, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    options = ServerOptions(users={"ada": auth.Verifier.of("pw")}, tls=server_context(cert, key),
                            certificate_hash=certificate_hash(cert))
    with listening(cluster, options) as address:
        with psycopg.connect(host=address.host, port=address.port, user="ada", password="pw", dbname="sample",
                             sslmode="require", channel_binding="require") as connection:
            rows = connection.execute("select x, repeat('y', 100) from generate_series(1, 30000) t(x)").fetchall()
            assert len(rows) == 30_000 and rows[-1] == (30_000, "y" * 100)
        trusting = ssl.create_default_context(cafile=str(cert))
        trusting.set_alpn_protocols(["postgresql"])
        with socket.create_connection((address.host, address.port), 5) as raw, \
                trusting.wrap_socket(raw, server_hostname="localhost") as direct:
            assert direct.selected_alpn_protocol() == "postgresql"
            direct.sendall(m.encode(m.StartupMessage(m.PROTOCOL_3_0, {"user": "ada", "database": "sample"})))
            assert direct.recv(1) == b"R"
        with wire(address.host, address.port, user="") as client:
            client.socket.sendall(m.encode(m.SslRequest()) + b"injected")
            assert errors(list(client.messages()))[0]["C"] == "08P01"


def test_too_many_connections_and_silent_ones(cluster: Cluster) -> None:
    with listening(cluster, ServerOptions(max_connections=2, authentication_timeout_s=0.3)) as address:
        with wire(address.host, address.port), wire(address.host, address.port):
            with wire(address.host, address.port) as third:
                assert errors(third.started)[0]["C"] == "53300"
            with socket.create_connection((address.host, address.port), 5) as silent:
                started = time.monotonic()
                while silent.recv(4096):
                    pass
                assert time.monotonic() - started < 3
        deadline = time.monotonic() + 5
        while address.server.sessions and time.monotonic() < deadline:
            time.sleep(0.01)
        with wire(address.host, address.port) as client:
            assert isinstance(client.started[-1], m.ReadyForQuery)


def test_cancel_requests(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        (key,) = (message for message in client.started if isinstance(message, m.BackendKeyData))

        def cancel(secret: bytes) -> None:
            with socket.create_connection((shoal.host, shoal.port), 5) as raw:
                raw.sendall(m.encode(m.CancelRequest(key.process_id, secret)))
                assert raw.recv(1) == b""

        cancel(key.secret)  # idle: nothing happens
        assert isinstance(client.query("select 1")[0], m.RowDescription)
        client.send(m.Query(LONG))
        time.sleep(0.2)
        cancel(b"nope")
        started = time.monotonic()
        threading.Timer(0.2, cancel, [key.secret]).start()
        fields = errors(client.until())[0]
        assert (fields["C"], fields["M"]) == ("57014", "canceling statement due to user request")
        assert time.monotonic() - started < 2
        assert m.DataRow((b"2",)) in client.query("select 2")


def test_statement_timeout(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.query("set statement_timeout = '150ms'")
        for ask in ([m.Query(LONG)], [m.Parse("", LONG, ()), m.Bind("", "", (), (), ()), m.Execute("", 0), m.Sync()]):
            fields = errors(client.ask(*ask))[0]
            assert (fields["C"], fields["M"]) == ("57014", "canceling statement due to statement timeout")
        client.query("set statement_timeout = 0")
        assert m.DataRow((b"2",)) in client.query("select 2")


def running(cluster: Cluster) -> int:
    rows = cluster.rows("select count(*) from system.runtime.queries where state in ('queued', 'running', 'planning')")
    return int(rows[0][0]) - 1  # this one


def test_a_client_that_goes_away_stops_its_statement(cluster: Cluster, shoal: Address) -> None:
    client = WireClient(shoal.host, shoal.port)
    client.send(m.Query(LONG))
    deadline = time.monotonic() + 5
    while running(cluster) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    client.close()
    started = time.monotonic()
    while running(cluster) > 0:
        assert time.monotonic() - started < 3
        time.sleep(0.02)


def test_a_slow_client_holds_little(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(m.Query("select x, repeat('z', 1000) from generate_series(1, 200000) t(x)"))
        time.sleep(0.5)
        (connection,) = (c for c in shoal.server.sessions.values() if c.session is not None and not c.session.idle)
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() < 1 << 20


def test_idle_timeouts(shoal: Address) -> None:
    with wire(shoal.host, shoal.port, options="-c idle_in_transaction_session_timeout=100") as client:
        client.query("select 1")
        time.sleep(0.2)
        client.query("begin")
        fields = errors(list(client.messages()))[0]
        assert (fields["S"], fields["C"]) == ("FATAL", "25P03")


def test_shutdown_lets_statements_finish(cluster: Cluster) -> None:
    with listening(cluster) as address:
        idle, busy = WireClient(address.host, address.port), WireClient(address.host, address.port)
        busy.send(m.Query(LONG.replace("100000", "4000")))
        time.sleep(0.1)
        cluster.call(address.server.stop(drain=True))
        assert errors(list(idle.messages()))[0]["C"] == "57P01"
        answer = list(busy.messages())
        assert m.CommandComplete("SELECT 1") in answer and errors(answer)[-1]["C"] == "57P01"
        idle.close()
        busy.close()


def test_notifications_between_sessions(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as one, wire(shoal.host, shoal.port) as two:
        one.query("listen news")
        two.query("begin; notify news, 'late'")
        two.query("rollback")
        two.query("notify news, 'now'; notify news, 'now'; notify news, 'too'")
        found = one.until(m.NotificationResponse) + one.until(m.NotificationResponse)
        assert [(x.channel, x.payload) for x in found if isinstance(x, m.NotificationResponse)] == [("news", "now"),
                                                                                                    ("news", "too")]


def test_startup_options() -> None:
    assert parse_options("-c a=1 --b-c=2 -cd=x\\ y -e --f") == {"a": "1", "b_c": "2", "d": "x y"}
