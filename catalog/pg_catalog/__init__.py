"""pg_catalog and information_schema as ordinary tables: one connector, read inside the coordinator.

Every system relation of PostgreSQL 15 exists with its columns. Its rows are those every PostgreSQL has (static.py)
and, after them, those of the module of `views/` or `information_schema/` that is named like it. Such a module has
`rows(snapshot)`, or `session_rows(snapshot, session)` where the answer differs with the session; each row is a
dictionary of the columns it fills, the others are NULL. With `COMPLETE = True` its rows are all; where PostgreSQL's own
objects have rows that name the database, `fixed_rows(snapshot)` gives those once for each. So a new view is one
new file. What only the server knows (settings, sessions) it feeds by relation name.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache, partial
from types import ModuleType
from typing import Any

import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    Connector,
    DynamicFilter,
    Split,
    SupportsDatabases,
    SupportsSessions,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors.batches import batch_of, in_pieces
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.pg_catalog import static
from shoal.catalog.pg_catalog.names import SessionNames
from shoal.catalog.pg_catalog.snapshot import Snapshot, ViewText
from shoal.catalog.pg_catalog.static import SystemRelation, system_relations
from shoal.catalog.registry import FEDERATED, SYSTEM, Catalogs
from shoal.catalog.session_catalogs import catalogs_of
from shoal.catalog.types import storage_type

SYSTEM_SCHEMAS = ("information_schema", "pg_catalog")
PACKAGES = {"pg_catalog": "shoal.catalog.pg_catalog.views", "information_schema": "shoal.catalog.information_schema"}
Session = Mapping[str, Any]
"""What TaskSettings.session says: user, database, backend_pid, settings ..."""
Rows = Iterable[Mapping[str, Any]]
_OWN_SNAPSHOTS = 64


class PgCatalog(Connector, SupportsDatabases, SupportsSessions):
    """The reserved catalog of system schemas; `table_in` handles carry the database they show."""

    kind = "pg_catalog"
    placement = "coordinator"
    default_schema = "pg_catalog"

    def __init__(self, catalogs: Catalogs, feeds: Mapping[str, Callable[[Session], Rows]] | None = None,
                 users: Callable[[], Iterable[str]] = tuple,
                 functions: Mapping[str, Callable[..., Any]] | None = None) -> None:
        """`feeds`: rows of relations that only the server knows, such as pg_settings, by relation name. `users`: the
        names that may log in. `functions`: SQL functions that only the server can answer, called with the session
        and the arguments."""
        super().__init__(CatalogDefinition(SYSTEM, "pg_catalog:"))
        self.catalogs = catalogs
        self.feeds: dict[str, Callable[[Session], Rows]] = dict(feeds or {})
        self.users = users
        self.functions: dict[str, Callable[..., Any]] = dict(functions or {})
        self.view_text: ViewText | None = None
        """How views are written that Shoal keeps itself; None: as they were made."""
        self._snapshots: dict[str, tuple[object, Snapshot]] = {}
        self._fixed: dict[tuple[str, str], pa.RecordBatch] = {}
        """The rows that a relation's `fixed_rows` gives, by its name and the database."""
        self._own_snapshots: dict[str, dict[str, tuple[object, Snapshot]]] = {}
        """Those of sessions that see something else, by token."""

    def snapshot(self, database: str) -> Snapshot:
        """What `database` shows now; reused until some catalog changes."""
        version = self.version()
        cached = self._snapshots.get(database)
        if cached is None or cached[0] != version:
            cached = self._snapshots[database] = (version, Snapshot(database, self.catalogs, self.users, self.view_text))
        return cached[1]

    def names(self, session: Session) -> SessionNames:
        """What functions such as pg_get_constraintdef and casts to regclass ask, for one session."""
        database = str(session.get("database", FEDERATED))
        path = tuple(session.get("search_path", ("public",)))
        return SessionNames(lambda: self._seen_by(session).snapshot(database), path, str(session.get("user", "")),
                            lambda name: self._rows(system_relations()["pg_catalog", name], database, session),
                            {name: partial(function, session) for name, function in self.functions.items()})

    def _seen_by(self, session: Session) -> PgCatalog:
        """What the session sees while it has changes or temporary tables of its own: the same over its catalogs."""
        catalogs = catalogs_of(self.catalogs, str(session.get("token", "")))
        if catalogs is self.catalogs:
            return self
        found = copy(self)
        found.catalogs = catalogs
        found._snapshots = self._own_snapshots.setdefault(str(session["token"]), {})
        if len(self._own_snapshots) > _OWN_SNAPSHOTS:
            self._own_snapshots.pop(next(iter(self._own_snapshots)))
        return found

    def version(self) -> object:
        """That of all the other catalogs."""
        return tuple((name, self.catalogs.connector(name).version()) for name in self.catalogs.names())

    def schemas(self) -> list[str]:
        return list(SYSTEM_SCHEMAS)

    def tables(self, schema: str) -> list[TableName]:
        return [TableName(schema, r.name, "system" if r.kind == "r" else "view") for r in system_relations().values()
                if r.schema == schema]

    def table(self, schema: str, name: str) -> TableHandle | None:
        return self.table_in(FEDERATED, schema, name)

    def table_in(self, database: str, schema: str, name: str) -> TableHandle | None:
        """The handle of a system relation as seen in `database`."""
        if (schema, name) not in system_relations():
            return None
        return TableHandle(self.name, schema, name, "system", {"database": database})

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return system_relations()[handle.schema, handle.name].columns

    def statistics(self, handle: TableHandle) -> TableStatistics:
        return TableStatistics(rows=_ROWS.get(handle.name, 100.0))

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        return [Split({})]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        yield from self.read_as({}, handle, columns, batch_rows)

    def read_as(self, session: Session, handle: TableHandle, columns: Sequence[str],
                batch_rows: int) -> Iterator[pa.RecordBatch]:
        relation = system_relations()[handle.schema, handle.name]
        types = {info.name: info.type for info in relation.columns}
        rows = self._seen_by(session)._rows(relation, str(handle.state.get("database", FEDERATED)), session)
        held = dict(zip(rows.schema.names, rows.columns, strict=True))
        arrays = []
        for column in columns:
            if column == "tableoid":
                arrays.append(pa.repeat(pa.scalar(relation.oid, storage_type(types[column])), rows.num_rows))
            else:
                found = held.get(column)
                arrays.append(pa.nulls(rows.num_rows, storage_type(types[column])) if found is None else found)
        yield from in_pieces(batch_of(columns, arrays, rows.num_rows), batch_rows)

    def _rows(self, relation: SystemRelation, database: str, session: Session) -> pa.RecordBatch:
        infos = [info for info in relation.columns if info.name not in _EVERYWHERE]
        if relation.name in self.feeds and relation.schema == "pg_catalog":
            return static.of_rows(self.feeds[relation.name](session), infos)
        module = _module(relation.schema, relation.name)
        if module is None:
            return static.batch(relation.name, relation.columns) or static.of_rows((), infos)
        if hasattr(module, "session_rows"):
            return static.of_rows(module.session_rows(self.snapshot(database), session), infos)
        snapshot = self.snapshot(database)
        key = relation.schema, relation.name
        found = snapshot.batches.get(key)
        if found is None:
            found = static.of_rows(module.rows(snapshot), infos)
            first = self._fixed_rows(relation, module, snapshot, infos)
            if first is not None:
                found = pa.concat_batches([first, found.cast(first.schema)])
            snapshot.batches[key] = found
        return found


    def _fixed_rows(self, relation: SystemRelation, module: ModuleType, snapshot: Snapshot,
                     infos: Sequence[ColumnInfo]) -> pa.RecordBatch | None:
        """Those that every snapshot of the database has."""
        if not hasattr(module, "fixed_rows"):
            return None if getattr(module, "COMPLETE", False) else static.batch(relation.name, relation.columns)
        key = relation.name, snapshot.database
        found = self._fixed.get(key)
        if found is None:
            found = self._fixed[key] = static.of_rows(module.fixed_rows(snapshot), infos)
        return found


_EVERYWHERE = frozenset({"tableoid", "xmin", "ctid"})
_ROWS = {"pg_attribute": 4000.0, "columns": 2500.0, "pg_proc": 3300.0, "pg_type": 700.0, "pg_class": 500.0,
         "pg_description": 5000.0, "pg_depend": 2000.0, "pg_operator": 800.0, "pg_amop": 900.0, "pg_amproc": 700.0}


@cache
def _module(schema: str, name: str) -> ModuleType | None:
    module = f"{PACKAGES[schema]}.{name}"
    return None if importlib.util.find_spec(module) is None else importlib.import_module(module)
