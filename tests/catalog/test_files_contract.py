"""Every format of the files connector, and hive partitions, against the connector contract."""

import datetime
import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.files import FilesConnector
from tests.catalog.connector_contract import ConnectorContract, KnownTable

ROWS = 160


def sample_table() -> pa.Table:
    pick = random.Random(7)

    def column(make: Any, null: float = 0.1) -> list[Any]:
        return [None if i and pick.random() < null else make(i) for i in range(ROWS)]

    return pa.table({
        "Id": pa.array(range(ROWS), pa.int64()),
        "code": pa.array(column(lambda i: f"code {i % 5}"), pa.string()),
        "note": pa.array(column(lambda i: f"n{i}, \"quoted\"\nline {pick.random()}"), pa.string()),
        "ratio": pa.array(column(lambda i: i / 8 - 10), pa.float64()),
        "day": pa.array(column(lambda i: datetime.date(2020, 1, 1) + datetime.timedelta(days=i)), pa.date32()),
        "at": pa.array(column(lambda i: datetime.datetime(2021, 3, 4, 5, 6, 7, 89) + datetime.timedelta(hours=i)),
                       pa.timestamp("us")),
        "flag": pa.array(column(lambda i: i % 3 == 0), pa.bool_()),
        "order by": pa.array(column(lambda i: i % 7), pa.int64()),
    })


def rich_table() -> pa.Table:
    """Columns that text formats have no types for."""
    rows = ROWS
    prices = [Decimal(i).scaleb(-2) for i in range(rows)]
    small = [Decimal(i % 90).scaleb(-1) if i % 4 else None for i in range(rows)]
    return sample_table().append_column("price", pa.array(prices, pa.decimal128(12, 2))) \
        .append_column("small", pa.array(small, pa.decimal128(5, 1))) \
        .append_column("huge", pa.array([Decimal(10 ** 30 + i) for i in range(rows)], pa.decimal128(35, 0))) \
        .append_column("tiny", pa.array([i % 100 for i in range(rows)], pa.int8())) \
        .append_column("real", pa.array([i / 4 for i in range(rows)], pa.float32())) \
        .append_column("zoned", pa.array([datetime.datetime(2022, 1, 1, i % 24, tzinfo=datetime.UTC) for i in range(rows)],
                                         pa.timestamp("ms", "UTC"))) \
        .append_column("raw", pa.array([bytes([i % 256]) for i in range(rows)], pa.binary())) \
        .append_column("list", pa.array([[i, i + 1] if i % 5 else None for i in range(rows)], pa.list_(pa.int32())))


def python_rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns)))


def connector_for(path: Path) -> FilesConnector:
    return FilesConnector(CatalogDefinition("files", str(path)))


class FilesContract(ConnectorContract):
    """`write` puts the rows below `folder` as table "Things" and returns the table that was written."""

    def write(self, folder: Path) -> pa.Table:
        raise NotImplementedError

    @pytest.fixture
    def written(self, tmp_path: Path) -> pa.Table:
        return self.write(tmp_path)

    @pytest.fixture
    def connector(self, tmp_path: Path, written: pa.Table) -> Any:
        connector = connector_for(tmp_path)
        yield connector
        connector.close()

    @pytest.fixture
    def known(self, written: pa.Table) -> KnownTable:
        return KnownTable("public", "Things", python_rows(written))


class TestParquet(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = rich_table()
        pq.write_table(table, folder / "Things.parquet", row_group_size=40, store_decimal_as_integer=True)
        return table


class TestParquetOfManyFiles(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = rich_table()
        (folder / "Things").mkdir()
        for i in range(4):
            pq.write_table(table.slice(i * 40, 40), folder / "Things" / f"part-{i}.parquet", row_group_size=25)
        return table


class TestParquetStringViews(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = sample_table().select(["Id", "code", "note"])
        views = table.set_column(1, "code", table["code"].cast(pa.string_view())) \
            .set_column(2, "note", table["note"].cast(pa.large_string()))
        pq.write_table(views, folder / "Things.parquet", row_group_size=100)
        return table


class TestHivePartitions(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        parts = []
        for year in (2023, 2024):
            for region in ("eu", "us & ca", None):
                table = rich_table().slice(len(parts) * 26, 26)
                value = "__HIVE_DEFAULT_PARTITION__" if region is None else quote(region)
                place = folder / "Things" / f"year={year}" / f"region={value}"
                place.mkdir(parents=True)
                pq.write_table(table, place / "part.parquet", row_group_size=20)
                parts.append(table.append_column("year", pa.array([year] * 26, pa.int64()))
                             .append_column("region", pa.array([region] * 26, pa.string())))
        return pa.concat_tables(parts)


class TestArrowFile(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = rich_table()
        with pa.OSFile(str(folder / "Things.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=50)
        return table


class TestArrowStream(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = rich_table()
        with pa.OSFile(str(folder / "Things.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=50)
        return table


class TestOrc(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = rich_table()
        orc.write_table(table, folder / "Things.orc")
        return table


class TestCsv(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = sample_table()
        pa_csv.write_csv(table, folder / "Things.csv")
        return table


class TestTsvZstd(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = sample_table()
        with pa.CompressedOutputStream(str(folder / "Things.tsv.zst"), "zstd") as sink:
            pa_csv.write_csv(table, sink, pa_csv.WriteOptions(delimiter="\t"))
        return table


class TestCsvPartitions(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        parts = []
        for day in (datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)):
            table = sample_table().slice(len(parts) * 80, 80)
            (folder / "Things" / f"on={day}").mkdir(parents=True)
            pa_csv.write_csv(table, folder / "Things" / f"on={day}" / "x.csv")
            parts.append(table.append_column("on", pa.array([day] * 80)))
        return pa.concat_tables(parts)


def json_text(table: pa.Table) -> list[str]:
    return [json.dumps({key: value for key, value in row.items() if value is not None}, default=str)
            for row in table.to_pylist()]


class TestJsonLines(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = sample_table().append_column("list", pa.array([[i, i + 1] for i in range(ROWS)], pa.list_(pa.int64())))
        (folder / "Things.jsonl").write_text("\n".join(json_text(table)))
        return table


class TestJsonArray(FilesContract):
    def write(self, folder: Path) -> pa.Table:
        table = sample_table()
        with pa.CompressedOutputStream(str(folder / "Things.json.gz"), "gzip") as sink:
            sink.write(("[" + ",\n".join(json_text(table)) + "]").encode())
        return table
