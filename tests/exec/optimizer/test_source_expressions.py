"""Conjuncts in a source's terms."""

from __future__ import annotations

from typing import Any, ClassVar

from shoal.catalog.connector import FilterResult, SupportsExpressions, TableHandle
from shoal.catalog.expressions import SourceExpression, tokens
from shoal.catalog.types import BOOL, DATE, FLOAT8, INT4, INT8, NUMERIC, TEXT, TIMESTAMP
from shoal.exec.optimizer.source_expressions import in_source_terms
from shoal.exec.plan.expr import Call, Case, Cast, ColumnRef, Expr, Literal

A, B, T, D = ColumnRef(INT4, 1, "a"), ColumnRef(INT4, 2, "b"), ColumnRef(TEXT, 3, "t"), ColumnRef(DATE, 4, "d")
S = ColumnRef(TIMESTAMP, 5, "s")
NAMES = {1: "a", 2: "b", 3: "t", 4: "d", 5: "s"}


class Postgres(SupportsExpressions):
    dialect: ClassVar[str] = "postgres"
    expression_types: ClassVar[frozenset[str]] = frozenset({"bool", "int4", "int8", "numeric", "text", "date", "timestamp"})

    def apply_expressions(self, handle: TableHandle, expressions: tuple[SourceExpression, ...]) -> FilterResult | None:
        return None


def number(value: Any) -> Literal:
    return Literal(INT4, value)


def equal(left: Expr, right: Expr) -> Call:
    return Call(BOOL, "eq", (left, right))


def told(expr: Expr) -> tuple[str, bool] | None:
    found = in_source_terms(expr, NAMES, Postgres())
    if found is None:
        return None
    return "".join(part if isinstance(part, str) else getattr(part, "name", "") or str(part.value)  # type: ignore[union-attr]
                   for part in tokens(found[0])), found[1]


def test_what_cannot_raise_is_decided_by_the_source() -> None:
    assert told(equal(A, B)) == ("(a = b)", True)
    assert told(equal(Call(INT4, "length", (T,)), number(3))) == ("(length(t) = 3)", True)
    assert told(equal(Call(INT4, "mod", (A, number(2))), number(0))) == ("((a % 2) = 0)", True)
    like, missing = Call(BOOL, "like", (T, Literal(TEXT, "x%"))), Call(BOOL, "is_null", (D,))
    either = Call(BOOL, "or", (equal(A, number(1)), like, missing))
    assert told(either) == ("((a = 1) OR (t LIKE x%) OR (d IS NULL))", True)
    chosen = Case(INT4, (equal(A, B),), (number(1),), number(2))
    assert told(equal(chosen, number(1))) == ("((CASE WHEN (a = b) THEN 1 ELSE 2 END) = 1)", True)
    assert told(equal(Cast(INT8, A), Literal(INT8, 3))) == ("((a)::int8 = 3)", True)


def test_rows_that_may_raise_are_sent() -> None:
    assert told(equal(Call(INT4, "mod", (A, B)), number(0))) == ("(((a % nullif(b, 0)) = 0) OR (b = 0))", False)
    twice = Call(BOOL, "and", (equal(Call(INT4, "mod", (A, B)), number(0)), equal(Call(INT4, "mod", (A, B)), number(1))))
    found = told(twice)
    assert found is not None and found[0].count("(b = 0)") == 1


def test_what_has_no_spelling_stays() -> None:
    refused = (
        equal(Call(TEXT, "lower", (T,)), Literal(TEXT, "a")),  # the source's locale
        equal(Call(FLOAT8, "random", (), volatile=True), Literal(FLOAT8, 1.0)),
        equal(ColumnRef(INT4, 9, "other"), number(1)),
        equal(Call(INT4, "div", (A, B)), number(1)),
        Call(BOOL, "like", (T, Literal(TEXT, "x\\"))),
        Call(BOOL, "not", (equal(Cast(TEXT, A), Literal(TEXT, "1")),)),
        equal(Call(NUMERIC, "mul", (ColumnRef(NUMERIC, 1, "a"), ColumnRef(NUMERIC, 2, "b"))), Literal(NUMERIC, "1")))
    for expr in refused:
        assert told(expr) is None, expr


def test_large_expressions_stay() -> None:
    deep: Expr = A
    for _ in range(10_000):
        deep = Call(INT4, "abs", (deep,))
    assert told(equal(deep, number(1))) is None
    doubling: Expr = S
    for _ in range(40):  # its spelling repeats its argument
        doubling = Call(TIMESTAMP, "date_trunc", (Literal(TEXT, "month"), doubling))
    assert told(equal(doubling, S)) is None
    assert told(Call(BOOL, "in", (Call(INT4, "length", (T,)), *map(number, range(100_000))))) is None
