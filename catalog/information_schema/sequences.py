"""information_schema.sequences, without those of identity columns. PostgreSQL 15 documentation, 37.47."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.information_schema.data_types import BINARY_DIGITS
from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for sequence in snapshot.sequences:
        info = sequence.info
        if not info.identity:
            yield {"sequence_catalog": snapshot.database, "sequence_schema": sequence.namespace.name,
                   "sequence_name": info.name, "data_type": info.type.sql,
                   "numeric_precision": BINARY_DIGITS.get(info.type.oid), "numeric_precision_radix": 2, "numeric_scale": 0,
                   "start_value": str(info.start), "minimum_value": str(info.minimum), "maximum_value": str(info.maximum),
                   "increment": str(info.increment), "cycle_option": "YES" if info.cycle else "NO"}
