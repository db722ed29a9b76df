"""Types that somebody made: enums, composite types, domains, the rows of tables (hop 2).

A domain is bound as the type beneath it; a value that becomes one passes its conditions then (`require`).

Spec: PostgreSQL 15 documentation, 8.7 "Enumerated Types", 8.16 "Composite Types", 8.18 "Domain Types".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shoal.catalog.access import Namespace, quoted
from shoal.catalog.connector import Connector, TableHandle
from shoal.catalog.declarations import ColumnInfo, TypeDefinition
from shoal.catalog.errors import CheckViolation, FeatureNotSupported, NotNullViolation, UndefinedFunction
from shoal.catalog.pg_catalog.snapshot import stable_oid
from shoal.catalog.types import BOOL, TEXT, SqlType, UserType, array_of
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, ranked
from shoal.exec.sql.context import CHECK, Context, Level, fail
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder


@dataclass(frozen=True, slots=True)
class Found:
    """A type by its name. `domain`: where `type` is the type beneath it."""

    type: SqlType
    connector: Connector
    schema: str
    definition: TypeDefinition | None = None
    """Where it was made by CREATE TYPE or CREATE DOMAIN here."""

    @property
    def domain(self) -> TypeDefinition | None:
        return self.definition if self.definition is not None and self.definition.kind == "domain" else None


def find(context: Context, parts: Sequence[str]) -> Found | None:
    """The type of this name, one to three parts."""
    for connector, schema in context.namespace.places(tuple(parts[:-1])):
        found = _in_schema(context.namespace, connector, schema, parts[-1])
        if found is not None:
            context.own_definitions = True
            return found
    return None


def row_type(namespace: Namespace, handle: TableHandle, record: SqlType) -> SqlType:
    """The type of a table's rows, which have the fields of `record`."""
    return replace(record, user=_user(namespace, handle.catalog, handle.schema, handle.name))


def column_type(namespace: Namespace, connector: Connector, info: ColumnInfo) -> SqlType:
    """The type of a table's column: the source's enum or composite type where its values are of one, of whose text the
    connector makes a column."""
    if info.enum is None:
        return info.type
    found = _in_schema(namespace, connector, *info.enum)
    return info.type if found is None else found.type


def _user(namespace: Namespace, catalog: str, schema: str, name: str, labels: tuple[str, ...] = ()) -> UserType:
    seen = namespace.schema_as_seen(catalog, schema)
    plain = seen == "public" or seen in namespace.search_path or schema == namespace.temporary
    return UserType(stable_oid("type", catalog, schema, name), stable_oid("type", catalog, schema, "_" + name),
                    quoted(name) if plain else f"{quoted(seen)}.{quoted(name)}", labels)


def _in_schema(namespace: Namespace, connector: Connector, schema: str, name: str) -> Found | None:
    def user(labels: tuple[str, ...] = ()) -> UserType:
        return _user(namespace, connector.name, schema, name, labels)

    for made in connector.type_definitions(schema):
        if made.name == name:
            if made.base is not None:
                return Found(made.base, connector, schema, made)
            sql_type = SqlType("enum", user=user(made.labels)) if made.kind == "enum" else SqlType(
                "record", fields=made.fields, user=user())
            return Found(sql_type, connector, schema, made)
    for enum in connector.enums(schema):
        if enum.name == name:
            return Found(SqlType("enum", user=user(enum.labels)), connector, schema)
    handle = connector.table(schema, name)
    if handle is None:
        return None
    columns = tuple((info.name, column_type(namespace, connector, info)) for info in connector.columns(handle)
                    if not info.hidden)
    return Found(SqlType("record", fields=columns, user=user()), connector, schema)


def in_domain(context: Context, value: Expr, domain: TypeDefinition) -> Expr:
    """The value once it has passed the domain's conditions, which raise CheckViolation (23514), NotNullViolation (23502)."""
    from shoal.exec.sql.expressions import ExpressionBinder
    from shoal.exec.sql.stored_expressions import parsed
    conditions: list[tuple[Expr, str, str]] = []
    name = quoted(domain.name)
    if not domain.nullable:
        conditions.append((e.call("is_not_null", BOOL, value), NotNullViolation.sqlstate,
                           f"domain {name} does not allow null values"))
    column = ScopeColumn("value", value, "")
    level = Level(context, None, Scope([Relation("", [column])], [column]), {})
    for check in domain.checks:
        binder = ExpressionBinder(level, CHECK)
        conditions.append((binder.bind_boolean(parsed(check.expression), "CHECK"), CheckViolation.sqlstate,
                           f'value for domain {name} violates check constraint "{check.name}"'))
    for condition, state, message in conditions:
        value = Call(value.type, "require", (value, condition, Literal(TEXT, state), Literal(TEXT, message)))
    return value


def bind_enum_function(b: ExpressionBinder, node: s.Function) -> Expr:
    """enum_first, enum_last and enum_range: they need the type of their argument, not its value; a range's bounds matter.

    Raises: UndefinedFunction (42883).
    """
    name = node.name[-1]
    args = [b.bind(arg) for arg in node.args]
    kind = next((arg.type for arg in args if arg.type.name == "enum"), None)
    if kind is None or kind.user is None or len(args) > (2 if name == "enum_range" else 1):
        shown = ", ".join(arg.type.sql for arg in args)
        fail(UndefinedFunction, f"function {name}({shown}) does not exist", node.pos,
             hint="No function matches the given name and argument types. You might need to add explicit type casts.")
    labels = kind.user.labels
    if name != "enum_range":
        return Literal(kind, labels[0 if name == "enum_first" else -1])
    if len(args) == 1:
        return Literal(array_of(kind), labels)
    bounds = [coerce(b.context, arg, kind, node.pos) for arg in args]
    places = [ranked(bound) for bound in bounds]
    if not all(isinstance(place, Literal) for place in places):
        fail(FeatureNotSupported, "enum_range of values that are not constants is not supported", node.pos)
    low, high = (place.value for place in places if isinstance(place, Literal))
    return Literal(array_of(kind), labels[0 if low is None else low:None if high is None else high + 1])
