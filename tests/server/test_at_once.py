"""Messages answered as they arrive: order, fairness, and that nothing piles up, with sessions that have no task."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from shoal.server.protocol import messages as m
from tests.exec.cluster import Cluster
from tests.server.conftest import Address
from tests.server.wire import WireClient, wire


def _extended(sql: str) -> tuple[m.Message, ...]:
    return (m.Parse("", sql, ()), m.Bind("", "", (), (), ()), m.Describe("P", ""), m.Execute("", 0), m.Sync())


def _values(messages: list[m.Message]) -> list[bytes | None]:
    return [value for message in messages if isinstance(message, m.DataRow) for value in message.values]


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_idle_session_has_no_task(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.query("select 1")
        (key,) = [message for message in client.started if isinstance(message, m.BackendKeyData)]
        connection = shoal.server.sessions[key.process_id]
        _until(lambda: connection._task is None)
        client.query("select count(*) from pg_class")
        _until(lambda: connection.session is not None and connection.session.idle)


def test_quick_and_slow_statements_keep_their_order(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        for _ in range(2):  # known the second time
            client.query("select 1")
            client.query("select 2")
        sent = ["select 1", "select count(*) from generate_series(1, 7)", "select 2", "select 1"] * 40
        client.send(*(m.Query(sql) for sql in sent))
        answers = [_values(client.until()) for _ in sent]
        assert answers == [[b"1"], [b"7"], [b"2"], [b"1"]] * 40


def test_a_pipeline_of_thousands(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.ask(*_extended("select 5"))
        client.ask(*_extended("select 5"))
        client.send(*(message for _ in range(2_000) for message in _extended("select 5")))
        assert [_values(client.until()) for _ in range(2_000)] == [[b"5"]] * 2_000


def test_a_portal_that_was_answered_is_at_its_end(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        for _ in range(2):
            answer = client.ask(m.Parse("", "select 3", ()), m.Bind("p", "", (), (), ()), m.Execute("p", 0),
                                m.Execute("p", 0), m.Execute("p", 1), m.Sync())
            tags = [message.tag for message in answer if isinstance(message, m.CommandComplete)]
            assert tags == ["SELECT 1", "SELECT 0", "SELECT 0"] and _values(answer) == [b"3"]
        answer = client.ask(m.Bind("p", "", (), (), ()), m.Execute("p", 1), m.Execute("p", 1), m.Sync())
        kinds = [type(message) for message in answer[1:]]
        assert kinds == [m.DataRow, m.PortalSuspended, m.CommandComplete, m.ReadyForQuery]


def test_errors_in_what_is_answered_at_once(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        for _ in range(3):
            (error,) = [message for message in client.query("select 1 / 0") if isinstance(message, m.ErrorResponse)]
            assert error.fields["C"] == "22012"
        client.query("begin")
        client.query("select 1 / 0")
        assert client.query("select 1")[-1] == m.ReadyForQuery("E")
        client.query("rollback")
        for _ in range(2):
            answer = client.ask(*_extended("select 1 / 0"))
            assert [message.fields["C"] for message in answer if isinstance(message, m.ErrorResponse)] == ["22012"]
            assert not any(isinstance(message, m.CommandComplete) for message in answer)
        assert _values(client.query("select 1")) == [b"1"]


def test_settings_that_print_differently(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        for _ in range(3):
            for zone, hour in (("UTC", b"12:00:00+00"), ("Asia/Tokyo", b"21:00:00+09")):
                client.query(f"set timezone = '{zone}'")
                assert _values(client.query("select timestamptz '2024-01-01 12:00:00+00'"))[0].endswith(hour)  # type: ignore[union-attr]


def test_one_who_asks_without_end_leaves_others_their_turn(shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as busy, wire(shoal.host, shoal.port) as other:
        for client in (busy, other):
            client.query("select 1")
            client.query("select 1")
        count = 20_000
        busy.socket.setblocking(False)
        data = memoryview(m.encode(m.Query("select 1")) * count)
        while data:
            try:
                data = data[busy.socket.send(data):]
            except BlockingIOError:
                break
        started = time.perf_counter()
        assert _values(other.query("select 1")) == [b"1"]
        assert time.perf_counter() - started < 0.5


def test_answers_nobody_reads_do_not_pile_up(cluster: Cluster, shoal: Address) -> None:
    with wire(shoal.host, shoal.port) as client:
        client.query("select 1")
        client.query("select 1")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(1.0)
        sent = 0
        question = m.encode(m.Query("select 1")) * 1_000
        try:
            while sent < 1_000 * len(question):
                sent += client.socket.send(question)
        except TimeoutError:
            pass
        _until(lambda: any(c._paused_writing for c in shoal.server.sessions.values()))
        (connection,) = [c for c in shoal.server.sessions.values() if c._paused_writing]
        assert connection._connection.pending_bytes < 2 << 20
        transport = connection._transport
        assert transport is not None and transport.get_write_buffer_size() < 2 << 20
        with wire(shoal.host, shoal.port) as other:
            assert _values(other.query("select 1")) == [b"1"]


def test_a_client_that_leaves_in_the_middle_leaves_nothing(shoal: Address) -> None:
    before = len(shoal.server.sessions)
    for query in ("select 1", "select count(*) from generate_series(1, 30000000)", "begin; select 1"):
        client = WireClient(shoal.host, shoal.port, database="sample")
        client.send(m.Query(query), m.Query(query))
        client.close()
    _until(lambda: len(shoal.server.sessions) <= before)
