"""Command line of the benchmarks; `python -m conformance.bench tpch --help` shows the options."""

from __future__ import annotations

import argparse
import sys

from conformance.bench import tpch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True)
    tpch.add_arguments(benches.add_parser("tpch", help="the 22 TPC-H queries over Parquet files"))
    arguments = parser.parse_args()
    return tpch.run(arguments)


sys.exit(main())
