"""What the grammar makes of statements that define things; plain data, no sqlglot (hop 2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from shoal.catalog.declarations import Action
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
class Collation:
    pos: int
    parts: tuple[str, ...]


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
    collation: Collation | None = None
    generated: Any = None
    generated_text: str = ""


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
    check: Literal["", "local", "cascaded"] = ""
    """WITH CHECK OPTION."""


@dataclass(slots=True)
class ArgumentNode:
    """An argument of CREATE FUNCTION: `type` and `default` as written, `mode` as FunctionArgument has it."""

    pos: int
    name: str
    type: str = ""
    mode: Literal["i", "o", "b", "v", "t"] = "i"
    default: str = ""
    written: TypeName | None = None


@dataclass(slots=True)
class CreateFunction:
    target: TableRef
    replace: bool = False
    arguments: list[ArgumentNode] = field(default_factory=list)
    returns: str = ""
    returns_set: bool = False
    language: str | None = None
    volatility: Literal["i", "s", "v"] = "v"
    strict: bool = False
    body: str = ""
    standard: bool = False
    """The body was written as SQL, not as a string."""
    is_return: bool = False
    """It is the expression of RETURN."""
    statements: list[str] = field(default_factory=list)
    """The texts of those of BEGIN ATOMIC."""


@dataclass(slots=True)
class CreateType:
    """CREATE TYPE and CREATE DOMAIN."""

    target: TableRef
    kind: Literal["enum", "composite", "domain"]
    labels: list[str] = field(default_factory=list)
    fields: list[tuple[str, TypeName]] = field(default_factory=list)
    base: TypeName | None = None
    not_null: bool = False
    default: str = ""
    checks: list[ConstraintNode] = field(default_factory=list)


@dataclass(slots=True)
class AlterType:
    """ALTER TYPE and ALTER DOMAIN: one action."""

    target: TableRef
    domain: bool
    what: str = ""
    name: str = ""
    new_name: str = ""
    place: str = ""
    """"before" or "after" the label `new_name`."""
    exists: bool = False
    checks: list[ConstraintNode] = field(default_factory=list)


@dataclass(slots=True)
class CreateSchema:
    """`elements`: the statements of what is made in it, as written, those first that others may need."""

    target: TableRef
    exists: bool = False
    elements: list[str] = field(default_factory=list)


@dataclass(slots=True)
class CreateSequence:
    target: TableRef
    exists: bool
    temporary: bool
    options: dict[str, Any]


@dataclass(slots=True)
class IndexColumn:
    """`expression`: None for a plain column, which is then `name`; `text`: an expression as written."""

    name: str
    expression: Any
    text: str
    collation: Collation | None = None
    operator_class: tuple[str, ...] = ()
    descending: bool = False
    nulls_first: bool = False
    ordered: bool = False
    """ASC or DESC was written, as NULLS FIRST or LAST was with `nulls_given`."""
    nulls_given: bool = False
    pos: int = -1


@dataclass(slots=True)
class CreateIndex:
    name: str
    table: TableRef
    columns: list[IndexColumn]
    included: list[str] = field(default_factory=list)
    unique: bool = False
    exists: bool = False
    method: str = "btree"
    predicate: Any = None
    predicate_text: str = ""


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
    arguments: list[TypeName] | None = None
    """Of a function: the types of its arguments, where they are given."""


@dataclass(slots=True)
class Refresh:
    target: TableRef
    with_data: bool = True
    concurrently: bool = False


@dataclass(slots=True)
class DropOther:
    """DROP TYPE, ROLE, FUNCTION ...: things of which there are none here but PostgreSQL's own. `kind` in lower case."""

    kind: str
    exists: bool = False
    targets: list[TableRef] = field(default_factory=list)
    arguments: list[list[TypeName] | None] = field(default_factory=list)
    """Of functions: the types of the arguments of each, None where they are not given."""
    cascade: bool = False
    table: TableRef | None = None
    """Whose trigger, rule or policy it is."""


@dataclass(slots=True)
class Privileges:
    """GRANT, REVOKE, ALTER DEFAULT PRIVILEGES. Without `target`, `privileges` are roles."""

    tag: str
    privileges: list[tuple[str, list[str]]] = field(default_factory=list)
    """Each with the columns it is for."""
    target: str = ""
    """The kind of the objects, in lower case."""
    whole: bool = False
    """ALL ... IN SCHEMA."""
    objects: list[TableRef] = field(default_factory=list)
    arguments: list[list[TypeName] | None] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ignored:
    """What has nothing to do here. `tables` and `indexes`: those it names, which must exist."""

    tag: str
    tables: list[TableRef] = field(default_factory=list)
    indexes: list[TableRef] = field(default_factory=list)
    notices: tuple[str, ...] = ()
