"""Writes data/*.csv from a live PostgreSQL 15: the columns of every system relation, and the rows of the static ones.

Usage: python -m shoal.catalog.pg_catalog.generate postgresql://postgres@localhost:5432/postgres
Run it again only to follow a new PostgreSQL release; the files are part of the package.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

DATA = Path(__file__).parent / "data"
RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text, c.oid::int8, a.attnum, a.attname,
           coalesce(b.typname, t.typname), a.attnotnull
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
    WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')
    ORDER BY 1, 2, 5"""
STATIC = {
    "pg_am": "TRUE", "pg_collation": "collname IN ('default', 'C', 'POSIX', 'ucs_basic', 'und-x-icu')",
    "pg_language": "TRUE", "pg_range": "TRUE",
    "pg_cast": "TRUE",
    "pg_type": "typtype <> 'c' AND typnamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (SELECT FROM pg_type e "
               "WHERE e.oid = pg_type.typelem AND e.typtype = 'c')",
}
"""Relation to the condition its copied rows meet."""


def main(conninfo: str) -> None:
    """Writes one file a relation, NULL as an unquoted empty field."""
    DATA.mkdir(exist_ok=True)
    with psycopg.connect(conninfo) as connection:
        _copy(connection, RELATIONS, DATA / "relations.csv")
        for relation, condition in STATIC.items():
            columns = connection.execute(
                "SELECT string_agg(CASE WHEN atttypid = 'regproc'::regtype THEN attname || '::oid::int8 AS ' || attname "
                "WHEN attname LIKE 'typdefault%%' OR attname LIKE '%%acl' THEN 'NULL AS ' || attname "
                "ELSE quote_ident(attname) END, ', ' ORDER BY attnum) "
                "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [relation]).fetchone()
            assert columns is not None
            _copy(connection, f"SELECT {columns[0]} FROM {relation} WHERE {condition} ORDER BY oid"
                  if relation != "pg_range" else f"SELECT {columns[0]} FROM {relation} ORDER BY rngtypid",
                  DATA / f"{relation}.csv")


def _copy(connection: psycopg.Connection, query: str, path: Path) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)".encode()) as copy:
        path.write_bytes(b"".join(bytes(block) for block in copy))


if __name__ == "__main__":
    main(sys.argv[1])
