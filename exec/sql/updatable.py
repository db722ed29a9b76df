"""Views that can be written to: what is done to their rows is done to those of the table beneath (hop 2).

    UPDATE v SET ... WHERE ...    ->   TableWrite(update)
                                         Project($row_id, the table's columns new)
                                           Filter(WHERE)           over the view's columns
                                             Filter(the view's)
                                               Scan(table, with $row_id)

Spec: PostgreSQL 15 documentation, CREATE VIEW, "Updatable Views"; wording of rewriteHandler.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo, ViewDefinition
from shoal.catalog.errors import FeatureNotSupported, ObjectNotInPrerequisiteState, SqlError
from shoal.exec.plan.expr import ColumnRef, Expr
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import SELECT, WHERE, Context, Level, PendingApply, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.views import ViewNamespace

_DOING = {"insert": ("insert into", "inserting into", "INSERT"), "update": ("update", "updating", "UPDATE"),
          "delete": ("delete from", "deleting from", "DELETE")}
_REASONS: dict[str, str] = {
    "with_": "WITH", "distinct": "DISTINCT", "group": "GROUP BY", "having": "HAVING", "limit": "LIMIT or OFFSET",
    "offset": "LIMIT or OFFSET"}


@dataclass(slots=True)
class Shown:
    """A view's columns over columns of the table beneath."""

    columns: list[tuple[str, Expr]]
    conditions: list[tuple[str, Expr, bool]] = field(default_factory=list)
    """(view, its WHERE, whether WITH CHECK OPTION holds for it) of the view and those beneath."""
    applies: list[PendingApply] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UpdatableView:
    """A view over one table, directly or through others."""

    found: ResolvedTable
    view: ViewDefinition
    tree: Any
    item: s.TableRef
    inner: UpdatableView | None
    base: ResolvedTable

    def shown(self, context: Context, refs: Sequence[ColumnRef], checked: bool = False) -> Shown:
        """The view over the table's columns `refs`. `checked`: a view above checks what is stored by this one too."""
        check = self.view.check
        if self.inner is not None:
            below = self.inner.shown(context, refs, checked or check == "cascaded")
        else:
            stored = [info for info in self.base.columns if not info.hidden]
            below = Shown([(info.name, ref) for info, ref in zip(stored, refs, strict=True)])
        with _inside(context, self.view):
            name = self.item.alias or self.item.parts[-1]
            written = [context.namespace.column_name(self.item.parts, column) for column, _ in below.columns]
            columns = [ScopeColumn(alias, expr, name) for alias, (_, expr) in zip(written, below.columns, strict=True)]
            for column, alias in zip(columns, self.item.columns or (), strict=False):
                column.name = alias
            level = Level(context, None, Scope([Relation(name, columns)], columns), {})
            exprs = self._targets(level, columns)
            where = self.tree.args.get("where")
            if where is not None:
                condition = ExpressionBinder(level, WHERE).bind_boolean(where.this, "WHERE")
                below.conditions.append((self.found.handle.name, condition, checked or bool(check)))
            below.applies += level.input_applies
        infos = [info for info in self.found.columns if not info.hidden]
        below.columns = [(info.name, expr) for info, expr in zip(infos, exprs, strict=True)]
        return below

    def _targets(self, level: Level, columns: list[ScopeColumn]) -> list[Expr]:
        found: list[Expr] = []
        binder = ExpressionBinder(level, SELECT)
        for target in self.tree.expressions:
            if isinstance(target.arg, s.Star) or (isinstance(target.arg, s.FieldOf) and target.arg.name == "*"):
                found += [column.expr for column in columns]
            else:
                found.append(binder.bind_settled(target.arg))
        return found


@contextmanager
def _inside(context: Context, view: ViewDefinition) -> Iterator[None]:
    """Names mean what they meant to the view's author."""
    outer = context.namespace
    context.namespace = ViewNamespace(outer.catalogs, view, outer.temporary)
    try:
        yield
    except SqlError as error:
        error.position = 0
        raise
    finally:
        context.namespace = outer


def updatable(context: Context, found: ResolvedTable, verb: str, fails: bool = True) -> UpdatableView | None:
    """The view `found` as one that can be written to; None (or an error) where it is not.

    Raises: ObjectNotInPrerequisiteState (55000).
    """
    from shoal.exec.sql.parse import parse
    view = found.connector.view(found.handle)

    def refuse(why: str) -> None:
        if fails:
            to, doing, event = _DOING[verb]
            raise ObjectNotInPrerequisiteState(
                f'cannot {to} view "{found.handle.name}"', detail=why, hint=(
                    f"To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO "
                    "INSTEAD rule."))

    if view is None:
        refuse("Views of other catalogs are not automatically updatable.")
        return None
    tree = parse(view.query).tree
    why = reason(tree)
    if why:
        refuse(why)
        return None
    item = tree.args["from_"].this[0]
    with _inside(context, view):
        below = context.namespace.resolve(item.parts)
    if below.handle.kind == "view":
        inner = updatable(context, below, verb, fails)
        return None if inner is None else UpdatableView(found, view, tree, item, inner, inner.base)
    if below.handle.kind != "table":
        refuse("Views that do not select from a single table or view are not automatically updatable.")
        return None
    return UpdatableView(found, view, tree, item, None, below)


def reason(tree: Any) -> str:
    """Why a view's query is not simple enough; "" where it is."""
    single = "Views that do not select from a single table or view are not automatically updatable."
    if isinstance(tree, exp.SetOperation):
        return "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable."
    if not isinstance(tree, exp.Select):
        return single
    for key, word in _REASONS.items():
        if tree.args.get(key):
            return f"Views containing {word} are not automatically updatable."
    source = tree.args.get("from_")
    if source is None or len(source.this) != 1 or not isinstance(source.this[0], s.TableRef) or source.this[0].sample:
        return single
    for target in tree.expressions:
        for call in _calls(target.arg):
            from shoal.exec.functions.registry import find
            kinds = {function.kind for function in find(call.name[-1])}
            if call.over is not None:
                return "Views that return window functions are not automatically updatable."
            if "aggregate" in kinds and "scalar" not in kinds:
                return "Views that return aggregate functions are not automatically updatable."
            if "set" in kinds:
                return "Views that return set-returning functions are not automatically updatable."
    return ""


def _calls(node: Any) -> list[s.Function]:
    from dataclasses import fields, is_dataclass
    found: list[s.Function] = [node] if isinstance(node, s.Function) else []
    if isinstance(node, (list, tuple)):
        return [call for item in node for call in _calls(item)]
    if is_dataclass(node) and not isinstance(node, s.Subquery):
        for part in fields(node):
            found += _calls(getattr(node, part.name))
    return found


def places(shown: Shown, refs: Sequence[ColumnRef]) -> list[int | None]:
    """For each of the view's columns the table's column that it is; None for one that is computed."""
    where = {ref.id: place for place, ref in enumerate(refs)}
    return [where.get(expr.id) if isinstance(expr, ColumnRef) else None for _, expr in shown.columns]


def renamed(infos: Sequence[ColumnInfo], shown: Shown, refs: Sequence[ColumnRef]) -> list[ColumnInfo]:
    """The table's columns under the view's names; those that it does not show have names that nobody can write."""
    from dataclasses import replace
    named = [replace(info, name=f"\0{info.name}") for info in infos]
    for (name, _), place in zip(shown.columns, places(shown, refs), strict=True):
        if place is not None and named[place].name.startswith("\0"):
            named[place] = replace(named[place], name=name)
    return named


def check_writable(shown: Shown, refs: Sequence[ColumnRef], names: Sequence[tuple[str, int]], view: str, verb: str) -> None:
    """Raises: FeatureNotSupported (0A000) for a column of `names` that is computed."""
    computed = {name for (name, _), place in zip(shown.columns, places(shown, refs), strict=True) if place is None}
    for name, _ in names:
        if name in computed:
            doing = "insert into" if verb == "insert" else "update"
            fail(FeatureNotSupported, f'cannot {doing} column "{name}" of view "{view}"', -1,
                 detail="View columns that are not columns of their base relation are not updatable.")
