"""Roles: those every PostgreSQL has, the configured users, and who is asking. All may do everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.catalog.pg_catalog import static
from shoal.catalog.pg_catalog.snapshot import SUPERUSER_OID, Snapshot, stable_oid


def role_oids(snapshot: Snapshot, user: str = "") -> dict[str, int]:
    """The OID of every role by name; `user` is the session's."""
    oids = dict(zip(*static.column("pg_authid", "rolname", "oid"), strict=True))
    for name in (*snapshot.users(), user):
        if name and name not in oids:
            oids[name] = stable_oid("role", name)
    return oids


def role_rows(snapshot: Snapshot, session: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of pg_authid."""
    relation = static.system_relations()["pg_catalog", "pg_authid"]
    held = static.batch("pg_authid", relation.columns)
    assert held is not None
    rows = held.to_pylist()
    super_user = next(row for row in rows if row["oid"] == SUPERUSER_OID)
    known = {row["rolname"] for row in rows}
    for name, oid in role_oids(snapshot, str(session.get("user", ""))).items():
        if name not in known:
            rows.append({**super_user, "oid": oid, "rolname": name})
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A pg_authid row as pg_roles, pg_user and pg_shadow show it."""
    return {**row, "rolpassword": "********", "usename": row["rolname"], "usesysid": row["oid"],
            "usecreatedb": row["rolcreatedb"], "usesuper": row["rolsuper"], "userepl": row["rolreplication"],
            "usebypassrls": row["rolbypassrls"], "passwd": "********", "groname": row["rolname"], "grosysid": row["oid"]}


