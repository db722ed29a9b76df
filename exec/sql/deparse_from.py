"""FROM as PostgreSQL prints it: tables, functions, queries and joins under the names chosen for them (hop 2).

Spec: get_from_clause and get_from_clause_item of ruleutils.c, PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.catalog.access import quoted
from shoal.exec.functions.casts import common_type
from shoal.exec.plan import expr as e
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import SELECT, Level, bare_type
from shoal.exec.sql.deparse import Deparser
from shoal.exec.sql.deparse_names import ColumnNames, JoinEntry, RangeEntry, flattened, unique
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.from_clause import Source, beside, bind_item, spread
from shoal.exec.sql.scope import Scope, ScopeColumn, merge
from shoal.exec.sql.shown import INDENT, SMALL_INDENT, Choice, Entry, Line, Piece, cannot_be_shown, listed, type_text
from shoal.exec.sql.type_names import resolve_type

if TYPE_CHECKING:
    from shoal.exec.sql.deparse_query import QueryDeparser

_WORDS = {"inner": " JOIN ", "cross": " CROSS JOIN ", "left": " LEFT JOIN ", "right": " RIGHT JOIN ", "full": " FULL JOIN "}


class FromClause:
    """The FROM items of one level, bound and named. `taken`: the names of its tables and of all levels around it."""

    def __init__(self, queries: QueryDeparser, level: Level, items: Sequence[s.FromItem], taken: frozenset[str]) -> None:
        self.queries, self.level = queries, level
        self.items: list[RangeEntry] = []
        source: Source | None = None
        for item in items:
            entry, found = self._bound(item, [] if source is None else [source.scope])
            self.items.append(entry)
            source = found if source is None else beside(source, found)
        self.scope = Scope() if source is None else source.scope
        level.scope = self.scope
        everything = [entry for item in self.items for entry in flattened(item)]
        self.leaves = [entry for entry in everything if not isinstance(entry, JoinEntry)]
        for entry in everything:
            if entry.name is not None:
                entry.name = unique(entry.name, taken)
                taken = taken | {entry.name}
        self.taken = taken
        ColumnNames(self.items)

    # Binding

    def _bound(self, item: s.FromItem, visible: list[Scope]) -> tuple[RangeEntry, Source]:
        if isinstance(item, s.JoinRef):
            return self._join(item, visible)
        source = bind_item(self.level, item, visible)
        relation = source.scope.relations[0]
        entry = RangeEntry("query", item, source.scope, tuple(visible), _shown_columns(source.scope), name=relation.name)
        entry.real = [column.name for column in entry.columns]
        if isinstance(item, s.TableRef):
            self._table(entry, item)
        elif isinstance(item, s.FunctionRef):
            entry.kind = "function"
        elif not isinstance(item, s.QueryRef):
            raise cannot_be_shown(item)
        self.queries.register(entry)
        return entry, source

    def _table(self, entry: RangeEntry, item: s.TableRef) -> None:
        if len(item.parts) == 1 and item.parts[0] in self.level.tables:
            entry.spelled = quoted(item.parts[0])
            entry.bare = item.parts[0]
            return
        entry.kind = "relation"
        table = self.level.context.reads[item.parts]
        entry.bare = table.handle.name
        entry.spelled = self.queries.spelled(table, self.level.tables)
        entry.name = item.alias or entry.bare
        known = [column.name for column in table.columns if not column.hidden]
        young = [c.name for c in table.connector.columns(table.handle) if not c.hidden and c.name not in set(known)]
        entry.real = [*known, *young]

    def _join(self, item: s.JoinRef, visible: list[Scope]) -> tuple[JoinEntry, Source]:
        left, left_source = self._bound(item.left, visible)
        right, right_source = self._bound(item.right, [*visible, left_source.scope])
        bound = [s.BoundItem(item.pos, source=side) for side in (left_source, right_source)]
        source = bind_item(self.level, replace(item, left=bound[0], right=bound[1]), visible)
        mine, theirs = _shown_columns(left_source.scope), _shown_columns(right_source.scope)
        using = item.using
        if item.natural:
            names = {column.name for column in theirs}
            using = list(dict.fromkeys(column.name for column in mine if column.name in names))
        entry = JoinEntry("join", item, merge([left_source.scope, right_source.scope]), tuple(visible),
                          _shown_columns(source.scope), name=item.alias or None, left=left, right=right, using=using or [])
        merged = [(_place(mine, name), _place(theirs, name)) for name in entry.using]
        entry.sides = [*merged, *((i, None) for i in range(len(mine)) if i not in {at for at, _ in merged}),
                       *((None, i) for i in range(len(theirs)) if i not in {to for _, to in merged})]
        for column, (at, to) in zip(entry.columns, merged, strict=False):
            chosen = _is_side(item.kind, mine[at], theirs[to])
            entry.computed = entry.computed or chosen is None
            if chosen is not None and not item.alias:
                self.queries.same(column, chosen)
        if item.alias:
            entry.scope = Scope(source.scope.relations, [])
        self.queries.register(entry)
        entry.scope = merge([left_source.scope, right_source.scope])
        return entry, source

    # Showing

    def pieces(self, d: Deparser) -> list[Piece]:
        """From the word FROM on."""
        found: list[Piece] = []
        for i, entry in enumerate(self.items):
            shown = self._item(d, entry)
            found += [", ", Entry(tuple(shown), False, casts=False)] if i else [Line(" FROM ", -INDENT, INDENT, 2), *shown]
        self.level.scope = self.scope
        return found

    def _item(self, d: Deparser, entry: RangeEntry) -> list[Piece]:
        if isinstance(entry, JoinEntry):
            return self._shown_join(d, entry)
        item = entry.item
        alias = f" {quoted(entry.name or '')}"
        names = self._names(entry)
        if isinstance(item, s.TableRef):
            shown = bool(item.alias) or entry.lists_names or entry.name != entry.bare
            pieces: list[Piece] = ["ONLY " if item.only else "", entry.spelled, (alias if shown else "") + names]
            if item.sample is not None:
                arguments = listed([d.shown(arg) for arg in item.sample.args])
                pieces += [f" TABLESAMPLE {quoted(item.sample.name[-1])} (", *arguments, ")"]
                if item.seed is not None:
                    pieces += [" REPEATABLE (", d.shown(item.seed), ")"]
            return pieces
        if isinstance(item, s.QueryRef):
            parent = self.level.parent
            if item.lateral:
                self.level.scope = merge(list(entry.visible)) if entry.visible else Scope()
                parent = self.level
            query = self.queries.query(item.query, parent, self.level.tables, self.taken, None)
            self.level.scope = self.scope
            return ["LATERAL " if item.lateral else "", "(", query, f"){alias}{names}"]
        assert isinstance(item, s.FunctionRef)
        return self._function(entry, item, alias, names)

    def _names(self, entry: RangeEntry) -> str:
        return f"({', '.join(quoted(name) for name, _ in entry.listed)})" if entry.lists_names else ""

    def _function(self, entry: RangeEntry, item: s.FunctionRef, alias: str, names: str) -> list[Piece]:
        self.level.scope = merge(list(entry.visible)) if entry.visible else Scope()
        binder = ExpressionBinder(self.level, SELECT, [])
        inside = Deparser(binder, self.queries, self.taken)
        calls: list[Piece] = []
        definitions = dict(item.inner_definitions)
        if item.definitions is not None:
            definitions[0] = item.definitions
        functions = spread(item.functions)
        plain = len(functions) == 1 and not (definitions and item.ordinality)
        arrays = len(functions) > 1 and all(function.name == ("unnest",) for function in functions) and not definitions
        for i, function in enumerate(functions):
            calls += [", ", inside.shown(function.args[0]) if arrays else inside.called(function)]
            if i in definitions and not plain:
                calls.append(f" AS {_definitions(definitions[i])}")
        self.level.scope = self.scope
        pieces: list[Piece] = ["LATERAL " if item.lateral else ""]
        pieces += calls[1:] if plain else ["UNNEST(" if arrays else "ROWS FROM(", *calls[1:], ")"]
        pieces.append(" WITH ORDINALITY" if item.ordinality else "")
        if plain and definitions:
            return [*pieces, alias + _definitions(definitions[0], [name for name, _ in entry.listed])]
        return [*pieces, alias + names]

    def _shown_join(self, d: Deparser, entry: JoinEntry) -> list[Piece]:
        item, left, right = entry.item, entry.left, entry.right
        assert isinstance(item, s.JoinRef) and left is not None and right is not None
        named = bool(item.alias)
        opening: Piece = "(" if named else Choice("", "(")
        closing: Piece = ")" if named else Choice("", ")")
        conditional = item.on is not None or bool(entry.using)
        word = _WORDS["cross" if item.kind == "inner" and not conditional else item.kind]
        apart = isinstance(right, JoinEntry) and not right.item.alias
        pieces: list[Piece] = [opening, *self._item(d, left), Line(word, -INDENT, INDENT, SMALL_INDENT),
                               Choice("(", "") if apart else "", *self._item(d, right), Choice(")", "") if apart else ""]
        if entry.using:
            pieces.append(f" USING ({', '.join(map(quoted, entry.using_shown))})")
            pieces.append(f" AS {quoted(item.using_alias)}" if item.using_alias else "")
        elif item.on is not None:
            self.level.scope = entry.scope
            pieces += [" ON ", Choice("", "("), d.boolean(item.on), Choice("", ")")]
            self.level.scope = self.scope
        elif item.kind not in ("inner", "cross"):
            pieces.append(" ON TRUE")
        pieces.append(closing)
        return [*pieces, f" {quoted(entry.name or '')}{self._names(entry)}"] if named else pieces


def _shown_columns(scope: Scope) -> list[ScopeColumn]:
    return [column for column in scope.columns if not column.hidden]


def _place(columns: Sequence[ScopeColumn], name: str) -> int:
    return next(i for i, column in enumerate(columns) if column.name == name)


def _is_side(kind: str, left: ScopeColumn, right: ScopeColumn) -> ScopeColumn | None:
    """The side whose column a merged one is; None where it is computed."""
    if kind == "full":
        return None
    target = common_type([left.expr.type, right.expr.type], "JOIN/USING")
    fits = {"left": (left,), "right": (right,)}.get(kind, (left, right))
    return next((side for side in fits if bare_type(side.expr.type) == bare_type(target)
                 and isinstance(side.expr, e.ColumnRef)), None)


def _definitions(columns: Sequence[s.ColumnDefinition], names: Sequence[str] = ()) -> str:
    shown = [f"{quoted(names[i] if i < len(names) else column.name)} {type_text(resolve_type(column.type))}"
             for i, column in enumerate(columns) if column.type is not None]
    return f"({', '.join(shown)})"
