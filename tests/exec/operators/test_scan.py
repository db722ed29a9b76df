"""Scan over Parquet files: predicates, dynamic filters, skipped splits, limits, projection, reading ahead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.connector import CatalogDefinition, Connector
from shoal.catalog.registry import create
from shoal.catalog.types import BOOL, INT8, TEXT
from shoal.exec.batch import BLOCKED, Batch
from shoal.exec.kernels.membership import KeySet
from shoal.exec.operators import build
from shoal.exec.operators import scan as scan_module
from shoal.exec.plan.expr import Call, Expr, Literal
from shoal.exec.plan.nodes import DynamicFilterUse, Field, Join, Scan, ScanColumn, Values
from tests.exec.operators.context import Task

ROWS = 10_000


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Connector]:
    table = pa.table({"id": np.arange(ROWS), "part": np.arange(ROWS) % 10, "name": [f"n{i % 97}" for i in range(ROWS)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=1000)
    connector = create(CatalogDefinition("files", str(tmp_path)))
    yield connector
    connector.close()


def make(files: Connector, task: Task, columns: tuple[str, ...] = ("id", "part", "name"), **options: Any) -> Scan:
    types = {"id": INT8, "part": INT8, "name": TEXT}
    handle = files.table("public", "t")
    assert handle is not None
    task.connectors["files"] = files
    task.scan_splits[1] = files.splits(handle, columns, 10)
    made = tuple(ScanColumn(Field(i, name, types[name]), name) for i, name in enumerate(columns))
    return Scan(handle, made, scan_id=1, **options)


def less(node: Scan, column: int, value: int) -> Expr:
    return Call(BOOL, "lt", (node.columns[column].field.ref(), Literal(INT8, value)))


@pytest.mark.parametrize("batch_rows", [7, 1 << 16])
def test_predicate_and_projection(files: Connector, batch_rows: int) -> None:
    task = Task(batch_rows)
    node = make(files, task, predicate=less(make(files, task), 1, 2), projected=(2, 0))
    assert sorted(task.run(node)) == sorted((f"n{i % 97}", i) for i in range(ROWS) if i % 10 < 2)


def test_no_columns_still_count(files: Connector) -> None:
    task = Task(777)
    assert sum(batch.rows for batch in task.batches(make(files, task, columns=()))) == ROWS


def test_pieces_without_survivors_are_read_in_part_only(files: Connector) -> None:
    task = Task()
    reads: list[tuple[str, ...]] = []
    honest = files.read

    def read(handle: Any, split: Any, columns: Any, *rest: Any) -> Any:
        reads.append(tuple(columns))
        return honest(handle, split, columns, *rest)
    files.read = read  # type: ignore[method-assign]
    plain = make(files, task)
    node = make(files, task, predicate=Call(BOOL, "eq", (plain.columns[2].field.ref(), Literal(TEXT, "missing"))))
    assert task.run(node) == []
    assert task.metrics(node).details["pieces_skipped"] == ROWS // 1000  # row groups
    assert set(reads) == {("name",)}


def test_dynamic_filter_from_a_join_in_the_same_task(files: Connector) -> None:
    task = Task()
    node = make(files, task, dynamic_filters=(DynamicFilterUse(7, make(files, task).columns[0].field.ref()),))
    keys = Values((Field(100, "k", INT8),), tuple((Literal(INT8, v),) for v in (3, 5005, 20_000)))
    join = Join("inner", node, keys, ((node.output[0].ref(), keys.output[0].ref()),), dynamic_filters=((7, 0),))
    assert sorted(row[0] for row in task.run(join)) == [3, 5005]
    assert task.metrics(node).rows == 2


def test_an_expected_filter_is_awaited_but_not_forever(files: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task()
    task.expected = {7}
    use = (DynamicFilterUse(7, make(files, task).columns[0].field.ref()),)
    stream = iter(build(make(files, task, dynamic_filters=use), task).batches())
    assert [next(stream) for _ in range(3)] == [BLOCKED] * 3
    task.publish_filter(7, KeySet.of(pa.array([42]), INT8))
    found = [batch for batch in stream if isinstance(batch, Batch)]
    assert [batch.array(0).to_pylist() for batch in found] == [[42]]

    monkeypatch.setattr(scan_module, "FILTER_WAIT_S", 0.0)
    task.filters.clear()
    assert sum(batch.rows for batch in task.batches(make(files, task, dynamic_filters=use))) == ROWS


def test_limit_is_for_each_split(files: Connector) -> None:
    task = Task(100)
    node = make(files, task, limit=150)
    assert sum(batch.rows for batch in task.batches(node)) == 200 * len(task.scan_splits[1])


def test_connectors_that_wait_are_read_ahead(files: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task()
    monkeypatch.setattr(type(files), "waits", True)
    node = make(files, task, predicate=less(make(files, task), 0, 10))
    assert sorted(row[0] for row in task.run(node)) == list(range(10))


def test_metrics(files: Connector) -> None:
    task = Task(500)
    node = make(files, task)
    task.run(node)
    metrics = task.metrics(node)
    assert (metrics.label, metrics.rows, metrics.details["splits"]) == ("Scan", ROWS, len(task.scan_splits[1]))
    assert metrics.batches >= 10 and metrics.seconds > 0
