"""Which casts exist and when they may happen unasked, the common type of several, and type names in SQL.

The casts themselves are in cast_kernels.py, the text forms in text_input.py and text_output.py.
Spec: PostgreSQL 15 documentation, chapter 10 "Type Conversion" and catalog pg_cast.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from shoal.catalog.errors import (
    CannotCoerce,
    DatatypeMismatch,
    InvalidParameterValue,
    SqlSyntaxError,
    UndefinedObject,
    did_you_mean,
)
from shoal.catalog.types import (
    MULTIRANGES,
    NUMERIC,
    OID_LIKE,
    OIDS,
    PREFERRED,
    RECORD,
    SQL_ALIASES,
    TEXT,
    SqlType,
    array_of,
    computed,
    with_modifiers,
)
from shoal.exec.functions.numeric_types import as_numeric, merged

if TYPE_CHECKING:
    from shoal.exec.plan.fragment import TaskSettings

CastContext = Literal["implicit", "assignment", "explicit"]
_NUMERICS = array_of(NUMERIC)
STRING_CATEGORY = frozenset({"text", "varchar", "bpchar", "name", "char"})

_INTEGER_OIDS = ("oid regproc regclass regtype regprocedure regoper regoperator regnamespace regrole regconfig "
                 "regdictionary regcollation")
_IMPLICIT: dict[str, str] = {
    "int2": f"int4 int8 numeric float4 float8 {_INTEGER_OIDS}",
    "int4": f"int8 numeric float4 float8 {_INTEGER_OIDS}",
    "int8": f"numeric float4 float8 {_INTEGER_OIDS}",
    "numeric": "float4 float8",
    "float4": "float8",
    "oid": _INTEGER_OIDS.removeprefix("oid "),
    "char": "text",
    "name": "text",
    "text": "bpchar varchar name regclass",
    "varchar": "text bpchar name regclass",
    "bpchar": "text varchar name",
    "pg_node_tree": "text",
    "date": "timestamp timestamptz",
    "time": "interval timetz",
    "timestamp": "timestamptz",
    "cidr": "inet", "macaddr": "macaddr8", "macaddr8": "macaddr",
    "oidvector": "_oid", "int2vector": "_int2", "bit": "varbit", "varbit": "bit",
}
_ASSIGNMENT: dict[str, str] = {
    "int4": "int2", "int8": "int2 int4", "numeric": "int2 int4 int8", "float4": "int2 int4 int8 numeric",
    "float8": "int2 int4 int8 numeric float4",
    "oid": "int4 int8",
    "text": "char", "varchar": "char", "bpchar": "char",
    "timestamp": "date time", "timestamptz": "date time timestamp timetz", "interval": "time", "timetz": "time",
    "json": "jsonb", "jsonb": "json", "inet": "cidr",
}
_EXPLICIT: dict[str, str] = {
    **{range_type: multirange for multirange, range_type in MULTIRANGES.items()},
    "int4": "bool char bit", "int8": "bit", "bit": "int4 int8", "bool": "int4", "char": "int4",
    "jsonb": "bool int2 int4 int8 numeric float4 float8",
}
_CONTEXTS: dict[tuple[str, str], CastContext] = {}
for _kind, _table in (("explicit", _EXPLICIT), ("assignment", _ASSIGNMENT), ("implicit", _IMPLICIT)):
    for _source, _targets in _table.items():
        for _target in _targets.split():
            _CONTEXTS[_source, _target] = _kind  # type: ignore[assignment]
for _source in OID_LIKE - {"xid", "cid"}:
    for _target in ("int4", "int8"):
        _CONTEXTS.setdefault((_source, _target), "assignment")
    _CONTEXTS.setdefault((_source, "oid"), "implicit")
for _source, _target in (("regproc", "regprocedure"), ("regoper", "regoperator")):
    _CONTEXTS[_source, _target] = _CONTEXTS[_target, _source] = "implicit"

BINARY_COERCIBLE = frozenset({("varchar", "text"), ("text", "varchar"), ("text", "bpchar"), ("varchar", "bpchar"),
                              ("pg_node_tree", "text"), ("oidvector", "_oid"), ("int2vector", "_int2"), ("cidr", "inet")}
                             | {("int4", name) for name in OID_LIKE} | {(name, "oid") for name in OID_LIKE}
                             | {("oid", name) for name in OID_LIKE})
"""Pairs whose storage is the same or nearly: a cast costs nothing in resolution."""


def cast_context(source: SqlType, target: SqlType) -> CastContext | None:
    """The weakest context in which `source` may become `target`; None when no cast exists."""
    if source.name == "enum" and source.user != target.user and target.name == "enum":
        return None
    if source.name == target.name or source.name == "unknown":
        return "implicit"
    found = _CONTEXTS.get((source.name, target.name))
    if found is not None:
        return found
    if source.is_array and target.is_array:
        return cast_context(source.element, target.element)
    if target.name in ("record", "void", "unknown") and target.user is None:
        return None
    if target.name in STRING_CATEGORY and target.name != "char":
        return "assignment"
    if source.name in STRING_CATEGORY and source.name != "char":
        return "explicit"
    return None


def can_coerce(source: SqlType, target: SqlType, context: CastContext = "implicit") -> bool:
    """Whether a cast may happen in `context` (implicit < assignment < explicit)."""
    found = cast_context(source, target)
    order = ("implicit", "assignment", "explicit")
    return found is not None and order.index(found) <= order.index(context)


def cast_result(source: SqlType, target: SqlType) -> SqlType:
    """`target` as a cast from `source` really gives it: a numeric without declared scale keeps the source's digits."""
    if target == NUMERIC and (source.is_integer or source.name == "numeric"):
        return computed(as_numeric(source))
    if target.name in ("varchar", "bpchar", "bit", "varbit") and target.length is None and source.name == target.name:
        return source
    return target


def common_type(types: Sequence[SqlType], context: str = "UNION") -> SqlType:
    """The type that all of `types` become in UNION, CASE, VALUES, ARRAY, COALESCE, GREATEST ... (`context` is the word
    errors use). Unknown literals adapt; all unknown give text.

    Raises: DatatypeMismatch (42804) for types of different categories, CannotCoerce (42846)."""
    known = [t for t in types if t.name != "unknown"]
    if not known:
        return TEXT
    first = known[0]
    if all(t == first for t in known):
        if len(known) < len(types):  # untyped constants are not bound to the others' modifiers
            return replace(first, length=None) if first.length is not None else computed(first)
        return first if all(t.typmod == first.typmod for t in known) else computed(first)
    if all(t.name == "numeric" or t.is_integer for t in known) and any(t.name == "numeric" for t in known):
        return computed(merged(known))
    if all(t.name == "_numeric" for t in known):
        return computed(array_of(merged([t.element for t in known])))
    if all(t.name == "record" for t in known):
        return _common_record(known)
    chosen = first
    for candidate in known[1:]:
        if candidate.name == chosen.name:
            continue
        if candidate.category != chosen.category:
            raise DatatypeMismatch(f"{context} types {_bare(chosen)} and {_bare(candidate)} cannot be matched")
        if chosen.name in PREFERRED:
            continue
        if (can_coerce(chosen, candidate) and not can_coerce(candidate, chosen)) or (chosen.is_array
                                                                                     and candidate.is_array
                                                                                     and can_coerce(chosen, candidate)):
            chosen = candidate
    for candidate in known:
        if not can_coerce(candidate, chosen):
            raise CannotCoerce(f"{context} could not convert type {_bare(candidate)} to {_bare(chosen)}")
    if chosen.name == "numeric":
        return computed(merged([t for t in known if t.name == "numeric" or t.is_integer]))
    if chosen.name == "_numeric":
        return computed(array_of(merged([t.element for t in known])))
    if chosen.length is not None and any(t.name != chosen.name or t.length != chosen.length for t in known):
        return replace(chosen, length=None)
    return chosen


def _common_record(types: Sequence[SqlType]) -> SqlType:
    """Rows whose fields differ in no more than untyped texts; else a record of unknown fields."""
    fields = [t.fields for t in types]
    if any(of is None or len(of) != len(fields[0] or ()) for of in fields):
        return RECORD
    merged: list[tuple[str, SqlType]] = []
    for parts in zip(*(of or () for of in fields), strict=True):
        known = {t for _, t in parts if t.name != "unknown"} or {TEXT}
        if len(known) > 1 or (len({t for _, t in parts}) > 1 and not known <= {TEXT}):
            return RECORD
        merged.append((parts[0][0], known.pop()))
    return replace(RECORD, fields=tuple(merged))


def _bare(sql_type: SqlType) -> str:
    return bare_sql(sql_type)


def bare_sql(sql_type: SqlType) -> str:
    """The type's SQL name without modifiers, as error messages have it."""
    if sql_type.name in ("numeric", "_numeric"):
        return "numeric" if sql_type.name == "numeric" else "numeric[]"
    return replace(sql_type, length=None).sql


_TYPE_NAME = re.compile(
    r"""\s*(?P<name>"[^"]+"|[\w. ]+?)\s*(?:\(\s*(?P<mods>-?\d+(?:\s*,\s*-?\d+)*)\s*\))?"""
    r"""(?P<rest>\s+(?:with|without)\s+time\s+zone)?\s*(?P<array>(?:\[\s*\d*\s*\]\s*)*|\s+array)\s*$""",
    re.IGNORECASE)
_INTERVAL_FIELDS = re.compile(r"interval\s+(year|month|day|hour|minute|second)(\s+to\s+(month|hour|minute|second))?$")


@lru_cache(maxsize=1024)
def parse_type(name: str) -> SqlType:
    """The type a SQL type name means: "numeric(10,2)", "int", "text[]", "timestamp with time zone", '"char"'.

    Raises: UndefinedObject (42704), InvalidParameterValue (22023) for impossible modifiers.
    """
    match = _TYPE_NAME.match(name)
    if match is None:
        raise SqlSyntaxError(f'syntax error in type name "{name}"')
    raw = match["name"]
    if raw.startswith('"'):
        base = raw[1:-1]
    else:
        base = " ".join(raw.lower().split())
        base = base.removeprefix("pg_catalog.")
    if match["rest"]:
        base = f"{base} {' '.join(match['rest'].lower().split())}"
    modifiers = [int(part) for part in match["mods"].split(",")] if match["mods"] else []
    sql_type = _named(base, quoted=raw.startswith('"'), modifiers=modifiers)
    return array_of(sql_type) if match["array"].strip() else sql_type


def _named(base: str, quoted: bool, modifiers: list[int]) -> SqlType:
    if base == "float" and modifiers and not quoted:
        if not 1 <= modifiers[0] <= 53:
            bound = "at least 1 bit" if modifiers[0] < 1 else "less than 54 bits"
            raise InvalidParameterValue(f"precision for type float must be {bound}")
        return SqlType("float4" if modifiers[0] <= 24 else "float8")
    bare = base
    name = base if quoted and base in OIDS else SQL_ALIASES.get(base, base)
    if _INTERVAL_FIELDS.match(base):
        name = "interval"
    for suffix, alias in ((" without time zone", ""), (" with time zone", "tz"), (" varying", "")):
        if name not in OIDS and base.endswith(suffix):
            name = {"char": "varchar", "character": "varchar", "national character": "varchar"}.get(
                base.removesuffix(suffix), base.removesuffix(suffix)) + alias
    if name in ("national character", "national char", "nchar"):
        name, bare = "bpchar", "char"
    if name not in OIDS:
        raise UndefinedObject(f'type "{base}" does not exist', hint=did_you_mean(base, [*SQL_ALIASES, *OIDS]))
    if name == "numeric":
        return _numeric(modifiers)
    if name in ("varchar", "bpchar", "bit", "varbit") and modifiers:
        word = {"bpchar": "char", "varbit": "bit varying"}.get(name, name)
        if modifiers[0] < 1:
            raise InvalidParameterValue(f"length for type {word} must be at least 1")
        if word.startswith("bit") and modifiers[0] > 83_886_080:
            raise InvalidParameterValue(f"length for type {word} cannot exceed 83886080")
        if word.endswith("char") and modifiers[0] > 10_485_760:
            raise InvalidParameterValue(f"length for type {word} cannot exceed 10485760")
    if name == "bpchar" and not modifiers and bare == "bpchar":
        return SqlType("bpchar")
    return with_modifiers(SqlType(name), modifiers)


def _numeric(modifiers: list[int]) -> SqlType:
    if not modifiers:
        return NUMERIC
    precision, scale = modifiers[0], modifiers[1] if len(modifiers) > 1 else 0
    if not 1 <= precision <= 1000:
        raise InvalidParameterValue(f"NUMERIC precision {precision} must be between 1 and 1000")
    if not -1000 <= scale <= 1000:
        raise InvalidParameterValue(f"NUMERIC scale {scale} must be between -1000 and 1000")
    return with_modifiers(SqlType("numeric"), modifiers)


def parse_literal(text: str, target: SqlType, settings: TaskSettings) -> Any:
    """The physical value (exec/plan/expr.py) of a quoted literal of type `target`, modifiers applied as an explicit
    cast does. Raises: InvalidTextRepresentation (22P02), InvalidDatetimeFormat (22007), DatetimeOverflow (22008),
    NumericOutOfRange (22003)."""
    from shoal.exec.functions.text_input import parse_value
    return parse_value(text, target, settings)


def literal_type(text: str, target: SqlType) -> SqlType:
    """`target` for a quoted literal: an undeclared numeric takes the literal's own digits and scale."""
    if target == NUMERIC:
        from shoal.exec.functions.text_input import numeric_literal_type
        return computed(numeric_literal_type(text))
    if target == _NUMERICS:
        from shoal.exec.functions.text_input import numeric_array_type
        return computed(numeric_array_type(text))
    return target
