"""ON CONFLICT: what an INSERT does with rows whose keys are there already (hop 2).

    TableWrite(insert, conflict)
      Apply(a subquery of DO UPDATE) ...
        Join(left, the keys of the clause)     only where a subquery reads the existing row
          rows to be inserted
          Scan(target)

Spec: PostgreSQL 15 documentation, INSERT, "ON CONFLICT Clause"; which indexes are meant: infer_arbiter_indexes of plancat.c.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shoal.catalog.access import ResolvedTable
from shoal.catalog.declarations import ColumnInfo, Index
from shoal.catalog.errors import (
    FeatureNotSupported,
    InvalidColumnReference,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedObject,
)
from shoal.catalog.types import BOOL
from shoal.exec.plan.expr import (
    COMPARISONS,
    Call,
    ColumnRef,
    Expr,
    Literal,
    call,
    columns_of,
    conjunction,
    conjuncts,
    replace_columns,
)
from shoal.exec.plan.nodes import Conflict, Field, Join, PlanNode, Scan, ScanColumn, TableWrite
from shoal.exec.plan.rewrite import rebuild
from shoal.exec.sql import syntax as s
from shoal.exec.sql.context import UPDATE, WHERE, CommonTable, Context, Level, fail
from shoal.exec.sql.definitions import column_collation, operator_class
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.planning import attach
from shoal.exec.sql.returning import scope_of_target
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn
from shoal.exec.sql.stored_expressions import generated_values, index_expression, index_keys, scope_of, with_predicate

_NARROWER = {
    ("lt", "lt"): operator.le, ("lt", "le"): operator.le, ("le", "le"): operator.le, ("le", "lt"): operator.lt,
    ("gt", "gt"): operator.ge, ("gt", "ge"): operator.ge, ("ge", "ge"): operator.ge, ("ge", "gt"): operator.gt,
    ("eq", "lt"): operator.lt, ("eq", "le"): operator.le, ("eq", "ge"): operator.ge, ("eq", "gt"): operator.gt,
    ("eq", "ne"): operator.ne}
"""(given, wanted): how the constants must stand for `x given c` to imply `x wanted d`."""
_ORDERED = frozenset({"int2", "int4", "int8", "numeric", "text", "varchar", "date", "timestamp", "timestamptz"})
"""Types whose constants Python orders as SQL does."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A unique key or index: `keys` and `predicate` are over columns whose ids are 1, 2 ... in the table's order."""

    name: str
    keys: tuple[Expr, ...]
    predicate: Expr | None = None
    collations: tuple[str, ...] = ()
    """Of each key."""


def with_conflict(context: Context, write: TableWrite, node: s.OnConflict, target: s.TableRef, found: ResolvedTable,
                  columns: Sequence[ColumnInfo], refs: Sequence[ColumnRef], tables: Mapping[str, CommonTable]) -> TableWrite:
    """The insert with the clause; `refs` are the columns to be inserted.

    Raises: InvalidColumnReference (42P10), UndefinedObject (42704), SqlSyntaxError (42601) ...
    """
    from shoal.exec.sql.dml import set_values
    keys = _arbiters(context, node, target, found, columns)
    names = tuple(key.name for key in keys)
    if node.assignments is None:
        return replace(write, conflict=Conflict(names))
    if node.columns is None and not node.constraint:
        fail(SqlSyntaxError, "ON CONFLICT DO UPDATE requires inference specification or constraint name", node.pos,
             hint="For example, ON CONFLICT (column_name).")
    name = target.alias or target.parts[-1]
    existing = tuple(context.field(info.name, info.type) for info in columns)
    own = scope_of_target(found, name, columns, [field.ref() for field in existing])
    excluded = [ScopeColumn(info.name, ref, "excluded") for info, ref in zip(columns, refs, strict=True)]
    scope = Scope([*own.relations, Relation("excluded", excluded)], [*own.columns, *excluded])
    level = Level(context, context.body, scope, dict(tables))
    binder = ExpressionBinder(level, UPDATE)
    changed = set_values(binder, node.assignments, columns, target.parts[-1], name)
    values: list[Expr] = [changed.get(i, field.ref()) for i, field in enumerate(existing)]
    new = dict(zip((field.id for field in existing), values, strict=True))
    made = {field.id: value for field, value in generated_values(context, found.handle.name, columns, existing)}
    values = [rebuild(made[field.id], lambda part: new.get(part.id) if type(part) is ColumnRef else None)
              if field.id in made else value for field, value in zip(existing, values, strict=True)]
    predicate = None if node.where is None else ExpressionBinder(level, WHERE).bind_boolean(node.where.this, "WHERE")
    read = set().union(*(pending.reads() for pending in level.input_applies))
    plan = write.input
    if read & {field.id for field in existing}:
        plan = _beside_existing(plan, found, keys[0], existing, refs)
        read |= set().union(*(columns_of(key) for key in _over(keys[0], refs)))
        later = tuple(context.field(field.name, field.type) for field in existing)
        mapping: dict[int, Expr] = {old.id: field.ref() for old, field in zip(existing, later, strict=True)}
        values = [replace_columns(value, mapping) for value in values]
        predicate = None if predicate is None else replace_columns(predicate, mapping)
        existing = later
    if read & {field.id for field, _ in write.computed}:
        fail(FeatureNotSupported, "a subquery in ON CONFLICT DO UPDATE over a column that the INSERT computes itself, from "
             "a sequence or other columns, is not supported", node.pos)
    return replace(write, input=attach(context, plan, level.input_applies),
                   conflict=Conflict(names, existing, tuple(values), predicate))


def _beside_existing(plan: PlanNode, found: ResolvedTable, key: _Key, existing: Sequence[Field],
                     refs: Sequence[ColumnRef]) -> PlanNode:
    """The rows to be inserted with the row that has their key, or NULLs."""
    scan = Scan(found.handle, tuple(ScanColumn(field, field.name) for field in existing))
    mine, theirs = _over(key, refs), _over(key, [field.ref() for field in existing])
    width = len(key.keys)
    same = [call("eq", BOOL, one, other) for one, other in zip(mine[:width], theirs[:width], strict=True)]
    return Join("left", plan, scan, (), conjunction([*same, *mine[width:], *theirs[width:]]))


def _over(key: _Key, refs: Sequence[ColumnRef]) -> list[Expr]:
    """The key's columns and condition over a table's columns."""
    mapping: dict[int, Expr] = dict(enumerate(refs, 1))
    return [replace_columns(expr, mapping) for expr in (*key.keys, *([] if key.predicate is None else [key.predicate]))]


def _arbiters(context: Context, node: s.OnConflict, target: s.TableRef, found: ResolvedTable,
              columns: Sequence[ColumnInfo]) -> list[_Key]:
    """The unique keys that the clause means."""
    fields = [Field(place, info.name, info.type) for place, info in enumerate(columns, 1)]
    by_name = {field.name: field.ref() for field in fields}
    own = {info.name: info.collation for info in columns}
    constraints = [_Key(made.name, tuple(by_name[name] for name in made.columns), None,
                        tuple(own[name] for name in made.columns))
                   for made in found.connector.constraints(found.handle) if made.kind in ("primary", "unique")]
    if node.constraint:
        named = [key for key in constraints if key.name == node.constraint]
        if not named:
            fail(UndefinedObject, f'constraint "{node.constraint}" for table "{target.parts[-1]}" does not exist', -1)
        return named
    scope = scope_of(found.handle.name, fields)
    indexes = []
    for index in found.connector.indexes(found.handle):
        if index.unique:
            keys, predicate = index_keys(context, fields, scope, index)
            collations = index.collations or ("",) * len(keys)
            indexes.append(_Key(index.name, tuple(keys), predicate, tuple(
                given or own.get(name, "") for name, given in zip(index.key_columns, collations, strict=True))))
    if node.columns is None:
        return [*constraints, *indexes]
    wanted, given = _target(context, node, scope, fields)
    matching = [key for key in (*constraints, *indexes)
                if _same(key, wanted) and all(_implied(part, given) for part in conjuncts(key.predicate))]
    if not matching:
        fail(InvalidColumnReference, "there is no unique or exclusion constraint matching the ON CONFLICT specification", -1)
    return matching


def _target(context: Context, node: s.OnConflict, scope: Scope,
            fields: Sequence[Field]) -> tuple[list[tuple[Expr, str | None]], list[Expr]]:
    """The keys that the clause names, with the collation it says, and what its WHERE says: read from their texts, as those
    of indexes are."""
    names = {field.name for field in fields}
    columns: list[str] = []
    expressions = []
    for column in node.columns or ():
        if column.expression is None:
            if column.name not in names:
                fail(UndefinedColumn, f'column "{column.name}" does not exist', column.pos)
            columns.append(column.name)
            continue
        expressions.append(index_expression(context, column.expression, column.text, scope))
        columns.append(f"({expressions[-1].text})")
    meant = Index("", tuple(columns), True, expressions=tuple(expressions))
    if node.predicate is not None:
        meant = with_predicate(context, node.predicate.this, node.predicate_text, scope, meant)
    keys, predicate = index_keys(context, fields, scope, meant)
    for key, column in zip(keys, node.columns or (), strict=True):
        operator_class(column.operator_class, "btree", key.type)
    collations = [None if column.collation is None else column_collation(column.collation, key.type, False)
                  for key, column in zip(keys, node.columns or (), strict=True)]
    return list(zip(keys, collations, strict=True)), conjuncts(predicate)


def _same(key: _Key, wanted: Sequence[tuple[Expr, str | None]]) -> bool:
    own = list(zip(key.keys, key.collations, strict=True))
    expressions = [one for one, _ in wanted]
    return all(one in expressions for one in key.keys) and all(
        any(one == other and given in (None, collation) for other, collation in own) for one, given in wanted)


def _implied(wanted: Expr, given: Sequence[Expr]) -> bool:
    """Whether a condition of an index surely holds where all of `given` do: equal, a column that is compared and so not
    NULL, or a comparison with a constant that leaves less."""
    if wanted in given:
        return True
    if isinstance(wanted, Call) and wanted.name == "or":
        return any(_implied(arm, given) for arm in wanted.args)
    if isinstance(wanted, Call) and wanted.name == "is_not_null":
        return any(isinstance(part, Call) and part.name in COMPARISONS and wanted.args[0] in part.args for part in given)
    return any(_narrower(part, wanted) for part in given)


def _narrower(given: Expr, wanted: Expr) -> bool:
    """Whether `x op constant` implies another such comparison of x."""
    if not (isinstance(given, Call) and isinstance(wanted, Call) and len(given.args) == len(wanted.args) == 2):
        return False
    one, other = given.args[1], wanted.args[1]
    if given.args[0] != wanted.args[0] or not isinstance(one, Literal) or not isinstance(other, Literal):
        return False
    if (one.type.name, one.type.scale) != (other.type.name, other.type.scale) or one.type.name not in _ORDERED:
        return False
    if one.value is None or other.value is None:
        return False
    test = _NARROWER.get((given.name, wanted.name))
    return test is not None and test(one.value, other.value)
