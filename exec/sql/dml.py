"""INSERT, UPDATE and DELETE: plans whose root writes a table of a catalog that can be written (hop 2).

    TableWrite(insert)             TableWrite(update)                    TableWrite(delete)
      Project(the table's columns)   Project($row_id, all columns new)     Project($row_id)
        source                         Filter(WHERE)                         Filter(WHERE)
                                         Scan(target, with $row_id), FROM      Scan(target, with $row_id), USING

Spec: PostgreSQL 15 documentation, INSERT, UPDATE, DELETE; wording of analyze.c and parse_target.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import SupportsWrite
from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import (
    DuplicateColumn,
    FeatureNotSupported,
    GeneratedAlways,
    ReadOnlyTransaction,
    SqlError,
    SqlSyntaxError,
    UndefinedColumn,
    WrongObjectType,
    did_you_mean,
)
from shoal.catalog.session_catalogs import locks_of_table
from shoal.catalog.types import BOOL, INT8
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, Literal, WindowCall, WindowFrame
from shoal.exec.plan.nodes import Aggregate, Field, Filter, PlanNode, Project, Scan, ScanColumn, TableWrite, Values, Window
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.context import UPDATE, VALUES, WHERE, Context, Level, PendingApply, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.from_clause import Source, beside, bind_item
from shoal.exec.sql.planning import ONE_ROW, attach, filtered
from shoal.exec.sql.queries import bind_subquery, bind_with, retyped
from shoal.exec.sql.returning import bind_conflict, returned, scope_of_target
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.stored_expressions import assigned, checks_of, default_value, reads_sequences

_VERBS = {"insert": "insert into", "update": "update", "delete": "delete from"}


def _target(context: Context, table: s.TableRef, verb: str) -> ResolvedTable:
    """The table written to. Raises: FeatureNotSupported (0A000), WrongObjectType (42809), ReadOnlyTransaction (25006)."""
    if context.session.read_only:
        fail(ReadOnlyTransaction, f"cannot execute {verb.upper()} in a read-only transaction", -1)
    try:
        found = context.namespace.resolve(table.parts)
    except SqlError as error:
        error.position = error.position or table.pos + 1
        raise
    name = table.parts[-1]
    if found.handle.kind == "materialized_view":
        fail(WrongObjectType, f'cannot change materialized view "{name}"', -1)
    if found.handle.kind != "table":
        kind = {"view": "view", "system": "system table"}.get(found.handle.kind, "table")
        fail(WrongObjectType, f'cannot {_VERBS[verb]} {kind} "{name}"', table.pos)
    refusal(found, _VERBS[verb], name, table.pos)
    context.locks = tuple(locks_of_table(found))
    return found


def refusal(found: ResolvedTable, verb: str, name: str, pos: int) -> None:
    """Raises: FeatureNotSupported (0A000) where the catalog cannot be written."""
    if not isinstance(found.connector, SupportsWrite):
        fail(FeatureNotSupported, f'cannot {verb} "{name}": catalog "{found.connector.name}" ({found.connector.kind}) '
             "is read-only", pos)


def _columns(found: ResolvedTable) -> list[ColumnInfo]:
    return [c for c in found.columns if not c.hidden]


def column_index(columns: Sequence[ColumnInfo], name: str, relation: str, pos: int) -> int:
    for i, column in enumerate(columns):
        if column.name == name:
            return i
    fail(UndefinedColumn, f'column "{name}" of relation "{relation}" does not exist', pos,
         hint=did_you_mean(name, [c.name for c in columns]))


# INSERT

def bind_insert(context: Context, tree: Any) -> Bound:
    target: s.TableRef = tree.this
    found = _target(context, target, "insert")
    columns = _columns(found)
    chosen: list[int] = []
    for definition in tree.meta["columns"] or ():
        index = column_index(columns, definition.name, target.parts[-1], definition.pos)
        if index in chosen:
            fail(DuplicateColumn, f'column "{definition.name}" specified more than once', definition.pos)
        chosen.append(index)
    listed = [definition.pos for definition in tree.meta["columns"] or ()]
    chosen = chosen or list(range(len(columns)))
    source = tree.args.get("expression")
    tables = {}
    if tree.args.get("with_") is not None:
        tables = bind_with(context, tree, None, {})
    if source is None:
        plan: PlanNode = ONE_ROW
        given: list[Expr] = []
        chosen = []
    elif isinstance(source, exp.Values) and not any(source.args.get(k) for k in ("order", "limit", "offset", "with_")):
        chosen = _without_defaults(source, chosen, listed)
        _check_identity(columns, chosen, tree.meta["overriding"], source)
        plan, given = _values(context, source, columns, chosen, listed, tables)
    else:
        _check_identity(columns, chosen, tree.meta["overriding"], None)
        query = bind_subquery(context, source, None, tables, keep_unknown=True)
        _check_width(len(query.fields), len(chosen), listed, query.places)
        for field, index, pos in zip(query.fields, chosen, query.places, strict=False):
            if field.type.name != "unknown" and not can_coerce(field.type, columns[index].type, "assignment"):
                assigned(context, field.ref(), columns[index], pos)
        width = len(query.fields)
        query = retyped(context, query, [columns[i].type for i in chosen[:width]], "assignment")
        plan, given = query.plan, [f.ref() for f in query.fields]
    placed = dict(zip(chosen, given, strict=False))
    if tree.meta["overriding"] == "user":
        placed = {i: value for i, value in placed.items() if not columns[i].identity}
    assignments: list[tuple[Field, Expr]] = []
    computed: list[tuple[Field, Expr]] = []
    refs: list[e.ColumnRef] = []
    for i, column in enumerate(columns):
        value = placed.get(i) or default_value(context, column)
        field = _named(context, column, value)
        (computed if i not in placed and reads_sequences(value) else assignments).append((field, value))
        refs.append(field.ref())
    write = TableWrite(Project(plan, tuple(assignments)), found.handle, "insert", tuple(refs), context.field("count", INT8),
                       computed=tuple(computed), checks=checks_of(context, found, _as_columns(refs, columns)))
    if tree.meta["conflict"] is not None:
        write = replace(write, conflict=bind_conflict(context, tree.meta["conflict"], target, found, columns, refs))
    name = target.alias or target.parts[-1]
    return returned(context, tree, write, scope_of_target(found, name, columns, refs), tables, "insert", "INSERT 0")


def _as_columns(refs: Sequence[e.ColumnRef], columns: Sequence[ColumnInfo]) -> list[Field]:
    """The columns to be stored under the table's names."""
    return [Field(ref.id, column.name, ref.type) for ref, column in zip(refs, columns, strict=True)]


def _without_defaults(source: Any, chosen: list[int], listed: list[int]) -> list[int]:
    """The target columns less those that are DEFAULT in every row, which are taken out of the rows."""
    rows = source.expressions
    width = len(rows[0].items)
    if width > len(chosen) or any(len(row.items) != width for row in rows):
        return chosen
    out = [i for i in range(width) if all(isinstance(row.items[i], s.Default) for row in rows)]
    if not out or len(out) == width:
        return chosen
    for row in rows:
        row.items = [item for i, item in enumerate(row.items) if i not in out]
    if listed:
        listed[:] = [pos for i, pos in enumerate(listed) if i not in out]
    return [place for i, place in enumerate(chosen) if i not in out]


def _check_identity(columns: Sequence[ColumnInfo], chosen: Sequence[int], overriding: str, source: Any) -> None:
    """Raises: GeneratedAlways (428C9) for a value that is given to an identity column."""
    if overriding:
        return
    for i, place in enumerate(chosen):
        if columns[place].identity != "a":
            continue
        if source is not None and all(i >= len(row.items) or isinstance(row.items[i], s.Default)
                                      for row in source.expressions):
            continue
        fail(GeneratedAlways, f'cannot insert a non-DEFAULT value into column "{columns[place].name}"', -1,
             detail=f'Column "{columns[place].name}" is an identity column defined as GENERATED ALWAYS.',
             hint="Use OVERRIDING SYSTEM VALUE to override.")


def _named(context: Context, column: ColumnInfo, value: Expr | None) -> Field:
    if isinstance(value, e.ColumnRef):
        return Field(value.id, column.name, value.type)
    return context.field(column.name, column.type)


def _check_width(given: int, wanted: int, listed: Sequence[int], places: Sequence[int]) -> None:
    """`listed`: places of the names in the INSERT's column list."""
    if given > wanted:
        fail(SqlSyntaxError, "INSERT has more expressions than target columns",
             places[wanted] if wanted < len(places) else -1)
    if given < wanted and listed:
        fail(SqlSyntaxError, "INSERT has more target columns than expressions", listed[given])


def _values(context: Context, source: Any, columns: Sequence[ColumnInfo], chosen: Sequence[int],
            listed: Sequence[int],
            tables: Any) -> tuple[PlanNode, list[Expr]]:
    """VALUES of an INSERT: every value takes its column's type by itself."""
    level = Level(context, None, Scope(), tables)
    binder = ExpressionBinder(level, VALUES)
    width = len(source.expressions[0].items)
    _check_width(width, len(chosen), listed, [item.pos for item in source.expressions[0].items])
    wanted = [columns[i] for i in chosen[:width]]
    defaults: dict[str, Expr] = {}
    rows: list[tuple[Expr, ...]] = []
    for row in source.expressions:
        if len(row.items) != width:
            fail(SqlSyntaxError, "VALUES lists must all be the same length", row.items[0].pos if row.items else row.pos)
        made: list[Expr] = []
        bound = [None if isinstance(item, s.Default) else binder.bind(item) for item in row.items]
        for item, value, column in zip(row.items, bound, wanted, strict=True):
            if value is None:
                if column.name not in defaults:
                    defaults[column.name] = default_value(context, column)
                made.append(defaults[column.name])
            else:
                made.append(assigned(context, value, column, s.place(item)))
        rows.append(tuple(made))
    fields = tuple(context.field(c.name, c.type) for c in wanted)
    if level.input_applies:
        if len(rows) > 1:
            raise FeatureNotSupported("subqueries in VALUES of several rows are not supported")
        plan: PlanNode = Project(attach(context, ONE_ROW, level.input_applies), tuple(zip(fields, rows[0], strict=True)))
    else:
        plan = Values(fields, tuple(rows))
    return plan, [f.ref() for f in fields]


# UPDATE and DELETE

def _scanned(context: Context, table: s.TableRef, found: ResolvedTable) -> tuple[Source, Field, list[Field]]:
    """The target's scan with its row ids and columns."""
    name = table.alias or table.parts[-1]
    row_id = context.field(SupportsWrite.ROW_ID, INT8)
    fields = [context.field(c.name, c.type) for c in _columns(found)]
    columns = [ScopeColumn(f.name, f.ref(), name) for f in fields]
    scan = Scan(found.handle, (*(ScanColumn(f, f.name) for f in fields), ScanColumn(row_id, SupportsWrite.ROW_ID)))
    qualified = () if table.alias else (found.handle.catalog, found.handle.schema)
    return Source(scan, Scope([Relation(name, columns, qualified, found.handle)], columns)), row_id, fields


def _matched(context: Context, tree: Any, source: Source, others: Sequence[s.FromItem]) -> tuple[Level, PlanNode]:
    """The target's rows that WHERE keeps, beside the other tables."""
    tables = {} if tree.args.get("with_") is None else bind_with(context, tree, None, {})
    level = Level(context, None, source.scope, tables)
    for item in others:
        source = beside(source, bind_item(level, item, [source.scope]))
    level.scope = source.scope
    plan = source.plan
    where = tree.args.get("where")
    if where is not None:
        applies: list[PendingApply] = []
        predicate = ExpressionBinder(level, WHERE, applies).bind_boolean(where.this, "WHERE")
        plan = filtered(attach(context, plan, applies), predicate)
    return level, plan


def bind_delete(context: Context, tree: Any) -> Bound:
    found = _target(context, tree.this, "delete")
    source, row_id, _ = _scanned(context, tree.this, found)
    others = tree.args.get("using") or []
    level, plan = _matched(context, tree, source, others)
    if tree.meta["returning"] is not None:
        plan = _first_match(context, plan, row_id) if others else plan
    elif others:
        plan = Aggregate(plan, (row_id,), ())
    else:
        plan = Project(plan, ((row_id, row_id.ref()),))
    write = TableWrite(plan, found.handle, "delete", (row_id.ref(),), context.field("count", INT8))
    return returned(context, tree, write, level.scope, level.tables, "delete", "DELETE")


def bind_update(context: Context, tree: Any) -> Bound:
    found = _target(context, tree.this, "update")
    infos = _columns(found)
    source, row_id, fields = _scanned(context, tree.this, found)
    sources = tree.args.get("from_")
    others = sources.this if sources is not None else []
    level, plan = _matched(context, tree, source, others)
    binder = ExpressionBinder(level, UPDATE)
    changed: dict[int, Expr] = {}
    given: list[tuple[int, Any, Expr]] = []
    relation = tree.this.parts[-1]
    for assignment in tree.args["expressions"]:
        for name, node in assignment_parts(assignment):
            index = column_index(infos, name, relation, assignment.pos)
            if assignment.part:
                fail(FeatureNotSupported, "assignment to a part of a column is not supported", assignment.pos)
            if index in changed or any(index == other for other, _, _ in given):
                fail(SqlSyntaxError, f'multiple assignments to same column "{name}"', -1)
            if infos[index].identity == "a" and not isinstance(node, s.Default):
                fail(GeneratedAlways, f'column "{name}" can only be updated to DEFAULT', -1,
                     detail=f'Column "{name}" is an identity column defined as GENERATED ALWAYS.')
            if isinstance(node, s.Default):
                changed[index] = default_value(context, infos[index])
            else:
                given.append((index, node, binder.bind(node)))
    for index, node, value in given:
        changed[index] = assigned(context, value, infos[index], s.place(node))
    plan = attach(context, plan, level.input_applies)
    assignments: list[tuple[Field, Expr]] = [(row_id, row_id.ref())]
    for i, (field, info) in enumerate(zip(fields, infos, strict=True)):
        assignments.append((context.field(info.name, info.type), changed[i]) if i in changed else (field, field.ref()))
    if others:
        plan = _first_match(context, plan, row_id)
    refs = tuple(field.ref() for field, _ in assignments)
    target = [column for relation in level.scope.relations[:1] for column in relation.columns]
    if tree.meta["returning"] is not None:
        own = {field.id for field in (row_id, *fields)}
        assignments += [(field, field.ref()) for field in plan.output if field.id not in own]
        for column, ref in zip(target, refs[1:], strict=True):
            column.expr = ref  # RETURNING sees the new values
    write = TableWrite(Project(plan, tuple(assignments)), found.handle, "update", refs, context.field("count", INT8),
                       checks=checks_of(context, found, _as_columns(refs[1:], infos)))
    return returned(context, tree, write, level.scope, level.tables, "update", "UPDATE")


def assignment_parts(assignment: s.Assignment) -> list[tuple[str, Any]]:
    value = assignment.value
    if len(assignment.columns) == 1 and not isinstance(value, s.Row):
        return [(assignment.columns[0], value)]
    if not isinstance(value, s.Row):
        fail(FeatureNotSupported, "SET (columns) = (subquery) is not supported", assignment.pos)
    if len(value.items) != len(assignment.columns):
        fail(SqlSyntaxError, "number of columns does not match number of values", value.pos)
    return list(zip(assignment.columns, value.items, strict=True))


def _first_match(context: Context, plan: PlanNode, row_id: Field) -> PlanNode:
    """One of the joined rows for each row of the target, as UPDATE ... FROM promises."""
    number = context.field("row_number", INT8)
    call = WindowCall("row_number", (), INT8, WindowFrame("rows"))
    window = Window(plan, (row_id.ref(),), (), ((number, call),))
    return Filter(window, e.call("eq", BOOL, number.ref(), Literal(INT8, 1)))


