"""Parquet: skipped row groups, dictionaries kept, statistics, odd types, and broken files that say so."""

import datetime
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.connector import CatalogDefinition, Predicate, TableHandle
from shoal.catalog.connectors.files import FilesConnector
from shoal.catalog.connectors.files.footer import MalformedThrift, plain_footer, whole_file
from shoal.catalog.errors import DataCorrupted, SqlError
from tests.catalog.connector_contract import nothing_known, read_batches, rows_of


@pytest.fixture
def connector(tmp_path: Path) -> Any:
    connector = FilesConnector(CatalogDefinition("files", str(tmp_path)))
    yield connector
    connector.close()


def put(tmp_path: Path, table: pa.Table, **options: Any) -> None:
    pq.write_table(table, tmp_path / "t.parquet", **options)


def handle_of(connector: FilesConnector) -> TableHandle:
    for root in connector.roots:
        root.forget()
    handle = connector.table("public", "t")
    assert handle is not None
    return handle


def test_row_groups_are_skipped(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": range(1000), "s": [f"{i:04}" for i in range(1000)]}), row_group_size=100)
    handle = handle_of(connector)
    result = connector.apply_filter(handle, (Predicate("a", "ge", (750,)), Predicate("s", "like", ("08%",))))
    assert result is not None and result.remaining == (0, 1)
    assert rows_of(connector, result.handle, ["a"]) == [(i,) for i in range(800, 900)]
    assert "row groups: 1 of 10" in connector.explain(result.handle, [])
    split, = connector.splits(handle, ["a"], 1)
    batches = list(connector.read(handle, split, ["a"], 1000, lambda: (Predicate("a", "in", (5, 999)),)))
    assert [batch.num_rows for batch in batches] == [100, 100]


def test_pieces_leave_skipped_groups_out(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": range(1000), "b": range(1000)}), row_group_size=100)
    handle = handle_of(connector)
    split, = connector.splits(handle, ["a", "b"], 1)
    known: list[Predicate] = []
    pieces = connector.pieces(handle, split, lambda: known)
    assert pieces is not None
    seen = []
    for piece in pieces:
        a, = connector.read(handle, piece, ["a"], 1000, nothing_known)
        b, = connector.read(handle, piece, ["b"], 1000, nothing_known)
        assert a.column(0) == b.column(0)
        seen.append(a.column(0)[0].as_py())
        known[:] = [Predicate("b", "ge", (800,))]  # learnt while reading
    assert seen == [0, 800, 900]


def test_splits_are_balanced(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": np.arange(2_000_000)}), row_group_size=50_000)
    splits = connector.splits(handle_of(connector), ["a"], 8)
    assert len(splits) == 8 and {split.rows for split in splits} == {250_000}
    assert len(connector.splits(handle_of(connector), ["a"], 1000)) == 30  # of no less than 64k rows


def test_big_row_groups_come_in_several_batches(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": np.arange(600_000), "s": pa.array(["x", "y", None] * 200_000)}))
    batches = read_batches(connector, handle_of(connector), ["s", "a"], batch_rows=100_000)
    assert max(batch.num_rows for batch in batches) <= 200_000
    assert np.array_equal(np.concatenate([batch.column(1).to_numpy() for batch in batches]), np.arange(600_000))
    assert pa.chunked_array([batch.column(0).dictionary_decode() for batch in batches]).to_pylist()[:4] == ["x", "y",
                                                                                                            None, "x"]


def test_dictionaries_are_kept_where_they_help(tmp_path: Path, connector: FilesConnector) -> None:
    values = np.random.default_rng(1).integers(0, 1 << 60, 200_000)
    put(tmp_path, pa.table({"few": pa.array([f"v{i % 10}" for i in range(200_000)]),
                            "many": pa.array([str(v) for v in values])}))
    batch = read_batches(connector, handle_of(connector), ["few", "many"])[0]
    assert batch.schema.types == [pa.dictionary(pa.int32(), pa.string()), pa.string()]
    statistics = connector.statistics(handle_of(connector)).columns
    assert statistics["few"].distinct == 10
    assert statistics["many"].distinct == 200_000


def test_statistics(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({
        "id": pa.array(range(1000), pa.int64()), "price": pa.array([Decimal(i).scaleb(-2) for i in range(1000)],
                                                                   pa.decimal128(9, 2)),
        "day": pa.array([datetime.date(2020, 1, 1 + i % 28) for i in range(1000)]),
        "at": pa.array([datetime.datetime(2020, 1, 1, 0, 0, 0, 5)] * 999 + [None], pa.timestamp("us")),
        "x": pa.array([float("nan"), 1.0] * 500)}), store_decimal_as_integer=True, row_group_size=250)
    found = connector.statistics(handle_of(connector))
    assert found.rows == 1000
    assert (found.columns["id"].minimum, found.columns["id"].maximum, found.columns["id"].distinct) == (0, 999, 1000)
    assert (found.columns["price"].minimum, found.columns["price"].maximum) == (Decimal("0.00"), Decimal("9.99"))
    assert (found.columns["day"].minimum, found.columns["day"].distinct) == (datetime.date(2020, 1, 1), 28)
    assert found.columns["at"].maximum == datetime.datetime(2020, 1, 1, 0, 0, 0, 5)
    assert found.columns["at"].null_fraction == 0.001


def test_nan_is_above_all_bounds(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"x": [1.0, 2.0, float("nan")]}))
    result = connector.apply_filter(handle_of(connector), (Predicate("x", "gt", (5.0,)),))
    assert result is not None
    assert len(rows_of(connector, result.handle, ["x"])) == 3


@pytest.mark.parametrize("as_integer", [True, False])
def test_decimals(tmp_path: Path, connector: FilesConnector, as_integer: bool) -> None:
    """As integers or as bytes, in columns of their own and inside of others."""
    values = [Decimal("-99999.99"), None, Decimal("0.01")]
    put(tmp_path, pa.table({
        "short": pa.array(values, pa.decimal128(7, 2)), "long": pa.array(values, pa.decimal128(18, 2)),
        "longer": pa.array(values, pa.decimal128(30, 2)), "list": pa.array([values, None, []],
                                                                           pa.list_(pa.decimal128(9, 2))),
        "struct": pa.array([{"d": Decimal("1.5")}, None, None], pa.struct([("d", pa.decimal128(5, 1))])),
    }), store_decimal_as_integer=as_integer)
    handle = handle_of(connector)
    batch, = read_batches(connector, handle, ["short", "long", "longer", "list", "struct"])
    assert [str(column.type) for column in connector.columns(handle)][:3] == ["numeric(7,2)", "numeric(18,2)",
                                                                              "numeric(30,2)"]
    assert batch.column(0).to_pylist() == batch.column(1).to_pylist() == [-9999999, None, 1]
    assert batch.column(2).to_pylist() == values
    assert batch.column(3).to_pylist()[0][2] == Decimal("0.01")
    assert batch.column(4).to_pylist() == ['{"d": "1.5"}', None, None]


def test_odd_types_and_names(tmp_path: Path, connector: FilesConnector) -> None:
    table = pa.table([
        pa.array([1], pa.uint64()), pa.array([2 ** 32 - 1], pa.uint32()), pa.array([datetime.timedelta(seconds=90)],
                                                                                   pa.duration("us")),
        pa.array(["x"], pa.large_string()), pa.array([b"y"], pa.large_binary()),
        pa.array([3_661_000_002_123], pa.time64("ns")),
        pa.array([1_600_000_000_123_456_789], pa.timestamp("ns")), pa.array([{"k": [1, 2]}]), pa.nulls(1),
        pa.array([["a", None]]),
        pa.array(["z"]).dictionary_encode(), pa.array([1.5], pa.float16()), pa.array([[("k", 1)]], pa.map_(pa.string(),
                                                                                                           pa.int64())),
        pa.array([7], pa.int64())],
        names=["u64", "u32", "span", "Large", "select", "time", "ns", "a.b", "null", "list", "", "half", "map", "dup"])
    put(tmp_path, table)
    handle = handle_of(connector)
    columns = connector.columns(handle)
    assert [column.name for column in columns][10] == "column10"
    assert {column.name: str(column.type) for column in columns}["span"] == "interval"
    batch, = read_batches(connector, handle, [column.name for column in columns])
    row = batch.to_pylist()[0]
    assert (row["u64"], row["u32"], row["Large"], row["select"], row["null"]) == (1, 2 ** 32 - 1, "x", b"y", None)
    assert row["span"] == pa.MonthDayNano([0, 0, 90_000_000])
    assert row["ns"] == datetime.datetime(2020, 9, 13, 12, 26, 40, 123456)
    assert row["time"] == datetime.time(1, 1, 1, 2)
    assert (row["a.b"], row["list"], row["column10"], row["half"]) == ('{"k": [1, 2]}', ["a", None], "z", 1.5)
    for name in batch.schema.names:
        some, = read_batches(connector, handle, [name])
        assert some.column(0) == batch.column(name)


def test_an_empty_file_has_no_rows(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": pa.array([], pa.int64())}))
    handle = handle_of(connector)
    assert connector.columns(handle)[0].name == "a" and rows_of(connector, handle, ["a"]) == []
    assert connector.statistics(handle).rows == 0


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all, only text", b"PAR1" + bytes(40) + b"PAR1",
                                     b"PAR1" + b"\x15" * 30 + b"\x1e\0\0\0PAR1", b"PAR1\xff\xff\xff\xffPAR1"])
def test_what_is_no_parquet_says_so(tmp_path: Path, connector: FilesConnector, content: bytes) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(DataCorrupted, match=r"t\.parquet"):
        connector.columns(handle_of(connector))


def test_a_file_cut_short(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": range(10_000)}))
    whole = (tmp_path / "t.parquet").read_bytes()
    for length in (5, len(whole) // 2, len(whole) - 1):
        (tmp_path / "t.parquet").write_bytes(whole[:length])
        with pytest.raises(DataCorrupted, match=r"t\.parquet"):
            connector.columns(handle_of(connector))


def test_damaged_pages_are_errors_not_wrong_rows(tmp_path: Path, connector: FilesConnector) -> None:
    """With page checksums every flipped byte of the data is noticed; whatever is flipped, errors are typed."""
    put(tmp_path, pa.table({"a": range(3000), "s": [f"text {i % 50}" for i in range(3000)]}), write_page_checksum=True,
        row_group_size=1000)
    whole = (tmp_path / "t.parquet").read_bytes()
    expected = list(zip(range(3000), (f"text {i % 50}" for i in range(3000))))
    pick = random.Random(3)
    failed = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[pick.randrange(4, len(whole) * 3 // 4)] ^= 1 << pick.randrange(8)
        (tmp_path / "t.parquet").write_bytes(damaged)
        try:
            handle = handle_of(connector)
            found = rows_of(connector, handle, ["a", "s"])
        except SqlError as error:
            assert "t.parquet" in error.message
            failed += 1
        else:
            assert found == expected
    assert failed > 30


def test_no_rows_before_the_damage_is_known(tmp_path: Path, connector: FilesConnector) -> None:
    put(tmp_path, pa.table({"a": np.random.default_rng(2).integers(0, 1 << 60, 5000)}), row_group_size=5000,
        use_dictionary=False,
        write_page_checksum=True)
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[20_000] ^= 0xFF
    (tmp_path / "t.parquet").write_bytes(content)
    handle = handle_of(connector)
    split, = connector.splits(handle, ["a"], 1)
    with pytest.raises(DataCorrupted, match=r"t\.parquet"):
        next(iter(connector.read(handle, split, ["a"], 100, nothing_known)))


def test_footers_survive_the_rewrite(tmp_path: Path) -> None:
    """The rewritten footer says the same but for the decimals; damaged ones are refused or parse as Arrow would."""
    put(tmp_path, pa.table({"d": pa.array([Decimal("1.5")], pa.decimal128(5, 1)), "s": ["ARROW:schema"], "n": [{"x": 1}]}),
        store_decimal_as_integer=True)
    data = (tmp_path / "t.parquet").read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length:-8]
    before = pq.read_metadata(pa.BufferReader(whole_file(footer)))
    after = pq.read_metadata(pa.BufferReader(whole_file(plain_footer(footer, hide_arrow_schema=True))))
    assert after.schema.to_arrow_schema().types == [pa.int32(), pa.string(), pa.struct([("x", pa.int64())])]
    assert after.row_group(0).column(1).statistics.min == "ARROW:schema"
    assert (after.num_rows, after.num_columns) == (before.num_rows, before.num_columns)
    pick = random.Random(5)
    for _ in range(2000):
        damaged = bytearray(footer)
        damaged[pick.randrange(len(damaged))] = pick.randrange(256)
        try:
            plain_footer(bytes(damaged[:pick.randrange(1, len(damaged) + 1)]), hide_arrow_schema=True)
        except MalformedThrift:
            pass
