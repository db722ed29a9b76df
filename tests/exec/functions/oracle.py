"""Refreshes the expected results in cases/*.tsv from a real PostgreSQL 15.

    python -m tests.exec.functions.oracle "host=/tmp port=5432 user=postgres" [FILE ...]

Each line is `expression`, then (written here) its type and text, or `!SQLSTATE` and the error's message, separated
by tabs; backslash, tab and newline are escaped. Lines starting with # are kept; "# TimeZone NAME" sets the zone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

CASES = Path(__file__).parent / "cases"


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")



def unescape(text: str) -> str:
    return "\\".join(part.replace("\\t", "\t").replace("\\n", "\n") for part in text.split("\\\\"))


def answer(connection: psycopg.Connection, expression: str) -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_typeof(x)::text, x::text, x IS NULL FROM (SELECT {expression}) AS s(x)".encode())
            row = cursor.fetchone()
    except psycopg.Error as error:
        return ["!" + (error.sqlstate or ""), escape(error.diag.message_primary or "")]
    assert row is not None
    return [row[0], "NULL"] if row[2] else [row[0], "=" + escape(row[1])]


def refresh(connection: psycopg.Connection, path: Path) -> None:
    lines = []
    connection.execute("SET TimeZone = 'UTC'")
    for line in path.read_text().splitlines():
        if line.startswith("#") or not line.strip():
            if line.startswith("# TimeZone "):
                connection.execute(f"SET TimeZone = '{line.split()[2]}'".encode())
            lines.append(line)
            continue
        expression = line.split("\t")[0]
        lines.append("\t".join([expression, *answer(connection, expression)]))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1], autocommit=True) as server:
        for path in [CASES / name for name in sys.argv[2:]] or sorted(CASES.glob("*.tsv")):
            refresh(server, path)
