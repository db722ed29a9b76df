"""Numeric NaN and infinities as PostgreSQL computes with them: every operator and function over all pairs of some values,
comparisons between columns of different scales, grouping, joins, sums and windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.postgres_server import PostgresServer
from tests.server.both import Answer, Both, both_servers
from tests.server.conftest import Address

VALUES = ("NaN", "Infinity", "-Infinity", "0", "1", "-1", "-1.5", "2", "0.25", "3", "1000000")
ROWS = ", ".join(f"({number}, '{value}'::numeric)" for number, value in enumerate(VALUES))
PAIRS = f"(VALUES {ROWS}) AS a(i, x), (VALUES {ROWS}) AS b(j, y)"
ORDER = "ORDER BY i, j"


@pytest.fixture(scope="module")
def both(postgres_server: PostgresServer, shoal: Address) -> Iterator[Both]:
    with both_servers(postgres_server, shoal) as pair:
        yield pair


def _number(value: bytes | None) -> object:
    """Numerics as far as the scale of a quotient, which is static here, shows them."""
    try:
        found = Decimal((value or b"").decode())
    except ArithmeticError:
        return value
    return round(found, 9).normalize() + 0 if found.is_finite() else str(found)


def _numbers(found: Answer) -> object:
    return [found[0], *[tuple(map(_number, row)) for row in found[1:]]] if isinstance(found, list) else found


def _same(both: Both, sql: str) -> None:
    postgres, shoal = both.run(sql)
    assert isinstance(postgres, list), postgres
    assert _numbers(shoal) == _numbers(postgres), sql


@pytest.mark.parametrize("expression", ["x + y", "x - y", "x * y", "gcd(x, y)", "lcm(x, y)", "greatest(x, y)",
                                        "least(x, -y)", "coalesce(nullif(x, y), 7)", "CASE WHEN x > y THEN x ELSE -y END",
                                        "abs(x) + sign(y)", "x + y::float8"])
def test_pairs(both: Both, expression: str) -> None:
    fractions = "WHERE x NOT IN (-1.5, 0.25) AND y NOT IN (-1.5, 0.25)" if expression.startswith("lcm") else ""
    _same(both, f"SELECT i, j, {expression} FROM {PAIRS} {fractions} {ORDER}")


@pytest.mark.parametrize("expression", ["x / y", "x % y", "div(x, y)", "mod(x, y)"])
def test_division(both: Both, expression: str) -> None:
    _same(both, f"SELECT i, j, {expression} FROM {PAIRS} WHERE y <> 0 OR x = 'NaN' {ORDER}")
    for value in ("1", "Infinity", "-Infinity", "0"):
        postgres, shoal = both.run(f"SELECT {expression} FROM (VALUES ('{value}'::numeric, 0::numeric)) AS v(x, y)")
        assert postgres[0] == "22012" and shoal == postgres


@pytest.mark.parametrize("operator", ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"])
def test_comparisons(both: Both, operator: str) -> None:
    """Of columns of one scale, of two, of a column with constants, and with other types of number."""
    wide = _column("numeric(76,0)", "'NaN'", "1e75", "-1e75", "0", "1", "-2", "null")
    fine = _column("numeric(76,38)", "'NaN'", "1e37", "-1e37", "0", "1", "-2", "1e-38")
    for left, right in ((ROWS, ROWS), (wide, fine), (wide, ROWS), (ROWS, fine)):
        _same(both, f"SELECT i, j, x {operator} y, y {operator} x, x::float8 {operator} y "
                    f"FROM (VALUES {left}) AS a(i, x), (VALUES {right}) AS b(j, y) {ORDER}")
    constants = (*VALUES, "1e70", "-1e70", "0.0000001")
    tests = ", ".join(f"x {operator} '{value}', '{value}' {operator} x" for value in constants)
    for rows in (ROWS, wide, fine):
        _same(both, f"SELECT i, {tests}, x {operator} 1::int4, x {operator} 2::int8, x {operator} 'NaN'::float8 "
                    f"FROM (VALUES {rows}) AS a(i, x) ORDER BY i")


def _column(kind: str, *values: str) -> str:
    return ", ".join(f"({number}, {value}::{kind})" for number, value in enumerate(values))


@pytest.mark.parametrize("expression", ["power(x, y)", "log(x, y)", "sqrt(x)", "ln(x)", "exp(x)"])
def test_functions(both: Both, expression: str) -> None:
    """Errors included, so one pair at a time."""
    values = ("NaN", "Infinity", "-Infinity", "0", "1", "-1", "-1.5", "2", "0.5", "3")
    for x, y in itertools.product(values, values if "y" in expression else ("1",)):
        if not {x, y} & {"NaN", "Infinity", "-Infinity"}:
            continue
        postgres, shoal = both.run(f"SELECT {expression} FROM (VALUES ('{x}'::numeric, '{y}'::numeric)) AS v(x, y)")
        assert _numbers(shoal) == _numbers(postgres), (expression, x, y)


GROUPS = "(VALUES (1, 'Infinity'::numeric), (1, 2), (2, 3), (2, 4.5), (3, 'NaN'), (3, 1), (4, '-Infinity'), (4, NULL), " \
         "(5, 'Infinity'), (5, '-Infinity'), (6, NULL), (7, 'NaN')) AS v(g, x)"


@pytest.mark.parametrize("sql", [
    f"SELECT g, sum(x), avg(x), min(x), max(x), count(x), count(DISTINCT x) FROM {GROUPS} GROUP BY g ORDER BY g",
    f"SELECT g, stddev(x), variance(x), stddev_pop(x), var_pop(x) FROM {GROUPS} GROUP BY g ORDER BY g",
    f"SELECT sum(x), avg(x), min(x), max(x), sum(DISTINCT x), variance(x), count(*) FROM {GROUPS}",
    f"SELECT x, count(*), sum(g) FROM {GROUPS} GROUP BY x ORDER BY x",
    f"SELECT DISTINCT x FROM {GROUPS} ORDER BY x DESC NULLS LAST",
    f"SELECT g, x FROM {GROUPS} ORDER BY x, g",
    f"SELECT g, x FROM {GROUPS} ORDER BY x DESC, g LIMIT 5",
    f"SELECT p.g, q.g, p.x FROM {GROUPS.replace('v(', 'p(')} JOIN {GROUPS.replace('v(', 'q(')} USING (x) ORDER BY 1, 2, 3",
    f"SELECT x FROM {GROUPS} UNION SELECT x FROM (VALUES ('NaN'::numeric), (2.0)) AS w(x) ORDER BY x",
    f"SELECT x FROM {GROUPS} EXCEPT SELECT x FROM (VALUES ('NaN'::numeric), (2.0)) AS w(x) ORDER BY x",
    f"SELECT g, sum(x) OVER w, avg(x) OVER w, max(x) OVER w, min(x) OVER w, rank() OVER (ORDER BY x) FROM {GROUPS} "
    "WINDOW w AS (ORDER BY g, x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY g, x",
    f"SELECT g, sum(x) OVER (ORDER BY g, x), sum(x) OVER (PARTITION BY g) FROM {GROUPS} ORDER BY g, x",
    f"SELECT array_agg(x ORDER BY x), percentile_disc(0.5) WITHIN GROUP (ORDER BY x), json_agg(x ORDER BY x) FROM {GROUPS}",
    f"SELECT x FROM {GROUPS} WHERE x = ANY('{{NaN,2}}'::numeric[]) ORDER BY x",
    "SELECT unnest('{NaN,1.5,-Infinity}'::numeric[]) ORDER BY 1",
    "SELECT count(*), sum(x), min(x), max(x) FROM (SELECT CASE WHEN i % 1000 = 7 THEN 'NaN' ELSE i * 1.5 END AS x "
    "FROM generate_series(1, 30000) AS i) AS s WHERE x <= 'Infinity'",
    "SELECT x, count(*) FROM (SELECT CASE WHEN i % 100 = 7 THEN 'NaN'::numeric WHEN i % 100 = 8 THEN '-Infinity' ELSE i % 3 "
    "END AS x FROM generate_series(1, 30000) AS i) AS s GROUP BY x ORDER BY x",
])
def test_statements(both: Both, sql: str) -> None:
    _same(both, sql)


@pytest.mark.parametrize("arguments", ["'NaN'::numeric, 5", "1, 'Infinity'::numeric", "1, 5, '-Infinity'::numeric",
                                       "'-Infinity'::numeric, 2, 'NaN'", "1, 'NaN'::numeric, 2"])
def test_series(both: Both, arguments: str) -> None:
    postgres, shoal = both.run(f"SELECT * FROM generate_series({arguments})")
    assert postgres[0] == "22023" and shoal == postgres
