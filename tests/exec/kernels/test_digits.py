"""Text from tables of digits is what one value at a time would give."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from shoal.exec.kernels import digits

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("scale", range(1, 19))
@pytest.mark.parametrize("largest", [4, 10**3, 10**7, 10**12, 10**18 - 1])
def test_decimals(scale: int, largest: int) -> None:
    values = np.concatenate([[0, 1, -1, largest, -largest], RANDOM.integers(-largest, largest, 200)])
    text = digits.decimals(values, scale, None)
    text.validate(full=True)
    assert text.to_pylist() == [format(Decimal(value).scaleb(-scale), "f") for value in values.tolist()]


def iso(us: int) -> str:
    text = str(np.datetime64(us, "us")).replace("T", " ")
    return text.rstrip("0").rstrip(".") if "." in text else text


@pytest.mark.parametrize("unit", [1, 10, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("suffix", [b"", b"+00", b"-03:30"])
def test_timestamps(unit: int, suffix: bytes) -> None:
    us = RANDOM.integers(-2 * 10**15, 4 * 10**15, 500) // unit * unit
    us[::50] = us[::50] // 86_400_000_000 * 86_400_000_000
    text = digits.iso_timestamps(us, None, suffix)
    assert text is not None
    text.validate(full=True)
    assert text.to_pylist() == [iso(value) + suffix.decode() for value in us.tolist()]


def test_dates_and_what_is_beyond_the_table() -> None:
    days = np.arange(digits.FIRST_DAY, digits.LAST_DAY + 1, dtype=np.int32)
    dates = digits.iso_dates(days, None)
    assert dates is not None and dates.to_pylist() == [str(np.datetime64(day, "D")) for day in days.tolist()]
    for beyond in (digits.FIRST_DAY - 1, digits.LAST_DAY + 1, 2**31 - 1):
        assert digits.iso_dates(np.array([0, beyond], np.int32), None) is None
        assert digits.iso_timestamps(np.array([0, beyond]) * 86_400_000_000, None) is None


def test_nulls_and_no_rows() -> None:
    valid = np.array([True, False, True])
    assert digits.decimals(np.array([150, 7, -5]), 2, valid).to_pylist() == ["1.50", None, "-0.05"]
    dates = digits.iso_dates(np.array([0, 10**9, 1]), valid)
    assert dates is not None and dates.to_pylist() == ["1970-01-01", None, "1970-01-02"]
    stamps = digits.iso_timestamps(np.array([500_000, -2**63, 0]), valid, b"+00")
    assert stamps is not None and stamps.to_pylist() == ["1970-01-01 00:00:00.5+00", None, "1970-01-01 00:00:00+00"]
    nothing = np.array([], np.int64)
    for made in (digits.decimals(nothing, 2, None), digits.iso_dates(nothing, None), digits.iso_timestamps(nothing, None)):
        assert made is not None and made.to_pylist() == []
