"""Types as SQL writes them, to SqlType (hop 2). Spec: PostgreSQL 15 documentation, chapter 8."""

from __future__ import annotations

from dataclasses import replace

from shoal.catalog.errors import FeatureNotSupported, SqlError, UndefinedObject
from shoal.catalog.types import OIDS, SqlType, array_of
from shoal.exec.functions.casts import parse_type
from shoal.exec.sql.syntax import TypeName

_SYSTEM_SCHEMAS = ("", "pg_catalog", "information_schema")
_DOMAINS = {"cardinal_number": "int4", "character_data": "varchar", "sql_identifier": "name", "time_stamp": "timestamptz",
            "yes_or_no": "varchar"}
"""information_schema's domains and the types beneath."""
_FIELDS = ("year", "month", "day", "hour", "minute", "second")
_FIELD_BITS = (2, 1, 3, 10, 11, 12)
"""Of an interval's typmod (datetime.h)."""
_NO_MODIFIERS = ("timestamp", "time", "timestamp with time zone", "time with time zone", "interval", "bit", "bit varying")


def resolve_type(written: TypeName) -> SqlType:
    """The type meant. Raises: UndefinedObject (42704), InvalidParameterValue (22023) for impossible modifiers."""
    try:
        found = _resolve(written)
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


def _resolve(written: TypeName) -> SqlType:
    name = written.name
    if written.schema not in _SYSTEM_SCHEMAS:
        raise UndefinedObject(f'type "{written.schema}.{name}" does not exist')
    if written.schema == "information_schema" and name in _DOMAINS:
        return SqlType(_DOMAINS[name])
    if name in ("bit", "bit varying"):
        raise FeatureNotSupported("bit strings are not supported")
    if written.quoted and name not in OIDS:
        raise UndefinedObject(f'type "{name}" does not exist')
    spelled = f'"{name}"' if written.quoted else name
    if name == "character" and not written.modifiers:
        return SqlType("bpchar", length=1)
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


def time_precision(written: TypeName) -> int | None:
    """n of timestamp(n), time(n) and interval(n) where it cuts digits, else None."""
    if written.modifiers and written.name in _NO_MODIFIERS and written.name not in ("bit", "bit varying"):
        return written.modifiers[0] if written.modifiers[0] < 6 else None
    return None
