"""What is declared of relations: columns, keys, indexes, views, sequences and enum types, as connectors give and keep them.

Plain data; the connector SPI is connector.py. What the fields are in PostgreSQL's catalogs: its documentation, chapter 53.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from shoal.catalog.types import SqlType

SYSTEM_COLUMNS = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})
"""Names that no column of a table may have, as every table of PostgreSQL has such columns."""

TableKind = Literal["table", "view", "materialized_view", "foreign_table", "partitioned_table", "system"]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """A column as the catalog shows it. `hidden` ones are selectable by name but not part of `*`."""

    name: str
    type: SqlType
    nullable: bool = True
    comment: str = ""
    hidden: bool = False
    default: str = ""
    native_type: str = ""
    """The source's own type name where it was unknown and became text (the engine sends one NOTICE)."""
    made: tuple[str, str] | None = None
    """(schema, name) of the source's enum or composite type whose values the texts, or the elements of the arrays, are:
    one of `Connector.enums`, `Connector.type_definitions`, or a table."""
    identity: Literal["", "a", "d"] = ""
    """pg_attribute.attidentity: a number the source gives always, or by default."""
    generated: bool = False
    """`default` is the expression of a stored generated column."""
    collation: str = ""
    """The name of its own collation; "" for its type's. All that are taken compare by bytes."""
    domain: tuple[str, str] | None = None
    """(schema, name) of the domain whose conditions its values meet."""


Action = Literal["a", "r", "c", "n", "d"]
"""What a foreign key does, as pg_constraint has it: no action, restrict, cascade, set null, set default."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A declared key or check of the source, for pg_constraint and for the optimizer's row estimates."""

    name: str
    kind: Literal["primary", "unique", "foreign", "check", "exclusion"]
    columns: tuple[str, ...]
    references: tuple[str, str] | None = None  # schema, table
    referenced_columns: tuple[str, ...] = ()
    expression: str = ""
    """A check's condition as SQL, without parentheses around it."""
    on_update: Action = "a"
    on_delete: Action = "a"
    deferrable: bool = False
    deferred: bool = False
    match: Literal["s", "f"] = "s"
    validated: bool = True
    definition: str = ""
    """As pg_get_constraintdef prints it, where the source says so; needed for exclusion."""
    pretty: str = ""
    """The same in pretty-printed form, where that differs."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class IndexExpression:
    """An indexed expression, as pg_get_expr prints it and in pretty-printed form; `name`: of the index's column."""

    text: str
    pretty: str
    type: SqlType
    name: str
    is_call: bool
    """It stands in pg_get_indexdef's text without parentheses around it."""
    columns: tuple[str, ...]
    """Those it reads."""


KeysOfRows = Callable[[Mapping[str, pa.Array]], Sequence[pa.Array]]
"""Columns of a table by name -> the key columns of an index; the first is NULL for rows that the index does not have."""


@dataclass(frozen=True, slots=True)
class Index:
    """A declared index, for pg_index. `columns`: names, or expressions in parentheses. Indexes of keys are not repeated."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    primary: bool = False
    method: str = "btree"
    predicate: str = ""
    """As pg_get_expr prints it."""
    pretty_predicate: str = ""
    options: tuple[int, ...] = ()
    """pg_index.indoption of each column: 1 descending, 2 nulls first."""
    keys: int | None = None
    """How many of `columns` are keys (the others are INCLUDEd); None: all."""
    classes: tuple[int, ...] = ()
    """OIDs of the keys' operator classes; none: the default ones."""
    collations: tuple[str, ...] = ()
    """The collation given to each key, "" for none."""
    expressions: tuple[IndexExpression, ...] = ()
    """More of those of `columns` that are expressions, in order, where more is known of them."""
    definition: str = ""
    """What pg_get_indexdef prints after USING; "" where the rest says all."""
    pretty: str = ""
    """The same in pretty-printed form, where that differs."""
    comment: str = ""
    size_bytes: int = 0
    keys_of: KeysOfRows | None = field(default=None, compare=False, repr=False)
    """Of a unique index on expressions or with a predicate that is enforced here."""

    @property
    def key_columns(self) -> tuple[str, ...]:
        return self.columns[:self.keys]

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its own columns."""
        known = {f"({expression.text})": expression.name for expression in self.expressions}
        found: list[str] = []
        for column in self.columns:
            name = known.get(column, "expr" if column.startswith("(") else column)
            found.append(next(free for n in range(len(found) + 1) if (free := f"{name}{n or ''}") not in found))
        return tuple(found)

    def reads(self, column: str) -> bool:
        """Whether it holds a column or something made of it."""
        return column in self.columns or any(column in expression.columns for expression in self.expressions)


@dataclass(frozen=True, slots=True)
class ViewRead:
    """A relation that a view names. `number` finds it under another name too (0: its catalog has none)."""

    parts: tuple[str, ...]
    """As the view's text has it."""
    catalog: str
    schema: str
    name: str
    number: int = 0
    columns: tuple[str, ...] = ()
    """All that it had when the view was made, under their names now."""
    written: tuple[str, ...] = ()
    """The same as the view's text has them."""
    used: tuple[str, ...] = ()
    """Those whose values the view uses, under their names now."""


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """A view that Shoal keeps: its query as written and what names in it mean."""

    query: str
    database: str = ""
    search_path: tuple[str, ...] = ()
    reads: tuple[ViewRead, ...] = ()
    check: Literal["", "local", "cascaded"] = ""
    """WITH CHECK OPTION."""


@dataclass(frozen=True, slots=True)
class NumberSequence:
    """A generator of numbers, for pg_sequence; `owner`: the (table, column) of its schema that it belongs to."""

    name: str
    type: SqlType
    start: int = 1
    increment: int = 1
    minimum: int = 1
    maximum: int = (1 << 63) - 1
    cycle: bool = False
    cache: int = 1
    owner: tuple[str, str] | None = None
    last_value: int | None = None
    """None where none was taken yet, or it is not known."""
    identity: bool = False
    """It belongs to an identity column, which goes away only with it."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum type of the source with its labels in order."""

    name: str
    labels: tuple[str, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type that was made with CREATE TYPE or CREATE DOMAIN."""

    name: str
    kind: Literal["enum", "composite", "domain"]
    labels: tuple[str, ...] = ()
    fields: tuple[tuple[str, SqlType], ...] = ()
    base: SqlType | None = None
    """Of a domain, as are the rest."""
    nullable: bool = True
    default: str = ""
    checks: tuple[Constraint, ...] = ()
    """Conditions over VALUE, as text."""
    comment: str = ""
    domains: tuple[tuple[str, str] | None, ...] = ()
    """Of a composite type: (schema, name) of the domain of each field; none: no field has one."""
    made: tuple[tuple[str, str] | None, ...] = ()
    """Of a source's composite type: `ColumnInfo.made` of each field, which is text or an array of it here."""


@dataclass(frozen=True, slots=True)
class FunctionArgument:
    """`type` and `default` are SQL text. `mode`: pg_proc.proargmodes: in, out, inout, variadic, table column."""

    name: str
    type: str
    mode: Literal["i", "o", "b", "v", "t"] = "i"
    default: str = ""


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """A function in SQL. `signature`: the types of its input arguments, which tell it from others of its name."""

    name: str
    signature: tuple[str, ...]
    arguments: tuple[FunctionArgument, ...]
    returns: str
    """SQL text of the type; "" where OUT arguments say it."""
    returns_set: bool
    body: str
    strict: bool = False
    volatility: Literal["i", "s", "v"] = "v"
    comment: str = ""
    standard: str = ""
    """The body as pg_get_function_sqlbody prints it, where it was written as SQL, not as a string."""


@dataclass(frozen=True, slots=True)
class StoredSize:
    """Bytes the source uses for a table: its rows with what belongs to them, its indexes, and the rows alone."""

    table_bytes: int
    index_bytes: int = 0
    main_bytes: int | None = None
    """None: as `table_bytes`."""


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """All that is declared of a relation, as a catalog keeps it whose relations are made here."""

    columns: tuple[ColumnInfo, ...]
    kind: TableKind = "table"
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str = ""
    view: ViewDefinition | None = None
    on_commit: Literal["preserve", "delete", "drop"] = "preserve"
    """Of a temporary table."""
    populated: bool = True
    """False for a materialized view made WITH NO DATA."""
