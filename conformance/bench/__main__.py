"""Command line of the benchmarks; `python -m conformance.bench tpch --help` shows the options."""

from __future__ import annotations

import argparse
import sys

from conformance.bench import tpc, wire
from conformance.corpora import TPCDS, TPCH


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True)
    tpc.add_arguments(benches.add_parser("tpch", help="the 22 TPC-H queries over Parquet files"), TPCH)
    tpc.add_arguments(benches.add_parser("tpcds", help="the 99 TPC-DS queries over Parquet files"), TPCDS)
    wire.add_arguments(benches.add_parser("wire", help="rows and sessions against a real PostgreSQL"))
    arguments = parser.parse_args()
    return {"tpch": tpc, "tpcds": tpc, "wire": wire}[arguments.bench].run(arguments)


sys.exit(main())
