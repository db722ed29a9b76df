"""A `shoal serve` process for judges: started, watched, measured, stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import psycopg

START_SECONDS = 30
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Server:
    """Runs `shoal serve ARGUMENTS`; `ready_s` is the time from start to the ready line. Its log goes to stderr or `log`."""

    def __init__(self, arguments: Sequence[str], program: Sequence[str] = (), log: IO[bytes] | None = None) -> None:
        command = [*(program or (str(Path(sys.executable).parent / "shoal"),)), "serve", "--port", "0", *arguments]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        killer = threading.Timer(START_SECONDS, self.process.kill)
        killer.start()
        assert self.process.stdout is not None
        self.ready_line = ""
        self.printed: list[str] = []
        for line in self.process.stdout:
            self.printed.append(line)
            if line.startswith("shoal ready"):
                self.ready_line = line
                break
        killer.cancel()
        if not self.ready_line:
            raise RuntimeError(f"the server did not start (exit code {self.process.wait()}): {''.join(self.printed)}")
        self.ready_s = time.perf_counter() - started
        found = re.search(r"(?:port[ =]|:)(\d+)", self.ready_line)
        assert found, self.ready_line
        self.port = int(found[1])

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def connect(self, database: str = "files") -> psycopg.Connection:
        return psycopg.connect(host="127.0.0.1", port=self.port, user="shoal", dbname=database, autocommit=True,
                               connect_timeout=10)

    def pids(self) -> list[int]:
        """The server's process and all below it."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {self.process.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            if not more:
                return sorted(found)
            found |= more

    def resident_bytes(self) -> int:
        """Resident memory of all its processes, shared pages counted in each."""
        total = 0
        for pid in self.pids():
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
            except OSError:
                continue
        return total

    def stop(self) -> int:
        """SIGTERM, then SIGKILL after ten seconds; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.wait()


class PeakMemory:
    """Samples a server's resident memory in a thread while the `with` block runs."""

    def __init__(self, server: Server, interval_s: float = 0.02) -> None:
        self.server, self.interval_s, self.peak_bytes = server, interval_s, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        while not self._stop.wait(self.interval_s):
            self.peak_bytes = max(self.peak_bytes, self.server.resident_bytes())

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
