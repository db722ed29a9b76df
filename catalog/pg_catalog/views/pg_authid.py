"""pg_authid: the owner of everything, until the server feeds its users. PostgreSQL 15 documentation, 53.8."""

from collections.abc import Iterator
from typing import Any

from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot


def rows(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    yield {"oid": SUPERUSER_OID, "rolname": "shoal", "rolsuper": True, "rolinherit": True, "rolcreaterole": True,
           "rolcreatedb": True, "rolcanlogin": True, "rolreplication": False, "rolconnlimit": -1,
           "rolpassword": None, "rolbypassrls": True}
