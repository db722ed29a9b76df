"""pg_sequence: number generators of the sources. PostgreSQL 15 documentation, 53.47."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for sequence in snapshot.sequences:
        info = sequence.info
        yield {"seqrelid": sequence.oid, "seqtypid": info.type.oid, "seqstart": info.start, "seqincrement": info.increment,
               "seqmax": info.maximum, "seqmin": info.minimum, "seqcache": info.cache, "seqcycle": info.cycle}
