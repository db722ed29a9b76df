"""GRANT, REVOKE and DROP of what Shoal keeps none of: what they name is looked up, nothing changes (hop 2).

Everybody may do everything that the catalogs can do. Spec: aclchk.c and dropcmds.c of PostgreSQL 15.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.catalog.access import quoted
from shoal.catalog.connector import TableName
from shoal.catalog.errors import (
    DependentObjectsStillExist,
    FeatureNotSupported,
    InvalidGrantOperation,
    InvalidSchemaName,
    SqlError,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedDatabase,
    UndefinedFunction,
    UndefinedObject,
    UndefinedTable,
)
from shoal.catalog.pg_catalog.names import SessionNames
from shoal.catalog.pg_catalog.static import column
from shoal.exec.functions.casts import bare_sql
from shoal.exec.session_names import session_names
from shoal.exec.sql import syntax as s
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.bound import Bound, NoEffect
from shoal.exec.sql.context import Context
from shoal.exec.sql.type_names import resolve_type

_VALID = {
    "table": {"select", "insert", "update", "delete", "truncate", "references", "trigger"},
    "sequence": {"select", "update", "usage"}, "schema": {"create", "usage"},
    "database": {"create", "connect", "temporary", "temp"}, "function": {"execute"}, "procedure": {"execute"},
    "routine": {"execute"}, "type": {"usage"}, "domain": {"usage"}, "language": {"usage"}, "tablespace": {"create"},
    "parameter": {"set", "alter system"}}
_PRIVILEGES = frozenset().union(*_VALID.values())
_STATIC = {"language": ("pg_language", "lanname"), "tablespace": ("pg_tablespace", "spcname"),
           "extension": ("pg_extension", "extname"), "collation": ("pg_collation", "collname")}
"""Where PostgreSQL's own objects of a kind are."""
_NAMES = {"statistics": "statistics object"}


class _Objects:
    """What there is, as the session sees it."""

    def __init__(self, context: Context) -> None:
        self.context, self.namespace = context, context.namespace
        names = session_names(self.namespace.catalogs, context.settings)
        if names is None:
            raise FeatureNotSupported("privileges need the system catalogs")
        self.names: SessionNames = names

    def require(self, kind: str, parts: Sequence[str], types: Sequence[s.TypeName] | None = None) -> None:
        """Raises: UndefinedObject (42704) and its kin for what does not exist."""
        name = ".".join(parts)
        if kind in ("table", "sequence"):
            if self.namespace.sequence(tuple(parts)) is None:
                try:
                    self.namespace.resolve(tuple(parts))
                except UndefinedTable:
                    raise UndefinedTable(f'relation "{name}" does not exist') from None
        elif kind == "schema":
            if self.names.oid_of("regnamespace", quoted(parts[-1])) is None:
                raise InvalidSchemaName(f'schema "{parts[-1]}" does not exist')
        elif kind == "database":
            if parts[-1] not in self.names.snapshot.databases:
                raise UndefinedDatabase(f'database "{parts[-1]}" does not exist')
        elif kind == "role":
            if self.names.oid_of("regrole", quoted(parts[-1])) is None:
                raise UndefinedObject(f'role "{parts[-1]}" does not exist')
        elif kind in ("type", "domain"):
            self._require_schema(parts)
            if self.names.oid_of("regtype", ".".join(map(quoted, parts))) is None:
                raise UndefinedObject(f'type "{name}" does not exist')
        elif kind in ("function", "procedure", "routine", "aggregate"):
            self._require_function(kind, parts, types)
        elif kind != "parameter":
            known = column(*_STATIC[kind])[0] if kind in _STATIC else ()
            if parts[-1] not in known:
                encoding = ' for encoding "UTF8"' if kind == "collation" else ""
                raise UndefinedObject(f'{_NAMES.get(kind, kind)} "{name}"{encoding} does not exist')

    def _require_schema(self, parts: Sequence[str]) -> None:
        if len(parts) > 1:
            self.require("schema", parts[-2:-1])

    def _require_function(self, kind: str, parts: Sequence[str], types: Sequence[s.TypeName] | None) -> None:
        self._require_schema(parts)
        name = ".".join(parts)
        wanted = None if types is None else [resolve_type(written) for written in types]
        for found, given in zip(*column("pg_proc", "proname", "proargtypes"), strict=True):
            if found == parts[-1] and (wanted is None or list(given) == [one.oid for one in wanted]):
                return
        if wanted is None:
            raise UndefinedFunction(f'could not find a {kind} named "{name}"')
        raise UndefinedFunction(f"{kind} {name}({', '.join(map(bare_sql, wanted))}) does not exist")

    def roles(self, names: Sequence[str]) -> None:
        for name in names:
            self.require("role", (name,))


def require_role(context: Context, name: str) -> None:
    """Raises: UndefinedObject (42704)."""
    _Objects(context).require("role", (name,))


def bind_privileges(context: Context, tree: d.Privileges) -> Bound:
    from shoal.exec.sql.ddl import command
    objects = _Objects(context)
    if not tree.target:
        tag = tree.tag + " ROLE" if tree.tag != "ALTER DEFAULT PRIVILEGES" else tree.tag
        given = [] if tag == tree.tag else [name for name, _ in tree.privileges]
        objects.roles([*given, *tree.roles])
        return command(context, NoEffect(), tag)
    for place, target in enumerate(tree.objects):
        objects.require(tree.target, target.parts, tree.arguments[place] if tree.arguments else None)
    objects.roles(tree.roles)
    for name, columns in tree.privileges:
        if name in ("all", "all privileges"):
            continue
        if name not in _PRIVILEGES:
            raise SqlSyntaxError(f'unrecognized privilege type "{name}"')
        if not tree.whole and name not in _VALID[tree.target] and not (
                tree.target == "table" and name == "usage" and _are_sequences(objects, tree)):
            raise InvalidGrantOperation(f"invalid privilege type {name.upper()} for {tree.target}")
        for target in tree.objects if columns else ():
            infos = {info.name for info in context.namespace.resolve(target.parts).columns}
            for column_name in columns:
                if column_name not in infos:
                    raise UndefinedColumn(f'column "{column_name}" of relation "{target.parts[-1]}" does not exist')
    return command(context, NoEffect(), tree.tag)


def _are_sequences(objects: _Objects, tree: d.Privileges) -> bool:
    return all(objects.namespace.sequence(target.parts) is not None for target in tree.objects)


def bind_drop_other(context: Context, tree: d.DropOther) -> Bound:
    """Raises: UndefinedObject (42704) ... as there is no such thing; DependentObjectsStillExist (2BP01) for PostgreSQL's
    own; FeatureNotSupported (0A000) for what a source has."""
    from shoal.exec.sql.ddl import command, require_writable
    tag = f"DROP {tree.kind.upper()}"
    require_writable(context, tag)
    from shoal.exec.sql import routines
    made = routines.bind_drop_functions(context, tree) if tree.kind in ("function", "routine") else (
        routines.bind_drop_types(context, tree) if tree.kind in ("type", "domain") else None)
    if made is not None:
        return made
    objects = _Objects(context)
    notices: list[str] = []
    for place, target in enumerate(tree.targets):
        try:
            if tree.table is not None:
                _require_on_table(context, tree, target)
            objects.require(tree.kind, target.parts, tree.arguments[place] if tree.arguments else None)
        except (UndefinedObject, UndefinedFunction, UndefinedDatabase, InvalidSchemaName, UndefinedTable) as error:
            if not tree.exists:
                raise
            notices.append(_skipped(tree, target, error, place))
            continue
        raise _refused(objects, tree, target)
    return command(context, NoEffect(), tag, notices)


def _require_on_table(context: Context, tree: d.DropOther, target: s.TableRef) -> None:
    assert tree.table is not None
    parts = tree.table.parts
    try:
        context.namespace.resolve(parts)
    except UndefinedTable:
        raise UndefinedTable(f'relation "{".".join(parts)}" does not exist') from None
    between = "relation" if tree.kind == "rule" or tree.exists else "table"
    raise UndefinedObject(f'{tree.kind} "{target.parts[-1]}" for {between} "{parts[-1]}" does not exist')


def _skipped(tree: d.DropOther, target: s.TableRef, error: SqlError, place: int) -> str:
    """The notice of DROP IF EXISTS, which calls types by their names in the catalog."""
    types = tree.arguments[place] if tree.arguments else None
    if isinstance(error, UndefinedFunction) and types is not None:
        shown = ", ".join(f"pg_catalog.{resolve_type(written).name}" for written in types)
        return f"{tree.kind} {'.'.join(target.parts)}({shown}) does not exist, skipping"
    return error.message.replace(' for encoding "UTF8"', "") + ", skipping"


def _refused(objects: _Objects, tree: d.DropOther, target: s.TableRef) -> SqlError:
    name = target.parts[-1]
    if tree.kind in ("type", "domain"):
        oid = objects.names.oid_of("regtype", ".".join(map(quoted, target.parts)))
        own = objects.names.snapshot.own_types.get(oid or 0)
        if own is None:
            shown = objects.names.name_of("regtype", oid or 0)
            return DependentObjectsStillExist(f"cannot drop type {shown} because it is required by the database system")
        tables: list[TableName] = own[0].connector.tables(own[0].schema)
        kind = next((table.kind for table in tables if table.name == own[1]), None)
        if kind is not None:
            word = kind.replace("_", " ")
            return DependentObjectsStillExist(f"cannot drop type {name} because {word} {name} requires it",
                                              hint=f"You can drop {word} {name} instead.")
    elif tree.kind in ("function", "aggregate", "procedure", "routine", "collation", "language"):
        return DependentObjectsStillExist(f"cannot drop {tree.kind} {name} because it is required by the database system")
    return FeatureNotSupported(f"DROP {tree.kind.upper()} is not supported")
