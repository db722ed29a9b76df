"""SET column[i] = value, SET column[i:j] = array, SET column.field = value: the whole new value of the column (hop 2).

    a[i] = v    ->   a[1:i-1] || NULLs up to i || v || a[i+1:]

Spec: PostgreSQL 15 documentation, 8.15.4 "Modifying Arrays", 8.16.4 "Modifying Composite Types".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, UndefinedColumn
from shoal.catalog.types import TEXT, SqlType
from shoal.exec.plan.expr import Call, Expr, Literal
from shoal.exec.plan.nodes import PlanNode, Project
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import UPDATE, Context, Level, bare_type, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.rows import fields as fields_of_row
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.stored_expressions import assigned

_TARGET, _VALUE = "*TARGET*", "*VALUE*"


def with_part(b: ExpressionBinder, assignment: s.Assignment, info: ColumnInfo, table: str) -> Expr:
    """The column's value with the part set. Raises: DatatypeMismatch (42804), UndefinedColumn (42703)."""
    part, value = assignment.parts[0], assignment.value
    if len(assignment.parts) > 1:
        fail(FeatureNotSupported, "assignment to a part of a part of a column is not supported", assignment.pos)
    if isinstance(value, s.Default):
        fail(FeatureNotSupported, "cannot set " + ("a subfield" if isinstance(part, s.FieldOf) else "an array element")
             + " to DEFAULT", assignment.pos)
    column = s.Name(assignment.pos, (table, info.name))
    if isinstance(part, s.FieldOf):
        return _with_field(b, assignment, info, b.bind(column), part)
    assert isinstance(part, s.Subscript)
    if not info.type.is_array:
        fail(DatatypeMismatch, f"cannot subscript type {bare_type(info.type).sql} because it does not support subscripting",
             assignment.pos)
    return _with_elements(b, assignment, info, column, part)


def part_of(info: ColumnInfo, definition: s.ColumnDefinition) -> ColumnInfo:
    """What an INSERT's target takes: the column, or its element or field."""
    if not definition.parts:
        return info
    part = definition.parts[0]
    if isinstance(part, s.Subscript):
        return info if part.slice or not info.type.is_array else ColumnInfo(info.name, info.type.element)
    return ColumnInfo(part.name, dict(info.type.fields or ()).get(part.name, info.type))


def with_parts(context: Context, plan: PlanNode, definitions: Sequence[s.ColumnDefinition], columns: Sequence[ColumnInfo],
               chosen: Sequence[int], given: Sequence[Expr]) -> tuple[PlanNode, list[int], list[Expr]]:
    """The rows of an INSERT whose values are for parts of columns: one value for each column, which begins as NULL.

        Project(the column with the part set) ...
          plan
    """
    placed: dict[int, Expr] = {}
    for definition, index, value in zip(definitions, chosen, given, strict=False):
        info = columns[index]
        if not definition.parts:
            placed[index] = value
            continue
        base = placed.get(index, Literal(info.type, None))
        relations = [Relation(name, [ScopeColumn(column, expr, name)])
                     for name, column, expr in ((_TARGET, info.name, base), (_VALUE, info.name, value))]
        binder = ExpressionBinder(Level(context, None, Scope(relations), {}), UPDATE, [])
        taken = s.Assignment(definition.pos, [info.name], s.Name(definition.pos, (_VALUE, info.name)), False,
                             definition.parts)
        made = context.field(info.name, info.type)
        whole = with_part(binder, taken, info, _TARGET)
        plan = Project(plan, (*((f, f.ref()) for f in plan.output), (made, whole)))
        placed[index] = made.ref()
    return plan, list(placed), list(placed.values())


def _with_field(b: ExpressionBinder, assignment: s.Assignment, info: ColumnInfo, row: Expr, part: s.FieldOf) -> Expr:
    wanted = info.type.fields
    if info.type.name != "record" or wanted is None:
        fail(DatatypeMismatch, f'cannot assign to field "{part.name}" of column "{info.name}" because its type '
             f"{bare_type(info.type).sql} is not a composite type", assignment.pos)
    names = [name for name, _ in wanted]
    if part.name not in names:
        fail(UndefinedColumn, f'cannot assign to field "{part.name}" of column "{info.name}" because there is no such '
             f"column in data type {info.type.sql}", assignment.pos)
    values = fields_of_row(row)
    place = names.index(part.name)
    field = ColumnInfo(part.name, wanted[place][1])
    values[place] = assigned(b.context, b.bind(assignment.value), field, s.place(assignment.value))
    return Call(info.type, "row", tuple(values))


def _with_elements(b: ExpressionBinder, assignment: s.Assignment, info: ColumnInfo, column: s.Name,
                   part: s.Subscript) -> Expr:
    pos = assignment.pos

    def number(value: int) -> s.Constant:
        return s.Constant(pos, "integer", str(value))

    def call(name: str, *args: Any) -> s.Function:
        return s.Function(pos, (name,), list(args))

    def operation(symbol: str, left: Any, right: Any) -> s.Operation:
        return s.Operation(pos, symbol, left, right)

    length = call("coalesce", call("cardinality", column), number(0))
    low = part.low if part.low is not None else number(1)
    high = low if not part.slice else part.high if part.high is not None else length
    element = _type_name(info.type.element, pos)
    if part.slice:
        source = s.Cast(pos, assignment.value, s.TypeName(pos, element.name, dimensions=1, quoted=True), False)
        middle: Any = s.Subscript(pos, source, number(1), operation("+", operation("-", high, low), number(1)), True)
    else:
        middle = s.Array(pos, [s.Cast(pos, assignment.value, element, False)])
        assigned(b.context, b.bind(assignment.value), ColumnInfo(info.name, info.type.element), s.place(assignment.value))
    gap = call("greatest", operation("-", operation("-", low, number(1)), length), number(0))
    missing = call("array_fill", s.Cast(pos, s.Constant(pos, "null", None), element, False), s.Array(pos, [gap]))
    before = s.Subscript(pos, column, number(1), operation("-", low, number(1)), True)
    after = s.Subscript(pos, column, operation("+", high, number(1)), length, True)
    whole = operation("||", operation("||", operation("||", before, missing), middle), after)
    flat = operation("=", call("array_ndims", column), number(1))
    from_one = operation("=", call("array_lower", column, number(1)), number(1))
    plain = s.Logical(pos, "or", [operation("=", low, number(1)), call(
        "coalesce", s.Logical(pos, "and", [flat, from_one]), s.Constant(pos, "boolean", False))])
    message = "setting elements of arrays of several dimensions, or that do not begin at 1, is not supported"
    return Call(info.type, "require", (assigned(b.context, b.bind(whole), info, pos), b.bind_boolean(plain, "SET"),
                                       Literal(TEXT, FeatureNotSupported.sqlstate), Literal(TEXT, message)))


def _type_name(element: SqlType, pos: int) -> s.TypeName:
    return s.TypeName(pos, element.user.name if element.user is not None else element.name, quoted=True)
