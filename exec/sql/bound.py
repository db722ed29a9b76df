"""What binding gives: a typed plan or a command, and how the result looks to the client (hop 2). No sqlglot here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoal.catalog.connector import ColumnInfo
from shoal.catalog.types import SqlType
from shoal.exec.plan.nodes import Field, PlanNode

StatementKind = Literal[
    "select", "insert", "update", "delete", "create_table_as", "create_table", "drop_table", "truncate", "explain",
    "create_schema", "drop_schema", "create_view", "drop_view"]
Origin = tuple[str, str, str, int]
"""catalog, schema, table, 0-based column index: where a result column comes from unchanged."""
Parts = tuple[str, ...]
"""A name as written, one to three parts, case-folded unless quoted."""


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE, also the first step of CREATE TABLE AS. Made where Namespace.target(parts) says."""

    parts: Parts
    columns: tuple[ColumnInfo, ...]
    if_not_exists: bool = False
    temporary: bool = False
    with_data: bool = True
    """CREATE TABLE AS: run the plan to fill the table."""


@dataclass(frozen=True, slots=True)
class DropTable:
    tables: tuple[Parts, ...]
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    tables: tuple[Parts, ...]


@dataclass(frozen=True, slots=True)
class CreateSchema:
    parts: Parts
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropSchema:
    schemas: tuple[Parts, ...]
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class CreateView:
    """`query`: the view's SELECT as written; `columns`: its output."""

    parts: Parts
    columns: tuple[ColumnInfo, ...]
    query: str
    replace: bool = False


@dataclass(frozen=True, slots=True)
class DropView:
    views: tuple[Parts, ...]
    if_exists: bool = False
    cascade: bool = False


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


Command = CreateTable | DropTable | Truncate | CreateSchema | DropSchema | CreateView | DropView | Explain


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

    @property
    def returns_rows(self) -> bool:
        return bool(self.fields) or self.kind in ("select", "explain")
