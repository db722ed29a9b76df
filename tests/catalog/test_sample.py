"""The built-in sample data."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.catalog.connector import CatalogDefinition
from shoal.catalog.connectors.sample import SampleConnector
from tests.catalog.connector_contract import ConnectorContract, KnownTable, rows_of


@pytest.fixture
def sample() -> SampleConnector:
    return SampleConnector(CatalogDefinition("s", "sample:"))


def rows(connector: SampleConnector, table: str) -> list[dict[str, Any]]:
    handle = connector.table("public", table)
    assert handle is not None
    names = [column.name for column in connector.columns(handle)]
    return [dict(zip(names, row, strict=True)) for row in rows_of(connector, handle, names)]


def test_declared_keys_hold(sample: SampleConnector) -> None:
    for table in sample.tables("public"):
        handle = sample.table("public", table.name)
        assert handle is not None
        found = rows(sample, table.name)
        not_null = [column.name for column in sample.columns(handle) if not column.nullable]
        assert all(row[name] is not None for row in found for name in not_null)
        for constraint in sample.constraints(handle):
            keys = [tuple(row[name] for name in constraint.columns) for row in found]
            if constraint.kind == "primary":
                assert len(set(keys)) == len(keys)
            else:
                assert constraint.references is not None
                target = {tuple(row[name] for name in constraint.referenced_columns)
                          for row in rows(sample, constraint.references[1])}
                assert set(keys) <= target


def test_it_has_something_of_everything(sample: SampleConnector) -> None:
    counts = {table.name: len(rows(sample, table.name)) for table in sample.tables("public")}
    assert counts["boats"] == 24 and counts["trips"] == 240 and counts["catches"] > 400
    assert sum(row["price_per_kg"] is None for row in rows(sample, "species")) == 4
    assert any(not row["name"].isascii() for row in rows(sample, "ports"))
    assert any(row["returned"] is None for row in rows(sample, "trips"))
    assert {type(row["weight_kg"]).__name__ for row in rows(sample, "catches")} == {"Decimal"}


class TestSampleContract(ConnectorContract):
    @pytest.fixture
    def connector(self, sample: SampleConnector) -> SampleConnector:
        return sample

    @pytest.fixture
    def known(self, sample: SampleConnector) -> KnownTable:
        return KnownTable("public", "catches", [tuple(row.values()) for row in rows(sample, "catches")])
