"""Queries of every kind: WITH, set operations, VALUES, parenthesised queries and what may follow them (hop 2).

Spec: PostgreSQL 15 documentation, 7.4 (UNION ...), 7.7 (VALUES), 7.8 (WITH), 10.5; wording of analyze.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlglot import exp

from shoal.catalog.errors import (
    AmbiguousColumn,
    DuplicateAlias,
    FeatureNotSupported,
    InvalidColumnReference,
    InvalidRecursion,
    SqlError,
    SqlSyntaxError,
)
from shoal.catalog.types import NUMERIC, TEXT, UNKNOWN, SqlType
from shoal.exec.functions.casts import common_type, literal_type
from shoal.exec.functions.time_precision import modifier_of
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, SortKey
from shoal.exec.plan.nodes import (
    Aggregate,
    Field,
    Filter,
    Project,
    Scan,
    SetOperation,
    Union,
    Values,
    free_tables,
    walk_plan,
)
from shoal.exec.plan.rewrite import holds_volatile
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import stored, unify
from shoal.exec.sql.constant_columns import in_one_type, rows_of
from shoal.exec.sql.constants import ConstantRows
from shoal.exec.sql.context import VALUES, CommonTable, Context, Level, PendingApply, Query, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.locking import refuse_locks
from shoal.exec.sql.planning import ONE_ROW, attach, sorted_by
from shoal.exec.sql.recursion import bind_recursive, check_columns, in_order, readers, reads_itself
from shoal.exec.sql.rows import plain_items
from shoal.exec.sql.scope import Scope
from shoal.exec.sql.selects import bind_select, limited

_NAMES = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


def bind_subquery(context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable],
                  keep_unknown: bool = False) -> Query:
    """Any query. `parent`: the level whose columns it may read; `tables`: the WITH queries in force."""
    clause = tree.args.get("with_")
    if clause is not None:
        tables = bind_with(context, tree, parent, tables)
    if isinstance(tree, exp.Select):
        if (into := tree.args.get("into")) is not None:
            fail(SqlSyntaxError, "SELECT ... INTO is not allowed here", into.pos)
        return bind_select(context, tree, parent, tables, keep_unknown)
    if isinstance(tree, exp.SetOperation):
        query = _set_operation(context, tree, parent, tables)
    elif isinstance(tree, exp.Values):
        query = bind_values(context, tree, parent, tables, keep_unknown)
    elif isinstance(tree, exp.Subquery):
        query = bind_subquery(context, tree.this, parent, tables, keep_unknown)
    else:
        raise FeatureNotSupported(f"{type(tree).__name__.upper()} in a query is not supported")
    return _modified(context, query, tree, parent, tables)


def bind_with(context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable]) -> dict[str, CommonTable]:
    """The tables in force inside a query that has a WITH clause: each is bound once."""
    clause = tree.args["with_"]
    known = dict(tables)
    own: set[str] = set()
    items = clause.expressions
    for cte in items:
        name, pos = cte.args["alias"], cte.meta["pos"]
        if name in own:
            fail(DuplicateAlias, f'WITH query name "{name}" specified more than once', pos)
        own.add(name)
        if _writes(cte) and tree is not context.statement:
            fail(FeatureNotSupported, "WITH clause containing a data-modifying statement must be at the top level", pos)
    recursive = bool(clause.args.get("recursive"))
    before = context.future_tables
    for i, cte in enumerate(in_order(items) if recursive else items):
        name, columns = cte.args["alias"], cte.meta["columns"]
        if _writes(cte):
            if recursive and reads_itself(cte):
                fail(InvalidRecursion, f'recursive query "{name}" must not contain data-modifying statements',
                     cte.meta["pos"])
            known[name] = _modifying(context, cte, known)
            continue
        reads = recursive and reads_itself(cte)
        if not reads and (cte.meta.get("search") is not None or cte.meta.get("cycle") is not None):
            fail(SqlSyntaxError, "WITH query is not recursive", cte.meta["pos"])
        if reads:
            query = bind_recursive(context, cte, parent, known)
        else:
            context.future_tables = before if recursive else before.union(later.args["alias"] for later in items[i:])
            query = bind_subquery(context, cte.this, parent, known)
            context.future_tables = before
        check_columns(name, columns, query, cte.meta["pos"])
        known[name] = CommonTable(name, query, columns, shared=_is_shared(tree, cte, query))
    return known


def _writes(cte: Any) -> bool:
    return not isinstance(cte.this, (exp.Query, exp.Values))


def _modifying(context: Context, cte: Any, known: dict[str, CommonTable]) -> CommonTable:
    """INSERT, UPDATE or DELETE in a WITH clause: it runs once, whoever reads what it returns."""
    from shoal.exec.sql.dml import bind_modifying
    name, columns, pos = cte.args["alias"], cte.meta["columns"], cte.meta["pos"]
    query = bind_modifying(context, cte.this, known)
    number = next(context.ids)
    context.shared.append((number, query.plan))
    context.writes.append(number)
    if query.fields:
        check_columns(name, columns, query, pos)
    return CommonTable(name, query if query.fields else None, columns, shared=True, number=number)


def _is_shared(tree: Any, cte: Any, query: Query) -> bool:
    """Whether a WITH query is computed once for all its readers: where that is asked for, or decides what they get, or
    saves work. Reading a table twice does not cost more than keeping its rows, and each reader can have its own filters.

    One that depends on the row of an enclosing query, or on a working table, is copied into each reader.
    """
    materialized = cte.meta["materialized"]
    if query.refs or free_tables(query.plan):
        return False
    volatile = holds_volatile(query.plan)
    if materialized is False and not volatile:
        return False
    if materialized is None and readers(tree, cte) < 2:
        return False
    return bool(materialized) or volatile or not all(
        isinstance(node, (Scan, Filter, Project, Values)) for node in walk_plan(query.plan))


def _modified(context: Context, query: Query, tree: Any, parent: Level | None, tables: dict[str, CommonTable]) -> Query:
    """ORDER BY (names and positions only), LIMIT and OFFSET over a whole query."""
    if tree.args.get("locks"):
        refuse_locks(tree.args["locks"], "cannot be applied to VALUES" if isinstance(tree, exp.Values) else
                     "is not allowed with UNION/INTERSECT/EXCEPT")
    order = tree.args.get("order")
    plan = query.plan
    if order is not None:
        chosen: dict[int, SortKey] = {}
        for item in order.args["expressions"]:
            index = output_column(query, item.arg)
            chosen.setdefault(index, SortKey(query.fields[index].ref(), item.descending, item.nulls_first))
        plan = sorted_by(context, plan, list(chosen.values()))
    level = Level(context, parent, Scope(), tables)
    plan = limited(level, plan, tree.args)
    return query if plan is query.plan else replace(query, plan=plan, refs={**query.refs, **level.refs})


def output_column(query: Query, node: Any) -> int:
    """The column that an ORDER BY over a whole query means, counted from 0."""
    if isinstance(node, s.Constant) and node.kind not in ("null", "boolean"):
        if node.kind != "integer":
            fail(SqlSyntaxError, "non-integer constant in ORDER BY", node.pos)
        if not 1 <= int(node.value) <= len(query.fields):
            fail(InvalidColumnReference, f"ORDER BY position {node.value} is not in select list", node.pos)
        return int(node.value) - 1
    if isinstance(node, s.Name) and len(node.parts) == 1:
        found = [i for i, f in enumerate(query.fields) if f.name == node.parts[0]]
        if len(found) > 1:
            fail(AmbiguousColumn, f'ORDER BY "{node.parts[0]}" is ambiguous', node.pos)
        if found:
            return found[0]
        from shoal.catalog.errors import UndefinedColumn, did_you_mean
        fail(UndefinedColumn, f'column "{node.parts[0]}" does not exist', node.pos,
             hint=did_you_mean(node.parts[0], [f.name for f in query.fields]))
    fail(FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause", s.place(node),
         detail="Only result column names can be used, not expressions or functions.",
         hint="Add the expression/function to every SELECT, or move the UNION into a FROM clause.")


# Set operations

def _set_operation(context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable]) -> Query:
    name = _NAMES[type(tree)]
    distinct = bool(tree.args.get("distinct"))
    operands = _arms(tree)
    for arm in operands:
        if arm.args.get("locks") and not isinstance(arm, exp.Subquery):
            refuse_locks(arm.args["locks"], "is not allowed with UNION/INTERSECT/EXCEPT")
    arms = [bind_subquery(context, arm, parent, tables, keep_unknown=True) for arm in operands]
    targets = common_columns(name, arms)
    width = len(targets)
    typed = [retyped(context, arm, targets) for arm in arms]
    refs: dict[int, Level] = {}
    for arm in typed:
        refs.update(arm.refs)
    fields = tuple(context.field(f.name, t) for f, t in zip(arms[0].fields, targets, strict=True))
    if name == "UNION":
        plan: Any = Union(tuple(arm.plan for arm in typed), fields, tuple(tuple(f.id for f in arm.fields) for arm in typed))
        if distinct:
            plan = Aggregate(plan, fields, ())
    else:
        left, right = (_exactly(arm) for arm in typed)
        plan = SetOperation("intersect" if name == "INTERSECT" else "except", not distinct, left, right, fields)
    return Query(plan, fields, (None,) * width, arms[0].places, refs)


def _arms(tree: Any) -> list[Any]:
    """The operands; a chain of the same UNION is one n-ary operation."""
    if not isinstance(tree, exp.Union):
        return [tree.this, tree.expression]
    distinct = bool(tree.args.get("distinct"))
    arms: list[Any] = []
    at = tree
    while True:
        arms.append(at.expression)
        left = at.this
        if (isinstance(left, exp.Union) and bool(left.args.get("distinct")) == distinct
                and not any(left.args.get(key) for key in ("order", "limit", "offset", "with_"))):
            at = left
            continue
        arms.append(left)
        return arms[::-1]


def common_columns(name: str, arms: Sequence[Query]) -> list[SqlType]:
    """The types of a set operation's columns. Raises: SqlSyntaxError (42601) where the arms differ in width."""
    width = len(arms[0].fields)
    for arm in arms[1:]:
        if len(arm.fields) != width:
            fail(SqlSyntaxError, f"each {name} query must have the same number of columns",
                 arm.places[0] if arm.places else -1)
    targets = [_common(name, [arm.fields[i] for arm in arms], [arm.places[i] for arm in arms]) for i in range(width)]
    return [common_type([t, *_digits(arms, i)], name) if t.name == "numeric" else t for i, t in enumerate(targets)]


def _digits(arms: Sequence[Query], index: int) -> list[SqlType]:
    """The numeric types of a column's quoted numbers and parameters, whose digits the other arms' scale must not cut."""
    found: list[SqlType] = []
    for arm in arms:
        if arm.fields[index].type != UNKNOWN or not isinstance(arm.plan, Project):
            continue
        for column, expr in arm.plan.assignments:
            if column.id == arm.fields[index].id and isinstance(expr, e.Parameter):
                found.append(NUMERIC)
            elif column.id == arm.fields[index].id and isinstance(expr, e.Literal) and expr.value is not None:
                with suppress(SqlError):  # the cast will say what is wrong, and where
                    found.append(literal_type(expr.value, NUMERIC))
    return found


def _common(name: str, fields: Sequence[Field], places: Sequence[int]) -> SqlType:
    types = [f.type for f in fields]
    if types[0].name == types[1].name == "unknown":
        types[:2] = [TEXT, TEXT]  # PostgreSQL settles a chain pair by pair
    try:
        return common_type(types, name)
    except SqlError as error:
        seen: list[SqlType] = []
        for sql_type, pos in zip(types, places, strict=True):
            seen.append(sql_type)
            try:
                common_type(seen, name)
            except SqlError:
                error.position = error.position or pos + 1
                break
        raise


def _exactly(arm: Query) -> Any:
    """The arm's plan with just its columns, in order."""
    if tuple(f.id for f in arm.plan.output) == tuple(f.id for f in arm.fields):
        return arm.plan
    return Project(arm.plan, tuple((f, f.ref()) for f in arm.fields))


def retyped(context: Context, query: Query, targets: Sequence[SqlType], how: Any = "implicit") -> Query:
    """The query with its columns cast to `targets`; untyped literals and parameters take the type at once."""
    if all(f.type == t and modifier_of(t) < 0 for f, t in zip(query.fields, targets, strict=True)):
        return query
    plan = query.plan
    if isinstance(plan, Project) and tuple(f.id for f, _ in plan.assignments) == tuple(f.id for f in query.fields):
        made = [_retyped(context, f, expr, t, pos, how) for (f, expr), t, pos in
                zip(plan.assignments, targets, query.places, strict=True)]
        return replace(query, plan=Project(plan.input, tuple(made)), fields=tuple(f for f, _ in made))
    if isinstance(plan, Values) and plan.fields == query.fields:
        rows = tuple(tuple(stored(context, expr, t, pos, how) for expr, t,
                           pos in zip(row, targets, query.places, strict=True))
                     for row in plan.rows)
        fields = tuple(f if f.type == t else context.field(f.name, t) for f, t in zip(plan.fields, targets, strict=True))
        return replace(query, plan=Values(fields, rows), fields=fields)
    made = [_retyped(context, f, f.ref(), t, pos, how) for f, t, pos in zip(query.fields, targets, query.places,
                                                                            strict=True)]
    return replace(query, plan=Project(plan, tuple(made)), fields=tuple(f for f, _ in made))


def _retyped(context: Context, column: Field, expr: Expr, target: SqlType, pos: int, how: Any) -> tuple[Field, Expr]:
    if column.type == target and modifier_of(target) < 0:
        return column, expr
    value = stored(context, expr, target, pos, how)
    if value.type != target and value.type.name != target.name:
        value = e.Cast(target, value, how == "explicit")
    return context.field(column.name, target), value


# VALUES

def bind_values(context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable],
                keep_unknown: bool) -> Query:
    """VALUES lists; constant rows are one Values node, rows with subqueries or outer columns a Union of projections."""
    rows: list[list[Expr]] = []
    places: list[int] = []
    level = Level(context, parent, Scope(), tables)
    width = len(tree.expressions[0].items)
    if isinstance(tree.expressions, ConstantRows):
        columns = in_one_type(ExpressionBinder(level, VALUES), tree.expressions, keep_unknown)
        if columns is not None:
            made = tuple(context.field(f"column{i + 1}", target) for i, (target, _) in enumerate(columns))
            relation = rows_of(made, columns)
            if relation is not None:
                places = [item.pos for item in tree.expressions[0].items]
                return Query(relation, made, (None,) * width, tuple(places), level.refs)
    applies: list[list[PendingApply]] = []
    for row in tree.expressions:
        applies.append([])
        rows.append(plain_items(ExpressionBinder(level, VALUES, applies[-1]), row))
        width = len(rows[0])
        if len(rows[-1]) != width:
            fail(SqlSyntaxError, "VALUES lists must all be the same length", row.items[0].pos if row.items else row.pos)
    first = tree.expressions[0]
    stars = len(first.items) != width
    places = [first.pos] * width if stars else [item.pos for item in first.items]
    types: list[SqlType] = []
    for i in range(width):
        column = [row[i] for row in rows]
        if keep_unknown and all(expr.type.name == "unknown" for expr in column):
            types.append(UNKNOWN)
            continue
        target, typed = unify(context, column, [s.place(row) if stars else row.items[i].pos for row in tree.expressions],
                              "VALUES")
        for row, expr in zip(rows, typed, strict=True):
            row[i] = expr
        types.append(target)
    fields = tuple(context.field(f"column{i + 1}", t) for i, t in enumerate(types))
    plain = not any(applies) and not any(e.columns_of(expr) for row in rows for expr in row)
    if plain:
        plan: Any = Values(fields, tuple(tuple(row) for row in rows))
    else:
        arms = [tuple(context.field(f.name, f.type) for f in fields) for _ in rows]
        plan = Union(tuple(Project(attach(context, ONE_ROW, own), tuple(zip(arm, row, strict=True)))
                           for arm, row, own in zip(arms, rows, applies, strict=True)),
                     fields, tuple(tuple(f.id for f in arm) for arm in arms))
    return Query(plan, fields, (None,) * width, tuple(places), level.refs)
