"""FROM: tables, subqueries, functions and joins, to a plan and the names it brings into scope (hop 2).

A lateral item that reads columns of its left neighbours becomes an Apply (a subquery) or a TableFunction over them.

Spec: PostgreSQL 15 documentation, 7.2.1; wording of parse_clause.c and parse_relation.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shoal.catalog.connector import TableHandle
from shoal.catalog.errors import (
    FeatureNotSupported,
    InvalidColumnReference,
    InvalidTablesampleArgument,
    InvalidTablesampleRepeat,
    SqlError,
    SqlSyntaxError,
    UndefinedFunction,
    UndefinedObject,
)
from shoal.catalog.types import BOOL, FLOAT4, FLOAT8, INT8
from shoal.exec.functions.registry import find
from shoal.exec.optimizer.columns import free_columns
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Cast, Expr, conjunction
from shoal.exec.plan.nodes import (
    Apply,
    Field,
    Filter,
    Join,
    PlanNode,
    Project,
    Scan,
    ScanColumn,
    SharedRows,
    TableFunction,
    WorkingTable,
)
from shoal.exec.plan.rewrite import holds_volatile, renumber
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import own_functions, resolve, scalar_call, set_fields
from shoal.exec.sql.context import FROM, JOIN_ON, LATERAL, SAMPLE, CommonTable, Level, PendingApply, Query, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.joins import Merged, joined, mention, merge_columns
from shoal.exec.sql.names import output_name
from shoal.exec.sql.planning import ONE_ROW, attach
from shoal.exec.sql.record_functions import defined_fields, in_their_domains, is_record_function, of_table, record_call
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn, check_aliases, merge
from shoal.exec.sql.sources import Source, over_one_row, with_input
from shoal.exec.sql.syntax_json import JsonTable
from shoal.exec.sql.user_types import column_type
from shoal.exec.sql.views import view_query


def bind_from(level: Level, items: list[s.FromItem]) -> PlanNode:
    """The plan of a FROM list; `level.scope` gets its names. Raises: DuplicateAlias (42712) ..."""
    source = bind_item(level, items[0], [])
    for item in items[1:]:
        following = bind_item(level, item, [source.scope])
        source = beside(source, following)
    level.scope = source.scope
    return over_one_row(source).plan


def beside(left: Source, right: Source) -> Source:
    """A cross join, lateral where `right` reads columns of `left`."""
    scope = merge([left.scope, right.scope])
    check_aliases(scope)
    left = over_one_row(left)
    if right.function is not None and right.lateral:
        return Source(with_input(right.function, left.plan), scope, left.lateral)
    right = over_one_row(right)
    own = {f.id for f in left.plan.output}
    reads = right.lateral & own
    if reads:
        plan: PlanNode = Apply("inner", left.plan, right.plan, correlation=tuple(sorted(reads)))
    else:
        plan = Join("inner", left.plan, right.plan)
    return Source(plan, scope, left.lateral | (right.lateral - own))


def bind_item(level: Level, item: s.FromItem, visible: list[Scope]) -> Source:
    """One FROM item; `visible`: the scopes that it may read if it is lateral."""
    if isinstance(item, s.TableRef):
        return _table(level, item) if item.sample is None else _sampled(level, item, item.sample)
    if isinstance(item, s.QueryRef):
        return _subquery(level, item, visible)
    if isinstance(item, s.FunctionRef):
        return _function(level, item, visible)
    if isinstance(item, JsonTable):
        return _json_table(level, item, visible)
    if isinstance(item, s.FileRef):
        return _files(level, item)
    if isinstance(item, s.BoundItem):
        found: Source = item.source
        return found
    assert isinstance(item, s.JoinRef)
    return _join(level, item, visible)


# Tables

def _table(level: Level, item: s.TableRef) -> Source:
    if len(item.parts) == 1:
        shared = level.tables.get(item.parts[0])
        if shared is not None:
            return _common_table(level, item, shared)
    try:
        table = level.context.namespace.resolve(item.parts)
    except SqlError as error:
        error.position = error.position or item.pos + 1
        if len(item.parts) == 1 and item.parts[0] in level.context.future_tables:
            error.detail = (f'There is a WITH item named "{item.parts[0]}", but it cannot be referenced from this part of '
                            "the query.")
            error.hint = "Use WITH RECURSIVE, or re-order the WITH items to remove forward references."
        raise
    handle = table.handle
    level.context.reads[item.parts] = table
    name = item.alias or item.parts[-1]
    if handle.kind == "view" and (view := table.connector.view(handle)) is not None:
        shown = _derived(view_query(level.context, table, view), item, name)
        shown.scope.relations[0].qualified = _qualifiers(item, handle)
        shown.scope.relations[0].handle = handle
        return shown
    new_field = level.context.field
    scanned: list[ScanColumn] = []
    columns: list[ScopeColumn] = []
    for index, info in enumerate(table.columns):
        made = new_field(info.name, column_type(level.context.namespace, table.connector, info))
        scanned.append(ScanColumn(made, info.name))
        origin = (handle.catalog, handle.schema, handle.name, index)
        shown_name = level.context.namespace.column_name(item.parts, info.name)
        columns.append(ScopeColumn(shown_name, made.ref(), name, origin, info.hidden))
        if info.native_type and made.type == info.type:
            level.context.notice(f'column "{info.name}" of "{handle.name}" has the unknown type {info.native_type} '
                                 "and is read as text")
    _rename(columns, item, name)
    relation = Relation(name, columns, _qualifiers(item, handle), handle)
    return Source(Scan(handle, tuple(scanned)), Scope([relation], columns))


def _files(level: Level, item: s.FileRef) -> Source:
    """FROM 'path': mounted files, named by the path and without an alias by the first of its parts that has no wildcard,
    from the end. Raises: as Namespace.at_path."""
    try:
        table = level.context.namespace.at_path(item.path)
    except SqlError as error:
        error.position = error.position or item.pos + 1
        raise
    plain = [part for part in item.path.split("/") if part and not any(c in part for c in "*?[")]
    name = item.alias or (plain[-1].partition(".")[0] if plain else "files")
    made = [level.context.field(info.name, info.type) for info in table.columns]
    columns = [ScopeColumn(f.name, f.ref(), name, None, info.hidden) for f, info in zip(made, table.columns, strict=True)]
    _rename(columns, item, name)
    return Source(Scan(table.handle, tuple(ScanColumn(f, info.name) for f, info in zip(made, table.columns, strict=True))),
                  Scope([Relation(name, columns)], columns))


def _qualifiers(item: s.TableRef, handle: TableHandle) -> tuple[str, ...]:
    """The catalog and schema that a table's columns may be named with; none where it has an alias."""
    if item.alias:
        return ()
    return (handle.catalog, handle.schema) if len(item.parts) < 2 else (handle.catalog, *item.parts[-2:-1])


def _sampled(level: Level, item: s.TableRef, sample: s.Function) -> Source:
    """TABLESAMPLE: each row with the given chance. Both methods do so; SYSTEM may, as it promises no more. With REPEATABLE
    a row's values and the seed decide.

    Raises: InvalidTablesampleArgument (2202H).
    """
    source = _table(level, item)
    method = sample.name[-1]
    if not isinstance(source.plan, Scan):
        fail(FeatureNotSupported, "TABLESAMPLE clause can only be applied to tables and materialized views", item.pos)
    if method not in ("system", "bernoulli"):
        fail(UndefinedObject, f"tablesample method {method} does not exist", sample.pos)
    if len(sample.args) != 1:
        fail(InvalidTablesampleArgument, f"tablesample method {method} requires 1 argument, not {len(sample.args)}",
             sample.pos)
    percent = ExpressionBinder(level, SAMPLE).bind_as(sample.args[0], FLOAT4)
    if isinstance(percent, e.Literal):
        if percent.value is None:
            raise InvalidTablesampleArgument("TABLESAMPLE parameter cannot be null")
        if not 0 <= percent.value <= 100:
            raise InvalidTablesampleArgument("sample percentage must be between 0 and 100")
    if item.seed is None:
        chance = Call(FLOAT8, "mul", (Call(FLOAT8, "random", (), True), e.Literal(FLOAT8, 100.0)))
    else:
        seed = ExpressionBinder(level, SAMPLE).bind_as(item.seed, FLOAT8)
        if isinstance(seed, e.Literal) and seed.value is None:
            raise InvalidTablesampleRepeat("TABLESAMPLE REPEATABLE parameter cannot be null")
        chance = Call(FLOAT8, "row_sample", (seed, *(f.ref() for f in source.plan.output)))
    return replace(source, plan=Filter(source.plan, Call(BOOL, "lt", (chance, Cast(FLOAT8, percent, False)))))


def _rename(columns: list[ScopeColumn], item: s.FromItem, name: str) -> None:
    """Applies column aliases. Raises: InvalidColumnReference (42P10) for too many."""
    if not item.columns:
        return
    shown = [c for c in columns if not c.hidden]
    if len(item.columns) > len(shown):
        what = "join expression" if isinstance(item, s.JoinRef) else "table"
        fail(InvalidColumnReference, f'{what} "{name}" has {len(shown)} columns available but {len(item.columns)} columns '
             "specified", -1)
    for column, alias in zip(shown, item.columns, strict=False):
        column.name = alias


def _common_table(level: Level, item: s.TableRef, shared: CommonTable) -> Source:
    query = shared.query
    if shared.working is not None:
        made = tuple(level.context.field(f.name, f.type) for f in shared.working.fields)
        working = WorkingTable(shared.working.number, made)
        level.recursive = True
        source = _derived(Query(working, made, (None,) * len(made), (item.pos,) * len(made), {}), item,
                          item.alias or item.parts[0], shared.columns)
        for column in source.scope.columns[len(made) - shared.hidden:]:
            column.hidden = True
        return source
    if query is None:
        fail(FeatureNotSupported, f'WITH query "{shared.name}" does not have a RETURNING clause', item.pos)
    if shared.shared:
        if not shared.number:
            shared.number = next(level.context.ids)
            level.context.shared.append((shared.number, query.plan))
        made = tuple(level.context.field(f.name, f.type) for f in query.fields)
        rows = SharedRows(shared.number, made, tuple(f.id for f in query.fields))
        return _derived(replace(query, plan=rows, fields=made), item, item.alias or item.parts[0], shared.columns)
    if shared.used:
        if holds_volatile(query.plan):
            fail(FeatureNotSupported, f'WITH query "{shared.name}" calls a volatile function and is read more than once, '
                 "which is not supported", item.pos)
        plan, mapping = renumber(query.plan, level.context.ids, frozenset(query.refs))
        level.context.copied(len(mapping))
        fields = tuple(Field(mapping.get(f.id, f.id), f.name, f.type) for f in query.fields)
        query = Query(plan, fields, query.origins, query.places, query.refs)
    shared.used = True
    level.adopt(query.refs)
    return _derived(query, item, item.alias or item.parts[0], shared.columns)


def _derived(query: Query, item: s.FromItem, name: str, names: list[str] | None = None,
             lateral: frozenset[int] = frozenset()) -> Source:
    """A query under a name."""
    columns = [ScopeColumn(names[i] if names is not None and i < len(names) else f.name, f.ref(), name, origin)
               for i, (f, origin) in enumerate(zip(query.fields, query.origins, strict=True))]
    _rename(columns, item, name)
    return Source(query.plan, Scope([Relation(name, columns)], columns), lateral)


def _subquery(level: Level, item: s.QueryRef, visible: list[Scope]) -> Source:
    from shoal.exec.sql.queries import bind_subquery
    if not item.alias:
        fail(SqlSyntaxError, "subquery in FROM must have an alias", item.pos,
             hint="For example, FROM (SELECT ...) [AS] foo.")
    if item.lateral:
        level.scope = merge(visible) if visible else Scope()
        outer, level.clause = level.clause, LATERAL
        query = bind_subquery(level.context, item.query, level, level.tables)
        level.clause = outer
    else:
        hidden = level.context.unreachable
        level.context.unreachable = [*visible, *hidden]
        query = bind_subquery(level.context, item.query, level.parent, level.tables)
        level.context.unreachable = hidden
    level.adopt(query.refs)
    own = frozenset(i for i, owner in query.refs.items() if owner is level)
    return _derived(query, item, item.alias, lateral=own)


# Functions

def _function(level: Level, item: s.FunctionRef, visible: list[Scope]) -> Source:
    """Functions side by side. Their arguments may have subqueries: they are computed beneath.

        TableFunction
          Apply(subqueries of the arguments)
            one row
    """
    context = level.context
    level.scope = merge(visible) if visible else Scope()
    applies: list[PendingApply] = []
    b = ExpressionBinder(level, FROM, applies)
    calls: list[tuple[str, tuple[Expr, ...]]] = []
    fields: list[Field] = []
    functions = spread(item.functions)
    alone = len(functions) == 1
    definitions = dict(item.inner_definitions)
    if item.definitions is not None:
        if item.ordinality or not alone:
            fail(SqlSyntaxError, "WITH ORDINALITY cannot be used with a column definition list" if item.ordinality else
                 "ROWS FROM() with multiple functions cannot have a column definition list", item.definitions[0].pos,
                 hint="Put the column definition list inside ROWS FROM().")
        definitions[0] = item.definitions
    name = item.alias or functions[0].name[-1]
    ordinality = context.field("ordinality", INT8) if item.ordinality else None
    if alone and not item.ordinality and (own := own_functions(b, functions[0])):
        from shoal.exec.sql.user_functions import from_rows
        query = from_rows(b, functions[0], own, definitions.get(0), item.alias)
        plan = query.plan
        if applies:
            below = attach(context, ONE_ROW, applies)
            reads = free_columns(plan) & {f.id for f in below.output}
            plan = Apply("inner", below, plan, correlation=tuple(sorted(reads)))
        return _as_source(item, name, plan, query.fields, None, visible)
    taken_apart: list[tuple[Field, Expr]] = []
    lone: list[tuple[Field, Expr]] = []
    for number, node in enumerate(functions):
        defined = definitions.get(number)
        if is_record_function(node):
            record, record_fields = record_call(b, node, defined)
            calls.append(record)
            fields += record_fields
            taken_apart += in_their_domains(b, record[1][0].type, record_fields, defined)
            continue
        if own := own_functions(b, node):
            from shoal.exec.sql.user_functions import as_array
            array, parts = as_array(b, node, own, defined, item.alias if alone else "")
            calls.append(("unnest", (array,)))
            fields.append(context.field(node.name[-1], array.type.element))
            taken_apart += parts(fields[-1])
            continue
        args = [b.bind(arg) for arg in node.args]
        known = find(node.name[-1])
        if not any(f.kind == "set" for f in known):
            if defined is not None:
                fail(SqlSyntaxError, 'a column definition list is only allowed for functions returning "record"',
                     defined[0].pos)
            value = _scalar_value(b, node, args)
            made_field = context.field(item.alias if item.alias and alone else output_name(node), value.type)
            if alone:
                lone.append((made_field, value))
            elif value.type.is_array or value.type.name == "record":
                fail(FeatureNotSupported, f"function {node.name[-1]} beside others in ROWS FROM is not supported, it gives "
                     f"{value.type.sql}", node.pos)
            else:
                calls.append(("unnest", (b.make_array(value.type, [value]),)))
            fields.append(made_field)
            continue
        found, typed = resolve(b, node, args)
        rows_of_records = found.function.name == "unnest" and found.returns.name == "record" and bool(found.returns.fields)
        if rows_of_records and found.returns.user is None and defined is None and not of_table(found.returns):
            fail(SqlSyntaxError, 'a column definition list is required for functions returning "record"', node.pos)
        if rows_of_records and found.returns.user is None and defined is not None:
            wanted = defined_fields(b, found.returns, defined)
            found = replace(found, returns=replace(found.returns, fields=wanted))
        elif defined is not None:
            fail(SqlSyntaxError, "a column definition list is redundant for a function with OUT parameters"
                 if found.function.columns else
                 'a column definition list is only allowed for functions returning "record"', defined[0].pos)
        calls.append((found.function.name, tuple(typed)))
        if rows_of_records:
            fields.append(context.field(node.name[-1], found.returns))
            taken_apart += [(context.field(name, part.type), part) for (name, _), part in zip(
                found.returns.fields or (), rows.fields(fields[-1].ref()), strict=True)]
            continue
        fields += set_fields(b, found.function, found.returns,
                             item.alias if item.alias and alone and not found.function.columns else node.name[-1], typed)
    base = attach(context, ONE_ROW, applies)
    if lone:
        if ordinality is not None:
            lone.append((ordinality, e.Literal(INT8, 1)))
        return _as_source(item, name, Project(base, tuple(lone)), fields, ordinality, visible)
    function = TableFunction(base, tuple(calls), tuple(fields), ordinality)
    if taken_apart:
        gone = {i for _, value in taken_apart for i in e.columns_of(value)}
        shown = [part for f in fields for part in (
            [p for p in taken_apart if f.id in e.columns_of(p[1])] if f.id in gone else [(f, f.ref())])]
        ordinal = [(ordinality, ordinality.ref())] if ordinality is not None else []
        plan = Project(function, (*shown, *ordinal))
        return _as_source(item, name, plan, [f for f, _ in shown], ordinality, visible)
    made = _as_source(item, name, function, fields, ordinality, visible)
    made.scope.relations[0].scalar = len(fields) == 1 and ordinality is None and not any(map(is_record_function, functions))
    if not applies:
        made.function = function
    return made


def _json_table(level: Level, item: JsonTable, visible: list[Scope]) -> Source:
    from shoal.exec.sql.json_table import table_function
    level.scope = merge(visible) if visible else Scope()
    applies: list[PendingApply] = []
    function = table_function(lambda: attach(level.context, ONE_ROW, applies), ExpressionBinder(level, FROM, applies), item)
    made = _as_source(item, item.alias or "json_table", function, function.fields, None, visible)
    if not applies:
        made.function = function
    return made


def spread(functions: list[s.Function]) -> list[s.Function]:
    """The functions, with one unnest for each array of an unnest of several."""
    found: list[s.Function] = []
    for node in functions:
        many = node.name[-1] == "unnest" and len(node.args) > 1
        found += [s.Function(node.pos, ("unnest",), [arg]) for arg in node.args] if many else [node]
    return found


def _as_source(item: s.FromItem, name: str, plan: PlanNode, fields: Sequence[Field], ordinality: Field | None,
               visible: list[Scope]) -> Source:
    columns = [ScopeColumn(f.name, f.ref(), name) for f in (*fields, *([ordinality] if ordinality else []))]
    _rename(columns, item, name)
    reads = free_columns(plan)
    return Source(plan, Scope([Relation(name, columns, kind="function")], columns),
                  frozenset(reads & _scope_ids(visible)))


def _scalar_value(b: ExpressionBinder, node: s.Function, args: list[Expr]) -> Expr:
    """A plain function in FROM: the value of its one row."""
    if any(f.kind in ("aggregate", "window") for f in find(node.name[-1])):
        b.bind(node)  # raises what such calls raise in FROM
    value = b.bind(node) if not node.args else scalar_call(b, node, args)
    if value.type.name == "record":
        fail(UndefinedFunction, f"function {node.name[-1]} in FROM is not supported, it gives {value.type.sql}", node.pos)
    return value


def _scope_ids(visible: list[Scope]) -> set[int]:
    return set().union(*(scope.ids() for scope in visible)) if visible else set()


# Joins

def _join(level: Level, item: s.JoinRef, visible: list[Scope]) -> Source:
    left = over_one_row(bind_item(level, item.left, visible))
    right = bind_item(level, item.right, [*visible, left.scope])
    scope = merge([left.scope, right.scope])
    check_aliases(scope)
    for side, kinds in ((left, ("right", "full")), (right, ("left", "full"))):
        for relation in side.scope.relations if item.kind in kinds else ():
            relation.nullable = True
    own = {f.id for f in left.plan.output}
    reads = right.lateral & own
    if reads and item.kind in ("right", "full"):
        name = next((r.name for r in left.scope.relations if any(e.columns_of(c.expr) & reads for c in r.columns)), "")
        place = mention(item.right, name)
        fail(InvalidColumnReference, f'invalid reference to FROM-clause entry for table "{name}"', place,
             detail="The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
    using = item.using
    if item.natural:
        theirs = {c.name for c in right.scope.columns if not c.hidden}
        using = list(dict.fromkeys(c.name for c in left.scope.columns if not c.hidden and c.name in theirs))
    condition: Expr | None = None
    applies: list[PendingApply] = []
    merged = Merged()
    if using:
        merged = merge_columns(level, item, left.scope, right.scope, using)
        condition = conjunction(merged.conditions)
    elif item.on is not None:
        level.scope = scope
        hidden, level.context.unreachable = level.context.unreachable, visible
        condition = ExpressionBinder(level, JOIN_ON, applies).bind_boolean(item.on, "JOIN/ON")
        level.context.unreachable = hidden
    for relation in scope.relations:
        relation.joined = True
    plan = joined(level, item, left, right, condition, applies, reads)
    if merged.computed:
        plan = Project(plan, (*((f, f.ref()) for f in plan.output), *merged.computed))
    if using:
        kept = [c for c in scope.columns if id(c) not in merged.hidden]
        scope = Scope(scope.relations, [*merged.columns, *kept])
        if item.using_alias:
            scope.relations = [*scope.relations, Relation(item.using_alias, merged.columns, kind="join")]
            check_aliases(scope)
    if item.alias:
        level.context.unreachable = [*level.context.unreachable, scope]
        columns = [ScopeColumn(c.name, c.expr, item.alias, c.origin, c.hidden) for c in scope.columns]
        _rename(columns, item, item.alias)
        scope = Scope([Relation(item.alias, columns, kind="join")], columns)
    return Source(plan, scope, left.lateral | (right.lateral - own))
