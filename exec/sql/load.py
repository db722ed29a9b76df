"""COPY FROM as the binder sees it: the columns that are given, the values of the others, WHERE (hop 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    ReadOnlyTransaction,
    SqlError,
    UndefinedColumn,
    UndefinedTable,
    WrongObjectType,
)
from shoal.exec.plan.expr import Expr
from shoal.exec.plan.nodes import Field
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.context import COPY_WHERE, Context
from shoal.exec.sql.dml import refusal
from shoal.exec.sql.stored_expressions import assigned, checks_of, condition, default_value, scope_of

if TYPE_CHECKING:
    from shoal.catalog.access import Namespace

_BEFORE_WHERE = "SELECT 1 WHERE "


@dataclass(frozen=True, slots=True)
class Load:
    """`fields`: all columns of the table; `given`: which of them the input has, in its order; `defaults`: the others'."""

    found: ResolvedTable
    columns: tuple[ColumnInfo, ...]
    fields: tuple[Field, ...]
    given: tuple[int, ...]
    defaults: tuple[tuple[int, Expr], ...]
    checks: tuple[tuple[str, Expr], ...]
    where: Expr | None
    conditions: Mapping[int, Expr]
    """Of columns of domains, by their places: the value once it has passed the domain's conditions."""

    @property
    def names(self) -> list[str]:
        """Of the given columns."""
        return [self.columns[i].name for i in self.given]


def bind_load(namespace: Namespace, session: SessionContext, parts: tuple[str, ...], columns: Sequence[str],
              where: tuple[str, int] | None) -> Load:
    """`where`: the condition's text and its offset in the statement.

    Raises: UndefinedTable (42P01), UndefinedColumn (42703), DuplicateColumn (42701), FeatureNotSupported (0A000),
    WrongObjectType (42809), ReadOnlyTransaction (25006).
    """
    if session.read_only:
        raise ReadOnlyTransaction("cannot execute COPY FROM in a read-only transaction")
    try:
        found = namespace.resolve(parts)
    except UndefinedTable as error:
        raise UndefinedTable(error.message, hint=error.hint) from None
    kind = found.handle.kind.replace("_", " ")
    if found.handle.kind not in ("table", "system"):
        hint = "To enable copying to a view, provide an INSTEAD OF INSERT trigger."
        raise WrongObjectType(f'cannot copy to {kind} "{parts[-1]}"', hint=hint if kind == "view" else "")
    refusal(found, "copy to", parts[-1], -1)
    infos = tuple(c for c in found.columns if not c.hidden)
    given: list[int] = []
    for name in columns:
        place = next((i for i, info in enumerate(infos) if info.name == name), None)
        if place is None:
            raise UndefinedColumn(f'column "{name}" of relation "{parts[-1]}" does not exist')
        if place in given:
            raise DuplicateColumn(f'column "{name}" specified more than once')
        given.append(place)
    given = given or list(range(len(infos)))
    context = Context(namespace, session, ())
    fields = tuple(context.field(info.name, info.type) for info in infos)
    defaults = tuple((i, default_value(context, info)) for i, info in enumerate(infos) if i not in given)
    predicate = None if where is None else _where(context, found.handle.name, fields, *where)
    conditions = {place: assigned(context, fields[place].ref(), infos[place], -1) for place in given
                  if infos[place].domain is not None}
    return Load(found, infos, fields, tuple(given), defaults, checks_of(context, found, fields), predicate, conditions)


def _where(context: Context, name: str, fields: Sequence[Field], text: str, offset: int) -> Expr:
    from shoal.exec.sql import syntax as s
    from shoal.exec.sql.parse import parse
    try:
        tree = parse(_BEFORE_WHERE + text).tree
        node = tree.args["where"].this
        if isinstance(node, s.Subquery):
            raise FeatureNotSupported("cannot use subquery in COPY FROM WHERE condition", position=node.pos + 1)
        return condition(context, node, scope_of(name, fields), COPY_WHERE, "WHERE")
    except SqlError as error:
        if error.position:
            error.position += offset - len(_BEFORE_WHERE)
        raise
