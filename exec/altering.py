"""ALTER TABLE, VIEW, SEQUENCE and their like: definitions changed step by step, and rows where their columns change.

Wording: tablecmds.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from shoal.catalog.access import ResolvedTable
from shoal.catalog.connector import Connector, Rewrite, SupportsDefinitions, TableHandle
from shoal.catalog.declarations import NumberSequence, TableDefinition
from shoal.catalog.errors import (
    CheckViolation,
    DependentObjectsStillExist,
    DuplicateColumn,
    DuplicateTable,
    FeatureNotSupported,
    InvalidSchemaName,
    NotNullViolation,
    SqlError,
    UndefinedColumn,
    UndefinedObject,
    UndefinedTable,
    WrongObjectType,
)
from shoal.exec.batch import Batch
from shoal.exec.dependencies import Dependents, depends, kind_word, readers, relations
from shoal.exec.evaluation_context import EvaluationContext
from shoal.exec.evaluator import compile_expression
from shoal.exec.kernels import views
from shoal.exec.plan.expr import Expr
from shoal.exec.sql import bound as b

if TYPE_CHECKING:
    from shoal.exec.commands import Commands

_CASCADE = "Use DROP ... CASCADE to drop the dependent objects too."
_KINDS = {"VIEW": "view", "MATERIALIZED VIEW": "materialized_view"}


def alter(commands: Commands, command: b.Alter) -> None:
    """Raises: UndefinedTable (42P01), WrongObjectType (42809), and what each action can raise."""
    if command.kind == "SCHEMA":
        raise FeatureNotSupported("ALTER SCHEMA is not supported")
    if command.kind == "INDEX":
        _alter_index(commands, command)
        return
    if command.kind == "SEQUENCE" or _is_sequence(commands, command):
        _alter_sequence(commands, command)
        return
    try:
        found = commands.resolve(command.parts)
    except (UndefinedTable, InvalidSchemaName) as error:
        if not command.if_exists or not isinstance(error, UndefinedTable):
            raise
        commands.skip(f'relation "{".".join(command.parts)}" does not exist')
        return
    wanted = _KINDS.get(command.kind)
    if wanted is not None and found.handle.kind != wanted:
        raise WrongObjectType(f'"{command.parts[-1]}" is not a {wanted.replace("_", " ")}')
    table = _Table(commands, found)
    for step in command.steps:
        table.apply(step)


def _is_sequence(commands: Commands, command: b.Alter) -> bool:
    return command.kind == "TABLE" and commands.sequence(command.parts) is not None


class _Table:
    """One relation as the steps so far leave it."""

    def __init__(self, commands: Commands, found: ResolvedTable) -> None:
        self.commands, self.connector = commands, commands.defining(found.connector)
        self.handle, self.catalog = found.handle, found.connector

    @property
    def definition(self) -> TableDefinition:
        return self.connector.definition_of(self.handle)

    @property
    def name(self) -> str:
        return self.handle.name

    def apply(self, step: b.AlterStep) -> None:
        if step.what in ("storage", "owner", "validate constraint"):
            return
        action = getattr(self, "_" + step.what.replace(" ", "_"), None)
        if action is None:
            raise FeatureNotSupported(f"ALTER TABLE ... {step.what.upper()} is not supported")
        if self.handle.kind == "view" and step.what not in ("rename", "set schema", "rename column", "owner"):
            raise WrongObjectType(f'ALTER action {step.what.upper()} cannot be performed on relation "{self.name}"',
                                  detail="This operation is not supported for views.")
        action(step)

    def _place(self, name: str, relation: bool = True) -> int:
        for place, column in enumerate(self.definition.columns):
            if column.name == name:
                return place
        of = f' of relation "{self.name}"' if relation else ""
        raise UndefinedColumn(f'column "{name}"{of} does not exist')

    def _redefine(self, definition: TableDefinition, rewrite: Rewrite | None = None) -> None:
        self.connector.redefine(self.handle, definition, rewrite, text=self.commands.text)

    def _with_column(self, place: int, **changes: object) -> TableDefinition:
        columns = list(self.definition.columns)
        columns[place] = replace(columns[place], **changes)  # type: ignore[arg-type]
        return replace(self.definition, columns=tuple(columns))

    # --- names

    def _rename(self, step: b.AlterStep) -> None:
        if self.commands.exists(self.catalog, self.handle.schema, step.new_name):
            raise DuplicateTable(f'relation "{step.new_name}" already exists')
        self._move(self.handle.schema, step.new_name)

    def _set_schema(self, step: b.AlterStep) -> None:
        connector, schema = self.commands.namespace.schema_target((step.new_name,))
        written = self.commands.written(connector)
        if connector.name != self.handle.catalog or schema not in written.schemas():
            raise InvalidSchemaName(f'schema "{step.new_name}" does not exist')
        if schema == self.handle.schema:
            return
        if self.commands.exists(connector, schema, self.name):
            raise DuplicateTable(f'relation "{self.name}" already exists in schema "{schema}"')
        self._move(schema, self.name)

    def _move(self, schema: str, name: str) -> None:
        """Another name for the table; its sequences and the keys that point to it follow."""
        old, connector = self.handle, self.connector
        assert isinstance(connector, Connector)
        connector.redefine(old, self.definition, name=name, schema=schema)
        moved = connector.table(schema, name)
        assert moved is not None
        self.handle = moved
        for sequence in connector.number_sequences(old.schema):
            if sequence.owner is not None and sequence.owner[0] == old.name:
                connector.redefine_sequence(old.schema, sequence.name, replace(sequence, owner=(name, sequence.owner[1])),
                                            schema if schema != old.schema else None)
                if schema != old.schema:
                    column = sequence.owner[1]
                    default = self.commands.nextval(schema, sequence.name)
                    self._redefine(self._with_column(self._place(column), default=default))
        for other_schema in connector.schemas():
            for table in connector.tables(other_schema):
                handle = connector.table(other_schema, table.name)
                assert handle is not None
                definition = connector.definition_of(handle)
                if any(c.references == (old.schema, old.name) for c in definition.constraints):
                    connector.redefine(handle, replace(definition, constraints=tuple(
                        replace(c, references=(schema, name)) if c.references == (old.schema, old.name) else c
                        for c in definition.constraints)))

    def _rename_column(self, step: b.AlterStep) -> None:
        place = self._place(step.name, relation=False)
        if any(column.name == step.new_name for column in self.definition.columns):
            raise DuplicateColumn(f'column "{step.new_name}" of relation "{self.name}" already exists')

        def renamed(columns: Sequence[str]) -> tuple[str, ...]:
            return tuple(step.new_name if column == step.name else column for column in columns)

        checks, indexes = {c.name: c for c in step.constraints}, {i.name: i for i in step.indexes}
        definition = self._with_column(place, name=step.new_name)
        self._redefine(replace(
            definition, constraints=tuple(checks.get(c.name) or replace(c, columns=renamed(c.columns))
                                          for c in definition.constraints),
            indexes=tuple(indexes.get(i.name) or replace(i, columns=renamed(i.columns)) for i in definition.indexes)))
        number = self.connector.number(self.handle)
        for view in relations(self.connector):
            other = self.connector.definition_of(view)
            if other.view is not None and any(r.number == number and r.catalog == view.catalog for r in other.view.reads):
                reads = tuple(replace(r, columns=renamed(r.columns), used=renamed(r.used)) if r.number == number else r
                              for r in other.view.reads)
                self.connector.redefine(view, replace(other, view=replace(other.view, reads=reads)))
        connector = self.connector
        assert isinstance(connector, Connector)
        for sequence in connector.number_sequences(self.handle.schema):
            if sequence.owner == (self.name, step.name):
                connector.redefine_sequence(self.handle.schema, sequence.name, replace(sequence, owner=(self.name,
                                                                                                        step.new_name)))
        for schema in connector.schemas():
            for table in connector.tables(schema):
                handle = connector.table(schema, table.name)
                assert handle is not None
                other = connector.definition_of(handle)
                if any(c.references == (self.handle.schema, self.name) and step.name in c.referenced_columns
                       for c in other.constraints):
                    connector.redefine(handle, replace(other, constraints=tuple(
                        replace(c, referenced_columns=renamed(c.referenced_columns))
                        if c.references == (self.handle.schema, self.name) else c for c in other.constraints)))

    def _rename_constraint(self, step: b.AlterStep) -> None:
        definition = self.definition
        if not any(c.name == step.name for c in definition.constraints):
            raise UndefinedObject(f'constraint "{step.name}" for table "{self.name}" does not exist')
        self._redefine(replace(definition, constraints=tuple(
            replace(c, name=step.new_name) if c.name == step.name else c for c in definition.constraints)))

    # --- columns

    def _add_column(self, step: b.AlterStep) -> None:
        assert step.column is not None
        if any(column.name == step.name for column in self.definition.columns):
            message = f'column "{step.name}" of relation "{self.name}" already exists'
            if not step.exists:
                raise DuplicateColumn(message)
            self.commands.skip(message, DuplicateColumn.sqlstate)
            return
        column, definition = step.column, self.definition
        filled: Rewrite
        if step.sequence is not None:
            definition = replace(definition, columns=(*definition.columns, column))
            definition = self.commands.numbered_columns(self.connector, self.handle.schema, self.name, definition,
                                                        [(column.name, step.sequence)])
            made = definition.columns[-1]
            connector, schema = self.connector, self.handle.schema
            assert isinstance(connector, Connector)
            name = next(s.name for s in connector.number_sequences(schema) if s.owner == (self.name, column.name))

            def filled(arrays: Sequence[pa.Array], rows: int) -> Sequence[pa.Array]:
                values = np.array(connector.next_values(schema, name, rows), np.int64)
                return [*arrays, pa.array(values).cast(_storage(made.type))]
        else:
            assert step.value is not None
            definition = replace(definition, columns=(*definition.columns, column))
            run = compile_expression(step.value, {})

            def filled(arrays: Sequence[pa.Array], rows: int) -> Sequence[pa.Array]:
                values = run(Batch([], rows), self._context())
                if not column.nullable and values.null_count:
                    raise self._holds_nulls(column.name)
                return [*arrays, values]
        self._redefine(definition, filled)
        self._add_constraint(step)

    def _context(self) -> EvaluationContext:
        return EvaluationContext()

    def _holds_nulls(self, column: str) -> SqlError:
        return NotNullViolation(f'column "{column}" of relation "{self.name}" contains null values')

    def _drop_column(self, step: b.AlterStep) -> None:
        try:
            place = self._place(step.name)
        except UndefinedColumn as error:
            if not step.exists:
                raise
            self.commands.skip(error.message)
            return
        definition, users = self.definition, readers(self.connector, self.handle, step.name)
        shown, victims = self.commands.shown, []
        pointing = self._pointing_keys(step.name)
        if users or pointing:
            lines = [f"{kind_word(user)} {shown(user)} depends on column {step.name} of table {shown(self.handle)}"
                     for user in users]
            lines += [f"constraint {name} on table {shown(handle)} depends on column {step.name} of table "
                      f"{shown(self.handle)}" for handle, name in pointing]
            if not step.cascade:
                raise DependentObjectsStillExist(
                    f"cannot drop column {step.name} of table {shown(self.handle)} because other objects depend on it",
                    detail="\n".join(lines), hint=_CASCADE)
        dependents = Dependents()
        assert isinstance(self.connector, Connector)
        for user in users:
            victims.append(f"{kind_word(user)} {shown(user)}")
            depends(self.connector, user, {(user.catalog, user.schema, user.name)}, dependents)
        victims += [d.victim(shown) for d in dependents.found] + [f"constraint {n} on table {shown(h)}" for h, n in pointing]
        self.commands.tell_cascade(victims)
        for dependent in dependents.found:
            dependent.drop()
        for user in users:
            if self.connector.table(user.schema, user.name) is not None:
                self.commands.writable(self.catalog).drop_table(user)
        for handle, name in pointing:
            other = self.connector.definition_of(handle)
            kept = tuple(c for c in other.constraints if c.name != name)
            self.connector.redefine(handle, replace(other, constraints=kept))
        definition = self.definition
        self._redefine(replace(
            definition, columns=tuple(c for c in definition.columns if c.name != step.name),
            constraints=tuple(c for c in definition.constraints if step.name not in c.columns),
            indexes=tuple(i for i in definition.indexes if not i.reads(step.name))),
            lambda arrays, rows: [array for i, array in enumerate(arrays) if i != place])
        for sequence in self.connector.number_sequences(self.handle.schema):
            if sequence.owner == (self.name, step.name):
                self.connector.redefine_sequence(self.handle.schema, sequence.name, None)

    def _pointing_keys(self, column: str) -> list[tuple[TableHandle, str]]:
        connector = self.connector
        assert isinstance(connector, Connector)
        dependents = Dependents()
        depends(connector, self.handle, {(self.handle.catalog, self.handle.schema, self.name)}, dependents, True)
        return [(d.handle, d.constraint) for d in dependents.found
                if any(c.name == d.constraint and column in c.referenced_columns
                       for c in connector.constraints(d.handle))]

    def _type(self, step: b.AlterStep) -> None:
        assert step.column is not None and step.value is not None
        place = self._place(step.name)
        if users := readers(self.connector, self.handle, step.name):
            raise FeatureNotSupported("cannot alter type of a column used by a view or rule", detail=(
                f'rule _RETURN on {kind_word(users[0])} {self.commands.shown(users[0])} depends on column "{step.name}"'))
        run = compile_expression(step.value, {i + 1: i for i in range(len(self.definition.columns))})

        def changed(arrays: Sequence[pa.Array], rows: int) -> Sequence[pa.Array]:
            made = list(arrays)
            made[place] = run(Batch.of(arrays, rows), self._context())
            return made

        definition, indexes = self._with_column(place, type=step.column.type), {i.name: i for i in step.indexes}
        self._redefine(replace(definition, indexes=tuple(indexes.get(i.name, i) for i in definition.indexes)), changed)

    def _set_default(self, step: b.AlterStep) -> None:
        self._redefine(self._with_column(self._place(step.name), default=step.text))

    def _drop_default(self, step: b.AlterStep) -> None:
        self._redefine(self._with_column(self._place(step.name), default=""))

    def _set_not_null(self, step: b.AlterStep) -> None:
        place = self._place(step.name)
        self._require_values([place])
        self._redefine(self._with_column(place, nullable=False))

    def _require_values(self, places: Sequence[int]) -> None:
        """Raises: NotNullViolation (23502) where rows hold NULLs."""
        def look(arrays: Sequence[pa.Array], rows: int) -> Sequence[pa.Array]:
            for place in places:
                if arrays[place].null_count:
                    raise self._holds_nulls(self.definition.columns[place].name)
            return arrays
        self._redefine(self.definition, look)

    def _drop_not_null(self, step: b.AlterStep) -> None:
        place = self._place(step.name)
        if any(c.kind == "primary" and step.name in c.columns for c in self.definition.constraints):
            from shoal.catalog.errors import InvalidTableDefinition
            raise InvalidTableDefinition(f'column "{step.name}" is in a primary key')
        self._redefine(self._with_column(place, nullable=True))

    def _add_identity(self, step: b.AlterStep) -> None:
        assert step.sequence is not None
        place = self._place(step.name)
        definition = self._with_column(place, identity=step.text)
        self._redefine(self.commands.numbered_columns(self.connector, self.handle.schema, self.name, definition,
                                                      [(step.name, step.sequence)]))

    def _drop_identity(self, step: b.AlterStep) -> None:
        self._redefine(self._with_column(self._place(step.name), identity="", default=""))
        assert isinstance(self.connector, Connector)
        for sequence in self.connector.number_sequences(self.handle.schema):
            if sequence.owner == (self.name, step.name):
                self.connector.redefine_sequence(self.handle.schema, sequence.name, None)

    # --- constraints

    def _add_constraint(self, step: b.AlterStep) -> None:
        if step.new_name:
            self._key_of_index(step)
            return
        for constraint in step.constraints:
            definition = self.definition
            if constraint.kind == "primary":
                places = [self._place(name) for name in constraint.columns]
                self._require_values(places)
                definition = replace(self.definition, columns=tuple(
                    replace(c, nullable=False) if c.name in constraint.columns else c for c in self.definition.columns))
            if constraint.kind in ("primary", "unique"):
                self.commands.require_free(self.catalog, self.handle.schema, constraint.name)
            if constraint.kind == "check" and step.value is not None and step.what == "add constraint":
                self._require_check(constraint.name, step.value)
            self._redefine(replace(definition, constraints=(*definition.constraints, constraint)))
        for foreign in step.foreign:
            made = self.commands.foreign_key(foreign, self.catalog, self.handle.schema, self.name, self.definition)
            self._redefine(replace(self.definition, constraints=(*self.definition.constraints, made)))

    def _key_of_index(self, step: b.AlterStep) -> None:
        """ADD CONSTRAINT ... USING INDEX."""
        from shoal.catalog.declarations import Constraint
        definition = self.definition
        index = next((i for i in definition.indexes if i.name == step.new_name), None)
        if index is None:
            raise UndefinedObject(f'index "{step.new_name}" does not exist')
        wrong = (f'"{index.name}" is not a unique index' if not index.unique else
                 f'index "{index.name}" contains expressions' if index.expressions else
                 f'"{index.name}" is a partial index' if index.predicate else "")
        if wrong:
            raise WrongObjectType(wrong, detail="Cannot create a primary key or unique constraint using such an index.")
        if step.text == "primary":
            self._require_values([self._place(name) for name in index.columns])
        made = Constraint(step.name, "primary" if step.text == "primary" else "unique", index.columns)
        columns = tuple(replace(c, nullable=c.nullable and not (step.text == "primary" and c.name in index.columns))
                        for c in definition.columns)
        self._redefine(replace(definition, columns=columns, constraints=(*definition.constraints, made),
                               indexes=tuple(i for i in definition.indexes if i is not index)))

    def _require_check(self, name: str, condition: Expr) -> None:
        """Raises: CheckViolation (23514) where a row fails it."""
        run = compile_expression(condition, {i + 1: i for i in range(len(self.definition.columns))})

        def look(arrays: Sequence[pa.Array], rows: int) -> Sequence[pa.Array]:
            found = run(Batch.of(arrays, rows), self._context())
            failed, valid = ~views.values(found), views.validity(found)
            if (failed if valid is None else failed & valid).any():
                raise CheckViolation(f'check constraint "{name}" of relation "{self.name}" is violated by some row')
            return arrays
        self._redefine(self.definition, look)

    def _drop_constraint(self, step: b.AlterStep) -> None:
        definition = self.definition
        found = next((c for c in definition.constraints if c.name == step.name), None)
        if found is None:
            message = f'constraint "{step.name}" of relation "{self.name}" does not exist'
            if not step.exists:
                raise UndefinedObject(message)
            self.commands.skip(message)
            return
        if found.kind in ("primary", "unique"):
            dependents = Dependents()
            depends(self.connector, self.handle, set(), dependents, True)
            assert isinstance(self.connector, Connector)
            using = [d for d in dependents.found if any(c.name == d.constraint and set(c.referenced_columns) == set(
                found.columns) for c in self.connector.constraints(d.handle))]
            if using and not step.cascade:
                shown = self.commands.shown
                raise DependentObjectsStillExist(
                    f"cannot drop constraint {step.name} on table {shown(self.handle)} because other objects depend on it",
                    detail="\n".join(f"{d.victim(shown)} depends on index {step.name}" for d in using), hint=_CASCADE)
            self.commands.tell_cascade([d.victim(self.commands.shown) for d in using])
            for dependent in using:
                dependent.drop()
            definition = self.definition
        self._redefine(replace(definition, constraints=tuple(c for c in definition.constraints if c.name != step.name)))


def _storage(sql_type: object) -> pa.DataType:
    from shoal.catalog.types import SqlType, storage_type
    assert isinstance(sql_type, SqlType)
    return storage_type(sql_type)


def _alter_sequence(commands: Commands, command: b.Alter) -> None:
    found = commands.sequence(command.parts)
    name = ".".join(command.parts)
    if found is None:
        if not command.if_exists:
            raise UndefinedTable(f'relation "{name}" does not exist')
        commands.skip(f'relation "{name}" does not exist')
        return
    connector, schema, own = found
    assert isinstance(connector, Connector)
    for step in command.steps:
        info = next(s for s in connector.number_sequences(schema) if s.name == own)
        if step.what == "rename":
            connector.redefine_sequence(schema, own, replace(info, name=step.new_name))
            own = step.new_name
        elif step.what == "set schema":
            connector.redefine_sequence(schema, own, info, step.new_name)
            schema = step.new_name
        elif step.what == "sequence":
            _sequence_options(commands, connector, schema, info, dict(step.options))
        elif step.what != "owner":
            raise WrongObjectType(f'"{own}" is not a table')


def _sequence_options(commands: Commands, connector: SupportsDefinitions, schema: str, info: NumberSequence,
                      options: dict[str, object]) -> None:
    from shoal.exec.sql.definitions import number_sequence
    owner = options.get("owner")
    made = number_sequence(options, info)
    if isinstance(owner, tuple):
        made = replace(made, owner=None if owner == ("none",) else (commands.resolve(owner[:-1]).handle.name, owner[-1]))
    connector.redefine_sequence(schema, info.name, made)
    if "restart" in options:
        value = options["restart"]
        connector.set_value(schema, info.name, value if isinstance(value, int) else made.start, False)


def _alter_index(commands: Commands, command: b.Alter) -> None:
    found = commands.index(command.parts)
    if found is None:
        if not command.if_exists:
            raise UndefinedTable(f'relation "{".".join(command.parts)}" does not exist')
        commands.skip(f'relation "{".".join(command.parts)}" does not exist')
        return
    connector, handle = found
    for step in command.steps:
        if step.what != "rename":
            raise FeatureNotSupported(f"ALTER INDEX ... {step.what.upper()} is not supported")
        definition, old = connector.definition_of(handle), command.parts[-1]
        connector.redefine(handle, replace(
            definition, indexes=tuple(replace(i, name=step.new_name) if i.name == old else i for i in definition.indexes),
            constraints=tuple(replace(c, name=step.new_name) if c.name == old and c.kind in ("primary", "unique") else c
                              for c in definition.constraints)))
