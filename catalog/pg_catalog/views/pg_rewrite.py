"""pg_rewrite: the rule that each view is. PostgreSQL 15 documentation, 53.45."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import Snapshot, stable_oid


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for relation in snapshot.relations:
        if relation.kind in "vm":
            yield {"oid": stable_oid("rule", str(relation.oid)), "rulename": "_RETURN", "ev_class": relation.oid,
                   "ev_type": "1", "ev_enabled": "O", "is_instead": True, "ev_qual": "", "ev_action": ""}
