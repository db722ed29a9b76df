"""Which files become which tables, changes while running, and never outside the mounted root."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoal.catalog.connector import CatalogDefinition, Predicate
from shoal.catalog.connectors.files import FilesConnector
from shoal.catalog.errors import ConfigurationError, DatatypeMismatch, IoError, UndefinedFile, UndefinedTable
from tests.catalog.connector_contract import rows_of

Mount = Callable[..., FilesConnector]


@pytest.fixture
def mount() -> Any:
    made = []

    def mount(url: object) -> FilesConnector:
        made.append(FilesConnector(CatalogDefinition("files", str(url))))
        return made[-1]

    yield mount
    for connector in made:
        connector.close()


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns or {"a": [1, 2]})
    if path.suffix == ".csv":
        path.write_text("\n".join([",".join(table.column_names),
                                   *(",".join(map(str, row.values())) for row in table.to_pylist())]))
    else:
        pq.write_table(table, path)


def names(connector: FilesConnector) -> list[str]:
    for root in connector.roots:
        root.forget()
    return [table.name for table in connector.tables("public")]


def rows(connector: FilesConnector, name: str) -> list[tuple[Any, ...]]:
    handle = connector.table("public", name)
    assert handle is not None
    return sorted(rows_of(connector, handle, [column.name for column in connector.columns(handle)]), key=repr)


def test_an_empty_folder_is_an_empty_catalog(tmp_path: Path, mount: Mount) -> None:
    connector = mount(tmp_path)
    assert connector.schemas() == ["public"] and names(connector) == []


def test_files_and_folders_are_tables(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "one.parquet")
    write(tmp_path / "Two Words.PARQUET")
    write(tmp_path / "many" / "1.parquet", a=[1])
    write(tmp_path / "many" / "2.parquet", a=[2])
    write(tmp_path / "outer" / "inner" / "x.csv")
    for ignored in (".hidden.parquet", "_SUCCESS", "readme.md", "many/_temporary/9.parquet", ".git/x.csv"):
        (tmp_path / ignored).parent.mkdir(exist_ok=True)
        (tmp_path / ignored).write_text("a\n1\n")
    connector = mount(tmp_path)
    assert names(connector) == ["Two Words", "inner", "many", "one"]
    assert rows(connector, "many") == [(1,), (2,)]


def test_equal_names_stay_visible(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "orders.parquet", a=[1])
    write(tmp_path / "orders.csv", a=[2])
    write(tmp_path / "orders" / "x.parquet", a=[3])
    write(tmp_path / "orders" / "y.csv", a=[4])
    connector = mount(tmp_path)
    found = names(connector)
    assert len(found) == 4 and found[0] == "orders"
    assert "orders_csv" in found
    assert rows(connector, "orders") == [(1,)]
    assert {row for name in found for row in rows(connector, name)} == {(1,), (2,), (3,), (4,)}


def test_several_paths_in_one_catalog(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "x & y" / "a.parquet", a=[1])
    write(tmp_path / "b" / "a.parquet", a=[2])
    write(tmp_path / "single.csv", a=[3])
    paths = [tmp_path / "x & y", tmp_path / "b", tmp_path / "single.csv"]
    connector = mount("files:?" + "&".join("path=" + quote(str(path)) for path in paths))
    assert names(connector) == ["a", "a_parquet", "single"]
    assert rows(connector, "a") == [(1,)] and rows(connector, "a_parquet") == [(2,)]


def test_globs(tmp_path: Path, mount: Mount) -> None:
    for name in ("sales_1.parquet", "sales_2.parquet", "other.parquet", "sub/sales_3.parquet", "sub/deep/sales_4.csv"):
        write(tmp_path / name)
    assert names(mount(tmp_path / "sales_*.parquet")) == ["sales_1", "sales_2"]
    assert names(mount(tmp_path / "sales_[!1].parquet")) == ["sales_2"]
    assert names(mount(tmp_path / "**" / "*.csv")) == ["deep"]
    assert names(mount(tmp_path / "s*")) == ["deep", "sales_1", "sales_2", "sub"]
    assert names(mount(tmp_path / "nothing*")) == []


@pytest.mark.parametrize("form", ["file://{}", "files:{}"])
def test_uris(tmp_path: Path, mount: Mount, form: str) -> None:
    write(tmp_path / "t.parquet", a=[5])
    assert rows(mount(form.format(tmp_path)), "t") == [(5,)]


def test_any_pyarrow_filesystem(tmp_path: Path, mount: Mount) -> None:
    """The remote code path, on the one file system URI that needs no network."""
    from shoal.catalog.connectors.files.locations import RemoteRoot
    write(tmp_path / "t.parquet", a=[5])
    write(tmp_path / "u" / "k=1" / "x.csv", a=[6])
    connector = mount(tmp_path)
    connector.roots = (RemoteRoot("file://" + str(tmp_path)),)
    assert names(connector) == ["t", "u"]
    assert rows(connector, "t") == [(5,)] and rows(connector, "u") == [(6, 1)]
    connector.roots = (RemoteRoot("file://" + str(tmp_path / "missing")),)
    with pytest.raises(UndefinedFile, match="missing"):
        connector.tables("public")


@pytest.mark.parametrize("url", ["files:?nope=1", "files:?path=", "files:?path=a%00b"])
def test_bad_urls(mount: Mount, url: str) -> None:
    with pytest.raises(ConfigurationError):
        mount(url)


def test_a_missing_root_names_itself(tmp_path: Path, mount: Mount) -> None:
    with pytest.raises(UndefinedFile, match="nowhere"):
        mount(tmp_path / "nowhere").tables("public")


def test_a_file_without_suffix_is_recognised(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "t.parquet", a=[1])
    (tmp_path / "t.parquet").rename(tmp_path / "blob")
    (tmp_path / "data.txt").write_text("a|b\n1|x\n")
    (tmp_path / "data.log").write_text('{"a": 1}\n')
    assert rows(mount(tmp_path / "blob"), "blob") == [(1,)]
    assert rows(mount(tmp_path / "data.txt"), "data") == [(1, "x")]
    assert rows(mount(tmp_path / "data.log"), "data") == [(1,)]


def test_links_out_of_the_root_are_not_there(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "secret" / "s.parquet")
    write(tmp_path / "root" / "t.parquet")
    write(tmp_path / "rootless" / "u.parquet")
    root = tmp_path / "root"
    (root / "leak.parquet").symlink_to(tmp_path / "secret" / "s.parquet")
    (root / "leaks").symlink_to(tmp_path / "secret")
    (root / "prefix").symlink_to(tmp_path / "rootless")
    (root / "inside.parquet").symlink_to(root / "t.parquet")
    (root / "loop").symlink_to(root)
    (root / "broken.parquet").symlink_to(root / "none")
    assert names(mount(root)) == ["inside", "t"]


def test_splits_cannot_name_files_outside(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "secret.parquet")
    write(tmp_path / "root" / "t.parquet")
    connector = mount(tmp_path / "root")
    handle = connector.table("public", "t")
    assert handle is not None
    split = connector.splits(handle, ["a"], 1)[0]
    for path in ("../secret.parquet", "x/../../secret.parquet", "/etc/passwd", "t.parquet\0"):
        entry = (0, path, *split.state["files"][0][2:])
        forged = type(split)({**split.state, "files": (entry,)})
        with pytest.raises(UndefinedFile):
            list(connector.read(handle, forged, ["a"], 10, lambda: ()))


def test_new_and_changed_files_appear(tmp_path: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.catalog.connectors.files.locations.LISTING_TTL_S", 0.0)
    write(tmp_path / "t.parquet", a=[1])
    connector = mount(tmp_path)
    before = connector.version()
    assert rows(connector, "t") == [(1,)] and connector.version() == before
    write(tmp_path / "u.parquet")
    assert connector.version() != before and names(connector) == ["t", "u"]
    before = connector.version()
    time.sleep(0.02)
    write(tmp_path / "t.parquet", b=["x", "y"])
    assert connector.version() != before
    assert rows(connector, "t") == [("x",), ("y",)]
    os.remove(tmp_path / "t.parquet")
    assert connector.table("public", "t") is None


def test_files_that_vanish_or_change_half_way(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "t.parquet", a=[1])
    connector = mount(tmp_path)
    handle = connector.table("public", "t")
    assert handle is not None
    rows_of(connector, handle, ["a"])  # leaves the file open
    split, = connector.splits(handle, ["a"], 1)
    write(tmp_path / "t.parquet", a=[1, 2, 3])
    with pytest.raises(IoError, match=r"t\.parquet.*changed"):
        list(connector.read(handle, split, ["a"], 10, lambda: ()))
    os.remove(tmp_path / "t.parquet")
    with pytest.raises(UndefinedFile, match=r"t\.parquet"):
        list(connector.read(handle, split, ["a"], 10, lambda: ()))
    with pytest.raises(UndefinedTable):
        connector.columns(handle)


def test_columns_are_united_by_name(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "t" / "1.parquet", a=pa.array([1], pa.int32()), b=["x"])
    write(tmp_path / "t" / "2.parquet", c=[1.5], a=pa.array([1 << 40], pa.int64()))
    write(tmp_path / "t" / "3.parquet", a=pa.nulls(1))
    connector = mount(tmp_path)
    handle = connector.table("public", "t")
    assert handle is not None
    assert [(column.name, str(column.type), column.nullable) for column in connector.columns(handle)] == [
        ("a", "bigint", True), ("b", "text", True), ("c", "double precision", True)]
    assert rows(connector, "t") == sorted([(1, "x", None), (1 << 40, None, 1.5), (None, None, None)], key=repr)


def test_types_that_do_not_go_together(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "t" / "1.parquet", a=[1])
    write(tmp_path / "t" / "2.parquet", a=["x"])
    connector = mount(tmp_path)
    handle = connector.table("public", "t")
    assert handle is not None
    with pytest.raises(DatatypeMismatch, match=r'"a".*text in file.*2\.parquet.*bigint in file.*1\.parquet'):
        connector.columns(handle)


def test_csv_files_of_a_table_widen_to_text(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "t" / "1.csv", a=["01/02", "3"])
    write(tmp_path / "t" / "2.csv", a=[1.50, 2.0])
    assert rows(mount(tmp_path), "t") == [("01/02",), ("1.5",), ("2.0",), ("3",)]


def test_widening_numbers(tmp_path: Path, mount: Mount) -> None:
    from decimal import Decimal
    write(tmp_path / "t" / "1.parquet", a=pa.array([Decimal("1.50")], pa.decimal128(5, 2)), b=pa.array([7], pa.int16()))
    write(tmp_path / "t" / "2.parquet", a=pa.array([Decimal("2.1234")], pa.decimal128(25, 4)),
          b=pa.array([0.5], pa.float32()))
    write(tmp_path / "t" / "3.parquet", a=pa.array([3], pa.int32()), b=pa.array([Decimal("0.25")], pa.decimal128(4, 2)))
    assert rows(mount(tmp_path), "t") == [(Decimal("1.5000"), 7.0), (Decimal("2.1234"), 0.5), (Decimal("3.0000"), 0.25)]


def test_partitions_are_pruned_and_enforced(tmp_path: Path, mount: Mount) -> None:
    for year in range(2018, 2024):
        write(tmp_path / "t" / f"year={year}" / "x.parquet", a=[year])
    connector = mount(tmp_path)
    handle = connector.table("public", "t")
    assert handle is not None
    result = connector.apply_filter(handle, (Predicate("year", "ge", (2022,)), Predicate("a", "lt", (2023,))))
    assert result is not None and result.remaining == (1,)
    assert len(connector.splits(result.handle, ["a"], 10)) == 1
    assert sorted(rows_of(connector, result.handle, ["year"])) == [(2022,)]
    assert "files: 2 of 6" in connector.explain(result.handle, [])
    assert connector.statistics(result.handle).rows == 2
    assert connector.apply_filter(result.handle, (Predicate("a", "lt", (2023,)),)) is None


def test_partitions_of_the_mounted_folder_itself(tmp_path: Path, mount: Mount) -> None:
    write(tmp_path / "sales" / "k=a" / "1.parquet", v=[1])
    write(tmp_path / "sales" / "k=b" / "1.parquet", v=[2])
    assert rows(mount(tmp_path / "sales"), "sales") == [(1, "a"), (2, "b")]
