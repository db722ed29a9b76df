"""Random SELECT statements over small tables full of NULLs, for conformance/fuzz_queries.py.

One `Generator` makes one statement from a seed. Expressions are typed as they are made, so nearly all statements are
valid; those that fail on both engines alike (division by zero, overflow) are part of the game. Everything whose
answer PostgreSQL leaves open (LIMIT without a full order, floats that depend on the order of addition) is avoided.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TYPES = ("int", "num", "text", "date", "bool", "big", "ts", "char")
COMPARABLE = ({"int", "num", "big"}, {"date", "ts"}, {"text", "char"})
"""Kinds whose values may be compared with one another."""
COLUMNS = {"id": "int", "i": "int", "j": "int", "b": "big", "n": "num", "m": "num", "s": "text", "t": "text", "d": "date",
           "f": "bool", "p": "ts", "c": "char"}
SQL_TYPES = {"int": "int", "big": "bigint", "num": "numeric(8,2)", "text": "text", "date": "date", "bool": "boolean",
             "ts": "timestamp", "char": "char(3)"}
TABLES = {"ta": 9, "tb": 14, "tc": 40, "te": 0}
"""Names and row counts."""
WORDS = ("a", "b", "ab", "B", "", "foo", "bar", "a%", "é", "x_y")
DATES = ("2020-01-01", "2020-02-29", "1999-12-31", "2021-07-04", "2020-01-02")


def schema(seed: int) -> list[str]:
    """The statements that make the tables and fill them."""
    rng = random.Random(seed)
    statements = []
    for name, rows in TABLES.items():
        columns = ", ".join(f"{column} {SQL_TYPES[kind]}" for column, kind in COLUMNS.items())
        statements.append(f"CREATE TABLE {name} ({columns})")
        values = [f"({', '.join(_value(rng, kind, row if column == 'id' else None) for column, kind in COLUMNS.items())})"
                  for row in range(rows)]
        if values:
            statements.append(f"INSERT INTO {name} VALUES {', '.join(values)}")
    return statements


def _value(rng: random.Random, kind: str, row: int | None) -> str:
    if row is not None:
        return str(row)
    if rng.random() < 0.25:
        return "NULL"
    return literal(rng, kind)


def literal(rng: random.Random, kind: str) -> str:
    if kind == "int":
        return str(rng.choice((0, 1, 2, 3, 5, -1, -4, 7, 10)))
    if kind == "big":
        return str(rng.choice((0, 1, 2, 3000000000, -5000000000, 9223372036854775807, 7)))
    if kind == "num":
        return rng.choice(("0.00", "1.00", "1.50", "-2.25", "10.10", "3.00", "999.99", "0.01"))
    if kind == "text":
        return "'" + rng.choice(WORDS) + "'"
    if kind == "ts":
        return f"timestamp '{rng.choice(DATES)} {rng.choice(('00:00', '00:00', '12:30:01.5'))}'"
    if kind == "char":
        return "CAST('" + rng.choice(WORDS) + "' AS char(3))"
    if kind == "date":
        return f"date '{rng.choice(DATES)}'"
    return rng.choice(("true", "false"))


@dataclass
class Column:
    sql: str
    kind: str


@dataclass
class Statement:
    sql: str
    ordered: bool
    """Whether the order of rows is determined."""


class Generator:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.aliases = 0
        self.budget = 6
        """Subqueries still allowed."""

    def statement(self) -> Statement:
        make = self.pick((self.plain, 8), (self.set_operation, 2), (self.with_query, 2), (self.distinct_on, 1))
        return make()

    # choices

    def pick(self, *weighted: tuple[Callable, int]) -> Callable:
        return self.rng.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def alias(self) -> str:
        self.aliases += 1
        return f"q{self.aliases}"

    # statements

    def plain(self) -> Statement:
        sql, kinds = self.select([], self.rng.choice((1, 2, 3)))
        return self.finished(sql, kinds)

    def finished(self, sql: str, kinds: Sequence[str]) -> Statement:
        """With an ORDER BY over all columns and LIMIT, or as it is."""
        if self.chance(0.5):
            return Statement(sql, False)
        keys = list(range(1, len(kinds) + 1))
        self.rng.shuffle(keys)
        order = ", ".join(f"{key}{self.direction()}" for key in keys)
        if self.chance(0.3):
            sql = f"SELECT * FROM ({sql}) AS {self.alias()}"
        sql += f" ORDER BY {order}"
        if self.chance(0.5):
            sql += f" LIMIT {self.rng.choice((0, 1, 2, 5, 20))}"
        if self.chance(0.3):
            sql += f" OFFSET {self.rng.choice((0, 1, 3))}"
        return Statement(sql, True)

    def direction(self) -> str:
        return self.rng.choice(("", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC"))

    def set_operation(self) -> Statement:
        kinds = [self.rng.choice(("int", "text", "num", "date")) for _ in range(self.rng.choice((1, 2)))]
        sql = self.operand(kinds)
        for _ in range(self.rng.choice((1, 1, 2))):
            operation = self.rng.choice(("UNION", "INTERSECT", "EXCEPT")) + self.rng.choice(("", " ALL"))
            sql = f"{sql} {operation} {self.operand(kinds)}" if self.chance(0.7) else \
                f"({sql}) {operation} ({self.operand(kinds)})"
        return self.finished(sql, kinds) if self.chance(0.4) else Statement(sql, False)

    def operand(self, kinds: Sequence[str]) -> str:
        source, scope = self.from_clause([], self.rng.choice((1, 1, 2)))
        items = [self.expression(scope, kind, 1) for kind in kinds]
        named = ", ".join(f"{item} AS c{number}" for number, item in enumerate(items))
        return f"SELECT {named} FROM {source}{self.where(scope)}"

    def with_query(self) -> Statement:
        name = self.alias()
        inner, kinds = self.select([], 1)
        scope = [Column(f"{name}.c{number}", kind) for number, kind in enumerate(kinds)]
        other = self.alias()
        second = [Column(f"{other}.c{number}", kind) for number, kind in enumerate(kinds)]
        if self.chance(0.5):
            condition = self.join_condition(scope, second)
            source = f"{name} {self.rng.choice(('JOIN', 'LEFT JOIN', 'FULL JOIN'))} {name} AS {other} ON {condition}"
            scope = scope + second
        else:
            source = name
        items, made = self.items(scope)
        materialized = self.rng.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
        return self.finished(f"WITH {name} AS {materialized}({inner}) SELECT {items} FROM {source}{self.where(scope)}", made)

    def distinct_on(self) -> Statement:
        source, scope = self.from_clause([], 1)
        key = self.expression(scope, self.rng.choice(("int", "text", "date")), 1)
        rest = [column.sql for column in self.rng.sample(scope, min(3, len(scope)))] + [scope[0].sql]
        order = ", ".join(f"{item}{self.direction()}" for item in [key, *rest])
        return Statement(f"SELECT DISTINCT ON ({key}) {key} AS k, {', '.join(rest)} FROM {source}{self.where(scope)} "
                         f"ORDER BY {order}", True)

    def select(self, outer: list[Column], tables: int) -> tuple[str, list[str]]:
        """A SELECT with columns c0, c1 ... and their kinds."""
        source, scope = self.from_clause(outer, tables)
        shape = self.rng.random()
        where = self.where(scope, outer)
        if shape < 0.35:
            return self.grouped(source, scope, where, outer)
        if shape < 0.5:
            return self.windowed(source, scope, where)
        items, kinds = self.items(scope + outer)
        distinct = "DISTINCT " if self.chance(0.15) else ""
        return f"SELECT {distinct}{items} FROM {source}{where}", kinds

    def items(self, scope: list[Column]) -> tuple[str, list[str]]:
        kinds = [self.rng.choice(TYPES) for _ in range(self.rng.choice((1, 2, 3, 4)))]
        return ", ".join(f"{self.expression(scope, kind, 2)} AS c{number}" for number, kind in enumerate(kinds)), kinds

    # FROM and WHERE

    def from_clause(self, outer: list[Column], tables: int) -> tuple[str, list[Column]]:
        sql, scope = self.relation(outer)
        for _ in range(tables - 1):
            lateral = self.chance(0.15) and self.budget > 0
            right, more = self.lateral(scope + outer) if lateral else self.relation(outer)
            kind = self.rng.choice(("JOIN", "LEFT JOIN")) if lateral else \
                self.rng.choice(("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"))
            if kind == "CROSS JOIN":
                sql = f"{sql} CROSS JOIN {right}"
            elif kind == "FULL JOIN":
                condition = self.join_condition(scope, more)
                if condition != "1 = 1" and self.budget > 0 and self.chance(0.3):
                    condition += f" AND {self.subquery_predicate(scope + more)}"
                sql = f"{sql} FULL JOIN {right} ON {condition}"
            else:
                condition = self.join_condition(scope, more)
                if self.chance(0.35):
                    condition += f" AND {self.predicate(scope + more, 1)}"
                elif self.chance(0.1):
                    condition = self.predicate(scope + more, 1)
                sql = f"{sql} {kind} {right} ON {condition}"
            scope = scope + more
        return sql, scope

    def relation(self, outer: list[Column]) -> tuple[str, list[Column]]:
        name = self.alias()
        if self.budget > 0 and self.chance(0.2):
            self.budget -= 1
            inner, kinds = self.select([], 1)
            return f"({inner}) AS {name}", [Column(f"{name}.c{number}", kind) for number, kind in enumerate(kinds)]
        if self.chance(0.08):
            high = self.rng.choice((0, 1, 3, 6, 6))
            return f"generate_series(1, {high}) AS {name}(g)", [Column(f"{name}.g", "int")]
        if self.chance(0.08):
            kinds = [self.rng.choice(("int", "text", "num", "date")) for _ in range(2)]
            rows = ", ".join(f"({', '.join(self.constant(kind) for kind in kinds)})" for _ in range(self.rng.choice((1, 3))))
            casts = ", ".join(f"CAST(column{n + 1} AS {SQL_TYPES[kind]}) AS v{n}" for n, kind in enumerate(kinds))
            return (f"(SELECT {casts} FROM (VALUES {rows}) AS {self.alias()}) AS {name}",
                    [Column(f"{name}.v{n}", kind) for n, kind in enumerate(kinds)])
        table = self.rng.choices(list(TABLES), (6, 6, 4, 1))[0]
        return f"{table} AS {name}", [Column(f"{name}.{column}", kind) for column, kind in COLUMNS.items()]

    def lateral(self, scope: list[Column]) -> tuple[str, list[Column]]:
        self.budget -= 1
        name = self.alias()
        inner, kinds = self.correlated(scope)
        return f"LATERAL ({inner}) AS {name}", [Column(f"{name}.c{number}", kind) for number, kind in enumerate(kinds)]

    def correlated(self, scope: list[Column]) -> tuple[str, list[str]]:
        kinds = [self.rng.choice(("int", "text", "num")) for _ in range(self.rng.choice((1, 2)))]
        form = self.rng.random()
        if form < 0.12:
            return self.limited(scope, kinds), kinds
        if form < 0.24:
            arms = [self.one_of(scope, kinds) for _ in range(2)]
            word = self.rng.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"))
            return f"{arms[0]} {word} {arms[1]}", kinds
        if form < 0.34:
            return self.numbered(scope, kinds), kinds
        source, inner = self.from_clause([], 1)
        aggregated = self.chance(0.4)
        items = ", ".join((self.aggregate(inner, kind) if aggregated else self.expression(inner, kind, 1)) + f" AS c{number}"
                          for number, kind in enumerate(kinds))
        return f"SELECT {items} FROM {source} WHERE {self.join_condition(scope, inner)}", kinds

    def one_of(self, scope: list[Column], kinds: Sequence[str]) -> str:
        """A SELECT of these kinds whose rows depend on `scope`."""
        source, inner = self.from_clause([], 1)
        both = inner + scope if self.chance(0.4) else inner
        items = ", ".join(f"{self.expression(both, kind, 1)} AS c{number}" for number, kind in enumerate(kinds))
        condition = self.join_condition(scope, inner) if self.chance(0.6) else self.predicate(inner + scope, 1)
        distinct = "DISTINCT " if self.chance(0.2) else ""
        return f"SELECT {distinct}{items} FROM {source} WHERE {condition}"

    def limited(self, scope: list[Column], kinds: Sequence[str]) -> str:
        """The first rows of those that depend on `scope`, in a full order; how many may depend on it too."""
        source, inner = self.from_clause([], 1)
        items = ", ".join(f"{self.expression(inner, kind, 1)} AS c{number}" for number, kind in enumerate(kinds))
        condition = self.join_condition(scope, inner) if self.chance(0.6) else self.predicate(inner + scope, 1)
        order = ", ".join(f"{column.sql}{self.direction()}" for column in self.rng.sample(inner, len(inner)))
        count = self.row_count(scope)
        offset = f" OFFSET {self.row_count(scope)}" if self.chance(0.4) else ""
        return f"SELECT {items} FROM {source} WHERE {condition} ORDER BY {order} LIMIT {count}{offset}"

    def row_count(self, scope: list[Column]) -> str:
        numbers = [column.sql for column in scope if column.kind == "int"]
        if not numbers or self.chance(0.5):
            return str(self.rng.choice((0, 1, 2, 3)))
        return f"abs(coalesce({self.rng.choice(numbers)}, 1)) % 4"

    def numbered(self, scope: list[Column], kinds: Sequence[str]) -> str:
        """Window functions over rows that depend on `scope`, or grouping sets of them."""
        source, inner = self.from_clause([], 1)
        condition = self.join_condition(scope, inner) if self.chance(0.6) else self.predicate(inner + scope, 1)
        if self.chance(0.5):
            items = ", ".join(f"{self.aggregate(inner, kind)} AS c{number}" for number, kind in enumerate(kinds))
            keys = [column.sql for column in self.rng.sample(inner, min(2, len(inner)))]
            group = f"{self.rng.choice(('ROLLUP', 'CUBE'))} ({', '.join(keys)})"
            return f"SELECT {items} FROM {source} WHERE {condition} GROUP BY {group}"
        key = self.rng.choice(inner).sql
        items = ", ".join(f"min({self.expression(inner, kind, 1)}) OVER (PARTITION BY {key}) AS c{number}"
                          for number, kind in enumerate(kinds))
        return f"SELECT {items} FROM {source} WHERE {condition}"

    def join_condition(self, left: list[Column], right: list[Column]) -> str:
        """An equality that hash and merge joins take, of columns of one kind on both sides."""
        mixed = self.chance(0.3)
        pairs = [(a, b) for a in left for b in right if a.kind != "bool" and (a.kind == b.kind or (
            mixed and any({a.kind, b.kind} <= kinds for kinds in COMPARABLE)))]
        if not pairs:
            return "1 = 1"
        a, b = self.rng.choice(pairs)
        condition = f"{a.sql} = {b.sql}"
        if self.chance(0.25):
            c, d = self.rng.choice(pairs)
            condition += f" AND {c.sql} = {d.sql}"
        return condition

    def where(self, scope: list[Column], outer: Sequence[Column] = ()) -> str:
        if self.chance(0.5):
            return ""
        return f" WHERE {self.predicate([*scope, *outer], 2)}"

    # grouping and windows

    def grouped(self, source: str, scope: list[Column], where: str, outer: list[Column]) -> tuple[str, list[str]]:
        keys = [self.expression(scope, kind, 1) for kind in
                (self.rng.choice(("int", "text", "date", "bool", "num")) for _ in range(self.rng.choice((0, 1, 1, 2))))]
        kinds: list[str] = []
        items = []
        for _ in range(self.rng.choice((1, 2, 3))):
            kind = self.rng.choice(("int", "num", "text", "date", "bool"))
            items.append(self.aggregate(scope, kind))
            kinds.append(kind)
        named = ", ".join([f"{key} AS c{n}" for n, key in enumerate(keys)]
                          + [f"{item} AS c{n + len(keys)}" for n, item in enumerate(items)])
        sql = f"SELECT {named} FROM {source}{where}"
        key_kinds = [self.kind_of_key(key) for key in keys]
        if keys:
            numbers = [str(n + 1) for n in range(len(keys))]
            form = self.rng.random()
            group = ", ".join(numbers)
            if form < 0.15:
                group = f"ROLLUP ({', '.join(keys)})"
            elif form < 0.25:
                group = f"CUBE ({', '.join(keys)})"
            elif form < 0.3:
                group = f"GROUPING SETS (({', '.join(keys)}), ({keys[0]}), ())"
            if form < 0.3 and any(not key.startswith("q") for key in keys):
                group = ", ".join(numbers)
            sql += f" GROUP BY {group}"
        if self.chance(0.3):
            sql += f" HAVING {self.aggregate(scope, 'int')} {self.comparison()} "
            plain = [Column(key, self.kind_of_key(key)) for key in keys if key.startswith("q")]
            sql += self.scalar_subquery(plain, "int") if plain and self.budget > 0 and self.chance(0.3) else literal(
                self.rng, "int")
        return sql, [*key_kinds, *kinds]

    def kind_of_key(self, key: str) -> str:
        return self.key_kinds.get(key, "text")

    def aggregate(self, scope: list[Column], kind: str) -> str:
        where = f" FILTER (WHERE {self.predicate(scope, 1)})" if self.chance(0.25) else ""
        distinct = "DISTINCT " if self.chance(0.25) else ""
        if kind == "int":
            choice = self.rng.randrange(4)
            if choice == 0:
                return f"count(*){where}"
            if choice == 1:
                return f"count({distinct}{self.expression(scope, self.rng.choice(TYPES), 1)}){where}"
            if choice == 2:
                return f"CAST(sum({distinct}{self.expression(scope, 'int', 1)}){where} AS int)"
            return f"{self.rng.choice(('min', 'max'))}({self.expression(scope, 'int', 1)}){where}"
        if kind == "num":
            if self.chance(0.3):
                return f"round(avg({distinct}{self.expression(scope, self.rng.choice(('int', 'num')), 1)}){where}, 6)"
            return f"{self.rng.choice(('sum', 'min', 'max'))}({distinct}{self.expression(scope, 'num', 1)}){where}"
        if kind == "text" and self.chance(0.5):
            item = self.expression(scope, "text", 1)
            return f"string_agg({distinct}{item}, '-' ORDER BY {item}{self.direction()}){where}"
        if kind == "bool":
            return f"{self.rng.choice(('bool_and', 'bool_or'))}({self.predicate(scope, 1)}){where}"
        return f"{self.rng.choice(('min', 'max'))}({self.expression(scope, kind, 1)}){where}"

    def windowed(self, source: str, scope: list[Column], where: str) -> tuple[str, list[str]]:
        base = self.rng.choice(scope)
        full = self.total_order(scope)
        items, kinds = [base.sql], [base.kind]
        for _ in range(self.rng.choice((1, 2))):
            items.append(self.window(scope, full))
            kinds.append(self.window_kind)
        named = ", ".join(f"{item} AS c{number}" for number, item in enumerate(items))
        return f"SELECT {named} FROM {source}{where}", kinds

    def window(self, scope: list[Column], full: str) -> str:
        partition = f"PARTITION BY {self.rng.choice(scope).sql} " if self.chance(0.6) else ""
        column = self.rng.choice(scope)
        order = f"ORDER BY {column.sql}{self.direction()}"
        choice = self.rng.randrange(6)
        self.window_kind = "int"
        if choice == 0:
            return f"{self.rng.choice(('rank()', 'dense_rank()'))} OVER ({partition}{order})"
        if choice == 1:
            return f"count({self.rng.choice(('*', column.sql))}) OVER ({partition}{order})"
        value = self.expression(scope, self.rng.choice(("int", "num")), 1)
        function = self.rng.choice(("min", "max", "sum", "count"))
        self.window_kind = "num"
        if choice == 2:
            return f"CAST({function}({value}) OVER ({partition}{order}{self.peer_frame(column)}) AS numeric)"
        if choice == 3:
            return f"CAST({function}({value}) OVER ({full} {self.row_frame()}) AS numeric)"
        picked = self.rng.choice(scope)
        self.window_kind = picked.kind
        if choice == 4:
            name = self.rng.choice(("lag", "lead"))
            return f"{name}({picked.sql}, {self.rng.choice((1, 2, 0))}) OVER ({full})"
        name = self.rng.choice(("first_value({})", "last_value({})", "nth_value({}, 2)")).format(picked.sql)
        return f"{name} OVER ({full} {self.row_frame()})"

    def total_order(self, scope: list[Column]) -> str:
        """A partition and an order by all columns, for all windows of one SELECT in which the order counts: rows that tie
        in all are equal, so it does not matter which comes first as long as it does everywhere."""
        partition = f"PARTITION BY {self.rng.choice(scope).sql} " if self.chance(0.6) else ""
        order = ", ".join(f"{column.sql}{self.direction()}" for column in self.rng.sample(scope, len(scope)))
        return f"{partition}ORDER BY {order}"

    def row_frame(self) -> str:
        return "ROWS BETWEEN " + self.rng.choice((
            "UNBOUNDED PRECEDING AND CURRENT ROW", "1 PRECEDING AND 1 FOLLOWING", "2 PRECEDING AND 1 PRECEDING",
            "1 FOLLOWING AND 3 FOLLOWING", "CURRENT ROW AND UNBOUNDED FOLLOWING",
            "UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", "1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW"))

    def peer_frame(self, column: Column) -> str:
        frames = ["", " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING", " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                  " GROUPS BETWEEN CURRENT ROW AND 2 FOLLOWING", " RANGE UNBOUNDED PRECEDING EXCLUDE GROUP"]
        if column.kind in ("int", "num"):
            frames += [" RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING", " RANGE BETWEEN 3 PRECEDING AND 1 PRECEDING"]
        return self.rng.choice(frames)

    # expressions

    @property
    def key_kinds(self) -> dict[str, str]:
        return self.__dict__.setdefault("_kinds", {})

    def constant(self, kind: str) -> str:
        return f"CAST(NULL AS {SQL_TYPES[kind]})" if self.chance(0.12) else literal(self.rng, kind)

    def expression(self, scope: list[Column], kind: str, depth: int) -> str:
        made = self._expression(scope, kind, depth)
        self.key_kinds[made] = kind
        return made

    def _expression(self, scope: list[Column], kind: str, depth: int) -> str:
        columns = [column for column in scope if column.kind == kind]
        if depth <= 0 or self.chance(0.45):
            if columns and self.chance(0.95):
                return self.rng.choice(columns).sql
            return self.constant(kind)
        if self.chance(0.15):
            return (f"CASE WHEN {self.predicate(scope, depth - 1)} THEN {self.expression(scope, kind, depth - 1)} "
                    f"ELSE {self.expression(scope, kind, depth - 1)} END")
        if self.chance(0.12):
            return f"coalesce({self.expression(scope, kind, depth - 1)}, {self.expression(scope, kind, depth - 1)})"
        if self.chance(0.05) and kind != "bool":
            return f"nullif({self.expression(scope, kind, depth - 1)}, {self.expression(scope, kind, depth - 1)})"
        if self.budget > 0 and self.chance(0.12) and kind in ("int", "num", "text"):
            return self.scalar_subquery(scope, kind)
        return getattr(self, f"_{kind}")(scope, depth - 1)

    def scalar_subquery(self, scope: list[Column], kind: str) -> str:
        self.budget -= 1
        form = self.rng.random()
        if form < 0.15:
            inner_name = self.alias()
            arms = [self.one_of(scope, [kind]) for _ in range(2)]
            word = self.rng.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT"))
            value = f"{self.rng.choice(('min', 'max'))}({inner_name}.c0)"
            return f"(SELECT {value} FROM ({arms[0]} {word} {arms[1]}) AS {inner_name})"
        if form < 0.25:
            inner_name = self.alias()
            return f"(SELECT max({inner_name}.c0) FROM ({self.limited(scope, [kind])}) AS {inner_name})"
        source, inner = self.from_clause([], self.rng.choice((1, 1, 2)))
        condition = self.join_condition(scope, inner) if self.chance(0.7) else self.predicate(inner + scope, 1)
        if form < 0.35:
            guarded = self.expression(inner + scope, kind, 1)
            return f"(SELECT {self.rng.choice(('min', 'max'))}({guarded}) FROM {source} WHERE {condition})"
        return f"(SELECT {self.aggregate(inner, kind)} FROM {source} WHERE {condition})"

    def _int(self, scope: list[Column], depth: int) -> str:
        choice = self.rng.randrange(7)
        a = self.expression(scope, "int", depth)
        if choice < 2:
            return f"({a} {self.rng.choice('+-*')} {self.expression(scope, 'int', depth)})"
        if choice == 2:
            return f"({a} / nullif({self.expression(scope, 'int', depth)}, 0))"
        if choice == 3:
            return f"({a} % nullif({self.expression(scope, 'int', depth)}, 0))"
        if choice == 4:
            return f"length({self.expression(scope, 'text', depth)})"
        if choice == 5:
            return f"CAST(extract({self.rng.choice(('year', 'month', 'dow', 'doy'))} FROM " \
                   f"{self.expression(scope, 'date', depth)}) AS int)"
        return f"abs({a})"

    def _big(self, scope: list[Column], depth: int) -> str:
        return self.rng.choice((f"({self.expression(scope, 'big', depth)} / {self.rng.choice((1, 2, 3))})",
                                f"({self.expression(scope, 'int', depth)} * CAST(1000000 AS bigint))"))

    def _num(self, scope: list[Column], depth: int) -> str:
        choice = self.rng.randrange(6)
        a = self.expression(scope, "num", depth)
        if choice < 3:
            return f"({a} {self.rng.choice('+-*')} {self.expression(scope, self.rng.choice(('num', 'int')), depth)})"
        if choice == 3:
            return f"round({a} / nullif({self.expression(scope, self.rng.choice(('num', 'int')), depth)}, 0), 4)"
        if choice == 4:
            return f"round({a}, {self.rng.choice((0, 1))})"
        return self.rng.choice((f"floor({a})", f"ceil({a})", f"abs({a})", f"-{a}", f"({a} % 2)"))

    def _text(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "text", depth)
        return self.rng.choice((
            f"upper({a})", f"({a} || {self.expression(scope, 'text', depth)})", f"substring({a}, 1, 2)", f"trim({a})",
            f"CAST({self.expression(scope, self.rng.choice(('int', 'date')), depth)} AS text)", f"replace({a}, 'a', 'zz')",
            f"concat({a}, {self.expression(scope, 'int', depth)})", f"left({a}, 1)", f"lpad({a}, 3, '*')"))

    def _date(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "date", depth)
        return self.rng.choice((f"({a} + {self.rng.choice((0, 1, 30))})", f"CAST(date_trunc('month', {a}) AS date)",
                                f"CAST({a} + interval '1 month' AS date)"))

    def _ts(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "ts", depth)
        return self.rng.choice((f"({a} + interval '1 day 2 hours')", f"date_trunc('day', {a})",
                                f"({a} - interval '1 month')",
                                f"CAST({self.expression(scope, 'date', depth)} AS timestamp)"))

    def _char(self, scope: list[Column], depth: int) -> str:
        return f"CAST({self.expression(scope, 'text', depth)} AS char(3))"

    def _bool(self, scope: list[Column], depth: int) -> str:
        return f"({self.predicate(scope, depth)})"

    # predicates

    def comparison(self) -> str:
        return self.rng.choice(("=", "<>", "<", "<=", ">", ">="))

    def predicate(self, scope: list[Column], depth: int) -> str:
        choice = self.rng.randrange(18)
        if depth > 0 and choice < 3:
            word = self.rng.choice((" AND ", " OR "))
            return "(" + word.join(self.predicate(scope, depth - 1) for _ in range(self.rng.choice((2, 2, 3)))) + ")"
        if depth > 0 and choice == 3:
            return f"NOT ({self.predicate(scope, depth - 1)})"
        if depth > 0 and self.budget > 0 and choice in (4, 5):
            return self.subquery_predicate(scope)
        kind = self.rng.choice(("int", "num", "text", "date", "int", "big", "ts", "char"))
        if choice == 16:
            items = ", ".join(self.constant("int") for _ in range(self.rng.choice((1, 3))))
            quantifier = self.rng.choice(("ANY", "ALL"))
            return f"{self.expression(scope, 'int', depth)} {self.comparison()} {quantifier} (ARRAY[{items}])"
        if choice == 17:
            pairs = [", ".join((self.expression(scope, "int", 0), self.expression(scope, "text", 0))) for _ in range(2)]
            return f"({pairs[0]}) {self.comparison()} ({pairs[1]})"
        a = self.expression(scope, kind, depth)
        if choice == 6:
            return f"{a} IS {self.rng.choice(('', 'NOT '))}NULL"
        if choice == 7:
            items = ", ".join(self.constant(kind) for _ in range(self.rng.choice((1, 2, 3))))
            return f"{a} {self.rng.choice(('', 'NOT '))}IN ({items})"
        if choice == 8:
            return f"{a} {self.rng.choice(('', 'NOT '))}BETWEEN {self.constant(kind)} AND {self.expression(scope, kind, 0)}"
        if choice == 9:
            text = self.expression(scope, "text", depth)
            pattern = self.rng.choice(("'a%'", "'%a'", "'_'", "'%o%'", "''", "'a\\%'", "'%'", "'b_r'"))
            return f"{text} {self.rng.choice(('LIKE', 'NOT LIKE', 'ILIKE'))} {pattern}"
        if choice == 10:
            bools = [column.sql for column in scope if column.kind == "bool"]
            test = self.rng.choice(bools) if bools else "true"
            return self.rng.choice((test, f"{test} IS TRUE", f"{test} IS NOT FALSE", f"{test} IS UNKNOWN", f"NOT {test}"))
        if choice == 11:
            return f"{a} IS {self.rng.choice(('', 'NOT '))}DISTINCT FROM {self.expression(scope, kind, depth)}"
        kinds = next((sorted(kinds) for kinds in COMPARABLE if kind in kinds), [kind])
        other = kind if self.chance(0.7) else self.rng.choice(kinds)
        return f"{a} {self.comparison()} {self.expression(scope, other, depth)}"

    def subquery_predicate(self, scope: list[Column]) -> str:
        self.budget -= 1
        source, inner = self.from_clause([], self.rng.choice((1, 1, 2)))
        correlation = self.join_condition(scope, inner) if self.chance(0.6) else self.predicate(inner, 1)
        if self.chance(0.2):
            correlation += f" AND {self.predicate(inner + scope, 1)}"
        if self.chance(0.4):
            return f"{self.rng.choice(('', 'NOT '))}EXISTS (SELECT 1 FROM {source} WHERE {correlation})"
        kinds = sorted(self.rng.choice(COMPARABLE))
        kind = self.rng.choice(kinds)
        subject = self.expression(scope, kind, 1)
        item = self.expression(inner, kind if self.chance(0.6) else self.rng.choice(kinds), 1)
        where = f" WHERE {correlation}" if self.chance(0.6) else ""
        if self.chance(0.15):
            subject, item = (f"{a}, {self.expression(b, 'text', 0)}" for a, b in ((subject, scope), (item, inner)))
            if self.chance(0.5):
                quantifier = self.rng.choice(("ANY", "ALL"))
                return f"({subject}) {self.comparison()} {quantifier} (SELECT {item} FROM {source}{where})"
            return f"({subject}) {self.rng.choice(('', 'NOT '))}IN (SELECT {item} FROM {source}{where})"
        if self.chance(0.7):
            return f"{subject} {self.rng.choice(('', 'NOT '))}IN (SELECT {item} FROM {source}{where})"
        return f"{subject} {self.comparison()} {self.rng.choice(('ANY', 'ALL'))} (SELECT {item} FROM {source}{where})"
