"""Which names a query level sees, and what a column name means there (hop 2).

Spec: PostgreSQL 15, 7.2.1 (FROM), 7.2.1.1 (joins: USING and NATURAL merge columns); wording of parse_relation.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from shoal.catalog.connector import TableHandle
from shoal.catalog.declarations import SYSTEM_COLUMNS
from shoal.catalog.errors import (
    AmbiguousAlias,
    AmbiguousColumn,
    DuplicateAlias,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedTable,
    did_you_mean,
)
from shoal.exec.plan.expr import Expr
from shoal.exec.sql.bound import Origin
from shoal.exec.sql.context import Level, fail


@dataclass(slots=True)
class ScopeColumn:
    """A column that can be named. `table`: the alias errors show; hidden ones are not part of *."""

    name: str
    expr: Expr
    table: str
    origin: Origin | None = None
    hidden: bool = False


@dataclass(slots=True)
class Relation:
    """A FROM item under its name. `qualified`: catalog and schema it can also be named with, when it has no alias."""

    name: str
    columns: list[ScopeColumn]
    qualified: tuple[str, ...] = ()
    handle: TableHandle | None = None
    nullable: bool = False
    """It is a side of an outer join that may have no row: a row of NULLs of it is taken for that."""
    kind: str = ""
    """What it is if it is no table and no query: FOR UPDATE refuses those."""
    joined: bool = False
    """It is a side of a JOIN: bare names mean columns of that, which has none that `*` does not show."""
    scalar: bool = False
    """It is the values of one function: its name means such a value, no row of one column."""


@dataclass(slots=True)
class Scope:
    """The relations of a level, and the columns that unqualified names and * mean, in order."""

    relations: list[Relation] = field(default_factory=list)
    columns: list[ScopeColumn] = field(default_factory=list)
    _index: dict[str, list[ScopeColumn]] | None = None

    def find(self, name: str) -> list[ScopeColumn]:
        """The columns an unqualified name may mean."""
        index = self._index
        if index is None:
            index = {}
            for column in self.columns:
                index.setdefault(column.name, []).append(column)
            self._index = index
        return index.get(name, [])

    def relation(self, parts: Sequence[str]) -> Relation | None:
        """The relation that a qualifier of one to three parts names."""
        name = parts[-1]
        for relation in self.relations:
            if relation.name == name and (len(parts) == 1 or tuple(parts[:-1]) == relation.qualified[-(len(parts) - 1):]):
                return relation
        return None

    def ids(self) -> set[int]:
        """Ids of all columns that can be named."""
        from shoal.exec.plan.expr import columns_of
        found: set[int] = set()
        for relation in self.relations:
            for column in relation.columns:
                found |= columns_of(column.expr)
        for column in self.columns:
            found |= columns_of(column.expr)
        return found


def merge(scopes: Sequence[Scope]) -> Scope:
    """Several FROM items side by side."""
    if len(scopes) == 1:
        return scopes[0]
    return Scope([r for scope in scopes for r in scope.relations], [c for scope in scopes for c in scope.columns])


def check_aliases(scope: Scope) -> None:
    """Raises: DuplicateAlias (42712)."""
    seen: set[tuple[str, ...]] = set()
    for relation in scope.relations:
        key = (relation.name, *relation.qualified)
        if key in seen:
            fail(DuplicateAlias, f'table name "{relation.name}" specified more than once', -1)
        seen.add(key)


def resolve_column(level: Level, parts: tuple[str, ...], pos: int) -> tuple[ScopeColumn, Level] | None:
    """The column that a name means and the level it belongs to; None where a lone name means a whole relation.

    Raises: UndefinedColumn (42703), AmbiguousColumn (42702), UndefinedTable (42P01).
    """
    if len(parts) == 1:
        return _unqualified(level, parts[0], pos)
    at: Level | None = level
    while at is not None:
        relation = at.scope.relation(parts[:-1])
        if relation is not None:
            if len(parts) == 2 and sum(r.name == parts[0] for r in at.scope.relations) > 1 and not relation.qualified:
                fail(AmbiguousAlias, f'table reference "{parts[0]}" is ambiguous', pos)
            name = parts[-1]
            matches = [c for c in relation.columns if c.name == name]
            if len(matches) == 1:
                return matches[0], at
            if matches:
                fail(AmbiguousColumn, f'column reference "{name}" is ambiguous', pos)
            if name in SYSTEM_COLUMNS and (made := _system(level, [relation], name, pos)) is not None:
                return made, at
            folded = _case_folded(relation.columns, name)
            if folded is not None:
                return folded, at
            fail(UndefinedColumn, f"column {'.'.join(parts[-2:])} does not exist", pos,
                 hint=_near([f"{relation.name}.{c.name}" for c in relation.columns if not c.hidden], name))
        at = at.parent
    if len(parts) > 4:
        fail(SqlSyntaxError, f"improper qualified name (too many dotted names): {'.'.join(parts)}", pos)
    missing_table(level, parts[:-1], pos)


def _unqualified(level: Level, name: str, pos: int) -> tuple[ScopeColumn, Level] | None:
    at: Level | None = level
    while at is not None:
        matches = at.scope.find(name)
        if len(matches) > 1 and any(not c.hidden for c in matches):
            matches = [c for c in matches if not c.hidden]
        if len(matches) == 1:
            return matches[0], at
        if any(not c.hidden for c in matches):
            fail(AmbiguousColumn, f'column reference "{name}" is ambiguous', pos)
        if name in SYSTEM_COLUMNS and (made := _system(level, [
                relation for relation in at.scope.relations if not relation.joined], name, pos)) is not None:
            return made, at
        at = at.parent
    at = level
    while at is not None:
        if at.scope.relation((name,)) is not None:
            return None
        at = at.parent
    folded = _case_folded(level.scope.columns, name)
    if folded is not None:
        return folded, level
    for scope in level.context.unreachable:
        hidden = scope.find(name)
        if hidden:
            fail(UndefinedColumn, f'column "{name}" does not exist', pos, hint=f'There is a column named "{name}" in table '
                 f'"{hidden[0].table}", but it cannot be referenced from this part of the query.')
    names = [f"{c.table}.{c.name}" if c.table else c.name for c in level.scope.columns if not c.hidden]
    fail(UndefinedColumn, f'column "{name}" does not exist', pos, hint=_near(names, name))


def _system(level: Level, relations: Sequence[Relation], name: str, pos: int) -> ScopeColumn | None:
    from shoal.exec.sql.system_columns import system_column
    return system_column(level, relations, name, pos)


def _case_folded(columns: Sequence[ScopeColumn], name: str) -> ScopeColumn | None:
    """The one column that differs from an all-lower-case name in case only: sources with mixed-case names need no quotes."""
    if name != name.lower():
        return None
    found = [c for c in columns if c.name.lower() == name and not c.hidden]
    return found[0] if len(found) == 1 else None


def _near(names: list[str], name: str) -> str:
    """PostgreSQL's hint, naming up to two columns with the nearest spelling."""
    by_column: dict[str, list[str]] = {}
    for full in names:
        by_column.setdefault(full.rpartition(".")[2], []).append(full)
    found = did_you_mean(name, by_column)
    near = found.split('"')[1:2]
    if not near:
        return ""
    full_names = [f'"{full}"' for full in by_column[near[0]][:2]]
    return f"Perhaps you meant to reference the column {' or the column '.join(full_names)}."


def missing_table(level: Level, qualifier: tuple[str, ...], pos: int) -> NoReturn:
    """Raises: UndefinedTable (42P01) saying what the qualifier might have meant."""
    name = qualifier[-1]
    at: Level | None = level
    while at is not None:
        for relation in at.scope.relations:
            if relation.name != name and relation.handle is not None and relation.handle.name == name:
                fail(UndefinedTable, f'invalid reference to FROM-clause entry for table "{name}"', pos,
                     hint=f'Perhaps you meant to reference the table alias "{relation.name}".')
        at = at.parent
    if any(scope.relation(qualifier) for scope in level.context.unreachable):
        fail(UndefinedTable, f'invalid reference to FROM-clause entry for table "{name}"', pos,
             hint=f'There is an entry for table "{name}", but it cannot be referenced from this part of the query.')
    fail(UndefinedTable, f'missing FROM-clause entry for table "{name}"', pos,
         hint=did_you_mean(name, [r.name for r in level.scope.relations]))
