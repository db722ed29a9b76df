"""Functions in FROM that give the columns of a record: json_to_record, json_populate_record and their kin (hop 2).

    FROM json_to_recordset(j) AS t(a int, b text)      the columns are what the definition list says
    FROM json_populate_record(base, j)                 the columns are the fields of base's type

Spec: PostgreSQL 15 documentation, 7.2.1.4 "Table Functions" and 9.16.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shoal.catalog.errors import DatatypeMismatch, SqlSyntaxError
from shoal.catalog.types import RECORD, TEXT, SqlType
from shoal.exec.functions.casts import bare_sql
from shoal.exec.functions.json_records import IN_FROM
from shoal.exec.plan.expr import Expr, Literal
from shoal.exec.plan.nodes import Field
from shoal.exec.sql import syntax as s
from shoal.exec.sql.calls import resolve
from shoal.exec.sql.context import fail
from shoal.exec.sql.type_names import domain_of, resolve_type

if TYPE_CHECKING:
    from shoal.exec.sql.expressions import ExpressionBinder


def is_record_function(node: s.Function) -> bool:
    return node.name[-1] in IN_FROM


def record_call(b: ExpressionBinder, node: s.Function, definitions: Sequence[s.ColumnDefinition] | None
                ) -> tuple[tuple[str, tuple[Expr, ...]], list[Field]]:
    """The call that TableFunction makes, and the columns it gives.

    Raises: SqlSyntaxError (42601) where nothing names the columns, DatatypeMismatch (42804) where both do and differ.
    """
    name = node.name[-1]
    _, args = resolve(b, node, [b.bind(arg) for arg in node.args])
    base = args[0] if "_populate_" in name else None
    if definitions is None:
        named = base is not None and (base.type.user is not None or of_table(base.type))
        fields = base.type.fields if base is not None and named else None
        if fields is None:
            fail(SqlSyntaxError, 'a column definition list is required for functions returning "record"', node.pos)
    else:
        fields = tuple((column.name, _type_of(b, column)) for column in definitions)
        if base is None or base.type.fields is None:
            base = Literal(replace(RECORD, fields=fields), None)
        else:
            _check_same(base.type, fields)
    assert base is not None
    more: tuple[Expr, ...] = (Literal(TEXT, name),) if name.endswith("set") else ()
    return (IN_FROM[name], (base, args[-1], *more)), [b.context.field(label, of) for label, of in fields]


def in_their_domains(b: ExpressionBinder, base: SqlType, fields: Sequence[Field],
                     definitions: Sequence[s.ColumnDefinition] | None) -> list[tuple[Field, Expr]]:
    """The columns that a definition list, or the type of the base row, says are of domains, with their values once they have
    passed the conditions."""
    from shoal.exec.sql.user_types import find, in_domain
    found: list[tuple[Field, Expr]] = []
    domains = base.user.domains if base.user is not None and definitions is None else ()
    for place, field in enumerate(fields):
        written = definitions[place].type if definitions is not None else None
        known = domain_of(written, b.context) if written is not None else None
        domain = None if known is None else known[1]
        if place < len(domains) and domains[place]:
            made = find(b.context, domains[place])
            domain = None if made is None else made.domain
        if domain is not None:
            found.append((b.context.field(field.name, field.type), in_domain(b.context, field.ref(), domain)))
    return found


def defined_fields(b: ExpressionBinder, row: SqlType, definitions: Sequence[s.ColumnDefinition]
                   ) -> tuple[tuple[str, SqlType], ...]:
    """A row's fields as a definition list calls them. Raises: DatatypeMismatch (42804) where they are others."""
    wanted = tuple((column.name, _type_of(b, column)) for column in definitions)
    _check_same(row, wanted)
    return wanted


def of_table(row: SqlType) -> bool:
    """Whether a row's fields have names of their own: it is a table's, not ROW(...)'s."""
    return row.fields is not None and any(name != f"f{i + 1}" for i, (name, _) in enumerate(row.fields))


def _type_of(b: ExpressionBinder, column: s.ColumnDefinition) -> SqlType:
    assert column.type is not None
    return resolve_type(column.type, b.context)


def _check_same(have: SqlType, wanted: Sequence[tuple[str, SqlType]]) -> None:
    """Raises: DatatypeMismatch (42804) where a base row has other types than the definition list."""
    message = "function return row and query-specified return row do not match"
    fields = have.fields or ()
    if len(fields) != len(wanted):
        raise DatatypeMismatch(message, detail=f"Returned row contains {len(fields)} attribute{'s' * (len(fields) != 1)}, "
                                               f"but query expects {len(wanted)}.")
    for place, ((_, one), (_, other)) in enumerate(zip(fields, wanted, strict=True)):
        if one.name != other.name:
            raise DatatypeMismatch(message, detail=f"Returned type {bare_sql(one)} at ordinal position {place + 1}, but "
                                                   f"query expects {bare_sql(other)}.")
