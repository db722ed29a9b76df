from __future__ import annotations

from typing import Any

import pytest

from shoal.catalog.errors import InvalidParameterValue
from shoal.catalog.types import INT4, INTERVAL, JSON, TEXT, TIMESTAMP, SqlType, numeric
from shoal.exec.evaluator import EvaluationContext
from shoal.exec.functions import resolve_function
from shoal.exec.kernels.constants import array_of_values
from shoal.exec.plan.expr import Call, ColumnRef

DAY = 86_400_000_000


def expand(name: str, types: list[SqlType], rows: list[tuple[Any, ...]]) -> tuple[list[int], list[list[Any]]]:
    found = resolve_function(name, types)
    assert found.function.kind == "set" and found.function.kernel is not None
    args = [array_of_values([row[i] for row in rows], t) for i, t in enumerate(types)]
    call = Call(found.returns, name, tuple(ColumnRef(t, i) for i, t in enumerate(types)))
    counts, columns = found.function.kernel(call, args, len(rows), EvaluationContext())
    assert all(len(column) == counts.sum() for column in columns)
    return counts.tolist(), [column.to_pylist() for column in columns]


def test_series() -> None:
    assert expand("generate_series", [INT4, INT4], [(1, 3), (5, 4), (7, 7), (None, 1)]) == ([3, 0, 1, 0], [[1, 2, 3, 7]])
    assert expand("generate_series", [INT4, INT4, INT4], [(10, 1, -4), (1, 6, 2)]) == ([3, 3], [[10, 6, 2, 1, 3, 5]])
    assert expand("generate_series", [numeric(3, 1)] * 3, [(10, 25, 5)]) == ([4], [[10, 15, 20, 25]])
    with pytest.raises(InvalidParameterValue, match="step size cannot equal zero"):
        expand("generate_series", [INT4, INT4, INT4], [(1, 2, 0)])


def test_series_of_timestamps() -> None:
    month_ends = expand("generate_series", [TIMESTAMP, TIMESTAMP, INTERVAL], [(30 * DAY, 120 * DAY, (1, 0, 0))])[1][0]
    assert [str(value)[:10] for value in month_ends] == ["1970-01-31", "1970-02-28", "1970-03-28", "1970-04-28"]
    assert expand("generate_series", [TIMESTAMP, TIMESTAMP, INTERVAL], [(0, 2 * DAY, (0, 1, 0))])[0] == [3]


def test_arrays_and_strings() -> None:
    assert expand("unnest", [SqlType("_int4")], [([1, None],), (None,), ([],), ([3],)]) == ([2, 0, 0, 1], [[1, None, 3]])
    assert expand("generate_subscripts", [SqlType("_int4"), INT4], [([7, 8],  1)]) == ([2], [[1, 2]])
    assert expand("string_to_table", [TEXT, TEXT], [("a,b", ","), ("", ",")]) == ([2, 0], [["a", "b"]])
    assert expand("regexp_matches", [TEXT, TEXT, TEXT], [("a1b2", r"([a-z])(\d)", "g")]) == (
        [2], [[["a", "1"], ["b", "2"]]])


def test_json() -> None:
    assert expand("json_array_elements", [JSON], [('[1, "a", {"b": null}]',), ("[]",)]) == ([3, 0],
                                                                                            [["1", '"a"', '{"b": null}']])
    assert expand("json_each_text", [JSON], [('{"x": 1.50, "y": null}',)]) == ([2], [["x", "y"], ["1.50", None]])
    assert expand("jsonb_object_keys", [SqlType("jsonb")], [('{"a": 2, "bb": 1}',)]) == ([2], [["a", "bb"]])
