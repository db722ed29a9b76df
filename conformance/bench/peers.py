"""The servers a wire benchmark compares, on the same rows: PostgreSQL 15, and Shoal over Parquet files and in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from conformance.corpora import CACHE
from conformance.server import PAGE_BYTES, Server

SCHEMA = ("a int4 NOT NULL, b int8 NOT NULL, c float8 NOT NULL, d numeric(12,2) NOT NULL, e text NOT NULL, "
          "f date NOT NULL, g timestamptz NOT NULL")
GROUP_ROWS = 122_880
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """One source of the rows: where to connect, what to ask for, the root process to measure."""

    name: str
    port: int
    user: str
    database: str
    table: str
    process: int

    @property
    def sql(self) -> str:
        return f"SELECT a, b, c, d, e, f, g FROM {self.table}"

    def pids(self) -> list[int]:
        """Its process and all below it."""
        parents = {int(entry.name): fields for entry in Path("/proc").iterdir()
                   if entry.name.isdigit() and (fields := stat(int(entry.name)))}
        found = {self.process}
        while more := {pid for pid, fields in parents.items() if int(fields[1]) in found} - found:
            found |= more
        return sorted(found)

    def cpu_s(self) -> dict[int, float]:
        """Processor seconds of each process so far; what ended children used counts for their parent."""
        return {pid: sum(map(int, fields[11:15])) / _TICKS for pid in self.pids() if (fields := stat(pid))}

    def resident_bytes(self) -> int:
        """Resident memory of all processes, pages they share counted in each."""
        return sum(int(fields[21]) * PAGE_BYTES for pid in self.pids() if (fields := stat(pid)))

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host="127.0.0.1", port=self.port, user=self.user, dbname=self.database, autocommit=True)


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when the process has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def table_of(rows: int) -> pa.Table:
    """Mixed columns: small and large integers, floats of full precision, money, text, dates, times to the microsecond."""
    random = np.random.default_rng(20)
    number = np.arange(rows, dtype=np.int32)
    cents = random.integers(-10**9, 10**9, rows)
    words = np.empty((rows, 2), np.int64)
    words[:, 0], words[:, 1] = cents, cents >> 63
    kinds = pa.array(["customer", "supplier", "clerk", "region of the north", "ship"])
    names = kinds.take(pa.array(random.integers(0, 5, rows)))
    text = pa.compute.binary_join_element_wise(names, pa.array(random.integers(0, 10**7, rows)).cast(pa.string()), " ")
    return pa.table({
        "a": number, "b": random.integers(0, 10**15, rows), "c": random.random(rows) * 1000,
        "d": pa.Array.from_buffers(pa.decimal128(12, 2), rows, [None, pa.py_buffer(words)]), "e": text,
        "f": pa.array(random.integers(7000, 20000, rows).astype(np.int32)).view(pa.date32()),
        "g": pa.array(random.integers(10**15, 17 * 10**14, rows)).view(pa.timestamp("us", "UTC"))})


def data_folder(rows: int) -> Path:
    """A folder with the rows as `rows.parquet`, made once."""
    folder = CACHE / f"wire-bench-{rows}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir(parents=True)
        pa.parquet.write_table(table_of(rows), partial / "rows.parquet", row_group_size=GROUP_ROWS)
        partial.rename(folder)
    return folder


@contextmanager
def peers(rows: int, workers: int, names: set[str]) -> Iterator[list[Peer]]:
    """Starts the servers of `names` (postgres, parquet, memory) and loads them."""
    from tests.postgres_server import find_binaries, running

    folder = data_folder(rows)
    with ExitStack() as stack:
        found: list[Peer] = []
        if "postgres" in names:
            binaries = find_binaries()
            if binaries is None:
                raise SystemExit("no PostgreSQL binaries on this machine")
            postgres = running(binaries)
            server = stack.enter_context(postgres)
            assert postgres.process is not None
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(f"CREATE TABLE rows ({SCHEMA})".encode())
                with connection.cursor() as cursor, cursor.copy("COPY rows FROM STDIN (FORMAT csv)") as copy:
                    sink = pa.BufferOutputStream()
                    pa.csv.write_csv(pa.parquet.read_table(folder / "rows.parquet"), sink,
                                     pa.csv.WriteOptions(include_header=False))
                    copy.write(memoryview(sink.getvalue()))
                connection.execute("VACUUM (FREEZE, ANALYZE) rows")
            found.append(Peer("postgres", server.port, "postgres", "postgres", "rows", postgres.process.pid))
        if names & {"parquet", "memory"}:
            shoal = stack.enter_context(Server([str(folder), "--workers", str(workers), "--catalog", "mem=memory:"]))
            if "parquet" in names:
                found.append(Peer("parquet", shoal.port, "shoal", "files", "rows", shoal.process.pid))
            if "memory" in names:
                with shoal.connect("mem") as connection:
                    connection.execute("CREATE TABLE mem.public.rows AS SELECT * FROM files.public.rows")
                found.append(Peer("memory", shoal.port, "shoal", "mem", "rows", shoal.process.pid))
        yield found
