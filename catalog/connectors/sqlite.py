"""`sqlite:PATH`: the tables and views of an SQLite database file, opened read-only, as schema `public`.

Hops 2, 3 and 6. Column types come from the declarations as far as a sample of the rows bears them out (sqlite_types);
a value met later that does not conform is error 42804, on which the engine plans anew with the type widened
(`replan_after`). Large tables are read in rowid ranges; `begin` holds a read transaction so that all see one state
(a database in WAL mode gives no other process that state, so there a table is one split).

Spec: sqlite.org/lang.html, sqlite.org/pragma.html, sqlite.org/lockingv3.html.
"""

from __future__ import annotations

import datetime
import decimal
import math
import os
import re
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pyarrow as pa

from shoal.catalog.connector import (
    CatalogDefinition,
    ColumnStatistics,
    Connector,
    DynamicFilter,
    FilterResult,
    LimitResult,
    Predicate,
    Split,
    SupportsExpressions,
    SupportsFilter,
    SupportsLimit,
    SupportsSnapshot,
    TableHandle,
    TableName,
    TableStatistics,
)
from shoal.catalog.connectors.batches import counted, require_columns
from shoal.catalog.connectors.sqlite_types import SqliteType, candidates, convert
from shoal.catalog.connectors.urls import path_and_options
from shoal.catalog.declarations import Action, ColumnInfo, Constraint, Index
from shoal.catalog.errors import (
    ConfigurationError,
    DataCorrupted,
    DatatypeMismatch,
    ExternalError,
    IoError,
    SqlError,
    UndefinedFile,
    UndefinedTable,
)
from shoal.catalog.expressions import SourceColumn, SourceExpression, tokens

_SAMPLE_ROWS = 10_000
"""So many rows from each end decide the column types."""
_ROWS_PER_SPLIT = 200_000
_SMALL_LIMIT_ROWS = 100_000
_MOST_VALUES = 500
_BUSY_S = 10.0
_ACTIONS: dict[str, Action] = {"NO ACTION": "a", "RESTRICT": "r", "CASCADE": "c", "SET NULL": "n", "SET DEFAULT": "d"}
_DESCENDING = 3
"""Descending, nulls first, as pg_index.indoption."""
_SYMBOLS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True, slots=True)
class _Table:
    name: TableName
    columns: tuple[ColumnInfo, ...]
    types: Mapping[str, SqliteType]
    rowid: str
    """A name by which the rowid can be had; "" where there is none."""


class SqliteConnector(Connector, SupportsFilter, SupportsExpressions, SupportsLimit, SupportsSnapshot):
    kind: ClassVar[str] = "sqlite"
    dialect: ClassVar[str] = "sqlite"
    expression_types: ClassVar[frozenset[str]] = frozenset({"bool", "int4", "int8", "text"})

    def __init__(self, definition: CatalogDefinition) -> None:
        super().__init__(definition)
        path, _ = path_and_options(definition, ())
        if path.startswith("///"):
            path = path[2:]
        if not path or path.startswith("//"):
            raise ConfigurationError(f'catalog "{definition.name}": write sqlite:PATH, the path of a database file')
        self.path = Path(path).expanduser()
        self._lock = threading.RLock()
        self._stamp: object = None
        self._tables: dict[str, _Table | None] = {}
        self._names: dict[str, TableName] = {}
        self._statistics: dict[str, TableStatistics] = {}
        self._doubted: set[str] = set()
        self._open: dict[str, sqlite3.Connection] = {}

    # connections

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own; sqlite3's errors leave the block as SqlErrors naming the file."""
        try:
            with closing(self._connect()) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _connect(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise UndefinedFile(f'catalog "{self.name}": there is no database file "{self.path}"')
        url = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        return sqlite3.connect(url, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)

    def _error(self, error: sqlite3.Error) -> SqlError:
        text = f'catalog "{self.name}": "{self.path}": {error}'
        if "malformed" in str(error) or "not a database" in str(error) or "decode" in str(error):
            return DataCorrupted(text)
        return IoError(text) if "disk I/O" in str(error) or "unable to open" in str(error) else ExternalError(text)

    def version(self) -> object:
        found: list[object] = [len(self._doubted)]
        for path in (self.path, Path(f"{self.path}-wal")):
            try:
                status = os.stat(path)
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)

    def _fresh(self) -> None:
        """Drops what is known when the file has changed; called under the lock."""
        stamp = self.version()
        if stamp != self._stamp:
            self._stamp, self._tables, self._statistics = stamp, {}, {}
            with self._connection() as connection:
                rows = connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
                                          "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'").fetchall()
            self._names = {name: TableName("public", name, kind) for name, kind in rows}

    # names

    def schemas(self) -> list[str]:
        with self._lock:
            self._fresh()
        return ["public"]

    def tables(self, schema: str) -> list[TableName]:
        with self._lock:
            self._fresh()
            return sorted(self._names.values(), key=lambda table: table.name) if schema == "public" else []

    def table(self, schema: str, name: str) -> TableHandle | None:
        with self._lock:
            self._fresh()
            found = self._names.get(name) if schema == "public" else None
        return None if found is None else TableHandle(self.name, schema, name, found.kind)

    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        return self._table(handle).columns

    def _table(self, handle: TableHandle) -> _Table:
        with self._lock:
            self._fresh()
            table = self._tables.get(handle.name)
            if table is None:
                if handle.name not in self._names:
                    raise UndefinedTable(f'relation "{handle.name}" does not exist in "{self.path}"')
                with self._connection() as connection:
                    table = self._tables[handle.name] = self._describe(connection, self._names[handle.name])
            return table

    def _describe(self, connection: sqlite3.Connection, name: TableName) -> _Table:
        declared = [row for row in connection.execute(f"PRAGMA table_xinfo({_quoted(name.name)})") if row[6] in (0, 2, 3)]
        names = [row[1] for row in declared]
        rowid = ""
        folded = {column.lower() for column in names}
        if name.kind == "table":
            for alias in ("_rowid_", "rowid", "oid"):
                if alias not in folded:
                    try:
                        connection.execute(f"SELECT max({alias}) FROM {_quoted(name.name)}").fetchone()
                        rowid = alias
                    except sqlite3.OperationalError:
                        pass  # WITHOUT ROWID, or a virtual table
                    break
        options = [list(candidates(row[2])) for row in declared]
        for rows in self._sample(connection, name.name, rowid):
            for values, left in zip(zip(*rows, strict=True), options, strict=True):
                while len(left) > 1 and not _conforms(values, left[0]):
                    left.pop(0)
        shown, types = [], {}
        for (_, column, text, not_null, default, key, _), left in zip(declared, options, strict=True):
            types[column] = left[0]
            # an INTEGER PRIMARY KEY is never NULL, other keys may be
            nullable = not not_null and not (key and text.upper() == "INTEGER")
            shown.append(ColumnInfo(column, left[0].sql, nullable, default=default or "",
                                    native_type=text or "any" if left[0].mixed else ""))
        return _Table(name, tuple(shown), types, rowid)

    def _sample(self, connection: sqlite3.Connection, name: str, rowid: str) -> Iterator[list[tuple[Any, ...]]]:
        """Rows to judge the types by: both ends of the table, or all of it once a value was found not to conform."""
        table = _quoted(name)
        if name in self._doubted:
            cursor = connection.execute(f"SELECT * FROM {table}")
            while rows := cursor.fetchmany(_SAMPLE_ROWS):
                yield rows
            return
        rows = connection.execute(f"SELECT * FROM {table} LIMIT {_SAMPLE_ROWS}").fetchall()
        if rows:
            yield rows
        if len(rows) == _SAMPLE_ROWS and rowid:
            yield connection.execute(f"SELECT * FROM {table} ORDER BY {rowid} DESC LIMIT {_SAMPLE_ROWS}").fetchall()

    def replan_after(self, handle: TableHandle, error: SqlError) -> bool:
        if not isinstance(error, DatatypeMismatch) or handle.name in self._doubted:
            return False
        with self._lock:
            before = self._table(handle).types
            self._doubted.add(handle.name)
            return self._table(handle).types != before

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        name, table = handle.name, _quoted(handle.name)
        found: list[Constraint] = []
        with self._connection() as connection:
            keys = _key_columns(connection, name)
            if keys:
                found.append(Constraint(f"{name}_pkey", "primary", tuple(column for _, column in keys)))
            for index in connection.execute(f"PRAGMA index_list({table})").fetchall():
                if index[3] == "u" or (index[2] and index[3] == "c" and not index[4]):
                    columns = [row[2] for row in connection.execute(f"PRAGMA index_info({_quoted(index[1])})")]
                    if None not in columns:
                        found.append(Constraint(index[1], "unique", tuple(columns)))
            foreign: dict[int, list[Any]] = {}
            for row in connection.execute(f"PRAGMA foreign_key_list({table})"):
                foreign.setdefault(row[0], []).append(row)
            for number, rows in sorted(foreign.items()):
                rows.sort(key=lambda row: row[1])
                target = next((own for own in self._names if own.lower() == rows[0][2].lower()), rows[0][2])
                to = tuple(row[4] for row in rows)
                if None in to:
                    to = tuple(column for _, column in _key_columns(connection, target))
                own_columns = tuple(row[3] for row in rows)
                found.append(Constraint(f"{name}_fkey{number}", "foreign", own_columns, ("public", target), to,
                                        on_update=_ACTIONS[rows[0][5]], on_delete=_ACTIONS[rows[0][6]]))
        return tuple(found)

    def indexes(self, handle: TableHandle) -> tuple[Index, ...]:
        """Those of plain columns."""
        found = []
        with self._connection() as connection:
            for _, name, unique, _, partial in connection.execute(f"PRAGMA index_list({_quoted(handle.name)})").fetchall():
                keys = [row for row in connection.execute(f"PRAGMA index_xinfo({_quoted(name)})") if row[5]]
                if any(row[2] is None for row in keys):
                    continue
                made = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?",
                                          [name]).fetchone()
                condition = re.split(r"\bWHERE\b", made[0], maxsplit=1, flags=re.IGNORECASE)[1:] if partial and made else []
                found.append(Index(name, tuple(row[2] for row in keys), bool(unique),
                                   predicate="".join(f"({text.strip()})" for text in condition),
                                   options=tuple(_DESCENDING if row[3] else 0 for row in keys)))
        return tuple(found)

    def view_definition(self, handle: TableHandle, pretty: bool = False) -> str:
        with self._connection() as connection:
            row = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'view' AND name = ?",
                                     [handle.name]).fetchone()
        parts = re.split(r"\bAS\b", row[0], maxsplit=1, flags=re.IGNORECASE) if row else []
        return f" {parts[1].strip()};" if len(parts) == 2 else ""

    def statistics(self, handle: TableHandle) -> TableStatistics:
        table = self._table(handle)
        with self._lock:
            found = self._statistics.get(handle.name)
        if found is None:
            with self._connection() as connection:
                found = self._measure(connection, table)
            with self._lock:
                self._statistics[handle.name] = found
        return found

    def _measure(self, connection: sqlite3.Connection, table: _Table) -> TableStatistics:
        """Only what indexes answer at once, and sqlite_stat1 where ANALYZE has filled it."""
        name = _quoted(table.name.name)
        rows: float | None = None
        if table.rowid:
            rows = connection.execute(f"SELECT max({table.rowid}) FROM {name}").fetchone()[0] or 0
        elif table.name.kind == "table":
            rows = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        distinct: dict[str, float] = {}
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone():
            for index, text in connection.execute("SELECT idx, stat FROM sqlite_stat1 WHERE tbl = ?", [table.name.name]):
                numbers = [int(part) for part in text.split() if part.isdigit()]
                rows = numbers[0] if numbers else rows
                if index is not None and len(numbers) > 1:
                    first = connection.execute(f"PRAGMA index_info({_quoted(index)})").fetchone()
                    if first and first[2]:
                        distinct[first[2]] = numbers[0] / max(numbers[1], 1)
        columns: dict[str, ColumnStatistics] = {}
        for column in self._indexed(connection, table):
            kind = table.types[column]
            low, high = None, None
            if kind.sql.name in ("int8", "float8"):
                low, high = (connection.execute(f"SELECT {function}({_quoted(column)}) FROM {name}").fetchone()[0]
                             for function in ("min", "max"))
            columns[column] = ColumnStatistics(distinct.get(column), None, low, high)
        return TableStatistics(None if rows is None else float(rows), columns)

    @staticmethod
    def _indexed(connection: sqlite3.Connection, table: _Table) -> list[str]:
        """Columns whose least and greatest value an index knows."""
        if table.name.kind != "table":
            return []
        name = _quoted(table.name.name)
        keys = [row for row in connection.execute(f"PRAGMA table_xinfo({name})") if row[5]]
        found = [keys[0][1]] if len(keys) == 1 and keys[0][2].upper() == "INTEGER" else []
        for index in connection.execute(f"PRAGMA index_list({name})").fetchall():
            first = connection.execute(f"PRAGMA index_info({_quoted(index[1])})").fetchone()
            if not index[4] and first and first[2]:
                found.append(first[2])
        return [column for column in dict.fromkeys(found) if column in table.types]

    def close(self) -> None:
        for query_id in list(self._open):
            self.end(query_id)

    # push-down

    def apply_filter(self, handle: TableHandle, predicates: tuple[Predicate, ...]) -> FilterResult | None:
        if "limit" in handle.state:
            return None
        types = self._table(handle).types
        made = [_condition(p, types[p.column]) if p.column in types else None for p in predicates]
        taken = [condition for condition in made if condition is not None]
        if not taken:
            return None
        state = {**handle.state, "where": (*handle.state.get("where", ()), *taken)}
        return FilterResult(_with_state(handle, state), tuple(i for i, condition in enumerate(made) if condition is None))

    def apply_expressions(self, handle: TableHandle, expressions: tuple[SourceExpression, ...]) -> FilterResult | None:
        """All only leave out rows that cannot pass: values of other types than the column's are for Shoal to meet."""
        if "limit" in handle.state:
            return None
        types = self._table(handle).types
        taken = [made for made in (_written(expression, types) for expression in expressions) if made is not None]
        if not taken:
            return None
        state = {**handle.state, "expressions": (*handle.state.get("expressions", ()), *taken)}
        return FilterResult(_with_state(handle, state), tuple(range(len(expressions))))

    def apply_limit(self, handle: TableHandle, rows: int) -> LimitResult | None:
        if handle.state.get("limit", rows + 1) <= rows:
            return None
        return LimitResult(_with_state(handle, {**handle.state, "limit": rows}), rows <= _SMALL_LIMIT_ROWS)

    def explain(self, handle: TableHandle, columns: Sequence[str]) -> str:
        """The statement that is sent, and its parameters."""
        statement, parameters = _select(handle, columns, {})
        return f"{statement} with {parameters}" if parameters else statement

    # reading

    def begin(self, query_id: str, handle: TableHandle) -> TableHandle:
        with self._connection() as probe:
            wal = probe.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        with self._lock:
            if query_id not in self._open and not wal:
                connection = self._connect()
                try:
                    connection.execute("BEGIN")
                    connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # takes the shared lock
                except sqlite3.Error as error:
                    connection.close()
                    raise self._error(error) from None
                self._open[query_id] = connection
        return _with_state(handle, {**handle.state, "whole": True}) if wal else handle

    def end(self, query_id: str) -> None:
        with self._lock:
            connection = self._open.pop(query_id, None)
        if connection is not None:
            connection.close()

    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        table = self._table(handle)
        require_columns(handle, columns, table.types)
        state: dict[str, Any] = {"types": tuple((name, table.types[name].to_json()) for name in columns)}
        if table.rowid:
            state["rowid"] = table.rowid
        single = handle.state.get("whole") or handle.state.get("limit", _SMALL_LIMIT_ROWS + 1) <= _SMALL_LIMIT_ROWS
        if table.rowid and not single:
            with self._connection() as connection:
                low, high = connection.execute(f"SELECT (SELECT min({table.rowid}) FROM {_quoted(handle.name)}), "
                                               f"(SELECT max({table.rowid}) FROM {_quoted(handle.name)})").fetchone()
            span = 0 if low is None else high - low + 1
            count = min(max(target, span // (4 * _ROWS_PER_SPLIT)), span // _ROWS_PER_SPLIT)
            if count > 1:
                bounds: list[int | None] = [None, *(low + span * i // count for i in range(1, count)), None]
                return [Split({**state, "first": bounds[i], "last": bounds[i + 1]}, span // count)
                        for i in range(count)]
        rows = self.statistics(handle).rows
        return [Split(state, None if rows is None else int(rows))]

    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        types = {name: SqliteType.from_json(fields) for name, fields in split.state["types"]}
        more = []
        if "limit" not in handle.state:
            offered = [_condition(p, types[p.column]) for p in dynamic_filter() if p.column in types]
            more = [condition for condition in offered if condition is not None]
        statement, parameters = _select(handle, columns, split.state, more)
        with self._connection() as connection:
            cursor = connection.execute(statement, parameters)
            if not columns:
                rows = cursor.fetchone()[0]
                for start in range(0, rows, batch_rows):
                    yield counted(min(batch_rows, rows - start))
                return
            while fetched := cursor.fetchmany(batch_rows):
                arrays = [self._converted(handle, name, values, types[name])
                          for name, values in zip(columns, zip(*fetched, strict=True), strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    def _converted(self, handle: TableHandle, column: str, values: Sequence[Any], kind: SqliteType) -> pa.Array:
        try:
            return convert(values, kind)
        except (ValueError, TypeError, OverflowError):
            bad = next((value for value in values if value is not None and not _conforms([value], kind)), "")
            raise DatatypeMismatch(f'column "{column}" of "{handle.name}" in "{self.path}" holds a value that is not '
                                   f"{kind.sql}", detail=f"The value is {str(bad)[:80]!r}.") from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _key_columns(connection: sqlite3.Connection, table: str) -> list[tuple[int, str]]:
    """(place in the primary key, name), in the key's order."""
    return sorted((row[5], row[1]) for row in connection.execute(f"PRAGMA table_xinfo({_quoted(table)})") if row[5])


def _with_state(handle: TableHandle, state: Mapping[str, Any]) -> TableHandle:
    return TableHandle(handle.catalog, handle.schema, handle.name, handle.kind, state)


def _conforms(values: Sequence[Any], kind: SqliteType) -> bool:
    try:
        convert(values, kind)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


Condition = tuple[str, str, tuple[int | float | str, ...]]
"""(column, operator, values that bind as they are): a predicate as JSON."""


def _condition(predicate: Predicate, kind: SqliteType) -> Condition | None:
    """The predicate for SQLite, None where it could decide otherwise than Shoal does."""
    operator = predicate.operator
    if operator in ("is_null", "is_not_null"):
        return predicate.column, operator, ()
    values = [value for value in predicate.values if value is not None]
    if kind.mixed or (operator != "in" and len(values) != len(predicate.values)) or len(values) > _MOST_VALUES:
        return None
    if operator in ("like", "not_like"):
        pattern = _glob(values[0]) if kind.sql.name == "text" and isinstance(values[0], str) else None
        return None if pattern is None else (predicate.column, operator, (pattern,))
    bound = [_bound(value, kind) for value in values]
    known = tuple(value for value in bound if value is not None)
    return (predicate.column, operator, known) if len(known) == len(bound) else None


Written = tuple[str, tuple[int | str | None, ...]]
"""(SQL, parameters): an expression as JSON."""


def _written(expression: SourceExpression, types: Mapping[str, SqliteType]) -> Written | None:
    """The expression for SQLite, also true of rows with values that are not of their column's type; None where it could
    be untrue of a row that Shoal keeps."""
    text, odd = "", dict[str, None]()
    parameters: list[int | str | None] = []
    for part in tokens(expression):
        if isinstance(part, str):
            text += part
        elif isinstance(part, SourceColumn):
            kind = types.get(part.name)
            if kind is None or kind.mixed or kind.sql.name not in ("int8", "text"):
                return None
            name = _quoted(part.name)  # without its affinity, which would convert what it is compared with
            text += f"+{name}" if kind.sql.name == "int8" else f"(+{name} COLLATE BINARY)"
            odd[f"typeof({name}) NOT IN ('{'integer' if kind.sql.name == 'int8' else 'text'}', 'null')"] = None
            if kind.sql.name == "text":  # SQLite's functions take it for the end
                odd[f"instr({name}, char(0))"] = None
        else:
            if part.value is not None and (not isinstance(part.value, (int, str)) or "\0" in str(part.value)):
                return None
            text += "?"
            parameters.append(part.value)
    return " OR ".join((text, *odd)), tuple(parameters)


def _bound(value: Any, kind: SqliteType) -> int | float | str | None:
    """The value as SQLite stores such values, or None."""
    name, precision = kind.sql.name, kind.sql.precision or 0
    match value:
        case bool():
            return int(value) if name == "bool" else None
        case int() if name == "int8" and -(1 << 63) <= value < 1 << 63:
            return value
        case float() if name == "float8" and not math.isnan(value):
            return value
        case int() | decimal.Decimal() if name == "numeric" and precision <= 15:
            exact = decimal.Decimal(value)
            if exact.is_finite() and len(exact.normalize().as_tuple().digits) <= 15 and abs(exact) < 10**15:
                return float(exact)
        case str() if name == "text" and "\0" not in value:
            return value
        case datetime.date() if name == "date" and not isinstance(value, datetime.datetime):
            return value.isoformat()
    return None


def _glob(pattern: str) -> str | None:
    """A LIKE pattern as one of GLOB, which minds case; None for one it cannot express."""
    if len(pattern) > 1000 or "\0" in pattern:
        return None
    made, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            character = next(characters, "")
            if not character:
                return None
        elif character in "%_":
            made.append("*" if character == "%" else "?")
            continue
        made.append(f"[{character}]" if character in "*?[" else character)
    return "".join(made)


def _select(handle: TableHandle, columns: Sequence[str], split: Mapping[str, Any],
            more: Sequence[Condition] = ()) -> tuple[str, list[int | float | str | None]]:
    """The statement and its parameters: the columns asked for (none of them: count(*)), filters, rowid range."""
    conditions: list[str] = []
    parameters: list[int | float | str | None] = []
    for column, operator, values in (*handle.state.get("where", ()), *more):
        left = _quoted(column)
        if operator in ("is_null", "is_not_null"):
            conditions.append(f"{left} IS {'NOT ' if operator == 'is_not_null' else ''}NULL")
            continue
        parameters += values
        if operator in ("like", "not_like"):
            conditions.append(f"{left} {'NOT ' if operator == 'not_like' else ''}GLOB ?")
            continue
        left += " COLLATE BINARY" if any(isinstance(value, str) for value in values) else ""
        conditions.append(f"{left} IN ({', '.join('?' * len(values))})" if operator == "in"
                          else f"{left} {_SYMBOLS[operator]} ?")
    for text, bound_values in handle.state.get("expressions", ()):
        conditions.append(f"({text})")
        parameters += bound_values
    for bound, symbol in (("first", ">="), ("last", "<")):
        if split.get(bound) is not None:
            conditions.append(f"{split['rowid']} {symbol} ?")
            parameters.append(split[bound])
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {int(handle.state['limit'])}" if "limit" in handle.state else ""
    # whichever index covers the columns, the rows always come in the same order
    order = f" ORDER BY {split['rowid']}" if split.get("rowid") and columns else ""
    source = f"FROM {_quoted(handle.name)}{where}{order}{limit}"
    if columns:
        return f"SELECT {', '.join(map(_quoted, columns))} {source}", parameters
    return (f"SELECT count(*) FROM (SELECT 1 {source})" if limit else f"SELECT count(*) {source}"), parameters
