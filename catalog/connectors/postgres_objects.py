"""What a remote PostgreSQL declares besides columns: constraints, indexes, views, sequences, enum types, sizes.

Hop 2, for pg_catalog's tables alone: a whole schema is read at once, when something of it is first asked for, and kept as
long as its names (postgres_metadata). Spec: PostgreSQL 15 documentation, chapter 53 "System Catalogs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from shoal.catalog.connectors.postgres_connections import Connection
from shoal.catalog.connectors.postgres_types import TYPE_FIELDS, TYPE_JOINS, RemoteType, sql_type_of
from shoal.catalog.declarations import Constraint, EnumType, Index, NumberSequence, StoredSize, TypeDefinition
from shoal.catalog.types import SqlType

_CONSTRAINTS = """
SELECT c.relname, k.conname, k.contype::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY place),
       fn.nspname, f.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY place),
       CASE WHEN k.contype <> 'f' THEN pg_get_constraintdef(k.oid) ELSE '' END,
       CASE WHEN k.contype <> 'f' THEN pg_get_constraintdef(k.oid, true) ELSE '' END,
       k.confupdtype::text, k.confdeltype::text, k.confmatchtype::text, k.condeferrable, k.condeferred, k.convalidated,
       coalesce(obj_description(k.oid, 'pg_constraint'), '')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE n.nspname = %s AND k.contype IN ('p', 'u', 'f', 'c', 'x') ORDER BY k.contype = 'p' DESC, k.conname
"""
_INDEXES = """
SELECT t.relname, c.relname, i.indisunique, i.indisprimary, am.amname, i.indnatts, {keys},
       ARRAY(SELECT coalesce(a.attname::text, '(' || pg_get_indexdef(i.indexrelid, u.place::int, true) || ')')
             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(num, place)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.num ORDER BY place),
       i.indoption::int2[]::int[], i.indclass::oid[]::int8[], coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       pg_get_indexdef(i.indexrelid), pg_get_indexdef(i.indexrelid, 0, true),
       coalesce(obj_description(c.oid, 'pg_class'), ''), coalesce(pg_relation_size(c.oid), 0)::int8
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_am am ON am.oid = c.relam
WHERE n.nspname = %s AND i.indislive ORDER BY c.relname
"""
_VIEWS = """
SELECT c.relname, pg_get_viewdef(c.oid), pg_get_viewdef(c.oid, true)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind IN ('v', 'm')
"""
_SEQUENCES = """
SELECT c.relname, s.seqtypid::int8, s.seqstart, s.seqmin, s.seqmax, s.seqincrement, s.seqcycle, s.seqcache,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT,USAGE') THEN pg_sequence_last_value(c.oid) END,
       t.relname, a.attname, d.deptype = 'i', coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
LEFT JOIN pg_class t ON t.oid = d.refobjid LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE n.nspname = %s ORDER BY c.relname
"""
_ENUMS = """
SELECT t.typname, ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
       coalesce(obj_description(t.oid, 'pg_type'), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typtype = 'e' ORDER BY t.typname
"""
_DOMAINS = f"""
SELECT t.oid::int8, t.typbasetype::int8, {TYPE_FIELDS.format(t="b")}, t.typtypmod
FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype {TYPE_JOINS.format(t="b")} WHERE t.typtype = 'd'
"""
_COMPOSITES = f"""
SELECT t.typname, a.attname, f.oid::int8, {TYPE_FIELDS.format(t="f")}, a.atttypmod
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type f ON f.oid = a.atttypid {TYPE_JOINS.format(t="f")}
WHERE n.nspname = %s ORDER BY t.typname, a.attnum
"""
_SIZES = """
SELECT c.relname, coalesce(pg_table_size(c.oid), 0)::int8, coalesce(pg_indexes_size(c.oid), 0)::int8,
       coalesce(pg_relation_size(c.oid), 0)::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind IN ('r', 'm', 'v', 'f', 'p')
"""
_SCHEMA_COMMENT = "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = %s"
_KINDS = {"p": "primary", "u": "unique", "f": "foreign", "c": "check", "x": "exclusion"}

T = TypeVar("T")


class RemoteObjects:
    """By schema; `kept(key, load)` remembers what `load(connection)` gives, thread-safely."""

    def __init__(self, kept: Callable[[Any, Callable[[Connection], Any]], Any]) -> None:
        self._kept = kept

    def _rows(self, what: str, schema: str, read: Callable[[Connection], T]) -> T:
        found: T = self._kept((what, schema), read)
        return found

    def constraints(self, schema: str) -> dict[str, tuple[Constraint, ...]]:
        """By table."""
        def load(connection: Connection) -> dict[str, tuple[Constraint, ...]]:
            return _grouped((row[0], _constraint(*row[1:])) for row in connection.execute(_CONSTRAINTS, [schema]))
        return self._rows("constraints", schema, load)

    def indexes(self, schema: str) -> dict[str, tuple[Index, ...]]:
        """By table."""
        def load(connection: Connection) -> dict[str, tuple[Index, ...]]:
            keys = "i.indnkeyatts" if connection.info.server_version >= 110000 else "i.indnatts"
            statement = _INDEXES.replace("{keys}", keys)
            return _grouped((row[0], _index(*row[1:])) for row in connection.execute(statement.encode(), [schema]))
        return self._rows("indexes", schema, load)

    def views(self, schema: str) -> dict[str, tuple[str, str]]:
        """(definition, the same in pretty-printed form) by view."""
        return self._rows("views", schema, lambda connection: {
            name: (plain or "", pretty or "") for name, plain, pretty in connection.execute(_VIEWS, [schema])})

    def sequences(self, schema: str) -> tuple[NumberSequence, ...]:
        def load(connection: Connection) -> tuple[NumberSequence, ...]:
            if connection.info.server_version < 100000:
                return ()
            names = {20: "int8", 21: "int2", 23: "int4"}
            return tuple(
                NumberSequence(name, SqlType(names.get(kind, "int8")), start, step, low, high, cycle, cache,
                               (table, column) if table else None, last, bool(identity), comment)
                for name, kind, start, low, high, step, cycle, cache, last, table, column, identity, comment
                in connection.execute(_SEQUENCES, [schema]))
        return self._rows("sequences", schema, load)

    def enums(self, schema: str) -> tuple[EnumType, ...]:
        return self._rows("enums", schema, lambda connection: tuple(
            EnumType(name, tuple(labels), comment) for name, labels, comment in connection.execute(_ENUMS, [schema])))

    def composites(self, schema: str) -> tuple[TypeDefinition, ...]:
        """Composite types; the rows of tables are types too, but not of these."""
        def load(connection: Connection) -> tuple[TypeDefinition, ...]:
            bases = base_types(connection)
            found: dict[str, TypeDefinition] = {}
            for name, field, oid, *of_type, typmod in connection.execute(_COMPOSITES.encode(), [schema]):
                known = found.get(name, TypeDefinition(name, "composite"))
                remote, typmod = bases(oid, RemoteType(*of_type), typmod)
                found[name] = replace(known, fields=(*known.fields, (field, sql_type_of(remote, typmod)[0])),
                                      made=(*known.made, remote.made))
            return tuple(found.values())
        return self._rows("composites", schema, load)

    def sizes(self, schema: str) -> dict[str, StoredSize]:
        """By table."""
        return self._rows("sizes", schema, lambda connection: {
            name: StoredSize(*sizes) for name, *sizes in connection.execute(_SIZES, [schema])})

    def schema_comment(self, schema: str) -> str:
        def load(connection: Connection) -> str:
            row = connection.execute(_SCHEMA_COMMENT, [schema]).fetchone()
            return row[0] if row else ""
        return self._rows("schema_comment", schema, load)


def base_types(connection: Connection) -> Callable[[int, RemoteType, int], tuple[RemoteType, int]]:
    """What gives the type beneath a domain, and its typmod; other types as they are."""
    domains = {row[0]: row[1:] for row in connection.execute(_DOMAINS.encode())}

    def base(oid: int, remote: RemoteType, typmod: int) -> tuple[RemoteType, int]:
        while oid in domains:
            oid, *of_type, of_base = domains[oid]
            remote, typmod = RemoteType(*of_type), of_base if typmod < 0 else typmod
        return remote, typmod
    return base


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    found: dict[str, tuple[T, ...]] = {}
    for name, item in pairs:
        found[name] = (*found.get(name, ()), item)
    return found


def _constraint(name: str, kind: str, columns: list[str], to_schema: str | None, to_table: str | None,
                to_columns: list[str], definition: str, pretty: str, on_update: Any, on_delete: Any, match: Any,
                deferrable: bool, deferred: bool, validated: bool, comment: str) -> Constraint:
    foreign = kind == "f"
    return Constraint(
        name, _KINDS[kind], tuple(columns),  # type: ignore[arg-type]
        (to_schema or "", to_table or "") if foreign else None, tuple(to_columns),
        on_update=on_update if foreign else "a", on_delete=on_delete if foreign else "a", match=match if foreign else "s",
        deferrable=deferrable, deferred=deferred, validated=validated, definition=definition, pretty=pretty, comment=comment)


def _index(name: str, unique: bool, primary: bool, method: str, count: int, keys: int, columns: list[str],
           options: list[int], classes: list[int], predicate: str, definition: str, pretty: str, comment: str,
           size_bytes: int) -> Index:
    return Index(name, tuple(columns), unique, primary, method, predicate, options=tuple(options),
                 keys=keys if keys < count else None, classes=tuple(classes), definition=definition.partition(" USING ")[2],
                 pretty=pretty.partition(" USING ")[2], comment=comment, size_bytes=size_bytes)
