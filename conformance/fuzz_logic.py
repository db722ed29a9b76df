"""Generated queries that judge themselves: no other engine is needed to see that one of them was answered wrong.

`python -m conformance.fuzz_logic --seed 1 --queries 20000` makes, for each seed, a random FROM clause and a random
predicate p over it (conformance/fuzz_grammar.py), and asks:

- ternary logic partitioning: the rows of a query are those WHERE p, WHERE NOT p and WHERE p IS NULL together: as they are,
  DISTINCT, grouped, aggregated, and in HAVING;
- non-optimizing reconstruction: as many rows pass WHERE p as have a TRUE p when every row's p is computed and nothing can
  be pushed down or pruned;
- identities (conformance/fuzz_identities.py): IN as EXISTS, an outer join as an inner one and the rows without a match ...;
- random plans: the whole query, and a random statement of any kind, give the same rows with 1 and 3 workers, batches of
  7 rows, partitioned joins and aggregations, and 16 MB of memory.

Each wrong answer is printed with its seed; `--seed N --queries 1` asks it again. Exit code 1 where there was any. Errors of
single rows (division by zero, overflow) may come or not, as the plan has it, and end a seed; errors of other kinds count.

Method: Rigger and Su, "Finding Bugs in Database Systems via Query Partitioning" (2020) and "Detecting Optimization Bugs in
Database Engines via Non-Optimizing Reference Engine Construction" (2020).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from conformance.fuzz_grammar import Generator
from conformance.fuzz_identities import IDENTITIES, WITHOUT, Test, test_of
from conformance.fuzz_queries import EITHER_WAY, SCHEMA_SEED, UNSUPPORTED, rows, write_files
from conformance.fuzz_schema import ZONE, schema
from conformance.server import Server
from conformance.slt import Answer, ask

OUT_OF_MEMORY = "53200"
PLANS: dict[str, tuple[int, tuple[str, ...]]] = {
    "1 worker": (1, ()),
    "3 workers": (3, ()),
    "3 workers, 7 rows a batch, partitioned": (3, (
        "SET shoal.batch_rows = 7", "SET shoal.join_distribution = partitioned", "SET shoal.max_gathered_groups = 0",
        "SET shoal.validate_plans = on")),
    "1 worker, 7 rows a batch, 16 MB": (1, ("SET shoal.batch_rows = 7", "SET shoal.query_memory = '16MB'")),
}
"""Number of workers and settings of the session, by name. The first is asked the partitioned queries of even seeds, the
third those of odd ones."""
IDENTITIES_OF_A_SEED = 7
EXTREMES = "count(*), min({0}), max({0})"


class Wrong(Exception):
    """What contradicts what."""


class Unanswered(Exception):
    """An error that ends the seed without a verdict."""


class Judge:
    """`plans`: a connection for each of PLANS."""

    def __init__(self, plans: dict[str, psycopg.Connection]) -> None:
        self.plans = plans
        self.queries = 0
        self.unanswered: Counter[str] = Counter()

    def run(self, seed: int) -> str:
        """What was wrong with the answers; "" for nothing."""
        test = test_of(seed)
        names = list(self.plans)
        one = self.plans[names[0] if seed % 2 == 0 else names[2]]
        try:
            statement = Generator(seed, WITHOUT).statement()
            self.same_on_all_plans(statement.sql, statement.ordered)
            whole = self.same_on_all_plans(f"SELECT {test.items} FROM {test.source}")
            self.partitioned(one, test, whole)
            self.reconstructed(one, test)
            for identity in random.Random(seed).sample(IDENTITIES, IDENTITIES_OF_A_SEED):
                plain, other = identity(test)
                _expect(rows(self.ask(one, plain), False), rows(self.ask(one, other), False), other,
                        f"{identity.__name__}: {plain}")
        except Unanswered as reason:
            self.unanswered[str(reason)] += 1
        except Wrong as found:
            return str(found)
        return ""

    def ask(self, connection: psycopg.Connection, sql: str) -> Answer:
        self.queries += 1
        answer = ask(connection, sql)
        if answer.sqlstate in EITHER_WAY or answer.sqlstate in (UNSUPPORTED, OUT_OF_MEMORY):
            raise Unanswered(f"{answer.sqlstate} {answer.fields.get('message', '')}")
        if answer.sqlstate:
            raise Wrong(f"{sql}\n  {answer.sqlstate} {answer.fields.get('message', '')}")
        return answer

    def same_on_all_plans(self, sql: str, ordered: bool = False) -> Answer:
        answers = {name: self.ask(connection, sql) for name, connection in self.plans.items()}
        first, *others = answers.items()
        for name, answer in others:
            _expect(rows(first[1], ordered), rows(answer, ordered), sql, f"{first[0]} <> {name}")
        return first[1]

    def partitioned(self, connection: psycopg.Connection, test: Test, whole: Answer) -> None:
        p = f"({test.predicate})"
        parts = [f"FROM {test.source} WHERE {condition}" for condition in (p, f"NOT {p}", f"{p} IS NULL")]
        found: Counter[tuple[str, ...]] = Counter()
        for part in parts:
            found += rows(self.ask(connection, f"SELECT {test.items} {part}"), False)
        _expect(rows(whole, False), found, f"SELECT {test.items} {parts[0]}", "the three parts")
        extremes = f"SELECT {test.key.sql} AS k, {EXTREMES.format(test.key.sql)} {{}} GROUP BY 1"
        for what in (f"SELECT DISTINCT {test.items} {{}}", extremes):
            together = " UNION ALL ".join(f"({what.format(part)})" for part in parts)
            merged = f"SELECT DISTINCT * FROM ({together}) AS u" if "DISTINCT" in what else \
                f"SELECT k, sum(count)::bigint, min(min), max(max) FROM ({together}) AS u GROUP BY 1"
            plain = what.format(f"FROM {test.source}")
            _expect(rows(self.ask(connection, plain), False), rows(self.ask(connection, merged), False), merged, plain)
        by_having = " UNION ALL ".join(
            f"SELECT {test.key.sql} AS k FROM {test.source} GROUP BY 1 HAVING {condition}" for condition in (
            f"bool_or({p})", f"NOT bool_or({p})", f"bool_or({p}) IS NULL"))
        keys = rows(self.ask(connection, f"SELECT {test.key.sql} AS k FROM {test.source} GROUP BY 1"), False)
        _expect(keys, rows(self.ask(connection, by_having), False), by_having, "all groups")

    def reconstructed(self, connection: psycopg.Connection, test: Test) -> None:
        optimized = f"SELECT count(*) FROM {test.source} WHERE {test.predicate}"
        plain = f"SELECT CASE WHEN {test.predicate} THEN 'yes' ELSE 'no' END AS passes FROM {test.source}"
        passing = sum(row == "yes" for row in self.ask(connection, plain).rows)
        count = int(self.ask(connection, optimized).rows[0])
        if count != passing:
            raise Wrong(f"{optimized}\n  gives {count}, but for {passing} rows it holds in\n{plain}")


def _expect(want: Any, got: Any, sql: str, what: str) -> None:
    if want != got:
        one, two = Counter(want), Counter(got)
        missing, extra = list((one - two).elements())[:5], list((two - one).elements())[:5]
        raise Wrong(f"{sql}\n  {what}: {one.total()} rows, {two.total()} rows; missing {missing}, extra {extra}")


@contextmanager
def judge() -> Iterator[Judge]:
    """Servers over the same Parquet files, and a connection for each of PLANS."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        with Server(["--workers", "1"]) as maker, maker.connect("memory") as tables:
            for statement in schema(SCHEMA_SEED):
                tables.execute(statement.encode())
            write_files(tables, Path(folder))
        servers = {workers: stack.enter_context(Server(["--workers", str(workers), folder]))
                   for workers in sorted({workers for workers, _ in PLANS.values()})}
        connections = {}
        for name, (workers, settings) in PLANS.items():
            connections[name] = stack.enter_context(servers[workers].connect())
            for setting in (f"SET TimeZone = '{ZONE}'", *settings):
                connections[name].execute(setting.encode())
        yield Judge(connections)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("conformance.fuzz_logic", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first query; each next one has the next seed")
    parser.add_argument("--queries", type=int, default=20_000, help="how many at least")
    options = parser.parse_args(arguments)
    started, wrong, seed = time.monotonic(), 0, options.seed
    with judge() as made:
        while made.queries < options.queries:
            if found := made.run(seed):
                wrong += 1
                print(f"--- seed {seed}\n{found}\n", flush=True)
            seed += 1
    for reason, times in made.unanswered.most_common(10):
        print(f"{times} seeds without a verdict: {reason}")
    seconds, seeds = time.monotonic() - started, seed - options.seed
    print(f"{made.queries} queries of {seeds} seeds from {options.seed}, {1 - made.unanswered.total() / seeds:.1%} of them "
          f"with a verdict: {wrong} wrong, {seconds:.0f} s, {made.queries / seconds:.1f} queries a second")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
