"""Predicates against bounds: pruning may only err towards reading, checked against every row; and LIKE by itself."""

import datetime
import random
from decimal import Decimal
from typing import Any

import pytest

from shoal.catalog.connector import Operator, Predicate
from shoal.catalog.pruning import Bounds, comparable, like_pattern, matches, may_match

OPERATORS: tuple[Operator, ...] = ("eq", "ne", "lt", "le", "gt", "ge", "in", "is_null", "is_not_null")


def bounds_of(values: list[Any]) -> Bounds:
    known = [value for value in values if value is not None and value == value]
    return Bounds(min(known, default=None), max(known, default=None), values.count(None), len(values),
                  any(value != value for value in values))


@pytest.mark.parametrize("domain", [
    [1, 2, 3, 4, None], [1.0, 2.5, -1.0, float("nan"), None], ["a", "ab", "b", "", None],
    [Decimal(1), Decimal("1.5"), 2, None],
    [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2), None], [True, False, None]])
def test_never_loses_a_row(domain: list[Any]) -> None:
    pick = random.Random(1)
    for _ in range(3000):
        values = [pick.choice(domain) for _ in range(pick.randrange(1, 4))]
        operator = pick.choice(OPERATORS)
        arguments = {"is_null": 0, "is_not_null": 0, "in": 3}.get(operator, 1)
        predicate = Predicate("c", operator, tuple(pick.choice(domain) for _ in range(arguments)))
        if any(_passes(predicate, value) for value in values):
            assert may_match(predicate, bounds_of(values)), (predicate, values)


def _passes(predicate: Predicate, value: Any) -> bool:
    """`matches`, with PostgreSQL's NaN: equal to itself and above everything."""
    if value is None or not any(v != v for v in (value, *predicate.values)):
        return matches(predicate, value)

    def key(v: Any) -> tuple[bool, Any]:
        return (True, 0) if v != v else (False, v)

    others = [key(v) for v in predicate.values if v is not None]
    mine = key(value)
    match predicate.operator:
        case "is_null" | "is_not_null":
            return predicate.operator == "is_not_null"
        case "in":
            return mine in others
    return bool(others) and {"eq": mine == others[0], "ne": mine != others[0], "lt": mine < others[0],
                             "le": mine <= others[0],
                             "gt": mine > others[0], "ge": mine >= others[0]}[predicate.operator]


@pytest.mark.parametrize("operator, values, expected", [
    ("eq", (5,), True), ("eq", (11,), False), ("lt", (1,), False), ("le", (1,), True), ("gt", (10,), False),
    ("ge", (10,), True),
    ("in", (0, 11), False), ("in", (0, 3), True), ("in", (), False), ("is_null", (), False), ("eq", (None,), False),
    ("eq", ("x",), True), ("ne", (5,), True), ("like", ("x%",), True)])
def test_integers_from_1_to_10(operator: Operator, values: tuple[Any, ...], expected: bool) -> None:
    assert may_match(Predicate("c", operator, values), Bounds(1, 10, 0, 50)) is expected


def test_unknown_bounds_keep_everything() -> None:
    for operator in OPERATORS:
        assert may_match(Predicate("c", operator, (1,)), Bounds())
    assert not may_match(Predicate("c", "eq", (1,)), Bounds(nulls=5, rows=5))
    assert not may_match(Predicate("c", "is_not_null"), Bounds(nulls=5, rows=5))


def test_dates_against_timestamps() -> None:
    low, high = datetime.datetime(2024, 1, 1, 12), datetime.datetime(2024, 1, 2)
    assert may_match(Predicate("c", "ge", (datetime.date(2024, 1, 2),)), Bounds(low, high, 0, 2))
    assert not may_match(Predicate("c", "gt", (datetime.date(2024, 1, 2),)), Bounds(low, high, 0, 2))


@pytest.mark.parametrize("pattern, text, expected", [
    ("a%", "abc", True), ("a_c", "abc", True), ("a_c", "ac", False), ("%b%", "abc", True), ("a\\%", "a%", True),
    ("a\\%", "ab", False),
    ("a.c", "abc", False), ("%", "", True), ("_%", "\n", True), ("x\\", "x\\", True)])
def test_like(pattern: str, text: str, expected: bool) -> None:
    assert (like_pattern(pattern).fullmatch(text) is not None) is expected
    if expected:
        assert may_match(Predicate("c", "like", (pattern,)), Bounds(text, text, 0, 1))


def test_like_prunes_by_prefix() -> None:
    bounds = Bounds("banana", "cherry", 0, 9)
    assert may_match(Predicate("c", "like", ("c%",)), bounds) and may_match(Predicate("c", "like", ("b%",)), bounds)
    assert not may_match(Predicate("c", "like", ("a%",)), bounds) and not may_match(Predicate("c", "like", ("d%",)), bounds)


def test_comparable() -> None:
    assert comparable(Predicate("c", "lt", (Decimal("1.5"),)), 1)
    assert not comparable(Predicate("c", "lt", ("1",)), 1)
    assert not comparable(Predicate("c", "eq", ("1",)), 1)
    assert not comparable(Predicate("c", "like", ("1",)), 1)
    assert comparable(Predicate("c", "in", (None, "x")), "y")
