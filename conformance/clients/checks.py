"""Every client that is run against Shoal, one row each; a new client is a row and a script.

A script is handed PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE (an empty, writable database of its own), a temporary
HOME and working folder, and SHOAL_CLIENT_TARGET (`shoal` or `postgres`, for messages only: a check asks the same of
both). It prints `version: X`, then `ok WHAT` or `failed WHAT: WHY` for each thing checked, and exits with 0 only if
all hold. What its Debian packages hold lies below SHOAL_CLIENT_ROOT, with PATH and LD_LIBRARY_PATH set to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["python", "node", "java", "program"]


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    script: str
    """Its file in this folder; run by Python, node, java or bash as `kind` says."""
    kind: Kind = "python"
    packages: tuple[str, ...] = ()
    """Requirements for pip (python) or npm (node); checks with the same ones share an environment."""
    programs: tuple[str, ...] = ()
    """Must be on PATH (after Debian packages were unpacked), else the check is skipped."""
    debian: tuple[str, ...] = ()
    """Debian packages, downloaded and unpacked without installing where they are not installed."""
    arguments: tuple[str, ...] = ()
    """Given to the script: one script may be several rows."""
    timeout_s: float = 120
    client: str = ""
    """As the table shows it; the name where empty."""


_PYTHON = (
    "psycopg[binary,pool]>=3.2", "psycopg2-binary>=2.9", "asyncpg>=0.30", "pg8000>=1.31", "SQLAlchemy>=2.0", "greenlet>=3",
    "pytest>=8", "Django>=5,<6", "pandas>=2.2", "polars>=1", "pyarrow>=20", "adbc-driver-postgresql>=1.3", "connectorx>=0.4",
    "pgcli>=4", "pexpect>=4.9",
)
"""One environment for all Python clients but dbt, which pins what others need newer."""
_DBT = ("dbt-core<1.12", "dbt-postgres<1.11")
_NODE = (
    "pg@8.23.1", "pg-cursor@2.22.0", "pg-query-stream@4.17.0", "pg-copy-streams@7.0.0", "postgres@3.4.9", "knex@3.3.0",
    "sequelize@6.37.8", "typeorm@1.1.1", "reflect-metadata@0.2.2", "drizzle-orm@0.45.4", "kysely@0.28.18",
)

CHECKS: tuple[Check, ...] = (
    Check("psycopg", "psycopg_client.py", packages=_PYTHON, client="psycopg 3"),
    Check("psycopg2", "psycopg2_client.py", packages=_PYTHON),
    Check("asyncpg", "asyncpg_client.py", packages=_PYTHON),
    Check("pg8000", "pg8000_client.py", packages=_PYTHON),
    Check("sqlalchemy", "sqlalchemy_client.py", packages=_PYTHON, client="SQLAlchemy"),
    Check("sqlalchemy-suite", "sqlalchemy_suite.py", packages=_PYTHON, arguments=("psycopg",), timeout_s=600,
          client="SQLAlchemy's dialect suite, psycopg"),
    Check("sqlalchemy-suite-asyncpg", "sqlalchemy_suite.py", packages=_PYTHON, arguments=("asyncpg",), timeout_s=600,
          client="SQLAlchemy's dialect suite, asyncpg"),
    Check("django", "django_client.py", packages=_PYTHON, client="Django"),
    Check("pandas", "pandas_client.py", packages=_PYTHON),
    Check("polars", "polars_client.py", packages=_PYTHON),
    Check("connectorx", "connectorx_client.py", packages=_PYTHON),
    Check("adbc", "adbc_client.py", packages=_PYTHON, client="ADBC"),
    Check("dbt", "dbt_client.py", packages=_DBT, timeout_s=300),
    Check("pgcli", "pgcli_client.py", packages=_PYTHON),
    Check("psql", "psql_client.py", programs=("psql",)),
    Check("psql-terminal", "psql_terminal.py", packages=("pexpect>=4.9",), programs=("psql",), client="psql on a terminal"),
    Check("node-pg", "node_pg.mjs", "node", packages=_NODE, client="pg (Node.js)"),
    Check("node-postgres", "node_postgres.mjs", "node", packages=_NODE, client="postgres (Node.js)"),
    Check("knex", "node_knex.mjs", "node", packages=_NODE),
    Check("sequelize", "node_sequelize.mjs", "node", packages=_NODE),
    Check("typeorm", "node_typeorm.mjs", "node", packages=_NODE),
    Check("drizzle", "node_drizzle.mjs", "node", packages=_NODE),
    Check("kysely", "node_kysely.mjs", "node", packages=_NODE),
    Check("jdbc", "Jdbc.java", "java", programs=("java",),
          debian=("libpostgresql-jdbc-java", "libscram-java", "libstringprep-java"), client="JDBC (pgjdbc)"),
    Check("odbc", "odbc_client.py", packages=("pyodbc>=5.2",),
          debian=("odbc-postgresql", "libodbc2", "libodbcinst2", "libltdl7"), client="ODBC (psqlODBC)"),
    Check("pgbench", "pgbench_client.py", programs=("pgbench", "psql")),
    Check("through-pgbouncer", "pgbouncer_client.py", packages=("psycopg[binary]>=3.2",), programs=("pgbouncer",),
          debian=("pgbouncer", "libevent-2.1-7", "libc-ares2"), client="pgbouncer"),  # a database `pgbouncer` is its console
)
