"""pg_enum: labels of the sources' enum types. PostgreSQL 15 documentation, 53.20."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, stable_oid


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for enum in snapshot.enums:
        for place, label in enumerate(enum.info.labels, 1):
            yield {"oid": stable_oid("label", str(enum.oid), label), "enumtypid": enum.oid, "enumsortorder": float(place),
                   "enumlabel": label}
