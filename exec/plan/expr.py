"""Typed scalar expressions: what the binder makes of SQL's, what rules rewrite and kernels evaluate.

A *physical value* is how a constant is held everywhere in a plan, and it is plain JSON:

    bool, float, str as themselves | int2/4/8, oid int | numeric int (unscaled, at the type's scale)
    date int days since 1970 | time, timestamp(tz) int microseconds | interval [months, days, microseconds]
    bytea hex str | NULL None
    arrays list, and ShapedArray for several dimensions or bounds that do not begin at 1

Calls name a function of the registry (exec/functions); the binder has already inserted every implicit cast, so a
kernel's arguments have exactly the types the registry declared. `and or not is_null is_not_null coalesce in`
and comparisons are calls like any other; the evaluator gives `and or coalesce` and `Case` their lazy evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from shoal.catalog.types import BOOL, SqlType


@dataclass(frozen=True, slots=True)
class Expr:
    type: SqlType

    def children(self) -> tuple[Expr, ...]:
        return ()

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return self


@dataclass(frozen=True, slots=True)
class ColumnRef(Expr):
    """The column with this plan-wide unique id; `name` is only for people."""

    id: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name}#{self.id}"


@dataclass(frozen=True, slots=True)
class Literal(Expr):
    """A constant, held as a physical value. Unhashable values (lists) are given as tuples."""

    value: Any

    def __str__(self) -> str:
        from shoal.exec.plan.explain import literal_sql
        return literal_sql(self)


@dataclass(frozen=True, slots=True)
class Parameter(Expr):
    """$index (1-based); replaced by a Literal before optimization."""

    index: int

    def __str__(self) -> str:
        return f"${self.index}"


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function by registry name, e.g. add(a, b). `volatile` calls are never folded, moved or merged."""

    name: str
    args: tuple[Expr, ...]
    volatile: bool = False

    def children(self) -> tuple[Expr, ...]:
        return self.args

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, args=children)

    def __str__(self) -> str:
        from shoal.exec.plan.explain import call_sql
        return call_sql(self)


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    """`arg` converted to `type`. `explicit` casts truncate varchar(n) silently; implicit ones raise 22001."""

    arg: Expr
    explicit: bool = True

    def children(self) -> tuple[Expr, ...]:
        return (self.arg,)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        return replace(self, arg=children[0])

    def __str__(self) -> str:
        return f"({self.arg})::{self.type}"


@dataclass(frozen=True, slots=True)
class Case(Expr):
    """Searched CASE: conditions[i] -> results[i], else default (simple CASE is bound to this too).

    A branch is evaluated only for the rows that reach it.
    """

    conditions: tuple[Expr, ...]
    results: tuple[Expr, ...]
    default: Expr

    def children(self) -> tuple[Expr, ...]:
        return (*self.conditions, *self.results, self.default)

    def with_children(self, children: tuple[Expr, ...]) -> Expr:
        n = len(self.conditions)
        return replace(self, conditions=children[:n], results=children[n:2 * n], default=children[2 * n])

    def __str__(self) -> str:
        whens = " ".join(f"WHEN {c} THEN {r}" for c, r in zip(self.conditions, self.results, strict=True))
        return f"CASE {whens} ELSE {self.default} END"


@dataclass(frozen=True, slots=True)
class SortKey:
    """An ordering by one column of the input."""

    column: ColumnRef
    descending: bool = False
    nulls_first: bool = False

    def __str__(self) -> str:
        return (f"{self.column}{' DESC' if self.descending else ''}"
                f"{'' if self.nulls_first == self.descending else ' NULLS FIRST' if self.nulls_first else ' NULLS LAST'}")


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """An aggregate over columns of the input: args are ColumnRefs or Literals, filter a boolean ColumnRef.

    count(*) is name "count" with no args. The binder projects anything more complex beneath.
    """

    name: str
    args: tuple[Expr, ...]
    type: SqlType
    distinct: bool = False
    filter: ColumnRef | None = None
    order_by: tuple[SortKey, ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.args)) if self.args else "*" if self.name == "count" else ""
        order = f" ORDER BY {', '.join(map(str, self.order_by))}" if self.order_by else ""
        where = f" FILTER (WHERE {self.filter})" if self.filter else ""
        return f"{self.name}({'DISTINCT ' if self.distinct else ''}{inner}{order}){where}"


@dataclass(frozen=True, slots=True)
class FrameBound:
    """kind: unbounded_preceding, preceding, current_row, following, unbounded_following; offset in rows/groups
    or for RANGE in what the order key takes: a Literal, or the column of a subquery's result."""

    kind: str
    offset: Literal | ColumnRef | None = None


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """mode: rows, range, groups; exclude: "", current_row, group, ties."""

    mode: str = "range"
    start: FrameBound = FrameBound("unbounded_preceding")
    end: FrameBound = FrameBound("current_row")
    exclude: str = ""


@dataclass(frozen=True, slots=True)
class WindowCall:
    """A window function or an aggregate used as one; args are ColumnRefs or Literals of the input."""

    name: str
    args: tuple[Expr, ...]
    type: SqlType
    frame: WindowFrame = WindowFrame()
    filter: ColumnRef | None = None

    def __str__(self) -> str:
        args = ", ".join(map(str, self.args))
        return f"{self.name}({args or '*' if self.name == 'count' else args})"


TRUE, FALSE = Literal(BOOL, True), Literal(BOOL, False)
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
"""The calls of = <> < <= > >=."""


def call(name: str, result: SqlType, *args: Expr) -> Call:
    return Call(result, name, args)


def conjuncts(predicate: Expr | None) -> list[Expr]:
    """The parts of a conjunction, flattened; TRUE and None have none."""
    if predicate is None or predicate == TRUE:
        return []
    if isinstance(predicate, Call) and predicate.name == "and":
        return [part for arg in predicate.args for part in conjuncts(arg)]
    return [predicate]


def conjunction(parts: list[Expr]) -> Expr:
    """AND of the parts: one n-ary call, TRUE for none."""
    return TRUE if not parts else parts[0] if len(parts) == 1 else Call(BOOL, "and", tuple(parts))


def disjunction(parts: list[Expr]) -> Expr:
    """OR of the parts: one n-ary call, FALSE for none."""
    return FALSE if not parts else parts[0] if len(parts) == 1 else Call(BOOL, "or", tuple(parts))


def transform(expr: Expr, visit: Callable[[Expr], Expr]) -> Expr:
    """Rebuilds bottom-up: `visit` sees each node after its children were rebuilt; unchanged subtrees are shared."""
    children = expr.children()
    if children:
        rebuilt = tuple(transform(child, visit) for child in children)
        if any(new is not old for new, old in zip(rebuilt, children, strict=True)):
            expr = expr.with_children(rebuilt)
    return visit(expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """All nodes of the tree, parents first."""
    pending = [expr]
    while pending:  # a generator in a generator for each level would take time by the square of the depth
        node = pending.pop()
        yield node
        pending.extend(reversed(node.children()))


def columns_of(expr: Expr) -> set[int]:
    """Ids of all columns the expression reads."""
    return {node.id for node in walk(expr) if isinstance(node, ColumnRef)}


def replace_columns(expr: Expr, mapping: dict[int, Expr]) -> Expr:
    """Every ColumnRef whose id is in `mapping` replaced."""
    return transform(expr, lambda e: mapping.get(e.id, e) if isinstance(e, ColumnRef) else e)


def is_volatile(expr: Expr) -> bool:
    return any(isinstance(node, Call) and node.volatile for node in walk(expr))
