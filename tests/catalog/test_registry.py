"""Which connector a URL gets, and the catalogs of one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.system import SystemConnector
from shoal.catalog.errors import ConfigurationError, DuplicateObject, UndefinedDatabase
from shoal.catalog.registry import Catalogs, create, scheme_of


@pytest.mark.parametrize(("url", "scheme"), [
    ("data/lake", "file"), ("/data/x.csv", "file"), ("C:\\data", "file"), ("s3://b/x", "s3"), ("memory:", "memory"),
    ("SQLITE:a.db", "sqlite"), ("./odd:name", "file"), ("tpch:?scale=1", "tpch")])
def test_schemes(url: str, scheme: str) -> None:
    assert scheme_of(url) == scheme


@pytest.mark.parametrize(("url", "kind"), [
    ("memory:", "memory"), ("sample:", "sample"), ("system:", "system"), ("sqlite:x.db", "sqlite"),
    ("postgresql://h/db", "postgresql"), ("postgres://h/db", "postgresql"), ("nowhere", "files")])
def test_built_in_connectors(url: str, kind: str) -> None:
    connector = create(CatalogDefinition("c", url))
    assert (connector.kind, connector.name) == (kind, "c")
    connector.close()


def test_unknown_schemes() -> None:
    with pytest.raises(ConfigurationError, match='catalog "c": no connector for "sqllite:"') as caught:
        create(CatalogDefinition("c", "sqllite:x"))
    assert caught.value.hint == 'Did you mean "sqlite"?'
    with pytest.raises(ConfigurationError, match='unknown option "colour"'):
        create(CatalogDefinition("c", "sample:?colour=red"))


def test_plug_in_connectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plug.py").write_text("from shoal.catalog.connectors.sample import SampleConnector\n"
                                      "class Plug(SampleConnector):\n    kind = 'plug'\n")
    info = tmp_path / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[shoal.connectors]\nplug = plug:Plug\nbad = no_such_module:X\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert create(CatalogDefinition("c", "plug:")).kind == "plug"
    with pytest.raises(ConfigurationError, match="no_such_module"):
        create(CatalogDefinition("c", "bad:"))


def test_mounting() -> None:
    catalogs = Catalogs([CatalogDefinition("s", "sample:")])
    assert catalogs.names() == ["memory", "s"] and "s" in catalogs
    assert [d.name for d in catalogs.definitions()] == ["s", "memory"]
    before = catalogs.version()
    catalogs.mount(CatalogDefinition("other", "sample:"))
    assert catalogs.version() != before
    with pytest.raises(DuplicateObject):
        catalogs.mount(CatalogDefinition("s", "memory:"))
    catalogs.unmount("other")
    with pytest.raises(UndefinedDatabase):
        catalogs.unmount("other")
    with pytest.raises(UndefinedDatabase, match='catalog "memry" does not exist') as caught:
        catalogs.connector("memry")
    assert caught.value.hint == 'Did you mean "memory"?'
    catalogs.close()
    assert catalogs.names() == []


def test_added_connectors_do_not_travel() -> None:
    catalogs = Catalogs()
    catalogs.add(SystemConnector())
    catalogs.add(SystemConnector(CatalogDefinition("$system", "system:")))
    assert catalogs.names() == ["memory", "system"]
    assert [d.name for d in catalogs.definitions()] == ["memory"]
    assert catalogs.connector("$system").kind == "system"


@pytest.mark.parametrize("name", ["", "shoal", "$x"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Catalogs([CatalogDefinition(name, "memory:")])


def test_a_mistake_closes_what_was_mounted() -> None:
    with pytest.raises(ConfigurationError):
        Catalogs([CatalogDefinition("a", "memory:"), CatalogDefinition("b", "no-such:")])
