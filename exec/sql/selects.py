"""One SELECT: its clauses in the order PostgreSQL gives them meaning, to a plan (hop 2).

    Project(hidden sort columns dropped)
      Limit
        Sort
          Aggregate(DISTINCT)
            Project(select list)
              TableFunction(set-returning functions of the select list)
                Window ...
                  Filter(HAVING)
                    Apply(subqueries above the grouping) ...
                      Aggregate(GROUP BY)
                        Filter(WHERE)
                          Apply(subqueries of WHERE) ...
                            FROM

Spec: PostgreSQL 15 documentation, SELECT; wording of parse_clause.c and parse_agg.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.catalog.errors import (
    AmbiguousColumn,
    DatatypeMismatch,
    InvalidColumnReference,
    InvalidLimit,
    InvalidOffset,
    SqlSyntaxError,
    TooManyColumns,
    WindowingError,
)
from shoal.catalog.types import BOOL, INT8
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, SortKey, WindowCall, WindowFrame
from shoal.exec.plan.nodes import Aggregate, Apply, Field, Filter, Limit, PlanNode, Project, Sort, Window
from shoal.exec.sql import rows
from shoal.exec.sql import syntax as s
from shoal.exec.sql.bound import Origin
from shoal.exec.sql.coercion import coerce, settle
from shoal.exec.sql.context import (
    DISTINCT_ON,
    HAVING,
    LIMIT,
    OFFSET,
    ORDER_BY,
    QUALIFY,
    SELECT,
    WHERE,
    CommonTable,
    Context,
    Level,
    PendingApply,
    PendingSet,
    Query,
    bare_type,
    fail,
)
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.from_clause import bind_from
from shoal.exec.sql.grouping import Candidate, Grouping, bind_groups
from shoal.exec.sql.locking import check_locks
from shoal.exec.sql.names import output_name
from shoal.exec.sql.planning import ONE_ROW, attach, filtered, sorted_by, with_order, with_sets
from shoal.exec.sql.scope import Scope, ScopeColumn, missing_table, resolve_column
from shoal.exec.sql.windows import plan_windows

MOST_TARGETS = 1_664
"""Items of a select list that may be written out, PostgreSQL's limit: the columns of `*` may be more, as lakes have them."""


@dataclass(slots=True)
class Item:
    """A select-list entry, or (hidden) an ORDER BY expression that is none."""

    name: str
    expr: Expr
    pos: int
    origin: Origin | None = None


@dataclass(slots=True)
class Ordering:
    """A sort key as an index into the items."""

    index: int
    descending: bool
    nulls_first: bool
    pos: int


def bind_select(context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable],
                keep_unknown: bool = False) -> Query:
    """A SELECT without its WITH. `keep_unknown`: untyped literals stay so, for UNION and INSERT to type."""
    return _SelectBinder(context, tree, parent, tables, keep_unknown).bind()


class _SelectBinder:
    def __init__(self, context: Context, tree: Any, parent: Level | None, tables: dict[str, CommonTable],
                 keep_unknown: bool) -> None:
        self.context, self.tree, self.keep_unknown = context, tree, keep_unknown
        self.level = Level(context, parent, Scope(), tables)
        self.items: list[Item] = []
        self.visible = 0
        self.grouping: Grouping | None = None
        self.qualify: Expr | None = None

    def bind(self) -> Query:
        args, level, context = self.tree.args, self.level, self.context
        sources = args.get("from_")
        plan: PlanNode = bind_from(level, sources.this) if sources is not None else ONE_ROW
        for name, spec in args.get("windows") or ():
            if name in level.named_windows:
                fail(WindowingError, f'window "{name}" is already defined', spec.pos)
            level.named_windows[name] = spec
        for target in args.get("expressions") or ():
            self._target(target)
        self.visible = len(self.items)
        where = args.get("where")
        if where is not None:
            applies: list[PendingApply] = []
            predicate = ExpressionBinder(level, WHERE, applies).bind_boolean(where.this, "WHERE")
            plan = filtered(attach(context, plan, applies), predicate)
        having: Expr | None = None
        having_applies: list[PendingApply] = []
        if args.get("having") is not None:
            binder = ExpressionBinder(level, HAVING, having_applies)
            having = binder.bind_boolean(args["having"].this, "HAVING")
        distinct = args.get("distinct")
        order = args.get("order")
        ordering = [key for item in order.args["expressions"] for key in self._sort_items(item, distinct)] if (
            order is not None) else []
        group = args.get("group")
        input_ids = {f.id for f in plan.output}
        if group is not None:
            candidates = [Candidate(item.name, item.expr) for item in self.items[:self.visible]]
            self.grouping = bind_groups(level, group.args["expressions"], candidates, input_ids,
                                        bool(group.meta.get("distinct")))
            input_ids |= {f.id for pending in level.input_sets for f in pending.fields}
            self._merge_twins(level.sets, level.input_sets)
        if len(args.get("expressions") or ()) > MOST_TARGETS:
            fail(TooManyColumns, f"target lists can have at most {MOST_TARGETS} entries", -1)
        unique_on = [self._output_index(node, DISTINCT_ON) for node in distinct.args["on"].items] if (
            distinct is not None and distinct.args.get("on") is not None) else []
        if args.get("qualify") is not None:
            binder = ExpressionBinder(level, QUALIFY, level.output_applies)
            binder.aliases = {item.name: item.expr for item in reversed(self.items[:self.visible])}
            self.qualify = binder.bind_boolean(args["qualify"].this, "QUALIFY")
            if not level.windows:
                fail(WindowingError, "at least one window function must appear in the SELECT column or QUALIFY clause",
                     s.place(args["qualify"].this))
        if args.get("locks"):
            check_locks(level, args["locks"], args, bool(self.grouping or level.aggregates))
        if not self.keep_unknown:
            for item in self.items:
                item.expr = settle(context, item.expr, item.pos)
        if self.grouping is None and (level.aggregates or having is not None or level.groupings):
            self.grouping = Grouping(level, [], None, input_ids=input_ids)
        plan = self._grouped(plan, having, having_applies)
        plan = self._computed(plan)
        places = [s.place(node) for node in distinct.args["on"].items] if unique_on else []
        late = self._late_sets({*unique_on, *(key.index for key in ordering)}) if (
            unique_on and ordering) else []
        if late:
            plan, fields = self._distinct_before_sets(plan, dict(zip(unique_on, places, strict=True)), ordering, late)
        else:
            plan, fields = self._projected(with_sets(context, plan, level.sets))
            if distinct is not None:
                plan = self._distinct(plan, fields, dict(zip(unique_on, places, strict=True)), ordering)
        plan = self._sorted(plan, fields, ordering)
        plan = limited(level, plan, args)
        shown = tuple(fields[:self.visible])
        if len(fields) > self.visible:
            plan = Project(plan, tuple((f, f.ref()) for f in shown))
        return Query(plan, shown, tuple(item.origin for item in self.items[:self.visible]),
                     tuple(item.pos for item in self.items[:self.visible]), level.refs)

    # The select list

    def _target(self, target: s.Target) -> None:
        node = target.arg
        if isinstance(node, s.Star):
            self._expand(node)
            return
        if isinstance(node, s.FieldOf) and node.name == "*" and isinstance(node.arg, s.Name) and (
                self.level.scope.relation(node.arg.parts) is not None):
            self._expand(s.Star(node.pos, node.arg.parts))
            return
        if isinstance(node, s.FieldOf) and node.name == "*" and isinstance(node.arg, s.Function):
            self._expand_function(node.arg)
            return
        if isinstance(node, s.FieldOf) and node.name == "*":
            binder = ExpressionBinder(self.level, SELECT, self.level.output_applies)
            self.items += [Item(name, value, node.pos) for name, value in rows.expanded(binder, node)]
            return
        expr = ExpressionBinder(self.level, SELECT, self.level.output_applies).bind(node)
        self.items.append(Item(target.label or output_name(node), expr, s.place(node), self._origin(node, expr)))

    def _origin(self, node: Any, expr: Expr) -> Origin | None:
        if not isinstance(node, s.Name) or not isinstance(expr, e.ColumnRef):
            return None
        found = resolve_column(self.level, node.parts, node.pos)
        return found[0].origin if found is not None else None

    def _expand(self, node: s.Star) -> None:
        scope = self.level.scope
        if not node.qualifier:
            if not scope.relations:
                fail(SqlSyntaxError, "SELECT * with no tables specified is not valid", node.pos)
            columns = scope.columns
        else:
            relation = scope.relation(node.qualifier)
            at = self.level.parent
            while relation is None and at is not None:
                relation, at = at.scope.relation(node.qualifier), at.parent
            if relation is None:
                missing_table(self.level, node.qualifier, node.pos)
            columns = relation.columns
        binder = ExpressionBinder(self.level, SELECT, self.level.output_applies)
        for column in columns:
            if not column.hidden:
                self._expanded(binder, column, node)

    def _expanded(self, binder: ExpressionBinder, column: ScopeColumn, node: s.Star) -> None:
        display = f"{column.table}.{column.name}" if column.table else column.name
        owner: Level | None = self.level
        if node.qualifier:
            while owner is not None and owner.scope.relation(node.qualifier) is None:
                owner = owner.parent
        expr = binder._used(column.expr, owner or self.level, node.pos, display)
        self.items.append(Item(column.name, expr, node.pos, column.origin))

    def _expand_function(self, node: s.Function) -> None:
        """(f(x)).* for a set-returning function: all its columns."""
        from shoal.exec.functions.registry import find
        from shoal.exec.sql.calls import bind_function
        binder = ExpressionBinder(self.level, SELECT, self.level.output_applies)
        columns = next((f.columns for f in find(node.name[-1]) if f.columns), ())
        if not columns:
            made = rows.expanded(binder, s.FieldOf(node.pos, node, "*"))
            self.items += [Item(name, value, node.pos) for name, value in made]
            return
        for name, _ in columns:
            self.items.append(Item(name, bind_function(binder, node, name), node.pos))

    # ORDER BY and DISTINCT ON

    def _sort_items(self, item: s.SortItem, distinct: Any) -> list[Ordering]:
        """The keys of one ORDER BY expression: a row's fields, with NULLs last as rows compare, else just one."""
        if isinstance(item.arg, s.Row):
            parts = [s.SortItem(item.pos, part, item.descending, item.descending) for part in item.arg.items]
            return [self._sort_item(part, distinct) for part in parts]
        key = self._sort_item(item, distinct)
        expr = self.items[key.index].expr
        if distinct is not None or not isinstance(expr, e.Call) or expr.name != "row" or not expr.args:
            return [key]
        first = len(self.items)
        self.items += [Item("", field, key.pos) for field in expr.args]
        return [Ordering(i, item.descending, item.descending, key.pos) for i in range(first, len(self.items))]

    def _sort_item(self, item: s.SortItem, distinct: Any) -> Ordering:
        before = len(self.items)
        index = self._output_index(item.arg, ORDER_BY)
        if index >= before and distinct is not None and distinct.args.get("on") is None:
            fail(InvalidColumnReference, "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
                 s.place(item.arg))
        return Ordering(index, item.descending, item.nulls_first, item.arg.pos)

    def _output_index(self, node: Any, clause: Any) -> int:
        """The item that an ORDER BY or DISTINCT ON expression means; a new, hidden one where none fits."""
        if isinstance(node, s.Constant):
            if node.kind != "integer":
                fail(SqlSyntaxError, f"non-integer constant in {clause.name}", node.pos)
            place = int(node.value)
            if not 1 <= place <= self.visible:
                fail(InvalidColumnReference, f"{clause.name} position {place} is not in select list", node.pos)
            return place - 1
        if isinstance(node, s.Name) and len(node.parts) == 1:
            found = [i for i, item in enumerate(self.items[:self.visible]) if item.name == node.parts[0]]
            if len({self.items[i].expr for i in found}) > 1:
                fail(AmbiguousColumn, f'{clause.name} "{node.parts[0]}" is ambiguous', node.pos)
            if found:
                return found[0]
        known = len(self.level.sets)
        expr = ExpressionBinder(self.level, clause, self.level.output_applies).bind_settled(node)
        expr = self._merged(expr, self.level.sets, known)
        for i, item in enumerate(self.items):
            if item.expr == expr and not e.is_volatile(expr):
                return i
        self.items.append(Item("", expr, node.pos))
        return len(self.items) - 1

    def _merged(self, expr: Expr, sets: list[PendingSet], known: int) -> Expr:
        """`expr` over the set-returning functions that were there before, if it only repeats a select-list entry."""
        if len(sets) == known:
            return expr
        twins = _twins(sets[known:], sets[:known])
        merged = e.replace_columns(expr, twins)
        if len(twins) < sum(len(p.fields) for p in sets[known:]) or all(item.expr != merged for item in self.items):
            return expr
        del sets[known:]
        return merged

    def _merge_twins(self, sets: list[PendingSet], into: list[PendingSet]) -> None:
        """Takes set-returning functions that are among `into` too from there."""
        twins = _twins(sets, into)
        if twins:
            sets[:] = [p for p in sets if p.fields[0].id not in twins]
            self._rewrite(lambda expr: e.replace_columns(expr, twins))

    # Plan building

    def _grouped(self, plan: PlanNode, having: Expr | None, having_applies: list[PendingApply]) -> PlanNode:
        """Everything up to HAVING; afterwards all pending expressions are over the grouped columns."""
        level, context, grouping = self.level, self.context, self.grouping
        if grouping is None:
            return plan
        grouping.dependent = _dependence(level)
        grouping.prepare((*having_applies, *level.output_applies))
        if grouping.sets is None and level.groupings:
            for pending in level.groupings:
                grouping.argument_indexes(pending)
        self._rewrite(grouping.rewrite)
        if having is not None:
            having = grouping.rewrite(having)
        for apply in sorted((*having_applies, *level.output_applies), key=lambda apply: apply.mark.id in grouping.twins):
            if apply.mark.id in grouping.twins and apply.mark.id not in grouping.kept:
                continue  # all that reads it is grouped by
            apply.comparand = tuple(grouping.rewrite(c) for c in apply.comparand)
            apply.given = [(f, grouping.rewrite(value)) for f, value in apply.given]
            apply.guard = None if apply.guard is None else grouping.rewrite(apply.guard)
            grouping.check_outer(apply.refs)
        for applies in (having_applies, level.output_applies):
            applies[:] = [a for a in applies if a.mark.id not in grouping.twins or a.mark.id in grouping.kept]
        before = dict(grouping.fields)
        plan = grouping.plan(context, plan)
        if grouping.sets is not None:
            moved = {before[k].id: grouping.fields[k].ref() for k in before if before[k].id != grouping.fields[k].id}
            if moved:
                self._rewrite(lambda expr: e.replace_columns(expr, moved))  # type: ignore[arg-type]
                having = None if having is None else e.replace_columns(having, moved)  # type: ignore[arg-type]
            for apply in (*having_applies, *level.output_applies):
                apply.comparand = tuple(e.replace_columns(c, moved) for c in apply.comparand)  # type: ignore[arg-type]
                apply.guard = None if apply.guard is None else e.replace_columns(apply.guard, moved)  # type: ignore[arg-type]
                apply.given = [(f, e.replace_columns(value, moved)) for f, value in apply.given]  # type: ignore[arg-type]
                grouping.seen_by(apply)
        if level.groupings and grouping.sets is None:
            zeros = {pending.field.id: Literal(pending.field.type, 0) for pending in level.groupings}
            self._rewrite(lambda expr: e.replace_columns(expr, zeros))  # type: ignore[arg-type]
            having = None if having is None else e.replace_columns(having, zeros)  # type: ignore[arg-type]
            for apply in (*having_applies, *level.output_applies):
                apply.given += [(p.field, zeros[p.field.id]) for p in level.groupings if p.field.id in apply.refs]
        return filtered(attach(context, plan, having_applies), having)

    def _rewrite(self, rewrite: Callable[[Expr], Expr]) -> None:
        """Changes every expression that is computed above the grouping."""
        for item in self.items:
            item.expr = rewrite(item.expr)
        for window in self.level.windows:
            window.args = tuple(rewrite(a) for a in window.args)
            window.filter = None if window.filter is None else rewrite(window.filter)
            window.partition = tuple(rewrite(p) for p in window.partition)
            for key in window.order:
                key.expr = rewrite(key.expr)
        for pending in self.level.sets:
            pending.args = tuple(rewrite(a) for a in pending.args)
        if self.qualify is not None:
            self.qualify = rewrite(self.qualify)

    def _computed(self, plan: PlanNode) -> PlanNode:
        """Subqueries of the select list, window functions, QUALIFY."""
        level, context = self.level, self.context
        if self.grouping is None:
            plan = attach(context, plan, level.input_applies)
        windows = {w.field.id for w in level.windows}
        keys = {i for w in level.windows for key in (*w.partition, *(o.expr for o in w.order)) for i in e.columns_of(key)}
        beneath = [p for p in level.sets if keys & {f.id for f in p.fields}]
        if beneath:
            plan = with_sets(context, plan, beneath)
            level.sets[:] = [p for p in level.sets if p not in beneath]
        late = [a for a in level.output_applies
                if any(e.columns_of(c) & windows for c in (*a.comparand, *(v for _, v in a.given),
                                                           *([a.guard] if a.guard is not None else [])))]
        plan = attach(context, plan, [a for a in level.output_applies if a not in late])
        if level.windows:
            plan = plan_windows(context, plan, level.windows, lambda expr: expr)
            plan = attach(context, plan, late)
        return filtered(plan, self.qualify)

    def _late_sets(self, used: set[int]) -> list[PendingSet]:
        """The set-returning functions that DISTINCT ON does not need: they run over the rows that it keeps."""
        needed = {i for index in used for i in e.columns_of(self.items[index].expr)}
        early: list[PendingSet] = []
        for pending in reversed(self.level.sets):
            if needed & {f.id for f in pending.fields}:
                early.append(pending)
                needed |= {i for arg in pending.args for i in e.columns_of(arg)}
        return [] if early else list(self.level.sets)

    def _distinct_before_sets(self, plan: PlanNode, unique_on: dict[int, int], ordering: Sequence[Ordering],
                              late: list[PendingSet]) -> tuple[PlanNode, list[Field]]:
        """DISTINCT ON, and over its rows the set-returning functions of the select list."""
        made = {f.id for pending in late for f in pending.fields}
        items = self.items
        early = [i for i, item in enumerate(items) if not e.columns_of(item.expr) & made]
        wanted = {i for item in items if e.columns_of(item.expr) & made for i in e.columns_of(item.expr)} | {
            i for pending in late for arg in pending.args for i in e.columns_of(arg)}
        carried = [Item(f.name, f.ref(), -1) for f in plan.output if f.id in wanted]
        place = {index: at for at, index in enumerate(early)}
        self.items = [*(items[i] for i in early), *carried]
        plan, fields = self._projected(plan)
        keys = [Ordering(place[k.index], k.descending, k.nulls_first, k.pos) for k in ordering]
        plan = self._distinct(plan, fields, {place[i]: pos for i, pos in unique_on.items()}, keys)
        now = {next(iter(e.columns_of(item.expr))): fields[len(early) + at].ref() for at, item in enumerate(carried)}
        for pending in late:
            pending.args = tuple(e.replace_columns(arg, now) for arg in pending.args)  # type: ignore[arg-type]
        plan = with_sets(self.context, plan, late)
        self.items = [Item(item.name, fields[place[i]].ref() if i in place
                           else e.replace_columns(item.expr, now), item.pos, item.origin)  # type: ignore[arg-type]
                      for i, item in enumerate(items)]
        return self._projected(plan)

    def _projected(self, plan: PlanNode) -> tuple[PlanNode, list[Field]]:
        """The select list as columns; a plain column keeps its id, once."""
        available = {f.id for f in plan.output}
        assignments: list[tuple[Field, Expr]] = []
        for item in self.items:
            expr = item.expr
            if isinstance(expr, e.ColumnRef) and expr.id in available:
                available.discard(expr.id)
                made = Field(expr.id, item.name, expr.type)
            else:
                made = self.context.field(item.name, expr.type)
            assignments.append((made, expr))
        return Project(plan, tuple(assignments)), [f for f, _ in assignments]

    def _distinct(self, plan: PlanNode, fields: list[Field], unique_on: dict[int, int],
                  ordering: Sequence[Ordering]) -> PlanNode:
        """DISTINCT, or DISTINCT ON the items `unique_on` (with their places)."""
        if not unique_on:
            if len(fields) > self.visible:
                raise AssertionError("hidden columns under DISTINCT")
            return Aggregate(plan, tuple(fields), ())
        left = dict(unique_on)
        for key in ordering:
            if left and key.index not in unique_on:
                fail(InvalidColumnReference, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
                     next(iter(left.values())))
            left.pop(key.index, None)
        wanted = set(unique_on)
        number = self.context.field("row_number", INT8)
        call = WindowCall("row_number", (), INT8, WindowFrame("rows"))
        partition = tuple(fields[i].ref() for i in dict.fromkeys(unique_on))
        order = tuple(SortKey(fields[k.index].ref(), k.descending, k.nulls_first) for k in ordering if k.index not in wanted)
        below, order = with_order(self.context, plan, order)
        window = Window(below, partition, order, ((number, call),))
        first = Filter(window, e.call("eq", BOOL, number.ref(), Literal(INT8, 1)))
        return Project(first, tuple((f, f.ref()) for f in fields))

    def _sorted(self, plan: PlanNode, fields: list[Field], ordering: Sequence[Ordering]) -> PlanNode:
        keys: dict[int, SortKey] = {}
        for key in ordering:
            keys.setdefault(key.index, SortKey(fields[key.index].ref(), key.descending, key.nulls_first))
        return sorted_by(self.context, plan, list(keys.values()))


def _twins(sets: Sequence[PendingSet], others: Sequence[PendingSet]) -> dict[int, Expr]:
    """For the columns of those of `sets` that are also among `others`: the same columns there."""
    found: dict[int, Expr] = {}
    for pending in sets:
        args = tuple(e.replace_columns(arg, found) for arg in pending.args)
        twin = next((p for p in others if (p.name, p.args) == (pending.name, args)), None)
        if twin is not None:
            found.update((f.id, same.ref()) for f, same in zip(pending.fields, twin.fields, strict=True))
    return found


def limited(query: Level, plan: PlanNode, args: dict[str, Any]) -> PlanNode:
    """LIMIT and OFFSET of a query's clauses over `plan`; they may read columns of the levels around it."""
    limit, offset = args.get("limit"), args.get("offset")
    if limit is None and offset is None:
        return plan
    context = query.context
    level = Level(context, query.parent, query.scope, query.tables)
    count = None if limit is None else _row_count(level, limit.args["expression"], LIMIT)
    skip = None if offset is None else _row_count(level, offset.args["expression"], OFFSET)
    query.refs.update(level.refs)
    if limit is not None and limit.meta.get("ties"):
        if args.get("order") is None:
            fail(SqlSyntaxError, "WITH TIES cannot be specified without ORDER BY clause", -1)
        if count is None:
            raise InvalidLimit("row count cannot be null in FETCH FIRST ... WITH TIES clause")
        return _numbered_limit(context, plan, count, skip, ties=True)
    if level.input_applies:
        return _numbered_limit(context, attach(context, plan, level.input_applies), count, skip)
    return plan if count is None and skip is None else Limit(plan, count, skip)


def _numbered_limit(context: Context, plan: PlanNode, count: Expr | None, skip: Expr | None, ties: bool = False) -> PlanNode:
    """A limit that depends on the rows' order or on a subquery, by the rows' numbers.

        Project(the plan's columns)
          Sort
            Filter(row_number > skip AND row_number (with ties: rank) <= skip + count)
              Window(row_number, rank)
                plan
    """
    below = plan
    while not isinstance(below, Sort) and isinstance(below, (Project, Apply)):
        below = below.children()[0]
    keys = below.keys if isinstance(below, Sort) else ()
    number, rank = context.field("row_number", INT8), context.field("rank", INT8)
    window = Window(_showing_keys(plan), (), keys, ((number, WindowCall("row_number", (), INT8, WindowFrame("rows"))),
                                     (rank, WindowCall("rank", (), INT8))))
    parts: list[Expr] = []
    start = e.call("coalesce", INT8, skip, Literal(INT8, 0)) if skip is not None else Literal(INT8, 0)
    if skip is not None:
        parts.append(e.call("gt", BOOL, number.ref(), start))
    if count is not None:
        inside = e.call("le", BOOL, (rank if ties else number).ref(), e.call("add", INT8, start, count))
        parts.append(Call(BOOL, "or", (e.call("is_null", BOOL, count), inside)))
    kept = filtered(window, e.conjunction(parts) if parts else None)
    return Project(Sort(kept, keys) if keys else kept, tuple((f, f.ref()) for f in plan.output))


def _showing_keys(plan: PlanNode) -> PlanNode:
    """`plan` without a projection that leaves out what its rows are sorted by (see `sorted_by`)."""
    if isinstance(plan, Project) and isinstance(plan.input, Sort) and all(
            isinstance(value, ColumnRef) and value.id == made.id for made, value in plan.assignments):
        return plan.input
    if isinstance(plan, (Project, Apply)):
        first, *rest = plan.children()
        return plan.with_children((_showing_keys(first), *rest))
    return plan


def _row_count(level: Level, node: Any, clause: Any) -> Expr | None:
    context = level.context
    binder = ExpressionBinder(level, clause)
    given = binder.bind(node)
    if not can_coerce(given.type, INT8, "assignment"):
        fail(DatatypeMismatch, f"argument of {clause.name} must be type bigint, not type {bare_type(given.type).sql}",
             node.pos)
    bound = coerce(context, given, INT8, node.pos, "assignment")
    if isinstance(bound, Literal):
        if bound.value is None:
            return None
        if bound.value < 0:
            raise (InvalidLimit if clause is LIMIT else InvalidOffset)(f"{clause.name} must not be negative")
    return bound


def _dependence(level: Level) -> Callable[[int, set[int]], bool]:
    """Whether a column's table has its primary key among grouped columns, so that grouping fixes the column too."""
    def dependent(column: int, grouped: set[int]) -> bool:
        for relation in level.scope.relations:
            own = {c.expr.id: c for c in relation.columns if isinstance(c.expr, e.ColumnRef)}
            if column not in own or relation.handle is None:
                continue
            connector = level.context.namespace.catalogs.connector(relation.handle.catalog)
            table_columns = {c.origin[3]: i for i, c in own.items() if c.origin is not None}
            names = [c.name for c in connector.columns(relation.handle)]
            for constraint in connector.constraints(relation.handle):
                if constraint.kind == "primary":
                    ids = {table_columns.get(names.index(name)) for name in constraint.columns if name in names}
                    if ids and ids <= grouped:
                        return True
        return False
    return dependent
