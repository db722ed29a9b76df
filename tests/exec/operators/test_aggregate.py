"""Aggregates against DuckDB and plain Python, over every batch size and physical form."""

from __future__ import annotations

import decimal
import random
import statistics
from collections import defaultdict
from typing import Any

import pytest

from shoal.catalog.errors import NumericOutOfRange, OutOfMemory
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, INTERVAL, JSON, JSONB, NUMERIC, TEXT, array_of, numeric
from shoal.exec.plan.expr import AggregateCall, ColumnRef, Literal, SortKey
from shoal.exec.plan.nodes import Aggregate, Field
from tests.exec.operators.context import FORMS, Task, ordered

MONEY = numeric(15, 2)
TOTAL = numeric(38, 2)


def data(rows: int, seed: int = 1) -> dict[str, Any]:
    r = random.Random(seed)

    def maybe(value: Any, share: float = 0.1) -> Any:
        return None if r.random() < share else value
    return {
        "k": (INT8, [maybe(r.choice([1, 2, 3, 10**15, -5])) for _ in range(rows)]),
        "s": (TEXT, [maybe(r.choice(["a", "bb", "", "Ünï"])) for _ in range(rows)]),
        "d": (DATE, [maybe(r.randrange(9000, 9010)) for _ in range(rows)]),
        "v": (MONEY, [maybe(r.randrange(-10**6, 10**6)) for _ in range(rows)]),
        "i": (INT4, [maybe(r.randrange(-100, 100)) for _ in range(rows)]),
        "f": (FLOAT8, [maybe(r.choice([1.5, -0.0, 0.0, 2.25, 1e10])) for _ in range(rows)]),
        "b": (BOOL, [maybe(r.random() < 0.5) for _ in range(rows)]),
        "w": (numeric(40, 2), [maybe(r.choice([10**30 + 7, -10**25, 12, 10**37])) for _ in range(rows)]),
    }


def aggregate(source: Any, groups: list[str], calls: list[tuple], step: str = "single") -> Aggregate:
    by_name = {field.name: field for field in source.output}
    made = []
    for position, (name, args, result, *rest) in enumerate(calls):
        options = rest[0] if rest else {}
        refs = tuple(by_name[arg].ref() if isinstance(arg, str) else arg for arg in args)
        options = {key: by_name[value].ref() if key == "filter" else value for key, value in options.items()}
        if "order_by" in options:
            options["order_by"] = tuple(SortKey(by_name[n].ref(), desc, desc) for n, desc in options["order_by"])
        made.append((Field(10**6 + position, f"a{position}", result), AggregateCall(name, refs, result, **options)))
    return Aggregate(source, tuple(by_name[g] for g in groups), tuple(made), step)  # type: ignore[arg-type]


CALLS = [("count", [], INT8), ("count", ["v"], INT8), ("sum", ["v"], TOTAL), ("sum", ["i"], INT8), ("min", ["v"], MONEY),
         ("max", ["s"], TEXT), ("min", ["s"], TEXT), ("max", ["d"], DATE), ("min", ["f"], FLOAT8), ("sum", ["f"], FLOAT8),
         ("avg", ["v"], NUMERIC), ("avg", ["i"], NUMERIC), ("bool_and", ["b"], BOOL),
         ("bool_or", ["b"], BOOL), ("bit_or", ["i"], INT4), ("count", ["s"], INT8, {"distinct": True}),
         ("sum", ["i"], INT8, {"distinct": True}),
         ("sum", ["v"], TOTAL, {"filter": "b"}), ("count", [], INT8, {"filter": "b"}), ("min", ["i"], INT4, {"filter": "b"}),
         ("sum", ["w"], numeric(45, 2)), ("max", ["w"], numeric(40, 2)), ("sum0", ["i"], INT8)]


def expected(columns: dict[str, Any], groups: list[str], calls: list[tuple]) -> list[tuple]:
    names = list(columns)
    rows = list(zip(*(values for _, values in columns.values()), strict=True))
    grouped: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        record = dict(zip(names, row, strict=True))
        grouped[tuple(record[g] + 0.0 if isinstance(record[g], float) else record[g] for g in groups)].append(record)
    if not groups and not grouped:
        grouped[()] = []
    return [(*(shown(key, columns[g][0]) for key, g in zip(keys, groups, strict=True)),
             *(one(call, members, columns) for call in calls)) for keys, members in grouped.items()]


def shown(value: Any, sql_type: Any) -> Any:
    from shoal.catalog.types import to_python
    return to_python(value, sql_type)


def one(call: tuple, members: list[dict], columns: dict[str, Any]) -> Any:
    name, args, result, *rest = call
    options = rest[0] if rest else {}
    if "filter" in options:
        members = [m for m in members if m[options["filter"]]]
    if not args:
        return len(members)
    values = [m[args[0]] for m in members if m[args[0]] is not None]
    if options.get("distinct"):
        values = list(set(values))
    argument = columns[args[0]][0]
    if name == "count":
        return len(values)
    if name == "sum0":
        return sum(values)
    if not values:
        return None
    if name == "avg":
        return average(sum(values), argument.scale or 0, len(values))
    if name == "bit_or":
        total = 0
        for value in values:
            total |= value
        return total
    found = {"sum": sum, "min": min, "max": lambda v: max(v, key=lambda x: x.encode() if isinstance(x, str) else x),
             "bool_and": all, "bool_or": any}[name](values)
    return shown(found, result if name == "sum" else argument)


def average(total: int, scale: int, count: int) -> decimal.Decimal:
    """As PostgreSQL's division of the sum by the count: 16 significant digits, counted in groups of four."""
    def leading(value: int, scale: int) -> tuple[int, int]:
        weight = (len(str(value)) - 1 - scale) // 4
        return (weight, value * 10**4 // 10 ** (scale + 4 * weight + 4)) if value else (0, 0)
    (top, first), (bottom, second) = leading(abs(total), scale), leading(count, 0)
    digits = max(16 - 4 * (top - bottom - (first <= second)), scale)
    scaled = abs(total) * 10 ** (digits - scale)
    quotient = (2 * scaled + count) // (2 * count)
    return decimal.Decimal(quotient if total >= 0 else -quotient).scaleb(-digits, decimal.Context(prec=100))


def rounded(rows: list[tuple]) -> list[tuple]:
    return ordered([tuple(round(v, 6) + 0.0 if isinstance(v, float) else v for v in row) for row in rows])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_rows", [1, 7, 65536])
@pytest.mark.parametrize("groups", [[], ["k"], ["s"], ["k", "s", "d"], ["f"], ["w"], ["w", "k"], ["b", "i"]])
def test_all_aggregates(groups: list[str], batch_rows: int, form: str) -> None:
    task = Task(batch_rows)
    columns = data({1: 12, 7: 90}.get(batch_rows, 300))
    source = task.relation(columns, form=form)
    assert rounded(task.run(aggregate(source, groups, CALLS))) == rounded(expected(columns, groups, CALLS))


@pytest.mark.parametrize("rows", [0, 5])
def test_without_groups_there_is_one_row(rows: int) -> None:
    task = Task()
    columns = data(rows)
    assert task.run(aggregate(task.relation(columns), [], CALLS)) == expected(columns, [], CALLS)
    assert len(task.run(aggregate(task.relation(columns), ["k"], CALLS))) == min(rows, len(set(columns["k"][1])))


def test_a_partial_step_without_rows_gives_none() -> None:
    task = Task()
    assert task.run(aggregate(task.relation(data(0)), [], [("count", [], INT8)], "partial")) == []


@pytest.mark.parametrize("batch_rows", [7, 500])
def test_growing_ranges_and_many_groups(batch_rows: int) -> None:
    """Keys that start dense, then spread: slots give way to a map while states move along."""
    r = random.Random(3)
    keys = [*range(50), *(r.randrange(-10**6, 10**6) for _ in range(500)), *(r.randrange(-2**63, 2**63) for _ in range(150))]
    texts = [f"key {k % 200}" for k in keys]
    columns = {"k": (INT8, keys), "s": (TEXT, texts), "i": (INT4, [r.choice([None, 1, 2]) for _ in keys])}
    calls = [("count", [], INT8), ("sum", ["i"], INT8), ("max", ["s"], TEXT), ("count", ["i"], INT8, {"distinct": True})]
    for groups in (["k"], ["s"], ["k", "s"], ["s", "i", "k"]):
        task = Task(batch_rows)
        found = task.run(aggregate(task.relation(columns), groups, calls))
        assert ordered(found) == ordered(expected(columns, groups, calls))


@pytest.mark.parametrize("batch_rows", [7, 65536])
def test_partial_then_final(batch_rows: int) -> None:
    r = random.Random(4)
    keys = [r.randrange(400) for _ in range(500)]
    columns = {"k": (INT8, keys), "v": (MONEY, [r.choice([None, 5, 70]) for _ in keys]),
               "b": (BOOL, [k % 3 > 0 for k in keys])}
    task = Task(batch_rows)
    calls = [("count", ["v"], INT8), ("sum", ["v"], TOTAL), ("min", ["v"], MONEY), ("sum", ["v"], TOTAL, {"filter": "b"})]
    partial = aggregate(task.relation(columns), ["k"], calls, "partial")
    merge = [("sum0", 0, INT8), ("sum", 1, TOTAL), ("min", 2, MONEY), ("sum", 3, TOTAL)]
    made = tuple((Field(2 * 10**6 + i, f"m{i}", t), AggregateCall(name, (partial.output[1 + i].ref(),), t))
                 for name, i, t in merge)
    final = Aggregate(partial, partial.groups, made, "final")
    assert ordered(task.run(final)) == ordered(expected(columns, ["k"], calls))


def test_sums_beyond_64_and_128_bits_are_exact() -> None:
    task = Task(7)
    big = 9 * 10**18
    columns = {"v": (numeric(19, 0), [big] * 50 + [-big] * 20), "w": (numeric(38, 0), [10**37] * 70)}
    calls = [("sum", ["v"], numeric(38, 0)), ("sum", ["w"], numeric(76, 0)), ("avg", ["v"], NUMERIC)]
    (row,) = task.run(aggregate(task.relation(columns, form="mixed"), [], calls))
    assert row[:2] == (30 * big, 70 * 10**37)
    assert row[2] == average(30 * big, 0, 70)


def test_bigint_sum_out_of_range() -> None:
    task = Task()
    source = task.relation({"v": (INT8, [2**62, 2**62])})
    with pytest.raises(NumericOutOfRange):
        task.run(aggregate(source, [], [("sum", ["v"], INT8)]))


@pytest.mark.parametrize("form", FORMS)
def test_collected_aggregates(form: str) -> None:
    task = Task(3)
    columns = {"k": (INT8, [1, 1, 2, 1, 2, 3]), "s": (TEXT, ["b", "a", None, "c", "z", None]),
               "i": (INT4, [3, 1, 2, None, 9, None])}
    comma = Literal(TEXT, ",")
    calls = [("string_agg", ["s", comma], TEXT, {"order_by": [("s", False)]}),
             ("string_agg", ["s", comma], TEXT, {"order_by": [("i", True)]}),
             ("array_agg", ["i"], array_of(INT4), {"order_by": [("i", False)]}),
             ("array_agg", ["s"], array_of(TEXT), {"distinct": True}),
             ("any_value", ["i"], INT4)]
    found = ordered(task.run(aggregate(task.relation(columns, form=form), ["k"], calls)))
    assert [row[:5] for row in found] == [
        (1, "a,b,c", "c,b,a", [1, 3, None], ["a", "b", "c"]),
        (2, "z", "z", [2, 9], ["z", None]),
        (3, None, None, [None], [None])]
    assert [row[5] for row in found] == [3, 2, None]


def test_string_agg_uses_each_rows_separator() -> None:
    task = Task(2)
    columns = {"s": (TEXT, ["a", "b", "c", None]), "p": (TEXT, ["1", "2", None, "4"])}
    assert task.run(aggregate(task.relation(columns), [], [("string_agg", ["s", "p"], TEXT)])) == [("a2bc",)]


def test_json_aggregates() -> None:
    task = Task(2)
    columns = {"k": (TEXT, ["b", "a", "b"]), "i": (INT4, [1, None, 3])}
    calls = [("json_agg", ["i"], JSON), ("jsonb_agg", ["k"], JSONB, {"order_by": [("k", False)]}),
             ("json_object_agg", ["k", "i"], JSON), ("jsonb_object_agg", ["k", "i"], JSONB)]
    assert task.run(aggregate(task.relation(columns, form="encoded"), [], calls)) == [
        ("[1, null, 3]", '["a", "b", "b"]', '{ "b" : 1, "a" : null, "b" : 3 }', '{"a": null, "b": 3}')]


def test_statistics() -> None:
    task = Task(2)
    columns = {"f": (FLOAT8, [1.0, 2.0, 4.0, None, 8.0]), "i": (INT4, [1, 2, 3, 4, None]),
               "n": (MONEY, [100, 250, None, 1, 1]), "x": (FLOAT8, [1.0, 2.0, 3.0, 4.0, 5.0])}
    calls = [("stddev", ["f"], FLOAT8), ("var_pop", ["f"], FLOAT8), ("variance", ["i"], NUMERIC),
             ("stddev_pop", ["n"], NUMERIC), ("corr", ["f", "x"], FLOAT8), ("regr_count", ["f", "x"], INT8),
             ("percentile_cont", [Literal(FLOAT8, 0.5), "f"], FLOAT8),
             ("percentile_disc", [Literal(FLOAT8, 0.5), "i"], INT4), ("mode", ["n"], MONEY)]
    (row,) = task.run(aggregate(task.relation(columns), [], calls))
    assert row[0] == pytest.approx(3.0956959368344518)
    assert row[1] == pytest.approx(7.1875)
    assert row[2] == decimal.Decimal("1.6666666666666667")
    assert float(row[3]) == pytest.approx(statistics.pstdev([1, 2.5, 0.01, 0.01]), abs=1e-15)
    assert row[4] == pytest.approx(statistics.correlation([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 3.0, 5.0]))
    assert row[5:] == (4, 3.0, 2, decimal.Decimal("0.01"))


def test_intervals() -> None:
    task = Task(2)
    columns = {"k": (INTERVAL, [[1, 0, 0], [0, 30, 0], [0, 29, 86_400_000_000], [0, 1, 0], None])}
    source = task.relation(columns)
    found = task.run(aggregate(source, ["k"], [("count", [], INT8)]))
    assert sorted(row[1] for row in found) == [1, 1, 3]
    totals = task.run(aggregate(source, [], [("sum", ["k"], INTERVAL), ("min", ["k"], INTERVAL), ("avg", ["k"], INTERVAL)]))
    assert totals == [([1, 60, 86_400_000_000], [0, 1, 0], [0, 22, 64_800_000_000])]


def test_distinct_rows() -> None:
    task = Task(7)
    columns = data(100)
    node = aggregate(task.relation(columns, form="mixed"), ["s", "b"], [])
    assert ordered(task.run(node)) == ordered(list({(s, b) for s, b in zip(columns["s"][1], columns["b"][1], strict=True)}))


def test_memory_is_reserved() -> None:
    task = Task(memory_bytes=1 << 20)
    source = task.relation({"k": (INT8, [i * 1_000_003 for i in range(100_000)])})
    with pytest.raises(OutOfMemory):
        task.run(aggregate(source, ["k"], [("count", [], INT8)]))


def test_column_references_are_resolved_by_id() -> None:
    task = Task()
    source = task.relation({"a": (INT8, [1, 2]), "b": (INT8, [10, 20])})
    call = AggregateCall("sum", (ColumnRef(INT8, source.output[1].id),), numeric(38, 0))
    assert task.run(Aggregate(source, (), ((Field(9, "s", numeric(38, 0)), call),))) == [(30,)]
