"""kernels/ranges.py: canonical texts, and an algebra that agrees with sets of numbers."""

from __future__ import annotations

import itertools

import pytest

from shoal.catalog.errors import DataException, InvalidTextRepresentation, NumericOutOfRange
from shoal.exec.kernels import ranges

KIND = "int4range"
BOUNDS = [None, 1, 2, 3]
ALL = [ranges.make(KIND, low, high, low_inc, high_inc) for low, high, low_inc, high_inc in itertools.product(
    BOUNDS, BOUNDS, (True, False), (True, False)) if low is None or high is None or low <= high]


def members(value: ranges.Range) -> set[int]:
    """The numbers from -5 to 9 that are in it."""
    return {number for number in range(-5, 10) if ranges.contains_value(value, number)}


def test_texts_are_read_back() -> None:
    for value in ALL:
        assert ranges.range_of(ranges.text_of(value, KIND), KIND) == value


def test_algebra_agrees_with_sets() -> None:
    for a, b in itertools.product(ALL, ALL):
        left, right = members(a), members(b)
        assert ranges.overlaps(a, b) == bool(left & right)
        assert ranges.contains(a, b) == (right <= left)
        assert members(ranges.intersection(a, b)) == left & right
        assert set().union(*map(members, ranges.pieces_without(a, b))) == left - right
        assert members_of(ranges.normalized([a, b])) == left | right
        assert ranges.before(a, b) == bool(left and right and max(left) < min(right))
        try:
            assert members(ranges.union(a, b)) == left | right
        except DataException:
            assert not left & right


def members_of(value: ranges.Multirange) -> set[int]:
    return set().union(*map(members, value))


def test_multiranges_agree_with_sets() -> None:
    some = [ranges.normalized(pair) for pair in itertools.combinations(ALL[::5], 2)]
    for a, b in itertools.product(some, some):
        left, right = members_of(a), members_of(b)
        assert members_of(ranges.multi_intersection(a, b)) == left & right
        assert members_of(ranges.multi_difference(a, b)) == left - right
        assert ranges.multi_contains(a, b) == (right <= left)
        assert ranges.multi_overlaps(a, b) == bool(left & right)


@pytest.mark.parametrize(("kind", "text", "shown"), [
    ("int4range", " [1,5] ", "[1,6)"), ("int4range", "(1,2)", "empty"), ("numrange", "[1.0,2)", "[1.0,2)"),
    ("daterange", "[2020-01-31,2020-01-31]", "[2020-01-31,2020-02-01)"), ("int8range", "(,)", "(,)"),
    ("tsrange", '["2020-01-01 00:00:00",infinity]', '["2020-01-01 00:00:00",infinity]')])
def test_canonical_texts(kind: str, text: str, shown: str) -> None:
    assert ranges.text_of(ranges.parsed(text, kind, lambda bound: bound), kind) == shown


def test_equal_numbers_have_one_normal_text() -> None:
    assert ranges.normal_text("[1.0,20.00)", "numrange") == ranges.normal_text("[1,20)", "numrange") == "[1,20)"


@pytest.mark.parametrize("text", ["", "1,2", "[1", "[1,2", "[1,2,3)", "[1,2) x", "empty x", "[1 2)"])
def test_malformed_texts(text: str) -> None:
    with pytest.raises(InvalidTextRepresentation):
        ranges.scanned(text)


def test_bounds_beyond_the_type() -> None:
    with pytest.raises(NumericOutOfRange):
        ranges.make("int4range", 1, (1 << 31) - 1, True, True)
