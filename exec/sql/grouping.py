"""GROUP BY: what is grouped by, which columns may be used above, and the Aggregate that does it (hop 2).

Plain grouping keeps the ids of grouped columns:

    Aggregate(groups, aggregates)
      Project(group expressions and arguments, where computed)
        input

GROUPING SETS, ROLLUP and CUBE pass each input row on once for each set, with the keys outside the set NULL:

    Aggregate(keys, set number; aggregates)
      [Union ALL with one row for the empty set, which must show even without input]
        Project(CASE WHEN set contains key THEN key END ..., set number, arguments)
          Join(cross) with Values(set numbers)

Spec: PostgreSQL 15 documentation, 7.2.3 and 7.2.4; wording of parse_agg.c.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal.catalog.errors import (
    AmbiguousColumn,
    GroupingError,
    InvalidColumnReference,
    SqlSyntaxError,
    StatementTooComplex,
)
from shoal.catalog.types import BOOL, INT4
from shoal.exec.functions.registry import exact
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import AggregateCall, Call, ColumnRef, Expr, Literal, Parameter, SortKey
from shoal.exec.plan.nodes import Aggregate, Field, Join, PlanNode, Project, Union, Values
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import settle
from shoal.exec.sql.context import GROUP_BY, Context, Level, PendingAggregate, PendingApply, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.planning import ONE_ROW, attach, with_sets

MAX_SETS = 4096


@dataclass(slots=True)
class PendingGrouping:
    """GROUPING(args): a bit for each argument that the row's grouping set leaves out."""

    field: Field
    args: tuple[Expr, ...]
    places: tuple[int, ...]


@dataclass(slots=True)
class Grouping:
    """The grouping of one level. `sets`: indexes into `keys` for each grouping set, None for plain GROUP BY."""

    level: Level
    keys: list[Expr]
    sets: list[tuple[int, ...]] | None
    fields: dict[Expr, Field] = field(default_factory=dict)
    input_ids: set[int] = field(default_factory=set)
    dependent: Callable[[int, set[int]], bool] = lambda column, keys: False
    """Whether a column of the input is fixed by the grouped columns (its table's primary key is among them)."""
    twins: dict[int, Expr] = field(default_factory=dict)
    """For the marks of subqueries that GROUP BY has too: its marks."""
    kept: set[int] = field(default_factory=set)
    """Those of them that stand where no grouped expression does."""

    def prepare(self, above: Sequence[PendingApply] = ()) -> None:
        """Gives each key its output column. `above`: the subqueries over the grouping."""
        grouped = [apply for apply in self.level.input_applies if apply.written is not None]
        for apply in (*grouped, *above) if grouped else ():
            twin = _twin(apply, grouped)
            if twin is not None:
                self.twins[apply.mark.id] = twin
        context = self.level.context
        for key in self.keys:
            if key not in self.fields:
                keep = isinstance(key, ColumnRef) and self.sets is None and key.id in self.input_ids
                name = key.name if isinstance(key, ColumnRef) else "group"
                self.fields[key] = Field(key.id, name, key.type) if keep and isinstance(key, ColumnRef) else context.field(
                    name, key.type)

    def rewrite(self, expr: Expr) -> Expr:
        """`expr` over the grouped columns. Raises: GroupingError (42803) for a column that is not grouped."""
        found = self.fields.get(expr)
        if found is None and self.twins:
            found = self.fields.get(e.replace_columns(expr, self.twins))
        if found is not None:
            return found.ref()
        if isinstance(expr, ColumnRef):
            self.kept.add(expr.id)
            if expr.id in self.input_ids:
                self._ungrouped(expr)
            return expr
        children = expr.children()
        if not children:
            return expr
        rebuilt = tuple(self.rewrite(child) for child in children)
        same = all(new is old for new, old in zip(rebuilt, children, strict=True))
        return expr if same else expr.with_children(rebuilt)

    def check_outer(self, refs: frozenset[int]) -> None:
        """A subquery above the grouping may read grouped columns only."""
        for column in refs & self.input_ids:
            if not any(isinstance(k, ColumnRef) and k.id == column for k in self.fields):
                self._ungrouped(ColumnRef(INT4, column), subquery=True)

    def seen_by(self, apply: PendingApply) -> None:
        """Has a subquery read the grouped columns, which GROUPING SETS give ids of their own."""
        now = {key.id: field.ref() for key, field in self.fields.items()
               if isinstance(key, ColumnRef) and key.id in apply.refs and key.id != field.id}
        if now:
            apply.right = rebuild(apply.right, lambda part: now.get(part.id) if isinstance(part, ColumnRef) else None)
            apply.refs = (apply.refs - now.keys()) | {ref.id for ref in now.values()}

    def _ungrouped(self, ref: ColumnRef, subquery: bool = False) -> None:
        plain = {k.id for k in self.fields if isinstance(k, ColumnRef)}
        if self.sets is None and self.dependent(ref.id, plain):
            if subquery:
                ref = next(c.expr for r in self.level.scope.relations for c in r.columns
                           if isinstance(c.expr, ColumnRef) and c.expr.id == ref.id)
            self.keys.append(ref)
            self.fields[ref] = Field(ref.id, ref.name, ref.type)
            return
        pos, display = next(((p, d) for i, p, d in self.level.uses if i == ref.id), (-1, ref.name))
        if subquery:
            fail(GroupingError, f'subquery uses ungrouped column "{display}" from outer query', pos)
        fail(GroupingError, f'column "{display}" must appear in the GROUP BY clause or be used in an aggregate function',
             pos)

    def plan(self, context: Context, plan: PlanNode) -> PlanNode:
        """The Aggregate over `plan`, which has the level's WHERE behind it."""
        level = self.level
        for pending in level.aggregates:
            self._check_direct(pending)
        plan = with_sets(context, attach(context, plan, level.input_applies), level.input_sets)
        if self.sets is None:
            if not self.keys and not level.aggregates:
                return ONE_ROW  # HAVING alone: PostgreSQL does not read the tables either
            plan, aggregates = self._arguments(context, plan)
            return Aggregate(plan, tuple(dict.fromkeys(self.fields[k] for k in self.keys)), tuple(aggregates))
        return self._plan_sets(context, plan)

    def _check_direct(self, pending: PendingAggregate) -> None:
        """Raises: GroupingError (42803) for a direct argument that differs within a group."""
        try:
            for arg in pending.args[:pending.direct]:
                self.rewrite(arg)
        except GroupingError as error:
            error.detail = "Direct arguments of an ordered-set aggregate must use only grouped columns."
            raise

    def _arguments(self, context: Context, plan: PlanNode,
                   extra: Sequence[tuple[Field, Expr]] = ()) -> tuple[PlanNode, list[tuple[Field, AggregateCall]]]:
        """`plan` with group keys, `extra` columns and whatever aggregates take as plain columns, and their calls."""
        made: dict[Expr, Field] = {}
        needed: dict[int, tuple[Field, Expr]] = {}
        known = {f.id for f in plan.output}

        def column(expr: Expr) -> ColumnRef:
            if isinstance(expr, ColumnRef) and expr.id in known:
                needed.setdefault(expr.id, (Field(expr.id, expr.name, expr.type), expr))
                return expr
            found = made.get(expr)
            if found is None:
                found = made[expr] = context.field("argument", expr.type)
                needed[found.id] = (found, expr)
            return found.ref()

        computes = False
        if self.sets is None:
            for key in self.keys:
                target = self.fields[key]
                needed[target.id] = (target, key)
                made[key] = target
        for target, expr in extra:
            needed[target.id] = (target, expr)
        calls = [(pending.field, self._call(pending, column)) for pending in self.level.aggregates]
        computes = any(not (isinstance(expr, ColumnRef) and expr.id == target.id) for target, expr in needed.values())
        if computes:
            plan = Project(plan, tuple(needed.values()))
        return plan, calls

    @staticmethod
    def _call(pending: PendingAggregate, column: Callable[[Expr], ColumnRef]) -> AggregateCall:
        def computed(expr: Expr) -> ColumnRef:
            return column(where_chosen(expr, pending.filter))
        args = tuple(a if isinstance(a, (Literal, Parameter)) else computed(a) for a in pending.args)
        order = tuple(SortKey(computed(o.expr), o.descending, o.nulls_first) for o in pending.order)
        return AggregateCall(pending.name, args, pending.field.type, pending.distinct,
                             None if pending.filter is None else column(pending.filter), order)

    def _plan_sets(self, context: Context, plan: PlanNode) -> PlanNode:
        assert self.sets is not None
        number, present = context.field("grouping_set", INT4), context.field("present", BOOL)
        numbers = Values((number,), tuple((Literal(INT4, i),) for i in range(len(self.sets))))
        extra: list[tuple[Field, Expr]] = []
        plan = Join("inner", plan, numbers)
        for index, key in enumerate(self.keys):
            inside = [Literal(INT4, i) for i, chosen in enumerate(self.sets) if index in chosen]
            value: Expr = key
            if len(inside) < len(self.sets):
                is_inside: Expr = Call(BOOL, "in", (number.ref(), *inside)) if len(inside) > 1 else (
                    Call(BOOL, "eq", (number.ref(), inside[0])) if inside else e.FALSE)
                value = e.Case(key.type, (is_inside,), (key,), Literal(key.type, None))
            extra.append((self.fields[key], value))
        extra.append((number, number.ref()))
        guard = () in self.sets
        if guard:
            extra.append((present, e.TRUE))
        plan, calls = self._arguments(context, plan, extra)
        groups = [self.fields[k] for k in self.keys] + [number]
        if guard:
            plan, mapping = self._with_empty_set(context, plan, number)
            present = mapping[present.id]
            calls = [(f, _remapped(call, mapping)) for f, call in calls]
            calls = [(f, call if pending.strict and not isinstance(call.args[0], (Literal, Parameter))
                      else _where_present(call, present))
                     for (f, call), pending in zip(calls, self.level.aggregates, strict=True)]
            self.fields = {key: mapping[f.id] for key, f in self.fields.items()}
            groups = [mapping[f.id] for f in groups]
            number = groups[-1]
        plan = Aggregate(plan, tuple(groups), tuple(calls))
        return self._with_groupings(plan, number)

    def _with_empty_set(self, context: Context, plan: PlanNode, number: Field) -> tuple[PlanNode, dict[int, Field]]:
        """The rows plus one of NULLs for each empty grouping set."""
        assert self.sets is not None
        fields = tuple(context.field(f.name, f.type) for f in plan.output)
        rows = tuple(tuple(Literal(f.type, index if f.id == number.id else None) for f in plan.output)
                     for index, chosen in enumerate(self.sets) if not chosen)
        lone = tuple(context.field(f.name, f.type) for f in plan.output)
        union = Union((plan, Values(lone, rows)), fields, (tuple(f.id for f in plan.output), tuple(f.id for f in lone)))
        return union, {old.id: new for old, new in zip(plan.output, fields, strict=True)}

    def _with_groupings(self, plan: PlanNode, number: Field) -> PlanNode:
        """GROUPING() values, computed from the set's number."""
        if not self.level.groupings:
            return plan
        assert self.sets is not None
        made: list[tuple[Field, Expr]] = [(f, f.ref()) for f in plan.output]
        for pending in self.level.groupings:
            indexes = self.argument_indexes(pending)
            values = [sum(1 << (len(indexes) - 1 - place) for place, index in enumerate(indexes) if index not in chosen)
                      for chosen in self.sets]
            conditions = tuple(Call(BOOL, "eq", (number.ref(), Literal(INT4, i))) for i in range(len(values) - 1))
            results = tuple(Literal(INT4, v) for v in values)
            made.append((pending.field, e.Case(INT4, conditions, results[:-1], results[-1]) if conditions else results[0]))
        return Project(plan, tuple(made))

    def argument_indexes(self, pending: PendingGrouping) -> list[int]:
        indexes = []
        for arg, pos in zip((e.replace_columns(arg, self.twins) for arg in pending.args), pending.places, strict=True):
            if arg not in self.keys:
                fail(GroupingError, "arguments to GROUPING must be grouping expressions of the associated query level", pos)
            indexes.append(self.keys.index(arg))
        return indexes


def where_chosen(expr: Expr, condition: Expr | None) -> Expr:
    """`expr` as an argument of a call with FILTER: where rows are left out it must not be computed if that may raise."""
    if condition is None or not _may_raise(expr):
        return expr
    return e.Case(expr.type, (condition,), (expr,), Literal(expr.type, None))


def _may_raise(expr: Expr) -> bool:
    if isinstance(expr, Call):
        function = exact(expr.name, [arg.type for arg in expr.args])
        if function is None or function.raises:
            return True
    return isinstance(expr, e.Cast) or any(map(_may_raise, expr.children()))


def _remapped(call: AggregateCall, mapping: dict[int, Field]) -> AggregateCall:
    def moved(expr: Any) -> Any:
        return mapping[expr.id].ref() if isinstance(expr, ColumnRef) and expr.id in mapping else expr
    return AggregateCall(call.name, tuple(map(moved, call.args)), call.type, call.distinct, moved(call.filter),
                         tuple(SortKey(moved(k.column), k.descending, k.nulls_first) for k in call.order_by))


def _where_present(call: AggregateCall, present: Field) -> AggregateCall:
    """An aggregate that counts NULLs, or constants, kept from seeing the row that stands for the empty set."""
    if call.name == "count" and not call.args and call.filter is None:
        return AggregateCall("count", (present.ref(),), call.type)
    if call.filter is not None:
        return call  # NULL in the added row, so it is left out already
    return AggregateCall(call.name, call.args, call.type, call.distinct, present.ref(), call.order_by)


# What GROUP BY names

def _twin(apply: PendingApply, others: Sequence[PendingApply]) -> Expr | None:
    """The mark of the first of `others` that is written as `apply` is; None where that is `apply` itself, or none is."""
    if apply.written is None:
        return None
    first = next((one for one in others if one is apply or s.same(one.written, apply.written)), apply)
    return None if first is apply else first.mark.ref()


@dataclass(slots=True)
class Candidate:
    """A select-list entry as GROUP BY and ORDER BY may mean it."""

    name: str
    expr: Expr


def bind_groups(level: Level, nodes: Sequence[Any], targets: Sequence[Candidate], input_ids: set[int],
                distinct: bool = False) -> Grouping:
    """The grouping that GROUP BY asks for. `distinct`: equal grouping sets count once."""
    keys: dict[Expr, int] = {}
    b = ExpressionBinder(level, GROUP_BY)

    def key(node: Any) -> int:
        known = len(level.input_applies)
        expr = _group_expression(b, node, targets)
        before, made = level.input_applies[:known], level.input_applies[known:]
        for apply in made:
            twin = _twin(apply, before)
            if twin is not None:
                level.input_applies[:] = [one for one in level.input_applies if one is not apply]
                expr = e.replace_columns(expr, {apply.mark.id: twin})
        return keys.setdefault(expr, len(keys))

    if not any(isinstance(node, s.GroupingSets) or (isinstance(node, s.Row) and not node.items) for node in nodes):
        for node in nodes:
            for part in node.items if isinstance(node, s.Row) else [node]:
                key(part)
        return Grouping(level, list(keys), None, input_ids=input_ids)
    parts = [_sets(node, key) for node in nodes]
    size = 1
    for part in parts:
        size *= len(part)
        if size > MAX_SETS:
            raise StatementTooComplex(f"too many grouping sets present (maximum {MAX_SETS})")
    sets = [tuple(dict.fromkeys(itertools.chain(*combination))) for combination in itertools.product(*parts)]
    if distinct:
        sets = list({frozenset(one): one for one in reversed(sets)}.values())[::-1]
    grouping = Grouping(level, list(keys), sets, input_ids=input_ids)
    if not keys and len(sets) == 1:
        grouping.sets = None
    return grouping


def _sets(node: Any, key: Callable[[Any], int]) -> list[tuple[int, ...]]:
    """The grouping sets that one entry of GROUP BY stands for."""
    if not isinstance(node, s.GroupingSets):
        return [tuple(key(part) for part in node.items)] if isinstance(node, s.Row) else [(key(node),)]
    if node.kind == "sets":
        return [chosen for item in node.items for chosen in _sets(item, key)]
    members = [_sets(item, key)[0] for item in node.items]
    if node.kind == "rollup":
        return [tuple(itertools.chain(*members[:n])) for n in range(len(members), -1, -1)]
    if len(members) > 12:
        fail(StatementTooComplex, "CUBE is limited to 12 elements", node.pos)
    return [tuple(itertools.chain(*(m for m, used in zip(members, chosen, strict=True) if used)))
            for chosen in itertools.product((True, False), repeat=len(members))]


def _group_expression(b: ExpressionBinder, node: Any, targets: Sequence[Candidate]) -> Expr:
    level = b.level
    chosen: Expr | None = None
    if isinstance(node, s.Constant):
        if node.kind != "integer":
            fail(SqlSyntaxError, "non-integer constant in GROUP BY", node.pos)
        place = int(node.value)
        if not 1 <= place <= len(targets):
            fail(InvalidColumnReference, f"GROUP BY position {place} is not in select list", node.pos)
        chosen = targets[place - 1].expr
    elif isinstance(node, s.Name) and len(node.parts) == 1 and not level.scope.find(node.parts[0]):
        found = dict.fromkeys(t.expr for t in targets if t.name == node.parts[0])
        if len(found) > 1:
            fail(AmbiguousColumn, f'GROUP BY "{node.parts[0]}" is ambiguous', node.pos)
        chosen = next(iter(found), None)
    if chosen is None:
        chosen = b.bind_settled(node)
    ids = e.columns_of(chosen)
    if ids & {a.field.id for a in level.aggregates}:
        fail(GroupingError, "aggregate functions are not allowed in GROUP BY", node.pos)
    if ids & {w.field.id for w in level.windows}:
        from shoal.catalog.errors import WindowingError
        fail(WindowingError, "window functions are not allowed in GROUP BY", node.pos)
    for pending in [p for p in level.sets if ids & {f.id for f in p.fields}]:
        level.sets.remove(pending)
        level.input_sets.append(pending)
    moved = [a for a in level.output_applies if a.mark.id in ids]
    if any(a.reads() & {known.field.id for known in level.aggregates} for a in moved):
        fail(GroupingError, "aggregate functions are not allowed in GROUP BY", node.pos)
    level.input_applies += moved
    level.output_applies[:] = [a for a in level.output_applies if a not in moved]
    return settle(level.context, chosen, node.pos)
