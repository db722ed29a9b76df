"""Starts worker processes and keeps them running: the only part that knows where workers come from.

All worker state is disposable and joining takes one address and one secret, so a launcher needs no more than to start
processes and stop them. Local ones are started with exec, never fork; the secret goes through a pipe, never the command
line. A worker that dies is started again at once, with growing delay if it keeps failing to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import Final, Protocol

ENVIRONMENT: Final = {
    # Large numpy arrays are otherwise mapped and unmapped at every kernel call (design/kernels.md: 449 -> 313 ms); and
    # only one arena, as others than the first are cut into heaps of 64 MB. An idle worker trims (worker.py).
    "MALLOC_MMAP_THRESHOLD_": str(512 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20), "MALLOC_TOP_PAD_": str(16 << 20),
    "MALLOC_ARENA_MAX": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
STOP_S: Final = 5.0
STABLE_S: Final = 10.0
MAX_BACKOFF_S: Final = 10.0

log = logging.getLogger("shoal.launcher")


class Launcher(Protocol):
    """Where workers come from."""

    async def start(self, join: tuple[str, int], secret: bytes) -> None:
        """Starts the workers, which then join the coordinator at `join`."""

    async def stop(self) -> None:
        """Ends them all; they have been drained if there was time."""

    def lost(self, name: str, pid: int) -> None:
        """The coordinator has given up the worker that called itself so: it is no use any more, if it was one of these."""


class LocalLauncher(Launcher):
    """`count` worker processes on this machine, named worker-1, worker-2 ..."""

    def __init__(self, count: int, memory_bytes: int, spill_dir: str = "") -> None:
        self._count, self._memory_bytes, self._spill_dir = count, memory_bytes, spill_dir
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the running workers by name."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    async def start(self, join: tuple[str, int], secret: bytes) -> None:
        self._stopping.clear()
        for number in range(1, self._count + 1):
            self._keepers.append(asyncio.create_task(self._keep(f"worker-{number}", join, secret)))

    async def _keep(self, name: str, join: tuple[str, int], secret: bytes) -> None:
        """Runs one worker, again and again."""
        loop = asyncio.get_running_loop()
        backoff_s = 0.0
        while not self._stopping.is_set():
            started = loop.time()
            process = await self._spawn(name, join, secret)
            assert process.stderr is not None and process.stdin is not None
            if self._stopping.is_set():  # while it was being started, unknown to stop()
                process.stdin.close()
            async for line in process.stderr:
                log.info("%s: %s", name, line.decode(errors="replace").rstrip())
            code = await process.wait()
            process.stdin.close()
            if self._stopping.is_set():
                return
            log.warning("%s (process %d) ended with code %d; starting another", name, process.pid, code)
            killed = code < 0  # by a signal, so not a fault of how it was started
            backoff_s = 0.0 if killed or loop.time() - started > STABLE_S else min(MAX_BACKOFF_S, backoff_s * 2 or 0.1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff_s)

    def lost(self, name: str, pid: int) -> None:
        for own, process in self._processes.items():
            if process.pid == pid and process.returncode is None and name.startswith(own):
                log.warning("%s (process %d) is no longer a member; killing it", own, pid)
                process.kill()

    async def _spawn(self, name: str, join: tuple[str, int], secret: bytes) -> asyncio.subprocess.Process:
        arguments = ["-m", "shoal.exec.worker", "--join", f"{join[0]}:{join[1]}", "--secret-stdin", "--name", name,
                     "--memory", str(self._memory_bytes)]
        if self._spill_dir:
            arguments += ["--spill-dir", self._spill_dir]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, env={**os.environ, **ENVIRONMENT}, start_new_session=True)
        self._processes[name] = process
        assert process.stdin is not None
        process.stdin.write(secret.hex().encode() + b"\n")
        try:
            await process.stdin.drain()
        except ConnectionError:
            log.warning("%s ended while starting", name)
        return process

    async def stop(self) -> None:
        """Ends when all processes have: those that do not leave within STOP_S are killed."""
        self._stopping.set()
        for process in self._processes.values():
            if process.returncode is None and process.stdin is not None:
                process.stdin.close()  # the worker leaves when its stdin ends
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=STOP_S)
            for process in self._processes.values():
                if late and process.returncode is None:
                    process.kill()
            await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        self._processes.clear()
