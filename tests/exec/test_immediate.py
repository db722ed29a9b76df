"""Queries that read nothing, statements and plans that are kept: what is kept, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from shoal.catalog.errors import DivisionByZero
from shoal.catalog.types import INT4
from tests.exec.cluster import Cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables")
    pa.parquet.write_table(pa.table({"a": pa.array([1, 2, 3], pa.int32())}), path / "t.parquet")
    return path


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    with Cluster([("files", str(folder)), ("memory", "memory:")], workers=1, database="files") as running:
        running.session = replace(running.session, key="these tests")
        yield running


def _until(holds: Callable[[], bool]) -> None:
    """Files are listed anew about every second."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("sql", "is_immediate", "is_constant"), [
    ("select 1", True, True),
    ("select 1 + 2, null::int, 'text'", True, True),
    ("select 7 / 2, 2.5 * 2", True, True),
    ("select now(), current_user", True, False),
    ("select case when 1 < 2 then 3 else 4 end", True, True),
    ("select repeat('x', 1000)", False, False),
    ("select pg_sleep(0)", False, False),
    ("select random()", False, False),
    ("select 'pg_class'::regclass", False, False),
    ("select 'aaaa' ~ '(a+)+b'", False, False),
    ("select 1 from t", False, False),
    ("select 1 where false", False, False),
    ("select generate_series(1, 3)", False, False),
])
def test_what_runs_where_it_stands(cluster: Cluster, sql: str, is_immediate: bool, is_constant: bool) -> None:
    prepared = cluster.prepare(sql)
    assert (prepared.immediate is not None) == is_immediate
    assert prepared.immediate is None or prepared.immediate.constant == is_constant


def test_rows_are_those_of_tasks(cluster: Cluster) -> None:
    for sql in ("select 1", "select 7 / 2, -7 % 3, 2.5 * 2, 1 = 2, null::int", "select 'text', date '2024-02-29'"):
        immediate = cluster.prepare(sql).immediate
        assert immediate is not None
        columns = immediate.row(cluster.session.task_settings())
        assert [len(column) for column in columns] == [1] * len(columns)
    assert cluster.rows("select 7 / 2, -7 % 3, 2.5 * 2") == [(3, -1, Decimal("5.0"))]


def test_parameters_and_errors(cluster: Cluster) -> None:
    async def prepared() -> object:
        return await cluster.engine.prepare("select 12 / $1", cluster.session, (INT4,))

    statement = cluster.call(prepared())  # type: ignore[arg-type]
    row = statement.immediate.row  # type: ignore[attr-defined]
    assert [column.to_pylist() for column in row(cluster.session.task_settings(), [5])] == [[2]]
    with pytest.raises(DivisionByZero):
        row(cluster.session.task_settings(), [0])


def test_a_statement_is_kept_and_recalled(cluster: Cluster) -> None:
    assert cluster.engine.recall("select 1 + 41", "these tests") is None
    first = cluster.prepare("select 1 + 41")
    assert cluster.engine.recall("select 1 + 41", "these tests") is first
    assert cluster.engine.recall("select 1 + 41", "others") is None
    assert cluster.prepare("select 1 + 41", replace(cluster.session, key=None)) is not first


def test_a_statement_of_tables_is_kept_while_they_are_the_same(cluster: Cluster, folder: Path) -> None:
    kept = [cluster.prepare("select * from t") for _ in range(4)]
    assert kept[3] is kept[2] is kept[1] and kept[1] is not kept[0]
    assert [field.name for field in kept[3].fields] == ["a"]
    pa.parquet.write_table(pa.table({"b": pa.array([1], pa.int64()), "c": pa.array([1.5])}), folder / "t.parquet")
    _until(lambda: [field.name for field in cluster.prepare("select * from t").fields] == ["b", "c"])
    assert cluster.rows("select * from t") == [(1, 1.5)]
    pa.parquet.write_table(pa.table({"a": pa.array([1, 2, 3], pa.int32())}), folder / "t.parquet")
    _until(lambda: [field.name for field in cluster.prepare("select * from t").fields] == ["a"])


def test_a_new_table_in_memory_takes_the_name(cluster: Cluster) -> None:
    session = replace(cluster.session, database="shoal")
    for _ in range(3):
        assert [field.name for field in cluster.prepare("select * from t", session).fields] == ["a"]
    cluster.rows("create table t (z int)", session=session)
    try:
        assert [field.name for field in cluster.prepare("select * from t", session).fields] == ["z"]
    finally:
        cluster.rows("drop table memory.public.t", session=session)


@pytest.mark.parametrize("sql", ["select date 'today'", "select 'now'::timestamp", "select timetz '12:00'"])
def test_what_reads_the_clock_while_binding_is_not_kept(cluster: Cluster, sql: str) -> None:
    assert cluster.prepare(sql) is not cluster.prepare(sql)


def test_plans_are_kept_while_they_would_come_out_the_same(cluster: Cluster) -> None:
    made: list[tuple[int, ...]] = []

    def make() -> tuple[int, ...]:
        made.append((len(made),))
        return made[-1]

    def planned(sql: str, circumstances: str) -> tuple[int, ...]:
        plans = cluster.prepare(sql).plans
        assert plans is not None
        return plans.fragments(cluster.catalogs, circumstances, make)  # type: ignore[arg-type, return-value]

    sql = "select a from t where a > 1"
    cluster.prepare(sql)
    assert [planned(sql, circumstances) for circumstances in ("s", "s", "other", "other", "s")] == [
        (0,), (0,), (1,), (1,), (2,)]
    for varying in ("select a from t where now() > '2000-01-01'", "select a from t where random() < 2"):
        assert planned(varying, "s") != planned(varying, "s")
