"""Types as SQL writes them, to SqlType (hop 2). Spec: PostgreSQL 15 documentation, chapter 8."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.catalog.errors import FeatureNotSupported, SqlError, UndefinedObject
from shoal.catalog.types import OIDS, SQL_ALIASES, SqlType, array_of
from shoal.exec.functions.casts import parse_type
from shoal.exec.functions.out_of_scope import refuse_type
from shoal.exec.sql.syntax import TypeName

if TYPE_CHECKING:
    from shoal.catalog.declarations import TypeDefinition
    from shoal.exec.sql.context import Context

_SYSTEM_SCHEMAS = ("", "pg_catalog", "information_schema")
_DOMAINS = {"cardinal_number": "int4", "character_data": "varchar", "sql_identifier": "name", "time_stamp": "timestamptz",
            "yes_or_no": "varchar"}
"""information_schema's domains and the types beneath."""
_FIELDS = ("year", "month", "day", "hour", "minute", "second")
_FIELD_BITS = (2, 1, 3, 10, 11, 12)
"""Of an interval's typmod (datetime.h)."""
_NO_MODIFIERS = ("timestamp", "time", "timestamp with time zone", "time with time zone", "timestamptz", "timetz",
                 "interval")


def resolve_type(written: TypeName, context: Context | None = None) -> SqlType:
    """The type meant; with a `context` also one that somebody made, of a domain the type beneath.

    Raises: UndefinedObject (42704), InvalidParameterValue (22023) for impossible modifiers.
    """
    try:
        found = _resolve(written, context)
        if not written.dimensions:
            return found
        if found.is_array:
            return found
        if "_" + found.name not in OIDS:
            raise FeatureNotSupported(f"arrays of {found.sql} are not supported")
        return replace(array_of(found), length=found.length)
    except SqlError as error:
        error.position = error.position or written.pos + 1
        raise


def domain_of(written: TypeName, context: Context) -> tuple[tuple[str, str], TypeDefinition] | None:
    """((schema, name), definition) of the domain that a type's name means, if it means one."""
    from shoal.exec.sql import user_types
    if written.dimensions or (not written.schema and written.name in SQL_ALIASES) or (
            written.schema in _SYSTEM_SCHEMAS and written.name in OIDS):
        return None
    found = user_types.find(context, written.parts)
    return None if found is None or found.domain is None else ((found.schema, found.domain.name), found.domain)


def _resolve(written: TypeName, context: Context | None) -> SqlType:
    """Raises: UndefinedObject (42704)."""
    try:
        return _built_in(written)
    except UndefinedObject:
        if context is None:
            if written.schema in _SYSTEM_SCHEMAS:
                refuse_type(written.name)
            raise
        from shoal.exec.sql import user_types
        found = user_types.find(context, written.parts)
        if found is None and written.name.startswith("_"):
            element = user_types.find(context, (*written.parts[:-1], written.name[1:]))
            found = None if element is None else replace(element, type=array_of(element.type))
        if found is None:
            if written.schema in _SYSTEM_SCHEMAS:
                refuse_type(written.name)
            raise
        return found.type


def _built_in(written: TypeName) -> SqlType:
    name = written.name
    if written.schema not in _SYSTEM_SCHEMAS:
        raise UndefinedObject(f'type "{written.schema}.{name}" does not exist')
    if written.schema == "information_schema" and name in _DOMAINS:
        return SqlType(_DOMAINS[name])
    if written.quoted and name not in OIDS:
        raise UndefinedObject(f'type "{name}" does not exist')
    spelled = f'"{name}"' if written.quoted else name
    if name == "character" and not written.modifiers:
        return SqlType("bpchar", length=1)
    if name == "bit" and written.quoted and not written.modifiers:
        return SqlType("bit")  # not BIT, which is BIT(1)
    if written.modifiers and name not in _NO_MODIFIERS:
        spelled += f"({','.join(map(str, written.modifiers))})"
    found = parse_type(spelled)
    modifier = _time_modifier(written)
    return found if modifier is None else replace(found, modifier=modifier)


def _time_modifier(written: TypeName) -> int | None:
    """The typmod of timestamp(n), time(n), interval(n) and interval fields."""
    if written.name == "interval":
        if not written.modifiers and not written.fields:
            return None
        fields = 0x7FFF
        if written.fields:
            first, last = _FIELDS.index(written.fields[0]), _FIELDS.index(written.fields[-1])
            fields = sum(1 << _FIELD_BITS[i] for i in range(first, last + 1))
        return fields << 16 | (min(written.modifiers[0], 6) if written.modifiers else 0xFFFF)
    if written.modifiers and written.name in _NO_MODIFIERS:
        return min(written.modifiers[0], 6)
    return None
