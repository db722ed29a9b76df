"""Each push-down spelling of the registry on a live PostgreSQL and on SQLite: what the source says of a row is what Shoal
says, or Shoal sees the row. A new spelling is tested because it is declared."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from shoal.catalog.connector import CatalogDefinition, Connector, SupportsExpressions, TableHandle
from shoal.catalog.connectors.postgres import PostgresConnector
from shoal.catalog.connectors.sqlite import SqliteConnector
from shoal.catalog.errors import SqlError
from shoal.catalog.types import BOOL, INT4, NUMERIC, TEXT, SqlType, numeric
from shoal.exec.batch import Batch, Column
from shoal.exec.evaluation_context import DEFAULT_SETTINGS
from shoal.exec.evaluator import EvaluationContext, compile_expression
from shoal.exec.functions import all_functions
from shoal.exec.functions.registry import POLYMORPHIC, Function
from shoal.exec.functions.spelling import Spelling
from shoal.exec.kernels.constants import physical
from shoal.exec.optimizer.source_expressions import in_source_terms
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal
from tests.exec.cluster import Cluster
from tests.postgres_server import PostgresServer

ROWS, CALLS, CHECKED, VALUES = 90, 100, 8, 2
I2, I4, I8 = 1 << 15, 1 << 31, 1 << 63
WORDS = ["", " ", "a", "A", "ab", "Ab", "b", "é", "ß", "Ω", "abc", "  ab ", "zz", "a%b", "a_b", "a\\b",
         "\U0001f41f fish", "ä", "e\u0301", "10", "9", "x" * 300]
POOLS: dict[str, tuple[str, list[str]]] = {
    "b": ("bool", ["true", "false"]),
    "i2": ("int2", [str(v) for v in (-I2, I2 - 1, 0, 1, -1, 2, -7, 100)]),
    "i4": ("int4", [str(v) for v in (-I4, I4 - 1, 0, 1, -1, 2, -7, 3, 5)]),
    "i8": ("int8", [str(v) for v in (-I8, I8 - 1, 0, 1, -1, 2, -7, 1 << 40)]),
    "n": ("numeric(12,3)", ["0", "-1.5", "2.5", "999999999.999", "-999999999.999", "0.001", "7", "NaN", "1.000"]),
    "v": ("numeric", ["0", "-1.50", "2.5", "1e40", "-1e-30", "NaN", "Infinity", "-Infinity", "12345.678901234567890"]),
    "f4": ("float4", ["0", "-0", "1.5", "-2.5", "3.4e38", "1e-45", "NaN", "Infinity", "-Infinity", "0.1"]),
    "f8": ("float8", ["0", "-0", "1.5", "-2.5", "0.5", "1e308", "5e-324", "NaN", "Infinity", "-Infinity", "0.1"]),
    "t": ("text", WORDS), "tc": ('text COLLATE "C"', WORDS), "tx": ('varchar(400) COLLATE "und-x-icu"', WORDS),
    "d": ("date", ["2020-02-29", "1970-01-01", "0001-01-01", "4713-01-01 BC", "infinity", "-infinity", "5874897-12-31",
                   "1999-12-31", "2021-01-03"]),
    "tm": ("time", ["00:00", "23:59:59.999999", "12:30:01.5", "24:00"]),
    "ts": ("timestamp", ["2020-02-29 12:34:56.789012", "1970-01-01", "4714-11-24 00:00:00 BC", "4713-06-15 03:04:05 BC",
                         "infinity", "-infinity", "294247-01-01 00:00:00", "1999-12-31 23:59:59.999999", "2021-01-03"]),
    "tz": ("timestamptz", ["2020-02-29 12:34:56.789012+00", "1970-01-01+00", "infinity", "-infinity"]),
}
LITE = {"i8": ("INTEGER", [int(v) for v in POOLS["i8"][1]]), "t": ("TEXT", [*WORDS, "a\0b"])}
CONSTANTS: dict[str, list[Any]] = {
    "bool": [True], "int2": [3, 0], "int4": [-3, 0, 1, 2, 4], "int8": [0, 5, 1 << 40], "float8": [1.5],
    "text": ["ab", "", "a%", "é", "%a_", "a\\"]}
FIELDS = ("century", "day", "decade", "dow", "doy", "epoch", "hour", "isodow", "isoyear", "microseconds", "millennium",
          "milliseconds", "minute", "month", "quarter", "second", "week", "year")


class Source:
    """A table of a source as Shoal reads it, and the source's own view of boolean expressions."""

    def __init__(self, connector: Connector, answers: Callable[[TableHandle], set[int]]) -> None:
        assert isinstance(connector, SupportsExpressions)
        self.connector, self.answers = connector, answers
        handle = connector.table("public", "samples")
        assert handle is not None
        self.handle = handle
        columns = connector.columns(handle)
        names = [column.name for column in columns]
        (split,) = connector.splits(handle, names, 1)
        table = pa.Table.from_batches(connector.read(handle, split, names, ROWS, lambda: ()))
        self.batch = Batch([Column(column.combine_chunks()) for column in table.columns], table.num_rows)
        self.ids = table.column("id").to_pylist()
        self.names = dict(enumerate(names))
        self.refs = [ColumnRef(column.type, place, column.name) for place, column in enumerate(columns)]

    def arguments(self, declared: str, common: bool = False) -> list[Expr]:
        refs: list[Expr] = [ref for ref in self.refs if ref.type.name == declared or (declared, ref.type.name) == (
            "text", "varchar")]
        if declared == "numeric":
            refs.append(Literal(numeric(2, 1), 25))
            return [ref if ref.type.varies or not common else Cast(NUMERIC, ref) for ref in refs]
        if declared == "int4":
            refs += [Call(INT4, "length", (text,)) for text in self.arguments("text")[:2]]
        return refs + [Literal(SqlType(declared), value) for value in CONSTANTS.get(declared, ())]

    def values(self, expr: Expr) -> list[Any]:
        """Of each row, an SqlError where that is what it gives."""
        compiled = compile_expression(expr, {place: place for place in self.names})
        try:
            array = compiled(self.batch, CONTEXT)
            return [physical(array, row, expr.type) for row in range(self.batch.rows)]
        except SqlError:
            found: list[Any] = []
            for row in range(self.batch.rows):
                one = Batch([Column(column.array.slice(row, 1)) for column in self.batch.columns], 1)
                try:
                    found.append(physical(compiled(one, CONTEXT), 0, expr.type))
                except SqlError as error:
                    found.append(error)
            return found

    def check(self, predicate: Expr) -> bool:
        """Whether the source takes the predicate; if so, that it keeps the right rows."""
        assert isinstance(self.connector, SupportsExpressions)
        made = in_source_terms(predicate, self.names, self.connector)
        result = self.connector.apply_expressions(self.handle, (made[0],)) if made else None
        if made is None or result is None:
            return False
        seen = self.answers(result.handle)
        outcomes = dict(zip(self.ids, self.values(predicate), strict=True))
        wanted = {row for row, outcome in outcomes.items() if outcome is True}
        raising = {row for row, outcome in outcomes.items() if isinstance(outcome, SqlError)}
        told = f"{predicate}\n{self.connector.explain(result.handle, ['id'])}"
        if made[1] and not result.remaining:
            assert seen == wanted, told
            assert not raising, told
        else:
            assert seen >= wanted | raising, told
        return True


CONTEXT = EvaluationContext(DEFAULT_SETTINGS)


def sample_rows(pools: dict[str, tuple[str, list[Any]]]) -> list[tuple[Any, ...]]:
    draw = random.Random(4)
    return [(row, *(None if draw.random() < 0.1 else draw.choice(values) for _, values in pools.values()
                    for _ in range(2))) for row in range(ROWS)]


def columns_sql(pools: dict[str, tuple[str, list[Any]]]) -> str:
    return ", ".join(f"{name}{i} {kind}" for name, (kind, _) in pools.items() for i in (1, 2))


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> Iterator[Source]:
    postgres_server.run("CREATE DATABASE spellings TEMPLATE template0 ENCODING 'UTF8'")
    rows = sample_rows(POOLS)
    with psycopg.connect(postgres_server.url("spellings"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE samples (id int, {columns_sql(POOLS)})".encode())
        marks = ", ".join(["%s"] * len(rows[0]))
        connection.cursor().executemany(f"INSERT INTO samples VALUES ({marks})".encode(), rows)
        connector = PostgresConnector(CatalogDefinition("pg", postgres_server.url("spellings")))

        def answers(handle: TableHandle) -> set[int]:
            return {row[0] for row in connection.execute(connector.explain(handle, ["id"]).encode())}
        yield Source(connector, answers)
        connector.close()
    postgres_server.run("DROP DATABASE spellings WITH (FORCE)")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    path = tmp_path_factory.mktemp("spellings") / "samples.db"
    rows = sample_rows(LITE)
    with sqlite3.connect(path) as lite:
        lite.execute(f"CREATE TABLE samples (id INTEGER PRIMARY KEY, {columns_sql(LITE)})")
        lite.executemany(f"INSERT INTO samples VALUES ({', '.join('?' * len(rows[0]))})", rows)
    lite.close()
    connector = SqliteConnector(CatalogDefinition("lite", f"sqlite:{path}"))

    def answers(handle: TableHandle) -> set[int]:
        (split,) = connector.splits(handle, ["id"], 1)
        return {row for batch in connector.read(handle, split, ["id"], ROWS, lambda: ()) for row in batch[0].to_pylist()}
    yield Source(connector, answers)
    connector.close()


def calls_of(function: Function, source: Source, draw: random.Random) -> Iterator[Call]:
    """Calls with columns and constants of the declared types."""
    assert isinstance(source.connector, SupportsExpressions)
    polymorphic = any(name in POLYMORPHIC for name in function.arguments)
    kinds = sorted(source.connector.expression_types - {"varchar"}) if polymorphic else [""]
    for kind in kinds:
        names = [kind if name in POLYMORPHIC else name for name in function.arguments]
        names += names[-1:] * (2 if function.variadic else 0)
        pools = [source.arguments(name, polymorphic) for name in names]
        if not all(pools):
            continue
        with_field = function.family == "datetime" and names[0] == "text"
        if with_field:
            pools[0] = [Literal(TEXT, field) for field in FIELDS]
        for turn in range(len(FIELDS) if with_field else 3 if polymorphic else CALLS):
            args = tuple(pool[turn] if with_field and not i else draw.choice(pool) for i, pool in enumerate(pools))
            if all(isinstance(arg, Literal) for arg in args):
                continue
            types: list[Any] = [[arg.type for arg in args]]
            if function.typed_by_constants:
                types.append([arg.value if isinstance(arg, Literal) else None for arg in args])
            result = function.returns(*types) if callable(function.returns) else function.returns
            yield Call(result, function.name, args)


def predicates_of(call: Call, source: Source, draw: random.Random) -> Iterator[Expr]:
    yield Call(BOOL, "is_null", (call,))
    if call.type == BOOL:
        yield call
        yield Call(BOOL, "not", (call,))
        return
    known = [value for value in dict.fromkeys(v if not isinstance(v, list) else tuple(v) for v in source.values(call))
             if value is not None and not isinstance(value, SqlError)]
    for value in draw.sample(known, min(VALUES, len(known))):
        yield Call(BOOL, draw.choice(["eq", "eq", "ne", "lt", "ge"]), (call, Literal(call.type, value)))


def declared(dialect: str) -> list[Function]:
    return [function for function in all_functions() if dialect in function.spelled]


def used(function: Function, call: Call, dialect: str) -> Spelling | None:
    return next((s for s in function.spelled[dialect] if s.when is None or s.when(call.args)), None)


def check_all(source: Source) -> None:
    assert isinstance(source.connector, SupportsExpressions)
    dialect = source.connector.dialect
    missing = []
    for function in declared(dialect):
        draw = random.Random(f"{function.name} {function.arguments}")
        pushed, checked = set(), Counter[Spelling | None]()
        for call in calls_of(function, source, draw):
            spelling = used(function, call, dialect)
            checked[spelling] += 1
            if checked[spelling] > CHECKED and not set(function.arguments) & POLYMORPHIC:
                continue
            for predicate in predicates_of(call, source, draw):
                if source.check(predicate):
                    pushed.add(spelling)
        missing += [(function.name, function.arguments, s.text) for s in function.spelled[dialect] if s not in pushed]
    if dialect == "sqlite":  # its columns are int8 and text
        missing = [one for one in missing if not {"int2", "bool"} & set(one[1])]
    assert not missing


def test_every_spelling_means_on_postgres_what_it_means_here(postgres: Source) -> None:
    check_all(postgres)


def test_every_spelling_means_on_sqlite_what_it_means_here(sqlite: Source) -> None:
    check_all(sqlite)


def test_trees_of_calls_mean_the_same(postgres: Source, sqlite: Source) -> None:
    for source in (postgres, sqlite):
        draw = random.Random(11)
        assert isinstance(source.connector, SupportsExpressions)
        dialect = source.connector.dialect
        functions = [f for f in declared(dialect) if not set(f.arguments) & POLYMORPHIC]

        def condition(source: Source = source, functions: Sequence[Function] = functions,
                      draw: random.Random = draw) -> Expr:
            while True:
                calls = list(calls_of(draw.choice(functions), source, draw))
                if calls and (found := list(predicates_of(draw.choice(calls), source, draw))):
                    return draw.choice(found)
        taken = 0
        for _ in range(150):
            first, second, third = condition(), condition(), condition()
            tree: Expr = Call(BOOL, draw.choice(["and", "or"]), (first, Call(BOOL, "not", (second,))))
            if draw.random() < 0.5:
                tree = Call(BOOL, "eq", (Case(INT4, (tree, third), (Literal(INT4, 1), Literal(INT4, 2)),
                                              Literal(INT4, None)), Literal(INT4, draw.choice([1, 2]))))
            taken += source.check(tree)
        assert taken > 20, dialect


FILTERS = ("abs(i41) > 2 AND i41 > -100", "length(t1) = 2", "coalesce(i41, 0) = 1", "nullif(i41, 1) = 2",
           "i81 % 999 + i82 % 999 > 10 OR i81 IS NULL", "i41 % 2 = 0", "i21 = i22", "extract(year FROM d1) = 2020",
           "CASE WHEN ts1 > timestamp '1900-01-01' THEN date_trunc('month', ts1) = timestamp '2020-02-01' END",
           "substr(t1, 1, 1) = 'a'", "left(t1, 1) = 'A' OR t2 LIKE 'a%'", "n1 BETWEEN n2 AND 7",
           "NOT (i41 = 3 OR t1 = 'zz')", "CASE WHEN b1 THEN i41 ELSE i42 END > 0", "tc1 < t1", "f81 = f82 OR d1 < d2",
           "n1 * 2 > n2 + 1", "i41 IN (1, 2) OR i42 IN (3, 5)", "tm1 = time '24:00'")
REFUSED = ("lower(t1) = 'a'", "f81 + 1 > 2", "tz1::date = date '2020-02-29'", "extract(hour FROM tz1) = 12", "v1 * v2 > 1")


def sent(cluster: Cluster, statement: str) -> str:
    plan = "\n".join(row[0] for row in cluster.rows("EXPLAIN " + statement))
    return plan.partition("WHERE")[2]


def test_filters_reach_the_remote_statement(postgres_server: PostgresServer, postgres: Source) -> None:
    with Cluster([("pg", postgres_server.url("spellings"))], workers=1, database="pg") as cluster:
        for condition in FILTERS:
            statement = f"SELECT id FROM samples WHERE id < 60 AND ({condition}) ORDER BY id"
            assert cluster.rows(statement) == postgres_server.query(statement, "spellings"), condition
            if "24:00" not in condition:
                assert " AND " in sent(cluster, statement).splitlines()[0], condition
        for condition in REFUSED:
            assert "AND" not in sent(cluster, f"SELECT id FROM samples WHERE id < 60 AND {condition}").splitlines()[0]


def test_a_source_raises_for_no_row_that_another_filter_removes(postgres_server: PostgresServer, postgres: Source) -> None:
    with Cluster([("pg", postgres_server.url("spellings"))], workers=1, database="pg") as cluster:
        kept = "SELECT count(*) FROM samples WHERE i42 > 0 AND i42 < 3 AND lower(t1) <> 'q' AND 7 % i42 = 1"
        assert cluster.rows(kept)[0][0] > 0
        with pytest.raises(SqlError, match="division by zero"):
            cluster.rows("SELECT count(*) FROM samples WHERE 7 % i42 = 1")
        with pytest.raises(SqlError, match="bigint out of range"):
            cluster.rows("SELECT count(*) FROM samples WHERE i81 + i82 = 1")
