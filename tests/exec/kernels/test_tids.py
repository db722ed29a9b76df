"""Values of type tid: from row numbers, from and to text, and on the wire."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shoal.exec.kernels import tids


def test_numbers_of_rows_keep_their_order() -> None:
    places = tids.of_rows(np.array([0, 225, 226, 10**11], np.int64))
    assert tids.texts(pa.array(places)).to_pylist() == ["(0,1)", "(0,226)", "(1,1)", "(442477876,25)"]
    assert (np.diff(places) > 0).all()


@pytest.mark.parametrize(("text", "shown"), [
    ("(0,1)", "(0,1)"), (" x( 7,+12)y", "(7,12)"), ("(-1,0)", "(4294967295,0)"), ("(,)", "(0,0)"),
    ("(4294967295,65535)", "(4294967295,65535)")])
def test_texts_are_read_as_strtoul_does(text: str, shown: str) -> None:
    value = tids.parsed(text)
    assert tids.texts(pa.array([value, None])).to_pylist() == [shown, None]


@pytest.mark.parametrize("text", ["", "1,2", "(1)", "(1 ,2)", "(1,2 )", "(4294967296,1)", "(-2147483649,1)", "(1,65536)",
                                  "(1,-1)", "(0x1,2)", "(1,2"])
def test_other_texts_are_refused(text: str) -> None:
    assert tids.parsed(text) is None


def test_six_bytes_go_over_the_wire() -> None:
    values = np.array([tids.made(1, 2), tids.made(0xFFFFFFFF, 0xFFFF)], np.int64)
    assert tids.wire(values).tobytes() == bytes([0, 0, 0, 1, 0, 2]) + b"\xff" * 6
