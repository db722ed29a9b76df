"""Planner switches that a session sets."""

from __future__ import annotations

import pytest

from shoal.catalog.errors import InvalidParameterValue
from shoal.exec.optimizer.context import Switches, session_switches


def test_nothing_set_is_the_default() -> None:
    assert session_switches({}) == Switches() == session_switches({"shoal.join_distribution": "", "timezone": "UTC"})


def test_what_is_set() -> None:
    asked = session_switches({"shoal.join_distribution": "partitioned", "shoal.max_gathered_groups": "0",
                              "shoal.validate_plans": "on"})
    assert (asked.join_distribution, asked.max_gathered_groups, asked.validate) == ("partitioned", 0.0, True)


@pytest.mark.parametrize(("name", "value"), [("join_distribution", "sideways"), ("max_gathered_groups", "many")])
def test_bad_values(name: str, value: str) -> None:
    with pytest.raises(InvalidParameterValue, match=value):
        session_switches({f"shoal.{name}": value})
