"""Threads for planning: what hangs delays nobody else and does not keep the process alive."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from shoal.exec.planning_threads import AT_ONCE, PATIENCE_S, PlanningThreads


def test_results_and_errors_come_back() -> None:
    async def work() -> None:
        threads = PlanningThreads()
        assert await asyncio.gather(*(threads.run(pow, 2, n) for n in range(50))) == [2 ** n for n in range(50)]
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 / 0)
        threads.stop()

    asyncio.run(work())


def test_work_that_hangs_holds_up_no_other_for_long() -> None:
    async def work() -> None:
        threads, release = PlanningThreads(), threading.Event()
        hanging = [threads.start(release.wait, 10) for _ in range(2 * AT_ONCE)]
        await asyncio.sleep(2 * PATIENCE_S)
        started = time.monotonic()
        assert await threads.run(lambda: 1) == 1
        assert time.monotonic() - started < 2 * PATIENCE_S
        release.set()
        await asyncio.gather(*hanging)
        threads.stop()

    asyncio.run(work())


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    script = ("import asyncio, time\nfrom shoal.exec.planning_threads import PlanningThreads\nasync def main():\n"
              "    PlanningThreads().start(time.sleep, 60)\n    await asyncio.sleep(0.1)\nasyncio.run(main())")
    assert subprocess.run([sys.executable, "-c", script], timeout=10, check=False).returncode == 0
