"""pgcli in a terminal (pexpect): its start-up and completion queries, completion itself, special commands."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pexpect
from checking import Check, equal
from pgcli.completion_refresher import CompletionRefresher
from pgcli.pgcompleter import PGCompleter
from pgcli.pgexecute import PGExecute
from pgspecial.main import PGSpecial

check = Check(version("pgcli"))
PROGRAM = str(Path(sys.executable).parent / "pgcli")


def executor() -> PGExecute:
    names = {"database": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD", "host": "PGHOST", "port": "PGPORT"}
    return PGExecute(**{name: os.environ[variable] for name, variable in names.items()})


def start() -> pexpect.spawn:
    child = pexpect.spawn(
        PROGRAM,
        ["--no-password", "--prompt", "ready> "],
        timeout=30,
        encoding="utf-8",
        dimensions=(60, 200),
        env={**os.environ, "TERM": "dumb", "PAGER": "cat", "PROMPT_TOOLKIT_NO_CPR": "1"},
    )
    child.expect("ready> ")
    return child


def ask(child: pexpect.spawn, text: str, answer: str) -> None:
    child.sendline(text)
    child.expect(answer)
    child.expect("ready> ")


@check.part("every query of the completion refresh")
def _() -> None:
    db = executor()
    list(
        db.run("CREATE TABLE boats (id int PRIMARY KEY, port_id int, name text); CREATE VIEW afloat AS SELECT id FROM boats")
    )
    completer = PGCompleter(smart_completion=True)
    for name, refresh in CompletionRefresher.refreshers.items():
        try:
            refresh(completer, db)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} {error}") from error
    assert ("public", "boats") in list(db.tables())
    assert ("public", "afloat") in list(db.views())
    assert ("public", "boats", "name") in [column[:3] for column in db.table_columns()]
    assert "public" in list(db.schemata())
    equal(os.environ["PGDATABASE"] in db.databases(), True)
    assert len(list(db.functions())) >= 0


@check.part("special commands")
def _() -> None:
    db, special = executor(), PGSpecial()
    for command in (
        "\\d",
        "\\d boats",
        "\\d+ boats",
        "\\dt",
        "\\dv",
        "\\dn",
        "\\df",
        "\\du",
        "\\l",
        "\\di",
        "\\ds",
        "\\dT",
        "\\dx",
        "\\dp",
        "\\db",
        "\\dm",
    ):
        try:
            for _, cells, headers, _, *_ in db.run(command, special):
                assert headers is not None or cells is not None or command in ("\\dm", "\\ds"), command
                list(cells or ())
        except Exception as error:
            raise AssertionError(f"{command}: {type(error).__name__} {error}") from error


@check.part("in a terminal: a query, an error, a transaction, \\d, quitting")
def _() -> None:
    child = start()
    ask(child, "SELECT 'fo' || 'und' AS word, 42 AS n;", "found")
    ask(child, "SELECT * FROM missing;", 'relation "missing" does not exist')
    ask(child, "\\d boats", "port_id")
    ask(child, "BEGIN;", "BEGIN")
    ask(child, "ROLLBACK;", "ROLLBACK")
    child.sendline("\\q")
    child.expect(pexpect.EOF)


check.run()
