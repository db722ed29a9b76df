"""Pairs of queries that must have the same rows, whatever the tables hold; for conformance/fuzz_logic.py.

Each identity says in other words what a join, a subquery, a window, a set operation, grouping sets or a limit mean, so that
the planner takes another way: IN as EXISTS, an outer join as the inner join and the rows without a match ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.fuzz_expressions import Column
from conformance.fuzz_grammar import Generator
from conformance.fuzz_schema import COMPARABLE, SQL_TYPES

ORDERED = frozenset({"int", "big", "num", "quot", "text", "date", "ts", "char", "float", "span", "tz", "time", "inet",
                     "ints", "texts"})
"""Kinds with an equality, an order, and min and max."""
WITHOUT = ("mood",)
"""Kinds that the judge's tables, which are Parquet files, do not have."""
Pair = tuple[str, str]


@dataclass
class Test:
    """A seed's FROM clause, its predicate p, what to select, a key and a value of it.

    `other`: one further relation; `its` and `value`: columns of it, `its` comparable with `key`; `match`: a condition over
    both; `total`: an ORDER BY that leaves only equal rows in any order."""

    source: str
    predicate: str
    items: str
    key: Column
    measure: Column
    other: str
    its: Column
    value: Column
    match: str
    total: str

    @property
    def joined(self) -> str:
        return f"{self.key.sql} = {self.its.sql} AND ({self.match})"

    @property
    def null(self) -> str:
        return f"CAST(NULL AS {SQL_TYPES[self.value.kind]})"


def test_of(seed: int) -> Test:
    generator = Generator(seed, WITHOUT)
    rng = generator.rng
    source, scope = generator.from_clause([], rng.choice((1, 1, 2, 3)))
    predicate = generator.branches(scope) if generator.chance(0.12) else generator.predicate(scope, 3)
    picked = [rng.choice(scope) for _ in range(3)]
    items = ", ".join(f"{column.sql} AS c{number}" for number, column in enumerate(picked))
    while True:
        other, more = generator.relation([])
        key = _column(generator, scope)
        same = next((kinds for kinds in COMPARABLE if key.kind in kinds), {key.kind})
        fitting = [column for column in more if column.kind in same]
        if fitting:
            break
    match = generator.predicate(scope + more, 1) if generator.chance(0.7) else "true"
    measure = _column(generator, scope)
    if measure == key:  # ROLLUP (k, k) is something else
        measure = Column("CAST(7 AS int)", "int")
    return Test(source, predicate, items, key, measure, other, rng.choice(fitting),
                _column(generator, more), match, generator.total(scope))


def _column(generator: Generator, scope: list[Column]) -> Column:
    """A column with an order; else an expression of few values, NULL where a join has no row."""
    found = [column for column in scope if column.kind in ORDERED]
    return generator.rng.choice(found) if found else Column(f"CASE WHEN {scope[0].sql} IS NOT NULL THEN 1 END", "int")


def in_as_exists(t: Test) -> Pair:
    return (f"SELECT {t.items} FROM {t.source} WHERE {t.key.sql} IN (SELECT {t.its.sql} FROM {t.other} WHERE {t.match})",
            f"SELECT {t.items} FROM {t.source} WHERE EXISTS (SELECT 1 FROM {t.other} WHERE {t.joined})")


def not_in_as_not_exists(t: Test) -> Pair:
    return (f"SELECT {t.items} FROM {t.source} WHERE {t.key.sql} NOT IN (SELECT {t.its.sql} FROM {t.other} WHERE {t.match})",
            f"SELECT {t.items} FROM {t.source} WHERE NOT EXISTS (SELECT 1 FROM {t.other} WHERE ({t.match}) AND "
            f"({t.key.sql} = {t.its.sql}) IS NOT FALSE)")


def all_as_not_exists(t: Test) -> Pair:
    return (f"SELECT {t.items} FROM {t.source} WHERE {t.key.sql} <= ALL (SELECT {t.its.sql} FROM {t.other} WHERE {t.match})",
            f"SELECT {t.items} FROM {t.source} WHERE NOT EXISTS (SELECT 1 FROM {t.other} WHERE ({t.match}) AND "
            f"({t.key.sql} <= {t.its.sql}) IS NOT TRUE)")


def left_join(t: Test) -> Pair:
    return (f"SELECT {t.items}, {t.value.sql} AS w FROM {t.source} LEFT JOIN {t.other} ON {t.joined}",
            f"SELECT {t.items}, {t.value.sql} AS w FROM {t.source} JOIN {t.other} ON {t.joined} UNION ALL "
            f"SELECT {t.items}, {t.null} FROM {t.source} WHERE NOT EXISTS (SELECT 1 FROM {t.other} WHERE {t.joined})")


def full_join(t: Test) -> Pair:
    on = f"{t.key.sql} = {t.its.sql}"
    return (f"SELECT {t.key.sql} AS k, {t.value.sql} AS w FROM {t.source} FULL JOIN {t.other} ON {on} ",
            f"SELECT {t.key.sql} AS k, {t.value.sql} AS w FROM {t.source} LEFT JOIN {t.other} ON {on} UNION ALL "
            f"SELECT CAST(NULL AS {SQL_TYPES[t.key.kind]}), {t.value.sql} FROM {t.other} WHERE NOT EXISTS "
            f"(SELECT 1 FROM {t.source} WHERE {on})")


def filtered_outer_join(t: Test) -> Pair:
    """A filter on the side that may be missing is one on the joined rows."""
    joined = f"{t.source} LEFT JOIN {t.other} ON {t.joined}"
    return (f"SELECT {t.items} FROM {joined} WHERE {t.its.sql} IS NULL",
            f"SELECT {t.items} FROM {t.source} WHERE NOT EXISTS (SELECT 1 FROM {t.other} WHERE {t.joined})")


def lateral_as_join(t: Test) -> Pair:
    return (f"SELECT {t.items}, l.w FROM {t.source} CROSS JOIN LATERAL (SELECT {t.value.sql} AS w FROM {t.other} "
            f"WHERE {t.joined}) AS l",
            f"SELECT {t.items}, {t.value.sql} AS w FROM {t.source} JOIN {t.other} ON {t.joined}")


def scalar_as_lateral(t: Test) -> Pair:
    inner = f"FROM {t.other} WHERE {t.joined}"
    return (f"SELECT {t.items}, (SELECT max({t.value.sql}) {inner}) AS m, (SELECT count(*) {inner}) AS n FROM {t.source}",
            f"SELECT {t.items}, l.m, l.n FROM {t.source} LEFT JOIN LATERAL (SELECT max({t.value.sql}) AS m, count(*) AS n "
            f"{inner}) AS l ON true")


def filter_as_where(t: Test) -> Pair:
    v, where = t.measure.sql, f"FILTER (WHERE {t.predicate})"
    functions = ("count(*)", f"count({v})", f"count(DISTINCT {v})", f"min({v})", f"max({v})")
    return (f"SELECT {', '.join(f'{function} {where}' for function in functions)} FROM {t.source}",
            f"SELECT {', '.join(functions)} FROM {t.source} WHERE {t.predicate}")


def except_all(t: Test) -> Pair:
    whole = f"SELECT {t.items} FROM {t.source}"
    return (f"{whole} EXCEPT ALL {whole} WHERE {t.predicate}", f"{whole} WHERE ({t.predicate}) IS NOT TRUE")


def intersect_all(t: Test) -> Pair:
    whole = f"SELECT {t.items} FROM {t.source}"
    return f"{whole} INTERSECT ALL {whole} WHERE {t.predicate}", f"{whole} WHERE {t.predicate}"


def distinct_on(t: Test) -> Pair:
    return (f"SELECT DISTINCT ON ({t.key.sql}) {t.items} FROM {t.source} ORDER BY {t.key.sql}, {t.total}",
            f"SELECT c0, c1, c2 FROM (SELECT {t.items}, row_number() OVER (PARTITION BY {t.key.sql} ORDER BY {t.total}) "
            f"AS r FROM {t.source}) AS numbered WHERE r = 1")


def window_as_join(t: Test) -> Pair:
    rows = f"WITH s AS (SELECT {t.key.sql} AS k, {t.measure.sql} AS v FROM {t.source} WHERE ({t.predicate}) IS NOT TRUE)"
    return (f"{rows} SELECT k, v, count(*) OVER w, max(v) OVER w FROM s WINDOW w AS (PARTITION BY k)",
            f"{rows} SELECT s.k, s.v, g.n, g.m FROM s JOIN (SELECT k, count(*) AS n, max(v) AS m FROM s GROUP BY k) AS g "
            "ON g.k IS NOT DISTINCT FROM s.k")


def rollup(t: Test) -> Pair:
    k, v, rest = t.key.sql, t.measure.sql, f"count(*), count(DISTINCT {t.measure.sql}) FROM {t.source}"
    return (f"SELECT {k} AS k, {v} AS v, {rest} GROUP BY ROLLUP ({k}, {v})",
            f"SELECT {k} AS k, {v} AS v, {rest} GROUP BY 1, 2 UNION ALL "
            f"SELECT {k} AS k, CAST(NULL AS {SQL_TYPES[t.measure.kind]}), {rest} GROUP BY 1 UNION ALL "
            f"SELECT CAST(NULL AS {SQL_TYPES[t.key.kind]}), "
            f"CAST(NULL AS {SQL_TYPES[t.measure.kind]}), {rest}")


def count_distinct(t: Test) -> Pair:
    k, v = t.key.sql, t.measure.sql
    return (f"SELECT {k} AS k, count(DISTINCT {v}) FROM {t.source} WHERE {t.predicate} GROUP BY 1",
            f"SELECT k, count(v) FROM (SELECT DISTINCT {k} AS k, {v} AS v FROM {t.source} WHERE {t.predicate}) AS s "
            "GROUP BY 1")


def limit_and_offset(t: Test) -> Pair:
    ordered = f"SELECT {t.items} FROM {t.source} WHERE ({t.predicate}) IS NOT FALSE ORDER BY {t.total}"
    return (f"({ordered} LIMIT 3) UNION ALL ({ordered} OFFSET 3)",
            f"SELECT {t.items} FROM {t.source} WHERE ({t.predicate}) IS NOT FALSE")


def frames_as_subqueries(t: Test) -> Pair:
    """Frames over numbered rows: as ROWS, RANGE and GROUPS, and by comparing the numbers."""
    number = f"row_number() OVER (PARTITION BY {t.key.sql} ORDER BY {t.total})"
    rows = f"WITH s AS (SELECT {t.key.sql} AS k, {t.measure.sql} AS v, {number} AS r FROM {t.source})"
    frames = ("ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING", "RANGE BETWEEN 2 PRECEDING AND CURRENT ROW",
              "GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING EXCLUDE CURRENT ROW")
    inside = ("s.r - 1 AND s.r + 2", "s.r - 2 AND s.r", "s.r + 1 AND s.r + 1")
    functions = ("count(o.v)", "max(o.v)", "count(*)")
    over = (f"{function.replace('o.', '')} OVER (PARTITION BY k ORDER BY r {frame})"
            for function, frame in zip(functions, frames, strict=True))
    asked = (f"(SELECT {function} FROM s AS o WHERE o.k IS NOT DISTINCT FROM s.k AND o.r BETWEEN {numbers})"
             for function, numbers in zip(functions, inside, strict=True))
    return f"{rows} SELECT k, r, {', '.join(over)} FROM s", f"{rows} SELECT s.k, s.r, {', '.join(asked)} FROM s"


def qualify(t: Test) -> Pair:
    number = f"row_number() OVER (PARTITION BY {t.key.sql} ORDER BY {t.total})"
    return (f"SELECT {t.items} FROM {t.source} WHERE ({t.predicate}) IS NOT FALSE QUALIFY {number} <= 2",
            f"SELECT c0, c1, c2 FROM (SELECT {t.items}, {number} AS r FROM {t.source} WHERE ({t.predicate}) IS NOT FALSE) "
            "AS numbered WHERE r <= 2")


def with_ties(t: Test) -> Pair:
    return (f"SELECT {t.key.sql} AS k FROM {t.source} WHERE {t.predicate} ORDER BY 1 DESC OFFSET 1 ROWS "
            "FETCH FIRST 3 ROWS WITH TIES",
            f"SELECT k FROM (SELECT {t.key.sql} AS k, rank() OVER w AS place, row_number() OVER w AS number FROM {t.source} "
            f"WHERE {t.predicate} WINDOW w AS (ORDER BY {t.key.sql} DESC)) AS s WHERE place <= 4 AND number > 1")


def recursion(t: Test) -> Pair:
    return (f"WITH RECURSIVE r(k, step) AS (SELECT {t.key.sql}, 0 FROM {t.source} WHERE {t.predicate} UNION ALL "
            "SELECT k, step + 1 FROM r WHERE step < 3) SELECT k, step FROM r",
            f"SELECT {t.key.sql} AS k, steps.step FROM {t.source} CROSS JOIN generate_series(0, 3) AS steps(step) "
            f"WHERE {t.predicate}")


def json_table(t: Test) -> Pair:
    array = f"jsonb_build_array({t.key.sql}, 1)"
    return (f"SELECT {t.items}, j.o, j.v FROM {t.source} CROSS JOIN JSON_TABLE({array}, '$[*]' COLUMNS (o FOR ORDINALITY, "
            "v text PATH 'strict $ ? (@.type() != \"array\")')) AS j",
            f"SELECT {t.items}, j.o, CASE WHEN jsonb_typeof(j.e) <> 'array' THEN j.e #>> '{{}}' END FROM {t.source} "
            f"CROSS JOIN LATERAL jsonb_array_elements({array}) WITH ORDINALITY AS j(e, o)")


IDENTITIES: tuple[Callable[[Test], Pair], ...] = (
    in_as_exists, not_in_as_not_exists, all_as_not_exists, left_join, full_join, filtered_outer_join, lateral_as_join,
    scalar_as_lateral, filter_as_where, except_all, intersect_all, distinct_on, window_as_join, rollup, count_distinct,
    limit_and_offset, frames_as_subqueries, qualify, with_ties, recursion, json_table)
