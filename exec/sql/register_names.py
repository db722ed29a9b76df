"""Literals of the reg* types, whose names must be those of something when the statement is bound (hop 2).

Where they are, their OIDs are found when the plan is made: what is bound may be kept while the OIDs change.
Spec: PostgreSQL 15 documentation, 8.19 "Object Identifier Types".
"""

from __future__ import annotations

from shoal.catalog.errors import InvalidSchemaName, SqlError
from shoal.catalog.pg_catalog.names import split_name
from shoal.exec.functions.registers import resolve_register
from shoal.exec.session_names import session_names
from shoal.exec.sql.context import Context

_LOOKED_UP = frozenset({"regclass", "regtype", "regproc", "regnamespace", "regrole"})


def check_register(context: Context, text: str, kind: str, pos: int) -> None:
    """Raises: UndefinedTable (42P01), UndefinedFunction (42883), UndefinedObject (42704) ... at `pos`.

    What the texts of views and functions name is looked for when they run, with the names of their authors.
    """
    if kind not in _LOOKED_UP or text.strip().isdecimal() or context.views or context.functions:
        return
    parts = tuple(split_name(text))
    try:
        if kind == "regclass" and _is_relation(context, parts):
            return
        names = session_names(context.namespace.catalogs, context.settings)
        if names is not None:
            schema = parts[0] if kind == "regclass" and len(parts) == 2 else ""
            if schema and schema not in context.namespace.catalogs and names.oid_of("regnamespace", schema) is None:
                raise InvalidSchemaName(f'schema "{schema}" does not exist')
            resolve_register(text.strip(), kind, names)
    except SqlError as error:
        error.position = pos + 1
        raise


def _is_relation(context: Context, parts: tuple[str, ...]) -> bool:
    if context.namespace.sequence(parts) is not None:
        return True
    try:
        context.namespace.resolve(parts)
    except SqlError:  # it may still be an index
        return False
    return True
