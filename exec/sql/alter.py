"""ALTER TABLE, VIEW, SEQUENCE ...: each action becomes a step whose expressions and types are known (hop 2).

Spec: PostgreSQL 15 documentation, ALTER TABLE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from shoal.catalog.declarations import ColumnInfo, Index, NumberSequence
from shoal.catalog.errors import (
    DatatypeMismatch,
    FeatureNotSupported,
    InvalidColumnDefinition,
    SqlError,
    UndefinedColumn,
)
from shoal.exec.functions.casts import can_coerce
from shoal.exec.plan.expr import Cast, Expr
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.bound import Alter, AlterStep, Bound
from shoal.exec.sql.coercion import coerce
from shoal.exec.sql.context import CHECK, Clause, Context, Level, bare_type, fail
from shoal.exec.sql.ddl import command, require_writable
from shoal.exec.sql.definitions import LIMITS, Definition, number_sequence
from shoal.exec.sql.expressions import ExpressionBinder
from shoal.exec.sql.privileges import require_role
from shoal.exec.sql.stored_expressions import (
    check,
    columns_read,
    condition,
    default_value,
    index_expression,
    parsed,
    renamed,
    scope_of,
    with_keys,
    with_predicate,
)
from shoal.exec.sql.type_names import resolve_type

_USING = Clause("transform expressions")


def bind_alter(context: Context, tree: d.Alter) -> Bound:
    tag = f"ALTER {tree.kind}"
    require_writable(context, tag)
    binder = _Alter(context, tree)
    return command(context, Alter(tree.kind, tree.target.parts, tuple(binder.step(action) for action in tree.actions),
                                  tree.exists), tag)


class _Alter:
    """The columns as the steps so far leave them."""

    def __init__(self, context: Context, tree: d.Alter) -> None:
        self.context, self.table = context, tree.target.parts[-1]
        self.columns: list[ColumnInfo] = []
        self.indexes: tuple[Index, ...] = ()
        self.definition = Definition(context, self.table)
        self.exists = context.namespace.sequence(tree.target.parts) is not None
        try:
            found = context.namespace.resolve(tree.target.parts)
        except SqlError:
            return  # said when it runs, where IF EXISTS counts
        self.exists = True
        self.columns = [info for info in found.columns if not info.hidden]
        self.indexes = found.connector.indexes(found.handle)
        self.definition = Definition(context, self.table, self.columns, found.connector.constraints(found.handle))

    def _fields(self) -> list[Field]:
        """The columns by number, as steps' expressions name them."""
        return [Field(i + 1, info.name, info.type) for i, info in enumerate(self.columns)]

    def step(self, action: d.AlterAction) -> AlterStep:
        match action.what:
            case "add column":
                return self._add_column(action)
            case "add constraint":
                return self._add_constraint(action)
            case "type":
                return self._type(action)
            case "set default":
                info = self._column(action.name)
                text = self.definition.default_text(action.default, action.text, info.name, info.type)
                return AlterStep("set default", action.name, text=text)
            case "owner" if action.name and self.exists:
                require_role(self.context, action.name)
            case "rename column":
                return self._rename_column(action)
            case "add identity":
                assert action.column is not None
                info = self._column(action.name)
                made = number_sequence(action.column.sequence, NumberSequence("", info.type, maximum=LIMITS[info.type.name],
                                                                              identity=True))
                return AlterStep("add identity", action.name, sequence=made, text=action.column.identity)
        return AlterStep(action.what, action.name, action.new_name, exists=action.exists, cascade=action.cascade,
                         options=action.options)

    def _rename_column(self, action: d.AlterAction) -> AlterStep:
        """With what reads the column, written with its new name."""
        old, new = action.name, action.new_name
        if all(info.name != old for info in self.columns) or any(info.name == new for info in self.columns):
            return AlterStep("rename column", old, new)  # said when it runs
        self.columns = [replace(info, name=new) if info.name == old else info for info in self.columns]
        scope = scope_of(self.table, self._fields())

        def node_of(text: str) -> Any:
            return renamed(parsed(text), old, new)

        indexes = self._read_again([replace(index, columns=tuple(new if name == old else name for name in index.columns))
                                    for index in self.indexes], node_of)
        checks = tuple(check(self.context, node_of(made.expression), made.expression, scope, made)
                       for made in self.definition.constraints if made.kind == "check" and old in made.columns)
        return AlterStep("rename column", old, new, constraints=checks, indexes=indexes)

    def _read_again(self, indexes: Sequence[Index], node_of: Callable[[str], Any] = parsed) -> tuple[Index, ...]:
        """Those of `indexes` on expressions or with a predicate, over the columns as they are now."""
        fields = self._fields()
        scope = scope_of(self.table, fields)
        found: list[Index] = []
        for index in indexes:
            columns, expressions = list(index.columns), []
            for expression in index.expressions:
                made = index_expression(self.context, node_of(expression.text), expression.text, scope)
                columns[columns.index(f"({expression.text})")] = f"({made.text})"
                expressions.append(replace(made, name=expression.name))
            index = replace(index, columns=tuple(columns), expressions=tuple(expressions))
            if index.predicate:
                index = with_predicate(self.context, node_of(index.predicate), index.predicate, scope, index)
            found.append(with_keys(self.context, fields, scope, index))
        self.indexes = tuple(found)
        return tuple(index for index in found if index.expressions or index.predicate)

    def _column(self, name: str) -> ColumnInfo:
        found = next((info for info in self.columns if info.name == name), None)
        if found is None:
            fail(UndefinedColumn, f'column "{name}" of relation "{self.table}" does not exist', -1)
        return found

    def _add_column(self, action: d.AlterAction) -> AlterStep:
        node = action.column
        assert node is not None
        exists = any(info.name == node.name for info in self.columns)
        before = len(self.definition.constraints)
        made = self.definition
        sequences, foreign = len(made.sequences), len(made.foreign)
        info = made.add_column(node)
        if exists:
            made.columns.pop()
            return AlterStep("add column", node.name, column=info, exists=action.exists)
        for constraint in node.constraints:
            made.add_constraint(constraint, node.name)
        info = made.columns[-1]
        self.columns.append(info)
        sequence = made.sequences[sequences][1] if len(made.sequences) > sequences else None
        value = None if sequence is not None else default_value(self.context, info)
        return AlterStep("add column", node.name, column=info, sequence=sequence, exists=action.exists, value=value,
                         constraints=tuple(made.constraints[before:]), foreign=tuple(made.foreign[foreign:]))

    def _add_constraint(self, action: d.AlterAction) -> AlterStep:
        node, made = action.constraint, self.definition
        assert node is not None
        if node.index and not node.columns:
            return AlterStep("add constraint", node.name or node.index, node.index, text=node.kind)
        before, foreign = len(made.constraints), len(made.foreign)
        made.add_constraint(node)
        added = tuple(made.constraints[before:])
        value: Expr | None = None
        if added and added[0].kind == "check":
            scope = scope_of(self.table, self._fields())
            value = condition(self.context, parsed(added[0].expression), scope, CHECK, "CHECK")
        return AlterStep("add constraint", constraints=added, foreign=tuple(made.foreign[foreign:]), value=value)

    def _check_generated(self, info: ColumnInfo, using: bool) -> None:
        """Raises: FeatureNotSupported (0A000) for a column that generated ones are made of, InvalidColumnDefinition (42611)
        for USING with a generated one."""
        if info.generated and using:
            fail(InvalidColumnDefinition, "cannot specify USING when altering type of generated column", -1,
                 detail=f'Column "{info.name}" is a generated column.')
        for made in self.columns:
            if made.generated and info.name in columns_read(self.context, made, self.table, self._fields()):
                fail(FeatureNotSupported, "cannot alter type of a column used by a generated column", -1,
                     detail=f'Column "{info.name}" is used by generated column "{made.name}".')

    def _type(self, action: d.AlterAction) -> AlterStep:
        assert action.type is not None
        info, target = self._column(action.name), resolve_type(action.type, self.context)
        self._check_generated(info, action.using is not None)
        fields = self._fields()
        own = next(field for field in fields if field.name == action.name).ref()
        value: Expr = own
        if action.using is not None:
            value = ExpressionBinder(Level(self.context, None, scope_of(self.table, fields), {}), _USING).bind(action.using)
        if value.type.name != "unknown" and not can_coerce(value.type, target, "assignment"):
            if action.using is not None:
                fail(DatatypeMismatch, f'result of USING clause for column "{action.name}" cannot be cast automatically to '
                     f"type {bare_type(target).sql}", -1, hint="You might need to add an explicit cast.")
            fail(DatatypeMismatch, f'column "{action.name}" cannot be cast automatically to type '
                 f"{bare_type(target).sql}", -1,
                 hint="" if info.generated else f'You might need to specify "USING {action.name}::{target.sql}".')
        made = coerce(self.context, value, target, -1, "assignment")
        if made.type != target:
            made = Cast(target, made, False)
        place = next(i for i, c in enumerate(self.columns) if c.name == action.name)
        changed = ColumnInfo(info.name, target, info.nullable, info.comment, default=info.default, identity=info.identity)
        self.columns[place] = self.definition.columns[place] = changed
        return AlterStep("type", action.name, column=changed, value=made, indexes=self._read_again(self.indexes))

