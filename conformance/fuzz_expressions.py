"""Random expressions and predicates over the columns in scope, typed as they are made; see conformance/fuzz_grammar.py.

`Expressions` is the base of the generator: its methods named after a kind (`_int`, `_json` ...) make one expression of that
kind from others of smaller depth. What has subqueries is the grammar's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conformance.fuzz_schema import COLUMNS, COMPARABLE, RARE_TYPES, SQL_TYPES, TYPES, literal

PATTERNS = ("'a%'", "'%a'", "'_'", "'%o%'", "''", "'a\\%'", "'%'", "'b_r'", "'%b%_'", "'a\\\\b'")
REGEXES = ("'^a'", "'b$'", "'o+'", "'[a-b]{2}'", "'(a|x).'", "'\\w\\W'", "'^.?$'", "'(o)\\1'", "'a(?=b)'", "'é|_'")
SIMILAR = ("'a%'", "'(a|b)+'", "'%o{2}'", "'[a-x]_%'", "''")


@dataclass
class Column:
    sql: str
    kind: str


class Expressions:
    def __init__(self, seed: int, without: Sequence[str] = ()) -> None:
        """`without`: kinds that are not used."""
        self.rare = [kind for kind in RARE_TYPES if kind not in without]
        self.stored = {column: kind for column, kind in COLUMNS.items() if kind not in without}
        self.rng = random.Random(seed)
        self.aliases = 0
        self.budget = 6
        """Subqueries still allowed."""
        self.key_kinds: dict[str, str] = {}
        """The kind of each expression made so far."""

    # choices

    def pick(self, *weighted: tuple[Callable, int]) -> Callable:
        return self.rng.choices([item for item, _ in weighted], [weight for _, weight in weighted])[0]

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def alias(self) -> str:
        self.aliases += 1
        return f"q{self.aliases}"

    def kind(self, *rather: str) -> str:
        """One of these (else of TYPES), now and then a rare one."""
        return self.rng.choice(self.rare) if self.chance(0.2) else self.rng.choice(rather or TYPES)

    # to be made by the grammar

    def scalar_subquery(self, scope: list[Column], kind: str) -> str:
        raise NotImplementedError

    def subquery_predicate(self, scope: list[Column]) -> str:
        raise NotImplementedError

    def array_subquery(self, scope: list[Column]) -> str:
        raise NotImplementedError

    # expressions

    def constant(self, kind: str) -> str:
        return f"CAST(NULL AS {SQL_TYPES[kind]})" if self.chance(0.12) else literal(self.rng, kind)

    def expression(self, scope: list[Column], kind: str, depth: int) -> str:
        made = self._expression(scope, kind, depth)
        self.key_kinds[made] = kind
        return made

    def _expression(self, scope: list[Column], kind: str, depth: int) -> str:
        columns = [column for column in scope if column.kind == kind]
        made_up = kind in RARE_TYPES and not columns
        if depth <= 0 or self.chance(0.15 if made_up else 0.45):
            if columns and self.chance(0.95):
                return self.rng.choice(columns).sql
            return self.constant(kind)
        a, b = (lambda: self.expression(scope, kind, depth - 1) for _ in range(2))
        if self.chance(0.12):
            return f"CASE WHEN {self.predicate(scope, depth - 1)} THEN {a()} ELSE {b()} END"
        if self.chance(0.04):
            subject = self.rng.choice(("int", "text"))
            arms = "".join(f" WHEN {self.constant(subject)} THEN {a()}" for _ in range(2))
            return f"CASE {self.expression(scope, subject, depth - 1)}{arms}{self.rng.choice(('', f' ELSE {a()}'))} END"
        if self.chance(0.12):
            return f"coalesce({a()}, {b()})"
        if self.chance(0.04):
            return f"nullif({a()}, {b()})"
        if self.chance(0.05) and kind not in ("span", "json"):
            return f"{self.rng.choice(('greatest', 'least'))}({a()}, {b()})"
        if self.budget > 0 and self.chance(0.12) and kind in ("int", "num", "text"):
            return self.scalar_subquery(scope, kind)
        return getattr(self, f"_{kind}")(scope, depth - 1)

    def _int(self, scope: list[Column], depth: int) -> str:
        def of(kind: str) -> str:
            return self.expression(scope, kind, depth)

        choice = self.rng.randrange(19)
        if choice == 17:
            zoned, field = of("tz"), self.rng.choice(("hour", "day", "timezone_hour", "isodow"))
            return f"CAST(extract({field} FROM {zoned}) AS int)"
        if choice == 18:
            return self.rng.choice((f"length({of('bytes')})", f"bit_count({of('bytes')})::int", f"masklen({of('inet')})",
                                    f"cardinality({of('texts')})", f"CAST(extract(minute FROM {of('time')}) AS int)",
                                    f"width_bucket({of('num')}, 0, 10, 4)", f"num_nulls({of('time')}, {of('uuid')})",
                                    f"gcd({of('int')}, 6)", f"jsonb_array_length({'jsonb_build_array(' + of('int') + ')'})"))
        if choice < 3:
            return f"({of('int')} {self.rng.choice('+-*')} {of('int')})"
        if choice == 3:
            return f"({of('int')} {self.rng.choice('/%')} nullif({of('int')}, 0))"
        if choice == 4:
            return f"({of('int')} {self.rng.choice('&|#')} {of('int')})"
        if choice == 5:
            return f"abs({of('int')})"
        if choice == 6:
            field = self.rng.choice(("year", "month", "dow", "doy", "week", "isoyear", "quarter", "day"))
            return f"CAST(extract({field} FROM {of(self.rng.choice(('date', 'ts')))}) AS int)"
        if choice < 10:
            name = self.rng.choice(("length", "octet_length", "ascii", "char_length"))
            return f"{name}({of(self.rng.choice(('text', 'text', 'char')) if name != 'ascii' else 'text')})"
        if choice == 10:
            return f"strpos({of('text')}, {of('text')})"
        if choice == 11:
            return f"({of('date')} - {of('date')})"
        if choice == 12:
            return f"({of('ints')})[{self.rng.choice((1, 2, 0, 9))}]"
        if choice == 13:
            array = of("ints")
            return self.rng.choice((f"cardinality({array})", f"array_length({array}, 1)", f"array_position({array}, 1)"))
        if choice == 14:
            return f"{self.rng.choice(('lower', 'upper'))}({of('range')})"
        if choice == 15:
            return f"CAST(extract({self.rng.choice(('day', 'hour', 'month'))} FROM {of('span')}) AS int)"
        return f"CAST({of('bool')} AS int)"

    def _big(self, scope: list[Column], depth: int) -> str:
        return self.rng.choice((f"({self.expression(scope, 'big', depth)} / {self.rng.choice((1, 2, 3))})",
                                f"({self.expression(scope, 'int', depth)} * CAST(1000000 AS bigint))",
                                f"CAST({self.expression(scope, 'int', depth)} AS bigint)"))

    def _num(self, scope: list[Column], depth: int) -> str:
        choice = self.rng.randrange(6)
        a = self.expression(scope, "num", depth)
        if choice < 3:
            return f"({a} {self.rng.choice('+-*')} {self.expression(scope, self.rng.choice(('num', 'int')), depth)})"
        if choice == 3:
            return f"round({a} / nullif({self.expression(scope, self.rng.choice(('num', 'int')), depth)}, 0), 4)"
        if choice == 4:
            return f"round({a}, {self.rng.choice((0, 1))})"
        return self.rng.choice((f"floor({a})", f"ceil({a})", f"abs({a})", f"(- {a})", f"({a} % 2)"))

    def _quot(self, scope: list[Column], depth: int) -> str:
        """Numerics that bring each its own scale."""
        a = self.expression(scope, self.rng.choice(("num", "quot", "int")), depth)
        b = self.expression(scope, self.rng.choice(("num", "quot")), depth)
        choice = self.rng.randrange(9)
        if choice < 3:
            return f"({a} / nullif({b}, 0))"
        if choice == 3:
            return f"({a} {self.rng.choice('+-*')} {b})"
        if choice == 4:
            return f"{self.rng.choice(('round', 'trunc'))}({b}, {self.rng.choice((0, 1, 3, -1))})"
        if choice == 5:
            return f"CAST({a} AS numeric)"
        if choice == 6:
            return f"sqrt(abs({b}))"
        if choice == 7:
            return f"({b} % nullif({self.expression(scope, 'num', depth)}, 0))"
        return self.rng.choice((f"abs({b})", f"(- {b})", f"trim_scale({b})", f"div({b}, 3)", f"power({b}, 2)", f"sign({b})"))

    def _float(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "float", depth)
        return self.rng.choice((
            f"({a} {self.rng.choice('+-*')} {self.expression(scope, 'float', depth)})", f"abs({a})", f"(- {a})",
            f"round({a})", f"CAST({self.expression(scope, self.rng.choice(('int', 'num')), depth)} AS float8)",
            f"({a} / 4)", f"floor({a})"))

    def _span(self, scope: list[Column], depth: int) -> str:
        a, days = self.expression(scope, "span", depth), self.expression(scope, "int", depth)
        times = [self.expression(scope, "ts", depth) for _ in range(2)]
        return self.rng.choice((
            f"({times[0]} - {times[1]})", f"age({times[0]}, {times[1]})", f"({a} * {self.rng.choice((2, -1, 3))})",
            f"(- {a})", f"({a} {self.rng.choice('+-')} {self.expression(scope, 'span', depth)})",
            f"justify_interval({a})", f"make_interval(days => {days} % 100, hours => 2)", f"({a} / 2)",
            f"justify_days({a})"))

    def _ints(self, scope: list[Column], depth: int) -> str:
        a, i = self.expression(scope, "ints", depth), self.expression(scope, "int", depth)
        if self.budget > 0 and self.chance(0.15):
            return self.array_subquery(scope)
        return self.rng.choice((
            f"({a} || {i})", f"({i} || {a})", f"({a} || {self.expression(scope, 'ints', depth)})", f"array_append({a}, {i})",
            f"array_remove({a}, {i})", f"array_replace({a}, 1, {i})", f"ARRAY[{i}, {self.expression(scope, 'int', depth)}]",
            f"({a})[{self.rng.choice(('1:2', '2:', ':1', '2:9'))}]", f"array_fill({i}, ARRAY[2])"))

    def _json(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "json", depth)
        kinds = [self.rng.choice(("int", "text", "bool", "json", "ints", "date")) for _ in range(2)]
        values = [f"CAST({self.expression(scope, kind, depth)} AS {SQL_TYPES[kind]})" for kind in kinds]
        return self.rng.choice((
            f"jsonb_build_object('k', {values[0]}, 't', {values[1]})", f"jsonb_build_array({', '.join(values)})",
            f"to_jsonb({values[0]})", f"({a} || {self.expression(scope, 'json', depth)})", f"({a} -> 'k')", f"({a} -> 0)",
            f"(jsonb_build_object('k', {values[0]}, 'u', 1) - '{self.rng.choice('ku')}')", f"({a} #> '{{k,k}}')",
            f"jsonb_set(jsonb_build_object('k', {values[0]}), '{{k}}', {a})", f"jsonb_strip_nulls({a})",
            f"jsonb_path_query_first({a}, '$.t[*] ? (@ > 1)')"))

    def _range(self, scope: list[Column], depth: int) -> str:
        i, j = (self.expression(scope, "int", depth) for _ in range(2))
        a, b = (self.expression(scope, "range", depth) for _ in range(2))
        return self.rng.choice((
            f"int4range(least({i}, {j}), greatest({i}, {j}), '{self.rng.choice(('[]', '[)', '(]', '()'))}')",
            f"({a} * {b})", f"range_merge({a}, {b})"))

    def _text(self, scope: list[Column], depth: int) -> str:
        def of(kind: str) -> str:
            return self.expression(scope, kind, depth)

        a = of("text")
        choice = self.rng.randrange(8)
        if choice == 0:
            return f"({a} || {of(self.rng.choice(('text', 'text', 'int', 'char')))})"
        if choice == 1:
            return self.written(scope, depth)
        if choice == 2:
            regex = self.rng.choice(REGEXES)
            return self.rng.choice((
                f"regexp_replace({a}, {regex}, '<\\&>', '{self.rng.choice(('', 'g', 'gi'))}')",
                f"substring({a} FROM {regex})", f"(regexp_match({a}, {regex}))[1]",
                f"array_to_string(regexp_split_to_array({a}, {regex}), '|')"))
        if choice == 3:
            json = of("json")
            return self.rng.choice((
                f"({json} ->> 'k')", f"jsonb_typeof({json})", f"({json} #>> '{{t,0}}')", f"({json} ->> 0)"))
        if choice == 4:
            day = of(self.rng.choice(("date", "ts")))
            return self.rng.choice((
                f"to_char({day}, 'YYYY-Mon-DD HH24:MI:SS.MS')", f"to_char({day}, 'FMDay, FMDDth IYYY-IW')",
                f"to_char({of('int')}, 'S0099')", f"to_char({of('num')}, 'FM9990.0PR')", f"to_hex({of('int')})"))
        if choice == 5:
            return self.rng.choice((
                f"concat({a}, {of(self.rng.choice(('int', 'bool', 'date')))})",
                f"concat_ws('-', {a}, {of('int')}, {of('text')})",
                f"format('%s:%5s:%L', {a}, {of('int')}, {of('text')})", f"array_to_string({of('ints')}, ',', '?')",
                f"quote_nullable({a})"))
        return self.rng.choice((
            f"upper({a})", f"substring({a}, 1, 2)", f"trim({a})", f"replace({a}, 'a', 'zz')", f"left({a}, 1)",
            f"reverse({a})", f"lpad({a}, 3, '*')", f"rpad({a}, 4, 'ab')", f"initcap({a})", f"repeat({a}, 2)",
            f"right({a}, -1)",
            f"split_part({a}, 'a', {self.rng.choice((1, 2, -1))})", f"translate({a}, 'ab', 'x')", f"md5({a})",
            f"overlay({a} PLACING 'Q' FROM 2)", f"btrim({a}, 'ab')", f"encode(convert_to({a}, 'UTF8'), 'hex')",
            f"substring({a}, 0, 2)", f"ltrim({a}, 'a')", f"rtrim({a}, 'o ')", f"quote_ident({a})"))

    def written(self, scope: list[Column], depth: int) -> str:
        """A value of any kind in its text form; a row; a document made of a row."""
        form = self.rng.random()
        if form < 0.7:
            kind = self.rng.choice(("int", "date", "bool", "ts", "char", *(kind for kind in self.rare if kind != "float")))
            return f"CAST({self.expression(scope, kind, depth)} AS text)"
        kinds = [self.rng.choice(("int", "text", "date", "bool", "ints", "num", "time", "tz")) for _ in range(2)]
        row = f"ROW({', '.join(self.expression(scope, kind, 0) for kind in kinds)})"
        whole = [column.sql.removesuffix(".c0") for column in scope if column.sql.endswith(".c0")]
        if whole and form < 0.85:
            row = self.rng.choice(whole)
        return f"CAST({row} AS text)" if self.chance(0.5) else f"CAST(row_to_json({row}) AS text)"

    def _tz(self, scope: list[Column], depth: int) -> str:
        a, time, span = (self.expression(scope, kind, depth) for kind in ("tz", "ts", "span"))
        zone = self.rng.choice(("UTC", "America/New_York", "Asia/Kathmandu", "+03"))
        unit = self.rng.choice(("day", "hour", "week", "month"))
        return self.rng.choice((
            f"({time} AT TIME ZONE '{zone}')", f"CAST({time} AS timestamptz)", f"date_trunc('{unit}', {a})",
            f"date_trunc('{unit}', {a}, '{zone}')", f"({a} {self.rng.choice('+-')} {span})", f"({a} + interval '1 month')",
            f"({a} - interval '1 day')", f"to_timestamp({self.expression(scope, 'int', depth)})",
            f"CAST({self.expression(scope, 'date', depth)} AS timestamptz)"))

    def _bytes(self, scope: list[Column], depth: int) -> str:
        a, text = self.expression(scope, "bytes", depth), self.expression(scope, "text", depth)
        return self.rng.choice((
            f"convert_to({text}, 'UTF8')", f"({a} || {self.expression(scope, 'bytes', depth)})",
            f"decode(md5({text}), 'hex')",
            f"substring({a} FROM 1 FOR 2)", f"sha256({a})", f"trim('\\x61'::bytea FROM {a})",
            f"overlay({a} PLACING '\\x00' FROM 2)"))

    def _uuid(self, scope: list[Column], depth: int) -> str:
        return f"CAST(md5({self.expression(scope, 'text', depth)}) AS uuid)"

    def _time(self, scope: list[Column], depth: int) -> str:
        a, span = self.expression(scope, "time", depth), self.expression(scope, "span", depth)
        return self.rng.choice((
            f"CAST({self.expression(scope, self.rng.choice(('ts', 'tz')), depth)} AS time)",
            f"({a} {self.rng.choice('+-')} {span})", f"make_time(abs({self.expression(scope, 'int', depth)} % 24), 5, 6.5)",
            f"date_trunc('hour', {a})::time"))

    def _inet(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "inet", depth)
        return self.rng.choice((f"set_masklen({a}, {self.rng.choice((0, 8, 16, 32))})", f"network({a})::inet",
                                f"broadcast({a})", f"~{a}", f"netmask({a})"))

    def _texts(self, scope: list[Column], depth: int) -> str:
        a, text = self.expression(scope, "texts", depth), self.expression(scope, "text", depth)
        return self.rng.choice((
            f"string_to_array({text}, '{self.rng.choice('abo')}')", f"({a} || CAST({text} AS text))",
            f"array_append({a}, {text})", f"regexp_split_to_array({text}, {self.rng.choice(REGEXES)})",
            f"ARRAY[{text}, {self.expression(scope, 'text', 0)}]",
            f"CAST({self.expression(scope, 'ints', depth)} AS text[])", f"({a})[2:]",
            f"array_remove({a}, {text})",
            f"array_positions({a}, {text})::text[]"))

    def _mood(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "mood", depth)
        return self.rng.choice((f"CAST(CAST({a} AS text) AS mood)", f"enum_first({a})",
                                f"(enum_range(CAST(NULL AS mood)))[{self.expression(scope, 'int', depth)}]"))

    def _date(self, scope: list[Column], depth: int) -> str:
        a = self.expression(scope, "date", depth)
        unit = self.rng.choice(("month", "week", "quarter", "year", "decade"))
        return self.rng.choice((f"({a} + {self.rng.choice((0, 1, 30))})", f"CAST(date_trunc('{unit}', {a}) AS date)",
                                f"CAST({a} + interval '1 month' AS date)", f"({a} - {self.rng.choice((1, 365))})",
                                f"CAST({self.expression(scope, 'ts', depth)} AS date)"))

    def _ts(self, scope: list[Column], depth: int) -> str:
        a, span = self.expression(scope, "ts", depth), self.expression(scope, "span", depth)
        unit = self.rng.choice(("day", "hour", "week", "month", "second"))
        return self.rng.choice((f"({a} + interval '1 day 2 hours')", f"date_trunc('{unit}', {a})",
                                f"({a} - interval '1 month')", f"({a} {self.rng.choice('+-')} {span})",
                                f"({self.expression(scope, 'date', depth)} + {span})",
                                f"date_bin(interval '7 hours', {a}, timestamp '2000-01-01')",
                                f"({self.expression(scope, 'tz', depth)} AT TIME ZONE 'America/New_York')",
                                f"CAST({self.expression(scope, 'tz', depth)} AS timestamp)",
                                f"({self.expression(scope, 'date', depth)} + {self.expression(scope, 'time', depth)})",
                                f"CAST({self.expression(scope, 'date', depth)} AS timestamp)"))

    def _char(self, scope: list[Column], depth: int) -> str:
        return f"CAST({self.expression(scope, 'text', depth)} AS char(3))"

    def _bool(self, scope: list[Column], depth: int) -> str:
        return f"({self.predicate(scope, depth)})"

    # predicates

    def comparison(self) -> str:
        return self.rng.choice(("=", "<>", "<", "<=", ">", ">="))

    def negation(self) -> str:
        return self.rng.choice(("", "NOT "))

    def predicate(self, scope: list[Column], depth: int) -> str:
        choice = self.rng.randrange(21)
        if depth > 0 and choice < 3:
            word = self.rng.choice((" AND ", " OR "))
            return "(" + word.join(self.predicate(scope, depth - 1) for _ in range(self.rng.choice((2, 2, 3)))) + ")"
        if depth > 0 and choice == 3:
            return f"NOT ({self.predicate(scope, depth - 1)})"
        if depth > 0 and self.budget > 0 and choice in (4, 5):
            return self.subquery_predicate(scope)
        if choice in (6, 7):
            return self.rare_predicate(scope, depth)
        if choice == 8:
            return self.text_predicate(scope, depth)
        if choice == 9:
            bools = [column.sql for column in scope if column.kind == "bool"]
            test = self.rng.choice(bools) if bools else "true"
            return self.rng.choice((test, f"{test} IS TRUE", f"{test} IS NOT FALSE", f"{test} IS UNKNOWN", f"NOT {test}"))
        if choice == 10:
            items = ", ".join(self.constant("int") for _ in range(self.rng.choice((1, 3))))
            quantifier = self.rng.choice(("ANY", "ALL"))
            return f"{self.expression(scope, 'int', depth)} {self.comparison()} {quantifier} (ARRAY[{items}])"
        if choice == 11:
            return self.row_predicate(scope)
        kind = self.kind("int", "num", "text", "date", "int", "big", "ts", "char")
        a = self.expression(scope, kind, depth)
        if choice == 12:
            return f"{a} IS {self.negation()}NULL"
        if choice in (13, 14):
            items = ", ".join(self.constant(kind) if self.chance(0.85) else self.expression(scope, kind, 0)
                              for _ in range(self.rng.choice((1, 2, 3, 12))))
            return f"{a} {self.negation()}IN ({items})"
        if choice == 15:
            symmetric = "SYMMETRIC " if self.chance(0.2) else ""
            return f"{a} {self.negation()}BETWEEN {symmetric}{self.constant(kind)} AND {self.expression(scope, kind, 0)}"
        if choice == 16:
            return f"{a} IS {self.negation()}DISTINCT FROM {self.expression(scope, kind, depth)}"
        kinds = next((sorted(kinds) for kinds in COMPARABLE if kind in kinds), [kind])
        other = kind if self.chance(0.7) else self.rng.choice(kinds)
        return f"{a} {self.comparison()} {self.expression(scope, other, depth)}"

    def row_predicate(self, scope: list[Column]) -> str:
        kinds = ("int", self.rng.choice(("text", "date", "num")))
        rows = [", ".join(self.expression(scope, kind, 0) for kind in kinds) for _ in range(3)]
        form = self.rng.randrange(4)
        if form == 0:
            return f"({rows[0]}) {self.negation()}IN (({rows[1]}), ({rows[2]}))"
        if form == 1:
            return f"({rows[0]}) IS {self.negation()}DISTINCT FROM ({rows[1]})"
        if form == 2:
            return f"ROW({rows[0]}) IS {self.negation()}NULL"
        return f"({rows[0]}) {self.comparison()} ({rows[1]})"

    def text_predicate(self, scope: list[Column], depth: int) -> str:
        text = self.expression(scope, "text", depth)
        form = self.rng.randrange(5)
        if form == 0:
            return f"{text} {self.rng.choice(('~', '!~', '~*', '!~*'))} {self.rng.choice(REGEXES)}"
        if form == 1:
            return f"{text} {self.negation()}SIMILAR TO {self.rng.choice(SIMILAR)}"
        if form == 2:
            return f"starts_with({text}, {self.expression(scope, 'text', 0)})"
        pattern = self.rng.choice(PATTERNS) if self.chance(0.85) else f"{self.expression(scope, 'text', 0)} || '%'"
        return f"{text} {self.rng.choice(('LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'))} {pattern}"

    def rare_predicate(self, scope: list[Column], depth: int) -> str:
        """Of arrays, documents, ranges, intervals, overlapping times, networks."""
        form = self.rng.randrange(8)
        i = self.expression(scope, "int", depth)
        if form == 0:
            return f"{i} {self.comparison()} {self.rng.choice(('ANY', 'ALL'))} ({self.expression(scope, 'ints', depth)})"
        if form == 1:
            a, b = (self.expression(scope, "ints", depth) for _ in range(2))
            return f"{a} {self.rng.choice(('@>', '<@', '&&'))} {b}"
        if form == 2:
            a, b = (self.expression(scope, "json", depth) for _ in range(2))
            return self.rng.choice((f"{a} @> {b}", f"{a} <@ {b}", f"{a} ? 'k'", f"{a} ?| ARRAY['t', 'a']",
                                    f"{a} @? '$.t[*] ? (@ == 1)'"))
        if form == 3:
            a, b = (self.expression(scope, "range", depth) for _ in range(2))
            return self.rng.choice((f"{a} @> {i}", f"{a} {self.rng.choice(('&&', '@>', '<@', '<<', '>>', '-|-', '&<'))} {b}",
                                    f"isempty({a})", f"upper_inf({a})"))
        if form == 4:
            times = [self.expression(scope, "ts", 0) for _ in range(4)]
            return f"({times[0]}, {times[1]}) OVERLAPS ({times[2]}, {times[3]})"
        if form == 5:
            a, b = (self.expression(scope, "inet", depth) for _ in range(2))
            return f"{a} {self.rng.choice(('<<', '<<=', '>>', '>>=', '&&'))} {b}"
        if form == 6:
            return f"{self.expression(scope, 'text', depth)} {self.comparison()} {self.rng.choice(('ANY', 'ALL'))} " \
                   f"({self.expression(scope, 'texts', depth)})"
        kind = self.rng.choice([kind for kind in self.rare if kind not in ("quot", "float", "json")])
        a, b = (self.expression(scope, kind, depth) for _ in range(2))
        return f"{a} {self.comparison()} {b}"
