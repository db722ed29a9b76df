"""pg_index: the indexes that declared keys imply. PostgreSQL 15 documentation, 53.26."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation, _, key in snapshot.declared_keys():
        if key.kind == "foreign":
            continue
        numbers = [relation.attribute_number(c) for c in key.columns]
        yield {
            "indexrelid": snapshot.index_oid(relation, key), "indrelid": relation.oid, "indnatts": len(numbers),
            "indnkeyatts": len(numbers), "indisunique": True, "indnullsnotdistinct": False,
            "indisprimary": key.kind == "primary", "indisexclusion": False, "indimmediate": True,
            "indisclustered": False, "indisvalid": True, "indcheckxmin": False, "indisready": True, "indislive": True,
            "indisreplident": False, "indkey": numbers, "indcollation": [0] * len(numbers),
            "indclass": [0] * len(numbers), "indoption": [0] * len(numbers)}
