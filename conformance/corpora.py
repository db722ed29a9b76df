"""Where the third-party test data lies (SHOAL_CORPORA, default ../shared/corpora) and how answers are compared."""

from __future__ import annotations

import csv
import decimal
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPORA = Path(os.environ.get("SHOAL_CORPORA", ROOT.parent / "shared" / "corpora"))
CACHE = Path(os.environ.get("SHOAL_CACHE", Path.home() / ".cache" / "shoal"))
RELATIVE_ERROR, FLOAT_DIGITS = 1e-12, 13
"""The published answers hold averages as 8-byte floats, written with 13 digits or more (no trailing
zeros); all else must be equal."""


@dataclass(frozen=True)
class Suite:
    """A benchmark of the TPC: its queries, its data at any scale, its published answers."""

    name: str
    count: int
    generator: str = ""
    """DuckDB's function that makes the data, where the published answers were computed from its data; else the data comes
    from tpcgen-cli. Generators draw different rows."""

    @property
    def queries(self) -> tuple[str, ...]:
        return tuple(f"q{number:02d}" for number in range(1, self.count + 1))

    def query(self, name: str) -> str:
        """The text: the corpus', and where that has fewer than all, DuckDB's."""
        path = CORPORA / self.name / "queries" / f"{name}.sql"
        if path.exists():
            return path.read_text()
        with self._duckdb() as connection:
            sql = f"SELECT query FROM {self.name}_queries() WHERE query_nr = {int(name[1:])}"
            return str(connection.execute(sql).fetchone()[0])

    def data(self, scale: str) -> Path:
        """A folder of Parquet files at this scale, generated once."""
        folder = CACHE / f"{self.name}-bench" / f"sf{scale}"
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.{os.getpid()}")
            partial.mkdir(parents=True)
            if self.generator:
                with self._duckdb() as connection:
                    connection.execute(f"CALL {self.generator}(sf = {float(scale)})")
                    connection.execute(f"EXPORT DATABASE '{partial}' (FORMAT parquet)")
                for script in partial.glob("*.sql"):
                    script.unlink()
            else:
                program = str(Path(sys.executable).parent / "tpcgen-cli")
                command = [program, self.name, "parquet", "-s", scale, "-o", str(partial)]
                subprocess.run(command, check=True, capture_output=True)
            partial.rename(folder)
        return folder

    def answer(self, name: str, scale: str) -> list[list[str]] | None:
        """The published rows, or None where there is no answer for this query and scale."""
        path = CORPORA / self.name / f"answers-sf{scale}" / f"{name}.csv"
        if not path.exists():
            return None
        with path.open(newline="") as file:
            return [row or [""] for row in csv.reader(file, delimiter="|")][1:]

    @contextmanager
    def _duckdb(self) -> Iterator[Any]:
        import duckdb

        package = importlib.import_module(f"duckdb_extension_{self.name}")
        assert package.__file__
        extension = next(Path(package.__file__).parent.rglob(f"{self.name}.duckdb_extension"))
        with duckdb.connect() as connection:
            connection.execute(f"LOAD '{extension}'")
            yield connection


TPCH = Suite("tpch", 22, "dbgen")
TPCDS = Suite("tpcds", 99)


def difference(rows: Sequence[Sequence[Any]], expected: Sequence[Sequence[str]]) -> str:
    """"" when `rows` (Python values) are the published ones in order, else the first difference."""
    if len(rows) != len(expected):
        return f"{len(rows)} rows in place of {len(expected)}"
    for number, (row, want) in enumerate(zip(rows, expected, strict=True), 1):
        if len(row) != len(want):
            return f"row {number} has {len(row)} columns in place of {len(want)}"
        for value, text in zip(row, want, strict=True):
            if not _same(value, text):
                return f"row {number}: {value!r} in place of {text!r}"
    return ""


def _same(value: Any, text: str) -> bool:
    if value is None:
        return text in ("", "NULL")
    if str(value).rstrip() == text.rstrip():
        return True
    try:
        got, want = decimal.Decimal(value), decimal.Decimal(text)
    except (decimal.InvalidOperation, TypeError, ValueError):
        return False
    floating = isinstance(value, float) or len(text.lstrip("-").replace(".", "").strip("0")) >= FLOAT_DIGITS
    return got == want or (floating and abs(got - want) <= abs(want) * decimal.Decimal(RELATIVE_ERROR))
