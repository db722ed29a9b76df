"""jsonpath: text to items and back, and what begins with names."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shoal.catalog.errors import SqlError
from shoal.exec.functions.json_layout import number_bytes
from shoal.exec.functions.jsonpath_evaluation import Evaluation, PathError, divided
from shoal.exec.functions.jsonpath_syntax import canonical, leading_names, parse


@pytest.mark.parametrize("text, shown", [
    ("$.a.b", '$."a"."b"'), (" strict $ [ * ] ", "strict $[*]"), ("1 - (2 - 3)", "(1 - (2 - 3))"),
    ("$ ? (@ > 1 && @ < 3)", "$?(@ > 1 && @ < 3)"), ("/* c */ $.**{1 to last}", "$.**{1 to last}"),
    ("+1.50.abs()", "(+(1.50).abs())"), ('$."a\\u0041\\x42"', '$."aAB"')])
def test_canonical_text(text: str, shown: str) -> None:
    assert canonical(text) == shown
    assert canonical(shown) == shown


@pytest.mark.parametrize("text", ["", "$.", "@", "last", "$ &&", "$[", "$ ? (@ = 1)", '"a', "1a", "$.a b", "!$"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(SqlError):
        parse(text)


def test_leading_names() -> None:
    assert leading_names("$.a.b[*] ? (@.c > 1)") == (("a", "b"), '$[*]?(@."c" > 1)')
    assert leading_names("strict $.a")[0] == ()
    assert leading_names("$.a ? (@ == $.b)")[0] == ()
    assert leading_names("$.a.keyvalue()")[0] == ()


def test_lax_paths_open_arrays_and_strict_ones_complain() -> None:
    document = [{"a": Decimal(1)}, {"a": [Decimal(2), Decimal(3)]}]
    assert list(Evaluation(parse("$.a[*]"), document).items()) == [1, 2, 3]
    with pytest.raises(PathError, match="can only be applied to an object"):
        list(Evaluation(parse("strict $.a"), document).items())


def test_an_unknown_condition_is_not_true() -> None:
    assert list(Evaluation(parse('$ ? (@ > "x" || @ == 1)'), Decimal(1)).items()) == [1]
    assert list(Evaluation(parse('$ ? (!(@ > "x"))'), Decimal(1)).items()) == []


def test_quotients_have_numerics_digits() -> None:
    assert str(divided(Decimal(7), Decimal(3))) == "2.3333333333333333"
    assert str(divided(Decimal(1), Decimal("3.000"))) == "0.33333333333333333333"


@pytest.mark.parametrize("number, size", [("0", 6), ("1", 8), ("10000", 8), ("10001", 10), ("1.5", 10), ("0.0001", 8)])
def test_sizes_of_numbers(number: str, size: int) -> None:
    assert number_bytes(Decimal(number)) == size
