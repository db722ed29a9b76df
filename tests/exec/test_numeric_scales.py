"""Numerics of random scales, computed here and by a real PostgreSQL: the same digits, the same scale, the same errors."""

from __future__ import annotations

import random

import psycopg
import pytest

from shoal.catalog.access import Catalogs, Namespace
from shoal.catalog.errors import SqlError
from shoal.catalog.types import TEXT
from shoal.exec.batch import Batch
from shoal.exec.evaluator import EvaluationContext, compile_expression
from shoal.exec.plan.expr import Cast, ColumnRef
from shoal.exec.plan.nodes import Project
from shoal.exec.session_context import SessionContext
from shoal.exec.sql.bind import bind
from shoal.exec.sql.parse import parse
from tests.postgres_server import PostgresServer

STATEMENTS = 600
BINARY = ("{} + {}", "{} - {}", "{} * {}", "{} / {}", "{} / {}", "{} / {}", "{} % {}", "div({}, {})", "coalesce({}, {})",
          "greatest({}, {})", "least({}, {})", "nullif({}, {})", "gcd({}, {})", "case when {} > 0 then {} else 0 end")
UNARY = ("-({})", "abs({})", "floor({})", "ceil({})", "round({})", "trunc({})", "sign({})", "trim_scale({})",
         "sqrt(abs({}))", "round({}, {n})", "trunc({}, {n})", "({})::numeric(60,{p})", "({})::numeric",
         "ln(abs({}) + 0.001)", "({})::text::numeric", "log(abs({}) + 0.5)", "exp(({}) % 20)", "power(abs({}) % 50, {n})",
         "round(power(abs({}) % 9 + 0.1, 2.5), 12)", "(({})::float8)::numeric", "numeric_of")
TESTS = ("{} = {}", "{} < {}", "{} >= {}", "{} is distinct from {}", "{} in ({}, 1.50, 0)", "scale({})", "min_scale({})")


def number(source: random.Random) -> str:
    kind = source.random()
    if kind < 0.04:
        return source.choice(["'NaN'::numeric", "'Infinity'::numeric", "'-Infinity'::numeric"])
    if kind < 0.1:
        return source.choice(["0", "0.0", "0.000", "1", "1.00", "-1", "10000", "9999", "0.0001", "0.00010000"])
    if kind < 0.16:
        return f"'{source.randint(1, 99)}.{source.randint(0, 99):02d}e{source.randint(-45, 45)}'::numeric"
    whole = source.randint(0, 10 ** source.choice([0, 1, 3, 5, 9, 14, 22]))
    digits = source.choice([0, 0, 1, 2, 4, 7, 16, 25])
    fraction = f".{source.randint(0, 10 ** digits - 1):0{digits}d}" if digits else ""
    return f"({source.choice(['', '', '-'])}{whole}{fraction or '::numeric'})"


def expression(source: random.Random, depth: int) -> str:
    if depth == 0:
        return number(source)
    if source.random() < 0.35:
        form = source.choice(UNARY)
        if form == "numeric_of":
            return f"({source.randint(-10 ** 6, 10 ** 6)} / {source.choice([2, 4, 5, 8, 10, 16])}.0::float8)::numeric"
        made = form.replace("{n}", str(source.randint(-3, 20))).replace("{p}", str(source.randint(0, 20)))
        return f"({made.replace('{}', expression(source, depth - 1))})"
    form = source.choice(BINARY)
    parts = [expression(source, depth - 1) for _ in range(form.count("{}"))]
    return f"({form.format(*parts)})"


def computed(text: str) -> str | None:
    """The expression's text here, or the SQLSTATE it raises."""
    catalogs = Catalogs()
    try:
        plan = bind(parse(f"SELECT {text}"), Namespace(catalogs, "shoal"), SessionContext()).plan
        assert isinstance(plan, Project)
        (_, expr), = plan.assignments
        while isinstance(plan.input, Project) and isinstance(expr, ColumnRef):
            plan = plan.input
            expr = next(e for f, e in plan.assignments if f.id == expr.id)
        (value,) = compile_expression(Cast(TEXT, expr), {})(Batch([], 1), EvaluationContext()).to_pylist()
        return value
    except SqlError as error:
        return error.sqlstate
    finally:
        catalogs.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_expressions(postgres_server: PostgresServer, seed: int) -> None:
    source = random.Random(seed)
    different = []
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for _ in range(STATEMENTS):
            text = expression(source, source.choice([1, 1, 2, 2, 3]))
            if source.random() < 0.15:
                form = source.choice(TESTS)
                text = form.format(*(expression(source, 1) for _ in range(form.count("{}"))))
            try:
                (wanted,) = connection.execute(f"SELECT ({text})::text").fetchone() or (None,)  # type: ignore[arg-type]
            except psycopg.Error as error:
                wanted = error.sqlstate
            found = computed(text)
            if found != wanted:
                different.append(f"{text}\n    {found}\n    {wanted}")
    assert not different, f"{len(different)} different\n" + "\n".join(different[:12])
