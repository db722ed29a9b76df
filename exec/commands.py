"""DDL statements: what they change is done here through the connectors' writing side. Blocks; runs in a thread."""

from __future__ import annotations

from collections.abc import Callable

from shoal.catalog.access import Namespace
from shoal.catalog.connector import Connector, SupportsSchemas, SupportsWrite, TableHandle
from shoal.catalog.errors import (
    DuplicateSchema,
    DuplicateTable,
    FeatureNotSupported,
    InvalidSchemaName,
    UndefinedTable,
    WrongObjectType,
)
from shoal.exec.sql.bound import Command, CreateSchema, CreateTable, DropSchema, DropTable, Truncate

Notices = list[str]


def create_table(command: CreateTable, namespace: Namespace, notices: Notices) -> TableHandle | None:
    """The handle of the new table; None where IF NOT EXISTS found one. Raises: DuplicateTable (42P07), InvalidSchemaName."""
    connector, schema, name = namespace.target(command.parts)
    writer = _writable(connector)
    if command.if_not_exists and connector.table(schema, name) is not None:
        notices.append(f'relation "{name}" already exists, skipping')
        return None
    try:
        return writer.create_table(schema, name, command.columns)
    except DuplicateTable:
        if not command.if_not_exists:
            raise
        notices.append(f'relation "{name}" already exists, skipping')
        return None


def drop_created(handle: TableHandle, connector: Connector) -> None:
    """Takes back a table that could not be filled."""
    _writable(connector).drop_table(handle)


def run_command(command: Command, namespace: Namespace) -> Notices:
    """Carries out one command; gives its notices. Raises: what the connector raises, FeatureNotSupported (0A000)."""
    notices: Notices = []
    match command:
        case CreateTable():
            create_table(command, namespace, notices)
        case DropTable():
            _drop_tables(command, namespace, notices)
        case Truncate():
            found = [namespace.resolve(parts) for parts in command.tables]
            for table in found:
                _writable(table.connector).truncate(table.handle)
        case CreateSchema():
            _create_schema(command, namespace, notices)
        case DropSchema():
            _drop_schemas(command, namespace, notices)
        case _:
            raise FeatureNotSupported("views are not supported yet")
    return notices


def _drop_tables(command: DropTable, namespace: Namespace, notices: Notices) -> None:
    found: list[Callable[[], None]] = []
    for parts in command.tables:
        try:
            table = namespace.resolve(parts)
        except (UndefinedTable, InvalidSchemaName) as error:
            if command.if_exists:
                notices.append(f'table "{parts[-1]}" does not exist, skipping')
                continue
            if isinstance(error, UndefinedTable):
                raise UndefinedTable(f'table "{parts[-1]}" does not exist', hint=error.hint) from None
            raise
        if table.handle.kind != "table":
            raise WrongObjectType(f'"{parts[-1]}" is not a table')
        writer = _writable(table.connector)
        found.append(lambda writer=writer, handle=table.handle: writer.drop_table(handle))  # type: ignore[misc]
    for drop in found:
        drop()


def _create_schema(command: CreateSchema, namespace: Namespace, notices: Notices) -> None:
    connector, schema = namespace.schema_target(command.parts)
    if not isinstance(connector, SupportsSchemas):
        raise FeatureNotSupported(f'schemas cannot be created in catalog "{connector.name}"')
    try:
        connector.create_schema(schema)
    except DuplicateSchema:
        if not command.if_not_exists:
            raise
        notices.append(f'schema "{schema}" already exists, skipping')


def _drop_schemas(command: DropSchema, namespace: Namespace, notices: Notices) -> None:
    for parts in command.schemas:
        connector, schema = namespace.schema_target(parts)
        if not isinstance(connector, SupportsSchemas):
            raise FeatureNotSupported(f'schemas cannot be dropped in catalog "{connector.name}"')
        try:
            connector.drop_schema(schema, command.cascade)
        except InvalidSchemaName:
            if not command.if_exists:
                raise
            notices.append(f'schema "{schema}" does not exist, skipping')


def _writable(connector: Connector) -> SupportsWrite:
    if not isinstance(connector, SupportsWrite):
        raise FeatureNotSupported(f'catalog "{connector.name}" cannot be written')
    return connector
