from __future__ import annotations

import subprocess
import sys

import pytest

from shoal.catalog.errors import AmbiguousFunction, DatatypeMismatch, UndefinedFunction, UndefinedObject
from shoal.catalog.types import (
    BOOL,
    BPCHAR,
    DATE,
    FLOAT8,
    INT2,
    INT4,
    INT8,
    INTERVAL,
    JSONB,
    NAME,
    NUMERIC,
    OID,
    REGCLASS,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UNKNOWN,
    VARCHAR,
    SqlType,
    numeric,
)
from shoal.exec.functions import (
    all_functions,
    cast_context,
    cast_result,
    common_type,
    literal_type,
    parse_type,
    resolve_function,
    resolve_operator,
)
from shoal.exec.functions.reference import markdown


@pytest.mark.parametrize(("left", "symbol", "right", "name", "arguments", "result"), [
    (INT4, "+", INT8, "add", "integer bigint", "bigint"),
    (INT2, "*", INT2, "mul", "smallint smallint", "smallint"),
    (numeric(15, 2), "*", INT4, "mul", "numeric(15,2) numeric(10,0)", "numeric(25,2)"),
    (INT4, "/", numeric(10, 3), "div", "numeric(10,0) numeric(10,3)", "numeric"),
    (numeric(15, 2), "-", FLOAT8, "sub", "double precision|double precision", "double precision"),
    (VARCHAR, "=", UNKNOWN, "eq", "text text", "boolean"),
    (BPCHAR, "=", UNKNOWN, "eq", "character character", "boolean"),
    (DATE, ">=", UNKNOWN, "ge", "date date", "boolean"),
    (DATE, "+", INTERVAL, "add", "date interval", "timestamp without time zone"),
    (UNKNOWN, "-", INTERVAL, "sub", "interval interval", "interval"),
    (DATE, "<", TIMESTAMPTZ, "lt", "date|timestamp with time zone", "boolean"),
    (TEXT, "||", INT4, "concat_op", "text integer", "text"),
    (UNKNOWN, "||", UNKNOWN, "concat_op", "text text", "text"),
    (SqlType("_int4"), "||", INT4, "concat_op", "integer[] integer", "integer[]"),
    (VARCHAR, "LIKE", UNKNOWN, "like", "text text", "boolean"),
    (JSONB, "->>", UNKNOWN, "json_get_text", "jsonb text", "text"),
    (OID, "=", INT8, "eq", "oid oid", "boolean"),
    (REGCLASS, "=", OID, "eq", "oid oid", "boolean"),
    (NAME, "=", UNKNOWN, "eq", "name name", "boolean"),
    (None, "-", INT4, "neg", "integer", "integer")])
def test_operators(left: SqlType | None, symbol: str, right: SqlType, name: str, arguments: str, result: str) -> None:
    found = resolve_operator(symbol, left, right)
    separator = "|" if "|" in arguments else " "
    assert (found.function.name, [str(a) for a in found.arguments], str(found.returns)) == (
        name, arguments.split(separator), result)


@pytest.mark.parametrize(("name", "given", "result"), [
    ("sum", [INT4], "bigint"), ("sum", [INT8], "numeric(38,0)"), ("sum", [numeric(15, 2)], "numeric(38,2)"),
    ("avg", [INT4], "numeric"), ("avg", [FLOAT8], "double precision"), ("count", [], "bigint"),
    ("min", [VARCHAR], "text"),
    ("max", [DATE], "date"), ("array_agg", [INT4], "integer[]"), ("unnest", [SqlType("_text")], "text"),
    ("round", [INT4], "double precision"), ("abs", [UNKNOWN], "double precision"), ("sqrt", [INT4], "double precision"),
    ("power", [INT4, INT4], "double precision"), ("mod", [INT4, INT8], "bigint"), ("substring", [VARCHAR, INT4], "text"),
    ("date_trunc", [UNKNOWN, DATE], "timestamp with time zone"),
    ("date_trunc", [UNKNOWN, TIMESTAMP], "timestamp without time zone"),
    ("age", [DATE, DATE], "interval"), ("coalesce", [INT4, numeric(3, 1)], "numeric"),
    ("greatest", [UNKNOWN, INT4], "integer"),
    ("concat", [INT4, UNKNOWN, DATE], "text"), ("lag", [TEXT, INT4, UNKNOWN], "text"),
    ("float8", [UNKNOWN], "double precision"),
    ("to_char", [DATE, UNKNOWN], "text"), ("generate_series", [INT4, INT8], "bigint")])
def test_functions(name: str, given: list[SqlType], result: str) -> None:
    assert str(resolve_function(name, given).returns) == result


def test_constants_decide_scales() -> None:
    assert str(resolve_function("round", [numeric(10, 4), INT4], [None, 2]).returns) == "numeric(9,2)"
    assert resolve_function("round", [numeric(10, 4), INT4]).returns.varies
    assert resolve_function("extract", [TEXT, DATE], ["year", None]).returns == numeric(18, 0)
    assert resolve_function("extract", [TEXT, TIMESTAMP], ["epoch", None]).returns == numeric(18, 6)


def test_errors_use_postgresql_words() -> None:
    with pytest.raises(UndefinedFunction, match=r"operator does not exist: integer \+ boolean") as raised:
        resolve_operator("+", INT4, BOOL)
    assert raised.value.hint.startswith("No operator matches the given name and argument types.")
    with pytest.raises(UndefinedFunction, match="operator does not exist: text = integer"):
        resolve_operator("=", TEXT, INT4)
    with pytest.raises(AmbiguousFunction, match=r"operator is not unique: unknown \+ unknown"):
        resolve_operator("+", UNKNOWN, UNKNOWN)
    with pytest.raises(UndefinedFunction, match=r"function lenght\(text\) does not exist") as raised:
        resolve_function("lenght", [TEXT])
    assert "length" in raised.value.hint
    with pytest.raises(UndefinedFunction, match=r"function round\(double precision, integer\) does not exist"):
        resolve_function("round", [FLOAT8, INT4])
    with pytest.raises(UndefinedFunction, match=r"function add\(integer, integer\) does not exist"):
        resolve_function("add", [INT4, INT4])
    with pytest.raises(AmbiguousFunction, match="is not unique"):
        resolve_function("date_part", [UNKNOWN, UNKNOWN])


def test_common_types() -> None:
    assert common_type([UNKNOWN, UNKNOWN]) == TEXT
    assert common_type([INT4, UNKNOWN, INT8]) == INT8
    assert common_type([numeric(5, 2), INT4]) == NUMERIC
    assert common_type([numeric(5, 2), numeric(8, 2)]) == numeric(8, 2)
    assert common_type([numeric(5, 2), FLOAT8]) == FLOAT8
    assert common_type([DATE, TIMESTAMP]) == TIMESTAMP
    assert common_type([VARCHAR, TEXT]) == VARCHAR
    assert common_type([SqlType("varchar", length=5), SqlType("varchar", length=9)]) == VARCHAR
    with pytest.raises(DatatypeMismatch, match="UNION types integer and text cannot be matched"):
        common_type([INT4, TEXT])


def test_casts_exist_as_in_pg_cast() -> None:
    assert cast_context(INT4, INT8) == "implicit"
    assert cast_context(INT8, INT4) == "assignment"
    assert cast_context(INT4, BOOL) == "explicit"
    assert cast_context(INT4, TEXT) == "assignment"
    assert cast_context(TEXT, INT4) == "explicit"
    assert cast_context(DATE, INT4) is None
    assert cast_context(SqlType("_int4"), SqlType("_int8")) == "implicit"
    assert cast_result(numeric(7, 2), NUMERIC) == numeric(7, 2)


@pytest.mark.parametrize(("name", "sql"), [
    ("int", "integer"), ("numeric ( 10 , 2 )", "numeric(10,2)"), ("decimal(5)", "numeric(5,0)"), ("text[]", "text[]"),
    ("character varying(10)", "character varying(10)"), ("char", "character(1)"), ('"char"', '"char"'),
    ("bpchar", "character"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("timestamp(3) without time zone", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"), ("double precision", "double precision"), ("float(10)", "real"),
    ("pg_catalog.int4", "integer"), ("INTEGER[3]", "integer[]"), ("interval day to second", "interval")])
def test_type_names(name: str, sql: str) -> None:
    assert parse_type(name).sql == sql


def test_unknown_types_and_literal_types() -> None:
    with pytest.raises(UndefinedObject, match='type "foo" does not exist'):
        parse_type("foo")
    assert literal_type("12.50", NUMERIC) == numeric(4, 2)
    assert literal_type("1e3", NUMERIC) == numeric(4, 0)


def test_every_declared_scalar_function_has_a_kernel() -> None:
    compiled = {"and", "or", "not", "coalesce", "is_null", "is_not_null", "is_true", "is_not_true", "is_false",
                "is_not_false",
                "is_unknown", "is_not_unknown"}
    missing = {f.name for f in all_functions() if f.kind in ("scalar", "set") and f.kernel is None}
    assert missing == compiled


def test_reference_page_names_every_function() -> None:
    page = markdown()
    for function in all_functions():
        if not function.hidden:
            assert f"{function.name}(" in page or function.symbol, function.name


def test_deferred_families_hide_behind_no_loaded_function() -> None:
    """What `exact` finds among the loaded families for arguments of common types is what it finds among all."""
    script = """
from shoal.catalog.types import SqlType
from shoal.exec.functions import registry
before = registry.loaded()
names = {function.name for function in before}
volatile = {function.name for function in before if function.volatility == "volatile"}
registry.load_all()
later = [function for function in registry.loaded() if function not in before]
assert len(later) > 500
stand_ins = dict.fromkeys(registry.POLYMORPHIC, "int4")
for function in later:
    if function.name in names:
        assert function.volatility != "volatile" or function.name in volatile, function
        if all(argument in registry.COMMON for argument in function.arguments):
            given = [SqlType(argument) for argument in function.arguments]
            assert not any(registry._fit(known, given) for known in before if known.name == function.name), function
        else:
            assert not all(argument in registry.COMMON or argument in stand_ins for argument in function.arguments), function
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
