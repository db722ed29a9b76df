"""Every join kind against nested loops in Python: build sides, key types, NULLs, conditions, batch sizes, forms."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shoal.catalog.errors import OutOfMemory
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT2, INT4, INT8, TEXT, numeric, to_python
from shoal.exec.plan.expr import Call
from shoal.exec.plan.nodes import Field, Join, PlanNode
from tests.exec.operators.context import Task, ordered

KINDS = ("inner", "left", "right", "full", "semi", "anti", "mark")
MONEY = numeric(30, 2)


def side(rows: int, seed: int, domain: int) -> dict[str, Any]:
    r = random.Random(seed)

    def maybe(value: Any) -> Any:
        return None if r.random() < 0.1 else value
    return {
        "i": (INT8, [maybe(r.randrange(domain)) for _ in range(rows)]),
        "j": (INT4, [maybe(r.randrange(4)) for _ in range(rows)]),
        "t": (TEXT, [maybe(r.choice(["x", "y", "zz", "", "long " * 60])) for _ in range(rows)]),
        "n": (MONEY, [maybe(r.choice([5, -7, 10**25, 2**63])) for _ in range(rows)]),
        "h": (INT8, [maybe(r.randrange(domain) * 10**16 - 10**17) for _ in range(rows)]),
        "d": (DATE, [maybe(9000 + r.randrange(domain)) for _ in range(rows)]),
        "f": (FLOAT8, [maybe(r.choice([0.0, -0.0, 1.5, float("inf")])) for _ in range(rows)]),
        "v": (INT4, [r.randrange(10) for _ in range(rows)]),
    }


def join(left: PlanNode, right: PlanNode, kind: str, names: list[tuple[str, str]], build: str,
         condition: bool = False, **options: Any) -> Join:
    lefts, rights = ({f.name: f for f in side.output} for side in (left, right))
    residual = Call(BOOL, "lt", (lefts["v"].ref(), rights["v"].ref())) if condition else None
    mark = Field(10**7, "mark", BOOL) if kind == "mark" else None
    return Join(kind, left, right, tuple((lefts[a].ref(), rights[b].ref()) for a, b in names), residual, mark=mark,  # type: ignore[arg-type]
                build=build, **options)  # type: ignore[arg-type]


def as_rows(columns: dict[str, Any]) -> list[tuple]:
    shown = [[to_python(v, t) for v in values] for t, values in columns.values()]
    return list(zip(*shown, strict=True))


def expected(left: dict[str, Any], right: dict[str, Any], kind: str, names: list[tuple[str, str]], condition: bool,
             null_aware: bool = False) -> list[tuple]:
    lefts, rights = as_rows(left), as_rows(right)
    left_names, right_names = list(left), list(right)
    keys = [(left_names.index(a), right_names.index(b)) for a, b in names]
    lv, rv = left_names.index("v"), right_names.index("v")

    def truth(a: tuple, b: tuple) -> bool | None:
        result: bool | None = True
        for place, (x, y) in enumerate(keys):
            if a[x] is None or b[y] is None:
                if place < len(keys) - 1:
                    return False  # a correlating key: the row is not in the subquery's result
                result = None
            elif a[x] != b[y]:
                return False
        return False if condition and not a[lv] < b[rv] else result

    found: list[tuple] = []
    used: set[int] = set()
    for a in lefts:
        answers = [truth(a, b) for b in rights]
        hits = [i for i, answer in enumerate(answers) if answer]
        used.update(hits)
        unknown = null_aware and not hits and any(answer is None for answer in answers)
        if kind in ("inner", "left", "right", "full"):
            found += [a + rights[i] for i in hits]
            if not hits and kind in ("left", "full"):
                found.append(a + (None,) * len(right_names))
        elif (kind == "semi" and hits) or (kind == "anti" and not hits and not unknown):
            found.append(a)
        elif kind == "mark":
            found.append((*a, None if unknown else bool(hits)))
    if kind in ("right", "full"):
        found += [(None,) * len(left_names) + b for i, b in enumerate(rights) if i not in used]
    return found


KEYS = [[("i", "i")], [("t", "t")], [("j", "v")], [("n", "n")], [("h", "h")], [("i", "i"), ("t", "t")],
        [("d", "d"), ("j", "j"), ("n", "n")], [("f", "f")], []]


@pytest.mark.parametrize("build", ["left", "right"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", KEYS, ids=lambda names: "".join(a for a, _ in names) or "none")
def test_kinds(names: list[tuple[str, str]], kind: str, build: str) -> None:
    for batch_rows, form, condition, rows in ((1, "plain", False, 9), (7, "mixed", True, 30), (7, "encoded", False, 30),
                                              (65536, "mixed", False, 40)):
        left, right = side(rows, 1, 15), side(rows - 5, 2, 15)
        task = Task(batch_rows)
        node = join(task.relation(left, form=form), task.relation(right, form=form, seed=9), kind, names, build, condition)
        assert ordered(task.run(node)) == ordered(expected(left, right, kind, names, condition)), (batch_rows, form)


@pytest.mark.parametrize("kind", ["anti", "mark"])
@pytest.mark.parametrize("build", ["left", "right"])
@pytest.mark.parametrize("names", [[("i", "i")], [("j", "j"), ("i", "i")], [("j", "j"), ("t", "t")], [("t", "t")]])
@pytest.mark.parametrize("condition", [False, True])
def test_null_aware(kind: str, build: str, names: list[tuple[str, str]], condition: bool) -> None:
    for batch_rows in (3, 65536):
        for rows in (0, 1, 20):
            left, right = side(20, 5, 30), side(rows, 6, 30)
            task = Task(batch_rows)
            node = join(task.relation(left), task.relation(right), kind, names, build, condition, null_aware=True)
            assert ordered(task.run(node)) == ordered(expected(left, right, kind, names, condition, True))


def test_not_in_without_nulls() -> None:
    left, right = {"v": (INT4, [1, 2, None])}, {"v": (INT4, [2, 3])}
    task = Task()
    node = join(task.relation(left), task.relation(right), "anti", [("v", "v")], "right", null_aware=True)
    assert task.run(node) == [(1,)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", ["left", "right"])
@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (0, 0)])
def test_empty_sides(kind: str, build: str, sizes: tuple[int, int]) -> None:
    left, right = side(sizes[0], 1, 5), side(sizes[1], 2, 5)
    for names in ([("i", "i")], []):
        task = Task(7)
        node = join(task.relation(left), task.relation(right), kind, names, build)
        assert ordered(task.run(node)) == ordered(expected(left, right, kind, names, False))


def test_an_empty_build_side_stops_an_inner_join_from_reading() -> None:
    task = Task(7)
    left, right = task.relation(side(50, 1, 5)), task.relation(side(0, 2, 5))
    task.run(join(left, right, "inner", [("i", "i")], "right"))
    assert task.metrics(left).batches == 0


def test_integer_keys_of_different_widths() -> None:
    left = {"a": (INT2, [1, 2, 3]), "v": (INT4, [0, 0, 0])}
    right = {"a": (INT8, [3, 2, 2**40]), "v": (INT4, [0, 0, 0])}
    task = Task()
    node = join(task.relation(left), task.relation(right), "semi", [("a", "a")], "right")
    assert ordered(task.run(node)) == [(2, 0), (3, 0)]


def test_many_duplicates_come_in_bounded_batches() -> None:
    task = Task(100)
    left = {"i": (INT8, [7] * 300), "v": (INT4, list(range(300)))}
    right = {"i": (INT8, [7] * 1000), "v": (INT4, list(range(1000)))}
    batches = task.batches(join(task.relation(left), task.relation(right), "inner", [("i", "i")], "right"))
    assert sum(batch.rows for batch in batches) == 300_000
    assert max(batch.rows for batch in batches) <= 400


def test_columns_are_not_gathered_before_they_are_read() -> None:
    task = Task()
    columns = side(50, 3, 50)
    (batch,) = task.batches(join(task.relation(columns), task.relation(columns), "inner", [("i", "i")], "right"))
    assert all(column._array is None for column in batch.columns)


def test_dynamic_filters_are_published() -> None:
    task = Task()
    left, right = task.relation({"v": (INT4, [1, 2])}), task.relation({"v": (INT4, [5, None, 9])})
    task.run(join(left, right, "inner", [("v", "v")], "right", dynamic_filters=((4, 0),)))
    assert (task.filters[4].minimum, task.filters[4].maximum) == (5, 9)


def test_memory_is_reserved() -> None:
    task = Task(memory_bytes=100_000)
    columns = {"i": (INT8, list(range(100_000))), "v": (INT4, [0] * 100_000)}
    with pytest.raises(OutOfMemory):
        task.run(join(task.relation(columns), task.relation(columns), "inner", [("i", "i")], "right"))
