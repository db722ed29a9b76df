"""pg_available_extensions: the one that every database has. PostgreSQL 15 documentation, 54.2."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"name": "plpgsql", "default_version": "1.0", "installed_version": "1.0",
           "comment": "PL/pgSQL procedural language"}
