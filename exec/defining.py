"""CREATE and DROP of functions and types, carried out on the connectors. Blocks; runs in a thread.

Wording: pg_proc.c, functioncmds.c, typecmds.c and dependency.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.catalog.access import quoted
from shoal.catalog.connector import Connector, SupportsDefinitions, SupportsRoutines, TableHandle
from shoal.catalog.declarations import ColumnInfo, TypeDefinition
from shoal.catalog.errors import (
    DependentObjectsStillExist,
    DuplicateFunction,
    DuplicateObject,
    FeatureNotSupported,
    InvalidFunctionDefinition,
)
from shoal.exec.sql import bound as b

if TYPE_CHECKING:
    from shoal.exec.commands import Commands


def _routines(commands: Commands, connector: Connector) -> SupportsRoutines:
    """Raises: FeatureNotSupported (0A000)."""
    found = commands.written(connector)
    if not isinstance(found, SupportsRoutines):
        raise FeatureNotSupported(f'catalog "{connector.name}" ({connector.kind}) does not take such definitions')
    return found


def create_function(commands: Commands, command: b.CreateFunction) -> None:
    """Raises: DuplicateFunction (42723), InvalidFunctionDefinition (42P13)."""
    connector, schema, _ = commands.namespace.target(command.parts)
    routines = _routines(commands, connector)
    new = command.definition
    old = next((f for f in routines.functions(schema) if (f.name, f.signature) == (new.name, new.signature)), None)
    if old is not None and not command.replace:
        raise DuplicateFunction(f'function "{new.name}" already exists with same argument types')
    if old is not None and (_result(old) != _result(new)):
        raise InvalidFunctionDefinition("cannot change return type of existing function",
                                        hint=f"Use DROP FUNCTION {new.name}({','.join(new.signature)}) first.")
    routines.redefine_function(schema, old, new if old is None else replace(new, comment=old.comment))


def _result(definition: object) -> object:
    from shoal.catalog.declarations import FunctionDefinition
    assert isinstance(definition, FunctionDefinition)
    outputs = [(a.name, a.type.lower()) for a in definition.arguments if a.mode in ("o", "b", "t")]
    return (definition.returns_set, outputs if len(outputs) > 1 else definition.returns.lower() or outputs[0][1])


def change_function(commands: Commands, command: b.ChangeFunction) -> None:
    connector = commands.namespace.catalogs.connector(command.catalog)
    _routines(commands, connector).redefine_function(command.schema, command.old, command.new)


def drop_functions(commands: Commands, command: b.DropFunctions) -> None:
    for catalog, schema, definition in command.functions:
        _routines(commands, commands.namespace.catalogs.connector(catalog)).redefine_function(schema, definition, None)


def create_type(commands: Commands, command: b.CreateType) -> None:
    """Raises: DuplicateObject (42710)."""
    connector, schema, name = commands.namespace.target(command.parts)
    routines = _routines(commands, connector)
    if commands.written(connector).table(schema, name) is not None:
        if command.definition.kind == "composite":
            from shoal.catalog.errors import DuplicateTable
            raise DuplicateTable(f'relation "{name}" already exists')
        raise DuplicateObject(f'type "{name}" already exists')
    routines.redefine_type(schema, None, command.definition)


def change_type(commands: Commands, command: b.ChangeType) -> None:
    """ALTER and DROP. Raises: DependentObjectsStillExist (2BP01), DuplicateObject (42710)."""
    connector = commands.namespace.catalogs.connector(command.catalog)
    routines = _routines(commands, connector)
    if command.new is None:
        _drop_users(commands, commands.written(connector), command)
    routines.redefine_type(command.schema, command.old, command.new)


def _drop_users(commands: Commands, connector: Connector, command: b.ChangeType) -> None:
    """What uses a type that goes away goes with it, or keeps it."""
    users = sorted(_users(connector, command.schema, command.old), key=lambda user: not user[1].type.is_array)
    if not users:
        return
    name = quoted(command.old.name)
    if not command.cascade:
        raise DependentObjectsStillExist(
            f"cannot drop type {name} because other objects depend on it",
            detail="\n".join(f"column {info.name} of table {handle.name} depends on type {name}"
                             f"{'[]' if info.type.is_array else ''}" for handle, info in users),
            hint="Use DROP ... CASCADE to drop the dependent objects too.")
    assert isinstance(connector, SupportsDefinitions)
    from shoal.exec.altering import alter
    commands.tell_cascade([f"column {info.name} of table {handle.name}" for handle, info in users])
    for handle, info in users:
        step = b.AlterStep("drop column", info.name, cascade=True)
        alter(commands, b.Alter("TABLE", (handle.catalog, handle.schema, handle.name), (step,)))


def _users(connector: Connector, schema: str, definition: TypeDefinition) -> Iterator[tuple[TableHandle, ColumnInfo]]:
    from shoal.catalog.pg_catalog.snapshot import stable_oid
    oid = stable_oid("type", connector.name, schema, definition.name)
    for place in connector.schemas():
        for table in connector.tables(place):
            handle = connector.table(place, table.name)
            for info in connector.columns(handle) if handle is not None and handle.kind == "table" else ():
                if (info.type.user is not None and info.type.user.oid == oid) or info.domain == (schema, definition.name):
                    assert handle is not None
                    yield handle, info
