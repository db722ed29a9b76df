"""Plain pages decoded without Arrow's reader: the same values, or None for what is Arrow's to read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.connectors.files import plain_pages

ROWS = 5000
NUMBERS = np.random.default_rng(1).integers(-(1 << 31), 1 << 31, ROWS)
COLUMNS = {
    "int4": pa.array(NUMBERS.astype(np.int32)), "int8": pa.array(NUMBERS << 20),
    "float4": pa.array(NUMBERS.astype(np.float32)), "float8": pa.array(NUMBERS / 7),
    "date": pa.array((NUMBERS >> 12).astype(np.int32), pa.date32()),
    "timestamp": pa.array(NUMBERS << 16, pa.timestamp("us"))}


@pytest.fixture(params=["with cramjam", "without"])
def snappy(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without":
        monkeypatch.setattr(plain_pages, "cramjam", None)


def decoded(path: Path, leaf: int = 0) -> list[pa.Array | None]:
    """The column of each row group, None where it is left to Arrow."""
    metadata = pq.read_metadata(path)
    arrow = metadata.schema.to_arrow_schema().field(leaf).type
    with pa.OSFile(str(path)) as file:
        chunks = [plain_pages.plain_chunk(metadata, group, leaf, arrow) for group in range(metadata.num_row_groups)]
        return [None if chunk is None else plain_pages.read(file, chunk, arrow) for chunk in chunks]


def write(path: Path, array: pa.Array, nullable: bool = True, **options: Any) -> Path:
    schema = pa.schema([pa.field("a", array.type, nullable)])
    pq.write_table(pa.table([array], schema=schema), path / "t.parquet", **{"use_dictionary": False, **options})
    return path / "t.parquet"


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.usefixtures("snappy")
def test_the_values_are_those_that_were_written(tmp_path: Path, name: str, codec: str, nullable: bool) -> None:
    array = COLUMNS[name]
    path = write(tmp_path, array, nullable, compression=codec, data_page_size=4096, row_group_size=2000,
                 write_page_checksum=nullable)
    assert [part.to_pylist() for part in decoded(path) if part is not None] == [
        array[start:start + 2000].to_pylist() for start in range(0, ROWS, 2000)]


@pytest.mark.parametrize("array, options", [
    (pa.array([1, None, 3] * 100), {}),
    (pa.array([1, 2, 3] * 100), {"use_dictionary": True}),
    (pa.array([1, 2, 3] * 100), {"data_page_version": "2.0"}),
    (pa.array([1, 2, 3] * 100), {"compression": "gzip"}),
    (pa.array([1, 2, 3] * 100), {"column_encoding": "DELTA_BINARY_PACKED"}),
    (pa.array([1, 2, 3] * 100), {"write_statistics": False}),
    (pa.array([1, 2, 3] * 100, pa.int16()), {}),
    (pa.array([True, False]), {}),
    (pa.array(["a", "b"]), {}),
    (pa.array([[1], [2]]), {}),
    (pa.array([{"x": 1}, {"x": 2}]), {}),
])
def test_anything_else_is_left_to_arrow(tmp_path: Path, array: pa.Array, options: dict[str, Any]) -> None:
    assert decoded(write(tmp_path, array, **options)) == [None]


@pytest.mark.usefixtures("snappy")
def test_nulls_that_the_statistics_deny_are_seen(tmp_path: Path) -> None:
    path = write(tmp_path, pa.array([1, None, 3] * 100))
    metadata = pq.read_metadata(path)
    chunk = metadata.row_group(0).column(0)
    lie = plain_pages.PlainChunk(chunk.data_page_offset, chunk.total_compressed_size, 300, 8, True, "SNAPPY")
    with pa.OSFile(str(path)) as file:
        assert plain_pages.read(file, lie, pa.int64()) is None


@pytest.mark.usefixtures("snappy")
def test_damage_gives_none_where_checksums_tell_and_never_harms(tmp_path: Path) -> None:
    path = write(tmp_path, COLUMNS["int8"], data_page_size=4096, write_page_checksum=True)
    whole, metadata = path.read_bytes(), pq.read_metadata(path)
    chunk = plain_pages.plain_chunk(metadata, 0, 0, pa.int64())
    assert chunk is not None
    pick = random.Random(5)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chunk.offset + pick.randrange(chunk.size_bytes)] ^= 1 << pick.randrange(8)
        found = plain_pages.read(pa.BufferReader(bytes(damaged)), chunk, pa.int64())
        assert found is None or found.equals(COLUMNS["int8"])
        refused += found is None
    assert refused > 250
    assert plain_pages.read(pa.BufferReader(whole[:chunk.offset + chunk.size_bytes // 2]), chunk, pa.int64()) is None
