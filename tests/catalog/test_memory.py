"""The memory connector: writing, snapshots, row identity, accounting."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog.connector import CatalogDefinition, TableHandle
from shoal.catalog.connectors.batches import from_rows
from shoal.catalog.connectors.memory import MemoryConnector
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    ConfigurationError,
    DependentObjectsStillExist,
    DuplicateColumn,
    DuplicateSchema,
    DuplicateTable,
    InvalidSchemaName,
    NotNullViolation,
    ObjectNotInPrerequisiteState,
    OutOfMemory,
    SerializationFailure,
    UndefinedTable,
)
from shoal.catalog.types import DATE, INT4, INT8, TEXT, numeric
from tests.catalog.connector_contract import ConnectorContract, KnownTable

COLUMNS = (ColumnInfo("id", INT8, nullable=False), ColumnInfo("word", TEXT), ColumnInfo("amount", numeric(8, 2)))


@pytest.fixture
def memory() -> MemoryConnector:
    return MemoryConnector(CatalogDefinition("memory", "memory:"))


def make(memory: MemoryConnector, rows: Sequence[tuple[Any, ...]] = (), name: str = "t") -> TableHandle:
    handle = memory.create_table("public", name, COLUMNS)
    insert(memory, handle, rows)
    return handle


def insert(memory: MemoryConnector, handle: TableHandle, rows: Sequence[tuple[Any, ...]]) -> None:
    writer = memory.insert(handle)
    writer.append(from_rows([(c.name, c.type) for c in COLUMNS], rows))
    writer.commit()


def table(memory: MemoryConnector, handle: TableHandle, columns: Sequence[str] = ("id", "word", "amount"),
          target: int = 1) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for split in memory.splits(handle, columns, target)
            for batch in memory.read(handle, split, columns, 1000, lambda: ()) for row in batch.to_pylist()]


def ids_where(memory: MemoryConnector, handle: TableHandle, ids: set[int]) -> list[int]:
    return [row_id for row_id, i in table(memory, handle, ["$row_id", "id"]) if i in ids]


def test_insert_is_visible_at_commit_only(memory: MemoryConnector) -> None:
    handle = make(memory)
    assert memory.splits(handle, ["id"], 4) == []
    writer = memory.insert(handle)
    writer.append(from_rows([(c.name, c.type) for c in COLUMNS], [(1, "a", Decimal("1.50")), (2, None, None)]))
    assert table(memory, handle) == []
    writer.commit()
    assert table(memory, handle) == [(1, "a", 150), (2, None, None)]
    aborted = memory.insert(handle)
    aborted.append(from_rows([(c.name, c.type) for c in COLUMNS], [(3, "c", None)]))
    aborted.abort()
    assert len(table(memory, handle)) == 2


def test_names_and_schemas(memory: MemoryConnector) -> None:
    before = memory.version()
    handle = make(memory)
    assert memory.version() != before
    with pytest.raises(DuplicateTable):
        make(memory)
    with pytest.raises(InvalidSchemaName):
        memory.create_table("nope", "t", COLUMNS)
    with pytest.raises(DuplicateColumn):
        memory.create_table("public", "u", (*COLUMNS, COLUMNS[0]))
    memory.create_schema("s")
    with pytest.raises(DuplicateSchema):
        memory.create_schema("s")
    memory.create_table("s", "t", COLUMNS)
    assert memory.schemas() == ["public", "s"]
    with pytest.raises(DependentObjectsStillExist):
        memory.drop_schema("s")
    memory.drop_schema("s", cascade=True)
    with pytest.raises(InvalidSchemaName):
        memory.drop_schema("s")
    memory.drop_table(handle)
    assert memory.table("public", "t") is None
    with pytest.raises(UndefinedTable):
        memory.drop_table(handle)


def test_row_id_is_hidden(memory: MemoryConnector) -> None:
    handle = make(memory)
    assert [(c.name, c.hidden) for c in memory.columns(handle)] == [("id", False), ("word", False), ("amount", False),
                                                                    ("$row_id", True)]


def test_not_null(memory: MemoryConnector) -> None:
    handle = make(memory, [(1, "a", None)])
    with pytest.raises(NotNullViolation, match='column "id" of relation "t"') as caught:
        insert(memory, handle, [(2, "b", None), (None, "c", None)])
    assert caught.value.detail == "Failing row contains (null, c, null)."
    writer = memory.update(handle)
    with pytest.raises(NotNullViolation):
        writer.append(from_rows([("$row_id", INT8), *((c.name, c.type) for c in COLUMNS)], [(0, None, "x", None)]))
    writer.abort()


def test_delete_and_update(memory: MemoryConnector) -> None:
    handle = make(memory, [(i, f"w{i}", Decimal(i)) for i in range(10)])
    delete = memory.delete(handle)
    delete.append(from_rows([("$row_id", INT8)], [(i,) for i in ids_where(memory, handle, {3, 4})]))
    delete.commit()
    assert [i for i, _, _ in table(memory, handle)] == [0, 1, 2, 5, 6, 7, 8, 9]
    [old] = ids_where(memory, handle, {7})
    update = memory.update(handle)
    schema = [("$row_id", INT8), *((c.name, c.type) for c in COLUMNS)]
    update.append(from_rows(schema, [(old, 70, "seventy", None)]))
    update.append(from_rows(schema, [(old, 71, "matched twice: the first counts", None)]))
    update.commit()
    assert (70, "seventy", None) in table(memory, handle) and len(table(memory, handle)) == 8
    again = memory.update(handle)
    again.append(from_rows(schema, [(old, 1, "lost", None)]))
    with pytest.raises(SerializationFailure):
        again.commit()
    assert (70, "seventy", None) in table(memory, handle)


def test_truncate_and_statistics(memory: MemoryConnector) -> None:
    handle = make(memory, [(i, f"w{i % 4}", None if i % 2 else Decimal(i)) for i in range(100)])
    found = memory.statistics(handle)
    assert found.rows == 100
    assert (found.columns["id"].minimum, found.columns["id"].maximum) == (0, 99)
    assert found.columns["amount"].maximum == Decimal(98) and found.columns["amount"].null_fraction == 0.5
    assert found.columns["word"].distinct == 4
    memory.truncate(handle)
    assert table(memory, handle) == [] and memory.statistics(handle).rows == 0 and memory.bytes_used() == 0


def test_readers_keep_their_state(memory: MemoryConnector) -> None:
    handle = make(memory, [(i, "w", None) for i in range(10)])
    pinned = memory.begin("q", handle)
    other = make(memory, [], "later")
    memory.truncate(handle)
    insert(memory, handle, [(99, "new", None)])
    assert [i for i, _, _ in table(memory, pinned)] == list(range(10))
    memory.drop_table(handle)
    assert len(table(memory, pinned)) == 10
    with pytest.raises(UndefinedTable):
        memory.splits(memory.begin("q", other), ["id"], 1)  # it did not exist then
    memory.end("q")
    with pytest.raises(UndefinedTable):
        table(memory, pinned)


def test_unpinned_splits_last_for_a_few_more(memory: MemoryConnector) -> None:
    handle = make(memory, [(1, "w", None)])
    [split] = memory.splits(handle, ["id"], 1)
    for i in range(3):
        insert(memory, handle, [(i, "w", None)])
    assert [b.num_rows for b in memory.read(handle, split, ["id"], 10, lambda: ())] == [1]
    for i in range(5):
        insert(memory, handle, [(i, "w", None)])
        memory.splits(handle, ["id"], 1)
    with pytest.raises(ObjectNotInPrerequisiteState):
        list(memory.read(handle, split, ["id"], 10, lambda: ()))


def test_insert_from_itself(memory: MemoryConnector) -> None:
    handle = make(memory, [(i, "w", None) for i in range(1000)])
    writer = memory.insert(handle)
    names = [c.name for c in COLUMNS]
    for split in memory.splits(handle, names, 1):
        for batch in memory.read(handle, split, names, 100, lambda: ()):
            writer.append(batch)
    writer.commit()
    assert len(table(memory, handle)) == 2000


def test_small_inserts_merge_whatever_their_storage_form(memory: MemoryConnector) -> None:
    handle = make(memory)
    for i in range(200):
        word = pa.array(["x"]).dictionary_encode() if i % 3 == 0 else pa.array(["y"])
        amount = pa.array([i]) if i % 2 else pa.array([Decimal(i).scaleb(-2)], pa.decimal128(38, 2))
        writer = memory.insert(handle)
        writer.append(pa.RecordBatch.from_arrays([pa.array([i]), word, amount], names=["id", "word", "amount"]))
        writer.commit()
    table_ = memory.relation(handle)
    assert len(table_.segments) < 12
    found = table(memory, handle)
    assert [i for i, _, _ in found] == list(range(200))
    assert all((a if isinstance(a, int) else int(a.scaleb(2))) == i for i, _, a in found)
    assert len({row_id for row_id, in table(memory, handle, ["$row_id"])}) == 200


def test_large_tables_divide(memory: MemoryConnector) -> None:
    handle = memory.create_table("public", "n", (ColumnInfo("i", INT4),))
    writer = memory.insert(handle)
    for start in range(0, 500_000, 50_000):
        writer.append(pa.RecordBatch.from_arrays([pa.array(np.arange(start, start + 50_000, dtype=np.int32))], names=["i"]))
    writer.commit()
    splits = memory.splits(handle, ["i"], 3)
    assert len(splits) == 3 and sum(split.rows or 0 for split in splits) == 500_000
    total = sum(batch.column(0).to_numpy().sum(dtype=np.int64)
                for split in splits for batch in memory.read(handle, split, ["i"], 65_536, lambda: ()))
    assert total == 499_999 * 500_000 // 2


def test_limit_of_bytes() -> None:
    memory = MemoryConnector(CatalogDefinition("memory", "memory:?max_bytes=1kB"))
    handle = make(memory, [(1, "a", None)])
    with pytest.raises(OutOfMemory, match="1024 bytes"):
        insert(memory, handle, [(i, "word" * 10, None) for i in range(100)])
    assert len(table(memory, handle)) == 1
    with pytest.raises(ConfigurationError, match='unknown option "max_byte"'):
        MemoryConnector(CatalogDefinition("memory", "memory:?max_byte=1kB"))


def test_batches_do_not_keep_larger_buffers_alive(memory: MemoryConnector) -> None:
    handle = memory.create_table("public", "n", (ColumnInfo("i", INT8),))
    large = pa.RecordBatch.from_arrays([pa.array(np.arange(1_000_000))], names=["i"])
    writer = memory.insert(handle)
    writer.append(large.slice(10, 5))
    writer.commit()
    assert memory.relation(handle).segments[0].columns[0].get_total_buffer_size() < 1000


def test_concurrent_inserts(memory: MemoryConnector) -> None:
    handle = make(memory)
    threads = [threading.Thread(target=lambda n=n: [insert(memory, handle, [(n, "w", None)]) for _ in range(50)])
               for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row_id for row_id, in table(memory, handle, ["$row_id"])}) == 200


CONTRACT_ROWS = [(i, None if i % 7 == 0 else f"wörd {i % 13:02}", Decimal(i * 37 % 1000).scaleb(-2) if i % 5 else None,
                  datetime.date(2020, 1, 1) + datetime.timedelta(days=i % 29)) for i in range(60)]


class TestMemoryContract(ConnectorContract):
    @pytest.fixture
    def connector(self, memory: MemoryConnector) -> MemoryConnector:
        columns = (*COLUMNS, ColumnInfo("day", DATE))
        handle = memory.create_table("public", "known", columns)
        writer = memory.insert(handle)
        writer.append(from_rows([(c.name, c.type) for c in columns], CONTRACT_ROWS))
        writer.commit()
        return memory

    @pytest.fixture
    def known(self) -> KnownTable:
        return KnownTable("public", "known", CONTRACT_ROWS)
