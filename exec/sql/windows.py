"""Windows: what OVER and WINDOW mean, and the Window nodes that compute the calls (hop 2).

        Window(calls with equal PARTITION BY and ORDER BY)
          Project(computed keys and arguments)
            input

Spec: PostgreSQL 15 documentation, 3.5, 4.2.8 and 7.2.5; wording of parse_agg.c and parse_clause.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import (
    DatatypeMismatch,
    FeatureNotSupported,
    InvalidColumnReference,
    UndefinedObject,
    WindowingError,
)
from shoal.catalog.types import INT8, SqlType
from shoal.exec.functions.casts import bare_sql, can_coerce
from shoal.exec.functions.registry import named_type
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import ColumnRef, Expr, FrameBound, Literal, Parameter, SortKey, WindowCall, WindowFrame
from shoal.exec.plan.nodes import Field, PlanNode, Window
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import bind_sort
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import WINDOW_KEY, Clause, Context, PendingSort, PendingWindow, fail
from shoal.exec.sql.planning import computed

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_OFFSETS = {"int2": ("int8", "int4", "int2"), "int4": ("int8", "int4", "int2"), "int8": ("int8",), "float4": ("float8",),
            "float8": ("float8",), "numeric": ("numeric",),
            **dict.fromkeys(("date", "timestamp", "timestamptz", "time", "timetz", "interval"), ("interval",))}
"""The types of offsets that each type's in_range functions take."""
_FRAMES = {mode: Clause(f"window {mode.upper()}", window_error="window functions are not allowed in window definitions",
                        aggregate_error=f"aggregate functions are not allowed in window {mode.upper()}")
           for mode in ("rows", "range", "groups")}
_ORDER = {"unbounded_preceding": 0, "preceding": 1, "current_row": 2, "following": 3, "unbounded_following": 4}


def bind_window(b: ExpressionBinder, spec: s.WindowSpec) -> tuple[tuple[Expr, ...], tuple[PendingSort, ...], WindowFrame]:
    """Partition, order and frame of a window; `b` binds inside it."""
    spec = _completed(b, spec)
    keys = type(b)(b.level, WINDOW_KEY, b.applies)
    keys.in_aggregate = b.in_aggregate
    partition = tuple(keys.bind_settled(item) for item in spec.partition)
    order = bind_sort(keys, spec.order)
    frame = WindowFrame() if spec.frame is None else _frame(b, spec.frame, order, spec.pos)
    return partition, order, frame


def _completed(b: ExpressionBinder, spec: s.WindowSpec) -> s.WindowSpec:
    """The window with what it takes from the named one it builds on."""
    if not spec.reference:
        return spec
    base = b.level.named_windows.get(spec.reference)
    if base is None:
        fail(UndefinedObject, f'window "{spec.reference}" does not exist', spec.pos)
    base = _completed(b, base)
    name = spec.reference
    if spec.bare:
        return base
    if spec.partition:
        fail(WindowingError, f'cannot override PARTITION BY clause of window "{name}"', spec.pos)
    if spec.order and base.order:
        fail(WindowingError, f'cannot override ORDER BY clause of window "{name}"', spec.pos)
    if base.frame is not None:
        fail(WindowingError, f'cannot copy window "{name}" because it has a frame clause', spec.pos)
    return s.WindowSpec(spec.pos, "", base.partition, spec.order or base.order, spec.frame)


def _frame(b: ExpressionBinder, frame: s.Frame, order: Sequence[PendingSort], pos: int) -> WindowFrame:
    start, end = frame.start.kind, frame.end.kind
    if start == "unbounded_following":
        fail(WindowingError, "frame start cannot be UNBOUNDED FOLLOWING", frame.start.pos)
    if end == "unbounded_preceding":
        fail(WindowingError, "frame end cannot be UNBOUNDED PRECEDING", frame.end.pos)
    if start == "current_row" and end == "preceding":
        fail(WindowingError, "frame starting from current row cannot have preceding rows", frame.end.pos)
    if start == "following" and _ORDER[end] < _ORDER["following"]:
        fail(WindowingError, "frame starting from following row cannot have preceding rows", frame.end.pos)
    if frame.mode == "groups" and not order:
        fail(WindowingError, "GROUPS mode requires an ORDER BY clause", pos)
    return WindowFrame(frame.mode, _bound(b, frame, frame.start, order, pos),
                       _bound(b, frame, frame.end, order, pos), frame.exclude)


def _bound(b: ExpressionBinder, frame: s.Frame, bound: s.Bound, order: Sequence[PendingSort],
           pos: int) -> FrameBound:
    if bound.offset is None:
        return FrameBound(bound.kind)
    mode = frame.mode.upper()
    if frame.mode == "range" and len(order) != 1:
        fail(WindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column", pos)
    binder = type(b)(b.level, _FRAMES[frame.mode], b.applies)
    before = len(b.applies)
    offset = binder.bind(bound.offset)
    subqueries = b.applies[before:]
    marks = {apply.mark.id for apply in subqueries if apply.mark is not None}
    own = {i for i in e.columns_of(offset) - marks if i not in b.level.refs}
    if own or any(i not in b.level.refs for apply in subqueries for i in apply.refs):
        fail(InvalidColumnReference, f"argument of {mode} must not contain variables", s.place(bound.offset))
    place = s.place(bound.offset)
    if frame.mode == "range":
        key = order[0].expr.type
        offset = coerce(b.context, offset, _offset_type(key, offset.type, place), place)
    elif not (offset.type.name == "unknown" or can_coerce(offset.type, INT8, "assignment")):
        fail(DatatypeMismatch, f"argument of {mode} must be type bigint, not type {bare_sql(offset.type)}", place)
    elif offset.type.name == "unknown" or can_coerce(offset.type, INT8):
        if not (isinstance(offset, Parameter) and offset.type.is_integer):
            offset = coerce(b.context, offset, INT8, place)
    else:
        offset = b.cast(offset, INT8, place, place)
    if not isinstance(offset, (Literal, Parameter)) and not e.columns_of(offset) and not any(
            isinstance(part, Parameter) for part in e.walk(offset)):  # computed beside the rows, like a subquery's
        offset = folded(b.context, offset)
    return FrameBound(bound.kind, offset)  # type: ignore[arg-type]  # a Parameter until it is bound, a subquery a column


def _offset_type(key: SqlType, given: SqlType, pos: int) -> SqlType:
    """What an offset of this type is taken as beside the order key: the right side of one of its in_range functions."""
    offered = _OFFSETS.get(key.name)
    what = "RANGE with offset PRECEDING/FOLLOWING is not supported for column type"
    if offered is None:
        fail(FeatureNotSupported, f"{what} {bare_sql(key)}", pos)
    preferred = key.name if given.name == "unknown" else given.name
    fitting = [name for name in offered if given.name in ("unknown", name) or can_coerce(given, named_type(name))]
    if not fitting:
        fail(FeatureNotSupported, f"{what} {bare_sql(key)} and offset type {bare_sql(given)}", pos,
             hint="Cast the offset value to an appropriate type.")
    if preferred in fitting:
        return key if preferred == key.name else given
    if len(fitting) > 1:
        fail(FeatureNotSupported, f"RANGE with offset PRECEDING/FOLLOWING has multiple interpretations for column type "
             f"{bare_sql(key)} and offset type {bare_sql(given)}", pos,
             hint="Cast the offset value to the exact intended type.")
    return key if fitting[0] == key.name else named_type(fitting[0])


def folded(context: Context, expr: Expr) -> Literal:
    """The constant an expression without columns is."""
    from shoal.exec.evaluator import EvaluationContext, evaluate_constant
    value: Any = evaluate_constant(expr, EvaluationContext(context.settings))
    return Literal(expr.type, tuple(value) if isinstance(value, list) else value)


def _computed_offsets(frame: WindowFrame) -> list[Expr]:
    return [bound.offset for bound in (frame.start, frame.end)
            if bound.offset is not None and not isinstance(bound.offset, (Literal, Parameter))]


def plan_windows(context: Context, plan: PlanNode, windows: Sequence[PendingWindow],
                 rewrite: Callable[[Expr], Expr]) -> PlanNode:
    """`plan` with the columns of all calls; those over the same partition and order share a node."""
    wanted: list[Expr] = []
    for w in windows:
        wanted += [rewrite(x) for x in (*w.args, *w.partition, *(o.expr for o in w.order))]
        if w.filter is not None:
            wanted.append(rewrite(w.filter))
        wanted += [rewrite(offset) for offset in _computed_offsets(w.frame)]
    plan, columns = computed(context, plan, wanted)
    placed = dict(zip(wanted, columns, strict=True))

    def column(expr: Expr) -> ColumnRef:
        found = placed[rewrite(expr)]
        assert isinstance(found, ColumnRef)
        return found

    def placed_bound(bound: FrameBound) -> FrameBound:
        if bound.offset is None or isinstance(bound.offset, (Literal, Parameter)):
            return bound
        return FrameBound(bound.kind, column(bound.offset))

    groups: dict[tuple[tuple[ColumnRef, ...], tuple[SortKey, ...]], list[tuple[Field, WindowCall]]] = {}
    for w in windows:
        partition = tuple(dict.fromkeys(column(p) for p in w.partition))
        order = tuple(SortKey(column(o.expr), o.descending, o.nulls_first) for o in w.order)
        args = tuple(arg if isinstance(arg, (Literal, Parameter)) else column(arg) for arg in w.args)
        frame = replace(w.frame, start=placed_bound(w.frame.start), end=placed_bound(w.frame.end))
        call = WindowCall(w.name, args, w.field.type, frame, None if w.filter is None else column(w.filter))
        groups.setdefault((partition, order), []).append((w.field, call))
    for (partition, order), calls in groups.items():
        plan = Window(plan, partition, order, tuple(calls))
    return plan
