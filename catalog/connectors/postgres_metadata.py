"""Names, columns and statistics of a remote PostgreSQL, read from its pg_catalog and kept for a while.

Hop 2 and 3. A schema's columns come in one query; a table that is not among the known names is looked for again at
once, so that new tables appear when they are asked for.

Spec: PostgreSQL 15 documentation, chapter 53 "System Catalogs".
"""

from __future__ import annotations

import datetime
import decimal
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from shoal.catalog.connector import ColumnStatistics, TableName, TableStatistics
from shoal.catalog.connectors.postgres_connections import Connection, Connections
from shoal.catalog.connectors.postgres_objects import RemoteObjects, base_types
from shoal.catalog.connectors.postgres_types import TYPE_FIELDS, TYPE_JOINS, RemoteColumn, RemoteType, sql_type_of
from shoal.catalog.declarations import ColumnInfo, TableKind
from shoal.catalog.types import SqlType

_NAMES = """
SELECT n.nspname, c.relname, c.relkind::text, coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"
_COLUMNS = f"""
SELECT c.relname, a.attname, t.oid::int8, {TYPE_FIELDS.format(t="t")}, a.atttypmod,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, coalesce(col_description(c.oid, a.attnum), ''),
       coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
       coalesce(co.collname, ''), coalesce(co.collprovider::text, ''), coalesce(co.collcollate, ''), {{deterministic}},
       coalesce(s.n_distinct, 0), {{identity}}, {{generated}}
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
{TYPE_JOINS.format(t="t")}
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
WHERE n.nspname = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_LAYOUT = """
SELECT c.relkind::text, coalesce(am.amname, 'heap') = 'heap', pg_relation_size(c.oid)::int8, c.reltuples::float8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am am ON am.oid = c.relam
WHERE n.nspname = %s AND c.relname = %s
"""
_LEAVES = """
WITH RECURSIVE leaves AS (
    SELECT i.inhrelid AS oid FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = %s AND p.relname = %s
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN leaves ON i.inhparent = leaves.oid)
SELECT c.relkind::text, coalesce(am.amname, 'heap') = 'heap', pg_relation_size(c.oid)::int8, c.reltuples::float8
FROM leaves JOIN pg_class c ON c.oid = leaves.oid LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.relkind <> 'p'
"""
_STATISTICS = """
SELECT attname, null_frac, avg_width, n_distinct, histogram_bounds::text, most_common_vals::text
FROM pg_stats WHERE schemaname = %s AND tablename = %s ORDER BY inherited
"""
_KINDS: dict[str, TableKind] = {"r": "table", "p": "partitioned_table", "f": "foreign_table", "v": "view",
                                "m": "materialized_view"}
_FEW_VALUES = 1000
_C_LOCALES = ("C", "POSIX", "C.UTF-8", "C.utf8")
"""Locales that order by code point in a UTF-8 database."""
BLOCK_BYTES = 8192

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table lies on disk: `leaves` are the sizes in blocks of its parts that ctid ranges can divide."""

    leaves: tuple[int, ...]
    divisible: bool
    rows: float | None

    @property
    def size_bytes(self) -> int:
        return sum(self.leaves) * BLOCK_BYTES


@dataclass(frozen=True, slots=True)
class _Columns:
    shown: tuple[ColumnInfo, ...]
    remote: tuple[RemoteColumn, ...]


class Metadata:
    """What is known of one remote database; thread-safe."""

    def __init__(self, connections: Connections, kept_s: float = 30.0, statistics_kept_s: float = 300.0) -> None:
        self._connections = connections
        self._kept_s, self._statistics_kept_s = kept_s, statistics_kept_s
        self._lock = threading.RLock()
        self._cache: dict[Hashable, tuple[float, Any]] = {}
        self._forgotten = 0
        self.objects = RemoteObjects(lambda key, load: self._kept(key, self._kept_s, load))

    def version(self) -> object:
        """Changes with every period after which names are read anew."""
        return (self._forgotten, int(time.monotonic() / self._kept_s))

    def forget(self) -> None:
        """Reads everything anew from now on: the remote side said that something is not as we thought."""
        with self._lock:
            self._cache.clear()
            self._forgotten += 1

    def _kept(self, key: Hashable, kept_s: float, load: Callable[[Connection], T]) -> T:
        with self._lock:
            found = self._cache.get(key)
        if found is not None and time.monotonic() - found[0] < kept_s:
            return found[1]
        with self._connections.transaction() as connection:
            value = load(connection)
        with self._lock:
            if len(self._cache) > 2000:
                self._cache.clear()
            self._cache[key] = (time.monotonic(), value)
        return value

    def names(self) -> dict[str, dict[str, TableName]]:
        """Tables by schema and name; empty schemas too."""
        def load(connection: Connection) -> dict[str, dict[str, TableName]]:
            found: dict[str, dict[str, TableName]] = {row[0]: {} for row in connection.execute(_SCHEMAS)}
            for schema, name, kind, comment in connection.execute(_NAMES):
                found.setdefault(schema, {})[name] = TableName(schema, name, _KINDS[kind], comment)
            return found
        return self._kept("names", self._kept_s, load)

    def find(self, schema: str, name: str) -> TableName | None:
        found = self.names().get(schema, {}).get(name)
        if found is None:
            with self._lock:
                age = time.monotonic() - self._cache.get("names", (0.0, None))[0]
                if age > 1.0:
                    self._cache.pop("names", None)
            found = self.names().get(schema, {}).get(name) if age > 1.0 else None
        return found

    def _columns(self, schema: str, name: str) -> _Columns:
        def load(connection: Connection) -> dict[str, _Columns]:
            bases = base_types(connection)
            version = connection.info.server_version
            encoding = connection.info.parameter_status("server_encoding")
            comparable = encoding in ("UTF8", "LATIN1", "SQL_ASCII")
            standard = version >= 140000 and encoding == "UTF8"
            collate = connection.execute("SELECT datcollate FROM pg_database WHERE datname = current_database()").fetchone()
            default_c = collate is not None and collate[0] in _C_LOCALES
            deterministic = "coalesce(co.collisdeterministic, true)" if version >= 120000 else "true"
            found: dict[str, tuple[list[ColumnInfo], list[RemoteColumn]]] = {}
            statement = _COLUMNS.replace("{deterministic}", deterministic)
            statement = statement.replace("{identity}", "a.attidentity::text" if version >= 100000 else "''")
            statement = statement.replace("{generated}", "a.attgenerated::text" if version >= 120000 else "''")
            for row in connection.execute(statement.encode(), [schema]):
                table, column, oid, *of_type = row[:9]
                (typmod, formatted, not_null, comment, default, collation, provider, locale, exact, distinct, identity,
                 generated) = row[9:]
                remote_type, typmod = bases(oid, RemoteType(*of_type), typmod)
                sql_type, native = sql_type_of(remote_type, typmod)
                c_order = default_c if provider == "d" else not collation or (provider == "c" and locale in _C_LOCALES)
                few = sql_type.is_string and 0 < distinct <= _FEW_VALUES
                shown, remote = found.setdefault(table, ([], []))
                shown.append(ColumnInfo(column, sql_type, not not_null, comment, default=default,
                                        native_type=formatted if native else "", made=remote_type.made, identity=identity,
                                        generated=bool(generated)))
                remote.append(RemoteColumn(column, sql_type, native, c_order, exact, comparable, few,
                                           standard))
            return {table: _Columns(tuple(shown), tuple(remote)) for table, (shown, remote) in found.items()}
        columns = self._kept(("columns", schema), self._kept_s, load)
        if name not in columns:
            with self._lock:
                self._cache.pop(("columns", schema), None)
            columns = self._kept(("columns", schema), self._kept_s, load)
        return columns.get(name, _Columns((), ()))

    def columns(self, schema: str, name: str) -> tuple[ColumnInfo, ...]:
        return self._columns(schema, name).shown

    def remote_columns(self, schema: str, name: str) -> dict[str, RemoteColumn]:
        return {column.name: column for column in self._columns(schema, name).remote}

    def layout(self, schema: str, name: str) -> Layout:
        """May be of a while ago: the last part of a division has no end, so a table that grew since is still whole."""
        return self._kept(("layout", schema, name), self._kept_s, lambda c: self._read_layout(c, schema, name))

    @staticmethod
    def _read_layout(connection: Connection, schema: str, name: str) -> Layout:
        own = connection.execute(_LAYOUT, [schema, name]).fetchone()
        if own is None or own[0] in ("v", "f"):
            return Layout((), False, own[3] if own and own[3] >= 0 else None)
        parts = connection.execute(_LEAVES, [schema, name]).fetchall()
        if own[0] != "p":
            parts.append(own)
        ranged = connection.info.server_version >= 140000  # before, a ctid range reads the whole table
        divisible = ranged and all(kind in ("r", "m") and heap for kind, heap, _, _ in parts)
        known = [rows for _, _, _, rows in parts if rows >= 0]
        return Layout(tuple(-(-size // BLOCK_BYTES) for _, _, size, _ in parts), divisible,
                      sum(known) if len(known) == len(parts) else None)

    def statistics(self, schema: str, name: str) -> TableStatistics:
        """Row counts of pg_class and columns of pg_stats; what ANALYZE last saw."""
        def load(connection: Connection) -> TableStatistics:
            layout = self._read_layout(connection, schema, name)
            types = {column.name: column.type for column in self._columns(schema, name).remote}
            rows = layout.rows
            if rows is None and layout.leaves:  # never analyzed: as the remote planner guesses
                width = sum(max(t.size, 16) if t.size < 0 else t.size for t in types.values()) + 28
                rows = float(layout.size_bytes // width)
            found = {}
            for column, nulls, width, distinct, bounds, common in connection.execute(_STATISTICS, [schema, name]):
                if column not in types:
                    continue
                if distinct < 0:
                    distinct = -distinct * rows if rows is not None else None
                low, high = _range(types[column], bounds, common)
                found[column] = ColumnStatistics(distinct or None, nulls, low, high, width)
            return TableStatistics(rows, found)
        return self._kept(("statistics", schema, name), self._statistics_kept_s, load)

    def planned_rows(self, statement: str) -> float | None:
        """How many rows the remote planner expects of a SELECT; None where it cannot say."""
        def load(connection: Connection) -> float | None:
            row = connection.execute("EXPLAIN (FORMAT JSON) " + statement).fetchone()
            return float(row[0][0]["Plan"]["Plan Rows"]) if row else None
        return self._kept(("planned", statement), self._statistics_kept_s, load)


def _range(sql_type: SqlType, bounds: str | None, common: str | None) -> tuple[Any, Any]:
    """The least and greatest of the sampled values, for types whose order both sides share."""
    values = []
    for text in (bounds, common):
        if text is not None and sql_type.name in _READERS:
            items = text[1:-1].replace('"', "").split(",")
            values += [_READERS[sql_type.name](item) for item in (items[0], items[-1]) if text is bounds]
            values += [_READERS[sql_type.name](item) for item in items if text is common]
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (None, None)


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _timestamp(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _decimal(text: str) -> decimal.Decimal | None:
    value = decimal.Decimal(text)
    return value if value.is_finite() else None


def _float(text: str) -> float | None:
    value = float(text)
    return None if value != value else value


_READERS: dict[str, Callable[[str], Any]] = {
    "int2": int, "int4": int, "int8": int, "float4": _float, "float8": _float, "numeric": _decimal,
    "date": _date, "timestamp": _timestamp, "timestamptz": _timestamp,
}
