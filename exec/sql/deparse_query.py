"""Queries that a catalog keeps, written as PostgreSQL prints them: pg_get_viewdef (hop 2).

Each level is bound as far as its names and types need; then its tables and columns get the names under which they are
shown (deparse_names.py), and its clauses follow in ruleutils.c's order, with its indentation.

Spec: get_query_def and what it calls in ruleutils.c, PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlglot import exp

from shoal.catalog.access import Namespace, ResolvedTable, quoted
from shoal.catalog.declarations import SYSTEM_COLUMNS
from shoal.catalog.errors import SqlError
from shoal.catalog.registry import SYSTEM
from shoal.catalog.types import INT8, TEXT, UNKNOWN, SqlType
from shoal.exec.functions.casts import common_type
from shoal.exec.plan.expr import Expr
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import SELECT, CommonTable, Context, Level, Query, bare_type
from shoal.exec.sql.deparse import Deparser
from shoal.exec.sql.deparse_calls import for_sorting, sort_list, window
from shoal.exec.sql.deparse_from import FromClause
from shoal.exec.sql.deparse_names import JoinEntry, RangeEntry, unique
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.names import output_name
from shoal.exec.sql.queries import bind_subquery, bind_with, output_column
from shoal.exec.sql.recursion import reads_itself
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn, resolve_column
from shoal.exec.sql.shown import (
    INDENT,
    Entry,
    Indent,
    Line,
    Piece,
    Shown,
    cannot_be_shown,
    listed,
    standing_alone,
)

_SET_WORDS = {exp.Union: "UNION ", exp.Except: "EXCEPT ", exp.Intersect: "INTERSECT "}
_MODIFIERS = ("order", "limit", "offset", "with_", "locks")
_ALIAS_OF_VALUES = "*VALUES*"


def shown_query(context: Context, seen: Namespace, tree: Any, names: Sequence[str]) -> Shown:
    """A view's query, its columns called `names`. `seen`: how the reader of the text finds relations.

    Raises: FeatureNotSupported (0A000) for what cannot be shown; all that binding raises.
    """
    return QueryDeparser(context, seen).query(tree, None, {}, frozenset({"old", "new"}), names)


class QueryDeparser:
    """Shows the levels of one query. Columns are known by the objects that the binder's scopes have of them."""

    def __init__(self, context: Context, seen: Namespace) -> None:
        self.context, self.seen = context, seen
        self._columns: dict[int, tuple[RangeEntry, int]] = {}
        self._relations: dict[int, tuple[Relation, RangeEntry]] = {}
        self._kept: list[ScopeColumn] = []

    # Columns

    def register(self, entry: RangeEntry) -> None:
        """Takes note of the columns that belong to `entry` and to no item inside of it."""
        for i, column in enumerate(entry.columns):
            if id(column) not in self._columns:
                self._columns[id(column)] = (entry, i)
                self._kept.append(column)
        if not isinstance(entry, JoinEntry) or entry.item.alias:
            relation = entry.scope.relations[0]
            self._relations[id(relation)] = (relation, entry)

    def owner(self, column: ScopeColumn) -> tuple[RangeEntry, int]:
        return self._columns[id(column)]

    def same(self, column: ScopeColumn, as_column: ScopeColumn) -> None:
        """`column` is what `as_column` is: a merged column that is that of one side."""
        self._columns[id(column)] = self._columns[id(as_column)]
        self._kept.append(column)

    def column(self, level: Level, node: s.Name, bound: Expr) -> Shown:
        """A name in an expression: a column, or a table as the row of its columns."""
        found = resolve_column(level, node.parts, node.pos)
        if found is not None and id(found[0]) not in self._columns and found[0].name in SYSTEM_COLUMNS:
            return self._system_column(*found)
        if found is not None:
            return self.shown_column(found[0])
        at: Level | None = level
        while at is not None:
            relation = at.scope.relation(node.parts)
            if relation is not None:
                _, entry = self._relations[id(relation)]
                row_type = bare_type(bound.type)
                own = entry.bare if entry.kind == "relation" else "record"
                return Shown("atom", row_type, (f"{quoted(entry.name or '')}.*",), alone=own)
            at = at.parent
        raise cannot_be_shown(node)

    def _system_column(self, column: ScopeColumn, level: Level) -> Shown:
        """ctid and its like, which no entry lists."""
        relation = next(relation for relation in level.scope.relations if relation.name == column.table)
        entry = self._relations[id(relation)][1]
        prefix = "" if entry.name is None else f"{quoted(entry.name)}."
        return Shown("atom", column.expr.type, (prefix + column.name,), name=column.name)

    def shown_column(self, column: ScopeColumn) -> Shown:
        entry, i = self._columns[id(column)]
        name = entry.shown[i] or ""
        prefix = "" if entry.name is None else f"{quoted(entry.name)}."
        return Shown("atom", bare_type(column.expr.type), (prefix + quoted(name),), name=name)

    def subquery(self, d: Deparser, tree: Any) -> Shown:
        """A query inside an expression."""
        return self.query(tree, d.binder.level, d.binder.level.tables, d.taken, None, labelled=False)

    # Queries

    def query(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], taken: frozenset[str],
              names: Sequence[str] | None, labelled: bool = True, types: Sequence[SqlType] | None = None) -> Shown:
        """`taken`: names of tables of the enclosing levels. `names`: of the columns, where they are not the query's own;
        `labelled`: they matter to somebody. `types`: what untyped columns become."""
        while isinstance(tree, exp.Subquery) and not any(tree.args.get(key) for key in _MODIFIERS):
            tree = tree.this
        if isinstance(tree, exp.Subquery):
            raise cannot_be_shown("a query in parentheses with clauses of its own")
        inside = tables if tree.args.get("with_") is None else bind_with(self.context, tree, parent, tables)
        if isinstance(tree, exp.Select):
            body, own = self._select(tree, parent, inside, taken, names, labelled, types)
        elif isinstance(tree, exp.SetOperation):
            body, own = self._set_operation(tree, parent, inside, taken, names, labelled)
        elif isinstance(tree, exp.Values):
            body, own = self._values(tree, parent, inside, taken, names)
        else:
            raise cannot_be_shown(tree)
        before = self._with(tree, parent, tables, inside, own) if tree.args.get("with_") is not None else []
        return Shown("query", UNKNOWN, (*before, *body))

    def _with(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], known: dict[str, CommonTable],
              taken: frozenset[str]) -> list[Piece]:
        clause = tree.args["with_"]
        recursive = bool(clause.args.get("recursive"))
        pieces: list[Piece] = [Indent(INDENT, " ")]
        visible = dict(tables)
        for i, cte in enumerate(clause.expressions):
            name, columns = cte.args["alias"], cte.meta["columns"]
            aliases = f"({', '.join(map(quoted, columns))})" if columns else ""
            kept = {True: "MATERIALIZED ", False: "NOT MATERIALIZED ", None: ""}[cte.meta["materialized"]]
            query = self.query(cte.this, parent, known if recursive else visible, taken, None)
            visible[name] = known[name]
            first = f"WITH {'RECURSIVE ' if recursive else ''}" if not i else ", "
            pieces += [f"{first}{quoted(name)}{aliases} AS {kept}(", Line(""), query, Line(""), ")"]
            if recursive and reads_itself(cte):
                pieces += self._search_and_cycle(parent, cte)
        return [*pieces, Line("", before=-INDENT)]

    def _search_and_cycle(self, parent: Level | None, cte: Any) -> list[Piece]:
        pieces: list[Piece] = []
        search, cycle = cte.meta.get("search"), cte.meta.get("cycle")
        if search is not None:
            way = "BREADTH" if search.breadth else "DEPTH"
            pieces.append(f" SEARCH {way} FIRST BY {', '.join(map(quoted, search.columns))} SET {quoted(search.sequence)}")
        if cycle is not None:
            pieces.append(f" CYCLE {', '.join(map(quoted, cycle.columns))} SET {quoted(cycle.mark)}")
            if cycle.value is not None:
                d = Deparser(ExpressionBinder(Level(self.context, parent, Scope(), {}), SELECT, []))
                pieces += [" TO ", d.settled(cycle.value), " DEFAULT ", d.settled(cycle.default)]
            pieces.append(f" USING {quoted(cycle.path)}")
        return pieces

    def _select(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], taken: frozenset[str],
                names: Sequence[str] | None, labelled: bool,
                types: Sequence[SqlType] | None) -> tuple[list[Piece], frozenset[str]]:
        args = tree.args
        level = Level(self.context, parent, Scope(), tables)
        sources = args.get("from_")
        clause = FromClause(self, level, sources.this if sources is not None else [], taken)
        for name, spec in args.get("windows") or ():
            level.named_windows[name] = spec
        d = Deparser(ExpressionBinder(level, SELECT, []), self, clause.taken)
        items = [item for target in args.get("expressions") or () for item in self._target(d, target)]
        pieces: list[Piece] = [Indent(INDENT, " "), "SELECT"]
        distinct = args.get("distinct")
        if distinct is not None:
            pieces.append(" DISTINCT")
            if distinct.args.get("on") is not None:
                keys: list[Piece] = [for_sorting(self._output(d, node, items)) for node in distinct.args["on"].items]
                pieces += [" ON (", *listed(keys), ")"]
        for i, (label, shown) in enumerate(items):
            shown = d.coerced(shown, TEXT if types is None else types[i], settle=True)
            name = label if names is None or i >= len(names) else names[i]
            own = shown.name if shown.name is not None and shown.kind in ("atom", "field") else None
            if shown.kind != "atom" and own is None and not labelled:
                own = "?column?"
            if shown.kind == "field":
                own = None
            pieces += [" " if not i else ", ", Entry((standing_alone(shown), "" if own == name else f" AS {quoted(name)}"),
                                                     not i)]
        pieces += clause.pieces(d)
        if args.get("where") is not None:
            pieces += [Line(" WHERE ", -INDENT, INDENT, 1), d.boolean(args["where"].this)]
        if args.get("group") is not None:
            pieces += [Line(" GROUP BY ", -INDENT, INDENT, 1), *self._groups(d, args["group"], items)]
        if args.get("having") is not None:
            pieces += [Line(" HAVING ", -INDENT, INDENT), d.boolean(args["having"].this)]
        for i, (name, spec) in enumerate(args.get("windows") or ()):
            pieces += [", " if i else Line(" WINDOW ", -INDENT, INDENT, 1), f"{quoted(name)} AS ", *window(d, spec)]
        if args.get("order") is not None:
            pieces += [Line(" ORDER BY ", -INDENT, INDENT, 1), *sort_list(
                args["order"].args["expressions"], lambda item: for_sorting(self._output(d, item.arg, items)))]
        pieces += self._limits(d, args)
        for lock in args.get("locks") or ():
            pieces += self._locks(lock, clause)
        if args.get("qualify") is not None:
            raise cannot_be_shown("QUALIFY")
        return pieces, clause.taken

    def _target(self, d: Deparser, target: s.Target) -> list[tuple[str, Shown]]:
        """(name, value) of what a select-list entry stands for."""
        node, level = target.arg, d.binder.level
        star = node if isinstance(node, s.Star) else None
        if isinstance(node, s.FieldOf) and node.name == "*":
            if isinstance(node.arg, s.Name) and level.scope.relation(node.arg.parts) is not None:
                star = s.Star(node.pos, node.arg.parts)
            else:
                row = d.shown(node.arg)
                return [(name, d.field_of(row, name, bare_type(value.type)))
                        for name, value in rows.expanded(d.binder, node)]
        if star is None:
            return [(target.label or output_name(node), d.shown(node))]
        columns = level.scope.columns
        if star.qualifier:
            at: Level | None = level
            relation = None
            while relation is None and at is not None:
                relation, at = at.scope.relation(star.qualifier), at.parent
            assert relation is not None
            columns = relation.columns
        return [(column.name, self.shown_column(column)) for column in columns if not column.hidden]

    def _output(self, d: Deparser, node: Any, items: Sequence[tuple[str, Shown]], inputs_first: bool = False) -> Shown:
        """What ORDER BY, DISTINCT ON or (`inputs_first`) GROUP BY means: a column of the select list by name or number, or
        an expression."""
        if isinstance(node, s.Constant) and node.kind == "integer":
            return d.coerced(items[int(node.value) - 1][1], TEXT, settle=True)
        if isinstance(node, s.Name) and len(node.parts) == 1 and not (
                inputs_first and d.binder.level.scope.find(node.parts[0])):
            for label, shown in items:
                if label == node.parts[0]:
                    return d.coerced(shown, TEXT, settle=True)
        return d.settled(node)

    def _groups(self, d: Deparser, group: Any, items: Sequence[tuple[str, Shown]]) -> list[Piece]:
        nodes = group.args["expressions"]
        before: list[Piece] = ["DISTINCT "] if group.meta.get("distinct") else []

        def key(node: Any) -> Piece:
            return for_sorting(self._output(d, node, items, inputs_first=True))

        def grouping(node: Any, bare: bool) -> list[Piece]:
            if not isinstance(node, s.GroupingSets):
                parts = node.items if isinstance(node, s.Row) else [node]
                if not parts:
                    return ["()"]
                inside = listed([key(part) for part in parts])
                return inside if bare and len(parts) == 1 else ["(", *inside, ")"]
            word = {"sets": "GROUPING SETS (", "rollup": "ROLLUP(", "cube": "CUBE("}[node.kind]
            members = [grouping(item, node.kind != "sets") for item in node.items]
            return [word, *(piece for i, member in enumerate(members) for piece in ([", "] if i else []) + member), ")"]
        if any(isinstance(node, s.GroupingSets) or (isinstance(node, s.Row) and not node.items) for node in nodes):
            sets = [grouping(node, True) for node in nodes]
            return [*before, *(piece for i, one in enumerate(sets) for piece in ([", "] if i else []) + one)]
        parts = [part for node in nodes for part in (node.items if isinstance(node, s.Row) else [node])]
        return [*before, *listed(list(dict.fromkeys(key(part) for part in parts)))]

    def _limits(self, d: Deparser, args: dict[str, Any]) -> list[Piece]:
        pieces: list[Piece] = []
        for key, word in (("offset", " OFFSET "), ("limit", " LIMIT ")):
            if args.get(key) is None:
                continue
            shown = d.shown(args[key].args["expression"])
            unlimited = shown.kind == "constant" and shown.pieces == ("NULL",) and key == "limit"
            count: Piece = "ALL" if unlimited else d.coerced(shown, INT8)
            if key == "limit" and args[key].meta.get("ties"):
                pieces += [Line(" FETCH FIRST (", -INDENT, INDENT), count, ") ROWS WITH TIES"]
            else:
                pieces += [Line(word, -INDENT, INDENT), count]
        return pieces

    def _locks(self, lock: s.LockingClause, clause: FromClause) -> list[Piece]:
        tables = [parts[-1] for _, parts in lock.tables] or [e.name or "" for e in clause.leaves if e.kind == "relation"]
        pieces: list[Piece] = []
        for table in tables:
            pieces += [Line(f" {lock.strength.upper()}", -INDENT, INDENT), f" OF {quoted(table)}",
                       " SKIP LOCKED" if lock.skip_locked else " NOWAIT" if lock.nowait else ""]
        return pieces

    # Set operations

    def _set_operation(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], taken: frozenset[str],
                       names: Sequence[str] | None, labelled: bool) -> tuple[list[Piece], frozenset[str]]:
        query = bind_subquery(self.context, tree, parent, tables)
        pieces = self._arm(tree, parent, tables, taken, names, labelled, query, top=True)
        level = Level(self.context, parent, Scope(), tables)
        d = Deparser(ExpressionBinder(level, SELECT, []), self, taken)
        if tree.args.get("order") is not None:
            pieces += [Line(" ORDER BY ", -INDENT, INDENT, 1), *sort_list(
                tree.args["order"].args["expressions"], lambda item: str(output_column(query, item.arg) + 1))]
        return [*pieces, *self._limits(d, tree.args)], taken

    def _arm(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], taken: frozenset[str],
             names: Sequence[str] | None, labelled: bool, query: Query, top: bool = False) -> list[Piece]:
        while isinstance(tree, exp.Subquery) and not any(tree.args.get(key) for key in _MODIFIERS):
            tree = tree.this
        if not top and not _is_set(tree):
            types = [field.type for field in query.fields]
            shown = self.query(tree, parent, tables, taken, names, labelled, types)
            decorated = any(tree.args.get(key) for key in _MODIFIERS)
            return ["(", shown, ")"] if decorated else [shown]
        left, right = _bare(tree.this), _bare(tree.expression)
        distinct = bool(tree.args.get("distinct"))
        same = type(left) is type(tree) and bool(left.args.get("distinct")) == distinct
        mine = self._arm(left, parent, tables, taken, names, labelled, query)
        theirs = self._arm(right, parent, tables, taken, names, False, query)
        pieces: list[Piece] = [*mine, Line("")]
        if _is_set(left) and not same:
            pieces = ["(", Line("", INDENT), *mine, Line(") ", -INDENT)]
        pieces.append(_SET_WORDS[type(tree)] + ("" if distinct else "ALL "))
        if _is_set(right):
            return [*pieces, "(", Line("", INDENT), *theirs, Indent(-INDENT, ""), Line(")")]
        return [*pieces, Line(""), *theirs]

    # VALUES

    def _values(self, tree: Any, parent: Level | None, tables: dict[str, CommonTable], taken: frozenset[str],
                names: Sequence[str] | None) -> tuple[list[Piece], frozenset[str]]:
        level = Level(self.context, parent, Scope(), tables)
        own = unique(_ALIAS_OF_VALUES, taken)
        taken = taken | {own}
        d = Deparser(ExpressionBinder(level, SELECT, []), self, taken)
        table = [[d.shown(item) for item in row.items] for row in tree.expressions]
        for i in range(len(table[0])):
            target = common_type([row[i].type for row in table], "VALUES")
            target = TEXT if target.name == "unknown" else bare_type(target)
            for row in table:
                row[i] = d.coerced(row[i], target)
        lists: list[list[Piece]] = [["(", *listed([standing_alone(value) for value in row], ","), ")"]
                                    for row in table]
        values: list[Piece] = ["VALUES ", *(piece for i, one in enumerate(lists) for piece in ([", "] if i else []) + one)]
        columns = [f"column{i + 1}" for i in range(len(table[0]))]
        if names is None or list(names) == columns:
            pieces: list[Piece] = [Indent(INDENT, " "), *values]
        else:
            pieces = [Indent(INDENT, " "), "SELECT"]
            for i, (column, name) in enumerate(zip(columns, names, strict=True)):
                label = "" if column == name else f" AS {quoted(name)}"
                pieces += [", " if i else " ", Entry((f"{quoted(own)}.{column}{label}",), not i)]
            pieces += [Line(" FROM ", -INDENT, INDENT, 2), "(", *values, f") {quoted(own)}"]
        if tree.args.get("order") is not None:
            query = bind_subquery(self.context, tree, parent, tables)
            pieces += [Line(" ORDER BY ", -INDENT, INDENT, 1), *sort_list(
                tree.args["order"].args["expressions"],
                lambda item: f"{quoted(own)}.{columns[output_column(query, item.arg)]}")]
        return [*pieces, *self._limits(d, tree.args)], taken

    # Relations

    def spelled(self, table: ResolvedTable, tables: dict[str, CommonTable]) -> str:
        """A relation as its reader finds it."""
        handle = table.handle
        place = (handle.catalog, handle.schema, handle.name)
        if handle.name not in tables:
            with suppress(SqlError):
                found = self.seen.resolve((handle.name,)).handle
                if (found.catalog, found.schema, found.name) == place:
                    return quoted(handle.name)
        within = f"{quoted(handle.schema)}.{quoted(handle.name)}"
        return within if handle.catalog in (self.seen.database, SYSTEM) else f"{quoted(handle.catalog)}.{within}"


def _is_set(tree: Any) -> bool:
    return isinstance(tree, exp.SetOperation) and not any(tree.args.get(key) for key in _MODIFIERS)


def _bare(tree: Any) -> Any:
    while isinstance(tree, exp.Subquery) and not any(tree.args.get(key) for key in _MODIFIERS):
        tree = tree.this
    return tree

