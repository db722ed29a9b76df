"""A real listener over a real engine, in the engine's own loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.registry import SYSTEM
from shoal.server.listener import Server, ServerOptions
from tests.exec.cluster import Cluster


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    server: Server


@contextmanager
def listening(cluster: Cluster, options: ServerOptions | None = None) -> Iterator[Address]:
    """A server of the cluster's engine on a port of its own."""
    server = Server(cluster.engine, cluster.catalogs.names, options)
    catalog = cluster.catalogs.connector(SYSTEM)
    assert isinstance(catalog, PgCatalog)
    before = dict(catalog.feeds), dict(catalog.functions)
    port = cluster.call(server.listen("127.0.0.1", 0))
    try:
        yield Address("127.0.0.1", port, server)
    finally:
        cluster.call(server.stop(drain=False))
        catalog.feeds.update(before[0])  # the system catalog shows the sessions of the server before this one again
        catalog.functions.update(before[1])


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster([("sample", "sample:")], workers=1) as running:
        yield running


@pytest.fixture(scope="session")
def shoal(cluster: Cluster) -> Iterator[Address]:
    with listening(cluster) as address:
        yield address
