"""Windows: what OVER and WINDOW mean, and the Window nodes that compute the calls (hop 2).

        Window(calls with equal PARTITION BY and ORDER BY)
          Project(computed keys and arguments)
            input

Spec: PostgreSQL 15 documentation, 3.5, 4.2.8 and 7.2.5; wording of parse_agg.c and parse_clause.c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shoal.catalog.errors import FeatureNotSupported, InvalidColumnReference, SqlError, UndefinedObject, WindowingError
from shoal.catalog.types import INT8, INTERVAL, SqlType
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import ColumnRef, Expr, FrameBound, Literal, Parameter, SortKey, WindowCall, WindowFrame
from shoal.exec.plan.nodes import Field, PlanNode, Window
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import bind_sort
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import Context, PendingSort, PendingWindow, fail
from shoal.exec.sql.planning import computed

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder

_NEEDS_INTERVAL = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval"})
_ORDER = {"unbounded_preceding": 0, "preceding": 1, "current_row": 2, "following": 3, "unbounded_following": 4}


class InvalidFrameOffset(SqlError, code="22013"): ...


def bind_window(b: ExpressionBinder, spec: s.WindowSpec) -> tuple[tuple[Expr, ...], tuple[PendingSort, ...], WindowFrame]:
    """Partition, order and frame of a window; `b` binds inside it."""
    spec = _completed(b, spec)
    partition = tuple(b.bind_settled(item) for item in spec.partition)
    order = bind_sort(b, spec.order)
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
        fail(WindowingError, "frame starting from following row cannot have preceding rows" if end == "preceding" else
             "frame starting from following row cannot end with current row", frame.end.pos)
    if frame.mode == "groups" and not order:
        fail(WindowingError, "GROUPS mode requires an ORDER BY clause", pos)
    return WindowFrame(frame.mode, _bound(b, frame, frame.start, order, "starting", pos),
                       _bound(b, frame, frame.end, order, "ending", pos), frame.exclude)


def _bound(b: ExpressionBinder, frame: s.Frame, bound: s.Bound, order: Sequence[PendingSort], which: str,
           pos: int) -> FrameBound:
    if bound.offset is None:
        return FrameBound(bound.kind)
    what = frame.mode.upper()
    if frame.mode == "range":
        if len(order) != 1:
            fail(WindowingError, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column", pos)
        target = _offset_type(order[0].expr.type, s.place(bound.offset))
    else:
        target = INT8
    offset = b.bind(bound.offset)
    while isinstance(offset, e.Cast) and offset.arg.type.is_integer and offset.type.is_integer and (
            offset.arg.type.size <= offset.type.size):
        offset = offset.arg  # drivers send `$1::integer` for a smallint
    if offset.type.is_integer and target.is_integer:
        target = max(offset.type, target, key=lambda t: t.size)
    if not (isinstance(offset, Parameter) and offset.type.is_integer and target.is_integer):  # all integers count alike
        offset = coerce(b.context, offset, target, bound.offset.pos)
    if e.columns_of(offset):
        fail(InvalidColumnReference, f"argument of {what} must not contain variables", bound.offset.pos)
    if not isinstance(offset, (Literal, Parameter)):
        offset = folded(b.context, offset)
    if isinstance(offset, Literal):
        value = offset.value
        if value is None:
            fail(InvalidFrameOffset, f"frame {which} offset must not be null", bound.offset.pos)
        if any(part < 0 for part in value) if isinstance(value, tuple) else value < 0:
            fail(InvalidFrameOffset, f"frame {which} offset must not be negative" if frame.mode != "range" else
                 "invalid preceding or following size in window function", bound.offset.pos)
    return FrameBound(bound.kind, offset)  # type: ignore[arg-type]  # a Parameter until it is bound


def _offset_type(key: SqlType, pos: int) -> SqlType:
    if key.name in _NEEDS_INTERVAL:
        return INTERVAL
    if not key.is_number:
        fail(FeatureNotSupported, f"RANGE with offset PRECEDING/FOLLOWING is not supported for column type {key.sql}", pos)
    return key


def folded(context: Context, expr: Expr) -> Literal:
    """The constant an expression without columns is."""
    from shoal.exec.evaluator import EvaluationContext, evaluate_constant
    value: Any = evaluate_constant(expr, EvaluationContext(context.settings))
    return Literal(expr.type, tuple(value) if isinstance(value, list) else value)


def plan_windows(context: Context, plan: PlanNode, windows: Sequence[PendingWindow],
                 rewrite: Callable[[Expr], Expr]) -> PlanNode:
    """`plan` with the columns of all calls; those over the same partition and order share a node."""
    wanted: list[Expr] = []
    for w in windows:
        wanted += [rewrite(x) for x in (*w.args, *w.partition, *(o.expr for o in w.order))]
        if w.filter is not None:
            wanted.append(rewrite(w.filter))
    plan, columns = computed(context, plan, wanted)
    placed = dict(zip(wanted, columns, strict=True))

    def column(expr: Expr) -> ColumnRef:
        found = placed[rewrite(expr)]
        assert isinstance(found, ColumnRef)
        return found

    groups: dict[tuple[tuple[ColumnRef, ...], tuple[SortKey, ...]], list[tuple[Field, WindowCall]]] = {}
    for w in windows:
        partition = tuple(dict.fromkeys(column(p) for p in w.partition))
        order = tuple(SortKey(column(o.expr), o.descending, o.nulls_first) for o in w.order)
        args = tuple(arg if isinstance(arg, (Literal, Parameter)) else column(arg) for arg in w.args)
        call = WindowCall(w.name, args, w.field.type, w.frame, None if w.filter is None else column(w.filter))
        groups.setdefault((partition, order), []).append((w.field, call))
    for (partition, order), calls in groups.items():
        plan = Window(plan, partition, order, tuple(calls))
    return plan
