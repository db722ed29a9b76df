"""Where the third-party test data lies (SHOAL_CORPORA, default ../shared/corpora) and how answers are compared."""

from __future__ import annotations

import csv
import decimal
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORPORA = Path(os.environ.get("SHOAL_CORPORA", ROOT.parent / "shared" / "corpora"))
CACHE = Path(os.environ.get("SHOAL_CACHE", Path.home() / ".cache" / "shoal"))
TPCH_QUERIES = tuple(f"q{number:02d}" for number in range(1, 23))
RELATIVE_ERROR, FLOAT_DIGITS = 1e-9, 15
"""The published answers hold averages as 8-byte floats, written with 15 digits or more; all else must be equal."""


def tpch_query(name: str) -> str:
    return (CORPORA / "tpch" / "queries" / f"{name}.sql").read_text()


def tpch_data(scale: str) -> Path:
    """A folder of TPC-H Parquet files at this scale, generated once.

    DuckDB's generator makes them, since the published answers were computed from its data: other generators draw
    other addresses and comments.
    """
    folder = CACHE / "tpch-bench" / f"sf{scale}"
    if not folder.exists():
        import duckdb
        import duckdb_extension_tpch

        extension = next(Path(duckdb_extension_tpch.__file__).parent.rglob("tpch.duckdb_extension"))
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        partial.mkdir(parents=True)
        with duckdb.connect() as connection:
            connection.execute(f"LOAD '{extension}'")
            connection.execute(f"CALL dbgen(sf = {float(scale)})")
            connection.execute(f"EXPORT DATABASE '{partial}' (FORMAT parquet)")
        for script in partial.glob("*.sql"):
            script.unlink()
        partial.rename(folder)
    return folder


def tpch_answer(name: str, scale: str) -> list[list[str]] | None:
    """The published rows, or None where there is no answer for this scale."""
    path = CORPORA / "tpch" / f"answers-sf{scale}" / f"{name}.csv"
    if not path.exists():
        return None
    with path.open(newline="") as file:
        return [row or [""] for row in csv.reader(file, delimiter="|")][1:]


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
