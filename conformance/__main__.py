"""`python -m conformance`: everything that judges Shoal as PostgreSQL's clients see it, in one go; exit code 1 if any fails.

The protocol scripts as they stand, a byte at a time and all at once; the statements clients sent; the clients themselves;
PostgreSQL's regression scripts, and samples of the other judges of SQL, which their own commands run whole.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

PARTS = (("protocol scripts", "conformance.wire"),
         ("protocol scripts, a byte at a time", "conformance.wire", "--byte-at-a-time"),
         ("protocol scripts, all bytes at once", "conformance.wire", "--coalesced"),
         ("statements of clients", "conformance.clients.statements"),
         ("clients", "conformance.clients"),
         ("PostgreSQL's regression SELECTs", "conformance.regress"),
         ("functions, operators and casts", "conformance.functions", "--share", "0.1"),
         ("a sample of SQLite's sqllogictest", "conformance.sqllogic", "--sample", "10000"),
         ("generated queries that judge themselves", "conformance.fuzz_logic", "--queries", "2000"),
         ("generated queries beside PostgreSQL", "conformance.fuzz_queries", "--count", "300"))


def main() -> int:
    argparse.ArgumentParser(prog="python -m conformance", description=__doc__).parse_args()
    failed = []
    for name, module, *options in PARTS:
        print(f"== {name}: python -m {' '.join([module, *options])}", flush=True)
        started = time.monotonic()
        if subprocess.run([sys.executable, "-m", module, *options], check=False).returncode:
            failed.append(name)
        print(f"== {name}: {'FAILED' if name in failed else 'ok'} in {time.monotonic() - started:.0f} s", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


sys.exit(main())
