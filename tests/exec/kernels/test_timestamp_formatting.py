"""Columns formatted part by part against each timestamp formatted whole."""

from __future__ import annotations

import numpy as np
import pytest

from shoal.exec.kernels.formatting import format_clock, timestamp_clock
from shoal.exec.kernels.timestamp_formatting import format_timestamps
from shoal.exec.kernels.timezones import DAY_US, INFINITY, MINUS_INFINITY

TEMPLATES = ("YYYY-MM-DD HH24:MI:SS.US", "Day, FMDDth Month YYYY BC", "HH12:MI AM", '"at" HH24 "of" YYYY-MM', "SSSS", "MS",
             "FF1 FF5", "IYYY-IW-ID Q", "J", "FMHH24th", "p.m. MI YYYY SS", "plain", "TZH OF", "CC RM WW W")


@pytest.mark.parametrize("template", TEMPLATES)
def test_parts_are_the_whole(template: str) -> None:
    draw = np.random.default_rng(7)
    local = np.concatenate([
        draw.integers(-80_000_000 * DAY_US // 1000, 80_000_000 * DAY_US // 1000, 300), draw.integers(0, DAY_US, 300),
        np.array([INFINITY, MINUS_INFINITY, 0, -1, DAY_US - 1, -DAY_US])])
    valid = draw.random(len(local)) < 0.9
    expected = [format_clock(timestamp_clock(value), template) if ok and value not in (INFINITY, MINUS_INFINITY) else None
                for value, ok in zip(local.tolist(), valid.tolist(), strict=True)]
    assert format_timestamps(local, valid, template).to_pylist() == expected


def test_no_rows() -> None:
    assert format_timestamps(np.array([], np.int64), None, "YYYY HH24").to_pylist() == []
