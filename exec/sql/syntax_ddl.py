"""What the grammar makes of statements that define things; plain data, no sqlglot (hop 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.catalog.connector import Action
from shoal.exec.sql.syntax import TableRef, TypeName


@dataclass(slots=True)
class ConstraintNode:
    """A column's or table's constraint. `text`: a check's condition as written."""

    pos: int
    kind: Literal["primary", "unique", "check", "foreign"]
    name: str = ""
    columns: list[str] = field(default_factory=list)
    expression: Any = None
    text: str = ""
    references: TableRef | None = None
    referenced: list[str] = field(default_factory=list)
    on_update: Action = "a"
    on_delete: Action = "a"
    deferrable: bool = False
    deferred: bool = False
    not_valid: bool = False
    index: str = ""
    """ADD CONSTRAINT ... USING INDEX."""


@dataclass(slots=True)
class ColumnNode:
    """A column of CREATE TABLE or ADD COLUMN. `type` None: CREATE TABLE AS gives it."""

    pos: int
    name: str
    type: TypeName | None = None
    default: Any = None
    default_text: str = ""
    not_null: bool = False
    null: bool = False
    identity: Literal["", "a", "d"] = ""
    sequence: dict[str, Any] = field(default_factory=dict)
    constraints: list[ConstraintNode] = field(default_factory=list)


@dataclass(slots=True)
class Like:
    table: TableRef
    options: set[str]


@dataclass(slots=True)
class CreateTable:
    """CREATE TABLE, CREATE TABLE AS, SELECT INTO, and CREATE MATERIALIZED VIEW (`text`: its query as written)."""

    target: TableRef
    exists: bool = False
    temporary: bool = False
    columns: list[ColumnNode] | None = None
    constraints: list[ConstraintNode] = field(default_factory=list)
    likes: list[tuple[int, Like]] = field(default_factory=list)
    """With the number of columns before each."""
    on_commit: Literal["preserve", "delete", "drop"] = "preserve"
    query: Any = None
    with_data: bool = True
    materialized: bool = False
    text: str = ""


@dataclass(slots=True)
class CreateView:
    target: TableRef
    columns: list[ColumnNode] | None
    query: Any
    text: str
    replace: bool = False
    temporary: bool = False


@dataclass(slots=True)
class CreateSchema:
    target: TableRef
    exists: bool = False


@dataclass(slots=True)
class CreateSequence:
    target: TableRef
    exists: bool
    temporary: bool
    options: dict[str, Any]


@dataclass(slots=True)
class CreateIndex:
    """`columns`: (name or expression text, is an expression, descending, nulls first)."""

    name: str
    table: TableRef
    columns: list[tuple[str, Any, bool, bool]]
    unique: bool = False
    exists: bool = False
    method: str = "btree"
    predicate: str = ""


@dataclass(slots=True)
class Drop:
    """`kind`: TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE, INDEX, SCHEMA, EXTENSION."""

    kind: str
    targets: list[TableRef]
    exists: bool = False
    cascade: bool = False


@dataclass(slots=True)
class AlterAction:
    """One step of ALTER TABLE and its kin. `what` names it: "add column", "drop column", "rename column" ..."""

    what: str
    pos: int
    name: str = ""
    new_name: str = ""
    column: ColumnNode | None = None
    constraint: ConstraintNode | None = None
    type: TypeName | None = None
    using: Any = None
    default: Any = None
    text: str = ""
    exists: bool = False
    cascade: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Alter:
    """`kind`: as of Drop."""

    kind: str
    target: TableRef
    actions: list[AlterAction]
    exists: bool = False


@dataclass(slots=True)
class Comment:
    """`kind`: TABLE, VIEW, COLUMN, SCHEMA ...; `column` for a column, or a constraint."""

    kind: str
    target: TableRef
    text: str | None
    column: str = ""


@dataclass(slots=True)
class Refresh:
    target: TableRef
    with_data: bool = True
    concurrently: bool = False


@dataclass(slots=True)
class Ignored:
    """What has nothing to do here. `tables`: those it names, which must exist."""

    tag: str
    tables: list[TableRef] = field(default_factory=list)
    notices: tuple[str, ...] = ()
