"""information_schema.information_schema_catalog_name. PostgreSQL 15 documentation, 37.3."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"catalog_name": snapshot.database}
