"""Writes data/*.csv.gz from a live PostgreSQL 15: the rows its system catalogs have in an empty database.

Usage: python -m shoal.catalog.pg_catalog.generate postgresql://postgres@localhost:5432/postgres
The database must be freshly made (initdb with the C.UTF-8 locale). Run it again only to follow a new PostgreSQL release;
the files are part of the package. What is stored in them as it is not in PostgreSQL: regproc as OIDs, expressions
(pg_node_tree) as their text, intervals as seconds, and the bootstrap role's name as `OWNER`.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import psycopg

DATA = Path(__file__).parent / "data"
OWNER = "shoal"
LEFT_OUT = frozenset({"pg_statistic", "pg_init_privs", "pg_database", "pg_shdepend"})
"""What describes that one database or its statistics."""
CONDITIONS = {
    "pg_collation": "collname IN ('default', 'C', 'POSIX', 'ucs_basic', 'und-x-icu')",  # others depend on the machine
    "pg_description": "NOT (classoid = 'pg_collation'::regclass AND objoid NOT IN (SELECT oid FROM pg_collation WHERE "
                      "collname IN ('default', 'C', 'POSIX', 'ucs_basic', 'und-x-icu')))"}
EXPRESSIONS = {
    ("pg_proc", "proargdefaults"): "pg_get_expr(proargdefaults, 0)",
    ("pg_proc", "prosqlbody"): "pg_get_function_sqlbody(oid)",
    ("pg_constraint", "conbin"): "pg_get_expr(conbin, 0)", ("pg_authid", "rolpassword"): "NULL",
    ("pg_rewrite", "ev_qual"): "''", ("pg_rewrite", "ev_action"): "''"}
VIEWS = ("pg_timezone_abbrevs",)
INFORMATION = ("sql_features", "sql_implementation_info", "sql_parts", "sql_sizing")
DEFINITIONS = "SELECT oid::int8, pg_get_viewdef(oid) AS definition FROM pg_class WHERE relkind = 'v' ORDER BY oid"
TOKENS = "SELECT p.oid::int8, t.* FROM pg_ts_parser AS p, LATERAL ts_token_type(p.oid) AS t ORDER BY 1, 2"
COLUMNS = """
    SELECT attname, format_type(atttypid, NULL), attnotnull FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"""


def main(conninfo: str) -> None:
    """Writes one file a relation that has rows, NULL as an unquoted empty field."""
    for old in DATA.glob("*.csv*"):
        old.unlink()
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET search_path TO pg_catalog")
        role = connection.info.user
        tables = [row[0] for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' ORDER BY 1")]
        for table in [*tables, *VIEWS]:
            if table not in LEFT_OUT:
                _relation(connection, "pg_catalog", table, role)
        for table in INFORMATION:
            _relation(connection, "information_schema", table, role)
        _copy(connection, DEFINITIONS, "view_definitions", role)
        _copy(connection, TOKENS, "token_types", role)


def _relation(connection: psycopg.Connection, schema: str, name: str, role: str) -> None:
    columns = []
    for column, kind, _ in connection.execute(COLUMNS, [f"{schema}.{name}"]).fetchall():
        if (name, column) in EXPRESSIONS:
            columns.append(f"{EXPRESSIONS[name, column]} AS {column}")
        elif kind == "regproc":
            columns.append(f"{column}::oid::int8 AS {column}")
        elif kind == "interval":
            columns.append(f"extract(epoch FROM {column})::int8 AS {column}")
        elif kind == "aclitem[]":
            columns.append(f"replace({column}::text, '{role}', '{OWNER}') AS {column}")
        elif column in ("rolname", "reltuples", "relpages", "relallvisible"):
            columns.append(f"CASE rolname WHEN '{role}' THEN '{OWNER}' ELSE rolname END AS rolname"
                           if column == "rolname" else f"{0 if column != 'reltuples' else -1} AS {column}")
        else:
            columns.append(f'"{column}"')
    condition = CONDITIONS.get(name, "TRUE")
    found = connection.execute(f"SELECT count(*) FROM {schema}.{name} WHERE {condition}").fetchone()
    if found and found[0]:
        _copy(connection, f"SELECT {', '.join(columns)} FROM {schema}.{name} WHERE {condition} ORDER BY 1, 2", name, role)


def _copy(connection: psycopg.Connection, query: str, name: str, role: str) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)".encode()) as copy:
        (DATA / f"{name}.csv.gz").write_bytes(gzip.compress(b"".join(bytes(block) for block in copy), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
