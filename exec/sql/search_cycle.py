"""SEARCH and CYCLE of WITH RECURSIVE: columns that a recursive query carries along (hop 2).

    SEARCH DEPTH FIRST BY a, b SET o      o: an array of the rows (a, b) on the way from the start
    SEARCH BREADTH FIRST BY a, b SET o    o: the row (depth, a, b)
    CYCLE a, b SET c USING p              p: as above; c: whether the row (a, b) was on the way before; such rows lead
                                          no further

The working table has them as hidden columns. The recursive term gives those of the row it read, and a projection above
makes the new ones.

Spec: PostgreSQL 15 documentation, 7.8.2; rules and wording of parse_cte.c and rewriteSearchCycle.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlglot import exp

from shoal.catalog.errors import DuplicateColumn, FeatureNotSupported, SqlSyntaxError
from shoal.catalog.types import BOOL, INT4, INT8, SqlType, array_of
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, call
from shoal.exec.plan.nodes import Filter, Project, Values
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import operator, unify
from shoal.exec.sql.context import VALUES, Context, Level, Query, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.rows import row_of
from shoal.exec.sql.scope import Scope


@dataclass(slots=True)
class Carried:
    """What a recursive query carries along. `names`: its own columns."""

    name: str
    names: Sequence[str]
    search: s.SearchClause | None
    cycle: s.CycleClause | None
    value: Expr = e.TRUE
    default: Expr = e.FALSE
    added: list[str] = field(default_factory=list)

    def types(self, types: Sequence[SqlType]) -> list[SqlType]:
        """The types of the added columns, from those of the query's own."""
        found: list[SqlType] = []
        if self.search is not None:
            row = self._row(types, self.search.columns)
            deep = replace(row, fields=(("*DEPTH*", INT8), *(row.fields or ())))
            found.append(deep if self.search.breadth else array_of(row))
        if self.cycle is not None:
            found += [self.value.type, array_of(self._row(types, self.cycle.columns))]
        return found

    def _row(self, types: Sequence[SqlType], columns: Sequence[str]) -> SqlType:
        return row_of([ColumnRef(types[self.names.index(c)], 0, c) for c in columns], columns).type

    def step(self, tree: Any) -> Any:
        """The recursive term, giving also the added columns of the row it reads. Raises: FeatureNotSupported (0A000)."""
        while isinstance(tree, exp.Subquery) and not any(tree.args.get(k) for k in ("order", "limit", "offset", "with_")):
            tree = tree.this
        source = tree.args.get("from_")
        found = None if source is None or tree.args.get("with_") is not None else next(
            filter(None, (_reference(item, self.name) for item in source.this)), None)
        if found is None:
            fail(FeatureNotSupported, "with a SEARCH or CYCLE clause, the recursive reference to WITH query "
                 f'"{self.name}" must be at the top level of its right-hand SELECT', -1)
        copy = tree.copy()
        table = found.alias or found.parts[-1]
        added = [s.Target(found.pos, s.Name(found.pos, (table, column)), column) for column in self.added]
        copy.set("expressions", [*tree.args["expressions"], *added])
        return copy

    def started(self, context: Context, query: Query) -> Query:
        """The start with its added columns, which are the last ones and hold nothing yet."""
        refs = [f.ref() for f in query.fields]
        made: list[Expr] = []
        if self.search is not None:
            row = self._current(refs, self.search.columns, Literal(INT8, 0) if self.search.breadth else None)
            made.append(row if self.search.breadth else Call(array_of(row.type), "array", (row,)))
        if self.cycle is not None:
            row = self._current(refs, self.cycle.columns)
            made += [self.default, Call(array_of(row.type), "array", (row,))]
        return self._with(context, query, made)

    def stepped(self, context: Context, query: Query) -> Query:
        """The recursive term, its added columns made from those of the row it read."""
        refs = [f.ref() for f in query.fields]
        before: list[Expr] = list(refs[len(self.names):])
        made: list[Expr] = []
        if self.search is not None:
            last = before.pop(0)
            if self.search.breadth:
                depth = Call(INT8, "record_field", (last, Literal(INT4, 0)))
                made.append(self._current(refs, self.search.columns, call("add", INT8, depth, Literal(INT8, 1))))
            else:
                made.append(Call(last.type, "array_append", (last, self._current(refs, self.search.columns))))
        if self.cycle is not None:
            mark, path = before
            row = self._current(refs, self.cycle.columns)
            again = call("eq_any", BOOL, row, path)
            made += [e.Case(mark.type, (again,), (self.value,), self.default), Call(path.type, "array_append", (path, row))]
            query = replace(query, plan=Filter(query.plan, operator(context, "<>", mark, self.value, -1)))
        return self._with(context, query, made)

    def _with(self, context: Context, query: Query, made: Sequence[Expr]) -> Query:
        own = query.fields[:len(self.names)]
        added = tuple(context.field(name, value.type) for name, value in zip(self.added, made, strict=True))
        plan = Project(query.plan, (*((f, f.ref()) for f in own), *zip(added, made, strict=True)))
        return replace(query, plan=plan, fields=own + added)

    def _current(self, refs: Sequence[Expr], columns: Sequence[str], depth: Expr | None = None) -> Expr:
        values = [refs[self.names.index(c)] for c in columns]
        return row_of(values, columns) if depth is None else row_of([depth, *values], ["*DEPTH*", *columns])


def _reference(item: Any, name: str) -> s.TableRef | None:
    """The reference to the query among the tables of a FROM item."""
    if isinstance(item, s.TableRef):
        return item if item.parts == (name,) else None
    if isinstance(item, s.JoinRef) and not item.alias:
        return _reference(item.left, name) or _reference(item.right, name)
    return None


def carried(context: Context, cte: Any, union: Any, names: Sequence[str]) -> Carried | None:
    """What the clauses of a recursive query ask for; None where it has none.

    Raises: SqlSyntaxError (42601), DuplicateColumn (42701), FeatureNotSupported (0A000), DatatypeMismatch (42804).
    """
    search, cycle = cte.meta.get("search"), cte.meta.get("cycle")
    if search is None and cycle is None:
        return None
    for arm, side, error in ((union.this, "left", FeatureNotSupported), (union.expression, "right", SqlSyntaxError)):
        while isinstance(arm, exp.Subquery):
            arm = arm.this
        if isinstance(arm, exp.SetOperation):
            fail(error, f"with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT", -1)
    made = Carried(cte.args["alias"], names, search, cycle)
    if search is not None:
        _check_columns(names, search.columns, "search", search.pos)
        _check_new(names, search.sequence, "search sequence", search.pos)
        made.added.append(search.sequence)
    if cycle is not None:
        _check_columns(names, cycle.columns, "cycle", cycle.pos)
        if cycle.value is not None:
            binder = ExpressionBinder(Level(context, None, Scope(), {}), VALUES)
            places = [s.place(cycle.value), s.place(cycle.default)]
            _, (made.value, made.default) = unify(context, [binder.bind(cycle.value), binder.bind(cycle.default)], places,
                                                  "CYCLE")
        _check_new(names, cycle.mark, "cycle mark", cycle.pos)
        _check_new(names, cycle.path, "cycle path", cycle.pos)
        if cycle.mark == cycle.path:
            fail(SqlSyntaxError, "cycle mark column name and cycle path column name are the same", cycle.pos)
        made.added += [cycle.mark, cycle.path]
    if search is not None and cycle is not None:
        for column, what in ((cycle.mark, "mark"), (cycle.path, "path")):
            if column == search.sequence:
                fail(SqlSyntaxError, f"search sequence column name and cycle {what} column name are the same", search.pos)
    return made


def _check_columns(names: Sequence[str], columns: Sequence[str], what: str, pos: int) -> None:
    for i, column in enumerate(columns):
        if column not in names:
            fail(SqlSyntaxError, f'{what} column "{column}" not in WITH query column list', pos)
        if column in columns[:i]:
            fail(DuplicateColumn, f'{what} column "{column}" specified more than once', pos)


def _check_new(names: Sequence[str], column: str, what: str, pos: int) -> None:
    if column in names:
        fail(SqlSyntaxError, f'{what} column name "{column}" already used in WITH query column list', pos)


def widened(context: Context, query: Query, types: Sequence[SqlType], names: Sequence[str]) -> Query:
    """The query with NULLs of these types as further columns."""
    added = tuple(context.field(name, t) for name, t in zip(names, types, strict=True))
    nulls = tuple(Literal(t, None) for t in types)
    plan = query.plan
    if isinstance(plan, Project) and tuple(f.id for f, _ in plan.assignments) == tuple(f.id for f in query.fields):
        plan = Project(plan.input, (*plan.assignments, *zip(added, nulls, strict=True)))
    elif isinstance(plan, Values) and plan.fields == query.fields:
        plan = Values(plan.fields + added, tuple(row + nulls for row in plan.rows))
    else:
        plan = Project(plan, (*((f, f.ref()) for f in query.fields), *zip(added, nulls, strict=True)))
    return replace(query, plan=plan, fields=query.fields + added, origins=query.origins + (None,) * len(added),
                   places=query.places + (-1,) * len(added))
