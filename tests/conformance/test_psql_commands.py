"""psql's backslash commands and tab completion on a real PostgreSQL and on Shoal with that database mounted: equal text."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from conformance.clients import statements
from tests import postgres_server

pytestmark = [
    pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed"),
    pytest.mark.skipif(postgres_server.find_binaries() is None, reason="no PostgreSQL binaries on this machine")]

COMMANDS = (
    r"\d", r"\d+", r"\dt", r"\dt+", r"\di", r"\di+", r"\ds", r"\ds+", r"\dv", r"\dv+", r"\dm", r"\dm+", r"\dE", r"\dP",
    r"\d customers", r"\d+ customers", r"\d orders", r"\d+ orders", r"\d v_orders", r"\d+ v_orders", r"\d m_orders",
    r"\d+ m_orders", r"\d tickets", r"\d+ tickets", r"\d orders_oid__seq", r"\d orders_ts_idx", r"\d+ orders_ts_idx",
    r"\d orders_pkey", r'\d s2."Weird Name"', r'\d+ s2."Weird Name"', r"\d pg_class", r"\d+ pg_index",
    r"\d information_schema.tables", r"\d nothing", r"\dt s2.*", r"\dv pg_catalog.pg_stat_*", r"\diS pg_class*", r"\df",
    r"\df+", r"\df abs", r"\df+ lower", r"\df pg_catalog.pg_get_*", r"\dfa sum", r"\dfw", r"\da max", r"\sf abs(integer)",
    r"\sf+ generate_series(integer,integer)", r"\sf to_timestamp(double precision)", r"\sf unnest(anyarray)",
    r"\sv v_orders", r"\sv+ v_orders", r"\du", r"\du+", r"\dg", r"\duS", r"\db", r"\dp", r"\z orders", r"\dx",
    r"\dx+ plpgsql", r"\dT", r"\dT+", r"\dT int4", r"\dT+ mood", r"\dC", r"\dC+ date", r"\do", r"\do ||", r"\doS+ =",
    r"\dy", r"\des", r"\deu", r"\dew", r"\dRp", r"\dRs", r"\dX", r"\dO", r"\dOS C", r"\dL", r"\dLS", r"\dA",
    r"\dA+ btree", r"\dAc btree int4", r"\dAf hash", r"\dAo btree integer_ops", r"\dAp btree float_ops", r"\dF",
    r"\dF+ english", r"\dFd simple", r"\dFp", r"\dFt", r"\dc utf8_to_iso_8859_1", r"\dD", r"\dd", r"\ddp", r"\dl",
    r"\dconfig nothing*")
DIFFERENT = {
    r"\l": "the databases of a Shoal are its catalogs", r"\l+": "the databases of a Shoal are its catalogs",
    r"\dn": "a read-only database also shows the schema for tables made in it",
    r"\dn+": "a read-only database also shows the schema for tables made in it",
    r"\dconfig": "what is set to another value than the default differs",
    r"\dt *.*": "TOAST tables are a source's own business"}
"""What runs on both but cannot be equal, and why."""
COMPLETIONS = (
    # what psql 15 asks for `\d <tab>`, `SELECT * FROM <tab>`, a schema, a column, a setting, a type
    "SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE pg_catalog.quote_ident(c.relname) LIKE 'or%' "
    "AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE "
    "nspname = 'pg_catalog') ORDER BY 1 LIMIT 1000",
    "SELECT NULL::pg_catalog.text, n.nspname, c.relname FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n WHERE "
    "c.relnamespace = n.oid AND n.nspname = 's2' AND c.relkind IN ('r', 'v') ORDER BY 3",
    "SELECT attname FROM pg_catalog.pg_attribute a, pg_catalog.pg_class c WHERE c.oid = a.attrelid AND a.attnum > 0 "
    "AND NOT a.attisdropped AND c.relname = 'orders' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1",
    "SELECT pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' "
    "FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND t.typname !~ '^_' "
    "AND pg_catalog.pg_type_is_visible(t.oid) ORDER BY 1",
    "SELECT e.enumlabel FROM pg_catalog.pg_enum e, pg_catalog.pg_type t WHERE t.oid = e.enumtypid AND t.typname = 'mood' "
    "AND pg_catalog.pg_type_is_visible(t.oid) ORDER BY e.enumsortorder",
    "SELECT conname FROM pg_catalog.pg_class c1, pg_catalog.pg_constraint con WHERE c1.oid = conrelid "
    "AND c1.relname = 'orders' AND pg_catalog.pg_table_is_visible(c1.oid) ORDER BY 1",
    "SELECT p.proname FROM pg_catalog.pg_proc p WHERE p.prokind = 'f' AND p.proname LIKE 'array\\_%' "
    "AND pg_catalog.pg_function_is_visible(p.oid) ORDER BY 1",
    "SELECT collname FROM pg_catalog.pg_collation WHERE collname IN ('C', 'POSIX') ORDER BY 1",
    "SELECT word FROM pg_catalog.pg_get_keywords() ORDER BY 1",
    "SELECT rolname FROM pg_catalog.pg_roles ORDER BY 1", "SELECT amname FROM pg_catalog.pg_am ORDER BY 1")


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[str, str]]:
    with statements.servers() as (postgres, shoal):
        yield postgres["reading"], shoal["reading"]


def psql(conninfo: str, *commands: str) -> str:
    """What psql prints, its errors too."""
    arguments = [word for command in commands for word in ("-c", command)]
    done = subprocess.run(["psql", "-X", "-v", "VERBOSITY=verbose", "-P", "pager=off", *arguments, conninfo],
                          capture_output=True, text=True, timeout=60, check=False)
    return re.sub(r"^LOCATION: .*\n", "", done.stdout + done.stderr, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_command(both: tuple[str, str], command: str) -> None:
    postgres, shoal = (psql(conninfo, command) for conninfo in both)
    assert shoal == postgres


@pytest.mark.parametrize("command", DIFFERENT)
def test_command_runs(both: tuple[str, str], command: str) -> None:
    postgres, shoal = (psql(conninfo, command) for conninfo in both)
    assert "ERROR" not in shoal and shoal.splitlines()[:2] and postgres


@pytest.mark.parametrize("query", COMPLETIONS, ids=range(len(COMPLETIONS)))
def test_completion(both: tuple[str, str], query: str) -> None:
    postgres, shoal = (psql(conninfo, query) for conninfo in both)
    assert shoal == postgres
