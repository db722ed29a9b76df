"""NaN and the infinities in decimal256 columns: where they are, how they compare, that kernels of numbers refuse them."""

from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog import specials
from shoal.catalog.errors import FeatureNotSupported, NumericOutOfRange
from shoal.catalog.types import numeric, to_python
from shoal.exec.kernels import canonical, decimals
from shoal.exec.kernels.constants import array_of_values, physical
from shoal.exec.kernels.sorting import Ordering, sort_indices

VALUES = [specials.NAN, 10 ** 76 - 1, None, specials.MINUS_INFINITY, 5, specials.INFINITY, -(10 ** 76) + 1, 0]
TYPE = numeric(76, 2)


@pytest.fixture
def column() -> pa.Array:
    return array_of_values(VALUES, TYPE)


def test_where_they_are(column: pa.Array) -> None:
    np.testing.assert_array_equal(specials.stand_ins(column), [np.nan, 0, 0, -np.inf, 0, np.inf, 0, 0])
    np.testing.assert_array_equal(specials.stand_ins(column.slice(2, 3)), [0, -np.inf, 0])
    assert specials.stand_ins(column.slice(6)) is None and specials.stand_ins(column.slice(8)) is None
    wide = decimals.packed(np.array([10 ** 30], object), 2)
    for ordinary in (pa.array([1, None]), wide, pa.nulls(3, pa.decimal256(76, 2))):
        assert not specials.present(ordinary) and specials.stand_ins(ordinary) is None
    assert [physical(column, row, TYPE) for row in range(len(column))] == VALUES


def test_under_null_they_do_not_count(column: pa.Array) -> None:
    hidden = pa.Array.from_buffers(column.type, 1, [pa.py_buffer(b"\0"), column.slice(0, 1).buffers()[1]])
    assert specials.stand_ins(hidden) is None


def test_apart_and_together_again(column: pa.Array) -> None:
    found = specials.stand_ins(column)
    assert found is not None
    numbers, zeros = specials.without(column, found), specials.as_zero(column, found)
    assert numbers.null_count == 4 and zeros.null_count == 1 and not specials.present(numbers)
    assert specials.placed(numbers, found, 2).equals(column) and specials.placed(zeros, found, 2).equals(column)
    small = specials.placed(pa.array([1, None, -3]), np.array([0, np.inf, np.nan]), 2)
    assert [physical(small, row, TYPE) for row in range(3)] == [1, specials.INFINITY, specials.NAN]


def test_order_and_equality_are_those_of_raw_values(column: pa.Array) -> None:
    order = sort_indices([Ordering(column, TYPE)], len(column)).tolist()
    assert [VALUES[row] for row in order] == [specials.MINUS_INFINITY, -(10 ** 76) + 1, 0, 5, 10 ** 76 - 1,
                                              specials.INFINITY, specials.NAN, None]
    twice = canonical.integers(pa.concat_arrays([column, column]), TYPE)
    assert twice.wide is not None and len(twice.wide.unique()) == 5


def test_kernels_of_numbers_refuse_them(column: pa.Array) -> None:
    for value, text in specials.TEXTS.items():
        with pytest.raises(FeatureNotSupported, match=f"numeric {text}"):
            decimals.unscaled(array_of_values([1, value], TYPE))
        with pytest.raises(FeatureNotSupported, match=f"numeric {text}"):
            decimals.unscaled(decimals.scalar(value, 2))
        with pytest.raises(NumericOutOfRange):  # a result that happens to be as large
            decimals.packed(np.array([value], object), 2)
    with pytest.raises(NumericOutOfRange):
        decimals.packed(np.array([10 ** 76, specials.NAN], object), 2, specials_too=True)


def test_forms() -> None:
    for text, value in (("nan", specials.NAN), (" Inf\n", specials.INFINITY), ("+INFINITY", specials.INFINITY),
                        ("-inf", specials.MINUS_INFINITY), ("+nan", None), ("1", None), ("", None)):
        assert specials.parsed(text) == value
    assert to_python(specials.NAN, TYPE).is_nan()
    assert to_python(specials.MINUS_INFINITY, TYPE) == decimal.Decimal("-Infinity")
    for value, text in specials.TEXTS.items():
        assert specials.of_decimal(decimal.Decimal(text)) == value == specials.of_float(float(text))
