"""system.runtime over a source of rows."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.system import TABLES, SystemConnector
from tests.catalog.connector_contract import ConnectorContract, KnownTable, rows_of

STARTED = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


class TwoNodes:
    """A RuntimeSource."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"node_id": f"n{i}", "kind": "worker", "cores": i, "started": STARTED, "memory_bytes": 1 << 40}
                for i in (1, 2)]

    def queries(self) -> list[dict[str, Any]]:
        return []

    def tasks(self) -> list[dict[str, Any]]:
        return [{"query_id": "q", "fragment": 0, "started": 1_000_000, "elapsed_ms": 1.5}]


def test_missing_values_are_null() -> None:
    connector = SystemConnector(CatalogDefinition("system", "system:"), TwoNodes())
    handle = connector.table("runtime", "tasks")
    assert handle is not None
    assert rows_of(connector, handle, ["query_id", "error", "started", "elapsed_ms"]) == [
        ("q", None, datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=datetime.UTC), 1.5)]


def test_without_a_source_it_is_empty() -> None:
    connector = SystemConnector()
    handle = connector.table("runtime", "queries")
    assert handle is not None and rows_of(connector, handle, ["query"]) == []


class TestSystemContract(ConnectorContract):
    @pytest.fixture
    def connector(self) -> SystemConnector:
        return SystemConnector(CatalogDefinition("system", "system:"), TwoNodes())

    @pytest.fixture
    def known(self) -> KnownTable:
        rows = [tuple(row.get(name) for name, _ in TABLES["nodes"]) for row in TwoNodes().nodes()]
        return KnownTable("runtime", "nodes", rows)
