"""TPC-H and TPC-DS over Parquet files: Shoal through its wire protocol, and peers, query by query in one run.

For each query the engines take turns; the time printed is the median of `--runs` after one warm-up run. Answers are
compared with the published ones where there are some for the query and scale, else with the peer's, as multisets where
the query leaves the order of equal rows open.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from conformance.corpora import Suite, difference
from conformance.server import PeakMemory, Server

IDLE_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser, suite: Suite) -> None:
    parser.set_defaults(suite=suite)
    parser.add_argument("--scale", default="1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peers", default="duckdb", help="comma-separated: duckdb, or empty")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--queries", default=",".join(suite.queries), help="comma-separated, e.g. q01,q06")
    parser.add_argument("--data", type=Path, help="folder of the Parquet files (default: generated once)")


def duckdb_runner(folder: Path, threads: int) -> Callable[[str], list[tuple[Any, ...]]]:
    import duckdb

    connection = duckdb.connect(config={"threads": threads})
    for file in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE VIEW {file.stem} AS SELECT * FROM read_parquet('{file}')")
    return lambda sql: connection.execute(sql).fetchall()


def run(arguments: argparse.Namespace) -> int:
    """Prints the table; exit code 1 if any answer was wrong."""
    suite: Suite = arguments.suite
    folder = arguments.data or suite.data(arguments.scale)
    peer = duckdb_runner(folder, arguments.workers) if arguments.peers == "duckdb" else None
    wrong = 0
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    planning: dict[str, float] = {}
    with Server([str(folder), "--workers", str(arguments.workers)]) as server, server.connect() as connection:
        time.sleep(IDLE_SECONDS)
        idle_bytes = server.resident_bytes()
        print(f"ready in {server.ready_s:.2f} s; idle memory of {len(server.pids())} processes {idle_bytes / 1e6:.0f} MB\n")
        print(f"{'query':6} {'shoal ms':>9} {'duckdb ms':>10} {'ratio':>6} {'plan ms':>8}  answer")
        with PeakMemory(server) as memory:
            for name in arguments.queries.split(","):
                sql = suite.query(name)
                rows = _fetch(connection, sql)
                expected = suite.answer(name, arguments.scale)
                if peer:
                    theirs_now = peer(sql)
                    expected = expected or _as_texts(theirs_now, rows)
                mine, other = [], []
                for _ in range(arguments.runs):
                    mine.append(_time(partial(_fetch, connection, sql)))
                    if peer:
                        other.append(_time(partial(peer, sql)))
                ours[name] = statistics.median(mine)
                plans = _fetch(connection, "EXPLAIN (ANALYZE, FORMAT JSON) " + sql.rstrip("; \n"))
                planning[name] = _planning_ms(plans)
                problem = "" if expected is None else difference(rows, expected)
                if problem and expected:
                    problem = difference(_sorted(rows), _sorted(expected))
                wrong += bool(problem)
                verdict = "unchecked" if expected is None else f"WRONG: {problem}" if problem else "right"
                line = f"{name:6} {ours[name]:9.0f}"
                if peer:
                    theirs[name] = statistics.median(other)
                    line += f" {theirs[name]:10.0f} {ours[name] / theirs[name]:6.2f}"
                else:
                    line += f" {'':10} {'':6}"
                print(f"{line} {planning[name]:8.1f}  {verdict}", flush=True)
    print(f"\n{'total':6} {sum(ours.values()):9.0f}", end="")
    if peer:
        ratios = [ours[name] / theirs[name] for name in ours]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        whole = sum(theirs.values())
        print(f" {whole:10.0f} {sum(ours.values()) / whole:6.2f}   geometric mean of ratios {mean:.2f}", end="")
    times = sorted(planning.values())
    print(f"\nplanning: median {statistics.median(times):.1f} ms, 95th percentile {times[int(len(times) * 0.95)]:.1f} ms, "
          f"at most {times[-1]:.1f} ms; peak memory of all processes {memory.peak_bytes / 1e6:.0f} MB")
    print(f"{len(ours) - wrong} of {len(ours)} right" if wrong else f"all {len(ours)} answers right or unchecked")
    return 1 if wrong else 0


def _as_texts(theirs: Sequence[Sequence[Any]], ours: Sequence[Sequence[Any]]) -> list[list[str]]:
    """A peer's rows as an answer. Its floats stand for our numerics next to them: rounding a tie (0.575 to two digits) goes
    either way in a float, so one unit of the last digit is no difference."""
    def text(value: Any, own: Any) -> str:
        if isinstance(value, float) and isinstance(own, Decimal) and own.is_finite():
            exponent = own.as_tuple().exponent
            unit = Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(1)
            if unit < Decimal("0.1") and abs(Decimal(value) - own) < unit * Decimal("1.0001"):
                return str(own)
        return "" if value is None else str(value)

    if len(theirs) != len(ours):
        return [[text(value, None) for value in row] for row in theirs]
    return [[text(*pair) for pair in zip(row, own, strict=True)] for row, own in zip(theirs, ours, strict=True)]


def _sorted(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return sorted(rows, key=lambda row: [_key(value) for value in row])


def _key(value: Any) -> str:
    """Equal for equal values of both sides, whatever digits they are written with."""
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return "" if value is None or value == "NULL" else str(value).rstrip()


def _fetch(connection: psycopg.Connection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql.encode()).fetchall()


def _time(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _planning_ms(rows: list[tuple[Any, ...]]) -> float:
    document = rows[0][0] if len(rows) == 1 else "\n".join(row[0] for row in rows)
    plan = json.loads(document) if isinstance(document, str) else document
    return float((plan[0] if isinstance(plan, list) else plan)["Planning Time"])
