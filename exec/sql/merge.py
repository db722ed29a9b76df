"""MERGE: each source row, with the target's row that it matches, and what becomes of the two (hop 2).

    TableWrite(merge)
      Project($action, $row_id, all columns new)
        Filter($action <> 0)
          Project(everything, $action: of the first WHEN clause whose condition holds)
            Join(left; inner where nothing is done about source rows without a match)
              source
              Scan(target, with $row_id)

Spec: PostgreSQL 15 documentation, MERGE; wording of parse_merge.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import DuplicateColumn, SqlSyntaxError
from shoal.catalog.types import BOOL, INT4, INT8
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Case, Expr, Literal
from shoal.exec.plan.nodes import MERGE_ACTIONS, Field, Filter, Project, TableWrite
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.context import UPDATE, VALUES, CommonTable, Context, Level, fail
from shoal.exec.sql.dml import (
    NO_TABLES,
    check_identity,
    check_width,
    column_index,
    scanned,
    set_values,
    stored_columns,
    target_of,
)
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.from_clause import bind_item
from shoal.exec.sql.planning import attach
from shoal.exec.sql.queries import bind_with
from shoal.exec.sql.scope import Scope
from shoal.exec.sql.stored_expressions import assigned, checks_of, default_value, generated_values, reads_sequences


def bind_merge(context: Context, tree: Any, known: Mapping[str, CommonTable] = NO_TABLES) -> Bound:
    """Raises: as INSERT, UPDATE and DELETE do; SqlSyntaxError (42601) for a WHEN clause that is never reached."""
    whens: list[s.MergeWhen] = tree.meta["whens"]
    _check_reachable(whens)
    found, _ = target_of(context, tree.this, "merge")
    infos = stored_columns(found)
    target, row_id, existing = scanned(context, tree.this, found)
    tables = dict(known)
    if tree.args.get("with_") is not None:
        tables = bind_with(context, tree, None, tables)
    level = Level(context, None, Scope(), tables)
    source = bind_item(level, tree.args["using"][0], [])
    every = any(not when.matched and when.action != "nothing" for when in whens)
    joined = bind_item(level, s.JoinRef(-1, "left" if every else "inner", s.BoundItem(-1, source), s.BoundItem(-1, target),
                                        on=tree.args["on"]), [])
    scopes = {True: joined.scope, False: source.scope}
    hidden = {True: [], False: [target.scope]}

    def binder(when: s.MergeWhen, clause: Any) -> ExpressionBinder:
        level.scope = scopes[when.matched]
        context.unreachable = hidden[when.matched]
        return ExpressionBinder(level, clause)

    is_matched = e.call("is_not_null", BOOL, row_id.ref())
    conditions: list[Expr] = []
    for when in whens:
        reached: list[Expr] = [is_matched if when.matched else e.call("is_null", BOOL, row_id.ref())]
        if when.condition is not None:
            reached.append(binder(when, UPDATE).bind_boolean(when.condition, "WHEN"))
        conditions.append(e.conjunction(reached))
    changes = [_new_values(binder, when, infos, tree.this.parts[-1], tree.this.alias) for when in whens]
    context.unreachable = []
    plan = attach(context, joined.plan, level.input_applies)
    number, action = context.field("number", INT4), context.field("action", INT4)
    first = Case(INT4, tuple(conditions), tuple(Literal(INT4, i) for i in range(1, len(whens) + 1)), Literal(INT4, 0))
    plan = Project(plan, (*((f, f.ref()) for f in plan.output), (number, first)))
    codes = Case(INT4, tuple(_is(number, i) for i in range(1, len(whens) + 1)),
                 tuple(Literal(INT4, MERGE_ACTIONS.index(when.action)) for when in whens), Literal(INT4, 0))
    acting: list[Expr] = [_is(number, i) for i, when in enumerate(whens, 1) if when.action != "nothing"]
    some = e.disjunction(acting)
    assignments: list[tuple[Field, Expr]] = [(action, codes), (row_id, row_id.ref())]
    computed: list[tuple[Field, Expr]] = []
    refs: list[e.ColumnRef] = []
    for index, (field, info) in enumerate(zip(existing, infos, strict=True)):
        if info.generated:
            refs.append(context.field(info.name, info.type).ref())
            continue
        cases = [(_is(number, i), values[index]) for i, values in enumerate(changes, 1) if index in values]
        value = field.ref() if not cases else Case(
            info.type, tuple(c for c, _ in cases), tuple(v for _, v in cases), field.ref())
        made = context.field(info.name, info.type) if cases else field
        (computed if reads_sequences(value) else assignments).append((made, value))
        refs.append(made.ref())
    if computed:  # they are made where the rows are written, from everything that they read
        kept = {field.id for field, _ in assignments}
        assignments += [(f, f.ref()) for f in plan.output if f.id not in kept]
    stored = [Field(r.id, i.name, r.type) for r, i in zip(refs, infos, strict=True)]
    computed += generated_values(context, found.handle.name, infos, stored)
    write = TableWrite(Project(Filter(plan, some), tuple(assignments)), found.handle, "merge",
                       (action.ref(), row_id.ref(), *refs), context.field("count", INT8), computed=tuple(computed),
                       checks=checks_of(context, found, stored),
                       after_others=bool(context.writes))
    return Bound("merge", write, (), (), context.finished(), None, "MERGE", tuple(context.notices), context.locks)


def _is(column: Field, value: int) -> Expr:
    return e.call("eq", BOOL, column.ref(), Literal(INT4, value))


def _check_reachable(whens: Sequence[s.MergeWhen]) -> None:
    """Raises: SqlSyntaxError (42601)."""
    done: set[bool] = set()
    for when in whens:
        if when.matched in done:
            fail(SqlSyntaxError, "unreachable WHEN clause specified after unconditional WHEN clause", -1)
        if when.condition is None:
            done.add(when.matched)


def _new_values(binder: Any, when: s.MergeWhen, infos: Sequence[ColumnInfo],
                relation: str, alias: str) -> dict[int, Expr]:
    """The columns that the clause gives new values, by their places in the table."""
    if when.action == "update":
        return set_values(binder(when, UPDATE), when.assignments, infos, relation, alias)
    if when.action != "insert":
        return {}
    bind: ExpressionBinder = binder(when, VALUES)
    chosen: list[int] = []
    for column in when.columns:
        index = column_index(infos, column.name, relation, column.pos)
        if index in chosen:
            fail(DuplicateColumn, f'column "{column.name}" specified more than once', column.pos)
        chosen.append(index)
    chosen = chosen or list(range(len(infos)))
    values = when.values or []
    if when.values is not None:
        check_width(len(values), len(chosen), [column.pos for column in when.columns], [s.place(v) for v in values])
    check_identity(infos, chosen, when.overriding, [values])
    made: dict[int, Expr] = {}
    for index, node in zip(chosen, values, strict=False):
        if not isinstance(node, s.Default):
            made[index] = assigned(bind.context, bind.bind(node), infos[index], s.place(node))
    return {i: made[i] if i in made else default_value(bind.context, info) for i, info in enumerate(infos)}

