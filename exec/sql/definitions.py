"""CREATE TABLE: columns, defaults and constraints, named and checked (hop 2).

Spec: PostgreSQL 15 documentation, CREATE TABLE; parse_utilcmd.c and ChooseConstraintName of heap.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shoal.catalog.connector import SupportsDefinitions
from shoal.catalog.declarations import ColumnInfo, Constraint, Index, NumberSequence
from shoal.catalog.errors import (
    DatatypeMismatch,
    DuplicateObject,
    FeatureNotSupported,
    InvalidParameterValue,
    InvalidTableDefinition,
    SqlError,
    SqlSyntaxError,
    UndefinedColumn,
    UndefinedObject,
)
from shoal.catalog.pg_catalog.views.pg_attribute import collation_oids
from shoal.catalog.pg_catalog.views.pg_index import ANYARRAY, default_classes, operator_classes
from shoal.catalog.types import INT2, INT4, INT8, TEXT, SqlType
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax_ddl as d
from shoal.exec.sql.bound import Bound, CreateTable, ForeignKey
from shoal.exec.sql.context import Context, bare_type, fail
from shoal.exec.sql.stored_expressions import check, default_text, generation_text, scope_of
from shoal.exec.sql.type_names import domain_of, resolve_type

SERIALS = {"smallserial": INT2, "serial2": INT2, "serial": INT4, "serial4": INT4, "bigserial": INT8, "serial8": INT8}
LIMITS = {"int2": (1 << 15) - 1, "int4": (1 << 31) - 1, "int8": (1 << 63) - 1}
_SUFFIXES = {"primary": "pkey", "unique": "key", "foreign": "fkey", "check": "check"}
NAME_BYTES = 63
BYTEWISE = ("default", "C", "POSIX", "ucs_basic")
"""The collations that order text by its bytes."""


def bind_create_table(context: Context, tree: d.CreateTable) -> Bound:
    from shoal.exec.sql.ddl import bind_table_as, check_names, command, require_writable
    require_writable(context, "CREATE MATERIALIZED VIEW" if tree.materialized else "CREATE TABLE")
    if tree.query is not None:
        return bind_table_as(context, tree)
    table = tree.target.parts[-1]
    made = Definition(context, table)
    likes = dict(tree.likes)
    for place, node in enumerate(tree.columns or ()):
        if place in likes:
            made.add_like(likes.pop(place))
        made.add_column(node)
    for like in likes.values():
        made.add_like(like)
    check_names(made.columns)
    made.settle_generated()
    for node in tree.columns or ():
        for constraint in node.constraints:
            made.add_constraint(constraint, node.name)
    for constraint in tree.constraints:
        made.add_constraint(constraint)
    return command(context, CreateTable(
        tree.target.parts, tuple(made.columns), tree.exists, tree.temporary, True, tuple(made.constraints),
        tuple(made.foreign), tuple(made.sequences), tuple(made.indexes), tree.on_commit), "CREATE TABLE")


class Definition:
    """A table's definition while it is put together. `columns` are those there are already, for ALTER TABLE."""

    def __init__(self, context: Context, table: str, columns: Sequence[ColumnInfo] = (),
                 constraints: Sequence[Constraint] = ()) -> None:
        self.context, self.table = context, table
        self.columns = list(columns)
        self.constraints = list(constraints)
        self.foreign: list[ForeignKey] = []
        self.sequences: list[tuple[str, NumberSequence]] = []
        self.indexes: list[Index] = []
        self.generated: dict[int, d.ColumnNode] = {}
        """Generated columns by their places."""

    # --- columns

    def add_column(self, node: d.ColumnNode) -> ColumnInfo:
        assert node.type is not None
        serial = SERIALS.get(node.type.name) if not node.type.quoted and not node.type.dimensions else None
        domain = None if serial else domain_of(node.type, self.context)
        sql_type = serial or resolve_type(node.type, self.context)
        if sql_type.name in ("void", "unknown") or (sql_type.name in ("record", "_record") and sql_type.user is None):
            fail(InvalidTableDefinition, f'column "{node.name}" has pseudo-type {bare_type(sql_type).sql}', node.type.pos)
        not_null = node.not_null or serial is not None
        if node.null and not_null:
            fail(SqlSyntaxError, f'conflicting NULL/NOT NULL declarations for column "{node.name}" of table "{self.table}"',
                 node.pos)
        default = ""
        if serial is not None or node.identity:
            if node.default is not None:
                what = "identity" if node.identity else "serial"
                fail(SqlSyntaxError, f'multiple default values specified for column "{node.name}" of table "{self.table}"'
                     if what == "serial" else
                     f'both default and identity specified for column "{node.name}" of table "{self.table}"', node.pos)
            if sql_type.name not in LIMITS:
                fail(InvalidParameterValue, "identity column type must be smallint, integer, or bigint", -1)
            self.sequences.append((node.name, number_sequence(
                node.sequence, NumberSequence("", sql_type, maximum=LIMITS[sql_type.name], identity=bool(node.identity)))))
        elif node.default is not None:
            default = self.default_text(node.default, node.default_text, node.name, sql_type)
        elif domain is not None and domain[1].default:
            default = f"{domain[1].default}"
        made = ColumnInfo(node.name, sql_type, not not_null, default=default, identity=node.identity,
                          collation=column_collation(node.collation, sql_type) if node.collation is not None else "",
                          domain=None if domain is None else domain[0])
        if node.generated is not None:
            self.generated[len(self.columns)] = node
        self.columns.append(made)
        return made

    def settle_generated(self) -> None:
        """Checks the expressions of generated columns, now that all columns are known, and keeps their texts.

        Raises: InvalidObjectDefinition (42P17), DatatypeMismatch (42804), UndefinedColumn (42703) ...
        """
        for place, node in self.generated.items():
            column = self.columns[place]
            if node.default is not None or node.identity:
                what = "default" if node.default is not None else "identity"
                fail(SqlSyntaxError, f'both {what} and generation expression specified for column "{node.name}" of table '
                     f'"{self.table}"', node.pos)
            fields = [Field(i, info.name, info.type) for i, info in enumerate(self.columns, 1)]
            text = generation_text(self.context, node.generated, node.generated_text, column, scope_of(self.table, fields),
                                   {self.columns[other].name for other in self.generated})
            self.columns[place] = replace(column, default=text, generated=True)

    def default_text(self, node: Any, text: str, column: str, sql_type: SqlType) -> str:
        """The text of a default that fits the column. Raises: DatatypeMismatch (42804), FeatureNotSupported (0A000) ..."""
        try:
            return default_text(self.context, node, text, ColumnInfo(column, sql_type))
        except FeatureNotSupported as error:
            error.message = error.message.replace("DEFAULT expressions", "DEFAULT expression")
            raise

    def add_like(self, like: d.Like) -> None:
        try:
            found = self.context.namespace.resolve(like.table.parts)
        except SqlError as error:
            error.position = error.position or like.table.pos + 1
            raise
        options = like.options
        for info in found.columns:
            if info.hidden:
                continue
            kept = info.default if ("generated" if info.generated else "defaults") in options and not info.identity else ""
            self.columns.append(replace(info, default=kept, generated=info.generated and bool(kept),
                                        identity=info.identity if "identity" in options else "",
                                        comment=info.comment if "comments" in options else ""))
            if info.identity and "identity" in options:
                self.sequences.append((info.name, NumberSequence("", info.type, maximum=LIMITS[info.type.name],
                                                                 identity=True)))
        for constraint in found.connector.constraints(found.handle):
            if (constraint.kind == "check" and "constraints" in options) or (
                    constraint.kind in ("primary", "unique") and "indexes" in options):
                name = constraint.name if constraint.kind == "check" else self._name(constraint.kind, constraint.columns)
                self.constraints.append(replace(constraint, name=name))
        if "indexes" in options and isinstance(found.connector, SupportsDefinitions):
            self.indexes += [replace(index, name="") for index in found.connector.indexes(found.handle)]

    # --- constraints

    def add_constraint(self, node: d.ConstraintNode, column: str = "") -> None:
        """`column`: whose constraint it is, if it is a column's."""
        if node.name and node.name in {c.name for c in (*self.constraints, *(f.constraint for f in self.foreign))}:
            fail(DuplicateObject, f'constraint "{node.name}" for relation "{self.table}" already exists', -1)
        if column and node.kind != "check":
            node.columns = node.columns or [column]
        if node.kind == "check":
            self._check(node)
            return
        for name in node.columns:
            if not any(info.name == name for info in self.columns):
                what = "referenced in foreign key constraint" if node.kind == "foreign" else "named in key"
                fail(UndefinedColumn, f'column "{name}" {what} does not exist', -1 if node.kind == "foreign" else node.pos)
        columns = tuple(node.columns)
        if node.kind == "foreign":
            assert node.references is not None
            made = Constraint(node.name or self._name("foreign", columns), "foreign", columns, None, tuple(node.referenced),
                              "", node.on_update, node.on_delete, node.deferrable, node.deferred)
            self.foreign.append(ForeignKey(made, node.references.parts, tuple(self._type(name) for name in columns)))
            return
        if node.kind == "primary":
            if any(c.kind == "primary" for c in self.constraints):
                fail(InvalidTableDefinition, f'multiple primary keys for table "{self.table}" are not allowed', node.pos)
            self.columns = [replace(c, nullable=False) if c.name in columns else c for c in self.columns]
        elif any(c.kind in ("primary", "unique") and c.columns == columns and not node.name for c in self.constraints):
            return  # the same key twice
        self.constraints.append(Constraint(node.name or self._name(node.kind, columns), node.kind, columns,
                                           deferrable=node.deferrable, deferred=node.deferred))

    def _check(self, node: d.ConstraintNode) -> None:
        fields = [Field(i + 1, info.name, info.type) for i, info in enumerate(self.columns)]
        made = check(self.context, node.expression, node.text, scope_of(self.table, fields), Constraint("", "check", ()))
        name = node.name or self._name("check", made.columns if len(made.columns) == 1 else ())
        self.constraints.append(replace(made, name=name))

    def _type(self, name: str) -> SqlType:
        return next(info.type for info in self.columns if info.name == name)

    def _name(self, kind: str, columns: Sequence[str]) -> str:
        middle = () if kind == "primary" else columns
        taken = {c.name for c in (*self.constraints, *(f.constraint for f in self.foreign))}
        return free_name([self.table, *middle, _SUFFIXES[kind]], taken)


def column_collation(written: d.Collation, sql_type: SqlType, place: bool = True) -> str:
    """The collation that a column or index key has of its own. Raises: UndefinedObject (42704), DatatypeMismatch (42804),
    FeatureNotSupported (0A000) for one that does not order by bytes; without a `place`, no error has one."""
    name, pos = written.parts[-1], written.pos if place else -1
    if name not in collation_oids() or written.parts[:-1] not in ((), ("pg_catalog",)):
        fail(UndefinedObject, f'collation "{".".join(written.parts)}" for encoding "UTF8" does not exist', pos)
    if not (sql_type.element if sql_type.is_array else sql_type).is_string:
        fail(DatatypeMismatch, f"collations are not supported by type {bare_type(sql_type).sql}", pos)
    if name not in BYTEWISE:
        fail(FeatureNotSupported, f'collation "{name}" is not supported', written.pos)
    return "" if name == "default" else name


def operator_class(written: tuple[str, ...], method: str, sql_type: SqlType) -> int:
    """The OID of an index key's operator class, 0 for a type that has none. Raises: UndefinedObject (42704) for an unknown
    one, DatatypeMismatch (42804) for one of another type."""
    if not written:
        return default_classes(method).get(sql_type.oid, 0)
    named = operator_classes(method).get(written[-1])
    if named is None:
        fail(UndefinedObject, f'operator class "{".".join(written)}" does not exist for access method "{method}"', -1)
    own = TEXT.oid if sql_type.name == "varchar" else sql_type.oid
    found = next((oid for oid, kind in named if kind == own or (kind == ANYARRAY and sql_type.is_array)), None)
    if found is None:
        fail(DatatypeMismatch, f'operator class "{written[-1]}" does not accept data type {bare_type(sql_type).sql}', -1)
    return found


def free_name(parts: Sequence[str], taken: set[str]) -> str:
    """An object name made of others', numbered where it is taken already."""
    for number in range(1, 10_000):
        *front, last = parts
        suffix = f"_{last}{number - 1 if number > 1 else ''}"
        body = "_".join(front).encode()[:NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
        if body + suffix not in taken:
            return body + suffix
    raise FeatureNotSupported("too many objects of the same name")


def number_sequence(options: dict[str, Any], base: NumberSequence) -> NumberSequence:
    """`base` with the options of CREATE or ALTER SEQUENCE. Raises: InvalidParameterValue (22023)."""
    found: dict[str, Any] = {k: v for k, v in options.items() if k not in ("type", "restart", "owner")}
    sql_type = resolve_type(options["type"]) if "type" in options else base.type
    if sql_type.name not in LIMITS:
        raise InvalidParameterValue("sequence type must be smallint, integer, or bigint")
    increment = found.get("increment", base.increment)
    if increment == 0:
        raise InvalidParameterValue("INCREMENT must not be zero")
    limit = LIMITS[sql_type.name]
    fresh = "type" in options or not base.name
    for name, upward, downward in (("minimum", 1, -limit - 1), ("maximum", limit, -1)):
        if found.get(name) is None and (fresh or name in found or "increment" in found):
            found[name] = upward if increment > 0 else downward
    found["cycle"] = bool(found.get("cycle", base.cycle))
    minimum, maximum = found.get("minimum", base.minimum), found.get("maximum", base.maximum)
    if minimum >= maximum:
        raise InvalidParameterValue(f"MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})")
    if fresh and "start" not in found:
        found["start"] = minimum if increment > 0 else maximum
    start = found.get("start", base.start)
    if start < minimum:
        raise InvalidParameterValue(f"START value ({start}) cannot be less than MINVALUE ({minimum})")
    if start > maximum:
        raise InvalidParameterValue(f"START value ({start}) cannot be greater than MAXVALUE ({maximum})")
    return replace(base, type=sql_type, **found)
