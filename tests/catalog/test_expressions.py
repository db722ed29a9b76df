"""Expressions for sources: what a spelling's holes stand for, and how the connectors write the rest."""

from __future__ import annotations

from dataclasses import replace

from shoal.catalog.connectors.postgres_sql import written, written_sql
from shoal.catalog.connectors.postgres_types import RemoteColumn
from shoal.catalog.expressions import SourceCall, SourceColumn, SourceConstant, tokens
from shoal.catalog.types import INT4, NUMERIC, TEXT, TIME

A, B, NAME, NOTE = SourceColumn("a", INT4), SourceColumn("b", INT4), SourceColumn("na\"me", TEXT), SourceColumn("note", TEXT)
COLUMNS = {"a": RemoteColumn("a", INT4), "b": RemoteColumn("b", INT4), 'na"me': RemoteColumn('na"me', TEXT),
           "note": RemoteColumn("note", TEXT, c_order=False)}


def remote(expression: SourceCall, columns: dict[str, RemoteColumn] = COLUMNS) -> str | None:
    parts = written(expression, columns)
    return None if parts is None else written_sql(parts)


def test_holes_are_arguments_or_all_from_one_on() -> None:
    inner = SourceCall("f({1}, {0})", (A, B))
    assert list(tokens(SourceCall("({0} IN ({1*, }))", (inner, B, A)))) == [
        "(", "f(", B, ", ", A, ")", " IN (", B, ", ", A, "))"]


def test_postgres_writes_names_constants_and_one_collation() -> None:
    assert remote(SourceCall("({0} = {1})", (NAME, SourceConstant("it's", TEXT)))) == "(\"na\"\"me\" = 'it''s'::text)"
    assert remote(SourceCall("({0} < {1})", (NAME, NOTE))) == '("na""me" COLLATE "C" < "note" COLLATE "C")'
    assert remote(SourceCall("({0} = {1})", (A, SourceConstant(None, INT4)))) == '("a" = NULL::int4)'


def test_postgres_refuses_what_it_may_decide_otherwise() -> None:
    test = SourceCall("({0} = {1})", (A, B))
    assert remote(test) is not None
    for changed in ({"native": True}, {"standard": False}):
        assert remote(test, COLUMNS | {"a": replace(COLUMNS["a"], **changed)}) is None
    assert remote(SourceCall("({0} = {1})", (A, SourceColumn("gone", INT4)))) is None
    for constant in (SourceConstant("nul\0", TEXT), SourceConstant(86_400_000_000, TIME), SourceConstant(10.5, NUMERIC)):
        assert remote(SourceCall("({0} = {0})", (constant,))) is None
