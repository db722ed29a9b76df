"""Command line of the benchmarks; `python -m conformance.bench tpch --help` shows the options."""

from __future__ import annotations

import argparse
import sys

from conformance.bench import tpch, wire


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True)
    tpch.add_arguments(benches.add_parser("tpch", help="the 22 TPC-H queries over Parquet files"))
    wire.add_arguments(benches.add_parser("wire", help="rows and sessions against a real PostgreSQL"))
    arguments = parser.parse_args()
    return {"tpch": tpch, "wire": wire}[arguments.bench].run(arguments)


sys.exit(main())
