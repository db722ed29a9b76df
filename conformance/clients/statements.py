"""Every statement that fifteen real clients sent, on a real PostgreSQL 15 and on Shoal with that database mounted.

Usage: python -m conformance.clients.statements [CLIENT...]

Both must succeed, with the same column names, types and (as sets) rows, or fail with the same SQLSTATE. Statements
that write run against a `memory` catalog of the same name. What must differ is in `DIFFERENT_BY_NATURE` and
`HIDDEN`, each with its reason. The corpus is read from SHOAL_CORPORA, its OIDs replaced by those of each server.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import pq

from conformance.corpora import CORPORA
from conformance.server import Server
from tests import postgres_server

STATEMENTS = CORPORA / "clients" / "statements.json"
SCHEMA = Path(__file__).with_suffix(".sql")
DATABASE, EMPTY = "fx", "fx_empty"
WRITERS = ("dbt",)
"""Clients that make tables: they get an empty writable database."""
RECORDED = {16385: "'public.customers'::regclass", 16395: "'public.orders'::regclass",
            16408: "'public.orders_ts_idx'::regclass", 16409: "'public.v_orders'::regclass",
            16414: "'s2.\"Weird Name\"'::regclass", 16425: "0"}
"""What the OIDs in the corpus were, as an expression that gives the one of today."""
PARAMETERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("typeinfo_tree", ("{23,1009,3904}",)), ("set_config('jit'", ("off",)), ("$1::mood", ("ok",)),
    ("$1::int4range", ("[1,5)", "1 day")), ("to_regtype($1)", ("mood",)), ("$1::text[]", ("{a,NULL,c d}",)),
    ("n.nspname = $1 AND c.relkind = ANY($2)", ("public", "{r,v,m}")), ("cls.relname LIKE $2", ("public", "orders")),
    ("nsp.nspname = $1 AND cls.relname = $2", ("public", "orders")), ("$1::regclass::oid", ("orders",)),
    ("table_name = $1 and column_name = $2", ("orders", "amount")), ("table_name = $1", ("orders",)),
    ('"table_schema" = $1 AND', ("public", "orders")), ("ANY($1)", ("{r,v}",)), ("limit $1", ("3",)),
    ("id=$1", ("3",)), ("oid_=$1", ("4",)),
    ('"ns"."nspname" !~ $4', ("r", "v", "p", "^pg_", "information_schema", "crdb_internal", "0", "t", "kysely_migration",
                              "kysely_migration_lock")))
"""Values for the $n of the first statement text they are part of."""
DIFFERENT_BY_NATURE: tuple[tuple[str, str], ...] = (
    ("pg_catalog.pg_database", "the databases of a Shoal are its catalogs"),
    ("version()", "another server"), ("server_version_num", "another server"),
    ("pg_settings", "what is set to another value than the default differs"),
    ("current_setting('jit')", "there is no just-in-time compiler to be on"),
    ("c.relkind IN ('r','p','t','s','')", "TOAST tables are a source's own business"),
    ("SELECT\n\t    attrelid,", "TOAST tables are a source's own business"),
    ("create extension postgres_fdw", "there are no extensions: 0A000 says so"),
    ("$1::mood", "types of a source cannot be named in SQL: its enums are text"),
    ("$1::int4range", "there are no ranges"),
    ('COPY "customers"', "a mounted PostgreSQL is read-only"),
    ("array_agg(a.attnum) as column_indexes", "the order of array_agg without ORDER BY"),
    ("proargtypes::regtype[]", "arrays have no lower bound of their own"))
"""(part of a statement, why its answers cannot be equal)."""
HIDDEN: dict[str, str] = {"is_insertable_into": "a mounted PostgreSQL is read-only",
                          "is_updatable": "a mounted PostgreSQL is read-only"}
"""Result columns that are not compared, with the reason."""
OWN_SCHEMA = "memory.public"
"""The schema that a read-only database shows besides its own, for tables made in it."""
Result = tuple[tuple[tuple[str, int], ...], tuple[tuple[str | None, ...], ...]]
"""(columns, rows); a column is its name and type."""
FIRST_USER_OID, TEXT = 16_384, 25
OID_TYPES = {26, 24, 2202, 2205, 2206, 1028, 30, 4089, 4096}
XID_TYPES = {28, 27, 29}
"""Transaction and row identifiers: Shoal has none."""


@dataclass(frozen=True)
class Answer:
    """What a server said to one statement."""

    sqlstate: str = ""
    message: str = ""
    results: tuple[Result, ...] = ()


@dataclass
class Report:
    client: str
    statements: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


class Session:
    """One connection, with the OIDs the corpus names."""

    def __init__(self, conninfo: str) -> None:
        self.connection = psycopg.connect(conninfo, autocommit=True, connect_timeout=10)
        self.pg: pq.abc.PGconn = self.connection.pgconn
        self.database = self.connection.info.dbname
        self.oids: dict[str, str] = {}
        for oid, expression in RECORDED.items():
            if expression != "0":
                result = self.pg.exec_(f"SELECT ({expression})::oid".encode())
                self.oids[str(oid)] = (result.get_value(0, 0) or b"0").decode() if result.ntuples else "0"

    def run(self, statement: str) -> Answer:
        statement = re.sub(rf"""(["']){DATABASE}\1""", rf"\1{self.database}\1", statement)
        text = re.sub(r"\b16[34]\d\d\b", lambda found: self.oids.get(found[0], found[0]), statement).encode()
        if not re.search(r"\$\d", re.sub(r"\$(\w+)\$.*?\$\1\$", "", statement)):
            self.pg.send_query(text)
            return self._drain()
        values = next((values for part, values in PARAMETERS if part in statement), ())
        prepared = self.pg.prepare(b"", text)
        if prepared.status != pq.ExecStatus.COMMAND_OK:
            return _failed(prepared)
        described = self.pg.describe_prepared(b"")
        types = tuple(("$", described.param_type(n)) for n in range(described.nparams))
        if len(values) != len(types):
            return Answer(results=((types, ()),))
        self.pg.send_query_prepared(b"", [value.encode() for value in values])
        answer = self._drain()
        return answer if answer.sqlstate else Answer(results=((types, ()), *answer.results))

    def _drain(self) -> Answer:
        results: list[Result] = []
        failure = None
        while (result := self.pg.get_result()) is not None:
            status = result.status
            if status == pq.ExecStatus.COPY_IN:
                self.pg.put_copy_data(b"PGCOPY\n\xff\r\n\0" + struct.pack("!iih", 0, 0, -1))
                self.pg.put_copy_end()
            elif status == pq.ExecStatus.COPY_OUT:
                rows = []
                while True:
                    size, data = self.pg.get_copy_data(0)
                    if size < 0:
                        break
                    rows.append((bytes(data).hex(),))
                results.append(((("COPY", 0),), tuple(rows)))
            elif status == pq.ExecStatus.FATAL_ERROR:
                failure = failure or _failed(result)
            elif status == pq.ExecStatus.TUPLES_OK:
                results.append(_rows(result))
            else:
                results.append(((((result.command_status or b"").decode(), 0),), ()))
        return failure or Answer(results=tuple(results))

    @property
    def in_failed_transaction(self) -> bool:
        return self.pg.transaction_status == pq.TransactionStatus.INERROR

    def close(self) -> None:
        self.connection.close()


def _failed(result: pq.abc.PGresult) -> Answer:
    state = result.error_field(pq.DiagnosticField.SQLSTATE) or b"?"
    return Answer(state.decode(), (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"").decode("utf-8", "replace"))


def _rows(result: pq.abc.PGresult) -> Result:
    columns = tuple(((result.fname(n) or b"").decode(), result.ftype(n)) for n in range(result.nfields))
    rows = []
    for row in range(result.ntuples):
        values = (result.get_value(row, n) for n in range(result.nfields))
        rows.append(tuple(None if v is None else v.decode() for v in values))
    return columns, tuple(rows)


def _shown(value: str | None, type_oid: int) -> str | None:
    """The value without the numbers that each server draws for itself."""
    if value is None or type_oid in XID_TYPES:
        return None
    if type_oid in OID_TYPES:
        return re.sub(r"\d+", lambda found: found[0] if int(found[0]) < FIRST_USER_OID else "OID", value)
    return value


def difference(expected: Answer, got: Answer) -> str:
    """"" for equal answers, else what differs first."""
    if expected.sqlstate or got.sqlstate:
        if expected.sqlstate == got.sqlstate:
            return ""
        return (f"{got.sqlstate or 'succeeds'} {got.message} | in place of "
                f"{expected.sqlstate or 'success'} {expected.message}")
    if len(expected.results) != len(got.results):
        return f"{len(got.results)} results in place of {len(expected.results)}"
    for (want_columns, want_rows), (columns, rows) in zip(expected.results, got.results, strict=True):
        if (want := _types(want_columns)) != (have := _types(columns)):
            pairs = [f"{h} in place of {w}" for h, w in zip(have, want, strict=False) if h != w]
            return f"columns: {'; '.join(pairs) or f'{len(have)} in place of {len(want)}'}"
        kept = [n for n, (name, _) in enumerate(columns) if name not in HIDDEN]
        wanted, found = (Counter(tuple(_shown(row[n], columns[n][1]) for n in kept) for row in side)
                         for side in (want_rows, [row for row in rows if OWN_SCHEMA not in row]))
        if wanted != found:
            missing, extra = list((wanted - found).elements()), list((found - wanted).elements())
            return (f"rows: {len(missing)} of {len(want_rows)} missing, {len(extra)} too many\n"
                    f"      missing {_first(missing)}\n      extra   {_first(extra)}")
    return ""


def _types(columns: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """An enum of a source is text."""
    return [(name, oid if oid < FIRST_USER_OID else TEXT) for name, oid in columns]


def _first(rows: list[tuple[str | None, ...]]) -> str:
    return " | ".join(str(row)[:600] for row in sorted(rows, key=str)[:2]) or "-"


def compare(client: str, statements: Sequence[str], postgres: str, shoal: str) -> Report:
    """The statements in order, on a session of each server."""
    report = Report(client)
    left, right = Session(postgres), Session(shoal)
    try:
        for number, statement in enumerate(statements):
            report.statements += 1
            expected, got = left.run(statement), right.run(statement)
            reason = next((why for part, why in DIFFERENT_BY_NATURE if part in statement), None)
            if found := difference(expected, got):
                if reason:
                    report.excused[reason] += 1
                else:
                    report.differences.append(f"#{number} {' '.join(statement.split())[:160]}\n    {found}")
            if left.in_failed_transaction != right.in_failed_transaction:  # the rest would fail for this alone
                side = left if left.in_failed_transaction else right
                side.run("ROLLBACK")
                side.run("BEGIN")
    finally:
        left.close()
        right.close()
    return report


@contextmanager
def servers() -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """(PostgreSQL's, Shoal's) connection strings for "reading" and "writing" clients. Raises: RuntimeError."""
    binaries = postgres_server.find_binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL binaries on this machine")
    with postgres_server.running(binaries) as postgres:
        postgres.run("CREATE ROLE other SUPERUSER LOGIN")
        with psycopg.connect(f"host={postgres.host} port={postgres.port} user=other dbname=postgres",
                             autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres RENAME TO shoal")  # the owner of all, as in Shoal
        base = f"host={postgres.host} port={postgres.port} user=shoal"
        with psycopg.connect(f"{base} dbname=postgres", autocommit=True) as connection:
            connection.execute("DROP ROLE other")
            connection.execute(f"CREATE DATABASE {DATABASE}")
            connection.execute(f"CREATE DATABASE {EMPTY}")
        with psycopg.connect(f"{base} dbname={DATABASE}", autocommit=True) as connection:
            connection.execute(SCHEMA.read_text())
        url = f"postgresql://shoal@{postgres.host}:{postgres.port}"
        with (Server(["--workers", "1", "--catalog", f"{DATABASE}={url}/{DATABASE}"]) as reading,
              Server(["--workers", "1", "--catalog", f"{EMPTY}=memory:"]) as writing):
            own = "host=127.0.0.1 user=shoal"
            yield ({"reading": f"{base} dbname={DATABASE}", "writing": f"{base} dbname={EMPTY}"},
                   {"reading": f"{own} dbname={DATABASE} port={reading.port}",
                    "writing": f"{own} dbname={EMPTY} port={writing.port}"})


def run(clients: Sequence[str] = ()) -> list[Report]:
    """The reports of these clients, of all by default. Raises: FileNotFoundError without the corpus."""
    corpus: dict[str, list[str]] = json.loads(STATEMENTS.read_text())
    with servers() as (postgres, shoal):
        reports = []
        for client, statements in corpus.items():
            if not clients or client in clients:
                kind = "writing" if client in WRITERS else "reading"
                reports.append(compare(client, statements, postgres[kind], shoal[kind]))
    return reports


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*")
    options = parser.parse_args(arguments)
    reports = run(options.clients)
    for report in reports:
        for text in report.differences:
            print(f"{report.client} {text}")
    print(f"{'client':<12} {'statements':>10} {'same':>6} {'excused':>8} {'differing':>10}")
    for report in reports:
        differing, excused = len(report.differences), report.excused.total()
        print(f"{report.client:<12} {report.statements:>10} {report.statements - differing - excused:>6} {excused:>8} "
              f"{differing:>10}")
    for reason, count in sum((report.excused for report in reports), Counter()).items():
        print(f"excused {count}: {reason}")
    return 1 if any(report.differences for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
