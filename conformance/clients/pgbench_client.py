"""pgbench: initialisation by client and by server, its own scripts by every protocol, custom scripts, pipelines, pools."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from checking import Check, equal

PROTOCOLS = ("simple", "extended", "prepared")
CUSTOM = r"""
\set id random(1, 100000)
\set twice 2 * :id
SELECT :id AS id, :twice AS twice \gset got_
\if :got_twice = 2 * :id
SELECT abalance FROM pgbench_accounts WHERE aid = :id;
\else
SELECT 1 / 0;
\endif
BEGIN;
UPDATE pgbench_tellers SET tbalance = tbalance + :b WHERE tid = 1;
ROLLBACK;
"""
COMBINED = r"""
SELECT 1 AS one \; SELECT bid AS b FROM pgbench_branches WHERE bid = 1 \aset
SELECT :one + :b;
"""
PIPELINE = r"""
\set id random(1, 100000)
\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :id;
SELECT count(*) FROM pgbench_tellers WHERE bid = :id % 3;
SELECT :id::int + 1;
\endpipeline
"""


def program(*arguments: str) -> str:
    """What a program printed, both streams. Raises: AssertionError with it after a failure."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {(done.stdout + done.stderr)[-500:]}"
    return done.stdout + done.stderr


def bench(*arguments: str, transactions: int) -> str:
    """A run that must process exactly so many transactions, none of them failed."""
    text = program("pgbench", *arguments)
    found = re.search(r"number of transactions actually processed: (\d+)", text)
    equal(int(found[1]) if found else text, transactions)
    assert "number of failed transactions: 0 " in text, text
    return text


def query(sql: str) -> str:
    return program("psql", "-XqAt", "-c", sql).strip()


def script(text: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False, dir=Path.home()) as file:
        file.write(text)
    return file.name


check = Check(program("pgbench", "--version").split()[2])


@check.part("initialisation on the server's side")
def server_side() -> None:
    program("pgbench", "-i", "-s", "1", "-I", "dtGvp")
    equal(query("SELECT count(*), sum(aid) FROM pgbench_accounts"), "100000|5000050000")


@check.part("initialisation by COPY, with keys")
def client_side() -> None:
    program("pgbench", "-i", "-s", "1", "-I", "dtgvpf", "-q")
    equal(query("SELECT (SELECT count(*) FROM pgbench_accounts), (SELECT count(*) FROM pgbench_tellers)"), "100000|10")
    equal(query("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'pgbench_%' AND contype IN ('p', 'f')"), "8")


for protocol in PROTOCOLS:

    @check.part(f"select-only, {protocol}")
    def select_only(protocol: str = protocol) -> None:
        bench("-n", "-S", "-M", protocol, "-c", "4", "-j", "2", "-t", "50", transactions=200)

    @check.part(f"TPC-B, {protocol}")
    def tpcb(protocol: str = protocol) -> None:
        bench("-n", "-M", protocol, "-t", "5", transactions=5)

    @check.part(f"a custom script, {protocol}")
    def custom(protocol: str = protocol) -> None:
        text = bench(
            "-n",
            "-M",
            protocol,
            "-f",
            script(CUSTOM),
            "-D",
            "b=1",
            "-t",
            "5",
            "-c",
            "2",
            "--max-tries=20",
            "-r",
            transactions=10,
        )
        assert "pgbench_accounts WHERE aid" in text, text


@check.part("combined statements")
def combined() -> None:
    bench("-n", "-f", script(COMBINED), "-t", "10", transactions=10)


@check.part("several clients that write")
def concurrent() -> None:
    bench("-n", "-N", "-c", "3", "-t", "5", "--max-tries=50", "-P", "1", transactions=15)


@check.part("the balances agree")
def balances() -> None:
    equal(
        query(
            "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), "
            "(SELECT count(*) FROM pgbench_history)"
        ),
        "t|30",
    )


@check.part("a connection for each transaction")
def reconnecting() -> None:
    bench("-n", "-S", "-C", "-c", "2", "-t", "10", transactions=20)


for protocol in PROTOCOLS[1:]:

    @check.part(f"pipelines, {protocol}")
    def pipeline(protocol: str = protocol) -> None:
        bench("-n", "-M", protocol, "-f", script(PIPELINE), "-c", "2", "-t", "20", transactions=40)


@check.part("VACUUM before a run")
def vacuum() -> None:
    assert "starting vacuum...end." in bench("-t", "1", transactions=1)


@check.part("clean up")
def clean_up() -> None:
    program("pgbench", "-i", "-I", "d")
    equal(query("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgbench%'"), "0")


check.run()
