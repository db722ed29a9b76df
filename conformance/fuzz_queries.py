"""Differential fuzzer: random SELECTs on PostgreSQL and on Shoal must give the same rows.

`python -m conformance.fuzz_queries --seed 1 --count 2000` starts a PostgreSQL and a Shoal with two workers, gives both the
same tables, and runs every statement on PostgreSQL once and on Shoal three times (`VARIANTS`): over the catalog `memory`,
which the coordinator reads; the same with batches of 7 rows; and over Parquet files, which the workers read, with every
join and aggregation partitioned and every plan checked after each rule.

Rows are compared as bags, or as lists where ORDER BY fixes their order; text by text, but numbers and intervals by value
where a statement takes one of several equal ones (1.0 and 1.00), which PostgreSQL leaves open. Each WRITES-th statement
writes a table, in a transaction that is rolled back (over the catalog `memory` alone): its rows and the table afterwards are
compared. An error counts as the same answer when both engines refuse with the same SQLSTATE. Each difference is printed
with its seed; `--seed N --count 1` is that statement again. Exit code 1 when there was any.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from conformance.fuzz_grammar import Generator, Statement
from conformance.fuzz_schema import COLUMNS, TABLES, ZONE, schema
from conformance.fuzz_writes import Writes
from conformance.server import Server
from conformance.slt import Answer, ask
from tests.postgres_server import PostgresServer, find_binaries, running

SCHEMA_SEED = 7
ARROW = {"int": pa.int32(), "big": pa.int64(), "num": pa.decimal128(8, 2), "text": pa.string(), "date": pa.date32(),
         "bool": pa.bool_(), "ts": pa.timestamp("us"), "char": pa.string(), "float": pa.float64(),
         "ints": pa.list_(pa.int32()), "tz": pa.timestamp("us", "UTC"), "bytes": pa.binary(), "mood": pa.string()}
FILES_PER_TABLE = 3
VARIANTS = {
    "memory": (),
    "memory, small batches": ("SET shoal.batch_rows = 7",),
    "files, partitioned": ("SET shoal.batch_rows = 7", "SET shoal.join_distribution = partitioned",
                           "SET shoal.max_gathered_groups = 0", "SET shoal.validate_plans = on"),
}
"""By name: the catalog is its first word; the settings are the session's."""
WRITES = 6
NUMBERS = frozenset({"numeric", "int2", "int4", "int8", "float4", "float8"})
ROW_ERRORS = frozenset({"22012", "22003", "21000"})
EITHER_WAY = ROW_ERRORS | {"42P10"}
"""Errors of single rows: which of them a statement meets, and whether at all, depends on what the plan evaluates. And
42P10: which constants count as one expression in DISTINCT and ORDER BY is a matter of taste."""
UNSUPPORTED = "0A000"
"""Shoal may refuse a statement by name; such statements are counted. What PostgreSQL refuses so (some full joins) Shoal may
answer."""
_NOT_IN_FILES = re.compile(r"\bq\d+\.[ce]\b|\bmood\b")
"""Parquet has no char(n) and no enum."""
_ONE_OF_EQUALS = re.compile(r"\b(min|max|DISTINCT|GROUP|UNION|INTERSECT|EXCEPT|ORDER|mode)\b")
"""Words of statements that take one of several equal values."""
_INTERVAL = re.compile(r"(-?\d+) (year|mon|day)s?|([+-]?)(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_DAYS = {"year": 12 * 30, "mon": 30, "day": 1}
DAY_SECONDS = 86_400
_EXACT = Context(prec=2000)


def rows(answer: Answer, ordered: bool, by_value: bool = True) -> Any:
    """The rows in a comparable form: a list where the order counts, else a bag."""
    made: list[Any] = list(answer.rows)
    if by_value:
        made = [tuple(map(_value, row.split(" | "), answer.types)) for row in made]
    return made if ordered else Counter(made)


def _value(text: str, kind: str) -> Any:
    if kind in NUMBERS and text not in ("NULL", "NaN", "Infinity", "-Infinity"):
        return Decimal(text).normalize(_EXACT)
    return _seconds(text) if kind == "interval" and text != "NULL" else text


def _seconds(interval: str) -> Decimal:
    """What intervals are compared by: months of 30 days of 24 hours."""
    total = Decimal(0)
    for count, unit, sign, hours, minutes, seconds in _INTERVAL.findall(interval):
        if unit:
            total += int(count) * _DAYS[unit] * DAY_SECONDS
        else:
            total += (-1 if sign == "-" else 1) * (int(hours) * 3600 + int(minutes) * 60 + Decimal(seconds))
    return total


def difference(want: Answer, got: Answer, ordered: bool, by_value: bool = True) -> str:
    """What differs; "" for nothing."""
    if want.sqlstate == UNSUPPORTED:
        return ""
    if want.sqlstate or got.sqlstate:
        if want.sqlstate == got.sqlstate or {want.sqlstate, got.sqlstate} - {""} <= EITHER_WAY:
            return ""
        return f"postgres: {_outcome(want)}\nshoal:    {_outcome(got)}"
    if want.types != got.types:
        return f"types: postgres {want.types}, shoal {got.types}"
    if rows(want, ordered, by_value) == rows(got, ordered, by_value):
        return ""
    missing, extra = Counter(want.rows) - Counter(got.rows), Counter(got.rows) - Counter(want.rows)
    return (f"postgres {len(want.rows)} rows, shoal {len(got.rows)}"
            + "".join(f"\n  only postgres: {row}" for row in list(missing.elements())[:5])
            + "".join(f"\n  only shoal:    {row}" for row in list(extra.elements())[:5]))


def _outcome(answer: Answer) -> str:
    return f"error {answer.sqlstate}: {answer.fields.get('message')}" if answer.sqlstate else f"{len(answer.rows)} rows"


def write_files(postgres: psycopg.Connection, folder: Path) -> None:
    """Every table as a folder of Parquet files."""
    arrow = pa.schema([(column, ARROW[kind]) for column, kind in COLUMNS.items()])
    for name in TABLES:
        found = postgres.execute(f"SELECT * FROM {name} ORDER BY id".encode()).fetchall()
        table = pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in found], arrow)
        (folder / name).mkdir()
        for part in range(FILES_PER_TABLE):
            first, last = (len(found) * i // FILES_PER_TABLE for i in (part, part + 1))
            pq.write_table(table.slice(first, last - first), folder / name / f"part-{part}.parquet", row_group_size=4)


def write(connection: psycopg.Connection, statement: Statement) -> tuple[Answer, Answer]:
    """The answer to a statement, and the rows of its table when it was done; all is rolled back."""
    ask(connection, "BEGIN")
    made = ask(connection, statement.sql)
    after = Answer(made.sqlstate) if made.sqlstate else ask(connection, f"SELECT * FROM {statement.table}")
    ask(connection, "ROLLBACK")
    return made, after


class Fuzzer:
    """`shoal`: a connection for each of VARIANTS."""

    def __init__(self, postgres: psycopg.Connection, shoal: dict[str, psycopg.Connection]) -> None:
        self.postgres, self.shoal = postgres, shoal
        self.refused: Counter[str] = Counter()
        """Statements that PostgreSQL refused, by message."""
        self.raised: list[int] = []
        """Seeds of statements that PostgreSQL answered and Shoal ended for the error of a row."""
        self.rows = 0
        """PostgreSQL's, in all."""
        self.unsupported: Counter[str] = Counter()

    def run(self, seed: int) -> tuple[Statement, str]:
        """One statement, and what was different about it."""
        writes = seed % WRITES == 0
        statement = (Writes(seed) if writes else Generator(seed)).statement()
        if writes:
            return statement, self.written(statement)
        by_value = _ONE_OF_EQUALS.search(statement.sql) is not None
        want = ask(self.postgres, statement.sql)
        self.count_refused(want)
        self.rows += len(want.rows)
        for name, connection in self.shoal.items():
            if name.startswith("files") and _NOT_IN_FILES.search(statement.sql):
                continue
            got = ask(connection, statement.sql)
            if got.sqlstate == UNSUPPORTED:
                self.unsupported[got.fields["message"]] += 1
                return statement, ""
            if got.sqlstate in ROW_ERRORS and not want.sqlstate:
                self.raised.append(seed)
            found = difference(want, got, statement.ordered, by_value)
            if found:
                return statement, f"{name}: {found}"
        return statement, ""

    def count_refused(self, answer: Answer) -> None:
        if answer.sqlstate:
            self.refused[f"{answer.sqlstate} {answer.fields['message']}"] += 1

    def written(self, statement: Statement) -> str:
        """What differs in the rows of a statement that writes, and in its table afterwards."""
        want = write(self.postgres, statement)
        self.count_refused(want[0])
        for name, connection in self.shoal.items():
            if name.startswith("files"):
                continue
            got = write(connection, statement)
            if got[0].sqlstate == UNSUPPORTED:
                self.unsupported[got[0].fields["message"]] += 1
                return ""
            for what, one, two in zip(("", "table afterwards: "), want, got, strict=True):
                if found := difference(one, two, False):
                    return f"{name}: {what}{found}"
        return ""


@contextmanager
def fuzzer(server: PostgresServer, workers: int, database: str = "postgres") -> Iterator[Fuzzer]:
    """Both engines with the same tables; those of PostgreSQL are made in `database`."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        postgres = stack.enter_context(psycopg.connect(server.url(database), autocommit=True))
        statements = schema(SCHEMA_SEED)
        zone = f"SET TimeZone = '{ZONE}'"
        for statement in [zone, *statements]:
            postgres.execute(statement.encode())
        write_files(postgres, Path(folder))
        shoal = stack.enter_context(Server(["--workers", str(workers), folder]))
        connections: dict[str, psycopg.Connection] = {}
        for name, settings in VARIANTS.items():
            connections[name] = stack.enter_context(shoal.connect(re.split(r"\W", name)[0]))
            for setting in (zone, *settings):
                connections[name].execute(setting.encode())
        for statement in statements:
            connections["memory"].execute(statement.encode())
        yield Fuzzer(postgres, connections)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("conformance.fuzz_queries", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first statement; each next one has the next seed")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    binaries = find_binaries()
    if binaries is None:
        parser.error("there is no PostgreSQL here")
    started, count = time.monotonic(), 0
    with running(binaries) as server, fuzzer(server, options.workers) as engines:
        for seed in range(options.seed, options.seed + options.count):
            made, found = engines.run(seed)
            if found:
                count += 1
                print(f"--- seed {seed}\n{made.sql};\n{found}\n", flush=True)
    for message, times in (engines.unsupported + engines.refused).most_common(20):
        print(f"{times} times: {message}")
    if engines.raised:
        print(f"errors of rows that PostgreSQL did not meet, at seeds {sorted(set(engines.raised))}")
    seconds, refused = time.monotonic() - started, engines.refused.total()
    print(f"{options.count} statements from seed {options.seed} gave {engines.rows} rows; PostgreSQL answered "
          f"{1 - refused / options.count:.1%}, Shoal does not support {engines.unsupported.total()} of them; {count} "
          f"differences, {seconds:.0f} s, {options.count / seconds:.1f} statements a second")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
