"""Window functions against DuckDB on random data: every function, frame mode, bound and exclusion."""

from __future__ import annotations

import datetime
import decimal
import random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from shoal.catalog.errors import InvalidArgumentForNthValue, InvalidArgumentForNtile, InvalidFrameSize
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, INTERVAL, NUMERIC, TEXT, SqlType, numeric, to_python
from shoal.exec.plan.expr import FrameBound, Literal, SortKey, WindowCall, WindowFrame
from shoal.exec.plan.nodes import Field, Window
from tests.exec.operators.context import Task, ordered

MONEY = numeric(15, 2)
_DUCK = {"int4": "INTEGER", "int8": "BIGINT", "text": "VARCHAR", "float8": "DOUBLE", "date": "DATE", "bool": "BOOLEAN",
         "numeric": "DECIMAL(15,2)"}


def data(rows: int, seed: int = 1) -> dict[str, Any]:
    r = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if r.random() < 0.15 else value
    return {
        "p": (INT4, [maybe(r.randrange(4)) for _ in range(rows)]),
        "q": (TEXT, [r.choice(["x", "y"]) for _ in range(rows)]),
        "o": (INT4, [maybe(r.randrange(10)) for _ in range(rows)]),
        "d": (DATE, [maybe(9000 + r.randrange(60)) for _ in range(rows)]),
        "v": (MONEY, [maybe(r.randrange(-1000, 1000)) for _ in range(rows)]),
        "i": (INT4, [maybe(r.randrange(-50, 50)) for _ in range(rows)]),
        "f": (FLOAT8, [maybe(r.choice([0.5, 1.25, -8.0, 1e6])) for _ in range(rows)]),
        "t": (TEXT, [maybe(r.choice(["a", "b", "c", "dd"])) for _ in range(rows)]),
        "b": (BOOL, [maybe(r.random() < 0.6) for _ in range(rows)]),
        "id": (INT8, list(range(rows))),
    }


def database(columns: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"threads": 1})
    shown = ", ".join(f"{name} {_DUCK[t.name]}" for name, (t, _) in columns.items())
    connection.execute(f"CREATE TABLE w ({shown})")
    shown_columns = [[to_python(v, t) for v in values] for t, values in columns.values()]
    table = pa.table({name: pa.array(v) for name, v in zip(columns, shown_columns, strict=True)})
    connection.register("given", table)
    connection.execute("INSERT INTO w SELECT * FROM given")
    return connection


def bound_sql(bound: FrameBound, key: SqlType | None) -> str:
    words = bound.kind.replace("_", " ").upper()
    if bound.offset is None:
        return words
    value = bound.offset.value
    return f"INTERVAL {value[1]} DAY {words}" if isinstance(value, (list, tuple)) else f"{value} {words}"


def frame_sql(frame: WindowFrame) -> str:
    exclude = f" EXCLUDE {frame.exclude.replace('_', ' ').upper()}" if frame.exclude else ""
    return f"{frame.mode.upper()} BETWEEN {bound_sql(frame.start, None)} AND {bound_sql(frame.end, None)}{exclude}"


def check(columns: dict[str, Any], partition: list[str], order: list[tuple[str, bool]], calls: list[tuple],
          batch_rows: int, form: str) -> None:
    """calls: (sql, name, args, type, frame or None, filter)."""
    task = Task(batch_rows)
    source = task.relation(columns, form=form)
    by_name = {f.name: f for f in source.output}
    made = []
    sql = []
    over = f"PARTITION BY {', '.join(partition)} " if partition else ""
    if order:
        over += "ORDER BY " + ", ".join(f"{n} {'DESC NULLS FIRST' if desc else 'ASC NULLS LAST'}" for n, desc in order)
    for position, (text, name, args, result, frame, chosen) in enumerate(calls):
        refs = tuple(by_name[a].ref() if isinstance(a, str) else a for a in args)
        made.append((Field(10**6 + position, f"w{position}", result),
                     WindowCall(name, refs, result, frame or WindowFrame(), by_name[chosen].ref() if chosen else None)))
        filtered = f" FILTER (WHERE {chosen})" if chosen else ""
        sql.append(f"{text}{filtered} OVER ({over} {frame_sql(frame) if frame else ''})")
    node = Window(source, tuple(by_name[n].ref() for n in partition),
                  tuple(SortKey(by_name[n].ref(), d, d) for n, d in order), tuple(made))
    found = [(row[len(columns) - 1], *row[len(columns):]) for row in task.run(node)]
    with database(columns) as connection:
        wanted = connection.execute(f"SELECT id, {', '.join(sql)} FROM w").fetchall()
    assert alike(found) == alike(wanted), sql


def alike(rows: list[tuple]) -> list[tuple]:
    def one(value: Any) -> Any:
        if isinstance(value, (float, decimal.Decimal)):
            return float(f"{float(value):.12g}") + 0.0
        return value.date() if isinstance(value, datetime.datetime) else value
    return ordered([tuple(one(v) for v in row) for row in rows])


AVERAGE = NUMERIC
UNIQUE = [("o", False), ("id", False)]


@pytest.mark.parametrize(("batch_rows", "form"), [(7, "mixed"), (65536, "plain"), (1, "encoded")])
@pytest.mark.parametrize("partition", [[], ["p"], ["p", "q"]])
def test_ranks_and_values(partition: list[str], batch_rows: int, form: str) -> None:
    columns = data(30 if batch_rows == 1 else 120)
    peers = [("rank()", "rank", [], INT8, None, None), ("dense_rank()", "dense_rank", [], INT8, None, None),
             ("percent_rank()", "percent_rank", [], FLOAT8, None, None),
             ("cume_dist()", "cume_dist", [], FLOAT8, None, None)]
    check(columns, partition, [("o", False)], peers, batch_rows, form)
    check(columns, partition, [("t", True), ("d", False)], peers, batch_rows, form)
    check(columns, partition, [], [("count(*)", "count", [], INT8, None, None)], batch_rows, form)
    exact = [("row_number()", "row_number", [], INT8, None, None),
             ("ntile(3)", "ntile", [Literal(INT4, 3)], INT4, None, None),
             ("ntile(50)", "ntile", [Literal(INT4, 50)], INT4, None, None),
             ("lag(v)", "lag", ["v"], MONEY, None, None), ("lead(t)", "lead", ["t"], TEXT, None, None),
             ("lag(i, 2, -1)", "lag", ["i", Literal(INT4, 2), Literal(INT4, -1)], INT4, None, None),
             ("lead(t, 3, 'none')", "lead", ["t", Literal(INT4, 3), Literal(TEXT, "none")], TEXT, None, None),
             ("first_value(t)", "first_value", ["t"], TEXT, None, None),
             ("last_value(v)", "last_value", ["v"], MONEY, None, None),
             ("nth_value(i, 2)", "nth_value", ["i", Literal(INT4, 2)], INT4, None, None)]
    check(columns, partition, UNIQUE, exact, batch_rows, form)


def bounds(offset: Any, sql_type: SqlType) -> list[tuple[FrameBound, FrameBound]]:
    first, last, here = FrameBound("unbounded_preceding"), FrameBound("unbounded_following"), FrameBound("current_row")
    before, after = FrameBound("preceding", Literal(sql_type, offset)), FrameBound("following", Literal(sql_type, offset))
    nearer = FrameBound("preceding", Literal(sql_type, offset // 2 if isinstance(offset, int) else offset))
    return [(first, here), (first, last), (here, last), (before, after), (before, here), (after, last), (before, nearer),
            (here, here), (first, after)]


AGGREGATES = [("count(*)", "count", [], INT8), ("count(v)", "count", ["v"], INT8), ("sum(v)", "sum", ["v"], numeric(38, 2)),
              ("sum(i)", "sum", ["i"], INT8), ("avg(i)", "avg", ["i"], AVERAGE), ("min(v)", "min", ["v"], MONEY),
              ("max(t)", "max", ["t"], TEXT), ("sum(f)", "sum", ["f"], FLOAT8), ("avg(f)", "avg", ["f"], FLOAT8),
              ("min(d)", "min", ["d"], DATE), ("bool_and(b)", "bool_and", ["b"], BOOL),
              ("var_pop(f)", "var_pop", ["f"], FLOAT8)]
VALUES = [("first_value(i)", "first_value", ["i"], INT4), ("last_value(t)", "last_value", ["t"], TEXT),
          ("nth_value(v, 2)", "nth_value", ["v", Literal(INT4, 2)], MONEY)]


@pytest.mark.parametrize("exclude", ["", "current_row", "group", "ties"])
@pytest.mark.parametrize("mode", ["rows", "groups", "range"])
def test_frames(mode: str, exclude: str) -> None:
    columns = data(60, 5)
    order = UNIQUE if mode == "rows" else [("o", False)]
    for start, end in bounds(2, INT4 if mode == "range" else INT8):
        frame = WindowFrame(mode, start, end, exclude)
        calls = [(*call, frame, None) for call in AGGREGATES]
        if mode == "rows":
            calls += [(*call, frame, None) for call in VALUES]
        check(columns, ["p"], order, calls, 7, "mixed")


def test_descending_ranges_and_filters() -> None:
    columns = data(60, 6)
    for start, end in bounds(2, INT4):
        calls = [(*call, WindowFrame("range", start, end), None) for call in AGGREGATES]
        check(columns, ["q"], [("o", True)], calls, 65536, "plain")
    frame = WindowFrame("rows", FrameBound("preceding", Literal(INT8, 3)), FrameBound("following", Literal(INT8, 1)))
    calls = [(*call, frame, "b") for call in AGGREGATES]
    check(columns, ["q"], UNIQUE, calls, 65536, "plain")
    calls = [(*call, WindowFrame("range", FrameBound("unbounded_preceding"), FrameBound("unbounded_following")), "b")
             for call in AGGREGATES]
    check(columns, ["q"], UNIQUE, calls, 65536, "plain")


def test_date_ranges_take_intervals() -> None:
    columns = data(60, 7)
    for start, end in bounds((0, 10, 0), INTERVAL)[:6]:
        calls = [(*call, WindowFrame("range", start, end), None) for call in AGGREGATES[:4]]
        check(columns, ["p"], [("d", False)], calls, 65536, "plain")


def test_bad_arguments() -> None:
    def run(call: WindowCall) -> None:
        task = Task()
        source = task.relation({"i": (INT4, [1, 2])})
        task.run(Window(source, (), (SortKey(source.output[0].ref()),), ((Field(9, "w", call.type), call),)))

    with pytest.raises(InvalidArgumentForNtile):
        run(WindowCall("ntile", (Literal(INT4, 0),), INT4))
    with pytest.raises(InvalidArgumentForNthValue):
        run(WindowCall("nth_value", (Literal(INT4, 1), Literal(INT4, 0)), INT4))
    for mode in ("rows", "range", "groups"):
        with pytest.raises(InvalidFrameSize):
            run(WindowCall("count", (), INT8, WindowFrame(mode, FrameBound("preceding", Literal(INT4, -1)))))


def test_exact_sums_of_wide_numerics() -> None:
    task = Task(2)
    big = 10**30
    source = task.relation({"n": (numeric(38, 0), [big, big, -big, 1, big])})
    frame = WindowFrame("rows", FrameBound("preceding", Literal(INT8, 1)), FrameBound("current_row"))
    call = WindowCall("sum", (source.output[0].ref(),), numeric(38, 0), frame)
    found = task.run(Window(source, (), (), ((Field(9, "w", numeric(38, 0)), call),)))
    assert [row[1] for row in found] == [big, 2 * big, 0, 1 - big, big + 1]
