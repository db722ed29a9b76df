"""Kernels of strings and bytes, where Arrow's own answer needs care."""

from __future__ import annotations

import pyarrow as pa
import pytest

from shoal.exec.kernels.strings import substring


@pytest.mark.parametrize("values", [[b"abc"], [b"ab", b"x"], [b"ab", b"", None], []])
def test_bytes_from_a_place_to_the_end(values: list[bytes | None]) -> None:
    array = pa.array(values, pa.binary())
    assert substring(array, 2, None).to_pylist() == [None if value is None else value[1:] for value in values]
