"""Which unique indexes ON CONFLICT's WHERE reaches."""

from __future__ import annotations

import pytest

from shoal.catalog.types import BOOL, INT4, SqlType
from shoal.exec.plan.expr import ColumnRef, Expr, Literal, call
from shoal.exec.sql.conflicts import _implied

X = ColumnRef(INT4, 1, "x")
E = ColumnRef(SqlType("enum"), 2, "e")


def compared(name: str, value: int) -> Expr:
    return call(name, BOOL, X, Literal(INT4, value))


@pytest.mark.parametrize(("given", "wanted", "holds"), [
    (("gt", 5), ("gt", 3), True), (("gt", 3), ("gt", 5), False), (("ge", 5), ("gt", 5), False), (("ge", 6), ("gt", 5), True),
    (("eq", 4), ("le", 4), True), (("eq", 4), ("ne", 4), False), (("eq", 4), ("ne", 5), True), (("lt", 4), ("le", 4), True),
    (("lt", 4), ("gt", 0), False), (("eq", 4), ("eq", 5), False), (("eq", 4), ("eq", 4), True),
])
def test_comparisons_with_constants(given: tuple[str, int], wanted: tuple[str, int], holds: bool) -> None:
    assert _implied(compared(*wanted), [compared(*given)]) is holds


def test_what_is_compared_is_not_null() -> None:
    assert _implied(call("is_not_null", BOOL, X), [compared("gt", 1)])
    assert not _implied(call("is_not_null", BOOL, E), [compared("gt", 1)])


def test_constants_of_other_orders_say_nothing() -> None:
    given, wanted = (call("gt", BOOL, E, Literal(SqlType("enum"), label)) for label in ("b", "a"))
    assert not _implied(wanted, [given])
