"""Which connectors there are, and the catalogs one process has mounted (`Catalogs`).

A new built-in connector is one row of `_BUILT_IN`; a plug-in's is an entry point of the group `shoal.connectors`
named like its URL scheme. Modules are imported when a catalog of theirs is mounted, never before, so that a worker
pays only for what it reads. Hop: none of its own; binding (hop 2) and scans (hop 6) look connectors up here.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Iterable

from shoal.catalog.connector import CatalogDefinition, Connector
from shoal.catalog.errors import ConfigurationError, DuplicateObject, UndefinedDatabase, did_you_mean

SYSTEM = "$system"
"""The reserved name under which the catalog of pg_catalog and information_schema is added; never listed."""
MEMORY = "memory"
"""The writable catalog that is always there."""
FEDERATED = "shoal"
"""The database that shows all catalogs together; no catalog can have its name."""

_FILES = "shoal.catalog.connectors.files:FilesConnector"
_BUILT_IN: dict[str, str] = {
    "postgresql": "shoal.catalog.connectors.postgres:PostgresConnector",
    "postgres": "shoal.catalog.connectors.postgres:PostgresConnector",
    "sqlite": "shoal.catalog.connectors.sqlite:SqliteConnector",
    "memory": "shoal.catalog.connectors.memory:MemoryConnector",
    "tpch": "shoal.catalog.connectors.tpch:TpchConnector",
    "sample": "shoal.catalog.connectors.sample:SampleConnector",
    "system": "shoal.catalog.connectors.system:SystemConnector",
    "files": _FILES,
    **dict.fromkeys(("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"), _FILES),
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def scheme_of(url: str) -> str:
    """The connector scheme of a catalog URL; a plain path (also one that holds a colon further on) is "file"."""
    found = _SCHEME.match(url)
    if not found or (len(found[1]) == 1 and url[2:3] in ("\\", "/")):  # C:\data is a path
        return "file"
    return found[1].lower()


def built_in() -> dict[str, type[Connector]]:
    """The connector class of each built-in URL scheme; imports them all."""
    found = {}
    for scheme, target in _BUILT_IN.items():
        module, _, attribute = target.partition(":")
        found[scheme] = getattr(importlib.import_module(module), attribute)
    return found


def create(definition: CatalogDefinition) -> Connector:
    """The connector for a definition's URL. No connection is made yet.

    Raises: ConfigurationError (F0000) for an unknown scheme or a URL or option its connector refuses.
    """
    scheme = scheme_of(definition.url)
    target = _BUILT_IN.get(scheme)
    if target is not None:
        module, _, attribute = target.partition(":")
        return getattr(importlib.import_module(module), attribute)(definition)
    from importlib.metadata import entry_points  # slow to import, and workers start often
    plugins = {point.name: point for point in entry_points(group="shoal.connectors")}
    if scheme not in plugins:
        known = sorted({*_BUILT_IN, *plugins})
        raise ConfigurationError(
            f'catalog "{definition.name}": no connector for "{scheme}:" URLs',
            hint=did_you_mean(scheme, known) or f"Known are: {', '.join(known)}; a path mounts a folder or file.")
    try:
        factory = plugins[scheme].load()
    except Exception as error:
        raise ConfigurationError(f'catalog "{definition.name}": the plug-in connector for "{scheme}:" cannot be loaded: '
                                 f"{error}") from error
    return factory(definition)


class Catalogs:
    """The mounted catalogs of one process; safe to use from several threads.

    A writable catalog `memory` is always among them.
    """

    temporary = ""
    """The schema of `memory` that holds a session's temporary tables, in that session's view."""

    def __init__(self, definitions: Iterable[CatalogDefinition] = ()) -> None:
        self._lock = threading.Lock()
        self._connectors: dict[str, Connector] = {}
        self._mounted: dict[str, CatalogDefinition] = {}
        self._changes = 0
        try:
            for definition in definitions:
                self.mount(definition)
            if MEMORY not in self._connectors:
                self.mount(CatalogDefinition(MEMORY, "memory:"))
        except BaseException:
            self.close()
            raise

    def mount(self, definition: CatalogDefinition) -> None:
        """Raises: ConfigurationError (F0000); DuplicateObject (42710) where the name is taken."""
        if not definition.name or definition.name.startswith("$") or definition.name == FEDERATED:
            raise ConfigurationError(f'"{definition.name}" cannot be the name of a catalog',
                                     hint="Choose another: it is the name of the database that clients connect to.")
        self._insert(create(definition), definition)

    def add(self, connector: Connector) -> None:
        """Mounts a connector that exists only in this process, such as the system catalogs of the coordinator."""
        self._insert(connector, None)

    def _insert(self, connector: Connector, definition: CatalogDefinition | None) -> None:
        with self._lock:
            if connector.name in self._connectors:
                raise DuplicateObject(f'catalog "{connector.name}" already exists')
            self._connectors = {**self._connectors, connector.name: connector}  # readers hold the old dict
            if definition is not None:
                self._mounted = {**self._mounted, definition.name: definition}
            self._changes += 1

    def unmount(self, name: str) -> None:
        """Raises: UndefinedDatabase (3D000)."""
        connector = self.connector(name)
        with self._lock:
            self._connectors = {key: value for key, value in self._connectors.items() if key != name}
            self._mounted = {key: value for key, value in self._mounted.items() if key != name}
            self._changes += 1
        connector.close()

    def names(self) -> list[str]:
        """The catalogs a client can name, sorted."""
        return sorted(name for name in self._connectors if not name.startswith("$"))

    def connector(self, name: str) -> Connector:
        """Raises: UndefinedDatabase (3D000) with a hint of near names."""
        try:
            return self._connectors[name]
        except KeyError:
            raise UndefinedDatabase(f'catalog "{name}" does not exist', hint=did_you_mean(name, self.names())) from None

    def __contains__(self, name: str) -> bool:
        return name in self._connectors

    def definitions(self) -> tuple[CatalogDefinition, ...]:
        """What workers build their catalogs from: all but the `add`ed ones."""
        return tuple(self._mounted.values())

    def version(self, names: Iterable[str] | None = None) -> object:
        """Changes whenever names or columns of any catalog (or of these) may have changed; compare with !=."""
        connectors = self._connectors
        asked = sorted(connectors) if names is None else [name for name in names if name in connectors]
        return (self._changes, tuple((name, connectors[name].version()) for name in asked))

    def close(self) -> None:
        """Closes every connector; the object is empty afterwards."""
        with self._lock:
            connectors, self._connectors, self._mounted = self._connectors, {}, {}
        for connector in connectors.values():
            connector.close()
