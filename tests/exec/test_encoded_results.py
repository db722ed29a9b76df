"""Rows encoded where they are made are the bytes that the coordinator would have encoded, whatever goes wrong on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.errors import DivisionByZero, FeatureNotSupported, SqlError, WorkerLost
from shoal.catalog.types import storage_type
from shoal.exec.batch import Batch
from shoal.exec.encoding.encoder import encoder_of
from shoal.exec.execution import EncodedRows
from shoal.exec.plan import serde
from shoal.exec.plan.fragment import TaskSettings
from shoal.exec.plan.result import CopyStyle, ResultEncoding
from shoal.exec.session_context import SessionContext
from shoal.exec.worker.result_pages import ResultPages
from tests.exec.cluster import Cluster
from tests.exec.encoding.test_datarow import CASES

ROWS = 120_000
STYLES = [None, CopyStyle(), CopyStyle("csv", ",", "", '"', '"'), CopyStyle("csv", ";", "NULL", "'", "\\"),
          CopyStyle("binary"), CopyStyle("text", "|", "nothing")]
ALL = """select k, k % 3 = 0 as b, (k % 100)::int2 as i2, k::int4 as i4, f, f::float4 as f4, amount, amount::numeric as n,
    name, kind, d, at, at::timestamp as local, at::time as t, k * interval '1 second' as lasting, array[k, null] as both,
    decode(lpad(to_hex(k % 256), 2, '0'), 'hex') as raw from items"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoded")
    numbers = range(ROWS)
    start = datetime(1999, 12, 31, 23, 59, 58, tzinfo=UTC)
    table = pa.table({
        "k": pa.array([n % 30_000 for n in numbers], pa.int64()), "f": [None if n % 7 == 0 else n / 7 for n in numbers],
        "amount": pa.array([Decimal(n * (-1) ** n) / 100 for n in numbers], pa.decimal128(12, 2)),
        "name": [None if n % 11 == 0 else f"näme\t{n}\\" if n % 5 else f'say "{n}",;' for n in numbers],
        "kind": [("red", "green", None)[n % 3] for n in numbers],
        "d": [date(1890, 1, 1) + timedelta(n) if n % 13 else None for n in numbers],
        "at": pa.array([start + timedelta(microseconds=n * 1_000_500) for n in numbers], pa.timestamp("us", "UTC"))})
    pq.write_table(table, path / "items.parquet", row_group_size=ROWS // 8)
    pq.write_table(pa.table({"k": range(40), "wide": ["x" * 300_000] * 40}), path / "wide.parquet", row_group_size=10)
    return path


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    with Cluster([("files", str(folder))], workers=2, database="files") as running:
        yield running


def blocks(cluster: Cluster, sql: str, encoding: ResultEncoding | None, session: SessionContext | None = None,
           ) -> tuple[list[EncodedRows], list[list[pa.Array]], str]:
    """What a statement gives: encoded and plain batches, and its tag."""
    async def work() -> tuple[list[EncodedRows], list[list[pa.Array]], str]:
        chosen = session or cluster.session
        prepared = await cluster.engine.prepare(sql, chosen)
        execution = await cluster.engine.execute(prepared, chosen, encoding=encoding)
        batches = [batch async for batch in execution]
        return ([batch for batch in batches if isinstance(batch, EncodedRows)],
                [batch for batch in batches if not isinstance(batch, EncodedRows)], execution.tag)

    return cluster.call(work())


def messages(data: bytes | memoryview) -> list[bytes]:
    """The messages in `data`, which must hold whole ones, sorted."""
    data, found, at = bytes(data), [], 0
    while at < len(data):
        end = at + 1 + int.from_bytes(data[at + 1:at + 5], "big")
        assert end <= len(data)
        found.append(data[at:end])
        at = end
    return sorted(found)


def encodings(cluster: Cluster, sql: str) -> list[ResultEncoding]:
    types = tuple(field.type for field in cluster.prepare(sql).fields)
    return [ResultEncoding(types, (wire,) * len(types)) for wire in (0, 1)] + [
        ResultEncoding(types, copy=style) for style in STYLES if style is not None]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_workers_encode_what_the_coordinator_would(cluster: Cluster, zone: str) -> None:
    session = SessionContext(database="files", now_us=cluster.session.now_us, time_zone=zone)
    _, batches, _ = blocks(cluster, ALL, None, session)
    for encoding in encodings(cluster, ALL):
        encoder = encoder_of(encoding, session.task_settings())
        expected = b"".join(bytes(block) for arrays in batches for block in encoder.encode(arrays, len(arrays[0])))
        encoded, plain, tag = blocks(cluster, ALL, encoding, session)
        assert not plain and tag == f"SELECT {ROWS}" and sum(block.rows for block in encoded) == ROWS
        assert messages(b"".join(block.data for block in encoded)) == messages(expected)
        for block in encoded:
            assert len(messages(block.data)) == block.rows  # whole messages, as pages of several tasks are mixed


@pytest.mark.parametrize(("sql_type", "array"), [(case[0], case[3]) for case in CASES],
                         ids=[f"{case[1]}-{case[3].type}" for case in CASES])
def test_pages_of_every_type(sql_type: object, array: pa.Array) -> None:
    null = pa.nulls(1, storage_type(sql_type))  # type: ignore[arg-type]
    for encoding in [ResultEncoding((sql_type,), (wire,)) for wire in (0, 1)] + [  # type: ignore[arg-type]
            ResultEncoding((sql_type,), copy=style) for style in STYLES if style is not None]:  # type: ignore[arg-type]
        assert serde.loads(serde.dumps(encoding)) == encoding
        encoder = encoder_of(encoding, TaskSettings(0))
        pages = ResultPages(encoder_of(serde.loads(serde.dumps(encoding)), TaskSettings(0)))
        for part in (array, array.slice(1), null):
            made = [page for _, page in [*pages.add(Batch.of((part,), len(part))), *pages.flush()]]
            assert sum(page.rows for page in made) == len(part)
            expected = b"".join(map(bytes, encoder.encode([part], len(part))))
            assert b"".join(bytes(page.encoded or b"") for page in made) == expected


@pytest.mark.parametrize(("sql", "rows"), [
    ("select from items", ROWS), ("select * from items where k < 0", 0), ("select kind from items", ROWS),
    ("select k, wide from wide", 40), ("select k from items order by k limit 10", 10), ("select count(*) from items", 1),
    ("select generate_series(1, 20000) as n", 20_000), ("select 1 as one where false", 0)])
def test_all_plans(cluster: Cluster, sql: str, rows: int) -> None:
    _, batches, tag = blocks(cluster, sql, None)
    assert tag == f"SELECT {rows}"
    types = tuple(field.type for field in cluster.prepare(sql).fields)
    encoding = ResultEncoding(types, (0,) * len(types))
    encoded, plain, tag = blocks(cluster, sql, encoding)
    assert not plain and tag == f"SELECT {rows}" and sum(block.rows for block in encoded) == rows
    if types:
        encoder = encoder_of(encoding, cluster.session.task_settings())
        expected = b"".join(bytes(block) for arrays in batches for block in encoder.encode(arrays, len(arrays[0])))
        assert messages(b"".join(block.data for block in encoded)) == messages(expected)


def test_ordered_rows_stay_in_order(cluster: Cluster) -> None:
    sql = "select k, amount from items order by amount desc"
    types = tuple(field.type for field in cluster.prepare(sql).fields)
    _, batches, _ = blocks(cluster, sql, None)
    encoding = ResultEncoding(types, (1, 0))
    encoded, _, _ = blocks(cluster, sql, encoding)
    encoder = encoder_of(encoding, cluster.session.task_settings())
    assert b"".join(block.data for block in encoded) == b"".join(
        bytes(block) for arrays in batches for block in encoder.encode(arrays, len(arrays[0])))


def test_names_are_looked_up_where_they_are_known(cluster: Cluster) -> None:
    sql = "select k::int4::regclass as relation from items where k < 5"
    types = tuple(field.type for field in cluster.prepare(sql).fields)
    encoded, plain, _ = blocks(cluster, sql, ResultEncoding(types, (0,)))
    assert plain and not encoded
    encoded, plain, _ = blocks(cluster, sql, ResultEncoding(types, (1,)))
    assert encoded and not plain


def test_a_row_limit_gives_plain_rows(cluster: Cluster) -> None:
    async def work() -> list[object]:
        prepared = await cluster.engine.prepare("select k from items", cluster.session)
        types = tuple(field.type for field in prepared.fields)
        execution = await cluster.engine.execute(prepared, cluster.session, max_rows=7, encoding=ResultEncoding(types, (0,)))
        return [batch async for batch in execution]

    (batch,) = cluster.call(work())
    assert len(batch[0]) == 7  # type: ignore[index]


def test_errors_in_mid_stream(cluster: Cluster) -> None:
    types = tuple(field.type for field in cluster.prepare("select 1 / (amount - 100) as q from items").fields)
    with pytest.raises(DivisionByZero):
        blocks(cluster, "select 1 / (amount - 100) as q from items", ResultEncoding(types, (0,)))
    mixed = "select case when k > 5 then row(k) else row(k, f) end as r from items"  # rows of different fields
    types = tuple(field.type for field in cluster.prepare(mixed).fields)
    with pytest.raises(FeatureNotSupported):
        blocks(cluster, mixed, ResultEncoding(types, (1,)))


def test_a_worker_killed_in_mid_stream_is_an_error(folder: Path) -> None:
    async def work(cluster: Cluster) -> int:
        prepared = await cluster.engine.prepare("select a.k, a.name from items a, items b where b.k < 20", cluster.session)
        types = tuple(field.type for field in prepared.fields)
        execution = await cluster.engine.execute(prepared, cluster.session, encoding=ResultEncoding(types, (0, 0)))
        seen = 0
        async for batch in execution:
            assert isinstance(batch, EncodedRows)
            seen += batch.rows
            if seen == batch.rows:
                for process in cluster.engine.local_pids.values():
                    os.kill(process, signal.SIGKILL)
        return seen

    with Cluster([("files", str(folder))], workers=2, database="files") as cluster, pytest.raises(SqlError) as caught:
        cluster.call(work(cluster))
    assert isinstance(caught.value, WorkerLost)
