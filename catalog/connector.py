"""The connector SPI: all that a plug-in for a kind of source sees of Shoal, and all that Shoal sees of it.

`Connector` is what each one must have: names, columns, splits, and reading one split as Arrow. Everything else
is a separate `Supports...` class that a connector also inherits where it can do more; the engine asks with
isinstance. A push-down returns None ("no effect") or a new handle and what is left to do.

A connector object lives in every process that needs it (coordinator and workers), built from the same
`CatalogDefinition`. Handles and splits are plain JSON data, so they travel; they must carry all that `read`
needs. Methods block: callers run them off the event loop. They must be safe to call from several threads.

Errors: a connector turns its driver's exceptions into SqlError (08xxx source down, HV000 the source's own error,
58P01/58030/XX001 missing, unreadable, corrupt files), always naming the catalog or the file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pyarrow as pa

from shoal.catalog.declarations import (
    ColumnInfo,
    Constraint,
    EnumType,
    FunctionDefinition,
    Index,
    NumberSequence,
    StoredSize,
    TableDefinition,
    TableKind,
    TypeDefinition,
    ViewDefinition,
)
from shoal.catalog.errors import SqlError
from shoal.catalog.expressions import SourceExpression
from shoal.catalog.types import SqlType

Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "in", "is_null", "is_not_null", "like", "not_like"]
Json = Any
"""None, bool, int, float, str, or lists and string-keyed dicts of them."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """`column operator values`, one conjunct of a filter, NULL comparing as unknown (the row is dropped).

    `values` are Python values (Decimal for numeric, datetime.date ...): none for is_null/is_not_null, one for
    comparisons and LIKE patterns (escape character backslash), any number for "in".
    """

    column: str
    operator: Operator
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogDefinition:
    """One mounted catalog: `--catalog NAME=URL` plus options; workers build their connectors from it."""

    name: str
    url: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableName:
    schema: str
    name: str
    kind: TableKind = "table"
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableHandle:
    """A table plus what was pushed down to it. `state` is the connector's own JSON and part of equality."""

    catalog: str
    schema: str
    name: str
    kind: TableKind = "table"
    state: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a table that one task reads. All splits of a scan together are the whole table, once."""

    state: Mapping[str, Json]
    rows: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """Estimates. `minimum`/`maximum` are Python values comparable with the column's, or None."""

    distinct: float | None = None
    null_fraction: float | None = None
    minimum: Any = None
    maximum: Any = None
    average_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """Estimates; `rows` None means nothing is known."""

    rows: float | None = None
    columns: Mapping[str, ColumnStatistics] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilterResult:
    """`handle` enforces every offered predicate except those whose indexes are in `remaining`.

    A predicate that only prunes (row groups, partitions) is in `remaining` as well.
    """

    handle: TableHandle
    remaining: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LimitResult:
    """`exact`: all splits together give at most the asked number of rows; else each split does."""

    handle: TableHandle
    exact: bool


DynamicFilter = Callable[[], Sequence[Predicate]]
"""Called during a read, again and again: the predicates known by now that rows must meet to matter. Only ever
prunes; a connector may ignore it."""


class Connector(ABC):
    """One mounted catalog of some kind."""

    kind: ClassVar[str]
    placement: ClassVar[Literal["any", "coordinator"]] = "any"
    """"coordinator": the data lives in the coordinator's process and is read only there."""
    waits: ClassVar[bool] = False
    """True where reading mostly waits for another system: the worker then reads ahead in a thread."""
    default_schema: ClassVar[str] = "public"

    def __init__(self, definition: CatalogDefinition) -> None:
        self.definition = definition

    @property
    def name(self) -> str:
        return self.definition.name

    @abstractmethod
    def schemas(self) -> list[str]:
        """Schema names, sorted; never empty."""

    @abstractmethod
    def tables(self, schema: str) -> list[TableName]:
        """The tables of one schema, sorted by name; an unknown schema has none."""

    @abstractmethod
    def table(self, schema: str, name: str) -> TableHandle | None:
        """The handle of exactly this (case-sensitive) table, or None."""

    @abstractmethod
    def columns(self, handle: TableHandle) -> tuple[ColumnInfo, ...]:
        """The table's columns in order."""

    @abstractmethod
    def splits(self, handle: TableHandle, columns: Sequence[str], target: int) -> list[Split]:
        """The parts of the table, about `target` or more of them where the source divides; may be empty."""

    @abstractmethod
    def read(self, handle: TableHandle, split: Split, columns: Sequence[str], batch_rows: int,
             dynamic_filter: DynamicFilter) -> Iterator[pa.RecordBatch]:
        """The split's rows as batches of `columns` in that order, each of its `normalize`d storage form.

        `columns` may be empty: the batches then carry row counts alone. About `batch_rows` rows a batch.
        """

    def constraints(self, handle: TableHandle) -> tuple[Constraint, ...]:
        return ()

    def indexes(self, handle: TableHandle) -> tuple[Index, ...]:
        """Those that primary and unique keys imply may be left out."""
        return ()

    def view_definition(self, handle: TableHandle, pretty: bool = False) -> str:
        """The SELECT a view stands for, as pg_get_viewdef prints it; "" for what is none or not known."""
        return ""

    def stored_size(self, handle: TableHandle) -> StoredSize | None:
        """None where it is not known cheaply."""
        return None

    def number_sequences(self, schema: str) -> tuple[NumberSequence, ...]:
        return ()

    def enums(self, schema: str) -> tuple[EnumType, ...]:
        return ()

    def type_definitions(self, schema: str) -> tuple[TypeDefinition, ...]:
        """Composite types, and of catalogs where users make types all that they made."""
        return ()

    def schema_comment(self, schema: str) -> str:
        return ""

    def view(self, handle: TableHandle) -> ViewDefinition | None:
        """The query of a view that Shoal itself expands; None where reading it is the source's own business."""
        return None

    def statistics(self, handle: TableHandle) -> TableStatistics:
        """What is cheap to know; called while planning, so cache it."""
        return TableStatistics()

    def version(self) -> object:
        """Changes (by !=) whenever cached names or columns may be stale."""
        return 0

    def explain(self, handle: TableHandle, columns: Sequence[str]) -> str:
        """What was pushed down, for EXPLAIN: the remote statement that reads `columns`, the kept partitions; ""."""
        return ""

    def replan_after(self, handle: TableHandle, error: SqlError) -> bool:
        """A task failed with `error` reading this table: True if the connector has learnt something by it, so that
        planning and running the query anew may go well (asked once, and only before any row was sent)."""
        return False

    def close(self) -> None:  # noqa: B027 - many connectors hold nothing
        """Releases connections and files."""


class SupportsFilter(ABC):
    """Filters can be enforced, or used to prune, inside the source."""

    @abstractmethod
    def apply_filter(self, handle: TableHandle, predicates: tuple[Predicate, ...]) -> FilterResult | None: ...


class SupportsExpressions(ABC):
    """The source evaluates SQL: filters of several columns, of function calls, or with OR in them, can go there."""

    dialect: ClassVar[str]
    """Which spelling of functions is meant for it (exec/functions/spelling.py)."""
    expression_types: ClassVar[frozenset[str]]
    """Types (pg_type names) that columns, constants and results within such a filter may have."""

    @abstractmethod
    def apply_expressions(self, handle: TableHandle, expressions: tuple[SourceExpression, ...]) -> FilterResult | None:
        """Like `SupportsFilter.apply_filter`: each is a boolean, and rows where it is not true are dropped."""


class SupportsLimit(ABC):
    @abstractmethod
    def apply_limit(self, handle: TableHandle, rows: int) -> LimitResult | None: ...


class SupportsPaths(ABC):
    """A connector whose files can be named by their paths: FROM 'folder/*.parquet'."""

    @abstractmethod
    def at_path(self, path: str) -> TableHandle | None:
        """The files that a path or a glob names, as one table; None where nothing mounted is called so.

        Raises: InsufficientPrivilege (42501) for a path out of what is mounted.
        """


class SupportsPieces(ABC):
    """Splits fall into pieces that are cheap to read again for further columns (late materialisation)."""

    @abstractmethod
    def pieces(self, handle: TableHandle, split: Split, dynamic_filter: DynamicFilter) -> Iterator[Split] | None:
        """The split's pieces in order, lazily, without those that pushed or dynamic predicates rule out.

        `read` of a piece with equal `batch_rows` and no dynamic filter gives the same rows in the same batches
        whatever the columns, so that columns read in two goes belong together. None: read the split as it is.
        """


class SupportsInterrupt(ABC):
    """Reads that wait for another system can be ended from outside (closing their iterator needs its own thread)."""

    @abstractmethod
    def interrupt(self, thread_id: int) -> None:
        """Ends the reads that the thread of this ident is inside of: they raise QueryCanceled (57014) soon. Callable
        from any thread; nothing happens where none is."""


class SupportsSnapshot(ABC):
    """Several tasks of one query must see one consistent state of the source."""

    @abstractmethod
    def begin(self, query_id: str, handle: TableHandle) -> TableHandle:
        """The handle that reads one state, held until `end`; called on the coordinator before `splits`."""

    @abstractmethod
    def end(self, query_id: str) -> None:
        """Lets go of all that `begin` holds for the query; also after failure; unknown ids are fine."""


Text = Callable[[pa.Array, SqlType], pa.Array]
"""Values as PostgreSQL writes them, which a connector's errors need."""


def plain_text(array: pa.Array, sql_type: SqlType) -> pa.Array:
    """Values as Python writes them, where nobody gives a better way."""
    return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())


class Writer(ABC):
    """One write of one statement: batches are appended, then commit or abort, exactly one of them."""

    after_others: bool = False
    """Other parts of the statement may change the same rows: the first change of a row counts."""

    @abstractmethod
    def append(self, batch: pa.RecordBatch) -> None: ...

    def gone(self, ids: np.ndarray) -> np.ndarray | None:
        """Which of these rows another part of the same statement has changed or deleted already; None: none."""
        return None

    @abstractmethod
    def commit(self) -> None:
        """All appended rows become visible at once."""

    @abstractmethod
    def abort(self) -> None: ...


class SupportsWrite(ABC):
    """Tables can be made and changed. Row changes name rows by the hidden int8 column `$row_id`."""

    ROW_ID: ClassVar[str] = "$row_id"

    @abstractmethod
    def create_table(self, schema: str, name: str, columns: Sequence[ColumnInfo]) -> TableHandle:
        """Raises: DuplicateTable (42P07), InvalidSchemaName (3F000)."""

    @abstractmethod
    def drop_table(self, handle: TableHandle) -> None: ...

    @abstractmethod
    def truncate(self, handle: TableHandle) -> None: ...

    def is_fresh(self, handle: TableHandle) -> bool:
        """Whether the table was made or emptied in the transaction that writes, so that nobody else sees its rows."""
        return False

    @abstractmethod
    def insert(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        """Batches hold all columns of the table in order, in storage form. `text` spells values in errors."""

    @abstractmethod
    def delete(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        """Batches hold one column: `$row_id`."""

    @abstractmethod
    def update(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        """Batches hold `$row_id`, then all columns of the table with their new values."""


class ConflictWriter(Writer):
    """An insert that can look for rows with the keys of those appended so far."""

    @abstractmethod
    def conflicts(self, batch: pa.RecordBatch, key: str) -> tuple[np.ndarray, np.ndarray]:
        """For each row of `batch` the number of the table's row with the same values in the unique key of the name `key`
        (-1: none), and whether a row of the batch before it has them."""

    @abstractmethod
    def existing(self, numbers: np.ndarray) -> pa.RecordBatch:
        """The table's rows of these numbers: `$row_id` and all columns."""


class SupportsSchemas(ABC):
    """Schemas can be made and dropped."""

    @abstractmethod
    def create_schema(self, name: str) -> None:
        """Raises: DuplicateSchema (42P06)."""

    @abstractmethod
    def drop_schema(self, name: str, cascade: bool = False) -> None:
        """Raises: InvalidSchemaName (3F000), DependentObjectsStillExist (2BP01) while it holds tables."""


Rewrite = Callable[[Sequence[pa.Array], int], Sequence[pa.Array]]
"""A table's columns and row count -> the columns it has from now on."""


class SupportsDefinitions(ABC):
    """Whole definitions are kept: constraints, defaults, views, sequences, comments; and they can be changed."""

    @abstractmethod
    def definition_of(self, handle: TableHandle) -> TableDefinition:
        """Raises: UndefinedTable (42P01)."""

    @abstractmethod
    def number(self, handle: TableHandle) -> int:
        """What a relation keeps under every name."""

    @abstractmethod
    def numbered(self, number: int) -> TableHandle | None:
        """The relation of this number, if it still exists."""

    @abstractmethod
    def define(self, schema: str, name: str, definition: TableDefinition) -> TableHandle:
        """Makes a table or view. Raises: DuplicateTable (42P07), InvalidSchemaName (3F000)."""

    @abstractmethod
    def redefine(self, handle: TableHandle, definition: TableDefinition, rewrite: Rewrite | None = None,
                 name: str | None = None, schema: str | None = None, text: Text = plain_text) -> None:
        """Puts another definition in place of a relation's, under another name or schema if given; `rewrite` makes its
        rows fit. Raises: DuplicateTable (42P07)."""

    @abstractmethod
    def refill(self, handle: TableHandle, text: Text = plain_text) -> Writer:
        """As `insert`, but all rows that are there go away. A materialized view is populated then."""

    @abstractmethod
    def define_sequence(self, schema: str, definition: NumberSequence) -> None:
        """Raises: DuplicateTable (42P07)."""

    @abstractmethod
    def redefine_sequence(self, schema: str, name: str, definition: NumberSequence | None,
                          new_schema: str | None = None) -> None:
        """Other options, another name, or (None) no such sequence any more."""

    @abstractmethod
    def has_sequence(self, schema: str, name: str) -> bool: ...

    @abstractmethod
    def index_owner(self, schema: str, name: str) -> TableHandle | None:
        """The table that has the index of this name, its keys' own included."""

    @abstractmethod
    def next_values(self, schema: str, name: str, count: int) -> list[int]:
        """`count` values of nextval(). Raises: SequenceLimit (2200H)."""

    @abstractmethod
    def last_value(self, schema: str | None = None, name: str | None = None) -> int:
        """currval(), or lastval() without names. Raises: ObjectNotInPrerequisiteState (55000)."""

    @abstractmethod
    def set_value(self, schema: str, name: str, value: int, called: bool) -> None:
        """setval()."""

    @abstractmethod
    def comment_on_schema(self, schema: str, comment: str) -> None: ...


class SupportsRoutines(ABC):
    """Functions and types that users make are kept."""

    @abstractmethod
    def functions(self, schema: str) -> tuple[FunctionDefinition, ...]: ...

    @abstractmethod
    def redefine_function(self, schema: str, old: FunctionDefinition | None, new: FunctionDefinition | None) -> None:
        """Makes `new` in place of `old`; either may be missing. Raises: InvalidSchemaName (3F000)."""

    @abstractmethod
    def type_definitions(self, schema: str) -> tuple[TypeDefinition, ...]: ...

    @abstractmethod
    def redefine_type(self, schema: str, old: TypeDefinition | None, new: TypeDefinition | None) -> None:
        """Makes `new` in place of `old`; either may be missing. Raises: DuplicateObject (42710)."""


class SupportsTransactions(ABC):
    """What a session writes is seen by it alone until its transaction ends. A session is a token of the server's."""

    @abstractmethod
    def seen_by(self, session: str) -> Connector:
        """The catalog as this session sees it; itself while that is what everybody sees."""

    @abstractmethod
    def written_by(self, session: str) -> Connector:
        """The catalog through which this session writes."""

    @abstractmethod
    def touched(self, session: str) -> int:
        """0 while the session sees what everybody sees; else a number that changes with all it does."""

    @abstractmethod
    def mark(self, session: str) -> object:
        """The state to come back to with `restore`."""

    @abstractmethod
    def restore(self, session: str, mark: object) -> None: ...

    @abstractmethod
    def follow(self, session: str) -> None:
        """Until the end of its transaction the session may ask for the `latest` ids of rows."""

    @abstractmethod
    def latest(self, session: str, row_id: int) -> int:
        """The id that a row has now which the session saw under this one."""

    @abstractmethod
    def commit(self, session: str) -> None:
        """Raises: ForeignKeyViolation (23503) and its like for constraints that were deferred; nothing is committed then."""

    @abstractmethod
    def rollback(self, session: str) -> None: ...

    @abstractmethod
    def end_session(self, session: str) -> None:
        """Drops the session's temporary tables and what else is its own."""

    @abstractmethod
    def drop_temporary(self, session: str) -> None:
        """Drops the session's temporary tables, in its transaction."""

    @abstractmethod
    def temporary_schema(self, session: str) -> str:
        """The schema of the session's temporary tables, whether there are any or not."""


class SupportsDatabases(ABC):
    """Tables differ with the database the session is connected to (pg_catalog, information_schema)."""

    @abstractmethod
    def table_in(self, database: str, schema: str, name: str) -> TableHandle | None:
        """`Connector.table` as seen from `database`."""


class SupportsSessions(ABC):
    """Rows differ with the session that asks (pg_settings, pg_cursors)."""

    @abstractmethod
    def read_as(self, session: Mapping[str, Any], handle: TableHandle, columns: Sequence[str],
                batch_rows: int) -> Iterator[pa.RecordBatch]:
        """`Connector.read` of the only split for the session that `SessionContext.task_settings` describes."""


class ConnectorLookup(Protocol):
    """The part of registry.Catalogs that planning needs."""

    def connector(self, name: str) -> Connector: ...
