"""The grammar: what binds to what, and what PostgreSQL would refuse."""

from __future__ import annotations

from typing import Any

import pytest
from sqlglot import exp

from shoal.catalog.errors import FeatureNotSupported, SqlSyntaxError, StatementTooComplex
from shoal.exec.sql import syntax as s
from shoal.exec.sql.parse import parse


def show(node: Any) -> str:
    """An expression with every operator parenthesised."""
    match node:
        case s.Name():
            return ".".join(node.parts)
        case s.Constant():
            return f"'{node.value}'" if node.kind == "string" else str(node.value)
        case s.Param():
            return f"${node.index}"
        case s.Operation():
            return f"({'' if node.left is None else show(node.left) + ' '}{node.symbol} {show(node.right)})"
        case s.Logical():
            return "(" + f" {node.name} ".join(map(show, node.args)) + ")"
        case s.Not():
            return f"(not {show(node.arg)})"
        case s.Is():
            return f"({show(node.arg)} is {'not ' if node.negated else ''}{node.test})"
        case s.IsDistinct():
            return f"({show(node.left)} is {'not ' if node.negated else ''}distinct from {show(node.right)})"
        case s.Cast():
            return f"({show(node.arg)})::{node.type.name}{'[]' * node.type.dimensions}"
        case s.Between():
            return f"({show(node.arg)} {'not ' if node.negated else ''}between {show(node.low)} and {show(node.high)})"
        case s.Match():
            escape = f" escape {show(node.escape)}" if node.escape else ""
            return f"({show(node.left)} {'not ' if node.negated else ''}{node.kind} {show(node.pattern)}{escape})"
        case s.InList():
            return f"({show(node.arg)} {'not ' if node.negated else ''}in [{', '.join(map(show, node.items))}])"
        case s.InQuery():
            return f"({show(node.arg)} in query)"
        case s.Quantified():
            right = "query" if node.is_query else show(node.right)
            return f"({show(node.left)} {node.symbol} {'all' if node.every else 'any'} {right})"
        case s.Function():
            return f"{'.'.join(node.name)}({'*' if node.star else ', '.join(map(show, node.args))})"
        case s.Row():
            return f"row({', '.join(map(show, node.items))})"
        case s.Array():
            return f"array[{', '.join(map(show, node.items))}]"
        case s.Subscript():
            return f"{show(node.arg)}[{show(node.low)}{':' if node.slice else ''}{show(node.high) if node.high else ''}]"
        case s.Subquery():
            return f"{node.kind} query"
        case s.FieldOf():
            return f"({show(node.arg)}).{node.name}"
        case s.Collate():
            return f"({show(node.arg)} collate {'.'.join(node.collation)})"
    raise AssertionError(node)


def expression(sql: str) -> str:
    return show(parse(f"select {sql}").tree.expressions[0].arg)


@pytest.mark.parametrize(("sql", "expected"), [
    ("a + b * c ^ d", "(a + (b * (c ^ d)))"),
    ("-a ^ 2", "((- a) ^ 2)"),
    ("-a::int", "(- (a)::int)"),
    ("a || b + c || d", "((a || (b + c)) || d)"),
    ("a -> 'b' ->> 'c' = 'd'", "(((a -> 'b') ->> 'c') = 'd')"),
    ("not a = b and c or d", "(((not (a = b)) and c) or d)"),
    ("a and b and c or d and e", "((a and b and c) or (d and e))"),
    ("a is null = b", "((a is null) = b)"),
    ("a = b is null", "((a = b) is null)"),
    ("a isnull and b notnull", "((a is null) and (b is not null))"),
    ("a is not distinct from b + 1 and c", "((a is not distinct from (b + 1)) and c)"),
    ("a like b || c escape '!' and d", "((a like (b || c) escape '!') and d)"),
    ("a not ilike b", "(a not ilike b)"),
    ("a between b + 1 and c and d", "((a between (b + 1) and c) and d)"),
    ("a not between 1 and 2 or b", "((a not between 1 and 2) or b)"),
    ("a in (1, 2) and b not in (select 1)", "((a in [1, 2]) and (b in query))"),
    ("a in ((select 1))", "(a in query)"),
    ("a in ((select 1), 2)", "(a in [scalar query, 2])"),
    ("a < any (select 1) and b = all (c)", "((a < any query) and (b = all c))"),
    ("a like any (b)", "(a ~~ any b)"),
    ("a at time zone 'x' at time zone 'y'", "timezone('y', timezone('x', a))"),
    ("a operator(pg_catalog.~) b", "(a ~ b)"),
    ("a collate \"C\" < b", "((a collate C) < b)"),
    ("(a, b) = row(1, 2)", "(row(a, b) = row(1, 2))"),
    ("a[1][2:3]", "a[1][2:3]"),
    ("(f(x)).n", "(f(x)).n"),
    ("x::int[]", "(x)::int[]"),
    ("date '2020-01-01' + interval '1' day", "(('2020-01-01')::date + ('1')::interval)"),
    ("timestamp with time zone 'x'", "('x')::timestamp with time zone"),
    ("double precision '1'", "('1')::double precision"),
    ("interval + time", "(interval + time)"),
    ("extract(year from d)", "extract('year', d)"),
    ("substring(a from 2 for 3)", "substring(a, 2, 3)"),
    ("substring(a for 3)", "substring(a, 1, 3)"),
    ("substring(a similar 'x' escape '#')", "substring(a, 'x', '#')"),
    ("position(a in b)", "position(b, a)"),
    ("trim(leading 'x' from a)", "ltrim(a, 'x')"),
    ("trim(a)", "btrim(a)"),
    ("overlay(a placing b from 1 for 2)", "overlay(a, b, 1, 2)"),
    ("(a, b) overlaps (c, d)", "overlaps(a, b, c, d)"),
    ("cast(a as numeric(10, 2))", "(a)::numeric"),
    ("pg_catalog.lower(a)", "pg_catalog.lower(a)"),
    ("current_date - 1", "(current_date() - 1)"),
    ("left(a, 1)", "left(a, 1)"),
    ("exists (select 1) and array(select 2) = b", "(exists query and (array query = b))"),
    ("$1 + $2", "($1 + $2)"),
    ("((select 1) union (select 2))", "scalar query"),
])
def test_precedence_and_forms(sql: str, expected: str) -> None:
    assert expression(sql) == expected


@pytest.mark.parametrize(("sql", "near", "position"), [
    ("selec 1", "selec", 1), ("select 1 + ", "", 12), ("select (1", "", 10), ("select 1)", ")", 9),
    ("select a from", "", 14), ("select a, from t", "from", 11), ("select a b c", "c", 12),
    ("select * from t where", "", 22), ("select * from t group by", "", 25),
    ("select * from t join u", "", 23), ("select * from t cross join u on true", "on", 30),
    ("select 1 < 2 < 3", "<", 14), ("select a like b like c", "like", 17), ("select case end", "end", 13),
    ("select 1 limit 1 where true", "where", 18), ("select 1 from t having true group by a", "group", 29),
    ("select f(a b)", "b", 12), ("select 1 as", "", 12), ("select a.", "", 10), ("insert t values (1)", "t", 8),
    ("update t where a", "where", 10), ("delete t", "t", 8), ("create table t", "", 15), ("create table t (a)", "", 19),
    ("values 1", "1", 8), ("with x (select 1) select 1", "select", 9), ("select * from (select 1", "", 24),
    ("select * from (t)", ")", 17), ("select 1 from t where a in ()", ")", 29), ("from t", "from", 1),
    ("select int 5", "5", 12), ("select x::", "", 11), ("explain", "", 8),
])
def test_syntax_errors_name_the_token(sql: str, near: str, position: int) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        parse(sql)
    assert caught.value.message == (f'syntax error at or near "{near}"' if near else "syntax error at end of input")
    assert caught.value.position == position


@pytest.mark.parametrize(("sql", "what"), [
    ("create procedure f() language sql as ''", "CREATE PROCEDURE"), ("drop operator + (int, int)", "DROP OPERATOR"),
    ("alter table t enable row level security", "ALTER TABLE ... ENABLE"),
    ("create table t (a int, exclude using gist (a with =))", "an EXCLUDE constraint"),
    ("create trigger x", "CREATE TRIGGER"),
])
def test_unsupported_syntax_is_named(sql: str, what: str) -> None:
    with pytest.raises(FeatureNotSupported) as caught:
        parse(sql)
    assert caught.value.message == f"{what} is not supported" and caught.value.position > 0


def test_one_statement_only() -> None:
    assert isinstance(parse("select 1;").tree, exp.Select)
    assert parse(" -- nothing").tree is None
    with pytest.raises(SqlSyntaxError, match="cannot insert multiple commands"):
        parse("select 1; select 2")


@pytest.mark.parametrize("sql", [
    "select " + "(" * 10_000 + "1" + ")" * 10_000, "select " + "(select " * 5_000 + "1" + ")" * 5_000,
    "select " + "not " * 30_000 + "true", "select " + "- " * 30_000 + "1",
    "select " + "case when true then " * 5_000 + "1" + " end" * 5_000])
def test_endless_nesting_is_an_error(sql: str) -> None:
    with pytest.raises(StatementTooComplex):
        parse(sql)
