"""The wire against a real PostgreSQL 15 in one run: a module for each group of figures (rows, sessions ...)."""

from __future__ import annotations

import argparse

from conformance.bench import wire_rows, wire_sessions
from conformance.bench.peers import peers

GROUPS = {"rows": wire_rows, "sessions": wire_sessions}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--groups", default=",".join(GROUPS), help="comma-separated")
    parser.add_argument("--sources", default="postgres,parquet,memory", help="comma-separated")
    parser.add_argument("--workers", type=int, default=2)
    for group in GROUPS.values():
        group.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the tables; exit code 1 if any answer was wrong."""
    groups = arguments.groups.split(",")
    rows = arguments.rows if "rows" in groups else 1_000
    with peers(rows, arguments.workers, set(arguments.sources.split(","))) as found:
        return max(GROUPS[name].run(arguments, found) for name in groups)
