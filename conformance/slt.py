"""Runs sqllogictest-style scripts against Shoal and PostgreSQL, and fills in what PostgreSQL answers.

A script is records parted by empty lines; lines that start with `#` are comments. A record is a header, the SQL, and
what is expected below a line `----`:

    statement ok                      the SQL succeeds (several statements may stand in one record)
    statement error SQLSTATE          it fails so; lines `message: ...`, `hint: ...` or `position: ...` below `----`
                                      are compared too
    query TYPE,TYPE... [rowsort] [approx]
                                      its rows, one a line, columns parted by ` | ` in PostgreSQL's text form; types by
                                      pg_type's names; `rowsort`: order does not matter; `approx`: numbers as values, to
                                      15 digits, whatever their trailing digits
    skipif ENGINE / onlyif ENGINE     a line before a header: the record is not for, or only for, `shoal` or `postgres`
    bind VALUE | VALUE                a line after a header: parameters $1, $2 ..., untyped, in text form

NULL is written `NULL`, an empty string `(empty)`, and in values `\\` `|` and line ends are escaped by a backslash.

Files named pg_* hold on both engines: `python -m conformance.slt --complete FILE...` rewrites their expectations from a
real PostgreSQL. Without it: `python -m conformance.slt [--postgres] [FILE...]` runs them and prints every difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

import psycopg
from psycopg import pq

SCRIPTS = Path(__file__).parent / "sql"
SEPARATOR = " | "
MARK = "----"
RELATIVE_ERROR = Decimal("1e-15")


@dataclass(frozen=True)
class Record:
    line: int
    """Of its first line in the file, from 1."""
    kind: str
    """statement, query, or text (comments and empty lines, kept for rewriting)."""
    sql: str = ""
    expect_error: str = ""
    """The SQLSTATE, or "" for success."""
    types: tuple[str, ...] = ()
    rowsort: bool = False
    approx: bool = False
    expected: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    """Its skipif and onlyif lines."""
    bind: tuple[str | None, ...] | None = None

    def is_for(self, engine: str) -> bool:
        return all((word == "onlyif") == (name == engine) for word, name, *_ in map(str.split, self.prefix))

    def text(self) -> str:
        if self.kind == "text":
            return self.sql
        if self.kind == "query":
            options = ["rowsort"] * self.rowsort + ["approx"] * self.approx
            header = " ".join(["query", *([",".join(self.types)] if self.types else []), *options])
        else:
            header = f"statement error {self.expect_error}" if self.expect_error else "statement ok"
        lines = [*self.prefix, header]
        if self.bind is not None:
            lines.append(f"bind {SEPARATOR.join(map(shown, self.bind))}")
        lines.append(self.sql)
        if self.kind == "query" or self.expected:
            lines += [MARK, *self.expected]
        return "\n".join(lines)


@dataclass(frozen=True)
class Answer:
    """What an engine said to a record's SQL: of the last statement in it."""

    sqlstate: str = ""
    types: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    """message, hint and position of an error."""


class ScriptError(Exception):
    """The script itself is malformed."""


def parse(text: str, name: str = "script") -> list[Record]:
    """The records of a script, with its comments as records of kind `text`. Raises: ScriptError."""
    return [Record(line, "text", "\n".join(block)) if _is_text(block[0]) else _record(block, line, name)
            for line, block in blocks(text, comments=True)]


def blocks(text: str, comments: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The records of a script as lines, each with the number of its first line; and with `comments` what stands between."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        start = at
        while at < len(lines) and _is_text(lines[at]):
            at += 1
        if at > start:
            if comments:
                yield start + 1, lines[start:at]
            continue
        while at < len(lines) and lines[at].strip():
            at += 1
        yield start + 1, lines[start:at]


def _is_text(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _record(block: list[str], line: int, name: str) -> Record:
    at = 0
    while at < len(block) and block[at].split()[0] in ("skipif", "onlyif"):
        at += 1
    if at == len(block):
        raise ScriptError(f"{name}:{line}: skipif or onlyif without a record")
    prefix, words, rest = tuple(block[:at]), block[at].split(), block[at + 1:]
    bind = None
    if rest and rest[0].split()[0] == "bind":
        bind = tuple(read(value) for value in rest[0].removeprefix("bind").strip().split(SEPARATOR))
        rest = rest[1:]
    expected: tuple[str, ...] = ()
    if MARK in rest:
        cut = rest.index(MARK)
        rest, expected = rest[:cut], tuple(rest[cut + 1:])
    record = Record(line, words[0], "\n".join(rest), expected=expected, prefix=prefix, bind=bind)
    if not rest:
        raise ScriptError(f"{name}:{line}: no SQL")
    match words:
        case ["statement", "ok"]:
            return record
        case ["statement", "error", sqlstate]:
            return replace(record, expect_error=sqlstate)
        case ["query", *options]:
            types = options.pop(0) if options and options[0] not in ("rowsort", "approx") else ""
            if set(options) <= {"rowsort", "approx"}:
                return replace(record, types=tuple(types.split(",")) if types else (), rowsort="rowsort" in options,
                               approx="approx" in options)
    raise ScriptError(f"{name}:{line}: not a record: {block[at]}")


def shown(value: str | None) -> str:
    """A value as scripts write it."""
    if value is None:
        return "NULL"
    if value == "":
        return "(empty)"
    text = value.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "\\n").replace("\r", "\\r")
    return f"\\{text}" if text in ("NULL", "(empty)") or text.startswith((" ", MARK)) else text


def read(text: str) -> str | None:
    """The value that `shown` wrote."""
    text = text.strip(" ")
    if text == "NULL":
        return None
    if text == "(empty)":
        return ""
    out, escape = [], False
    for character in text:
        if escape:
            out.append({"n": "\n", "r": "\r"}.get(character, character))
            escape = False
        elif character == "\\":
            escape = True
        else:
            out.append(character)
    return "".join(out)


def ask(connection: psycopg.Connection, sql: str, bind: Sequence[str | None] | None = None) -> Answer:
    """Runs the SQL, in the simple protocol or, with parameters, the extended one."""
    if bind is None:
        result = connection.pgconn.exec_(sql.encode())
    else:
        result = connection.pgconn.exec_params(sql.encode(), [None if value is None else value.encode() for value in bind])
    if (failed := failure(result)) is not None:
        return failed
    types = tuple(_type_name(connection, result.ftype(column)) for column in range(result.nfields))
    rows = []
    for row in range(result.ntuples):
        values = [result.get_value(row, column) for column in range(result.nfields)]
        rows.append(SEPARATOR.join(shown(None if value is None else value.decode()) for value in values))
    return Answer("", types, tuple(rows))


def failure(result: pq.abc.PGresult) -> Answer | None:
    """The error that a statement ended with. Raises: ConnectionError when there was no answer."""
    status = pq.ExecStatus
    if result.status in (status.TUPLES_OK, status.COMMAND_OK):
        return None
    found = {name: (result.error_field(code) or b"").decode() for name, code in (
        ("sqlstate", pq.DiagnosticField.SQLSTATE), ("message", pq.DiagnosticField.MESSAGE_PRIMARY),
        ("hint", pq.DiagnosticField.MESSAGE_HINT), ("position", pq.DiagnosticField.STATEMENT_POSITION))}
    if not found["sqlstate"]:
        raise ConnectionError(f"no answer: {result.error_message.decode()}")
    return Answer(found.pop("sqlstate"), fields=found)


def _type_name(connection: psycopg.Connection, oid: int) -> str:
    found = psycopg.adapters.types.get(oid)
    if found is None:  # a type that the script made
        named = connection.pgconn.exec_(f"SELECT typname FROM pg_catalog.pg_type WHERE oid = {oid}".encode())
        return (named.get_value(0, 0) or b"").decode() if named.ntuples else str(oid)
    return f"{found.name}[]" if found.array_oid == oid else found.name


def difference(record: Record, answer: Answer) -> str:
    """What is wrong with the answer to a record; "" for nothing."""
    error = answer.sqlstate and f"error {answer.sqlstate}: {answer.fields.get('message')}"
    if record.expect_error:
        if answer.sqlstate != record.expect_error:
            return f"expected error {record.expect_error}, got {error or 'success'}"
        for line in record.expected:
            name, _, want = line.partition(": ")
            if answer.fields.get(name, "") != want:
                return f"expected {name} {want!r}, got {answer.fields.get(name)!r}"
        return ""
    if error:
        return error
    if record.kind == "statement":
        return ""
    if record.types and record.types != answer.types:
        return f"expected types {','.join(record.types)}, got {','.join(answer.types)}"
    want_rows, got_rows = list(record.expected), list(answer.rows)
    if record.rowsort:
        want_rows, got_rows = sorted(want_rows), sorted(got_rows)
    if record.approx and len(want_rows) == len(got_rows):
        got_rows = [want if _close(want, got) else got for want, got in zip(want_rows, got_rows)]
    if want_rows != got_rows:
        return "\n".join(["expected", *(f"    {row}" for row in want_rows), "got", *(f"    {row}" for row in got_rows)])
    return ""


def _close(want: str, got: str) -> bool:
    wants, gots = want.split(SEPARATOR), got.split(SEPARATOR)
    return len(wants) == len(gots) and all(map(_same, wants, gots))


def _same(want: str, got: str) -> bool:
    if want == got:
        return True
    if want.startswith("{") and got.startswith("{"):
        wants, gots = want[1:-1].split(","), got[1:-1].split(",")
        return len(wants) == len(gots) and all(map(_same, wants, gots))
    try:
        a, b = Decimal(want), Decimal(got)
    except InvalidOperation:
        return False
    return a.is_finite() and b.is_finite() and abs(a - b) <= RELATIVE_ERROR * max(abs(a), Decimal(1))


def complete(record: Record, answer: Answer) -> Record:
    """The record, expecting this answer."""
    if answer.sqlstate:
        expected = tuple(f"{name}: {answer.fields.get(name, '')}" for name in (
            line.partition(": ")[0] for line in record.expected if record.expect_error))
        return replace(record, kind="statement", expect_error=answer.sqlstate, expected=expected)
    if record.kind == "statement" and not answer.types:
        return replace(record, expect_error="", expected=())
    rows = tuple(sorted(answer.rows)) if record.rowsort else answer.rows
    return replace(record, kind="query", expect_error="", types=answer.types, expected=rows)


def differences(path: Path, connection: psycopg.Connection, engine: str) -> Iterator[str]:
    """Runs a script in this connection; gives one text for each record that went wrong."""
    for record in parse(path.read_text(), path.name):
        if record.kind != "text" and record.is_for(engine):
            wrong = difference(record, ask(connection, record.sql, record.bind))
            if wrong:
                yield f"{path.name}:{record.line}: on {engine}\n{record.sql}\n{wrong}\n"


def scripts(pattern: str = "*.slt") -> list[Path]:
    return sorted(SCRIPTS.glob(pattern))


def clear(connection: psycopg.Connection) -> None:
    """Drops all that a script left in the schema public and in the session."""
    connection.pgconn.exec_(b"ROLLBACK")
    connection.prepare_threshold = None  # statements that the driver prepares itself would be discarded
    connection.execute("DISCARD ALL")
    left = connection.execute("SELECT table_name, table_type FROM information_schema.tables "
                              "WHERE table_schema = 'public' ORDER BY table_type DESC, 1").fetchall()
    for name, kind in left:
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {quoted}".encode())


def _rewrite(paths: Sequence[Path], connection: psycopg.Connection) -> None:
    for path in paths:
        written = []
        for record in parse(path.read_text(), path.name):
            if record.kind != "text" and record.is_for("postgres"):
                record = complete(record, ask(connection, record.sql, record.bind))
            written.append(record.text())
        path.write_text("\n".join(written) + "\n")
        clear(connection)


def main(arguments: Sequence[str] | None = None) -> int:
    from conformance.server import Server
    from tests.postgres_server import find_binaries, running

    parser = argparse.ArgumentParser("conformance.slt", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--complete", action="store_true", help="rewrite expectations of pg_* files from a real PostgreSQL")
    parser.add_argument("--postgres", action="store_true", help="run pg_* files on PostgreSQL in place of Shoal")
    parser.add_argument("--port", type=int, help="of a Shoal that runs already")
    options = parser.parse_args(arguments)
    paths = options.files or scripts()
    if options.complete or options.postgres:
        paths = [path for path in paths if path.name.startswith("pg_")]
        binaries = find_binaries()
        if binaries is None:
            parser.error("there is no PostgreSQL here")
        with running(binaries) as server, psycopg.connect(server.url(), autocommit=True) as connection:
            if options.complete:
                _rewrite(paths, connection)
                return 0
            return _report(paths, connection, "postgres")
    if options.port:
        with psycopg.connect(host="127.0.0.1", port=options.port, user="shoal", dbname="memory",
                             autocommit=True) as connection:
            return _report(paths, connection, "shoal")
    with Server(["--workers", "2"]) as shoal, shoal.connect("memory") as connection:
        return _report(paths, connection, "shoal")


def _report(paths: Sequence[Path], connection: psycopg.Connection, engine: str) -> int:
    count = 0
    for path in paths:
        for wrong in differences(path, connection, engine):
            count += 1
            print(wrong)
        clear(connection)
    print(f"{len(paths)} scripts on {engine}, {count} differences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
