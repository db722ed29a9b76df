"""Random statements over small tables full of NULLs, for conformance/fuzz_queries.py and conformance/fuzz_logic.py.

One `Generator` makes one statement from a seed. Expressions are typed as they are made, so nearly all statements are
valid; those that fail on both engines alike (division by zero, overflow) are part of the game. Everything whose
answer PostgreSQL leaves open (LIMIT without a full order, floats that depend on the order of addition) is avoided.

Here are statements and subqueries; the rest is in fuzz_schema.py (tables, literals), fuzz_expressions.py, fuzz_aggregates.py
(grouping, windows), fuzz_relations.py (FROM) and fuzz_writes.py (INSERT, UPDATE, DELETE, MERGE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.fuzz_expressions import Column
from conformance.fuzz_relations import Relations
from conformance.fuzz_schema import COLUMNS, COMPARABLE, SQL_TYPES


@dataclass
class Statement:
    sql: str
    ordered: bool
    """Whether the order of rows is determined."""
    table: str = ""
    """The table that it writes."""


class Generator(Relations):
    def statement(self) -> Statement:
        make = self.pick((self.plain, 16), (self.set_operation, 4), (self.with_query, 4), (self.distinct_on, 2),
                         (self.recursive, 2), (self.with_ties, 1), (self.several_withs, 2))
        return make()

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
        if self.chance(0.1):
            sql += f" FETCH FIRST {self.rng.choice((1, 3))} ROWS WITH TIES"
        elif self.chance(0.5):
            sql += f" LIMIT {self.rng.choice((0, 1, 2, 5, 20))}"
        if self.chance(0.3):
            offset = f"OFFSET {self.rng.choice((0, 1, 3))}"
            sql = sql.replace(" FETCH", f" {offset} ROWS FETCH") if sql.endswith("TIES") else f"{sql} {offset}"
        return Statement(sql, True)

    def with_ties(self) -> Statement:
        """The first rows by some of the columns and those that tie with the last: all of them or none."""
        sql, kinds = self.select([], self.rng.choice((1, 2)))
        keys = ", ".join(f"{self.rng.randrange(len(kinds)) + 1}{self.direction()}" for _ in range(self.rng.choice((1, 2))))
        return Statement(f"{sql} ORDER BY {keys} FETCH FIRST {self.rng.choice(('', '2 ', '4 ', '9 '))}ROWS WITH TIES", False)

    def combined(self) -> tuple[str, list[str]]:
        """A set operation with columns c0, c1."""
        kinds = [self.kind("int", "text", "num", "date") for _ in range(2)]
        operation = self.rng.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"))
        return f"{self.operand(kinds)} {operation} {self.operand(kinds)}", kinds

    def set_operation(self) -> Statement:
        kinds = [self.kind("int", "text", "num", "date") for _ in range(self.rng.choice((1, 2)))]
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

    def several_withs(self) -> Statement:
        """CTEs that read one another, each more than once."""
        one, two = self.alias(), self.alias()
        inner, kinds = self.select([], 1)
        scope = [Column(f"{one}.c{number}", kind) for number, kind in enumerate(kinds)]
        items, made = self.items(scope)
        outer = [Column(f"{two}.c{number}", kind) for number, kind in enumerate(made)]
        words = [self.rng.choice(("", "MATERIALIZED ", "NOT MATERIALIZED ")) for _ in range(2)]
        both = f"WITH {one} AS {words[0]}({inner}), {two} AS {words[1]}(SELECT {items} FROM {one}{self.where(scope)})"
        form = self.rng.randrange(3)
        if form == 0:
            return Statement(f"{both} SELECT * FROM {two} {self.rng.choice(('UNION ALL', 'EXCEPT', 'INTERSECT ALL'))} "
                             f"SELECT * FROM {two}{self.where(outer)}", False)
        if form == 1:
            exists = f"EXISTS (SELECT 1 FROM {one} WHERE {self.join_condition(outer, scope)})"
            items, kinds = self.items(outer)
            return self.finished(f"{both} SELECT {items} FROM {two} WHERE {self.negation()}{exists}", kinds)
        items, kinds = self.items(scope + outer)
        join = self.rng.choice(("JOIN", "LEFT JOIN", "FULL JOIN"))
        return self.finished(f"{both} SELECT {items} FROM {one} {join} {two} ON {self.join_condition(scope, outer)}", kinds)

    def distinct_on(self) -> Statement:
        source, scope = self.from_clause([], 1)
        key = self.group_key(scope)
        rest = [column.sql for column in self.rng.sample(scope, min(3, len(scope)))] + [scope[0].sql]
        order = ", ".join(f"{item}{self.direction()}" for item in [key, *rest])
        return Statement(f"SELECT DISTINCT ON ({key}) {key} AS k, {', '.join(rest)} FROM {source}{self.where(scope)} "
                         f"ORDER BY {order}", True)

    def recursive(self) -> Statement:
        """A walk of at most four steps along an equality, with SEARCH or CYCLE, or without."""
        name, table = self.alias(), self.alias()
        key, link = self.rng.choice((("id", "i"), ("i", "j"), ("id", "j"), ("j", "id")))
        picked = self.rng.choice(("s", "t", "d", "n", "i"))
        source = self.rng.choice(("ta", "tb"))
        scope = [Column(f"{table}.{column}", kind) for column, kind in self.stored.items()]
        first = f"SELECT {table}.{key}, {table}.{picked}, 0 FROM {source} AS {table} WHERE {self.predicate(scope, 1)}"
        item = self.expression(scope, COLUMNS[picked], 1) if picked != "n" else f"{table}.n"
        step = f"SELECT {table}.{key}, {item}, {name}.depth + 1 FROM {name} {self.rng.choice(('JOIN', 'LEFT JOIN'))} " \
               f"{source} AS {table} ON {table}.{link} = {name}.k WHERE {name}.depth < {self.rng.choice((1, 2, 4))}"
        form = self.rng.choice(("", "", "SEARCH DEPTH FIRST BY k, v SET path", "SEARCH BREADTH FIRST BY k, v SET path",
                                "CYCLE k SET again USING path", "CYCLE k, v SET again TO 'y' DEFAULT 'n' USING path"))
        union = "UNION" if form == "" and self.chance(0.6) else "UNION ALL"
        rest = f", {name}.again" if "CYCLE" in form else f", {name}.path" if form and self.chance(0.5) else ""
        sql = f"WITH RECURSIVE {name}(k, v, depth) AS ({first} {union} {step}) {form} " \
              f"SELECT {name}.k, {name}.v, {name}.depth{rest} FROM {name}"
        if "SEARCH" in form:
            return Statement(f"{sql} ORDER BY path, k, v, depth", True)
        scope = [Column(f"{name}.k", "int"), Column(f"{name}.v", COLUMNS[picked]), Column(f"{name}.depth", "int")]
        return Statement(sql + self.where(scope), False)

    def select(self, outer: list[Column], tables: int) -> tuple[str, list[str]]:
        """A SELECT with columns c0, c1 ... and their kinds."""
        source, scope = self.from_clause(outer, tables)
        shape = self.rng.random()
        where = self.where(scope, outer)
        if shape < 0.35:
            return self.grouped(source, scope, where)
        if shape < 0.5:
            return self.windowed(source, scope, where)
        items, kinds = self.items(scope + outer)
        distinct = "DISTINCT " if self.chance(0.15) else ""
        return f"SELECT {distinct}{items} FROM {source}{where}", kinds

    def items(self, scope: list[Column]) -> tuple[str, list[str]]:
        kinds = [self.kind() for _ in range(self.rng.choice((1, 2, 3, 4)))]
        return ", ".join(f"{self.expression(scope, kind, 2)} AS c{number}" for number, kind in enumerate(kinds)), kinds

    # subqueries

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
        if form < 0.42:
            name = self.alias()
            rows = self.one_of(scope, kinds)
            word = self.rng.choice(("", "MATERIALIZED ", "NOT MATERIALIZED "))
            named = ", ".join(f"{name}.c{number}" for number in range(len(kinds)))
            largest = f" WHERE {name}.c0 = (SELECT max({name}.c0) FROM {name})" if self.chance(0.5) else ""
            return f"WITH {name} AS {word}({rows}) SELECT {named} FROM {name}{largest}", kinds
        if form < 0.46:
            name = self.alias()
            start = self.row_count(scope)
            items = ", ".join(f"CAST({name}.k AS {SQL_TYPES[kind]}) AS c{number}" for number, kind in enumerate(kinds))
            return (f"WITH RECURSIVE {name}(k) AS (SELECT {start} {self.rng.choice(('UNION', 'UNION ALL'))} "
                    f"SELECT {name}.k + 1 FROM {name} WHERE {name}.k < {self.rng.choice((1, 3, 4))}) "
                    f"SELECT {items} FROM {name}"), kinds
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
            if not any(column.sql in guarded for column in inner):  # it would be an aggregate of the outer query
                guarded = self.rng.choice([column.sql for column in inner if column.kind == kind] or [self.constant(kind)])
            return f"(SELECT {self.rng.choice(('min', 'max'))}({guarded}) FROM {source} WHERE {condition})"
        return f"(SELECT {self.aggregate(inner, kind)} FROM {source} WHERE {condition})"

    def array_subquery(self, scope: list[Column]) -> str:
        self.budget -= 1
        source, inner = self.from_clause([], 1)
        item = self.expression(inner, "int", 1)
        condition = self.join_condition(scope, inner) if self.chance(0.7) else self.predicate(inner + scope, 1)
        return f"ARRAY(SELECT {item} FROM {source} WHERE {condition} ORDER BY {item}{self.direction()})"

    def subquery_predicate(self, scope: list[Column]) -> str:
        self.budget -= 1
        source, inner = self.from_clause([], self.rng.choice((1, 1, 2)))
        correlation = self.join_condition(scope, inner) if self.chance(0.6) else self.predicate(inner, 1)
        if self.chance(0.2):
            correlation += f" AND {self.predicate(inner + scope, 1)}"
        if self.chance(0.4):
            return f"{self.rng.choice(('', 'NOT '))}EXISTS (SELECT 1 FROM {source} WHERE {correlation})"
        kinds = sorted(self.rng.choice([*COMPARABLE, {"ints"}, {"tz"}, {"uuid"}, {"bytes"}, {"time"}]))
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
