"""What binding gives: a typed plan or a command, and how the result looks to the client (hop 2). No sqlglot here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shoal.catalog.connector import TableHandle
from shoal.catalog.declarations import (
    ColumnInfo,
    Constraint,
    FunctionDefinition,
    Index,
    NumberSequence,
    TypeDefinition,
    ViewDefinition,
)
from shoal.catalog.types import SqlType
from shoal.exec.plan.expr import Expr
from shoal.exec.plan.nodes import Field, PlanNode

StatementKind = Literal["select", "insert", "update", "delete", "merge", "create_table_as", "explain", "command"]
Origin = tuple[str, str, str, int]
"""catalog, schema, table, 0-based column index: where a result column comes from unchanged."""
Parts = tuple[str, ...]
"""A name as written, one to three parts, case-folded unless quoted."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key whose other end is found when it is made. `columns` of `constraint` are its own."""

    constraint: Constraint
    table: Parts
    types: tuple[SqlType, ...]


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE; also the first step of CREATE TABLE AS and CREATE MATERIALIZED VIEW. Made where
    Namespace.target(parts) says. `sequences`: (column, options) of serial and identity columns, which have names of their
    own when the table is made."""

    parts: Parts
    columns: tuple[ColumnInfo, ...]
    if_not_exists: bool = False
    temporary: bool = False
    with_data: bool = True
    """CREATE TABLE AS: run the plan to fill the table."""
    constraints: tuple[Constraint, ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    sequences: tuple[tuple[str, NumberSequence], ...] = ()
    indexes: tuple[Index, ...] = ()
    on_commit: Literal["preserve", "delete", "drop"] = "preserve"
    view: ViewDefinition | None = None
    """Of a materialized view."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Refresh:
    """REFRESH MATERIALIZED VIEW: the plan makes its rows anew."""

    handle: TableHandle
    with_data: bool = True


@dataclass(frozen=True, slots=True)
class CreateView:
    parts: Parts
    columns: tuple[ColumnInfo, ...]
    view: ViewDefinition
    replace: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """`kind`: TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, INDEX."""

    kind: str
    names: tuple[Parts, ...]
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[Parts, ...]
    restart: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """`elements`: statements that then run, in which names mean what is in the schema first."""

    parts: Parts
    if_not_exists: bool = False
    elements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DropSchema:
    schemas: tuple[Parts, ...]
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """`name` "" for one made of the columns' names."""

    table: Parts
    index: Index
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateSequence:
    parts: Parts
    options: NumberSequence
    if_not_exists: bool = False
    temporary: bool = False
    owner: Parts | None = None


@dataclass(frozen=True, slots=True)
class AlterStep:
    """One action of ALTER on a relation, by name; which of the others mean something depends on it."""

    what: str
    name: str = ""
    new_name: str = ""
    column: ColumnInfo | None = None
    sequence: NumberSequence | None = None
    constraints: tuple[Constraint, ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    """RENAME COLUMN, ALTER TYPE: those with expressions, as `constraints` are the checks that read a renamed column."""
    value: Expr | None = None
    """ADD COLUMN's default; ALTER TYPE's expression over the columns whose ids are 1, 2 ... in order; a check's condition
    alike."""
    text: str = ""
    exists: bool = False
    cascade: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alter:
    kind: str
    parts: Parts
    steps: tuple[AlterStep, ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class Comment:
    """`column`: that of a column or a constraint, "" for the object itself."""

    kind: str
    parts: Parts
    text: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """`parts` say where; its definition has the name."""

    parts: Parts
    definition: FunctionDefinition
    replace: bool = False
    result: str = ""
    """Its type, as a message tells it."""


@dataclass(frozen=True, slots=True)
class ChangeFunction:
    """`old` becomes `new`."""

    catalog: str
    schema: str
    old: FunctionDefinition
    new: FunctionDefinition


@dataclass(frozen=True, slots=True)
class DropFunctions:
    """(catalog, schema, definition) of each."""

    functions: tuple[tuple[str, str, FunctionDefinition], ...]


@dataclass(frozen=True, slots=True)
class CreateType:
    parts: Parts
    definition: TypeDefinition


@dataclass(frozen=True, slots=True)
class ChangeType:
    """ALTER, and with `new` None DROP, of a type of (catalog, schema)."""

    catalog: str
    schema: str
    old: TypeDefinition
    new: TypeDefinition | None
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Several:
    """One command after the other."""

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class NoEffect:
    """What is accepted and changes nothing."""


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN of `bound`. `format` is "text" or "json"."""

    bound: Bound
    analyze: bool = False
    verbose: bool = False
    format: Literal["text", "json"] = "text"
    costs: bool = True
    timing: bool = True
    summary: bool = True


Command = (CreateTable | Refresh | CreateView | Drop | Truncate | CreateSchema | DropSchema | CreateIndex | CreateSequence
           | Alter | Comment | CreateFunction | ChangeFunction | DropFunctions | CreateType | ChangeType | Several | NoEffect
           | Explain)


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound statement.

    `plan`: the rows for a select; for insert/update/delete a plan with TableWrite as root; for CREATE TABLE AS the
    query (the engine makes the table from `command`, then wraps the plan in a TableWrite with `write_into`).
    `fields`: the client-visible result columns in order; their ids are columns of `plan`, names may repeat.
    `tag`: the command tag without the row count ("SELECT", "INSERT 0", "CREATE TABLE").
    """

    kind: StatementKind
    plan: PlanNode | None
    fields: tuple[Field, ...]
    origins: tuple[Origin | None, ...]
    parameters: tuple[SqlType, ...]
    command: Command | None
    tag: str
    notices: tuple[str, ...] = ()
    locks: tuple[tuple[str, str, str], ...] = ()
    """(catalog, schema, name) of the relations that it changes."""
    row_locks: bool = False
    """A SELECT ... FOR UPDATE, or the like."""
    own_definitions: bool = False
    """It names functions or types that somebody made, and may change."""

    @property
    def returns_rows(self) -> bool:
        return bool(self.fields) or self.kind in ("select", "explain")
