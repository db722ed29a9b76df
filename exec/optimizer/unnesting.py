"""The two ways to free a subquery's plan from its outer columns; rules/decorrelate.py chooses between them.

`pull_up` lifts the conjuncts that use outer columns to the top, where they become a join's condition; it works
through filters, projections, inner joins and groupings by equality. `push_domain` always works: it joins the
distinct values of the outer columns (the domain) in at the leaves and carries them up through every node, as
in Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from shoal.catalog.errors import FeatureNotSupported
from shoal.catalog.types import BOOL, INT8, OID_LIKE, SqlType
from shoal.exec.functions.registry import find
from shoal.exec.optimizer.columns import columns, filtered, free_columns, output_ids, passed_on, references, refresh
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.plan.expr import (
    AggregateCall,
    Call,
    Case,
    Cast,
    ColumnRef,
    Expr,
    Literal,
    SortKey,
    WindowCall,
    call,
    conjunction,
    conjuncts,
    replace_columns,
    walk,
)
from shoal.exec.plan.nodes import (
    Aggregate,
    AssignUniqueId,
    EnforceSingleRow,
    Field,
    Filter,
    Join,
    Limit,
    PlanNode,
    Project,
    Recursion,
    Sort,
    TableFunction,
    TopN,
    Union,
    Values,
    Window,
    WorkingTable,
    free_tables,
)
from shoal.exec.plan.rewrite import holds_volatile

Pairs = Sequence[tuple[ColumnRef, ColumnRef]]
ZERO = Literal(INT8, 0)


class CannotPullUp(Exception):
    """The subquery's outer columns are used where `pull_up` cannot lift them from."""


def with_columns(node: PlanNode, exprs: Sequence[Expr], context: OptimizerContext) -> tuple[PlanNode, list[ColumnRef]]:
    """The node with each expression as a column of it, projected where it is not one already."""
    refs: list[ColumnRef] = []
    made: list[tuple[Field, Expr]] = []
    for expr in exprs:
        if isinstance(expr, ColumnRef):
            refs.append(expr)
        else:
            field = context.new_field("key", expr.type)
            made.append((field, expr))
            refs.append(field.ref())
    return (Project(node, (*passed_on(node.output), *made)) if made else node), refs


def with_fields(node: PlanNode, ids: set[int], available: PlanNode) -> tuple[tuple[Field, Expr], ...]:
    """Assignments that also pass on those columns of `available` that a Project does not give out yet."""
    assert isinstance(node, Project)
    have = output_ids(node)
    return node.assignments + passed_on(f for f in available.output if f.id in ids and f.id not in have)


def pull_up(node: PlanNode, outer: set[int], context: OptimizerContext) -> tuple[PlanNode, list[Expr]]:
    """The subquery without any use of `outer` columns, and the conjuncts that then must hold for its rows.

    Raises: CannotPullUp.
    """
    if not free_columns(node) & outer:
        return node, []
    match node:
        case Filter():
            below, pulled = pull_up(node.input, outer, context)
            own = conjuncts(node.predicate)
            lifted = [part for part in own if columns(part) & outer]
            return filtered(below, [part for part in own if not columns(part) & outer]), pulled + lifted
        case Project():
            below, pulled = pull_up(node.input, outer, context)
            if any(columns(expr) & outer or (pulled and may_raise(expr)) for _, expr in node.assignments):
                raise CannotPullUp
            return Project(below, with_fields(node, columns(*pulled), below)), pulled
        case Join(kind="inner"):
            left, from_left = pull_up(node.left, outer, context)
            right, from_right = pull_up(node.right, outer, context)
            own = conjuncts(node.condition)
            lifted = [part for part in own if columns(part) & outer]
            kept = [part for part in own if not columns(part) & outer]
            return (replace(node, left=left, right=right, condition=conjunction(kept) if kept else None),
                    from_left + from_right + lifted)
        case Join(kind="left" | "semi" | "anti" | "mark"):
            if (free_columns(node.right) | columns(node.condition)) & outer:
                raise CannotPullUp
            left, pulled = pull_up(node.left, outer, context)
            return replace(node, left=left), pulled
        case Sort():
            return pull_up(node.input, outer, context)
        case Aggregate() if node.groups:
            below, pulled = pull_up(node.input, outer, context)
            below, keys, pulled = equality_keys(below, pulled, outer, context)
            have = {f.id for f in node.groups}
            added = tuple(Field(k.id, k.name, k.type) for k in dict.fromkeys(keys) if k.id not in have)
            return replace(node, input=below, groups=node.groups + added), pulled
        case Window():
            below, pulled = pull_up(node.input, outer, context)
            below, keys, pulled = equality_keys(below, pulled, outer, context)
            added_refs = tuple(k for k in dict.fromkeys(keys) if k not in node.partition)
            return replace(node, input=below, partition=node.partition + added_refs), pulled
        case Limit() | TopN():
            return _pull_through_limit(node, outer, context)
    raise CannotPullUp


def equality_keys(node: PlanNode, pulled: list[Expr], outer: set[int],
                  context: OptimizerContext) -> tuple[PlanNode, list[ColumnRef], list[Expr]]:
    """For conjuncts `inner expression = outer expression` (or of outer columns only): the node with the inner
    expressions as columns, those columns, and the conjuncts in terms of them. Raises: CannotPullUp."""
    inner: list[Expr] = []
    sides: list[tuple[Call, Expr] | Expr] = []
    for part in pulled:
        if columns(part) <= outer:
            sides.append(part)
            continue
        if not (isinstance(part, Call) and part.name == "eq"):
            raise CannotPullUp
        a, b = part.args
        if columns(a) <= outer and not columns(b) & outer:
            a, b = b, a
        if not columns(b) <= outer or columns(a) & outer:
            raise CannotPullUp
        inner.append(a)
        sides.append((part, b))
    node, refs = with_columns(node, inner, context)
    rest = iter(refs)
    rebuilt = [s if isinstance(s, Expr) else Call(BOOL, "eq", (next(rest), s[1])) for s in sides]
    return node, refs, rebuilt


Assignments = tuple[tuple[Field, Expr], ...]


def limit_parts(node: Limit | TopN) -> tuple[PlanNode, tuple[SortKey, ...], Expr | None, Expr | None, Assignments | None]:
    """A limit's input, order, count, offset and the projection between limit and sort, if there is one."""
    if isinstance(node, TopN):
        return node.input, node.keys, Literal(INT8, node.count), None, None
    count, offset = (None if isinstance(expr, Literal) and expr.value is None else expr
                     for expr in (node.count, node.offset))
    below = node.input
    assignments = None
    if isinstance(below, Project) and isinstance(below.input, Sort):
        assignments, below = below.assignments, below.input
    keys: tuple[SortKey, ...] = ()
    if isinstance(below, Sort):
        keys, below = below.keys, below.input
    return below, keys, count, offset, assignments


def numbered(node: PlanNode, partition: tuple[ColumnRef, ...], keys: tuple[SortKey, ...], count: Expr | None,
             offset: Expr | None, context: OptimizerContext) -> PlanNode:
    """LIMIT within each partition, by row_number. A NULL count or offset is none."""
    number = context.new_field("row_number", INT8)
    window = Window(node, partition, keys, ((number, WindowCall("row_number", (), INT8)),))
    place: Expr = number.ref()
    parts: list[Expr] = []
    if offset is not None:
        skipped = offset if isinstance(offset, Literal) else call("coalesce", INT8, offset, ZERO)
        parts.append(call("gt", BOOL, place, skipped))
        place = call("sub", INT8, place, skipped)
    if count is not None:
        inside = call("le", BOOL, place, count)
        parts.append(inside if isinstance(count, Literal) else call("or", BOOL, inside, call("is_null", BOOL, count)))
    return filtered(window, parts)


def _pull_through_limit(node: Limit | TopN, outer: set[int], context: OptimizerContext) -> tuple[PlanNode, list[Expr]]:
    below, keys, count, offset, assignments = limit_parts(node)
    if columns(count, offset) & outer:
        raise CannotPullUp
    below, pulled = pull_up(below, outer, context)
    below, refs, pulled = equality_keys(below, pulled, outer, context)
    limited = numbered(below, tuple(dict.fromkeys(refs)), keys, count, offset, context)
    if assignments is None:
        return limited, pulled
    if any(columns(expr) & outer for _, expr in assignments):
        raise CannotPullUp
    if pulled and any(may_raise(expr) for _, expr in assignments):
        raise CannotPullUp
    project = Project(limited, assignments)
    return Project(limited, with_fields(project, columns(*pulled), limited)), pulled


_SENTINELS: dict[str, Any] = {
    "bool": False, "interval": (0, 0, 0), "float4": 0.0, "float8": 0.0,
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "bytea", "uuid"), ""),
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "date", "time", "timestamp", "timestamptz", "tid", *OID_LIKE), 0)}


def _sentinel(sql_type: SqlType) -> Literal | None:
    """Some value of the type; None for a type that is compared without a join's keys (arrays, json, vectors)."""
    return Literal(sql_type, _SENTINELS[sql_type.name]) if sql_type.name in _SENTINELS else None


def join_null_safe(kind: str, left: PlanNode, right: PlanNode, pairs: Pairs, context: OptimizerContext, *,
                   keys: Pairs = (), condition: Expr | None = None, null_aware: bool = False,
                   mark: Field | None = None) -> Join:
    """A join on `pairs` with NULL equal to NULL (and on `keys`, NULL equal to nothing).

    A pair (a, b) becomes two keys: a IS NULL = b IS NULL and coalesce(a, c) = coalesce(b, c) for some constant c.
    """
    parts = conjuncts(condition)
    left_made: list[tuple[Field, Expr]] = []
    right_made: list[tuple[Field, Expr]] = []
    made: list[tuple[ColumnRef, ColumnRef]] = []
    for a, b in pairs:
        constant = _sentinel(a.type)
        if constant is None:
            parts.append(call("is_not_distinct", BOOL, a, b))
            continue
        for x, y in ((call("is_null", BOOL, a), call("is_null", BOOL, b)),
                     (call("coalesce", a.type, a, constant), call("coalesce", b.type, b, constant))):
            left_field, right_field = context.new_field(a.name, x.type), context.new_field(b.name, y.type)
            left_made.append((left_field, x))
            right_made.append((right_field, y))
            made.append((left_field.ref(), right_field.ref()))
    if left_made:
        left = Project(left, (*passed_on(left.output), *left_made))
        right = Project(right, (*passed_on(right.output), *right_made))
    return Join(kind, left, right, (*made, *keys), conjunction(parts) if parts else None,  # type: ignore[arg-type]
                null_aware=null_aware, mark=mark)


EMPTY_VALUES: dict[str, int | float] = {
    "count": 0, "regr_count": 0, "rank": 1, "dense_rank": 1, "percent_rank": 0.0, "cume_dist": 1.0}
"""What aggregates that are never NULL give for no rows."""


def empty_value(aggregate: AggregateCall, ref: ColumnRef) -> Expr:
    """An aggregate's column with what it is for no rows in place of an outer join's NULL."""
    value = EMPTY_VALUES.get(aggregate.name)
    return ref if value is None else call("coalesce", ref.type, ref, Literal(ref.type, value))


def at_most_one(node: PlanNode) -> bool:
    """Whether the node gives one row at most (for each value of its outer columns)."""
    match node:
        case Aggregate():
            return not node.groups
        case EnforceSingleRow():
            return True
        case Values():
            return len(node.rows) <= 1
        case Limit():
            return (isinstance(node.count, Literal) and node.count.value in (0, 1)) or at_most_one(node.input)
        case TopN():
            return node.count <= 1
        case Project() | Filter() | Sort():
            return at_most_one(node.input)
        case Join(kind="semi" | "anti" | "mark"):
            return at_most_one(node.left)
        case Join(kind="inner" | "left"):
            return at_most_one(node.left) and at_most_one(node.right)
    return False


def checked_single(value: ColumnRef, count: ColumnRef) -> Expr:
    """The value, after a check that no more than one row gave it. Raises when run: CardinalityViolation (21000)."""
    return Case(value.type, (call("enforce_single_row", BOOL, count),), (value,), Literal(value.type, None))


_HARMLESS = frozenset({"add", "sub", "mul", "neg", "abs", "round", "sum", "substring", "extract", "coalesce", "and", "or"})
"""Calls that raise for values near the bounds of their type only, if at all: no reason to compute them later."""


def may_raise(expr: Expr) -> bool:
    """Whether ordinary values of its columns can make the expression raise, as 1 / x and text that is cast."""
    for part in walk(expr):
        if isinstance(part, Cast) and part.arg.type.is_string and not part.type.is_string and columns(part.arg):
            return True
        if isinstance(part, Call) and part.name not in _HARMLESS and columns(part) and any(
                f.raises for f in find(part.name)):
            return True
    return False


def narrowed(node: PlanNode, ids: set[int]) -> PlanNode:
    """The node without columns other than `ids` that projections on the way down make."""
    match node:
        case Project():
            kept = tuple((f, e) for f, e in node.assignments if f.id in ids)
            return Project(narrowed(node.input, columns(*(e for _, e in kept))), kept)
        case Filter():
            return replace(node, input=narrowed(node.input, ids | columns(node.predicate)))
        case Sort():
            return narrowed(node.input, ids)
        case Join():
            ids = ids | references(node)
            return replace(node, left=narrowed(node.left, ids), right=narrowed(node.right, ids))
    return node


Share = Callable[[PlanNode], tuple[PlanNode, Callable[[], tuple[PlanNode, dict[int, ColumnRef]]]] | None]


class DomainPush:
    """Frees subqueries from the columns `outer` of `left`. `guard`: only rows for which it is true count.

    `left` is to be joined with afterwards: where two copies of it would differ it is one that `share` made.
    """

    def __init__(self, left: PlanNode, outer: set[int], context: OptimizerContext, share: Share,
                 guard: ColumnRef | None = None) -> None:
        self.left, self.context, self.guard = left, context, guard
        self.copy: Callable[[], tuple[PlanNode, dict[int, ColumnRef]]] | None = None
        wanted = outer if guard is None else {*outer, guard.id}
        self.source = narrowed(left, wanted)
        if holds_volatile(self.source):  # a copy would hold other values
            shared = share(left)
            if shared is None:
                raise FeatureNotSupported("a correlated subquery over rows that a volatile function makes within another "
                                          "correlated subquery is not supported")
            self.left, self.copy = shared
        self.fields = [f for f in left.output if f.id in outer]
        self.outer = {f.id for f in self.fields}
        self.tables: set[int] = set()
        """Recursions whose rows carry the domain."""

    def uses(self, node: PlanNode) -> bool:
        """Whether the rows differ from one row of the domain to another."""
        return bool(free_columns(node) & self.outer) or not free_tables(node).isdisjoint(self.tables)

    def domain(self) -> tuple[PlanNode, dict[int, ColumnRef]]:
        """The distinct values of the outer columns, from a fresh copy of `left`."""
        copy, renamed = self.copy() if self.copy is not None else refresh(self.source, self.context.next_id)
        if self.guard is not None:
            copy = Filter(copy, renamed[self.guard.id])
        groups = tuple(Field(renamed[f.id].id, f.name, f.type) for f in self.fields)
        return Aggregate(Project(copy, passed_on(groups)), groups, ()), {f.id: renamed[f.id] for f in self.fields}

    def pairs(self, first: dict[int, ColumnRef], second: dict[int, ColumnRef]) -> Pairs:
        return [(first[f.id], second[f.id]) for f in self.fields]

    def push(self, node: PlanNode) -> tuple[PlanNode, dict[int, ColumnRef]]:
        """The subquery's rows for each row of the domain, and where in its output the outer columns are."""
        if not self.uses(node):
            domain, mapping = self.domain()
            return Join("inner", domain, node), mapping
        match node:
            case Filter():
                below, mapping = self.push(node.input)
                return Filter(below, replace_columns(node.predicate, dict(mapping))), mapping
            case Project():
                below, mapping = self.push(node.input)
                assignments = tuple((f, replace_columns(e, dict(mapping))) for f, e in node.assignments)
                return Project(below, assignments + passed_on(self.as_fields(mapping))), mapping
            case Sort():
                return self.push(node.input)
            case Join():
                return self.join(node)
            case Aggregate():
                return self.aggregate(node)
            case Window():
                below, mapping = self.push(node.input)
                return replace(node, input=below, partition=node.partition + tuple(mapping.values())), mapping
            case Limit() | TopN():
                below, keys, count, offset, projected = limit_parts(node)
                below, mapping = self.push(below)
                limited = numbered(below, tuple(mapping.values()), keys, self.mapped(count, mapping),
                                   self.mapped(offset, mapping), self.context)
                if projected is not None:
                    limited = Project(limited, (*((f, replace_columns(e, dict(mapping))) for f, e in projected),
                                                *passed_on(self.as_fields(mapping))))
                return limited, mapping
            case Union():
                return self.union([self.push(child) for child in node.inputs], node.fields, node.columns)
            case Values():
                parts = []
                for row in node.rows:
                    domain, mapping = self.domain()
                    fields = [self.context.new_field(f.name, f.type) for f in node.fields]
                    made = tuple((f, replace_columns(e, dict(mapping))) for f, e in zip(fields, row, strict=True))
                    parts.append((Project(domain, made + passed_on(self.as_fields(mapping))), mapping, fields))
                return self.union([(plan, mapping) for plan, mapping, _ in parts], node.fields,
                                  tuple(tuple(f.id for f in fields) for _, _, fields in parts))
            case TableFunction():
                below, mapping = self.push(node.input)
                functions = tuple((name, tuple(replace_columns(a, dict(mapping)) for a in args))
                                  for name, args in node.functions)
                return replace(node, input=below, functions=functions), mapping
            case Recursion():
                return self.recursion(node)
            case WorkingTable():
                carried = {f.id: self.context.new_field(f.name, f.type) for f in self.fields}
                return (replace(node, fields=node.fields + tuple(carried.values())),
                        {i: f.ref() for i, f in carried.items()})
            case EnforceSingleRow():
                return self.single_row(node)
            case AssignUniqueId():
                below, mapping = self.push(node.input)
                return replace(node, input=below), mapping
        raise FeatureNotSupported(f"a correlated subquery over {type(node).__name__}")

    def as_fields(self, mapping: dict[int, ColumnRef]) -> tuple[Field, ...]:
        return tuple(Field(ref.id, ref.name, ref.type) for ref in mapping.values())

    def join(self, node: Join) -> tuple[PlanNode, dict[int, ColumnRef]]:
        if node.kind == "right":
            return self.join(replace(node, kind="left", left=node.right, right=node.left,
                                     keys=tuple((b, a) for a, b in node.keys)))
        left_used, right_used = self.uses(node.left), self.uses(node.right)
        if node.kind == "inner" and right_used and not left_used:
            right, mapping = self.push(node.right)
            return replace(node, right=right, condition=self.mapped(node.condition, mapping)), mapping
        left, mapping = self.push(node.left)
        condition = self.mapped(node.condition, mapping)
        if not right_used and node.kind != "full":
            return replace(node, left=left, condition=condition), mapping
        right, other = self.push(node.right)
        made = join_null_safe(node.kind, left, right, self.pairs(mapping, other), self.context, keys=node.keys,
                              condition=condition, null_aware=node.null_aware, mark=node.mark)
        if node.kind != "full":
            return made, mapping
        merged = {i: self.context.new_field(ref.name, ref.type) for i, ref in mapping.items()}
        assignments = tuple((f, call("coalesce", f.type, mapping[i], other[i])) for i, f in merged.items())
        return Project(made, passed_on(node.output) + assignments), {i: f.ref() for i, f in merged.items()}

    def mapped(self, condition: Expr | None, mapping: dict[int, ColumnRef]) -> Expr | None:
        return None if condition is None else replace_columns(condition, dict(mapping))

    def recursion(self, node: Recursion) -> tuple[PlanNode, dict[int, ColumnRef]]:
        """One recursion for all rows of the domain, which its rows carry along."""
        start, own = self.push(node.inputs[0])
        self.tables.add(node.number)
        step, other = self.push(node.inputs[1])
        self.tables.discard(node.number)
        merged = {f.id: self.context.new_field(f.name, f.type) for f in self.fields}
        ids = tuple(columns + tuple(mapping[i].id for i in merged)
                    for columns, mapping in zip(node.columns, (own, other), strict=True))
        return (replace(node, inputs=(start, step), fields=node.fields + tuple(merged.values()), columns=ids),
                {i: f.ref() for i, f in merged.items()})

    def aggregate(self, node: Aggregate) -> tuple[PlanNode, dict[int, ColumnRef]]:
        below, mapping = self.push(node.input)
        if node.groups:
            return replace(node, input=below, groups=node.groups + self.as_fields(mapping)), mapping
        partial = [(self.context.new_field(f.name, f.type), c) for f, c in node.aggregates]
        grouped = Aggregate(below, self.as_fields(mapping), tuple(partial))
        values = tuple((f, empty_value(c, p.ref())) for (f, c), (p, _) in zip(node.aggregates, partial, strict=True))
        return self.outer_joined(grouped, mapping, values)

    def outer_joined(self, grouped: PlanNode, mapping: dict[int, ColumnRef],
                     values: tuple[tuple[Field, Expr], ...]) -> tuple[PlanNode, dict[int, ColumnRef]]:
        """One row for each of the domain: with `values` over `grouped`'s columns, NULLs where it has no row."""
        domain, own = self.domain()
        joined = join_null_safe("left", domain, grouped, self.pairs(own, mapping), self.context)
        return Project(joined, values + passed_on(self.as_fields(own))), own

    def single_row(self, node: EnforceSingleRow) -> tuple[PlanNode, dict[int, ColumnRef]]:
        below, mapping = self.push(node.input)
        count = self.context.new_field("count", INT8)
        firsts = [(self.context.new_field(f.name, f.type), f) for f in node.output]
        grouped = Aggregate(below, self.as_fields(mapping), (
            (count, AggregateCall("count", (), INT8)),
            *((made, AggregateCall("any_value", (f.ref(),), f.type)) for made, f in firsts)))
        return self.outer_joined(grouped, mapping,
                                 tuple((f, checked_single(made.ref(), count.ref())) for made, f in firsts))

    def union(self, inputs: Sequence[tuple[PlanNode, dict[int, ColumnRef]]], fields: tuple[Field, ...],
              ids: tuple[tuple[int, ...], ...]) -> tuple[PlanNode, dict[int, ColumnRef]]:
        merged = {f.id: self.context.new_field(f.name, f.type) for f in self.fields}
        plan = Union(tuple(plan for plan, _ in inputs), fields + tuple(merged.values()),
                     tuple(own + tuple(mapping[i].id for i in merged)
                           for own, (_, mapping) in zip(ids, inputs, strict=True)))
        return plan, {i: f.ref() for i, f in merged.items()}
