"""INSERT, UPDATE and DELETE: plans whose root writes a table of a catalog that can be written (hop 2).

    TableWrite(insert)             TableWrite(update)                    TableWrite(delete)
      Project(the table's columns)   Project($row_id, all columns new)     Project($row_id)
        source                         Filter(WHERE)                         Filter(WHERE)
                                         Scan(target, with $row_id), FROM      Scan(target, with $row_id), USING

Spec: PostgreSQL 15 documentation, INSERT, UPDATE, DELETE; wording of analyze.c and parse_target.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import SupportsWrite
from shoal.catalog.declarations import SYSTEM_COLUMNS, ColumnInfo
from shoal.catalog.errors import (
    DatatypeMismatch,
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
from shoal.catalog.types import BOOL, INT8, JSONB, TEXT, array_of
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Expr, Literal, WindowCall, WindowFrame
from shoal.exec.plan.nodes import (
    Aggregate,
    Field,
    Filter,
    PlanNode,
    Project,
    Scan,
    ScanColumn,
    TableWrite,
    Union,
    Values,
    Window,
)
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Bound
from shoal.exec.sql.constant_columns import assigned_columns, rows_of
from shoal.exec.sql.constants import ConstantRows
from shoal.exec.sql.context import UPDATE, VALUES, WHERE, CommonTable, Context, Level, PendingApply, Query, fail
from shoal.exec.sql.expressions import ExpressionBinder, jsonb_subscript
from shoal.exec.sql.from_clause import beside, bind_item
from shoal.exec.sql.planning import ONE_ROW, attach, filtered
from shoal.exec.sql.queries import bind_subquery, bind_with, retyped
from shoal.exec.sql.returning import returned, scope_of_target
from shoal.exec.sql.rows import fields as fields_of_row
from shoal.exec.sql.rows import row_items, row_query
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.sources import Source
from shoal.exec.sql.stored_expressions import assigned, checks_of, default_value, generated_values, reads_sequences

if TYPE_CHECKING:
    from shoal.exec.sql.updatable import UpdatableView

NO_TABLES: Mapping[str, CommonTable] = MappingProxyType({})
_VERBS = {"insert": "insert into", "update": "update", "delete": "delete from", "merge": "merge into"}


def target_of(context: Context, table: s.TableRef, verb: str) -> tuple[ResolvedTable, UpdatableView | None]:
    """The table written to, and the view through which it is.

    Raises: FeatureNotSupported (0A000), WrongObjectType (42809), ReadOnlyTransaction (25006), ObjectNotInPrerequisiteState
    (55000)."""
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
    if found.handle.kind == "view" and verb != "merge":
        from shoal.exec.sql.updatable import updatable
        view = updatable(context, found, verb)
        assert view is not None
        context.locks = (*context.locks, *(lock for lock in locks_of_table(view.base) if lock not in context.locks))
        return view.base, view
    if found.handle.kind == "view":
        fail(FeatureNotSupported, f'cannot execute MERGE on relation "{name}"', -1,
             detail="This operation is not supported for views.")
    if found.handle.kind != "table":
        kind = {"view": "view", "system": "system table"}.get(found.handle.kind, "table")
        fail(WrongObjectType, f'cannot {_VERBS[verb]} {kind} "{name}"', table.pos)
    refusal(found, _VERBS[verb], name, table.pos)
    context.locks = (*context.locks, *(lock for lock in locks_of_table(found) if lock not in context.locks))
    return found, None


def refusal(found: ResolvedTable, verb: str, name: str, pos: int) -> None:
    """Raises: FeatureNotSupported (0A000) where the catalog cannot be written."""
    if not isinstance(found.connector, SupportsWrite):
        fail(FeatureNotSupported, f'cannot {verb} "{name}": catalog "{found.connector.name}" ({found.connector.kind}) '
             "is read-only", pos)


def stored_columns(found: ResolvedTable) -> list[ColumnInfo]:
    return [c for c in found.columns if not c.hidden]


def column_index(columns: Sequence[ColumnInfo], name: str, relation: str, pos: int) -> int:
    for i, column in enumerate(columns):
        if column.name == name:
            return i
    fail(UndefinedColumn, f'column "{name}" of relation "{relation}" does not exist', pos,
         hint=did_you_mean(name, [c.name for c in columns]))


# INSERT

def bind_insert(context: Context, tree: Any, known: Mapping[str, CommonTable] = NO_TABLES) -> Bound:
    target: s.TableRef = tree.this
    found, view = target_of(context, target, "insert")
    columns = named = stored_columns(found)
    chosen: list[int] = []
    order = list(range(len(columns)))
    if view is not None:
        from shoal.exec.sql.updatable import check_writable, places, renamed
        probe = [context.field(info.name, info.type).ref() for info in columns]
        shown = view.shown(context, probe)
        named = renamed(columns, shown, probe)
        names = [(d.name, d.pos) for d in tree.meta["columns"] or ()]
        order = [place for place in places(shown, probe) if place is not None]
        check_writable(shown, probe, names or [(name, -1) for name, _ in shown.columns] if tree.args.get("expression")
                       is not None else [], found.handle.name if view is None else view.found.handle.name, "insert")
    for definition in tree.meta["columns"] or ():
        index = column_index(named, definition.name, target.parts[-1], definition.pos)
        if index in chosen and not definition.parts:
            fail(DuplicateColumn, f'column "{definition.name}" specified more than once', definition.pos)
        chosen.append(index)
    listed = [definition.pos for definition in tree.meta["columns"] or ()]
    parts = any(definition.parts for definition in tree.meta["columns"] or ())
    chosen = chosen or order
    source = tree.args.get("expression")
    tables = dict(known)
    if tree.args.get("with_") is not None:
        tables = bind_with(context, tree, None, tables)
    if source is None:
        plan: PlanNode = ONE_ROW
        given: list[Expr] = []
        chosen = []
    elif isinstance(source, exp.Values) and not parts and not any(
            source.args.get(k) for k in ("order", "limit", "offset", "with_")):
        chosen = _without_defaults(source, chosen, listed)
        given_rows = source.expressions[:1] if isinstance(source.expressions, ConstantRows) else source.expressions
        check_identity(columns, chosen, tree.meta["overriding"], [row.items for row in given_rows])
        plan, given = _values(context, source, columns, chosen, listed, tables)
    else:
        check_identity(columns, chosen, tree.meta["overriding"], None)
        query = bind_subquery(context, source, context.body, tables, keep_unknown=True)
        check_width(len(query.fields), len(chosen), listed, query.places)
        infos = [columns[index] for index in chosen]
        if parts:
            from shoal.exec.sql.parts import part_of
            infos = [part_of(info, definition) for info, definition in zip(infos, tree.meta["columns"], strict=True)]
        for field, info, pos in zip(query.fields, infos, query.places, strict=False):
            if field.type.name != "unknown" and not can_coerce(field.type, info.type, "assignment"):
                assigned(context, field.ref(), info, pos)
        width = len(query.fields)
        targets = [info.type for info in infos]
        query = retyped(context, query, targets[:width], "assignment")
        plan, given = query.plan, [f.ref() for f in query.fields]
        if parts:
            from shoal.exec.sql.parts import with_parts
            plan, chosen, given = with_parts(context, plan, tree.meta["columns"], columns, chosen, given)
    placed = dict(zip(chosen, given, strict=False))
    if tree.meta["overriding"] == "user":
        placed = {i: value for i, value in placed.items() if not columns[i].identity}
    assignments: list[tuple[Field, Expr]] = []
    computed: list[tuple[Field, Expr]] = []
    refs: list[e.ColumnRef] = []
    for i, column in enumerate(columns):
        if column.generated:
            refs.append(context.field(column.name, column.type).ref())
            continue
        value = placed.get(i) or default_value(context, column)
        field = _named(context, column, value)
        (computed if i not in placed and reads_sequences(value) else assignments).append((field, value))
        refs.append(field.ref())
    computed += generated_values(context, found.handle.name, columns, _as_columns(refs, columns))
    write = TableWrite(Project(plan, tuple(assignments)), found.handle, "insert", tuple(refs), context.field("count", INT8),
                       computed=tuple(computed), checks=checks_of(context, found, _as_columns(refs, columns)))
    if tree.meta["conflict"] is not None:
        from shoal.exec.sql.conflicts import with_conflict
        write = with_conflict(context, write, tree.meta["conflict"], target, found, columns, refs, tables)
    name = target.alias or target.parts[-1]
    scope = scope_of_target(found, name, columns, refs)
    if view is not None:
        write, scope = _through(context, view, write, name, refs)
    return returned(context, tree, write, scope, tables, "insert", "INSERT 0")


def _through(context: Context, view: UpdatableView, write: TableWrite, name: str,
             refs: Sequence[e.ColumnRef]) -> tuple[TableWrite, Scope]:
    """A write through a view, with its check option, and the view's columns for RETURNING."""
    shown = view.shown(context, refs)
    checks = tuple((what, condition) for what, condition, checked in shown.conditions if checked)
    if shown.applies and (checks or any(i in e.columns_of(expr) for p in shown.applies for _, expr in shown.columns
                                        for i in (p.mark.id,))):
        fail(FeatureNotSupported, "writing through a view with subqueries that must hold for new rows is not supported", -1)
    columns = [ScopeColumn(column, expr, name) for column, expr in shown.columns]
    return replace(write, view_checks=checks), Scope([Relation(name, columns)], columns)


def _as_columns(refs: Sequence[e.ColumnRef], columns: Sequence[ColumnInfo]) -> list[Field]:
    """The columns to be stored under the table's names."""
    return [Field(ref.id, column.name, ref.type) for ref, column in zip(refs, columns, strict=True)]


def _without_defaults(source: Any, chosen: list[int], listed: list[int]) -> list[int]:
    """The target columns less those that are DEFAULT in every row, which are taken out of the rows."""
    rows = source.expressions
    if isinstance(rows, ConstantRows):
        return chosen
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


def check_identity(columns: Sequence[ColumnInfo], chosen: Sequence[int], overriding: str,
                   rows: Sequence[Sequence[Any]] | None) -> None:
    """Raises: GeneratedAlways (428C9) for a value that is given to an identity column."""
    for i, place in enumerate(chosen):
        if (columns[place].identity != "a" or overriding) and not columns[place].generated:
            continue
        if rows is not None and all(i >= len(row) or isinstance(row[i], s.Default) for row in rows):
            continue
        if columns[place].generated:
            fail(GeneratedAlways, f'cannot insert a non-DEFAULT value into column "{columns[place].name}"', -1,
                 detail=f'Column "{columns[place].name}" is a generated column.')
        fail(GeneratedAlways, f'cannot insert a non-DEFAULT value into column "{columns[place].name}"', -1,
             detail=f'Column "{columns[place].name}" is an identity column defined as GENERATED ALWAYS.',
             hint="Use OVERRIDING SYSTEM VALUE to override.")


def _named(context: Context, column: ColumnInfo, value: Expr | None) -> Field:
    if isinstance(value, e.ColumnRef):
        return Field(value.id, column.name, value.type)
    return context.field(column.name, column.type)


def check_width(given: int, wanted: int, listed: Sequence[int], places: Sequence[int]) -> None:
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
    level = Level(context, context.body, Scope(), tables)
    width = len(source.expressions[0].items)
    check_width(width, len(chosen), listed, [item.pos for item in source.expressions[0].items])
    wanted = [columns[i] for i in chosen[:width]]
    if isinstance(source.expressions, ConstantRows):
        stored = assigned_columns(ExpressionBinder(level, VALUES), source.expressions, [column.type for column in wanted],
                                  lambda constant, index, pos: assigned(context, constant, wanted[index], pos))
        if stored is not None:
            made_fields = tuple(context.field(c.name, c.type) for c in wanted)
            relation = rows_of(made_fields, stored)
            if relation is not None:
                return relation, [f.ref() for f in made_fields]
    defaults: dict[str, Expr] = {}
    rows: list[tuple[Expr, ...]] = []
    applies: list[list[PendingApply]] = []
    for row in source.expressions:
        applies.append([])
        binder = ExpressionBinder(level, VALUES, applies[-1])
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
    if not any(applies):
        return Values(fields, tuple(rows)), [f.ref() for f in fields]
    arms = [tuple(context.field(f.name, f.type) for f in fields) for _ in rows]
    inputs = tuple(Project(attach(context, ONE_ROW, own), tuple(zip(arm, row, strict=True)))
                   for arm, row, own in zip(arms, rows, applies, strict=True))
    return Union(inputs, fields, tuple(tuple(f.id for f in arm) for arm in arms)), [f.ref() for f in fields]


# A statement of a WITH clause

def bind_modifying(context: Context, tree: Any, known: Mapping[str, CommonTable]) -> Query:
    """What it returns; no fields where it has no RETURNING clause."""
    inside, context.inside_with = context.inside_with, True
    bind = {exp.Insert: bind_insert, exp.Update: bind_update, exp.Delete: bind_delete}.get(type(tree))
    if bind is None:
        fail(SqlSyntaxError if isinstance(tree, exp.Merge) else FeatureNotSupported,
             "MERGE not supported in WITH query" if isinstance(tree, exp.Merge) else
             f"{type(tree).__name__.upper()} in WITH is not supported", -1)
    bound = bind(context, tree, known)
    context.inside_with = inside
    assert bound.plan is not None
    return Query(bound.plan, bound.fields, bound.origins, (-1,) * len(bound.fields), {})


# UPDATE and DELETE

def scanned(context: Context, table: s.TableRef, found: ResolvedTable) -> tuple[Source, Field, list[Field]]:
    """The target's scan with its row ids and columns."""
    name = table.alias or table.parts[-1]
    row_id = context.field(SupportsWrite.ROW_ID, INT8)
    fields = [context.field(c.name, c.type) for c in stored_columns(found)]
    columns = [*(ScopeColumn(f.name, f.ref(), name) for f in fields),
               ScopeColumn(row_id.name, row_id.ref(), name, hidden=True)]
    scan = Scan(found.handle, (*(ScanColumn(f, f.name) for f in fields), ScanColumn(row_id, SupportsWrite.ROW_ID)))
    qualified = () if table.alias else (found.handle.catalog, found.handle.schema)
    return Source(scan, Scope([Relation(name, columns, qualified, found.handle)], columns)), row_id, fields


def _matched(context: Context, tree: Any, source: Source, others: Sequence[s.FromItem], known: Mapping[str, CommonTable],
             found: ResolvedTable, row_id: Field | None) -> tuple[Level, PlanNode]:
    """The target's rows that WHERE keeps, beside the other tables. `row_id`: None for a view."""
    tables = dict(known)
    if tree.args.get("with_") is not None:
        tables = bind_with(context, tree, None, tables)
    level = Level(context, context.body, source.scope, tables)
    for item in others:
        source = beside(source, bind_item(level, item, [source.scope]))
    level.scope = source.scope
    plan = source.plan
    where = tree.args.get("where")
    if where is not None and isinstance(where.this, s.CurrentOf):
        from shoal.exec.sql.positioned import current_row
        if row_id is None:
            fail(FeatureNotSupported, "WHERE CURRENT OF on a view is not implemented", -1)
        plan = filtered(plan, current_row(found, row_id.ref(), where.this))
    elif where is not None:
        applies: list[PendingApply] = []
        predicate = ExpressionBinder(level, WHERE, applies).bind_boolean(where.this, "WHERE")
        plan = filtered(attach(context, plan, applies), predicate)
    return level, plan


def bind_delete(context: Context, tree: Any, known: Mapping[str, CommonTable] = NO_TABLES) -> Bound:
    found, view = target_of(context, tree.this, "delete")
    source, row_id, fields = scanned(context, tree.this, found)
    if view is not None:
        source = _as_view(context, view, source, tree.this.alias or tree.this.parts[-1], fields)
    others = tree.args.get("using") or []
    level, plan = _matched(context, tree, source, others, known, found, None if view is not None else row_id)
    if tree.meta["returning"] is not None:
        plan = _first_match(context, plan, row_id) if others else plan
    elif others:
        plan = Aggregate(plan, (row_id,), ())
    else:
        plan = Project(plan, ((row_id, row_id.ref()),))
    write = TableWrite(plan, found.handle, "delete", (row_id.ref(),), context.field("count", INT8),
                       after_others=bool(context.writes))
    return returned(context, tree, write, level.scope, level.tables, "delete", "DELETE")


def bind_update(context: Context, tree: Any, known: Mapping[str, CommonTable] = NO_TABLES) -> Bound:
    found, view = target_of(context, tree.this, "update")
    infos = named = stored_columns(found)
    source, row_id, fields = scanned(context, tree.this, found)
    if view is not None:
        from shoal.exec.sql.updatable import check_writable, renamed
        olds = [field.ref() for field in fields]
        shown = view.shown(context, olds)
        named = renamed(infos, shown, olds)
        check_writable(shown, olds, [(name, a.pos) for a in tree.args["expressions"] for name in a.columns],
                       view.found.handle.name, "update")
        source = _as_view(context, view, source, tree.this.alias or tree.this.parts[-1], fields)
    sources = tree.args.get("from_")
    others = sources.this if sources is not None else []
    level, plan = _matched(context, tree, source, others, known, found, None if view is not None else row_id)
    binder = ExpressionBinder(level, UPDATE)
    relation = tree.this.parts[-1]
    changed = set_values(binder, tree.args["expressions"], named, relation, tree.this.alias)
    plan = attach(context, plan, level.input_applies)
    assignments: list[tuple[Field, Expr]] = [(row_id, row_id.ref())]
    stored: list[Field] = []
    for i, (field, info) in enumerate(zip(fields, infos, strict=True)):
        stored.append(context.field(info.name, info.type) if i in changed or info.generated else field)
        if not info.generated:
            assignments.append((stored[-1], changed.get(i, field.ref())))
    if others:
        plan = _first_match(context, plan, row_id)
    refs = (row_id.ref(), *(field.ref() for field in stored))
    target = [column for relation in level.scope.relations[:1] for column in relation.columns]
    if tree.meta["returning"] is not None:
        level.scope.relations[0].columns = [column for column in target if not column.hidden]  # the row's number changes
        own = {field.id for field in (row_id, *fields)}
        assignments += [(field, field.ref()) for field in plan.output if field.id not in own]
        new = {field.id: ref for field, ref in zip(fields, refs[1:], strict=True)}
        for column in target:  # RETURNING sees the new values
            column.expr = rebuild(column.expr, lambda part: new.get(part.id) if type(part) is e.ColumnRef else None)
    write = TableWrite(Project(plan, tuple(assignments)), found.handle, "update", refs, context.field("count", INT8),
                       computed=tuple(generated_values(context, found.handle.name, infos, _as_columns(refs[1:], infos))),
                       checks=checks_of(context, found, _as_columns(refs[1:], infos)), after_others=bool(context.writes))
    if view is not None:
        write, _ = _through(context, view, write, relation, refs[1:])
    return returned(context, tree, write, level.scope, level.tables, "update", "UPDATE")


def _as_view(context: Context, view: UpdatableView, source: Source, name: str, fields: Sequence[Field]) -> Source:
    """The rows of the table beneath that a view shows, with its columns."""
    shown = view.shown(context, [field.ref() for field in fields])
    plan = attach(context, source.plan, shown.applies)
    for _, condition, _ in shown.conditions:
        plan = filtered(plan, condition)
    columns = [ScopeColumn(column, expr, name) for column, expr in shown.columns]
    return Source(plan, Scope([Relation(name, columns)], columns))


def set_values(binder: ExpressionBinder, assignments: Sequence[s.Assignment], infos: Sequence[ColumnInfo],
               relation: str, alias: str = "") -> dict[int, Expr]:
    """The new value of each column that SET names, by its place in the table, which the clause's expressions call `alias`.

    Raises: UndefinedColumn (42703), GeneratedAlways (428C9), SqlSyntaxError (42601), DatatypeMismatch (42804).
    """
    context = binder.context
    changed: dict[int, Expr] = {}
    given: list[tuple[int, int, Expr]] = []
    parted: dict[int, Expr] = {}
    """Columns of which parts are set."""
    for assignment in assignments:
        _refuse_system(infos, assignment)
        places = [column_index(infos, name, relation, assignment.pos) for name in assignment.columns]
        if assignment.parts and infos[places[0]].type.name == "jsonb":
            changed[places[0]] = _with_part(binder, assignment, infos[places[0]], changed.get(places[0]), places[0])
            continue
        if assignment.parts:
            from shoal.exec.sql.parts import with_part
            if places[0] in changed and places[0] not in parted:
                fail(SqlSyntaxError, f'multiple assignments to same column "{infos[places[0]].name}"', -1)
            parted[places[0]] = changed[places[0]] = with_part(
                binder, assignment, infos[places[0]], alias or relation, parted.get(places[0]))
            continue
        for index in places:
            if index in changed or any(index == other for other, _, _ in given):
                fail(SqlSyntaxError, f'multiple assignments to same column "{infos[index].name}"', -1)
            changed[index] = Literal(infos[index].type, None)
        for index, (node, value) in zip(places, _assigned_values(binder, assignment), strict=True):
            info = infos[index]
            if (info.identity == "a" or info.generated) and value is not None:
                kind = "a generated column" if info.generated else "an identity column defined as GENERATED ALWAYS"
                fail(GeneratedAlways, f'column "{info.name}" can only be updated to DEFAULT', -1,
                     detail=f'Column "{info.name}" is {kind}.')
            if value is None:
                changed[index] = default_value(context, info)
            else:
                given.append((index, node, value))
    for index, pos, value in (*given, *((index, -1, value) for index, value in parted.items())):
        changed[index] = assigned(context, value, infos[index], pos)
    return changed


def _refuse_system(infos: Sequence[ColumnInfo], assignment: s.Assignment) -> None:
    for name in SYSTEM_COLUMNS.intersection(assignment.columns):
        if not any(info.name == name for info in infos):
            fail(FeatureNotSupported, f'cannot assign to system column "{name}"', assignment.pos)


def _with_part(binder: ExpressionBinder, assignment: s.Assignment, info: ColumnInfo, before: Expr | None,
               place: int) -> Expr:
    """column[key] = value: the column's value, or what an item of SET before this one made of it, with that part changed."""
    keys = [part.low for part in assignment.parts if isinstance(part, s.Subscript) and not part.slice]
    if len(keys) < len(assignment.parts):
        fail(DatatypeMismatch, "jsonb subscript does not support slices", assignment.pos)
    whole = before or binder.level.scope.relations[0].columns[place].expr
    path = e.Call(array_of(TEXT), "array", tuple(jsonb_subscript(binder, node) for node in keys))
    value = assigned(binder.context, binder.bind(assignment.value), info, s.place(assignment.value))
    return e.Call(JSONB, "jsonb_assign", (whole, path, value))


def _assigned_values(binder: ExpressionBinder, assignment: s.Assignment) -> list[tuple[int, Expr | None]]:
    """(place, value) for each column of one item of SET; None: its default."""
    value, width = assignment.value, len(assignment.columns)
    if not assignment.several:
        return [(s.place(value), None if isinstance(value, s.Default) else binder.bind(value))]
    if isinstance(value, s.Row):
        items = value.items
        if len(items) == 1 and isinstance(items[0], s.Star):
            items = row_items(binder, value)
            _check_columns(width, len(items), value.pos)
            return [(value.pos, item) for item in items]
        _check_columns(width, len(items), value.pos)
        return [(s.place(item), None if isinstance(item, s.Default) else binder.bind(item)) for item in items]
    if isinstance(value, s.Subquery) and value.kind == "scalar":
        row = row_query(binder, value)
        _check_columns(width, len(row.type.fields or ()), s.place(value))
        return [(s.place(value), part) for part in fields_of_row(row)]
    fail(FeatureNotSupported, "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
         s.place(value))


def _check_columns(columns: int, values: int, pos: int) -> None:
    if columns != values:
        fail(SqlSyntaxError, "number of columns does not match number of values", pos)


def _first_match(context: Context, plan: PlanNode, row_id: Field) -> PlanNode:
    """One of the joined rows for each row of the target, as UPDATE ... FROM promises."""
    number = context.field("row_number", INT8)
    call = WindowCall("row_number", (), INT8, WindowFrame("rows"))
    window = Window(plan, (row_id.ref(),), (), ((number, call),))
    return Filter(window, e.call("eq", BOOL, number.ref(), Literal(INT8, 1)))


