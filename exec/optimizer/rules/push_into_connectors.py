"""Gives connectors the filters and limits they can take, and scans the filters that are left.

    Filter (a = 5 AND f(b))            Scan t, handle enforces a = 5
      Scan t                   ->        filter: f(b)

A conjunct is offered as a predicate when it compares one source column with constants, else as an expression where the
source's dialect spells all that is in it (source_expressions). A connector that takes no filters gets the
predicates as hints (`pruning`). A limit above tells the scan how many rows are wanted, and the source too where
it enforces every filter.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from shoal.catalog.connector import Operator, Predicate, SupportsExpressions, SupportsFilter, SupportsLimit, TableHandle
from shoal.catalog.types import ORDERED_BY_KEY, SqlType, to_python
from shoal.exec.optimizer.context import OptimizerContext
from shoal.exec.optimizer.expressions import bare, column_and_constant
from shoal.exec.optimizer.rules.make_top_n import limit_numbers
from shoal.exec.optimizer.source_expressions import in_source_terms
from shoal.exec.plan.expr import Call, ColumnRef, Expr, Literal, conjunction, conjuncts
from shoal.exec.plan.nodes import Filter, Limit, PlanNode, Scan


def push_into_connectors(plan: PlanNode, context: OptimizerContext) -> PlanNode:
    return _visit(plan, context)


def _visit(node: PlanNode, context: OptimizerContext) -> PlanNode:
    if isinstance(node, Filter) and isinstance(node.input, Scan):
        return _with_filter(node.input, conjuncts(node.predicate), context)
    if isinstance(node, Limit):
        below = _visit(node.input, context)
        if isinstance(below, Scan):
            below = _with_limit(node, below, context)
        return Limit(below, node.count, node.offset)
    children = node.children()
    if not children:
        return node
    rebuilt = tuple([_visit(child, context) for child in children])
    return node.with_children(rebuilt) if any(a is not b for a, b in zip(rebuilt, children, strict=True)) else node


def _with_filter(scan: Scan, parts: list[Expr], context: OptimizerContext) -> Scan:
    names = {c.field.id: c.source for c in scan.columns}
    offered: list[tuple[int, Predicate]] = []
    for index, part in enumerate(parts):
        predicate = translated(part, names)
        if predicate is not None:
            offered.append((index, predicate))
    connector = context.catalogs.connector(scan.handle.catalog)
    handle, enforced = scan.handle, set[int]()
    pruning = tuple(predicate for _, predicate in offered)
    if offered and isinstance(connector, SupportsFilter) and context.switches.connector_pushdown:
        result = connector.apply_filter(handle, tuple(predicate for _, predicate in offered))
        if result is not None:
            handle, pruning = result.handle, ()  # the handle keeps what it can prune by
            enforced = {index for i, (index, _) in enumerate(offered) if i not in result.remaining}
    if isinstance(connector, SupportsExpressions) and context.switches.connector_pushdown:
        others = {index: part for index, part in enumerate(parts) if all(index != taken for taken, _ in offered)}
        handle, decided = _with_expressions(handle, others, names, connector)
        enforced |= decided
    left = [part for index, part in enumerate(parts) if index not in enforced]
    left = conjuncts(scan.predicate) + left
    return replace(scan, handle=handle, predicate=conjunction(left) if left else None, pruning=scan.pruning + pruning)


def _with_expressions(handle: TableHandle, parts: dict[int, Expr], names: dict[int, str],
                      connector: SupportsExpressions) -> tuple[TableHandle, set[int]]:
    """The handle with those of the numbered conjuncts that the source can spell, and the numbers of those it decides."""
    made = {index: found for index, part in parts.items() if (found := in_source_terms(part, names, connector)) is not None}
    result = connector.apply_expressions(handle, tuple(expression for expression, _ in made.values())) if made else None
    if result is None:
        return handle, set()
    decided = {index for i, (index, (_, alone)) in enumerate(made.items()) if alone and i not in result.remaining}
    return result.handle, decided


def _with_limit(node: Limit, scan: Scan, context: OptimizerContext) -> Scan:
    numbers = limit_numbers(node)
    if numbers is None:
        return scan
    count, offset = numbers
    if count is None or count < 0 or offset < 0:
        return scan
    rows = count + offset
    scan = replace(scan, limit=rows if scan.limit is None else min(scan.limit, rows))
    connector = context.catalogs.connector(scan.handle.catalog)
    if (scan.predicate is not None or scan.dynamic_filters or not isinstance(connector, SupportsLimit)
            or not context.switches.connector_pushdown):
        return scan
    result = connector.apply_limit(scan.handle, rows)
    return scan if result is None else replace(scan, handle=result.handle)


def translated(part: Expr, names: dict[int, str]) -> Predicate | None:
    """The conjunct in the connectors' terms, None where it has no such form."""
    if isinstance(part, ColumnRef):
        return Predicate(names[part.id], "eq", (True,)) if part.id in names else None
    if not isinstance(part, Call):
        return None
    simple = column_and_constant(part)
    if simple is not None:
        operator, ref, literal = simple
        return _predicate(names, ref, operator, (literal,))  # type: ignore[arg-type]
    subject = bare(part.args[0]) if part.args else None
    if part.name == "not":
        if isinstance(subject, ColumnRef):
            return Predicate(names[subject.id], "eq", (False,)) if subject.id in names else None
        if isinstance(subject, Call) and subject.name == "like":
            inner = translated(subject, names)
            return None if inner is None else Predicate(inner.column, "not_like", inner.values)
        return None
    if not isinstance(subject, ColumnRef) or subject.id not in names:
        return None
    match part.name:
        case "is_null" | "is_not_null":
            return Predicate(names[subject.id], part.name)
        case "in":
            return _predicate(names, subject, "in", part.args[1:])
        case "eq_any" if isinstance(array := part.args[1], Literal) and isinstance(array.value, tuple) and array.value:
            element = array.type.element
            return _predicate(names, subject, "in", tuple(Literal(element, value) for value in array.value))
        case "like" | "not_like" if len(part.args) == 2 and subject.type.name not in ("bpchar", "bytea"):
            return _predicate(names, subject, part.name, part.args[1:])
    return None


def _predicate(names: dict[int, str], ref: ColumnRef, operator: Operator, constants: tuple[Expr, ...]) -> Predicate | None:
    if ref.id not in names:
        return None
    values = []
    for constant in constants:
        if not isinstance(constant, Literal) or constant.value is None or not _same_kind(ref.type, constant.type):
            return None
        value = to_python(constant.value, constant.type)
        if isinstance(value, int) and constant.type.name in ("date", "time", "timestamp", "timestamptz"):
            return None  # an infinity or 24:00, which other systems hold differently
        if isinstance(value, Decimal) and not value.is_finite():
            return None  # likewise, and NaN
        values.append(value)
    return Predicate(names[ref.id], operator, tuple(values))


def _same_kind(column: SqlType, constant: SqlType) -> bool:
    """A source compares the column with such a constant as SQL does."""
    if constant.is_array:
        return False  # their shapes
    if column.is_number and constant.is_number:
        return (column.name in ("float4", "float8")) == (constant.name in ("float4", "float8"))
    if column.is_string and constant.is_string:
        if column.name in ORDERED_BY_KEY:
            return False
        return column.name == constant.name or {column.name, constant.name} <= {"text", "varchar", "name", "unknown"} or (
            column.name == "enum" and constant.name == "text")  # their texts are compared
    return column.name == constant.name and column.name in ("bool", "date", "time", "timestamp", "timestamptz")
