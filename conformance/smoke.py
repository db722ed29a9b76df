"""Smoke test of an installed `shoal` program: version, sample data, one join through psycopg, clean stop.

Usage: python -m conformance.smoke PATH/TO/shoal
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conformance.server import Server


def main(program: str) -> int:
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.strip()
    print(version)
    refused = subprocess.run([program, "serve", "--no-such-option"], capture_output=True, text=True)
    assert refused.returncode == 2, f"a bad option must exit with 2, not {refused.returncode}"
    with Server(["--workers", "2"], [program]) as server:
        print(server.ready_line.strip())
        with server.connect("shoal") as connection:
            catalogs = [row[0] for row in connection.execute("SELECT datname FROM pg_database ORDER BY 1")]
            assert "sample" in catalogs, catalogs
        with server.connect("sample") as connection:
            tables = [row[0] for row in connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1")]
            assert len(tables) >= 2, tables
            for table in tables:
                counted = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
                print(f"  {table}: {counted[0] if counted else None} rows")
                assert counted and counted[0] > 0
            nodes = connection.execute("SELECT count(*) FROM system.runtime.nodes").fetchone()
            assert nodes and nodes[0] >= 2, nodes
        pids = server.pids()
        code = server.stop()
    assert code == 0, f"SIGTERM must end with exit code 0, not {code}"
    left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not left, f"processes left behind: {left}"
    print("smoke test passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
