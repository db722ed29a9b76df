"""Rows leaving a server: rows per second in all four forms, the first row, what a slow client costs, real clients.

Each figure is the median of several runs in which the servers take turns; a run is one new connection by a process
of its own (drain.py).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from conformance.bench.drain import FORMS
from conformance.bench.peers import Peer

SETTLE_S = 3.5
"""By then an idle server has given freed memory back."""
SLOW_RATE, SLOW_SECONDS = 1000, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--forms", default=",".join(FORMS), help="comma-separated")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-clients", action="store_true", help="leave out psql, psycopg and ADBC")
    parser.add_argument("--no-slow", action="store_true", help="leave out the slow client")


def run(arguments: argparse.Namespace, peers: list[Peer]) -> int:
    """Prints the tables; exit code 1 when rows were missing."""
    wrong = _forms(arguments, peers)
    if not arguments.no_clients:
        _clients(peers, arguments.runs)
    if not arguments.no_slow:
        _slow(peers)
    return wrong


def _forms(arguments: argparse.Namespace, peers: list[Peer]) -> int:
    wrong = 0
    print(f"{arguments.rows} rows x 7 columns drained by a socket that does not decode; medians of {arguments.runs} runs")
    print(f"{'form':12} {'source':9} {'s':>6} {'M rows/s':>9} {'ratio':>6} {'MB/s':>6} {'first row ms':>13} {'CPU s':>6} "
          f"{'client':>7}  {'by process':22} {'peak MB':>8}")
    for form in arguments.forms.split(","):
        runs: dict[str, list[dict[str, Any]]] = {peer.name: [] for peer in peers}
        for number in range(arguments.runs + 1):
            for peer in peers:
                taken = measured(peer, form)
                if number:  # the first run warms up
                    runs[peer.name].append(taken)
        base = None
        for peer in peers:
            taken = sorted(runs[peer.name], key=lambda one: one["seconds"])[arguments.runs // 2]
            rate = taken["rows"] / taken["seconds"]
            base = base or rate
            wrong += any(one["rows"] != arguments.rows for one in runs[peer.name])
            first = statistics.median(one["first_row_s"] for one in runs[peer.name]) * 1000
            cpu = sorted(taken["server_cpu_s"], reverse=True)
            print(f"{form:12} {peer.name:9} {taken['seconds']:6.2f} {rate / 1e6:9.2f} {rate / base:6.2f} "
                  f"{taken['bytes'] / taken['seconds'] / 1e6:6.0f} {first:13.1f} {sum(cpu):6.2f} {taken['cpu_s']:7.2f}  "
                  f"{' '.join(f'{one:.2f}' for one in cpu if one >= 0.02):22} {taken['peak_bytes'] / 1e6:8.0f}", flush=True)
    return 1 if wrong else 0


def measured(peer: Peer, form: str) -> dict[str, Any]:
    """One run, with the processor seconds of the server's processes and the most memory they held."""
    before = peer.cpu_s()
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, peer.resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    found = drained(peer, form)
    done.set()
    watcher.join()
    time.sleep(0.05)
    found["server_cpu_s"] = [seconds - before.get(pid, 0.0) for pid, seconds in peer.cpu_s().items()]
    found["peak_bytes"] = peak
    return found


def drained(peer: Peer, form: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "conformance.bench.drain", "127.0.0.1", str(peer.port), peer.user, peer.database, form,
               peer.sql, *options]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)


def _slow(peers: list[Peer]) -> None:
    print(f"\na client that reads {SLOW_RATE} bytes/s for {SLOW_SECONDS:.0f} s: memory beyond idle, all processes")
    for peer in peers:
        for form in ("text", "binary"):
            drained(peer, form)
            time.sleep(SETTLE_S)
            idle, peak = peer.resident_bytes(), 0
            client = threading.Thread(target=drained, args=(peer, form, "--rate", str(SLOW_RATE), "--seconds",
                                                            str(SLOW_SECONDS)))
            client.start()
            held = []
            while client.is_alive():
                held.append(peer.resident_bytes() - idle)
                time.sleep(0.1)
            client.join()
            peak = max(held)
            print(f"{form:12} {peer.name:9} peak {peak / 1e6:7.1f} MB, at the end {held[-5] / 1e6:7.1f} MB", flush=True)


def _clients(peers: list[Peer], runs: int) -> None:
    """The same rows through clients that decode."""
    print(f"\nthe same through clients; medians of {runs} runs")
    for name, work in (("psql", _psql), ("psycopg", _psycopg), ("adbc", _adbc)):
        if (name == "psql" and not shutil.which("psql")) or (
                name == "adbc" and importlib.util.find_spec("adbc_driver_postgresql") is None):
            print(f"{name:9} is not installed")
            continue
        taken: dict[str, list[float]] = {peer.name: [] for peer in peers}
        for _ in range(runs):
            for peer in peers:
                taken[peer.name].append(work(peer))
        base = statistics.median(taken[peers[0].name])
        for peer in peers:
            middle = statistics.median(taken[peer.name])
            print(f"{name:9} {peer.name:9} {middle:6.2f} s  ratio {base / middle:5.2f}", flush=True)


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _psql(peer: Peer) -> float:
    command = ["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(peer.port), "-U", peer.user, "-d", peer.database,
               "-o", os.devnull, "-c", peer.sql]
    return _timed(lambda: subprocess.run(command, check=True, timeout=300))


def _psycopg(peer: Peer) -> float:
    def work() -> None:
        with peer.connect() as connection, connection.cursor() as cursor:
            cursor.execute(peer.sql.encode())
            while cursor.fetchmany(10_000):
                pass

    return _timed(work)


def _adbc(peer: Peer) -> float:
    dbapi = importlib.import_module("adbc_driver_postgresql.dbapi")

    def work() -> None:
        with dbapi.connect(f"postgresql://{peer.user}@127.0.0.1:{peer.port}/{peer.database}") as connection, \
                connection.cursor() as cursor:
            cursor.execute(peer.sql)
            cursor.fetch_arrow_table()

    return _timed(work)
