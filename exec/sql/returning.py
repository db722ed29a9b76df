"""RETURNING: what a statement that writes gives back (hop 2).

    Project(RETURNING's expressions)
      TableWrite(insert, returning the table's columns)

Spec: PostgreSQL 15 documentation, 6.4 "Returning Data from Modified Rows".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo
from shoal.exec.plan.expr import ColumnRef, walk
from shoal.exec.plan.nodes import Field, Project, TableWrite
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.context import CommonTable, Context
from shoal.exec.sql.queries import bind_subquery
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.sources import Source


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
