"""Recursion: turn by turn until nothing new comes, with what stays the same read once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from shoal.catalog.errors import OutOfMemory, QueryCanceled
from shoal.catalog.types import BOOL, INT4, INT8, TEXT
from shoal.exec.batch import Batch
from shoal.exec.operators import build
from shoal.exec.plan.expr import Literal, call
from shoal.exec.plan.nodes import (
    Field,
    Filter,
    Join,
    Limit,
    Materialize,
    PlanNode,
    Project,
    Recursion,
    Values,
    WorkingTable,
)
from tests.exec.operators.context import FORMS, Task, ordered


def counting(limit: int | None, distinct: bool = False) -> Recursion:
    """1, 2, 3 ... up to `limit`."""
    start = Field(1, "n", INT8)
    working = WorkingTable(7, (Field(2, "n", INT8),))
    kept: PlanNode = working
    if limit is not None:
        kept = Filter(working, call("lt", BOOL, working.fields[0].ref(), Literal(INT8, limit)))
    following = Field(3, "n", INT8)
    step = Project(kept, ((following, call("add", INT8, working.fields[0].ref(), Literal(INT8, 1))),))
    return Recursion(7, (Values((start,), ((Literal(INT8, 1),),)), step), (Field(4, "n", INT8),), ((1,), (3,)), distinct)


def reachable(task: Task, edges: PlanNode, start: Values, distinct: bool = True) -> Recursion:
    """What is reached over `edges` (two columns)."""
    fields = start.output
    working = WorkingTable(8, tuple(Field(500 + i, f.name, f.type) for i, f in enumerate(fields)))
    source, target = edges.output
    step = Join("inner", working, Materialize(edges), ((working.fields[0].ref(), source.ref()),))
    return Recursion(8, (start, step), (Field(600, "x", fields[0].type),), ((fields[0].id,), (target.id,)), distinct)


@pytest.mark.parametrize("distinct", [False, True])
def test_turns_until_nothing_is_new(distinct: bool) -> None:
    task = Task()
    plan = counting(100, distinct)
    assert task.run(plan) == [(n,) for n in range(1, 101)]
    assert task.metrics(plan).details["turns"] == 100


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_rows", [3, 65_536])
@pytest.mark.parametrize("seed", range(3))
def test_union_reaches_each_once(form: str, batch_rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    names = ["a", "b", "c", "d", "e", "f", "g", None]
    pairs = [(names[i], names[j]) for i, j in random.integers(0, len(names), (9, 2))]
    task = Task(batch_rows=batch_rows)
    edges = task.relation({"s": (TEXT, [a for a, _ in pairs]), "t": (TEXT, [b for _, b in pairs])}, form=form, seed=seed)
    start = Values((Field(1, "x", TEXT),), ((Literal(TEXT, "a"),), (Literal(TEXT, "a"),)))
    found = {"a"}
    while True:
        more = {b for a, b in pairs if a in found and a is not None} - found
        if not more:
            break
        found |= more
    assert ordered(task.run(reachable(task, edges, start))) == ordered([(name,) for name in found])


def test_union_all_keeps_duplicates() -> None:
    task = Task()
    edges = task.relation({"s": (INT4, [1, 1, 2, 3]), "t": (INT4, [2, 3, 4, 4])})
    start = Values((Field(1, "x", INT4),), ((Literal(INT4, 1),),))
    assert ordered(task.run(reachable(task, edges, start, distinct=False))) == [(1,), (2,), (3,), (4,), (4,)]


def test_nothing_to_start_from() -> None:
    task = Task()
    edges = task.relation({"s": (INT4, [1]), "t": (INT4, [1])})
    assert task.run(reachable(task, edges, Values((Field(1, "x", INT4),), ()))) == []


def test_the_reader_can_stop_an_endless_recursion() -> None:
    assert Task().run(Limit(counting(None), Literal(INT8, 5))) == [(n,) for n in range(1, 6)]


def test_an_endless_recursion_can_be_cancelled() -> None:
    class Canceled(Task):
        turns = 0

        def turn_over(self) -> bool:
            self.turns += 1
            if self.turns > 50:
                raise QueryCanceled("canceling statement due to user request")
            return False

    with pytest.raises(QueryCanceled):
        Canceled().run(counting(None))


def test_memory_is_accounted_and_given_back() -> None:
    task = Task()
    task.run(counting(10_000, distinct=True))
    assert task.held and not any(task.held.values())
    with pytest.raises(OutOfMemory):
        Task(memory_bytes=10_000).run(counting(100_000, distinct=True))


def test_what_stays_the_same_is_read_once() -> None:
    task = Task()
    chain = task.relation({"s": (INT4, list(range(50))), "t": (INT4, list(range(1, 51)))})
    plan = reachable(task, chain, Values((Field(1, "x", INT4),), ((Literal(INT4, 0),),)))
    assert task.run(plan) == [(n,) for n in range(51)]
    assert task.metrics(chain).rows == 50


def test_an_inner_recursion_starts_anew_in_each_turn_of_the_outer() -> None:
    """Outer rows 1, 2, 3; in each turn the inner one counts from the outer row to 3, and its largest + 1 is next."""
    ids = itertools.count(100)
    outer = WorkingTable(1, (Field(next(ids), "x", INT8),))
    small = Filter(outer, call("lt", BOOL, outer.fields[0].ref(), Literal(INT8, 3)))
    inner = WorkingTable(2, (Field(next(ids), "y", INT8),))
    limits = Project(WorkingTable(1, (Field(next(ids), "z", INT8),)), ())
    bounded = Filter(inner, call("lt", BOOL, inner.fields[0].ref(), Literal(INT8, 3)))
    again = Field(next(ids), "y", INT8)
    step = Project(Join("inner", bounded, Materialize(limits)),
                   ((again, call("add", INT8, inner.fields[0].ref(), Literal(INT8, 1))),))
    made = Field(next(ids), "y", INT8)
    nested = Recursion(2, (small, step), (made,), ((outer.fields[0].id,), (again.id,)))
    above = Filter(nested, call("gt", BOOL, made.ref(), Literal(INT8, 1)))
    start = Field(next(ids), "x", INT8)
    result = Field(next(ids), "x", INT8)
    plan = Recursion(1, (Values((start,), ((Literal(INT8, 1),),)), above), (result,), ((start.id,), (made.id,)))
    # turn 1: 1 -> 2, 3; turn 2: 2, 3 -> 2, 3 (two limits a row: 3 twice); turn 3: 2, 3, 3 ... the 2 comes back for ever
    stream = build(Limit(plan, Literal(INT8, 6)), Task()).batches()
    rows = [value for batch in stream if isinstance(batch, Batch) for value in batch.array(0).to_pylist()]
    assert rows[:3] == [1, 2, 3] and sorted(rows[3:6]) == [2, 3, 3]
