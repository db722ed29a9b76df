"""The mounted catalogs as one session sees them: with what it has not committed yet, and its temporary tables."""

from __future__ import annotations

from shoal.catalog.access import Namespace, ResolvedTable
from shoal.catalog.connector import Connector, SupportsTransactions
from shoal.catalog.registry import MEMORY, Catalogs


class SessionCatalogs(Catalogs):
    """A session's view of `Catalogs` for one statement; not to be mounted into."""

    def __init__(self, catalogs: Catalogs, session: str) -> None:
        self.__dict__.update(catalogs.__dict__)
        self.session = session
        self._connectors = {name: connector.seen_by(session) if isinstance(connector, SupportsTransactions) else connector
                            for name, connector in self._connectors.items()}
        memory = self._connectors[MEMORY]
        if isinstance(memory, SupportsTransactions):
            self.temporary = memory.temporary_schema(session)


def catalogs_of(catalogs: Catalogs, session: str) -> Catalogs:
    """The catalogs that `session` sees: `catalogs` itself while it has nothing of its own."""
    return SessionCatalogs(catalogs, session) if session and touched(catalogs, session) else catalogs


def transactional(catalogs: Catalogs) -> list[tuple[str, SupportsTransactions]]:
    """The catalogs in which sessions have transactions."""
    return [(name, connector) for name in catalogs.names()
            if isinstance(connector := catalogs.connector(name), SupportsTransactions)]


def touched(catalogs: Catalogs, session: str) -> tuple[int, ...]:
    """Empty while the session sees what everybody sees; else something that changes with what names mean to it."""
    found = tuple(connector.touched(session) for _, connector in transactional(catalogs))
    return found if any(found) else ()


def written_by(connector: Connector, session: str) -> Connector:
    """The connector through which the session writes."""
    return connector.written_by(session) if session and isinstance(connector, SupportsTransactions) else connector


def session_namespace(catalogs: Catalogs, database: str, search_path: tuple[str, ...], session: str) -> Namespace:
    """Names as the session sees them; those of its temporary tables come first."""
    temporary = ""
    memory = catalogs.connector(MEMORY)
    if session and isinstance(memory, SupportsTransactions):
        temporary = memory.temporary_schema(session)
    return Namespace(catalogs_of(catalogs, session), database, search_path, temporary)


def locks_of_table(found: ResolvedTable) -> list[tuple[str, str, str]]:
    """(catalog, schema, name) of what a statement that writes to this table holds: the table, and those that foreign keys
    join it to; nothing where the catalog has no transactions."""
    connector, handle = found.connector, found.handle
    if not isinstance(connector, SupportsTransactions):
        return []
    own = (handle.schema, handle.name)
    joined = {own, *(key.references for key in connector.constraints(handle) if key.references is not None)}
    for schema in connector.schemas():
        for table in connector.tables(schema):
            other = connector.table(schema, table.name)
            if other is not None and any(key.references == own for key in connector.constraints(other)):
                joined.add((schema, table.name))
    return [(handle.catalog, *name) for name in sorted(joined)]
