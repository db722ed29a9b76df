"""Standard deviations are the variances' square roots, to the last digit, however large the values are."""

from __future__ import annotations

import random

import numpy as np
import pytest

from shoal.catalog.types import NUMERIC
from shoal.exec.kernels import scaled
from shoal.exec.kernels.aggregation_statistics import exact_variances


@pytest.mark.parametrize("most", [10, 10 ** 4, 10 ** 9, 10 ** 30])
def test_deviations_are_roots_of_variances(most: int) -> None:
    draw = random.Random(most)
    groups = [[draw.randrange(-most, most) for _ in range(draw.randrange(1, 6))] for _ in range(500)]
    counts = np.array([len(group) for group in groups])
    scales = np.array([draw.randrange(4) for _ in groups])
    sums = scaled.Scaled(np.array([sum(group) for group in groups], object), scales)
    squares = scaled.Scaled(np.array([sum(v * v for v in group) for group in groups], object), 2 * scales)
    variances, deviations = (scaled.read(exact_variances(name, counts, sums, squares), NUMERIC)
                             for name in ("var_samp", "stddev_samp"))
    assert variances.scales.tolist() == deviations.scales.tolist()
    rows = zip(variances.values.tolist(), variances.scales.tolist(), deviations.values.tolist(), strict=True)
    for value, scale, root in rows:
        wide = value * 10 ** scale
        assert (2 * root - 1) ** 2 <= 4 * wide < (2 * root + 1) ** 2 or root == wide == 0
