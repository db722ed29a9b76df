"""Sort, TopN, Limit, Union, RemoteSource merging, EnforceSingleRow and AssignUniqueId."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest

from shoal.catalog.errors import CardinalityViolation, InvalidLimit, InvalidOffset
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, INTERVAL, TEXT, array_of, numeric, to_python
from shoal.exec.plan.expr import Literal, SortKey
from shoal.exec.plan.nodes import AssignUniqueId, EnforceSingleRow, Field, Limit, Sort, TopN, Union, Values
from tests.exec.operators.context import FORMS, Task

MONEY = numeric(30, 2)


def data(rows: int, seed: int = 1) -> dict[str, Any]:
    r = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if r.random() < 0.15 else value
    return {
        "i": (INT4, [maybe(r.randrange(5)) for _ in range(rows)]),
        "h": (INT8, [maybe(r.choice([-2**63, 2**63 - 1, 0, 5])) for _ in range(rows)]),
        "t": (TEXT, [maybe(r.choice(["b", "a", "ä", "aa", ""])) for _ in range(rows)]),
        "n": (MONEY, [maybe(r.choice([10**25, -10**25, 3, -2**64, 2**64])) for _ in range(rows)]),
        "f": (FLOAT8, [maybe(float(r.choice(["1.5", "-2", "nan", "inf", "-inf", "0", "-0"]))) for _ in range(rows)]),
        "d": (DATE, [maybe(r.randrange(9000, 9004)) for _ in range(rows)]),
        "b": (BOOL, [maybe(r.random() < 0.5) for _ in range(rows)]),
        "v": (INTERVAL, [maybe(r.choice([[1, 0, 0], [0, 30, 0], [0, 29, 1], [-1, 0, 5]])) for _ in range(rows)]),
        "l": (array_of(INT4), [maybe(r.choice([[1], [1, 2], [], [None], [0, 9]])) for _ in range(rows)]),
        "id": (INT8, list(range(rows))),
    }


def value_order(a: Any, b: Any) -> int:
    if isinstance(a, float):
        a, b = (a != a, a), (b != b, b)
        if a[0] and b[0]:
            return 0
    elif isinstance(a, str):
        a, b = a.encode(), b.encode()
    elif isinstance(a, list) and len(a) == 3 and None not in a and isinstance(a, Interval):
        a, b = (x[0] * 30 * 86_400_000_000 + x[1] * 86_400_000_000 + x[2] for x in (a, b))
    elif isinstance(a, list):
        for x, y in zip(a, b, strict=False):
            if x is None or y is None:
                if (x is None) != (y is None):
                    return 1 if x is None else -1
            elif x != y:
                return -1 if x < y else 1
        return len(a) - len(b)
    return (a > b) - (a < b)


class Interval(list):
    pass


def expected(columns: dict[str, Any], keys: list[tuple[str, bool, bool]]) -> list[int]:
    def compare(x: int, y: int) -> int:
        for name, descending, nulls_first in keys:
            sql_type, values = columns[name]
            a, b = values[x], values[y]
            if a is None or b is None:
                if (a is None) != (b is None):
                    return (-1 if nulls_first else 1) * (1 if a is None else -1)
                continue
            if sql_type == INTERVAL:
                a, b = Interval(a), Interval(b)
            found = value_order(a, b)
            if found:
                return -found if descending else found
        return 0
    return sorted(range(len(columns["id"][1])), key=functools.cmp_to_key(compare))


KEYS = [[("i", False, False)], [("i", True, True), ("t", False, True)], [("t", True, False), ("n", False, False)],
        [("n", True, True)], [("f", False, True), ("h", True, False)],
        [("h", False, False), ("n", True, False), ("f", True, True), ("d", False, False)],
        [("b", True, False), ("v", False, False)], [("v", True, True)], [("l", False, False), ("i", True, False)], []]


def sort_keys(source: Any, keys: list[tuple[str, bool, bool]]) -> tuple[SortKey, ...]:
    by_name = {f.name: f for f in source.output}
    return tuple(SortKey(by_name[name].ref(), descending, first) for name, descending, first in keys)


def ids(rows: list[tuple]) -> list[int]:
    return [row[-1] for row in rows]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_rows", [1, 7, 65536])
@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: "".join(k for k, _, _ in keys) or "none")
def test_sort(keys: list[tuple[str, bool, bool]], batch_rows: int, form: str) -> None:
    task, columns = Task(batch_rows), data(60)
    source = task.relation(columns, form=form)
    assert ids(task.run(Sort(source, sort_keys(source, keys)))) == expected(columns, keys)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keys", KEYS[:8], ids=lambda keys: "".join(k for k, _, _ in keys))
def test_top_n(keys: list[tuple[str, bool, bool]], form: str) -> None:
    for batch_rows in (1, 7, 65536):
        for count in (0, 1, 10, 500):
            task, columns = Task(batch_rows), data(20 if batch_rows == 1 else 100)
            source = task.relation(columns, form=form)
            assert ids(task.run(TopN(source, sort_keys(source, keys), count))) == expected(columns, keys)[:count]


@pytest.mark.parametrize("batch_rows", [1, 7, 65536])
@pytest.mark.parametrize("streams", [1, 2, 5])
def test_merging_sorted_streams(streams: int, batch_rows: int) -> None:
    for keys in KEYS[:4]:
        columns = data(90)
        share = -(-90 // streams)
        parts = [{name: (t, values[lane * share:(lane + 1) * share]) for name, (t, values) in columns.items()}
                 for lane in range(streams)]
        arranged: dict[str, tuple[Any, list]] = {name: (t, []) for name, (t, _) in columns.items()}
        for part in parts:
            for row in expected(part, keys):
                for name, (_, values) in part.items():
                    arranged[name][1].append(values[row])
        task = Task(batch_rows)
        source = task.relation(arranged, form="mixed", streams=streams)
        merged = type(source)(source.fragment_id, source.fields, sort_keys(source, keys))
        found = ids(task.run(merged))
        rank = {row: place for place, row in enumerate(expected(columns, keys))}
        names = [name for name, _, _ in keys]
        wanted = [[columns[n][1][row] for n in names] for row in sorted(found, key=rank.__getitem__)]
        assert sorted(found) == list(range(90))
        assert [[columns[n][1][row] for n in names] for row in found] == wanted


def limited(task: Task, count: Any, offset: Any) -> list[int]:
    def expr(value: Any) -> Any:
        return None if value is ... else Literal(INT8, value)
    return ids(task.run(Limit(task.relation({"id": (INT8, list(range(20)))}), expr(count), expr(offset))))


@pytest.mark.parametrize("batch_rows", [1, 7, 65536])
def test_limit(batch_rows: int) -> None:
    rows = list(range(20))
    for count in (..., None, 0, 1, 7, 13, 100):
        for offset in (..., None, 0, 1, 7, 19, 20, 50):
            skip = 0 if offset in (..., None) else offset
            take = len(rows) if count in (..., None) else count
            assert limited(Task(batch_rows), count, offset) == rows[skip:skip + take]


def test_limit_refuses_negative_numbers() -> None:
    with pytest.raises(InvalidLimit):
        limited(Task(), -1, ...)
    with pytest.raises(InvalidOffset):
        limited(Task(), 1, -1)


def test_limit_stops_reading() -> None:
    task = Task(2)
    source = task.relation({"id": (INT8, list(range(20)))})
    task.run(Limit(source, Literal(INT8, 3)))
    assert task.metrics(source).rows == 4


def test_union_maps_columns() -> None:
    task = Task(2)
    a = task.relation({"x": (INT8, [1, 2, 3]), "y": (TEXT, ["a", "b", "c"])})
    b = task.relation({"p": (TEXT, ["z"]), "q": (INT8, [9])})
    fields = (Field(1, "y", TEXT), Field(2, "x", INT8))
    node = Union((a, b), fields, ((a.output[1].id, a.output[0].id), (b.output[0].id, b.output[1].id)))
    assert sorted(task.run(node)) == [("a", 1), ("b", 2), ("c", 3), ("z", 9)]


def test_single_row() -> None:
    for values, expected_rows in (([], [(None,)]), ([5], [(5,)])):
        task = Task(1)
        assert task.run(EnforceSingleRow(task.relation({"x": (INT8, values)}))) == expected_rows
    with pytest.raises(CardinalityViolation):
        task.run(EnforceSingleRow(task.relation({"x": (INT8, [1, 2])})))


def test_unique_ids_differ_between_tasks() -> None:
    found = []
    for partition in range(2):
        task = Task(7, partition=partition)
        found += [row[1] for row in task.run(AssignUniqueId(task.relation({"x": (INT8, [0] * 20)}), Field(5, "id", INT8)))]
    assert len(set(found)) == 40


def test_values() -> None:
    task = Task(2)
    fields = (Field(1, "a", INT4), Field(2, "b", MONEY), Field(3, "c", TEXT))
    rows = tuple((Literal(INT4, i), Literal(MONEY, 10**20 * i), Literal(TEXT, None)) for i in range(5))
    assert task.run(Values(fields, rows)) == [(i, to_python(10**20 * i, MONEY), None) for i in range(5)]
    assert task.run(Values((), ((),))) == [()]
