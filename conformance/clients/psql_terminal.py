"""psql as people use it, on a pty: prompts, completion, Ctrl-C, \\watch, \\x auto, notifications."""

from __future__ import annotations

import os
import re
import subprocess

import pexpect
from checking import Check

check = Check(subprocess.run(["psql", "--version"], capture_output=True, text=True, check=True).stdout.split()[2])


class Terminal:
    """An interactive psql on a pty."""

    def __init__(self) -> None:
        self.child = pexpect.spawn(
            "psql",
            ["-X", "-P", "pager=off"],
            encoding="utf-8",
            timeout=15,
            dimensions=(50, 160),
            env={**os.environ, "PSQL_HISTORY": "/dev/null", "TERM": "dumb", "INPUTRC": "/dev/null"},
        )
        self.database = os.environ["PGDATABASE"]
        self.prompt("")

    def prompt(self, mark: str) -> str:
        """Waits for the prompt with its transaction mark; what came before it."""
        self.child.expect_exact([f"{self.database}={mark}> ", f"{self.database}={mark}# "])
        return self.child.before or ""

    def ask(self, line: str, mark: str = "") -> str:
        self.child.sendline(line)
        return self.prompt(mark)

    def completed(self, start: str, expected: str) -> bool:
        """Whether TAB (twice) after `start` brings `expected`; the line is then abandoned."""
        self.child.send(start + "\t\t")
        found = self.child.expect_exact([expected, pexpect.TIMEOUT], timeout=5) == 0
        self.child.sendintr()
        self.prompt("")
        return found


@check.part("interactive")
def interactive() -> None:
    terminal = Terminal()
    terminal.ask("CREATE TABLE tty_ports (id int PRIMARY KEY, name text, depth numeric);")
    terminal.ask("CREATE TABLE tty_boats (id int PRIMARY KEY, label text);")
    check.that(
        "the prompt in transactions",
        "BEGIN" in terminal.ask("BEGIN;", "*")
        and "division" in terminal.ask("SELECT 1/0;", "!")
        and "ROLLBACK" in terminal.ask("COMMIT;"),
    )
    check.that("completion of tables", terminal.completed("SELECT * FROM tty_po", "tty_ports"))
    check.that("completion of columns", terminal.completed("UPDATE tty_ports SET dep", "depth"))
    check.that("completion of \\d", terminal.completed("\\dt tty_bo", "tty_boats"))
    check.that("completion of schemas", terminal.completed("SELECT * FROM information_sch", "information_schema."))
    check.that("completion of settings", terminal.completed("SET statement_ti", "statement_timeout"))
    check.that("completion of databases", terminal.completed("\\c " + terminal.database[:4], terminal.database))
    check.that("completion of functions", terminal.completed("\\df pg_get_viewd", "pg_get_viewdef"))
    terminal.child.sendline("SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b;")
    terminal.child.expect(pexpect.TIMEOUT, timeout=0.5)
    terminal.child.sendintr()
    check.that("Ctrl-C", "canceling statement due to user request" in terminal.prompt(""))
    check.that("usable after Ctrl-C", re.search(r"\b42\b", terminal.ask("SELECT 6 * 7;")))
    terminal.child.sendline("SELECT 'tick' \\watch 0.2")
    seen = [terminal.child.expect_exact(["tick", "(1 row)"]) for _ in range(6)]
    terminal.child.sendintr()
    terminal.prompt("")
    check.that(r"\watch until Ctrl-C", len(seen) == 6)
    terminal.ask("\\x auto")
    check.that(r"\x auto", "-[ RECORD 1 ]" in terminal.ask("SELECT repeat('a', 90) AS a, repeat('b', 90) AS b;"))
    check.that(
        "a multi-line statement",
        terminal.child.sendline("SELECT (1 +")
        and terminal.child.expect_exact([f"{terminal.database}("]) == 0
        and re.search(r"\b3\b", terminal.ask("2);")),
    )
    check.that(
        "NOTIFY arrives",
        'Asynchronous notification "tty_news" with payload "hello"'
        in (terminal.ask("LISTEN tty_news;") + terminal.ask("NOTIFY tty_news, 'hello';") + terminal.ask("SELECT 1;")),
    )
    check.that("clean up", "DROP TABLE" in terminal.ask("DROP TABLE tty_ports, tty_boats;"))
    terminal.child.sendline("\\q")
    terminal.child.expect(pexpect.EOF)


check.run()
