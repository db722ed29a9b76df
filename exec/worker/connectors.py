"""The connectors of a worker process, built from the definitions that come with each task and kept for the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from shoal.catalog.connector import CatalogDefinition, Connector
from shoal.catalog.errors import UndefinedDatabase
from shoal.catalog.registry import create
from shoal.exec.plan.fragment import TaskSpec

_KEPT: Final = 64

Key = tuple[str, str, tuple[tuple[str, str], ...]]


class WorkerConnectors:
    """Least recently used ones are closed beyond a bound. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: OrderedDict[Key, Connector] = OrderedDict()

    def __call__(self, spec: TaskSpec, catalog: str) -> Connector:
        """The connector of a catalog that the task names. Raises: UndefinedDatabase (3D000), ConfigurationError."""
        definition = next((d for d in spec.catalogs if d.name == catalog), None)
        if definition is None:
            raise UndefinedDatabase(f'catalog "{catalog}" is not known to this worker')
        key = _key(definition)
        with self._lock:
            connector = self._built.get(key)
            if connector is None:
                connector = self._built[key] = create(definition)
                if len(self._built) > _KEPT:
                    self._built.popitem(last=False)[1].close()
            self._built.move_to_end(key)
            return connector

    def close(self) -> None:
        with self._lock:
            for connector in self._built.values():
                connector.close()
            self._built.clear()


def _key(definition: CatalogDefinition) -> Key:
    return definition.name, definition.url, tuple(sorted(definition.options.items()))
