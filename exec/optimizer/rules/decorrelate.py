"""Turns every Apply (a subquery run for each row) into joins.

    Filter (m)                                  Filter (m)
      Apply exists m                     ->       Join mark m on a = b
        L                                           L
        Filter (L.a = R.b)                          R
          R

    Apply scalar m                              Project m = 0.2 * s
      L                                           Join left on a = b
      Project 0.2 * s                    ->         L
        Aggregate s = avg(x)                        Aggregate by b: s = avg(x)
          Filter (L.a = R.b)                          R
            R

count() of no rows is 0, not NULL: it is wrapped in coalesce above the join. A mark that only filters becomes a
semi or anti join when predicates are pushed down. Subqueries that use outer columns elsewhere go the general way
of exec/optimizer/unnesting.py. Inner Applies are removed before the ones around them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from shoal.catalog.types import BOOL, INT8
from shoal.exec.optimizer.columns import columns, free_columns, output_ids, passed_on, references, refresh
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.expressions import MIRRORED
from shoal.exec.optimizer.joins import key_type, make_join
from shoal.exec.optimizer.unnesting import (
    ZERO,
    CannotPullUp,
    DomainPush,
    at_most_one,
    checked_single,
    empty_value,
    equality_keys,
    join_null_safe,
    limit_parts,
    may_raise,
    pull_up,
)
from shoal.exec.plan.expr import (
    FALSE,
    TRUE,
    AggregateCall,
    Call,
    Case,
    ColumnRef,
    Expr,
    Literal,
    call,
    conjunction,
    conjuncts,
    replace_columns,
)
from shoal.exec.plan.nodes import (
    Aggregate,
    Apply,
    EnforceSingleRow,
    Field,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    SharedRows,
    Sort,
    TableFunction,
    TableWrite,
    TopN,
    Values,
    With,
    free_tables,
    walk_plan,
)

_NULL_BOOL = Literal(BOOL, None)


def decorrelate(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    if not any(isinstance(node, Apply) for node in walk_plan(plan)):
        return plan
    return _Decorrelation(plan, context).whole(plan)


class _Decorrelation:
    def __init__(self, plan: PlanNode, context: OptimizerContext) -> None:
        self.context = context
        self.shared: list[tuple[int, PlanNode]] = []
        """Rows to be computed once, with their numbers, that are not in the plan yet."""
        uses: Counter[int] = Counter()
        self.positive: set[int] = set()
        self.negative: set[int] = set()
        for node in walk_plan(plan):
            uses.update(references(node))
            if isinstance(node, Filter):
                for part in conjuncts(node.predicate):
                    if isinstance(part, ColumnRef):
                        self.positive.add(part.id)
                    elif isinstance(part, Call) and part.name == "not" and isinstance(part.args[0], ColumnRef):
                        self.negative.add(part.args[0].id)
        self.positive = {i for i in self.positive if uses[i] == 1}
        self.negative = {i for i in self.negative if uses[i] == 1}

    def whole(self, plan: PlanNode) -> PlanNode:
        """The plan, in a With if there are rows to be shared that were not before."""
        if isinstance(plan, (Project, TableWrite)) and any(isinstance(node, With) for node in walk_plan(plan)):
            return replace(plan, input=self.whole(plan.input))
        if isinstance(plan, With):
            self.context.last_id = max(self.context.last_id, *plan.numbers)
        numbers: list[int] = []
        inputs: list[PlanNode] = []
        parts = zip((*plan.numbers, 0), plan.inputs, strict=True) if isinstance(plan, With) else [(0, plan)]
        for number, part in parts:
            made = self.visit(part)
            for shared, rows in self.shared:
                numbers.append(shared)
                inputs.append(rows)
            self.shared.clear()
            inputs.append(made)
            numbers.append(number)
        return With(tuple(numbers[:-1]), tuple(inputs)) if len(inputs) > 1 else inputs[0]

    def share(self, rows: PlanNode) -> tuple[PlanNode, Callable[[], tuple[PlanNode, dict[int, ColumnRef]]]] | None:
        """Has the rows computed once: a reader of them with the same columns, and a maker of more readers. None for rows
        that depend on something around them."""
        if free_columns(rows) or free_tables(rows):
            return None
        definition, renamed = refresh(rows, self.context.next_id)
        number = self.context.next_id()
        self.shared.append((number, definition))
        fields = rows.output
        columns = tuple(renamed[f.id].id for f in fields)

        def another() -> tuple[PlanNode, dict[int, ColumnRef]]:
            own = tuple(self.context.new_field(f.name, f.type) for f in fields)
            return SharedRows(number, own, columns), {old.id: new.ref() for old, new in zip(fields, own, strict=True)}

        return SharedRows(number, fields, columns), another

    def visit(self, node: PlanNode) -> PlanNode:
        children = node.children()
        if children:
            rebuilt = tuple([self.visit(child) for child in children])
            if any(a is not b for a, b in zip(rebuilt, children, strict=True)):
                node = node.with_children(rebuilt)
        return self.remove(node) if isinstance(node, Apply) else node

    def remove(self, node: Apply) -> PlanNode:
        outer = free_columns(node.right)
        match node.kind:
            case "scalar":
                return self.scalar(node, outer)
            case "exists":
                return self.exists(node, outer)
            case "any":
                return self.any(node, outer)
        return self.lateral(node, outer)

    # Scalar ----------------------------------------------------------------------------------------------------------

    def scalar(self, node: Apply, outer: set[int]) -> PlanNode:
        assert node.mark is not None
        value = node.right.output[0]
        inlined = self.inline(node.left, node.right, guard=node.guard)
        if inlined is not None and at_most_one(node.right):
            return Project(inlined, (*passed_on(node.left.output), (node.mark, value.ref())))
        own = outer & output_ids(node.left)
        if not own and node.guard is not None and not _exactly_one(node.right):
            right, result = self.checked(node.right, (), value)
            return Project(Join("inner", node.left, right), (*passed_on(node.left.output),
                                                             (node.mark, _guarded(node.guard, result))))
        if not own:
            single = node.right if _exactly_one(node.right) else EnforceSingleRow(node.right)
            joined = Join("inner", node.left, single)
            return Project(joined, (*passed_on(node.left.output), (node.mark, value.ref())))
        try:
            return self.scalar_by_keys(node, outer)
        except CannotPullUp:
            pass
        push = DomainPush(node.left, own, self.context, self.share, node.guard)
        right, mapping = push.push(node.right)
        result = value.ref()
        if not at_most_one(node.right):
            right, result = self.checked(right, list(mapping.values()), value)
        pairs = [(f.ref(), mapping[f.id]) for f in push.fields]
        joined = join_null_safe("left", push.left, right, pairs, self.context)
        return Project(joined, (*passed_on(node.left.output), (node.mark, _guarded(node.guard, result))))

    def checked(self, node: PlanNode, keys: Sequence[ColumnRef], value: Field) -> tuple[PlanNode, Expr]:
        """One row for each value of the keys, and the value with a check that there was no second row."""
        first = self.context.new_field(value.name, value.type)
        count = self.context.new_field("count", INT8)
        groups = tuple(Field(k.id, k.name, k.type) for k in dict.fromkeys(keys))
        grouped = Aggregate(node, groups, ((first, AggregateCall("any_value", (value.ref(),), value.type)),
                                           (count, AggregateCall("count", (), INT8))))
        return grouped, checked_single(first.ref(), count.ref())

    def scalar_by_keys(self, node: Apply, outer: set[int]) -> PlanNode:
        """The usual case: an aggregate (or at most one row) for each value of columns that equal outer ones."""
        assert node.mark is not None
        below: PlanNode = node.right
        result: Expr = below.output[0].ref()
        if not at_most_one(below):
            below, pulled = pull_up(below, outer, self.context)
            below, keys, pulled = equality_keys(below, pulled, outer, self.context)
            below, result = self.checked(below, keys, node.right.output[0])
        elif (peeled := _peel_to_aggregate(below, result)) is not None:
            aggregate, result = peeled
            below, pulled = pull_up(aggregate.input, outer, self.context)
            below, keys, pulled = equality_keys(below, pulled, outer, self.context)
            groups = tuple(Field(k.id, k.name, k.type) for k in dict.fromkeys(keys))
            below = Aggregate(below, groups, aggregate.aggregates)
            result = replace_columns(result, {f.id: empty_value(c, f.ref()) for f, c in aggregate.aggregates})
        else:
            below, pulled = pull_up(below, outer, self.context)
        if node.guard is not None and any(isinstance(part, Project) and any(may_raise(e) for _, e in part.assignments)
                                          for part in walk_plan(below)):
            raise CannotPullUp
        joined = Join("left", node.left, below, (), conjunction(pulled) if pulled else None)
        return Project(joined, (*passed_on(node.left.output), (node.mark, _guarded(node.guard, result))))

    # EXISTS and IN ---------------------------------------------------------------------------------------------------

    def exists(self, node: Apply, outer: set[int]) -> PlanNode:
        assert node.mark is not None
        right = _peel_existence(node.right)
        if isinstance(right, Aggregate) and not right.groups:
            return Project(node.left, (*passed_on(node.left.output), (node.mark, TRUE)))
        if not outer:
            return self.exists_uncorrelated(node, right)
        try:
            right, pulled = pull_up(right, outer, self.context)
        except CannotPullUp:
            return self.by_domain(node, right, outer)
        return Join("mark", node.left, right, (), conjunction(pulled) if pulled else None, mark=node.mark)

    def exists_uncorrelated(self, node: Apply, right: PlanNode) -> PlanNode:
        """The same for all rows: whether one row can be counted."""
        assert node.mark is not None
        count = self.context.new_field("count", INT8)
        counted = Aggregate(Limit(right, Literal(INT8, 1)), (), ((count, AggregateCall("count", (), INT8)),))
        return Project(Join("inner", node.left, counted),
                       (*passed_on(node.left.output), (node.mark, call("gt", BOOL, count.ref(), ZERO))))

    def by_domain(self, node: Apply, right: PlanNode, outer: set[int], condition: Expr | None = None) -> PlanNode:
        """A mark join with the subquery's rows for each distinct value of the outer columns."""
        push = DomainPush(node.left, outer & output_ids(node.left), self.context, self.share)
        right, mapping = push.push(right)
        pairs = [(f.ref(), mapping[f.id]) for f in push.fields]
        return join_null_safe("mark", push.left, right, pairs, self.context, condition=condition, mark=node.mark)

    def any(self, node: Apply, outer: set[int]) -> PlanNode:
        assert node.mark is not None
        tests = [call(node.operator, BOOL, a, f.ref()) for a, f in zip(node.comparand, node.right.output, strict=False)]
        if node.mark.id in self.positive:
            return self.test(node, outer, conjunction(list(tests)), node.mark)
        uncertain = conjunction([_unless_false(t) for t in tests])
        pairs = [(a, f.ref()) for a, f in zip(node.comparand, node.right.output, strict=False)]
        simple = node.operator == "eq" and len(pairs) == 1
        if simple:
            joined = self.null_aware(node, outer, pairs[0])
            if joined is not None:
                return joined
        if node.mark.id in self.negative:
            return self.test(node, outer, uncertain, node.mark)
        if not outer and len(pairs) == 1 and node.operator in MIRRORED:
            return self.extremes(node, pairs[0])
        return self.two_marks(node, outer, conjunction(list(tests)), uncertain)

    def test(self, node: Apply, outer: set[int], condition: Expr, mark: Field) -> PlanNode:
        """A mark join: TRUE where some row of the subquery meets the condition, else FALSE."""
        try:
            right, pulled = pull_up(node.right, outer, self.context)
        except CannotPullUp:
            return self.by_domain(replace(node, mark=mark), node.right, outer, condition)
        return Join("mark", node.left, right, (), conjunction([*pulled, *conjuncts(condition)]), mark=mark)

    def null_aware(self, node: Apply, outer: set[int], pair: tuple[ColumnRef, ColumnRef]) -> PlanNode | None:
        """x IN (subquery) as one join that knows of NULLs; None where the correlation is no plain equality."""
        try:
            right, pulled = pull_up(node.right, outer, self.context)
        except CannotPullUp:
            return None
        left_ids, right_ids = output_ids(node.left), output_ids(right)
        if key_type(pair[0].type, pair[1].type) is None:
            return None
        for part in pulled:
            if not (isinstance(part, Call) and part.name == "eq" and all(isinstance(a, ColumnRef) for a in part.args)):
                return None
            a, b = part.args
            assert isinstance(a, ColumnRef) and isinstance(b, ColumnRef)
            if b.id in left_ids and a.id in right_ids:
                a, b = b, a
            if a.id not in left_ids or b.id not in right_ids or key_type(a.type, b.type) is None:
                return None
        return make_join("mark", node.left, right, pulled, self.context, left_ids=left_ids, right_ids=right_ids,
                         keys=(pair,), null_aware=True, mark=node.mark)

    def two_marks(self, node: Apply, outer: set[int], sure: Expr, uncertain: Expr) -> PlanNode:
        """CASE WHEN some row compares TRUE THEN true WHEN some compares NULL THEN NULL ELSE false."""
        assert node.mark is not None
        sure_mark, uncertain_mark = self.context.new_field("sure", BOOL), self.context.new_field("uncertain", BOOL)
        first = self.test(node, outer, sure, sure_mark)
        copy, renamed = refresh(node.right, self.context.next_id)
        again = Apply("any", first, copy, uncertain_mark, node.comparand, node.operator, node.correlation)
        second = self.test(again, outer, replace_columns(uncertain, dict(renamed)), uncertain_mark)
        value = Case(BOOL, (sure_mark.ref(), uncertain_mark.ref()), (TRUE, _NULL_BOOL), FALSE)
        return Project(second, (*passed_on(node.left.output), (node.mark, value)))

    def extremes(self, node: Apply, pair: tuple[ColumnRef, ColumnRef]) -> PlanNode:
        """x < ANY (uncorrelated subquery) from its maximum, minimum and counts."""
        assert node.mark is not None
        value, column = pair
        made = {name: self.context.new_field(name, column.type if name in ("min", "max") else INT8)
                for name in ("min", "max", "count", "present")}
        summary = Aggregate(node.right, (), (
            (made["min"], AggregateCall("min", (column,), column.type)),
            (made["max"], AggregateCall("max", (column,), column.type)),
            (made["count"], AggregateCall("count", (), INT8)),
            (made["present"], AggregateCall("count", (column,), INT8))))
        bounds = {"lt": ("max",), "le": ("max",), "gt": ("min",), "ge": ("min",)}.get(node.operator, ("min", "max"))
        tests = [call(node.operator, BOOL, value, made[b].ref()) for b in bounds]
        sure = tests[0] if len(tests) == 1 else call("or", BOOL, *tests)
        uncertain = call("or", BOOL, call("is_null", BOOL, value),
                         call("ne", BOOL, made["count"].ref(), made["present"].ref()))
        result = Case(BOOL, (call("eq", BOOL, made["count"].ref(), ZERO), sure, uncertain), (FALSE, TRUE, _NULL_BOOL), FALSE)
        return Project(Join("inner", node.left, summary), (*passed_on(node.left.output), (node.mark, result)))

    # LATERAL ---------------------------------------------------------------------------------------------------------

    def lateral(self, node: Apply, outer: set[int]) -> PlanNode:
        own = outer & output_ids(node.left)
        kind = node.kind
        if not own:
            return Join(kind, node.left, node.right, (), node.condition)  # type: ignore[arg-type]
        inlined = self.inline(node.left, node.right, keep_outer=kind == "left" and node.condition is None)
        if inlined is not None and (kind == "inner" or (isinstance(node.right, TableFunction) and node.condition is None)):
            return Filter(inlined, node.condition) if node.condition is not None else inlined
        try:
            right = node.right
            assignments: tuple[tuple[Field, Expr], ...] | None = None
            if isinstance(right, Project) and kind == "inner" and any(columns(e) & outer for _, e in right.assignments):
                assignments, right = right.assignments, right.input
            right, pulled = pull_up(right, outer, self.context)
            parts = [*pulled, *conjuncts(node.condition)] if assignments is None else pulled
            joined: PlanNode = Join(kind, node.left, right, (),  # type: ignore[arg-type]
                                    conjunction(parts) if parts else None)
            if assignments is not None:
                joined = Project(joined, (*passed_on(node.left.output), *assignments))
                joined = Filter(joined, node.condition) if node.condition is not None else joined
            return joined
        except CannotPullUp:
            pass
        push = DomainPush(node.left, own, self.context, self.share)
        right, mapping = push.push(node.right)
        pairs = [(f.ref(), mapping[f.id]) for f in push.fields]
        return join_null_safe(kind, push.left, right, pairs, self.context, condition=node.condition)

    def inline(self, left: PlanNode, right: PlanNode, keep_outer: bool = False,
               guard: ColumnRef | None = None) -> PlanNode | None:
        """Projections, filters and set-returning functions over the one-row relation, run over `left` itself; with a
        `guard` computed only where it is true."""
        match right:
            case Values() if not right.fields and len(right.rows) == 1:
                return left
            case Project():
                below = self.inline(left, right.input, guard=guard)
                kept = {f.id for f, _ in right.assignments}
                return None if below is None else Project(
                    below, (*passed_on(f for f in left.output if f.id not in kept),
                            *((f, _guarded(guard, expr)) for f, expr in right.assignments)))
            case TableFunction():
                below = self.inline(left, right.input)
                return None if below is None else TableFunction(below, right.functions, right.fields, right.ordinality,
                                                                right.outer or keep_outer)
            case Filter():
                below = self.inline(left, right.input)
                return None if below is None or at_most_one(right) else Filter(below, right.predicate)
        return None


def _guarded(guard: ColumnRef | None, value: Expr) -> Expr:
    """The value where the guard is true, NULL elsewhere."""
    return value if guard is None or isinstance(value, ColumnRef) else Case(
        value.type, (guard,), (value,), Literal(value.type, None))


def _unless_false(test: Call) -> Expr:
    """TRUE where a comparison is TRUE or NULL."""
    return call("or", BOOL, test, *(call("is_null", BOOL, arg) for arg in test.args))


def _exactly_one(node: PlanNode) -> bool:
    match node:
        case Aggregate():
            return not node.groups
        case EnforceSingleRow():
            return True
        case Values():
            return len(node.rows) == 1
        case Project():
            return _exactly_one(node.input)
    return False


def _peel_to_aggregate(node: PlanNode, value: Expr) -> tuple[Aggregate, Expr] | None:
    """The scalar aggregate under projections and HAVING, and the subquery's value over the aggregate's columns."""
    match node:
        case Aggregate():
            return None if node.groups else (node, value)
        case Project():
            return _peel_to_aggregate(node.input, replace_columns(value, {f.id: e for f, e in node.assignments}))
        case EnforceSingleRow() | Sort():
            return _peel_to_aggregate(node.input, value)
        case Filter():
            return _peel_to_aggregate(node.input, Case(value.type, (node.predicate,), (value,), Literal(value.type, None)))
        case Limit():
            if isinstance(node.count, Literal) and node.count.value and node.offset is None:
                return _peel_to_aggregate(node.input, value)
    return None


def _peel_existence(node: PlanNode) -> PlanNode:
    """Without what does not change whether there is a row."""
    while True:
        match node:
            case Project() | Sort():
                node = node.input
            case Aggregate() if node.groups:
                node = node.input
            case Limit() | TopN():
                _, _, count, offset, _ = limit_parts(node)
                if offset is not None or not (count is None or (isinstance(count, Literal) and count.value)):
                    return node
                node = node.input
            case _:
                return node
