"""SET column[i] = value, SET column[i:j] = array, SET column.field = value: the whole new value of the column (hop 2).

    a[i] = v    ->   array_assign(a, ARRAY[v], ARRAY[i], ARRAY[i], false)

Spec: PostgreSQL 15 documentation, 8.15.4 "Modifying Arrays", 8.16.4 "Modifying Composite Types".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.catalog.declarations import ColumnInfo
from shoal.catalog.errors import DatatypeMismatch, FeatureNotSupported, UndefinedColumn
from shoal.catalog.types import BOOL, INT4, SqlType
from shoal.exec.functions.casts import can_coerce
from shoal.exec.kernels.array_assignment import OPEN_HIGH, OPEN_LOW
from shoal.exec.plan.expr import Call, Expr, Literal
from shoal.exec.plan.nodes import PlanNode, Project
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import UPDATE, Context, Level, bare_type, fail
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.rows import fields as fields_of_row
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.user_types import find, in_domain

_TARGET, _VALUE = "*TARGET*", "*VALUE*"


def with_part(b: ExpressionBinder, assignment: s.Assignment, info: ColumnInfo, table: str,
              before: Expr | None = None) -> Expr:
    """The column's value, or what an item of SET before this one made of it, with the part set.

    Raises: DatatypeMismatch (42804), UndefinedColumn (42703)."""
    if isinstance(assignment.value, s.Default):
        fail(FeatureNotSupported, "cannot set " + ("a subfield" if isinstance(assignment.parts[0], s.FieldOf) else
                                                   "an array element") + " to DEFAULT", assignment.pos)
    whole = before if before is not None else b.bind(s.Name(assignment.pos, (table, info.name)))
    return _with(b, assignment, info.name, whole, info.type, assignment.parts)


def _with(b: ExpressionBinder, assignment: s.Assignment, name: str, whole: Expr, sql_type: SqlType,
          parts: Sequence[Any]) -> Expr:
    """`whole`, of this type, with the part that `parts` say set."""
    if isinstance(parts[0], s.FieldOf):
        return _with_field(b, assignment, name, whole, sql_type, parts)
    if not sql_type.is_array:
        fail(DatatypeMismatch, f"cannot subscript type {bare_type(sql_type).sql} because it does not support subscripting",
             assignment.pos)
    count = next((i for i, part in enumerate(parts) if not isinstance(part, s.Subscript)), len(parts))
    return _with_elements(b, assignment, name, whole, sql_type, parts[:count], parts[count:])


def part_of(info: ColumnInfo, definition: s.ColumnDefinition) -> ColumnInfo:
    """What an INSERT's target takes: the column, or its element or field. An array's subscripts are all of one element."""
    sql_type = info.type
    for part in definition.parts:
        if isinstance(part, s.FieldOf):
            sql_type = dict(sql_type.fields or ()).get(part.name, sql_type)
        elif sql_type.is_array and not any(isinstance(other, s.Subscript) and other.slice for other in definition.parts):
            sql_type = sql_type.element
    return info if sql_type == info.type else ColumnInfo(info.name, sql_type)


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


def _value(b: ExpressionBinder, assignment: s.Assignment, wanted: SqlType, message: str) -> Expr:
    """The value for a part. Raises: DatatypeMismatch (42804) with the message's {} filled in."""
    value, pos = b.bind(assignment.value), s.place(assignment.value)
    if value.type.name != "unknown" and not can_coerce(value.type, wanted, "assignment"):
        fail(DatatypeMismatch, message.format(bare_type(wanted).sql, bare_type(value.type).sql), assignment.pos,
             hint="You will need to rewrite or cast the expression.")
    return coerce(b.context, value, wanted, pos, "assignment")


def _with_field(b: ExpressionBinder, assignment: s.Assignment, name: str, row: Expr, sql_type: SqlType,
                parts: Sequence[Any]) -> Expr:
    part, wanted = parts[0], sql_type.fields
    if sql_type.name != "record" or wanted is None:
        fail(DatatypeMismatch, f'cannot assign to field "{part.name}" of column "{name}" because its type '
             f"{bare_type(sql_type).sql} is not a composite type", assignment.pos)
    names = [field for field, _ in wanted]
    if part.name not in names:
        fail(UndefinedColumn, f'cannot assign to field "{part.name}" of column "{name}" because there is no such '
             f"column in data type {sql_type.sql}", assignment.pos)
    values = fields_of_row(row)
    place = names.index(part.name)
    values[place] = (_with(b, assignment, part.name, values[place], wanted[place][1], parts[1:]) if parts[1:] else
                     _value(b, assignment, wanted[place][1],
                            f'subfield "{part.name}" is of type {{}} but expression is of type {{}}'))
    domains = sql_type.user.domains if sql_type.user is not None else ()
    domain = find(b.context, domains[place]) if domains and domains[place] else None
    if domain is not None and domain.domain is not None:
        values[place] = in_domain(b.context, values[place], domain.domain)
    return Call(sql_type, "row", tuple(values))


def _with_elements(b: ExpressionBinder, assignment: s.Assignment, name: str, array: Expr, sql_type: SqlType,
                   subscripts: Sequence[s.Subscript], rest: Sequence[Any]) -> Expr:
    """`rest`: parts of the element."""
    sliced = any(part.slice for part in subscripts)
    lows, highs = [], []
    for part in subscripts:
        low, high = (part.low, part.high) if part.slice else (None, part.low) if sliced else (part.low, part.low)
        lows.append(Literal(INT4, OPEN_LOW if part.slice else 1) if low is None else _subscript(b, low))
        highs.append(Literal(INT4, OPEN_HIGH) if high is None else _subscript(b, high))
    message = f'subscripted assignment to "{name}" requires type {{}} but expression is of type {{}}'
    if rest:
        if sliced:
            fail(FeatureNotSupported, "assignment to a part of a slice of an array is not supported", assignment.pos)
        old = Call(sql_type.element, "subscript", (array, *lows))
        made: Expr = _with(b, assignment, name, old, sql_type.element, rest)
    else:
        made = _value(b, assignment, sql_type if sliced else sql_type.element, message)
    source = made if sliced else b.make_array(sql_type.element, [made])
    return Call(sql_type, "array_assign", (array, source, b.make_array(INT4, lows), b.make_array(INT4, highs),
                                           Literal(BOOL, sliced)))


def _subscript(b: ExpressionBinder, node: Any) -> Expr:
    bound = b.bind(node)
    if bound.type.name != "unknown" and not can_coerce(bound.type, INT4, "assignment"):
        fail(DatatypeMismatch, "array subscript must have type integer", s.place(node))
    return coerce(b.context, bound, INT4, s.place(node), "assignment")
