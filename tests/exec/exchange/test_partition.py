"""Dividing output: every row goes to one partition, by value alone, in pages of a sensible size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog.types import INT8, TEXT, numeric
from shoal.exec.batch import Batch, Selection
from shoal.exec.exchange import partition
from shoal.exec.exchange.buffer import Page
from shoal.exec.exchange.partition import Partitioner, pages_of
from shoal.exec.plan.fragment import Fragment
from shoal.exec.plan.nodes import Field, Values

FIELDS = (Field(1, "k", INT8), Field(2, "s", TEXT))


def fragment(kind: Any, keys: tuple[int, ...] = (), fields: tuple[Field, ...] = FIELDS) -> Fragment:
    return Fragment(0, Values(fields, ()), "source", kind, keys)


def run(partitioner: Partitioner, batches: list[Batch]) -> list[tuple[int, Page]]:
    return [pair for b in batches for pair in partitioner.add(b)] + list(partitioner.flush())


def batch(start: int, rows: int) -> Batch:
    keys = pa.array(range(start, start + rows))
    return Batch.of([keys, pa.array([f"s{k % 5}" for k in range(start, start + rows)])])


def test_hash_keeps_every_row_once_and_equal_keys_together() -> None:
    pages = run(Partitioner(fragment("hash", (2,)), 4, 1), [batch(n * 100, 100) for n in range(10)])
    assert sorted(k for _, p in pages for k in p.arrays[0].to_pylist()) == list(range(1000))
    where: dict[str, set[int]] = {}
    for number, page in pages:
        for text in page.arrays[1].to_pylist():
            where.setdefault(text, set()).add(number)
    assert all(len(numbers) == 1 for numbers in where.values())
    for number in range(4):
        keys = [k for n, p in pages if n == number for k in p.arrays[0].to_pylist()]
        assert keys == sorted(keys)


def test_small_pieces_are_put_together() -> None:
    pages = run(Partitioner(fragment("hash", (1,)), 4, 1000), [batch(n * 10, 10) for n in range(1000)])
    assert len(pages) <= 12 and sum(p.rows for _, p in pages) == 10_000
    assert len(run(Partitioner(fragment("gather"), 1, 1000), [batch(n, 1) for n in range(500)])) == 1


def test_selected_rows_are_gathered() -> None:
    chosen = batch(0, 100).take(Selection(np.arange(0, 100, 2)))
    (_, page), = run(Partitioner(fragment("broadcast"), 3, 10), [chosen])
    assert page.arrays[0].to_pylist() == list(range(0, 100, 2))


def test_forms_that_differ_are_not_mixed() -> None:
    fields = (Field(1, "n", numeric(30, 2)),)
    narrow, wide = Batch.of([pa.array([1, 2])]), Batch.of([pa.array([1, 2], pa.decimal128(38, 2))])
    pages = run(Partitioner(fragment("gather", (), fields), 1, 1000), [narrow, narrow, wide, narrow])
    assert [p.rows for _, p in pages] == [4, 2, 2]
    coded = [Batch.of([pa.array(texts).dictionary_encode()]) for texts in (["a", "b"], ["a", "b", "a"], ["c"])]
    pages = run(Partitioner(fragment("gather", (), (FIELDS[1],)), 1, 1000), coded)
    assert [p.arrays[0].to_pylist() for _, p in pages] == [["a", "b", "a", "b", "a"], ["c"]]


def test_round_robin_spreads_evenly() -> None:
    pages = run(Partitioner(fragment("round_robin"), 3, 1), [batch(n, 5) for n in range(9)])
    assert [sum(p.rows for n, p in pages if n == number) for number in range(3)] == [15, 15, 15]


def test_large_pages_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "MAX_PAGE_BYTES", 1000)
    array = pa.array(range(1000))
    pages = list(pages_of((array,), 1000))
    assert [p.size_bytes for p in pages] == [1000] * 8
    assert pa.concat_arrays([p.arrays[0] for p in pages]).equals(array)


def test_rows_without_columns_are_counted() -> None:
    pages = run(Partitioner(fragment("gather", (), ()), 1, 100), [Batch((), 30), Batch((), 80), Batch((), 5)])
    assert [p.rows for _, p in pages] == [110, 5]
