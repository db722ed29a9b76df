"""Float sums and moments are those of a plain loop, to the last bit, however rows are grouped and divided in batches."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from shoal.catalog.errors import NumericOutOfRange
from shoal.catalog.types import FLOAT8, SqlType
from shoal.exec.kernels import youngs_cramer
from shoal.exec.kernels.aggregation_floats import Moments, Regression, SumFloats


def loop(values: list[float]) -> tuple[float, float]:
    """(sum, sum of squared deviations) as float8_accum makes them."""
    count = total = square = 0.0
    for value in values:
        count, total = count + 1, total + value
        if count > 1:
            apart = value * count - total
            square += apart * apart / (count * (count - 1))
    return total, square


@pytest.mark.parametrize("groups", [1, 3, 400])
def test_moments_are_those_of_a_loop(groups: int) -> None:
    random = np.random.default_rng(groups)
    values, codes = random.normal(1e6, 1e-3, 2000), random.integers(0, groups, 2000)
    state = Moments("var_pop", FLOAT8)
    for first in (0, 700, 1999):
        part = slice(first, {0: 700, 700: 1999, 1999: 2000}[first])
        state.resize(groups)
        state.update(codes[part], [pa.array(values[part])], lambda: np.zeros(groups, np.bool_))
    found = state.finish(np.arange(groups)).to_pylist()
    for group, result in enumerate(found):
        mine = values[codes == group].tolist()
        assert result == (loop(mine)[1] / len(mine) if mine else None)


def test_running_sums_restart() -> None:
    random = np.random.default_rng(7)
    lengths = [1, 2, 47, 48, 49, 300, 1]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    values = random.normal(0, 1e8, sum(lengths))
    found = youngs_cramer.running_sums(values, starts)
    for start, length in zip(starts.tolist(), lengths, strict=True):
        total = values[start]
        for row in range(start, start + length):
            total = total if row == start else total + values[row]
            assert found[row] == total


def test_merging_states_is_adding_their_rows() -> None:
    left, right = [1.0, 2.0, 4.0], [10.0, -3.0]
    states = [np.array([[len(rows), *loop(rows)]]) for rows in (left, right, [])]
    together = youngs_cramer.merged(states[0], states[1])[0]
    assert together[:2].tolist() == [5, 14] and math.isclose(together[2], loop(left + right)[1])
    assert youngs_cramer.merged(states[0], states[2]).tolist() == states[0].tolist()


def run(state: Moments | Regression | SumFloats, *columns: list[float | None]) -> object:
    state.resize(1)
    state.update(np.zeros(len(columns[0]), np.int64), [pa.array(c, pa.float64()) for c in columns],
                 lambda: np.zeros(1, np.bool_))
    return state.finish(np.zeros(1, np.int64)).to_pylist()[0]


def test_values_that_are_no_numbers() -> None:
    assert math.isnan(run(Moments("var_pop", FLOAT8), [math.inf]))  # type: ignore[arg-type]
    assert run(Moments("var_samp", FLOAT8), [math.nan]) is None
    assert math.isnan(run(Moments("var_pop", FLOAT8), [1.0, math.inf, None]))  # type: ignore[arg-type]
    assert math.isnan(run(Regression("regr_sxy", FLOAT8), [1.0, 2.0], [math.inf, 1.0]))  # type: ignore[arg-type]
    with pytest.raises(NumericOutOfRange):
        run(Moments("var_pop", FLOAT8), [1e200, -1e200])
    with pytest.raises(NumericOutOfRange):
        run(SumFloats(FLOAT8, False), [1.7e308, 1.7e308])


def test_float4_sums_keep_their_width() -> None:
    state = SumFloats(SqlType("float4"), False)
    state.resize(1)
    state.update(np.zeros(3, np.int64), [pa.array([16777216, 1, 1], pa.float32())], lambda: np.zeros(1, np.bool_))
    assert state.finish(np.zeros(1, np.int64)).to_pylist() == [16777216]
    negative = SumFloats(FLOAT8, False)
    assert math.copysign(1, run(negative, [-0.0])) == -1  # type: ignore[arg-type]
