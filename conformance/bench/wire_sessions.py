"""Sessions: statements per second by pgbench, connections per second, the memory of idle connections, logins in a crowd.

Shoal is asked as one server, whatever it has mounted; servers take turns, figures are medians.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.bench.drain import connect
from conformance.bench.peers import Peer, stat
from conformance.server import PAGE_BYTES

CLIENTS = (1, 16)
MODES = ("simple", "prepared")
HALF_OPEN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=3.0, help="of each run of pgbench")
    parser.add_argument("--idle", type=int, default=5_000, help="connections to hold open")


def run(arguments: argparse.Namespace, peers: list[Peer]) -> int:
    """Prints the tables."""
    one_each = {("postgres" if peer.name == "postgres" else "shoal"): peer for peer in peers}
    if shutil.which("pgbench") is None:
        print("pgbench is not installed")
    else:
        _statements(arguments, one_each)
    if "shoal" in one_each:
        _idle(arguments.idle, one_each["shoal"])
        _crowd(one_each["shoal"])
    return 0


def _statements(arguments: argparse.Namespace, peers: dict[str, Peer]) -> None:
    print(f"\nSELECT 1 by pgbench, medians of {arguments.runs} runs of {arguments.seconds:g} s: transactions per second")
    print(f"{'mode':10} {'clients':>7} {'server':9} {'per s':>9} {'ratio':>6} {'CPU us each':>12}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "select.sql"
        script.write_text("SELECT 1;\n")
        cases = [(mode, clients, ()) for mode in MODES for clients in CLIENTS] + [("connect", 1, ("-C",))]
        for mode, clients, options in cases:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
            for _ in range(arguments.runs):
                for name, peer in peers.items():
                    found[name].append(_pgbench(peer, script, "simple" if options else mode, clients, arguments.seconds,
                                                options))
            base = None
            for name, rates in found.items():
                rate = statistics.median(rate for rate, _ in rates)
                base = base or rate
                print(f"{mode:10} {clients:7} {name:9} {rate:9.0f} {rate / base:6.2f} "
                      f"{statistics.median(cpu for _, cpu in rates):12.1f}", flush=True)


def _pgbench(peer: Peer, script: Path, mode: str, clients: int, seconds: float,
             options: tuple[str, ...]) -> tuple[float, float]:
    """Transactions per second, and the server's processor time for each in microseconds."""
    before = sum(peer.cpu_s().values())
    answer = subprocess.run(
        ["pgbench", "-n", "-h", "127.0.0.1", "-p", str(peer.port), "-U", peer.user, "-f", str(script), "-M", mode,
         "-c", str(clients), "-T", f"{max(1, round(seconds))}", *options, peer.database],
        capture_output=True, text=True, check=True, timeout=300)
    rate = re.search(r"tps = ([\d.]+)", answer.stdout)
    count = re.search(r"actually processed: (\d+)", answer.stdout)
    assert rate and count, answer.stdout
    return float(rate[1]), (sum(peer.cpu_s().values()) - before) / int(count[1]) * 1e6


def _resident(peer: Peer) -> int:
    """Of the process that holds the connections."""
    return int(stat(peer.process)[21]) * PAGE_BYTES


@contextmanager
def _many_files(count: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 100)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _idle(count: int, peer: Peer) -> None:
    with _many_files(count), ExitStack() as stack:
        for _ in range(50):  # what the first ones need is not theirs
            stack.enter_context(connect("127.0.0.1", peer.port, peer.user, peer.database))
        before = _resident(peer)
        started = time.perf_counter()
        for _ in range(count):
            stack.enter_context(connect("127.0.0.1", peer.port, peer.user, peer.database))
        taken = time.perf_counter() - started
        print(f"\n{count} idle connections, made in {taken:.1f} s: {(_resident(peer) - before) / count / 1000:.1f} kB each",
              flush=True)


def _crowd(peer: Peer) -> None:
    """A login while many others have connected and say nothing."""
    def logins() -> float:
        taken = []
        for _ in range(20):
            started = time.perf_counter()
            connect("127.0.0.1", peer.port, peer.user, peer.database).close()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken) * 1000

    alone = logins()
    with ExitStack() as stack:
        for number in range(HALF_OPEN):
            link = stack.enter_context(socket.create_connection(("127.0.0.1", peer.port)))
            if number % 2:
                link.sendall(b"\0\0\0")  # most of a length
        print(f"a login: {alone:.2f} ms; beside {HALF_OPEN} half-open connections: {logins():.2f} ms", flush=True)
