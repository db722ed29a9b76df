"""Workers that join over the network: two loopback addresses stand for two machines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.errors import InsufficientResources
from shoal.exec import engine
from tests.exec.cluster import Cluster
from tests.exec.test_engine import eventually

ROWS = 300_000
SECRET = b"the secret of these tests"


@contextmanager
def worker(cluster: Cluster, folder: Path, *arguments: str, secret: bytes = SECRET) -> Iterator[subprocess.Popen[bytes]]:
    file = folder / f"secret-{len(list(folder.glob('secret-*')))}"
    file.write_bytes(secret + b"\n")
    host, port = cluster.engine.cluster_address
    process = subprocess.Popen([sys.executable, "-m", "shoal.exec.worker", "--join", f"{host}:{port}", "--secret-file",
                                str(file), *arguments], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    data = tmp_path / "data"
    data.mkdir()
    pq.write_table(pa.table({"k": list(range(ROWS))}), data / "nums.parquet", row_group_size=ROWS // 10)
    with Cluster([("files", str(data))], workers=0, secret=SECRET, database="files") as running:
        yield running


def test_workers_on_other_addresses_do_part_of_a_query(cluster: Cluster, tmp_path: Path) -> None:
    with worker(cluster, tmp_path, "--listen", "127.0.0.2", "--name", "two"), \
            worker(cluster, tmp_path, "--listen", "127.0.0.3", "--name", "three"):
        assert cluster.call(cluster.engine._coordinator.wait_for_workers(2, 20))
        rows = cluster.rows("select count(*), count(distinct b.k % 7) from nums a join nums b on a.k = b.k")
        assert rows == [(ROWS, 7)]
        addresses = dict(cluster.rows("select node_id, address from system.runtime.nodes where kind = 'worker'"))
        assert addresses["two"].startswith("127.0.0.2:") and addresses["three"].startswith("127.0.0.3:")
        used = {row["node_id"] for row in cluster.engine.history.tasks() if row["rows"]}
        assert {"two", "three"} <= used


def test_a_worker_without_the_secret_is_turned_away(cluster: Cluster, tmp_path: Path) -> None:
    with worker(cluster, tmp_path, secret=b"another secret, not this one") as stranger:
        _, stderr = stranger.communicate(timeout=20)
    assert stranger.returncode == 1 and b"secret" in stderr and b"Traceback" not in stderr
    assert cluster.engine.workers == 0


def test_bad_usage_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for arguments in (["--join", "nowhere"], ["--join", "h:1"], ["--join", "h:1", "--secret-file", str(tmp_path / "none")]):
        done = subprocess.run([sys.executable, "-m", "shoal.exec.worker", *arguments], capture_output=True, check=False)
        assert done.returncode == 2 and b"Traceback" not in done.stderr


def test_no_worker_is_an_error_after_a_while(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WORKERS_WAIT_S", 0.1)
    with pytest.raises(InsufficientResources):
        cluster.rows("select count(*) from nums")
    assert cluster.rows("select 1") == [(1,)]


def test_a_drained_worker_finishes_and_leaves(cluster: Cluster, tmp_path: Path) -> None:
    with worker(cluster, tmp_path, "--name", "first") as first, worker(cluster, tmp_path, "--name", "second"):
        assert cluster.call(cluster.engine._coordinator.wait_for_workers(2, 20))
        execution = cluster.start("select count(*) from nums a, nums b where b.k < 300 and a.k + b.k < 1000000")
        time.sleep(0.2)
        os.kill(first.pid, signal.SIGTERM)
        eventually(lambda: cluster.engine.workers == 1)
        assert cluster.rows("select count(*) from nums") == [(ROWS,)]
        assert cluster.read(execution) == [(300 * ROWS,)]
        assert first.wait(20) == 0
