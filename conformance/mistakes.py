"""Judges error reports: mistakes made in valid statements must get PostgreSQL's SQLSTATE at PostgreSQL's place.

`python -m conformance.mistakes [--seed S] [--each N] [FILE...] [-v]` starts a PostgreSQL and a Shoal, runs the scripts
conformance/sql/pg_*.slt on both, and beside each of their queries N variants with one mistake: a token left out, doubled,
exchanged with its neighbour, misspelt, or replaced by a constant of another type. Both must accept the variant, or both
refuse it with the same SQLSTATE and the same position. Refusals by 0A000 are counted apart: Shoal says that it lacks a
feature. Exit code 1 when less than 95 % of the others agree.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from conformance.server import Server
from conformance.slt import Answer, ask, clear, parse, scripts
from tests.postgres_server import find_binaries, running

LEAST_ALIKE: Final = 0.95
UNSUPPORTED: Final = "0A000"
LONGEST: Final = 600
"""Characters of a statement that mistakes are made in."""
ROWS_DECIDE: Final = frozenset({"22012", "22003", "21000", "22P02", "57014"})
"""Errors of single rows: whether one is met may depend on the plan."""
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\w+|\s+|::|<>|<=|>=|\|\||->>?|.", re.DOTALL)
_CONSTANTS: Final = ("1", "'x'", "true", "1.5", "NULL", "date '2020-01-01'", "ARRAY[1]")


@dataclass(slots=True)
class Count:
    alike: int = 0
    unsupported: int = 0
    different: list[str] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(PostgreSQL's, Shoal's) SQLSTATE and, where those are the same, whether the place is not."""

    @property
    def share(self) -> float:
        return self.alike / max(1, self.alike + len(self.different))


def mistaken(sql: str, draw: random.Random) -> str:
    """The statement with one mistake in it."""
    tokens = _TOKEN.findall(sql)
    solid = [i for i, token in enumerate(tokens) if not token.isspace()]
    at = draw.choice(solid)
    match draw.randrange(6):
        case 0:
            tokens[at] = ""
        case 1:
            tokens[at] += f" {tokens[at]}"
        case 2:
            other = draw.choice(solid)
            tokens[at], tokens[other] = tokens[other], tokens[at]
        case 3:
            words = [i for i in solid if tokens[i].isidentifier()] or solid
            at = draw.choice(words)
            cut = draw.randrange(len(tokens[at])) + 1
            tokens[at] = tokens[at][:cut] + draw.choice("aeqz") + tokens[at][cut:]
        case 4:
            constants = [i for i in solid if tokens[i][0] == "'" or tokens[i].isdigit()] or solid
            tokens[draw.choice(constants)] = draw.choice(_CONSTANTS)
        case _:
            following = draw.choice([i for i in solid if i >= at][:2])
            tokens[at], tokens[following] = tokens[following], tokens[at]
    return "".join(tokens)


def judge(path: Path, postgres: psycopg.Connection, shoal: psycopg.Connection, each: int, seed: int) -> Count:
    """Runs a script on both with mistakes in its queries."""
    count = Count()
    draw = random.Random(f"{seed} {path.name}")
    for record in parse(path.read_text(), path.name):
        if record.kind == "text" or not (record.is_for("postgres") and record.is_for("shoal")):
            continue
        for connection in (postgres, shoal):
            ask(connection, record.sql, record.bind)
        if record.kind != "query" or record.bind is not None or len(record.sql) > LONGEST or ";" in record.sql:
            continue
        for sql in _variants(record.sql, each, draw):
            want, got = ask(postgres, sql), ask(shoal, sql)
            if got.sqlstate == UNSUPPORTED != want.sqlstate:
                count.unsupported += 1
            elif _alike(want, got):
                count.alike += 1
            else:
                same = want.sqlstate == got.sqlstate
                count.kinds[want.sqlstate or "success", "other place" if same else got.sqlstate or "success"] += 1
                where = f"{path.name}:{record.line}"
                count.different.append(f"{where}\n{sql}\n  PostgreSQL: {_told(want)}\n  Shoal:      {_told(got)}")
    return count


def _variants(sql: str, each: int, draw: random.Random) -> Iterator[str]:
    for _ in range(each):
        made = mistaken(sql, draw)
        if made.strip() and ";" not in made and made != sql:
            yield made


def _alike(want: Answer, got: Answer) -> bool:
    if {want.sqlstate, got.sqlstate} & ROWS_DECIDE and {want.sqlstate, got.sqlstate} <= ROWS_DECIDE | {""}:
        return True
    return want.sqlstate == got.sqlstate and want.fields.get("position") == got.fields.get("position")


def _told(answer: Answer) -> str:
    if not answer.sqlstate:
        return f"{len(answer.rows)} rows"
    return f"{answer.sqlstate} at {answer.fields.get('position') or 'no place'}: {answer.fields.get('message')}"


def run(paths: Sequence[Path], postgres: psycopg.Connection, shoal: psycopg.Connection, each: int, seed: int) -> Count:
    """Judges all scripts."""
    total = Count()
    for connection in (postgres, shoal):
        connection.execute("SET statement_timeout = '20s'")
    for path in paths:
        found = judge(path, postgres, shoal, each, seed)
        for connection in (postgres, shoal):
            clear(connection)
        total.alike += found.alike
        total.unsupported += found.unsupported
        total.different += found.different
        total.kinds += found.kinds
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("conformance.mistakes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=3, metavar="N", help="variants of each query")
    parser.add_argument("-v", "--verbose", action="store_true", help="every difference")
    options = parser.parse_args(arguments)
    binaries = find_binaries()
    if binaries is None:
        parser.error("there is no PostgreSQL here")
    with (running(binaries) as server, psycopg.connect(server.url(), autocommit=True) as postgres,
          Server(["--workers", "1"]) as running_shoal, running_shoal.connect("memory") as shoal):
        total = run(options.files or scripts("pg_*.slt"), postgres, shoal, options.each, options.seed)
    if options.verbose:
        print("\n".join(total.different))
    for (want, got), count in total.kinds.most_common():
        print(f"{count} x PostgreSQL {want}, Shoal {got}")
    print(f"mistakes: {total.alike} of {total.alike + len(total.different)} reported as PostgreSQL reports them "
          f"({100 * total.share:.2f} %), {total.unsupported} met a feature that Shoal lacks")
    return 0 if total.share >= LEAST_ALIKE else 1


if __name__ == "__main__":
    sys.exit(main())
