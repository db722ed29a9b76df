"""RETURNING and ON CONFLICT: what a statement that writes gives back, and what it does with rows that are there (hop 2).

    Project(RETURNING's expressions)
      TableWrite(insert, conflict, returning the table's columns)

Spec: PostgreSQL 15 documentation, INSERT, 6.4 "Returning Data from Modified Rows".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import FeatureNotSupported, InvalidColumnReference, SqlSyntaxError, UndefinedObject
from shoal.exec.plan.expr import ColumnRef, Expr, columns_of, walk
from shoal.exec.plan.nodes import Conflict, Field, Project, TableWrite
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.context import UPDATE, WHERE, CommonTable, Context, Level, PendingApply, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.queries import bind_subquery
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.sources import Source
from shoal.exec.sql.stored_expressions import generated_values


def scope_of_target(found: ResolvedTable, name: str, columns: Sequence[ColumnInfo], refs: Sequence[ColumnRef]) -> Scope:
    """The table that is written as expressions after the write see it."""
    handle = found.handle
    made = [ScopeColumn(info.name, ref, name, (handle.catalog, handle.schema, handle.name, i))
            for i, (info, ref) in enumerate(zip(columns, refs, strict=True))]
    qualified = (handle.catalog, handle.schema) if name == handle.name else ()
    return Scope([Relation(name, made, qualified, handle)], made)


def returned(context: Context, tree: Any, write: TableWrite, scope: Scope, tables: Mapping[str, CommonTable], kind: Any,
             tag: str) -> Bound:
    """The statement with its RETURNING clause, if it has one, over the columns of `scope`."""
    targets = tree.meta["returning"]
    if targets is None:
        return Bound(kind, write, (), (), context.finished(), None, tag, tuple(context.notices), context.locks)
    kept: dict[int, ColumnRef] = {}
    for relation in scope.relations:
        for column in relation.columns:
            kept |= {part.id: part for part in walk(column.expr) if isinstance(part, ColumnRef)}
    write = replace(write, returning=tuple((Field(ref.id, ref.name, ref.type), ref) for ref in kept.values()))
    select = exp.Select(expressions=targets, from_=exp.From(this=[s.BoundItem(-1, Source(write, scope))]))
    query = bind_subquery(context, select, None, dict(tables))
    plan = query.plan
    if tuple(f.id for f in plan.output) != tuple(f.id for f in query.fields):
        plan = Project(plan, tuple((f, f.ref()) for f in query.fields))
    return Bound(kind, plan, query.fields, query.origins, context.finished(), None, tag, tuple(context.notices),
                 context.locks)


def bind_conflict(context: Context, node: s.OnConflict, target: s.TableRef, found: ResolvedTable,
                  columns: Sequence[ColumnInfo], refs: Sequence[ColumnRef],
                  tables: Mapping[str, CommonTable]) -> tuple[Conflict, list[PendingApply]]:
    """The clause, and its subqueries, which are asked for each row to be inserted.

    Raises: InvalidColumnReference (42P10), UndefinedObject (42704), SqlSyntaxError (42601).
    """
    from shoal.exec.sql.dml import set_values
    keys = _keys(node, target, found, columns)
    if node.assignments is None:
        return Conflict(keys), []
    if node.columns is None and not node.constraint:
        fail(SqlSyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name", node.pos,
             hint="For example, ON CONFLICT (column_name).")
    name = target.alias or target.parts[-1]
    existing = tuple(context.field(info.name, info.type) for info in columns)
    own = scope_of_target(found, name, columns, [field.ref() for field in existing])
    excluded = [ScopeColumn(info.name, ref, "excluded") for info, ref in zip(columns, refs, strict=True)]
    scope = Scope([*own.relations, Relation("excluded", excluded)], [*own.columns, *excluded])
    level = Level(context, context.body, scope, dict(tables))
    binder = ExpressionBinder(level, UPDATE)
    changed = set_values(binder, node.assignments, columns, target.parts[-1], name)
    values: list[Expr] = [changed.get(i, field.ref()) for i, field in enumerate(existing)]
    new = dict(zip((field.id for field in existing), values, strict=True))
    made = {field.id: value for field, value in generated_values(context, found.handle.name, columns, existing)}
    values = [rebuild(made[field.id], lambda part: new.get(part.id) if type(part) is ColumnRef else None)
              if field.id in made else value for field, value in zip(existing, values, strict=True)]
    predicate = None if node.where is None else ExpressionBinder(level, WHERE).bind_boolean(node.where.this, "WHERE")
    known = {field.id for field in existing}
    for pending in level.input_applies:
        if known & (pending.refs | {i for expr in pending.comparand for i in columns_of(expr)}):
            fail(FeatureNotSupported, "a subquery in ON CONFLICT DO UPDATE that reads the existing row is not supported",
                 node.pos)
    return Conflict(keys, existing, tuple(values), predicate), level.input_applies


def _keys(node: s.OnConflict, target: s.TableRef, found: ResolvedTable,
          columns: Sequence[ColumnInfo]) -> tuple[tuple[str, ...], ...]:
    """The columns of the unique keys that the clause means."""
    from shoal.exec.sql.dml import column_index
    names = {info.name for info in columns}
    keys = {key.name: key.columns for key in found.connector.constraints(found.handle) if key.kind in ("primary", "unique")}
    for index in found.connector.indexes(found.handle):
        if index.unique and not index.predicate and names.issuperset(index.columns):
            keys[index.name] = index.columns
    if node.constraint:
        if node.constraint not in keys:
            fail(UndefinedObject, f'constraint "{node.constraint}" for table "{target.parts[-1]}" does not exist', -1)
        return (keys[node.constraint],)
    if node.columns is None:
        return tuple(keys.values())
    for name in node.columns:
        column_index(columns, name, target.parts[-1], -1)
    matching = [key for key in keys.values() if set(key) == set(node.columns)]
    if not matching:
        fail(InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification", -1)
    return tuple(matching[:1])
