"""information_schema.character_sets: the one encoding. PostgreSQL 15 documentation, 37.7."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"character_set_name": "UTF8", "character_repertoire": "UCS", "form_of_use": "UTF8",
           "default_collate_catalog": snapshot.database, "default_collate_schema": "pg_catalog",
           "default_collate_name": "C"}
