"""The catalog's names as functions see them, for tasks and planning inside the coordinator.

Workers have none: there `oid::regclass` prints the number, and plans that need names are folded before they leave.
"""

from __future__ import annotations

from shoal.catalog.connector import ConnectorLookup
from shoal.catalog.errors import UndefinedDatabase
from shoal.catalog.pg_catalog import PgCatalog
from shoal.catalog.pg_catalog.names import SessionNames
from shoal.catalog.registry import SYSTEM
from shoal.exec.plan.fragment import TaskSettings


def session_names(catalogs: ConnectorLookup, settings: TaskSettings) -> SessionNames | None:
    """The names of the session that a statement's settings describe; None where no system catalog is mounted."""
    try:
        system = catalogs.connector(SYSTEM)
    except UndefinedDatabase:
        return None
    if not isinstance(system, PgCatalog):
        return None
    return system.names(settings.session)
