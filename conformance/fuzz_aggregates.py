"""Random aggregate and window functions, grouping sets and frames; see conformance/fuzz_grammar.py.

Where the order of rows counts it is total, and where equal values differ in how they are written (1.0 and 1.00) the judge
compares values. Floats are added only as they are stored: their sums are exact.
"""

from __future__ import annotations

from conformance.fuzz_expressions import Column, Expressions
from conformance.fuzz_schema import SQL_TYPES, TYPES, literal

BOUNDS = ("UNBOUNDED PRECEDING", "{0} PRECEDING", "CURRENT ROW", "{0} FOLLOWING", "UNBOUNDED FOLLOWING")
EXCLUSIONS = ("", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES", " EXCLUDE NO OTHERS")
OFFSETS = {"int": ("0", "1", "3"), "big": ("2", "5000000000"), "num": ("0.5", "2"), "float": ("1.5",),
           "date": ("interval '1 month'", "interval '40 days'"), "ts": ("interval '1 year'", "interval '12 hours'"),
           "tz": ("interval '1 month'", "interval '30 hours'"), "time": ("interval '2 hours'",)}
"""Distances of RANGE frames by the kind of the ordering column."""


FILTER = "<FILTER>"
"""The place of the clause in what is made around an aggregate."""


class Aggregates(Expressions):
    window_kind = "int"
    """Of the window function made last."""

    # grouping

    def grouped(self, source: str, scope: list[Column], where: str) -> tuple[str, list[str]]:
        keys = [self.group_key(scope) for _ in range(self.rng.choice((0, 1, 1, 2)))]
        varying = all("SELECT" not in key and any(column.sql in key for column in scope) for key in keys)
        # PostgreSQL 15 forgets that sets make keys NULL: a constant one where it sorts, a subquery within an expression
        sets = bool(keys) and varying and self.chance(0.35)
        kinds: list[str] = []
        items = []
        for _ in range(self.rng.choice((1, 2, 3))):
            kind = self.kind("int", "num", "text", "date", "bool", "quot", "float", "ints")
            items.append(self.aggregate(scope, kind))
            kinds.append(kind)
        if sets and self.chance(0.5):
            items.append(f"GROUPING({', '.join(self.rng.sample(keys, self.rng.randrange(len(keys)) + 1))})")
            kinds.append("int")
        named = ", ".join([f"{key} AS c{n}" for n, key in enumerate(keys)]
                          + [f"{item} AS c{n + len(keys)}" for n, item in enumerate(items)])
        sql = f"SELECT {named} FROM {source}{where}"
        if keys:
            group = self.grouping_sets(keys) if sets else ", ".join(str(n + 1) for n in range(len(keys)))
            sql += f" GROUP BY {group}"
        if self.chance(0.3):
            sql += f" HAVING {self.aggregate(scope, 'int')} {self.comparison()} "
            plain = [Column(key, self.key_kinds[key]) for key in keys if key.startswith("q") and not sets]
            sql += self.scalar_subquery(plain, "int") if plain and self.budget > 0 and self.chance(0.3) else literal(
                self.rng, "int")
        return sql, [*(self.key_kinds[key] for key in keys), *kinds]

    def group_key(self, scope: list[Column]) -> str:
        kind = self.kind("int", "text", "date", "bool", "num", "float", "ints")
        made = self.expression(scope, kind, 1)
        if not any(column.sql in made for column in scope):
            made = f"CAST({made} AS {SQL_TYPES[kind]})"  # a bare number would name a column, another constant is refused
        self.key_kinds[made] = kind
        return made

    def grouping_sets(self, keys: list[str]) -> str:
        every = ", ".join(keys)
        distinct = "DISTINCT " if self.chance(0.1) else ""
        return distinct + self.rng.choice((
            f"ROLLUP ({every})", f"CUBE ({every})", f"GROUPING SETS (({every}), ({keys[0]}), ())",
            f"GROUPING SETS (({keys[-1]}), ROLLUP ({every}))", f"{keys[0]}, CUBE ({every})",
            f"GROUPING SETS ((), ()), ROLLUP ({keys[-1]})" if len(keys) == 1 else f"ROLLUP ({keys[0]}), CUBE ({keys[1]})",
            f"ROLLUP (({every}))"))

    def aggregate(self, scope: list[Column], kind: str) -> str:
        where = f" FILTER (WHERE {self.predicate(scope, 1)})" if self.chance(0.25) else ""
        made = self._aggregate(scope, kind)
        return made.replace(FILTER, where, 1) if FILTER in made else made + where

    def _aggregate(self, scope: list[Column], kind: str) -> str:
        distinct = "DISTINCT " if self.chance(0.25) else ""
        number = self.expression(scope, "int", 1)
        choice = self.rng.randrange(8)
        if kind == "int":
            if choice == 0:
                return f"CAST(count(*){FILTER} AS int)"
            if choice < 3:
                return f"CAST(count({distinct}{self.expression(scope, self.kind(), 1)}){FILTER} AS int)"
            if choice == 3:
                return f"CAST(sum({distinct}{number}){FILTER} AS int)"
            if choice == 4:
                return f"{self.rng.choice(('bit_and', 'bit_or', 'bit_xor'))}({number})"
            if choice == 5:
                return self.ordered_set(scope, "int")
            if choice == 6 and self.chance(0.4):
                return f"CAST(regr_count({number}, {self.expression(scope, 'float', 0)}){FILTER} AS int)"
            return f"{self.rng.choice(('min', 'max'))}({number})"
        if kind == "num":
            if choice < 3:
                return f"round(avg({distinct}{self.expression(scope, self.rng.choice(('int', 'num')), 1)}){FILTER}, 6)"
            return f"{self.rng.choice(('sum', 'min', 'max'))}({distinct}{self.expression(scope, 'num', 1)})"
        if kind == "quot":
            name = self.rng.choice(("avg", "avg", "sum", "stddev", "var_pop", "variance", "stddev_pop"))
            return f"{name}({distinct}{self.expression(scope, self.rng.choice(('int', 'num', 'quot', 'big')), 1)})"
        if kind == "float":
            stored = [column.sql for column in scope if column.kind == "float" and column.sql.endswith(".x")]
            if stored and choice < 4:
                return f"{self.rng.choice(('sum', 'avg', 'min', 'max'))}({distinct}{self.rng.choice(stored)})"
            if choice < 6:
                return f"{self.rng.choice(('percent_rank', 'cume_dist'))}({literal(self.rng, 'int')}) WITHIN GROUP " \
                       f"(ORDER BY {number}{self.direction()})"
            return f"percentile_cont({self.rng.choice((0, 0.25, 0.5, 1))}) WITHIN GROUP (ORDER BY " \
                   f"{self.rng.choice(stored) if stored else number}{self.direction()})"
        if kind == "ints":
            return f"array_agg({distinct}{number} ORDER BY {number}{self.direction()})"
        if kind == "json":
            form, a = self.rng.randrange(3), self.expression(scope, "text", 1)
            if form == 0:
                return f"jsonb_object_agg(coalesce({a}, '?'), {number} ORDER BY {number}{self.direction()})"
            if form == 1:
                return f"jsonb_agg({self.expression(scope, self.kind(), 0)} ORDER BY {self.total(scope)})"
        if kind == "range" and choice < 3:
            return f"range_intersect_agg({self.expression(scope, 'range', 1)})"
        if kind == "text":
            item = self.expression(scope, "text", 1)
            if choice < 4:
                return f"string_agg({distinct}{item}, '-' ORDER BY {item}{self.direction()})"
            if choice == 4:
                return f"CAST(jsonb_agg({distinct}{number} ORDER BY {number}{self.direction()}){FILTER} AS text)"
        if kind == "bool":
            return f"{self.rng.choice(('bool_and', 'bool_or', 'every'))}({self.predicate(scope, 1)})"
        if choice == 5 and kind in TYPES and kind != "char":
            return self.ordered_set(scope, kind)
        if kind in ("json", "range", "span", "bytes", "uuid"):  # without min and max
            return f"(array_agg({self.expression(scope, kind, 1)} ORDER BY {self.total(scope)}){FILTER})[1]"
        return f"{self.rng.choice(('min', 'max'))}({self.expression(scope, kind, 1)})"

    def ordered_set(self, scope: list[Column], kind: str) -> str:
        item = f"CAST({self.expression(scope, kind, 1)} AS {SQL_TYPES[kind]})"  # not a mere constant without a type
        if kind == "int" and self.chance(0.4):
            return f"CAST({self.rng.choice(('rank', 'dense_rank'))}({literal(self.rng, 'int')}) WITHIN GROUP " \
                   f"(ORDER BY {item}{self.direction()}){FILTER} AS int)"
        function = self.rng.choice(("mode()", "percentile_disc(0.5)", "percentile_disc(0)", "percentile_disc(0.9)"))
        return f"{function} WITHIN GROUP (ORDER BY {item}{self.direction()})"

    # windows

    def windowed(self, source: str, scope: list[Column], where: str) -> tuple[str, list[str]]:
        if self.chance(0.15):
            return self.window_over_groups(source, scope, where)
        base = self.rng.choice(scope)
        full = self.total_order(scope)
        items, kinds = [base.sql], [base.kind]
        for _ in range(self.rng.choice((1, 2))):
            items.append(self.window(scope, full))
            kinds.append(self.window_kind)
        definition = ""
        if self.chance(0.25):
            items += [f"{function} OVER w" for function in ("row_number()", f"count({base.sql})")]
            items.append(f"CAST(count(*) OVER (w{self.frame('ROWS', '1')}) AS int)")
            kinds += ["big", "big", "int"]
            definition = f" WINDOW w AS ({full})"
        named = ", ".join(f"{item} AS c{number}" for number, item in enumerate(items))
        return f"SELECT {named} FROM {source}{where}{definition}", kinds

    def window_over_groups(self, source: str, scope: list[Column], where: str) -> tuple[str, list[str]]:
        key = self.rng.choice(scope)
        total = self.rng.choice(("count(*)", self.aggregate(scope, "int")))
        frame = self.frame("ROWS", "1")
        running = f"sum({total}) OVER (ORDER BY {key.sql}{self.direction()}{frame})"
        sql = f"SELECT {key.sql} AS c0, {total} AS c1, CAST({running} AS numeric) AS c2, " \
              f"rank() OVER (ORDER BY {total}) AS c3 FROM {source}{where} GROUP BY {key.sql}"
        return sql, [key.kind, "big", "num", "big"]

    def window(self, scope: list[Column], full: str) -> str:
        partition = f"PARTITION BY {self.rng.choice(scope).sql} " if self.chance(0.6) else ""
        column = self.rng.choice(scope)
        order = f"ORDER BY {column.sql}{self.direction()}"
        choice = self.rng.randrange(8)
        self.window_kind = "int"
        if choice == 0:
            return f"CAST({self.rng.choice(('rank()', 'dense_rank()'))} OVER ({partition}{order}) AS int)"
        if choice == 1:
            return f"CAST(count({self.rng.choice(('*', column.sql))}) OVER ({partition}{order}) AS int)"
        where = f" FILTER (WHERE {self.predicate(scope, 1)})" if self.chance(0.2) else ""
        value = self.expression(scope, self.rng.choice(("int", "num", "quot")), 1)
        function = self.rng.choice(("min", "max", "sum", "count", "avg"))
        if choice in (2, 3):
            self.window_kind = "quot"
            over = f"{partition}{order}{self.peer_frame(column)}" if choice == 2 else f"{full}{self.frame('ROWS', '1')}"
            return f"CAST({function}({value}){where} OVER ({over}) AS numeric)"
        if choice == 4:
            self.window_kind = "float"
            return f"{self.rng.choice(('percent_rank()', 'cume_dist()'))} OVER ({partition}{order})"
        if choice == 5:
            return f"CAST({self.rng.choice(('row_number()', 'ntile(3)', 'ntile(2)'))} OVER ({full}) AS int)"
        picked = self.rng.choice(scope)
        self.window_kind = picked.kind
        if choice == 6:
            name = self.rng.choice(("lag", "lead"))
            default = f", {self.constant(picked.kind)}" if self.chance(0.3) and picked.kind != "num" else ""
            return f"{name}({picked.sql}, {self.rng.choice((1, 2, 0, -1))}{default}) OVER ({full})"
        name = self.rng.choice(("first_value({})", "last_value({})", "nth_value({}, 2)")).format(picked.sql)
        return f"{name} OVER ({full}{self.frame('ROWS', self.rng.choice('012'))})"

    def total_order(self, scope: list[Column]) -> str:
        """A partition and an order by all columns, for all windows of one SELECT in which the order counts: rows that tie
        in all are equal, so it does not matter which comes first as long as it does everywhere."""
        partition = f"PARTITION BY {self.rng.choice(scope).sql} " if self.chance(0.6) else ""
        return f"{partition}ORDER BY {self.total(scope)}"

    def total(self, scope: list[Column]) -> str:
        return ", ".join(f"{column.sql}{self.direction()}" for column in self.rng.sample(scope, len(scope)))

    def direction(self) -> str:
        return self.rng.choice(("", " DESC", " NULLS FIRST", " DESC NULLS LAST", " ASC"))

    def frame(self, mode: str, offset: str) -> str:
        start = self.rng.randrange(4)
        end = self.rng.randrange(max(start, 1), 5)
        exclude = self.rng.choice(EXCLUSIONS)
        if mode == "ROWS" and exclude in (" EXCLUDE TIES", " EXCLUDE GROUP"):
            exclude = ""  # peers under a total order are equal rows, of which any may be the current one
        if start == 0 and end == 2 and self.chance(0.3):
            return f" {mode} UNBOUNDED PRECEDING{exclude}"
        return f" {mode} BETWEEN {BOUNDS[start].format(offset)} AND {BOUNDS[end].format(offset)}{exclude}"

    def peer_frame(self, column: Column) -> str:
        mode = self.rng.choice(("RANGE", "RANGE", "GROUPS", ""))
        if not mode:
            return ""
        if mode == "RANGE" and column.kind not in OFFSETS:
            return self.rng.choice(("", " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                                    " RANGE UNBOUNDED PRECEDING EXCLUDE GROUP", " RANGE UNBOUNDED PRECEDING EXCLUDE TIES"))
        made = self.frame(mode, self.rng.choice(OFFSETS[column.kind] if mode == "RANGE" else ("0", "1", "2")))
        return made.removesuffix(" EXCLUDE CURRENT ROW")
