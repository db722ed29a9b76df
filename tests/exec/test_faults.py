"""Workers that stop, hang and leave, networks that cut and delay: every statement ends, with its rows or an error."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.errors import SqlError, WorkerLost
from shoal.exec.coordinator import coordinator
from shoal.exec.coordinator.scheduler import Scheduler
from shoal.exec.exchange.handshake import ANSWER_BYTES, NONCE_BYTES, PROOF_BYTES, ServerHandshake
from shoal.exec.worker import liveness
from tests.exec.cluster import Cluster
from tests.exec.test_engine import SLOW, eventually
from tests.exec.test_remote import SECRET

ROWS = 200_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    table = pa.table({"k": list(range(ROWS)), "g": [f"group {n % 7}" for n in range(ROWS)]})
    pq.write_table(table, path / "nums.parquet", row_group_size=ROWS // 10)
    return path


class Proxy:
    """Stands between two nodes: can delay every message, and cut all connections."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target, self.delay_s = target, 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass_on, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                time.sleep(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        _shut(source, sink)

    def cut(self) -> None:
        _shut(*self._open)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()


def _shut(*sockets: socket.socket) -> None:
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@contextmanager
def remote_worker(port: int, folder: Path, name: str, listen: str) -> Iterator[subprocess.Popen[bytes]]:
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    process = subprocess.Popen([sys.executable, "-m", "shoal.exec.worker", "--join", f"127.0.0.1:{port}", "--secret-file",
                                str(secret), "--listen", listen, "--name", name], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_stopped_local_worker_is_killed_and_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "SILENCE_S", 0.5)
    monkeypatch.setattr(coordinator, "HEARTBEAT_S", 0.1)
    with Cluster([("files", str(folder))], workers=2, database="files") as cluster:
        execution = cluster.start(SLOW)
        before = dict(cluster.engine.local_pids)
        os.kill(before["worker-2"], signal.SIGSTOP)
        with pytest.raises(WorkerLost, match="worker-2"):
            cluster.read(execution)
        eventually(lambda: cluster.engine.local_pids.get("worker-2") not in (None, before["worker-2"]))
        eventually(lambda: cluster.engine.workers == 2)
        assert cluster.rows("select count(*) from nums") == [(ROWS,)]
        assert not Path(f"/proc/{before['worker-2']}").exists()
        assert cluster.engine.local_pids["worker-1"] == before["worker-1"]


def test_a_silent_coordinator_ends_the_membership(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut that no packet tells of: the worker must notice by itself, or it would never join again."""
    monkeypatch.setattr(liveness, "SILENCE_S", 0.2)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = liveness.LivenessThread("127.0.0.1", listener.getsockname()[1], SECRET, "node", ended.set)
        connection, _ = listener.accept()
        with connection:
            handshake = ServerHandshake(SECRET, bytes(NONCE_BYTES))
            connection.sendall(handshake.greeting())
            purpose, proof = handshake.verify(connection.recv(ANSWER_BYTES, socket.MSG_WAITALL))
            assert purpose == "liveness" and len(proof) == PROOF_BYTES
            connection.sendall(proof)
            assert ended.wait(2)
        thread.stop()


def test_a_worker_behind_a_slow_network_drains_without_failing_a_query(folder: Path, tmp_path: Path) -> None:
    failures: list[SqlError] = []
    stop = threading.Event()
    with Cluster([("files", str(folder))], workers=0, database="files", secret=SECRET) as cluster:
        proxy = Proxy(cluster.engine.cluster_address)

        def ask() -> None:
            while not stop.is_set():
                try:
                    assert cluster.rows("select count(*), max(g) from nums where k >= 0") == [(ROWS, "group 6")]
                except SqlError as error:
                    failures.append(error)

        with remote_worker(proxy.port, tmp_path, "far", "127.0.0.2") as far, \
                remote_worker(cluster.engine.cluster_address[1], tmp_path, "near", "127.0.0.3"):
            assert cluster.call(cluster.engine._coordinator.wait_for_workers(2, 20))
            proxy.delay_s = 0.3
            clients = [threading.Thread(target=ask) for _ in range(2)]
            for client in clients:
                client.start()
            time.sleep(0.3)
            far.send_signal(signal.SIGTERM)
            assert far.wait(10) == 0
            stop.set()
            for client in clients:
                client.join()
        proxy.close()
    assert not failures


def test_a_cut_off_worker_joins_again(folder: Path, tmp_path: Path) -> None:
    with Cluster([("files", str(folder))], workers=0, database="files", secret=SECRET) as cluster:
        proxy = Proxy(cluster.engine.cluster_address)
        with remote_worker(proxy.port, tmp_path, "far", "127.0.0.2"):
            assert cluster.call(cluster.engine._coordinator.wait_for_workers(1, 20))
            execution = cluster.start(SLOW)
            proxy.cut()
            with pytest.raises(WorkerLost, match="far"):
                cluster.read(execution)
            assert cluster.call(cluster.engine._coordinator.wait_for_workers(1, 10))
            assert cluster.rows("select count(*) from nums") == [(ROWS,)]
        proxy.close()


def test_compressed_links_one_page_buffers_and_seven_row_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scheduler, "_same_machine", lambda *nodes: False)
    with Cluster([("files", str(folder))], workers=3, database="files") as cluster:
        query = ("select a.g, count(*), sum(b.k), max(b.g) from nums a join nums b on a.k = b.k + 1 "
                 "where a.k < 3000 group by a.g order by a.g")
        expected = cluster.rows(query)
        assert len(expected) == 7
        session = cluster.session_with({"shoal.exchange_bytes": "1", "shoal.batch_rows": "7"})
        assert cluster.rows(query, session=session) == expected
