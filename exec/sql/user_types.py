"""Types that somebody made: enums, composite types, domains, the rows of tables (hop 2).

A domain is bound as the type beneath it; a value that becomes one passes its conditions then (`require`).

Spec: PostgreSQL 15 documentation, 8.7 "Enumerated Types", 8.16 "Composite Types", 8.18 "Domain Types".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shoal.catalog.access import Namespace, quoted
from shoal.catalog.connector import Connector, TableHandle
from shoal.catalog.declarations import ColumnInfo, TypeDefinition
from shoal.catalog.errors import CheckViolation, FeatureNotSupported, NotNullViolation, UndefinedFunction
from shoal.catalog.pg_catalog.snapshot import Snapshot, stable_oid
from shoal.catalog.types import BOOL, OIDS, SQL_ALIASES, TEXT, SqlType, UserType, array_of
from shoal.exec.plan import expr as e
from shoal.exec.plan.expr import Call, Expr, Literal
from shoal.exec.sql import syntax as s
from shoal.exec.sql.coercion import coerce, ranked
from shoal.exec.sql.context import CHECK, Context, Level, fail
from shoal.exec.sql.scope import Relation, Scope, ScopeColumn, resolve_column

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


def type_of_oid(namespace: Namespace, snapshot: Snapshot, oid: int) -> SqlType | None:
    """The type of this OID, None where it is PostgreSQL's or none."""
    place, name = snapshot.own_types.get(oid, (None, ""))
    if place is None:
        return None
    for wanted, array in ((name, False), (name.removeprefix("_"), True)):
        found = _in_schema(namespace, place.connector, place.schema, wanted)
        sql_type = None if found is None else array_of(found.type) if array else found.type
        if sql_type is not None and snapshot.type_oid(place, "_" + wanted if array else wanted) == oid:
            return sql_type
    return None


def row_type(namespace: Namespace, handle: TableHandle, record: SqlType) -> SqlType:
    """The type of a table's rows, which have the fields of `record`."""
    return replace(record, user=_user(namespace, handle.catalog, handle.schema, handle.name))


def column_type(namespace: Namespace, connector: Connector, info: ColumnInfo) -> SqlType:
    """The type of a table's column: the source's enum or composite type where its values are of one, of whose text the
    connector makes a column."""
    return _made(namespace, connector, info.type, info.made)


def _made(namespace: Namespace, connector: Connector, read_as: SqlType, made: tuple[str, str] | None) -> SqlType:
    found = None if made is None else _in_schema(namespace, connector, *made)
    if found is None:
        return read_as
    return array_of(found.type) if read_as.is_array else found.type


def _user(namespace: Namespace, catalog: str, schema: str, name: str, labels: tuple[str, ...] = (),
          domains: Sequence[tuple[str, str] | None] = ()) -> UserType:
    seen = namespace.schema_as_seen(catalog, schema)
    plain = seen == "public" or seen in namespace.search_path or schema == namespace.temporary
    return UserType(stable_oid("type", catalog, schema, name), stable_oid("type", catalog, schema, "_" + name),
                    quoted(name) if plain else f"{quoted(seen)}.{quoted(name)}", labels,
                    tuple(() if one is None else (catalog, *one) for one in domains) if any(domains) else ())


def _in_schema(namespace: Namespace, connector: Connector, schema: str, name: str) -> Found | None:
    def user(labels: tuple[str, ...] = (), domains: Sequence[tuple[str, str] | None] = ()) -> UserType:
        return _user(namespace, connector.name, schema, name, labels, domains)

    for made in connector.type_definitions(schema):
        if made.name == name:
            if made.base is not None:
                return Found(made.base, connector, schema, made)
            fields = tuple((field, _made(namespace, connector, kind, of)) for (field, kind), of in zip(
                made.fields, made.made, strict=True)) if made.made else made.fields
            sql_type = SqlType("enum", user=user(made.labels)) if made.kind == "enum" else SqlType(
                "record", fields=fields, user=user(domains=made.domains))
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


def domain_of_value(b: ExpressionBinder, node: Any) -> int | None:
    """The OID of the domain that a column, or a cast to one, has its values of; None for others."""
    parts: tuple[str, ...] | None = None
    if isinstance(node, s.Cast) and not node.type.dimensions:
        parts = node.type.parts
        if node.type.name in SQL_ALIASES or (node.type.name in OIDS and len(parts) == 1):
            return None
    elif isinstance(node, s.Name):
        found = resolve_column(b.level, node.parts, node.pos)
        if found is None or found[0].origin is None:
            return None
        catalog, schema, name, index = found[0].origin
        connector = b.context.namespace.catalogs.connector(catalog)
        handle = connector.table(schema, name)
        parts = None if handle is None else connector.columns(handle)[index].domain
    made = None if parts is None else find(b.context, parts)
    if made is None or made.domain is None:
        return None
    return stable_oid("type", made.connector.name, made.schema, made.domain.name)


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


def in_domains(context: Context, value: Expr) -> Expr:
    """A record once its fields have passed the conditions of their domains."""
    from shoal.exec.sql.rows import fields as fields_of_row
    user = value.type.user
    if user is None or not user.domains or (isinstance(value, Literal) and value.value is None):
        return value
    fields = fields_of_row(value)
    for place, parts in enumerate(user.domains):
        found = find(context, parts) if parts else None
        if found is not None and found.domain is not None:
            fields[place] = in_domain(context, fields[place], found.domain)
    row = Call(value.type, "row", tuple(fields))
    return e.Case(value.type, (e.call("is_null", BOOL, value),), (Literal(value.type, None),), row)


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
