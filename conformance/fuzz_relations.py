"""Random FROM clauses: tables, joins of all kinds, subqueries, LATERAL, functions; see conformance/fuzz_grammar.py."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.fuzz_aggregates import Aggregates
from conformance.fuzz_expressions import Column
from conformance.fuzz_schema import COLUMNS, COMPARABLE, SQL_TYPES, TABLES, literal

JOINS = ("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")


class Relations(Aggregates):
    # to be made by the grammar

    def select(self, outer: list[Column], tables: int) -> tuple[str, list[str]]:
        raise NotImplementedError

    def combined(self) -> tuple[str, list[str]]:
        raise NotImplementedError

    def correlated(self, scope: list[Column]) -> tuple[str, list[str]]:
        raise NotImplementedError

    # FROM and WHERE

    def from_clause(self, outer: list[Column], tables: int) -> tuple[str, list[Column]]:
        sql, scope = self.relation(outer)
        for _ in range(tables - 1):
            lateral = self.chance(0.15) and self.budget > 0
            right, more = self.lateral(scope + outer) if lateral else self.relation(outer)
            kind = self.rng.choice(("JOIN", "LEFT JOIN") if lateral else JOINS)
            if not lateral and self.chance(0.06):
                right, more = self.nested_join()
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
            inner, kinds = self.combined() if self.chance(0.2) else self.select([], 1)
            return f"({inner}) AS {name}", [Column(f"{name}.c{number}", kind) for number, kind in enumerate(kinds)]
        if self.chance(0.12):
            return self.function(name)
        if self.chance(0.04):
            return self.natural_join(name)
        if self.chance(0.08):
            kinds = [self.kind("int", "text", "num", "date") for _ in range(2)]
            rows = ", ".join(f"({', '.join(self.constant(kind) for kind in kinds)})" for _ in range(self.rng.choice((1, 3))))
            casts = ", ".join(f"CAST(column{n + 1} AS {SQL_TYPES[kind]}) AS v{n}" for n, kind in enumerate(kinds))
            return (f"(SELECT {casts} FROM (VALUES {rows}) AS {self.alias()}) AS {name}",
                    [Column(f"{name}.v{n}", kind) for n, kind in enumerate(kinds)])
        table = self.rng.choices(list(TABLES), (6, 6, 4, 1))[0]
        sample = f" TABLESAMPLE {self.rng.choice(('BERNOULLI', 'SYSTEM'))} (100)" if self.chance(0.03) else ""
        return f"{table} AS {name}{sample}", [Column(f"{name}.{column}", kind) for column, kind in self.stored.items()]

    def function(self, name: str) -> tuple[str, list[Column]]:
        """A function, or several side by side, in FROM; or one in the select list of a subquery."""
        series = f"generate_series(1, {self.rng.choice((0, 1, 3, 6, 6))})"
        array = literal(self.rng, "ints")
        form = self.rng.randrange(8)
        if form < 3:
            return f"{series} AS {name}(g)", [Column(f"{name}.g", "int")]
        if form == 3:
            return (f"unnest({array}) WITH ORDINALITY AS {name}(v, o)",
                    [Column(f"{name}.v", "int"), Column(f"{name}.o", "big")])
        if form == 4:
            span = self.rng.choice(("12 hours", "1 day", "3 days"))
            kind, start, end = self.rng.choice((
                ("ts", "timestamp '2020-01-01'", "timestamp '2020-01-03'"),
                ("tz", "timestamptz '2020-03-28 00:00+01'", "timestamptz '2020-03-30 00:00+02'")))
            return f"generate_series({start}, {end}, interval '{span}') AS {name}(g)", [Column(f"{name}.g", kind)]
        if form == 5:
            return (f"ROWS FROM ({series}, unnest({literal(self.rng, 'texts')})) AS {name}(g, v)",
                    [Column(f"{name}.g", "int"), Column(f"{name}.v", "text")])
        if form == 6:
            records = """'[{"u": 1, "v": "a"}, {"u": 3}, {"v": "foo", "w": [1]}]'"""
            return (f"jsonb_to_recordset({records}) AS {name}(u int, v text, w jsonb)",
                    [Column(f"{name}.u", "int"), Column(f"{name}.v", "text"), Column(f"{name}.w", "json")])
        inner = self.alias()
        return (f"(SELECT unnest({inner}.a) AS v, generate_series(1, 2) AS g, {inner}.s AS s FROM ta AS {inner}) AS {name}",
                [Column(f"{name}.v", "int"), Column(f"{name}.g", "int"), Column(f"{name}.s", "text")])

    def natural_join(self, name: str) -> tuple[str, list[Column]]:
        """NATURAL or USING, with the merged column selected by its bare name."""
        one, two = self.alias(), self.alias()
        key, (left, right) = self.rng.choice(("id", "i", "s", "d")), self.rng.sample(("j", "t", "f", "p", "n"), 2)
        kind = self.rng.choice(("", "LEFT ", "RIGHT ", "FULL "))
        tables = [f"(SELECT {key}, {column} FROM {self.rng.choice(('ta', 'tb'))}) AS {alias}"
                  for column, alias in ((left, one), (right, two))]
        natural = self.chance(0.5)
        join = f"{tables[0]} {'NATURAL ' if natural else ''}{kind}JOIN {tables[1]}{'' if natural else f' USING ({key})'}"
        return (f"(SELECT {key} AS v0, {left} AS v1, {two}.{right} AS v2, {one}.{key} AS v3 FROM {join}) AS {name}",
                [Column(f"{name}.v{n}", COLUMNS[column]) for n, column in enumerate((key, left, right, key))])

    def nested_join(self) -> tuple[str, list[Column]]:
        """A join in parentheses: on a condition, or USING a column of both."""
        (left, scope), (right, more) = self.relation([]), self.relation([])
        kind = self.rng.choice(("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"))
        both = left.startswith("t") and right.startswith("t")
        if both and self.chance(0.6):
            columns = self.rng.choice(("id", "i", "s", "id, i"))
            return f"({left} {kind} {right} USING ({columns}))", [*scope, *more]
        return f"({left} {kind} {right} ON {self.join_condition(scope, more)})", [*scope, *more]

    def lateral(self, scope: list[Column]) -> tuple[str, list[Column]]:
        self.budget -= 1
        name = self.alias()
        if self.chance(0.25):
            array, count = self.expression(scope, "ints", 1), self.expression(scope, "int", 0)
            words = self.expression(scope, "text", 0)
            call, kind = self.rng.choice((
                (f"unnest({array})", "int"), (f"generate_series(1, abs(coalesce({count}, 1)) % 4)", "int"),
                (f"regexp_split_to_table({words}, 'o|b')", "text"),
                (f"jsonb_path_query({self.expression(scope, 'json', 1)}, '$.t[*]')", "json")))
            return (f"LATERAL {call} WITH ORDINALITY AS {name}(v, o)",
                    [Column(f"{name}.v", kind), Column(f"{name}.o", "big")])
        inner, kinds = self.correlated(scope)
        return f"LATERAL ({inner}) AS {name}", [Column(f"{name}.c{number}", kind) for number, kind in enumerate(kinds)]

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
        if self.chance(0.15):
            return f" WHERE {self.branches([*scope, *outer])}"
        return f" WHERE {self.predicate([*scope, *outer], 2)}"

    def branches(self, scope: list[Column]) -> str:
        """An OR whose branches each have a condition on each of two relations."""
        names = list(dict.fromkeys(column.sql.partition(".")[0] for column in scope))
        picked = self.rng.sample(names, min(2, len(names)))
        sides = [[column for column in scope if column.sql.partition(".")[0] == name] for name in picked]
        return " OR ".join(f"({' AND '.join(self.simple(side) for side in sides)})"
                           for _ in range(self.rng.choice((2, 2, 3))))

    def simple(self, scope: list[Column]) -> str:
        """A comparison of a column with a constant, or a test of it."""
        column = self.rng.choice(scope)
        if column.kind in ("json", "bool") or self.chance(0.2):
            return f"{column.sql} IS {self.negation()}NULL"
        return f"{column.sql} {self.comparison()} {self.constant(column.kind)}"
