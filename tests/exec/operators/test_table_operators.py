"""TableFunction, TableWrite, Filter and Project."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shoal.catalog.connector import CatalogDefinition, Connector, SupportsWrite, TableHandle
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import DivisionByZero
from shoal.catalog.registry import create
from shoal.catalog.types import BOOL, INT4, INT8, TEXT, array_of
from shoal.exec.batch import Batch
from shoal.exec.operators import build
from shoal.exec.plan.expr import Call, Literal
from shoal.exec.plan.nodes import Field, Filter, Project, TableFunction, TableWrite, Values
from tests.exec.operators.context import Task, ordered

ONE_ROW = Values((), ((),))


@pytest.fixture
def memory() -> Iterator[Connector]:
    connector = create(CatalogDefinition("memory", "memory:"))
    yield connector
    connector.close()


@pytest.mark.parametrize("batch_rows", [1, 7, 65536])
def test_filter_and_project(batch_rows: int) -> None:
    task = Task(batch_rows)
    source = task.relation({"a": (INT4, [1, None, 3, 4]), "b": (INT4, [1, 2, 2, None])}, form="mixed")
    a, b = (f.ref() for f in source.output)
    kept = Filter(source, Call(BOOL, "gt", (a, b)))
    total = Call(INT4, "add", (a, b))
    node = Project(kept, ((Field(50, "t", INT4), total), (source.output[0], a), (Field(51, "u", INT4), total)))
    assert task.run(node) == [(5, 3, 5)]


def test_errors_come_through() -> None:
    task = Task()
    source = task.relation({"a": (INT4, [1, 0])})
    node = Project(source, ((Field(50, "t", INT4), Call(INT4, "div", (Literal(INT4, 1), source.output[0].ref()))),))
    with pytest.raises(DivisionByZero):
        task.run(node)


def test_generate_series() -> None:
    task = Task(10)
    call = ("generate_series", (Literal(INT4, 1), Literal(INT4, 95)))
    node = TableFunction(ONE_ROW, (call,), (Field(1, "g", INT4),), Field(2, "n", INT8))
    batches = task.batches(node)
    assert max(batch.rows for batch in batches) <= 40
    assert task.run(node) == [(i, i) for i in range(1, 96)]


@pytest.mark.parametrize("batch_rows", [1, 7])
def test_functions_side_by_side_and_lateral(batch_rows: int) -> None:
    task = Task(batch_rows)
    source = task.relation({"n": (INT4, [2, 0, None, 1]), "l": (array_of(INT4), [[7], [8, 9], None, []])})
    n, items = (f.ref() for f in source.output)
    functions = (("generate_series", (Literal(INT4, 1), n)), ("unnest", (items,)))
    fields = (Field(60, "g", INT4), Field(61, "u", INT4))
    found = task.run(TableFunction(source, functions, fields, Field(62, "o", INT8)))
    assert [(row[0], *row[2:]) for row in found] == [
        (2, 1, 7, 1), (2, 2, None, 2), (0, None, 8, 1), (0, None, 9, 2), (1, 1, None, 1)]
    outer = task.run(TableFunction(source, functions, fields, None, outer=True))
    assert [(row[0], *row[2:]) for row in outer if row[0] is None] == [(None, None, None)]


def test_write_insert_update_delete(memory: Connector) -> None:
    assert isinstance(memory, SupportsWrite)
    handle = memory.create_table("public", "t", [ColumnInfo("a", INT8), ColumnInfo("b", TEXT)])
    task = Task(2)
    task.connectors["memory"] = memory
    source = task.relation({"x": (INT8, [1, 2, 3]), "y": (TEXT, ["p", None, "q"])}, form="encoded")
    columns = tuple(f.ref() for f in source.output)
    count = Field(90, "rows", INT8)
    assert task.run(TableWrite(source, handle, "insert", columns, count)) == [(3,)]
    returning = tuple((Field(91 + i, c.name, c.type), c) for i, c in enumerate(columns))
    found = ordered(task.run(TableWrite(source, handle, "insert", columns, count, returning)))
    assert found == [(1, "p"), (2, None), (3, "q")]
    assert stored_rows(memory, handle) == 6


def stored_rows(memory: Connector, handle: TableHandle) -> int:
    return sum(b.num_rows for s in memory.splits(handle, ["a"], 1) for b in memory.read(handle, s, ["a"], 100, list))


def test_a_write_that_fails_leaves_nothing(memory: Connector) -> None:
    assert isinstance(memory, SupportsWrite)
    handle = memory.create_table("public", "t", [ColumnInfo("a", INT4)])
    task = Task(1)
    task.connectors["memory"] = memory
    source = task.relation({"x": (INT4, [1, 0])})
    bad = Project(source, ((Field(50, "t", INT4), Call(INT4, "div", (Literal(INT4, 1), source.output[0].ref()))),))
    operator = build(TableWrite(bad, handle, "insert", (bad.output[0].ref(),), Field(90, "rows", INT8)), task)
    with pytest.raises(DivisionByZero):
        list(operator.batches())
    operator.close()
    assert stored_rows(memory, handle) == 0


def test_batches_without_columns() -> None:
    task = Task(3)
    source = task.relation({"a": (INT4, list(range(8)))})
    node = Project(Filter(source, Call(BOOL, "lt", (source.output[0].ref(), Literal(INT4, 5)))), ())
    assert sum(batch.rows for batch in build(node, task).batches() if isinstance(batch, Batch)) == 5
