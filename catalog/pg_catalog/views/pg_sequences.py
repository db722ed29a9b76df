"""pg_sequences: number generators of the sources by name. PostgreSQL 15 documentation, 54.23."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import OWNER, Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for sequence in snapshot.sequences:
        info = sequence.info
        yield {"schemaname": sequence.namespace.name, "sequencename": info.name, "sequenceowner": OWNER,
               "data_type": info.type.oid, "start_value": info.start, "min_value": info.minimum, "max_value": info.maximum,
               "increment_by": info.increment, "cycle": info.cycle, "cache_size": info.cache, "last_value": info.last_value}
