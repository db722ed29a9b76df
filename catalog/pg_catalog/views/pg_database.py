"""pg_database: the mounted catalogs, and `shoal`, the view of all. PostgreSQL 15 documentation, 53.15."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot

UTF8, DEFAULT_TABLESPACE = 6, 1663


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for name in snapshot.databases:
        yield {
            "oid": snapshot.database_oid(name), "datname": name, "datdba": SUPERUSER_OID, "encoding": UTF8,
            "datlocprovider": "c", "datistemplate": False, "datallowconn": True, "datconnlimit": -1, "datfrozenxid": 0,
            "datminmxid": 0, "dattablespace": DEFAULT_TABLESPACE, "datcollate": "C", "datctype": "C.UTF-8"}
