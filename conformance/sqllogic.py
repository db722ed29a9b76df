"""Judges Shoal by SQLite's sqllogictest: every record of its scripts that PostgreSQL answers as the script expects.

`python -m conformance.sqllogic [FILE...] [--sample N] [--seed S] [--list-inapplicable] [-v]` starts a PostgreSQL and a Shoal
and gives both every record of the scripts, one script after another in a fresh database (by default all scripts of
$SHOAL_CORPORA/slt; a FILE may be named by its stem). `--sample N`: about N of their queries, drawn by `--seed`, and all
statements.

A record is applicable when PostgreSQL 15 itself does what the script expects: scripts are written for SQLite, and where
PostgreSQL refuses a statement or has another answer, Shoal must do as PostgreSQL does. Those records are counted by what
PostgreSQL says (`--list-inapplicable`: by reason, with an example of each), and their answers are compared with
PostgreSQL's own, as are the texts and types of all others.

Exit code 1 when less than 99.9 % of the applicable records are right. `-v` prints every record that is not.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

import psycopg
from psycopg import pq

from conformance.corpora import CORPORA
from conformance.server import Server
from conformance.slt import Answer, failure
from conformance.sqllogic_script import Record, Rows, is_expected, records, written
from tests.postgres_server import PostgresServer, find_binaries, running

SCRIPTS: Final = CORPORA / "slt"
LEAST_RIGHT: Final = 0.999
LANES: Final = 2
"""Scripts that run at once."""
_NAME: Final = re.compile(r'"[^"]*"|\b\w*\d\w*\b')


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine made of a record: an error, or rows of texts with the types (OIDs) of their columns."""

    error: Answer | None
    types: tuple[int, ...] = ()
    rows: Rows = ()


@dataclass(slots=True)
class Tally:
    """Records counted. `wrong`: texts of what went wrong, of the applicable ones; `different`: of those that PostgreSQL
    answers otherwise than Shoal, in values, text, types or SQLSTATE, though the script cannot tell."""

    applicable: int = 0
    wrong: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    inapplicable: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        self.applicable += other.applicable
        self.wrong += other.wrong
        self.different += other.different
        self.inapplicable += other.inapplicable
        self.examples = other.examples | self.examples


def judge(path: Path, postgres: psycopg.Connection, shoal: psycopg.Connection, keep: float = 1.0, seed: int = 0) -> Tally:
    """Runs a script on both. `keep`: the share of its queries to run."""
    tally = Tally()
    draw = random.Random(f"{seed} {path.name}")
    for record in records(path.read_text(), path.name):
        if record.kind == "query" and keep < 1 and draw.random() >= keep:
            continue
        want, got = _ask_both(record.sql, postgres, shoal)
        where = f"{path.name}:{record.line}: {record.sql}"
        reason = shortfall(record, want)
        if reason:
            tally.inapplicable[reason] += 1
            tally.examples.setdefault(reason, where)
        else:
            tally.applicable += 1
            if wrong := shortfall(record, got):
                tally.wrong.append(f"{where}\n  {wrong}")
                continue
        if unlike := difference(record, want, got):
            tally.different.append(f"{where}\n  {unlike}")
    return tally


def shortfall(record: Record, outcome: Outcome) -> str:
    """Why the outcome is not what the record expects, in words without names and numbers; "" when it is."""
    if outcome.error is not None:
        return "" if record.fails else f"error {outcome.error.sqlstate}: {_NAME.sub('...', outcome.error.fields['message'])}"
    if record.fails:
        return "no error where SQLite has one"
    if record.kind == "statement":
        return ""
    try:
        values = written(record, outcome.rows)
    except ValueError:
        return "another number of columns"
    return "" if is_expected(record, values) else f"other values of types {' '.join(map(_type_name, outcome.types))}"


def difference(record: Record, want: Outcome, got: Outcome) -> str:
    """How Shoal's answer is not PostgreSQL's, to the letter; "" when it is."""
    state = (want.error.sqlstate if want.error else "", got.error.sqlstate if got.error else "")
    if state[0] != state[1]:
        message = f" ({got.error.fields['message']})" if got.error else ""
        return f"PostgreSQL: {state[0] or 'success'}, Shoal: {state[1] or 'success'}{message}"
    if want.types != got.types:
        return f"PostgreSQL: {' '.join(map(_type_name, want.types))}, Shoal: {' '.join(map(_type_name, got.types))}"
    wanted, gotten = (rows if record.sort == "nosort" else sorted(rows, key=repr) for rows in (want.rows, got.rows))
    if wanted != gotten:
        pairs = [(a, b) for a, b in zip(wanted, gotten, strict=False) if a != b][:2]
        return f"{len(wanted)} and {len(gotten)} rows; PostgreSQL's and Shoal's differ: {pairs}"
    return ""


def _ask_both(sql: str, postgres: psycopg.Connection, shoal: psycopg.Connection) -> tuple[Outcome, Outcome]:
    """Both engines work at the same time."""
    text = sql.encode()
    postgres.pgconn.send_query(text)
    got = _outcome(shoal.pgconn.exec_(text))
    last = None
    while (result := postgres.pgconn.get_result()) is not None:
        last = result
    assert last is not None
    return _outcome(last), got


def _outcome(result: pq.abc.PGresult) -> Outcome:
    failed = failure(result)
    if failed is not None:
        return Outcome(failed)
    columns = range(result.nfields)
    value = result.get_value
    rows = [[None if (cell := value(row, column)) is None else cell.decode() for column in columns]
            for row in range(result.ntuples)]
    return Outcome(None, tuple(map(result.ftype, columns)), rows)


def _type_name(oid: int) -> str:
    found = psycopg.adapters.types.get(oid)
    return found.name if found else str(oid)


def run(paths: Sequence[Path], server: PostgresServer, shoal: Server, keep: float = 1.0, seed: int = 0,
        lanes: int = LANES) -> Iterator[tuple[Path, Tally, float]]:
    """Judges the scripts, some at once, largest first; gives each as it ends, with the seconds it took.

    Shoal must have the catalogs that `shoal_arguments` names.
    """
    work: SimpleQueue[Path] = SimpleQueue()
    done: SimpleQueue[tuple[Path, Tally, float] | BaseException] = SimpleQueue()
    for path in sorted(paths, key=lambda path: -path.stat().st_size):
        work.put(path)

    def lane(number: int) -> None:
        try:
            while True:
                path = work.get_nowait()
                started = time.perf_counter()
                database = f"sqllogic{number}"
                server.run(f"DROP DATABASE IF EXISTS {database}")
                server.run(f"CREATE DATABASE {database}")
                with (psycopg.connect(server.url(database), autocommit=True) as postgres,
                      shoal.connect(f"lane{number}") as connection):
                    tally = judge(path, postgres, connection, keep, seed)
                    _empty(connection)
                done.put((path, tally, time.perf_counter() - started))
        except Empty:
            pass
        except BaseException as error:
            done.put(error)

    threads = [threading.Thread(target=lane, args=(number,), daemon=True) for number in range(lanes)]
    for thread in threads:
        thread.start()
    for _ in paths:
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        yield result


def shoal_arguments(lanes: int = LANES) -> list[str]:
    """For `shoal serve`: a catalog for each script that runs."""
    return ["--workers", "2", *(part for lane in range(lanes) for part in ("--catalog", f"lane{lane}=memory:"))]


def _empty(connection: psycopg.Connection) -> None:
    """Drops all that a script left."""
    for (name,) in connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    ).fetchall():
        connection.execute(f'DROP TABLE "{name}" CASCADE'.encode())


def queries_in(paths: Sequence[Path]) -> int:
    return sum(record.kind == "query" for path in paths for record in records(path.read_text(), path.name))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("conformance.sqllogic", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="a script, or the stem of one of the corpus")
    parser.add_argument("--sample", type=int, metavar="N", help="about N queries, not all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list-inapplicable", action="store_true", help="each reason, with an example")
    parser.add_argument("-v", "--verbose", action="store_true", help="every record that Shoal got wrong")
    options = parser.parse_args(arguments)
    paths = [path if (path := Path(name)).exists() else SCRIPTS / f"{name}.test" for name in options.files]
    paths = paths or sorted(SCRIPTS.glob("*.test"))
    binaries = find_binaries()
    if binaries is None or not paths or not all(path.exists() for path in paths):
        parser.error("there is no PostgreSQL here" if binaries is None else f"no such script in {SCRIPTS}")
    keep = min(1.0, options.sample / max(1, queries_in(paths))) if options.sample else 1.0
    total = Tally()
    started = time.perf_counter()
    with ExitStack() as stack:
        server = stack.enter_context(running(binaries))
        shoal = stack.enter_context(Server(shoal_arguments()))
        for path, tally, seconds in run(paths, server, shoal, keep, options.seed):
            total.add(tally)
            print(f"{path.stem}: {tally.applicable - len(tally.wrong)} of {tally.applicable} right, "
                  f"{tally.inapplicable.total()} inapplicable, {len(tally.different)} unlike PostgreSQL, {seconds:.1f} s")
            if options.verbose:
                print("\n".join([*tally.wrong, *tally.different]))
    for reason, count in total.inapplicable.most_common():
        if options.list_inapplicable:
            print(f"inapplicable: {count} x {reason}\n    {total.examples[reason]}")
    right = total.applicable - len(total.wrong)
    share = right / max(1, total.applicable)
    print(f"sqllogictest: {right} of {total.applicable} applicable records right ({100 * share:.3f} %), "
          f"{total.inapplicable.total()} inapplicable for {len(total.inapplicable)} reasons, "
          f"{len(total.different)} answers unlike PostgreSQL's, {time.perf_counter() - started:.0f} s")
    return 0 if share >= LEAST_RIGHT else 1


if __name__ == "__main__":
    sys.exit(main())
