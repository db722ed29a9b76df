"""Mounted files named by paths: what a path finds, and that it finds nothing outside the roots."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from shoal.catalog.access import Namespace
from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.errors import DatatypeMismatch, InsufficientPrivilege, UndefinedTable
from shoal.catalog.registry import Catalogs

TABLE = pa.table({"k": [1, 2, 3]})


@pytest.fixture
def names(tmp_path: Path) -> Namespace:
    inside, outside = tmp_path / "lake", tmp_path / "outside"
    for folder in (inside / "sales" / "y=2024", inside / "sales" / "y=2025", outside):
        folder.mkdir(parents=True)
        pq.write_table(TABLE, folder / "part.parquet")
    pq.write_table(TABLE, inside / "x.parquet")
    pyarrow.csv.write_csv(TABLE, inside / "z.csv")
    (inside / "link.parquet").symlink_to(outside / "part.parquet")
    (inside / "folder").symlink_to(outside)
    return Namespace(Catalogs([CatalogDefinition("files", str(inside))]), "files")


def columns(names: Namespace, path: str) -> list[str]:
    return [column.name for column in names.at_path(path).columns]


@pytest.mark.parametrize("path", ["x.parquet", "./x.parquet", "lake/x.parquet", "[x].parquet", "*.parquet", "z.csv",
                                  "**/*.csv"])
def test_files_are_found(names: Namespace, path: str) -> None:
    assert columns(names, path) == ["k"]


@pytest.mark.parametrize("path", ["sales", "sales/*/part.parquet", "sales/**/*.parquet", "sales/y=2024/*.parquet"])
def test_folders_have_their_partitions(names: Namespace, path: str) -> None:
    assert columns(names, path) == ["k", "y"]


def test_absolute_paths_below_a_root(names: Namespace, tmp_path: Path) -> None:
    assert columns(names, str(tmp_path / "lake" / "x.parquet")) == ["k"]


def test_statistics_and_splits_are_those_of_the_files(names: Namespace) -> None:
    found = names.at_path("sales/y=2024/*.parquet")
    assert found.connector.statistics(found.handle).rows == 3
    assert len(found.connector.splits(found.handle, ["k"], 4)) == 1


@pytest.mark.parametrize("path", ["../outside/part.parquet", "sales/../../outside/part.parquet", "/etc/passwd",
                                  "file:///etc/passwd"])
def test_paths_out_of_the_roots_are_refused(names: Namespace, path: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        names.at_path(path)


def test_an_absolute_path_beside_the_root_is_refused(names: Namespace, tmp_path: Path) -> None:
    for path in (tmp_path / "outside" / "part.parquet", tmp_path / "lake2" / "x.parquet"):
        with pytest.raises(InsufficientPrivilege):
            names.at_path(str(path))


@pytest.mark.parametrize("path", ["link.parquet", "folder/part.parquet", "nothing.parquet", "", "x"])
def test_links_out_of_the_root_are_not_there(names: Namespace, path: str) -> None:
    with pytest.raises(UndefinedTable):
        names.at_path(path)


def test_files_of_several_formats_are_no_table(names: Namespace) -> None:
    with pytest.raises(DatatypeMismatch):
        names.at_path("*")
