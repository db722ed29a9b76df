"""The tpch connector: generation into a cache, once, and the declared keys."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.tpch import TpchConnector
from shoal.catalog.errors import ConfigurationError, IoError
from tests.catalog.connector_contract import ConnectorContract, KnownTable, rows_of


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("SHOAL_CACHE")
    os.environ["SHOAL_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["SHOAL_CACHE"]
    else:
        os.environ["SHOAL_CACHE"] = before


def make(scale: str = "0.001") -> TpchConnector:
    return TpchConnector(CatalogDefinition("h", f"tpch:?scale={scale}"))


def count(connector: TpchConnector, table: str) -> int:
    handle = connector.table("public", table)
    assert handle is not None
    return len(rows_of(connector, handle, [column.name for column in connector.columns(handle)][:1]))


def test_generated_once_and_whole(cache: Path) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(count(make(), "orders"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert counts == [1500, 1500, 1500]
    assert sorted(path.name for path in (cache / "tpch").iterdir()) == ["sf0.001", "sf0.001.lock"]
    assert count(make("0.0010"), "nation") == 25


def test_keys(cache: Path) -> None:
    connector = make()
    assert len(connector.tables("public")) == 8
    for table in connector.tables("public"):
        handle = connector.table("public", table.name)
        assert handle is not None
        names = {column.name for column in connector.columns(handle)}
        primary, *foreign = connector.constraints(handle)
        assert set(primary.columns) <= names and primary.kind == "primary"
        for constraint in foreign:
            assert set(constraint.columns) <= names and constraint.references is not None


def test_bad_scales(cache: Path) -> None:
    for scale in ("", "x", "-1", "0", "1e3"):
        with pytest.raises(ConfigurationError, match="scale"):
            make(scale)


def test_a_missing_generator_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ConfigurationError, match="tpcgen-cli") as caught:
        make()
    assert caught.value.hint == "Run: pip install 'shoal[tpch]'"


def test_a_failing_generator_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tpcgen-cli"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no room')\n")
    program.chmod(0o755)
    monkeypatch.setenv("SHOAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(IoError, match="tpcgen-cli failed: no room"):
        make().table("public", "orders")
    assert [path.name for path in (tmp_path / "cache" / "tpch").iterdir()] == ["sf0.001.lock"]


class TestTpchContract(ConnectorContract):
    @pytest.fixture
    def connector(self, cache: Path) -> TpchConnector:
        return make()

    @pytest.fixture
    def known(self, connector: TpchConnector) -> KnownTable:
        handle = connector.table("public", "customer")
        assert handle is not None
        return KnownTable("public", "customer", rows_of(connector, handle, [c.name for c in connector.columns(handle)]))
